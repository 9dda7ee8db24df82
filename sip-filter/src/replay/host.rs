//! The filter on the host: the program's parser and classifier, counted as the program counts.
//! Needs no privileges.

use std::num::NonZeroUsize;

use anyhow::{Result, anyhow};
use lru::LruCache;
use sip_filter_common::{
    abi::{
        Address, MAX_PORTS, PortCount, PortSet, SourceCount, ToolCount, ToolCounts, ToolName,
        Totals,
    },
    classify::{self, Classification, Work},
    frame::SliceFrame,
    packet::{self, Packet},
    payload::SlicePayload,
    rules::{Behaviour, Rules},
    sender::{AddAlone, Sender, Sent},
    signature::{Hit, SignatureTable},
    verdict::{DropSet, Met, decide},
};

use super::{Engine, lists::HostLists};
use crate::{kernel::Load, stats::Counters};

type Datagram<'a> = packet::Datagram<SlicePayload<'a>>;

/// What the program makes of a frame before it classifies it.
pub(super) enum Frame<'a> {
    /// A datagram that is inspected.
    Inspected(Datagram<'a>),
    /// A later fragment.
    Fragment,
    /// Cut off or at odds with itself.
    Unreadable,
    /// Nobody's business here.
    Other,
}

/// What is inspected.
pub(super) struct Ports {
    any: bool,
    set: Box<PortSet>,
}

impl Ports {
    pub(super) fn new(load: &Load<'_>) -> Self {
        Self {
            any: load.any_port,
            set: Box::new(*load.ports),
        }
    }

    /// Reads a frame as the program does.
    pub(super) fn read<'a>(&self, frame: &'a [u8]) -> Frame<'a> {
        let frame = SliceFrame(frame);
        let udp = match packet::parse(&frame) {
            Packet::Udp(udp) => udp,
            Packet::LaterFragment => return Frame::Fragment,
            Packet::Unreadable => return Frame::Unreadable,
            Packet::Other => return Frame::Other,
        };
        let is_listed = self.set.contains(udp.port);
        if !self.any && !is_listed {
            return Frame::Other;
        }
        let Some(datagram) = udp.datagram(&frame) else {
            return Frame::Unreadable;
        };
        if !is_listed && !classify::starts_like_sip(&datagram.payload) {
            return Frame::Other;
        }
        Frame::Inspected(datagram)
    }
}

/// The filter on the host.
pub struct Host {
    ports: Ports,
    drop: DropSet,
    signatures: Box<SignatureTable>,
    work: Box<Work>,
    tools: Vec<ToolName>,
    totals: Totals,
    tool_counts: ToolCounts,
    /// By port.
    port_counts: Vec<PortCount>,
    behaviours: [ToolCount; Behaviour::COUNT],
    /// Those quiet for longest are forgotten, as the kernel does.
    sources: LruCache<Address, SourceCount>,
    rules: Rules,
    lists: HostLists,
    senders: LruCache<Address, Box<Sender>>,
    /// Until when sources are blocked for what they sent.
    bans: LruCache<Address, u64>,
}

