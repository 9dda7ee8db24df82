//! What the filter saw, as one [`Snapshot`]: read once, rendered by everything in
//! [`output`](crate::output).
//!
//! The kernel counts in cells and numbers; here they become the sums, names and times of the
//! documented JSON. Everything but [`Snapshot::read`] is a pure function of map values.

mod cell;
mod clock;
mod condition;
mod in_force;
mod reason;
mod row;
mod source;
mod status;

use std::{cmp::Reverse, collections::HashMap};

use anyhow::Result;
use serde::{Serialize, Serializer};
use sip_filter_common::{
    abi::{self, Address, Count, PortCount, SourceCount, ToolCount, ToolCounts, ToolName},
    rules::Behaviour,
    sip::MessageClass,
    tool::Kind,
    verdict::Outcome,
};

pub use cell::{Cell, Names};
pub use clock::{Clock, WallTime};
pub use condition::{Attachment, Condition, Events, Fill, Other, Program, Rate};
pub use in_force::{InForceBehaviour, InForceEscalation, InForceLimit, policy};
pub use reason::{ByBehaviour, ByReason};
pub use row::{Column, PACKETS, Row, check_column, sort};
pub use source::{Counts, Source};
pub use status::{ListsInForce, Status};

use self::source::{ToolNames, address};
use crate::{config::signatures::tool_name, geoip::Databases, kernel};

/// One section of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Section {
    /// Totals.
    Total,
    /// Requests by method.
    Method,
    /// Packets in which a tool was recognised, by tool.
    Tool,
    /// Packets by destination port.
    Port,
    /// Packets by source address.
    Source,
    /// Packets by the rule that met them.
    Reason,
    /// Packets that were a part of a behaviour, by behaviour.
    Behaviour,
}

/// Everything that the filter counted up to one moment.
///
/// Each section is read in one go, one after the other while packets arrive, so a section
/// agrees with itself always and with the others once traffic pauses. Methods come from the
/// same cells as totals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// When it was read.
    pub time: WallTime,
    /// Whose counters these are.
    pub instance: String,
    /// What the instance is attached to.
    pub interfaces: Vec<Interface>,
    /// Sums over everything.
    pub totals: Totals,
    /// Methods with packets, in the order of [`MessageClass`] unless sorted.
    #[serde(serialize_with = "by_method")]
    pub methods: Vec<Method>,
    /// Tools with packets, most packets first unless sorted.
    pub tools: Vec<Tool>,
    /// Destination ports with packets, most packets first unless sorted.
    pub ports: Vec<Port>,
    /// Rules that met packets, in the order in which they are asked unless sorted.
    pub reasons: Vec<ByReason>,
    /// Behaviours that were recognised, unless sorted in the order in which they name a packet.
    pub behaviours: Vec<ByBehaviour>,
    /// Sources, most packets first unless sorted.
    pub sources: Vec<Source>,
}

/// An interface that the filter is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index in its network namespace.
    pub ifindex: u32,
    /// How the program is attached: native, skb or hw.
    pub mode: String,
}

/// Sums over every inspected datagram, and what was met besides. In packets unless said
/// otherwise.
///
/// Each packet is one request, response, keepalive or malformed datagram, and is either
/// passed or dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Inspected datagrams.
    pub packets: u64,
    /// Their bytes, from the Ethernet header on.
    pub bytes: u64,
    /// Requests and responses.
    pub sip: u64,
    /// Requests of whatever method.
    pub requests: u64,
    /// Responses.
    pub responses: u64,
    /// Datagrams that keep a NAT binding or a flow open.
    pub keepalives: u64,
    /// Neither SIP nor keepalives.
    pub malformed: u64,
    /// In which a tool of a dropping kind was recognised.
    pub scanner: u64,
    /// Dropped.
    pub dropped: u64,
    /// Passed although a counting rule met them.
    pub would_drop: u64,
    /// Passed.
    pub passed: u64,
    /// Later fragments of UDP datagrams, which pass; not among the packets.
    pub fragments: u64,
    /// Frames that cannot be read below SIP, which pass; not among the packets.
    pub unreadable: u64,
    /// What the ports and sources lack because the kernel had no memory for another entry.
    pub unlisted: u64,
}

/// Requests of one method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Method {
    /// Its name; the key in JSON.
    #[serde(skip)]
    pub method: &'static str,
    /// Requests.
    pub packets: u64,
    /// Their bytes, from the Ethernet header on.
    pub bytes: u64,
    /// Of these, in which a tool of a dropping kind was recognised.
    pub scanner: u64,
    /// Of these, dropped.
    pub dropped: u64,
    /// Of these, passed although a counting rule met them.
    pub would_drop: u64,
}

/// What one tool sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tool {
    /// Its name.
    pub tool: String,
    /// The name of its kind.
    pub kind: &'static str,
    /// Packets in which it was recognised.
    pub packets: u64,
    /// Of these, dropped.
    pub dropped: u64,
    /// Of these, passed although a counting rule met them.
    pub would_drop: u64,
}