impl Host {
    /// A filter that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// When the signatures do not fit their table.
    pub fn new(load: &Load<'_>) -> Result<Self> {
        let (mut signatures, tools) = load.signatures.table(&[])?;
        if load.rules.watched != 0 {
            signatures.watch().map_err(|error| anyhow!("{error}"))?;
        }
        let room = |entries: u32| NonZeroUsize::new(entries as usize).unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            ports: Ports::new(load),
            drop: load.drop,
            signatures,
            work: Box::new(Work::EMPTY),
            tools,
            totals: Totals::ZERO,
            tool_counts: ToolCounts::ZERO,
            port_counts: vec![PortCount::default(); MAX_PORTS as usize],
            behaviours: [ToolCount::default(); Behaviour::COUNT],
            sources: LruCache::new(room(load.sources)),
            rules: *load.rules,
            lists: HostLists::new(load.lists, load.rules.met_by_block()),
            senders: LruCache::new(room(load.sources)),
            bans: LruCache::new(room(load.bans)),
        })
    }

    /// What a datagram is that arrived at `time`, whose tool sent it, and what its source has met.
    fn judge(&mut self, datagram: &Datagram<'_>, time: u64) -> (Classification, Sent) {
        let mut sent = Sent::default();
        sent.note(datagram, time);
        sent.met = self.lists.met(&sent.source).0.into();
        if !sent.has_met(Met::ALLOWED.and(Met::BLOCKED)) {
            sent.met |= u64::from(self.banned(&sent).0);
        }
        let payload = &datagram.payload;
        let class = classify::class(payload, &mut self.work);
        let mut found = Classification {
            class,
            hit: Hit::NONE,
        };
        if sent.has_met(Met::BLOCKED.and(Met::ESCALATED)) {
            return (found, sent);
        }
        let (table, work) = (&self.signatures, &mut self.work);
        found = classify::recognise(payload, class, &sent.destination(), table, work);
        let uses = self.rules.uses;
        let is_hostile = found.hit.is_hostile();
        let is_dropped = is_hostile && self.drop.contains(DropSet::SCANNERS);
        if sent.has_met(Met::ALLOWED) || !Sender::must_judge(class, is_hostile, is_dropped, uses) {
            return (found, sent);
        }
        sent.class = class as u64;
        sent.clock = time;
        sent.note_tool(is_hostile, is_dropped);
        if uses & Rules::BEHAVIOURS != 0 && class.is_request() && !is_dropped {
            let seed = self.rules.seed;
            classify::note_dialogue(payload, class, work, table, seed, &mut sent);
        }
        let new = || Box::new(Sender::NEW);
        let sender = self.senders.get_or_insert_mut(sent.source, new);
        let judgement = sender.judge(&sent, &self.rules, uses, AddAlone);
        sent.met |= u64::from(judgement.met().0);
        sent.behaviour = judgement.behaviour();
        if judgement.escalates() {
            let until = time + self.rules.escalation.length;
            self.bans.put(sent.source, until);
        }
        (found, sent)
    }

    /// What a source meets that was blocked for what it had sent.
    fn banned(&mut self, sent: &Sent) -> Met {
        match self.bans.get(&sent.source) {
            Some(until) if sent.at < *until => self.rules.escalation.met(),
            _ => Met::NOTHING,
        }
    }

    /// Counts an inspected datagram.
    fn datagram(&mut self, datagram: &Datagram<'_>, time: u64) {
        let (found, sent) = self.judge(datagram, time);
        let (class, tool) = (found.class, found.tool());
        let outcome = decide(self.drop, class, tool, sent.met());
        let hostile = tool.is_some_and(|tool| tool.is_hostile());
        let dropped = u64::from(outcome.is_drop());
        let bytes = datagram.length as u64;

        let cell = &mut self.totals.cells[Totals::cell(class, hostile, outcome)];
        cell.packets += 1;
        cell.bytes += bytes;

        if let Some(tool) = tool {
            let count = &mut self.tool_counts.tools[usize::from(tool.tool())];
            count.packets += 1;
            count.dropped += dropped;
            count.would_drop += u64::from(outcome.is_would_drop());
        }

        if let Some(number) = (sent.behaviour as usize).checked_sub(1) {
            let count = &mut self.behaviours[number];
            count.packets += 1;
            count.dropped += dropped;
            count.would_drop += u64::from(outcome.is_would_drop());
        }

        let port = &mut self.port_counts[usize::from(datagram.port)];
        port.packets += 1;
        port.scanner += u64::from(hostile);
        port.dropped += dropped;

        let new = || SourceCount {
            first_seen: time,
            last_seen: time,
            ..SourceCount::ZERO
        };
        let source = self.sources.get_or_insert_mut(datagram.source, new);
        source.count(class, hostile, outcome, 1);
        source.bytes += bytes;
        // Captures are not always in the order of time.
        source.first_seen = source.first_seen.min(time);
        source.last_seen = source.last_seen.max(time);
        source.ports[SourceCount::port(datagram.port)] = 1;
        if let Some(tool) = tool {
            source.tools[usize::from(tool.tool())] = 1;
        }
        if sent.behaviour != 0 {
            source.behaviours[sent.behaviour as usize] = 1;
        }
    }
}

impl Engine for Host {
    fn observe(&mut self, frame: &[u8], time: u64) -> Result<()> {
        match self.ports.read(frame) {
            Frame::Inspected(datagram) => self.datagram(&datagram, time),
            Frame::Fragment => self.totals.fragments += 1,
            Frame::Unreadable => self.totals.unreadable += 1,
            Frame::Other => {}
        }
        Ok(())
    }

    fn counters(&self) -> Result<Counters> {
        let ports = (0..=u16::MAX).zip(self.port_counts.iter().copied());
        let sources = self.sources.iter();
        Ok(Counters {
            totals: self.totals,
            tool_counts: self.tool_counts,
            tools: self.tools.clone(),
            behaviours: self.behaviours,
            ports: ports.filter(|(_, count)| count.packets > 0).collect(),
            sources: sources.map(|(source, count)| (*source, *count)).collect(),
        })
    }
}