/// What arrived at one destination port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// The port.
    pub port: u16,
    /// Inspected datagrams.
    pub packets: u64,
    /// Of these, in which a tool of a dropping kind was recognised.
    pub scanner: u64,
    /// Of these, dropped.
    pub dropped: u64,
}

/// What was counted: the values of the program's maps, summed over CPUs, or the like of them.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Cells of every class and outcome.
    pub totals: abi::Totals,
    /// By tool number.
    pub tool_counts: ToolCounts,
    /// What the tool numbers mean.
    pub tools: Vec<ToolName>,
    /// By behaviour.
    pub behaviours: [ToolCount; Behaviour::COUNT],
    /// By destination port.
    pub ports: Vec<(u16, PortCount)>,
    /// By source.
    pub sources: Vec<(Address, SourceCount)>,
}

impl Counters {
    /// Reads the maps of a filter.
    ///
    /// # Errors
    ///
    /// When a map cannot be read.
    pub fn read(filter: &kernel::Filter) -> Result<Self> {
        Ok(Self {
            totals: filter.totals()?,
            tool_counts: filter.tool_counts()?,
            tools: filter.tools()?,
            behaviours: filter.behaviours()?,
            ports: filter.ports()?,
            sources: filter.sources()?,
        })
    }

    /// Forgets all sources but so many: those that a snapshot lists first.
    fn keep_top(&mut self, top: usize) {
        if self.sources.len() <= top {
            return;
        }
        if top > 0 {
            self.sources
                .select_nth_unstable_by_key(top - 1, |(source, count)| {
                    (Reverse(count.packets()), address(*source))
                });
        }
        self.sources.truncate(top);
    }

    /// Adds what was counted of other packets, with the same tool numbers.
    pub fn add(&mut self, other: Self) {
        let Self {
            totals,
            tool_counts,
            tools: _,
            behaviours,
            ports,
            sources,
        } = other;
        for (count, more) in self.behaviours.iter_mut().zip(&behaviours) {
            count.add(more);
        }
        self.totals.add(&totals);
        self.tool_counts.add(&tool_counts);
        for (port, count) in ports {
            match self.ports.iter_mut().find(|(known, _)| *known == port) {
                Some((_, known)) => known.add(&count),
                None => self.ports.push((port, count)),
            }
        }
        let places: HashMap<_, _> = (0..)
            .zip(&self.sources)
            .map(|(place, (source, _))| (*source, place))
            .collect();
        for (source, count) in sources {
            match places.get(&source) {
                Some(place) => self.sources[*place].1.add(&count),
                None => self.sources.push((source, count)),
            }
        }
    }
}

impl Snapshot {
    /// Reads the instance's maps.
    ///
    /// # Errors
    ///
    /// When a map cannot be read.
    pub fn read(instance: &kernel::Instance, filter: &kernel::Filter) -> Result<Self> {
        let interfaces = filter.interfaces()?;
        let counters = Counters::read(filter)?;
        // After the maps, so that nothing was seen later than now.
        let clock = Clock::now();
        Ok(Self::new(instance.name(), interfaces, &counters, clock))
    }

    /// The same with no more sources than so many, those with the most packets, and how many there are:
    /// the others are not put into words, which takes longer than to read them.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::read`].
    pub fn read_top(
        instance: &kernel::Instance,
        filter: &kernel::Filter,
        top: usize,
    ) -> Result<(Self, usize)> {
        let interfaces = filter.interfaces()?;
        let mut counters = Counters::read(filter)?;
        let clock = Clock::now();
        let all = counters.sources.len();
        counters.keep_top(top);
        let snapshot = Self::new(instance.name(), interfaces, &counters, clock);
        Ok((snapshot, all))
    }

    /// Has the sources say where they are, as far as the databases know.
    pub fn locate(&mut self, databases: &Databases) {
        if databases.is_empty() {
            return;
        }
        for source in &mut self.sources {
            source.location = databases.locate(source.source);
        }
    }

    /// What the values mean, at the moment that `clock` shows.
    pub fn new(
        instance: &str,
        interfaces: Vec<kernel::Interface>,
        counters: &Counters,
        clock: Clock,
    ) -> Self {
        let name = |name| Some((tool_name(name)?.into(), Kind::from_u8(name.kind)?));
        let names = counters.tools.iter().map(name).collect();
        let mut snapshot = Self {
            time: clock.wall(),
            instance: instance.to_owned(),
            interfaces: interfaces.into_iter().map(Interface::from).collect(),
            totals: Totals::new(&counters.totals),
            methods: methods(&counters.totals),
            tools: tools(&counters.tool_counts, &names),
            ports: ports(&counters.ports),
            reasons: reason::by_reason(&counters.totals),
            behaviours: reason::by_behaviour(&counters.behaviours),
            sources: Vec::new(),
        };
        sort(&mut snapshot.tools, PACKETS);
        sort(&mut snapshot.ports, PACKETS);
        // There may be many, and rows are long: sorted before they are made.
        let mut listed: Vec<_> = counters.sources.iter().collect();
        listed.sort_by_cached_key(|(source, count)| (Reverse(count.packets()), address(*source)));
        let sources = listed.into_iter();
        snapshot.sources = sources
            .map(|(source, count)| Source::new(*source, count, &names, clock))
            .collect();
        snapshot
    }
}

impl From<kernel::Interface> for Interface {
    fn from(interface: kernel::Interface) -> Self {
        Self {
            name: interface.name,
            ifindex: interface.ifindex,
            mode: interface.mode.to_string(),
        }
    }
}

/// Every cell of the totals with what it stands for.
fn cells(totals: &abi::Totals) -> impl Iterator<Item = (MessageClass, bool, Outcome, Count)> + '_ {
    MessageClass::ALL.into_iter().flat_map(move |class| {
        [false, true].into_iter().flat_map(move |hostile| {
            Outcome::ALL.into_iter().map(move |outcome| {
                let cell = abi::Totals::cell(class, hostile, outcome);
                (class, hostile, outcome, totals.cells[cell])
            })
        })
    })
}

impl Totals {
    /// Sums the cells.
    pub fn new(totals: &abi::Totals) -> Self {
        let mut sums = Self {
            fragments: totals.fragments,
            unreadable: totals.unreadable,
            unlisted: totals.unlisted,
            ..Self::default()
        };
        for (class, hostile, outcome, Count { packets, bytes }) in cells(totals) {
            sums.packets += packets;
            sums.bytes += bytes;
            match class {
                MessageClass::Response => sums.responses += packets,
                MessageClass::Keepalive => sums.keepalives += packets,
                MessageClass::Malformed => sums.malformed += packets,
                _ => sums.requests += packets,
            }
            if hostile {
                sums.scanner += packets;
            }
            if outcome.is_drop() {
                sums.dropped += packets;
            } else {
                sums.passed += packets;
            }
            if outcome.is_would_drop() {
                sums.would_drop += packets;
            }
        }
        sums.sip = sums.requests + sums.responses;
        sums
    }

    /// What was counted since `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(before.packets),
            bytes: self.bytes.saturating_sub(before.bytes),
            sip: self.sip.saturating_sub(before.sip),
            requests: self.requests.saturating_sub(before.requests),
            responses: self.responses.saturating_sub(before.responses),
            keepalives: self.keepalives.saturating_sub(before.keepalives),
            malformed: self.malformed.saturating_sub(before.malformed),
            scanner: self.scanner.saturating_sub(before.scanner),
            dropped: self.dropped.saturating_sub(before.dropped),
            would_drop: self.would_drop.saturating_sub(before.would_drop),
            passed: self.passed.saturating_sub(before.passed),
            fragments: self.fragments.saturating_sub(before.fragments),
            unreadable: self.unreadable.saturating_sub(before.unreadable),
            unlisted: self.unlisted.saturating_sub(before.unlisted),
        }
    }
}

/// Packets of every class, by its name.
pub fn by_class(totals: &abi::Totals) -> Vec<(&'static str, u64)> {
    let mut classes = MessageClass::ALL.map(|class| (class.name(), 0));
    for (class, _, _, count) in cells(totals) {
        classes[class as usize].1 += count.packets;
    }
    classes.into()
}

fn methods(totals: &abi::Totals) -> Vec<Method> {
    let mut methods: Vec<Method> = Vec::new();
    for (class, hostile, outcome, Count { packets, bytes }) in cells(totals) {
        let Some(name) = class.method() else { continue };
        // The cells of a class stand together.
        let same = methods.pop_if(|last| last.method == name);
        let mut method = same.unwrap_or(Method {
            method: name,
            ..Method::default()
        });
        method.packets += packets;
        method.bytes += bytes;
        method.scanner += if hostile { packets } else { 0 };
        method.dropped += if outcome.is_drop() { packets } else { 0 };
        method.would_drop += if outcome.is_would_drop() { packets } else { 0 };
        methods.push(method);
    }
    methods.retain(|method| method.packets > 0);
    methods
}

fn tools(counts: &ToolCounts, names: &ToolNames) -> Vec<Tool> {
    let seen = names.iter().zip(&counts.tools);
    seen.filter(|(_, count)| count.packets > 0)
        .filter_map(|(name, count)| {
            let (tool, kind) = name.as_ref()?;
            Some(Tool {
                tool: tool.to_string(),
                kind: kind.name(),
                packets: count.packets,
                dropped: count.dropped,
                would_drop: count.would_drop,
            })
        })
        .collect()
}

fn ports(counts: &[(u16, PortCount)]) -> Vec<Port> {
    counts
        .iter()
        .filter(|(_, count)| count.packets > 0)
        .map(|&(port, count)| Port {
            port,
            packets: count.packets,
            scanner: count.scanner,
            dropped: count.dropped,
        })
        .collect()
}

/// Methods as a map from their names.
pub(crate) fn by_method<S: Serializer>(
    methods: &[Method],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(methods.iter().map(|method| (method.method, method)))
}

#[cfg(test)]
pub(crate) mod tests;
