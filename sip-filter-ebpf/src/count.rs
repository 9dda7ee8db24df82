//! Counting: totals, tools, ports and sources, each packet exactly once.
//!
//! Totals, tools and ports are per CPU and need no atomic operation: an XDP program is not
//! interrupted by another one on its CPU. Sources are shared by all CPUs and added to
//! atomically: packets that are alike together, once a jiffy, from a place that each CPU has
//! for itself.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, xdp_action},
    helpers::{bpf_jiffies64, bpf_ktime_get_boot_ns},
};
use sip_filter_common::{
    abi::{Counts, Facts, PortCount, PortPlace},
    classify::Classification,
    payload::Payload,
    rules::{Behaviour, Rules},
    sender::Sent,
    signature::MAX_SIGNATURES,
    verdict::Outcome,
};

use crate::{
    maps::{CLOCK, COUNTS, PORTS},
    payload::PacketPayload,
    policy, source,
};

/// What a new port begins with.
static NEW_PORT: PortCount = PortCount {
    packets: 0,
    scanner: 0,
    dropped: 0,
};

/// Counts a later fragment, which passes.
#[inline(always)]
pub fn fragment() -> u32 {
    if let Some(counts) = counts() {
        counts.totals.fragments += 1;
    }
    xdp_action::XDP_PASS
}

/// Counts a frame that cannot be read below SIP, which passes.
#[inline(always)]
pub fn unreadable() -> u32 {
    if let Some(counts) = counts() {
        counts.totals.unreadable += 1;
    }
    xdp_action::XDP_PASS
}

/// What is counted of a datagram, as one number of which the verifier knows nothing: else it would
/// walk all that follows once for each class, outcome, tool and signature.
///
/// The [`Facts`], and above their bits the signature's number.
pub struct Tally(u64);

impl Tally {
    /// Of a datagram in which this was found, and which has met what is noted of it.
    #[inline(always)]
    pub fn new(payload: &PacketPayload, found: &Classification, sent: &Sent) -> Self {
        let outcome = policy::decide(found, sent.met());
        let hostile = matches!(found.tool(), Some(tool) if tool.is_hostile());
        let tool = found.tool().map(|tool| tool.tool());
        let Facts(facts) = Facts::new(found.class, tool, hostile, outcome);
        let number = facts | (found.hit.signature() as u64) << Facts::BITS;
        Self(payload.forget(number as usize) as u64)
    }

    #[inline(always)]
    fn facts(&self) -> Facts {
        Facts(self.0 & ((1 << Facts::BITS) - 1))
    }

    /// The facts of a datagram to this port (host byte order).
    #[inline(always)]
    pub fn facts_at(&self, port: u16) -> Facts {
        self.facts().at(port)
    }

    /// The signature's number, where a tool was recognised.
    #[inline(always)]
    fn signature(&self) -> usize {
        (self.0 >> Facts::BITS) as usize % MAX_SIGNATURES
    }

    /// The message class.
    #[inline(always)]
    pub fn class(&self) -> u8 {
        self.facts().class() as u8
    }

    /// The outcome.
    #[inline(always)]
    pub fn outcome(&self) -> u8 {
        (self.facts().outcome() % Outcome::COUNT) as u8
    }

    /// The tool's number, or more than any.
    #[inline(always)]
    pub fn tool(&self) -> u8 {
        self.facts().tool() as u8
    }

    /// What the driver is to do with the packet.
    #[inline(always)]
    pub fn action(&self) -> u32 {
        const _: () = assert!(xdp_action::XDP_DROP + 1 == xdp_action::XDP_PASS);
        xdp_action::XDP_PASS - self.facts().dropped() as u32
    }
}

/// Counts an inspected datagram.
#[inline(always)]
pub fn datagram(counts: &mut Counts, tally: &Tally) {
    let mut facts = tally.facts();
    if let Some(cell) = counts.totals.cells.get_mut(facts.cell()) {
        cell.packets += 1;
        cell.bytes += counts.sent.length;
    }
    if let Some(count) = counts.tools.tools.get_mut(facts.tool()) {
        count.packets += 1;
        count.dropped += facts.dropped();
        count.would_drop += facts.would_drop();
        counts.hits[tally.signature()] += 1;
    }
    if policy::uses() & Rules::BEHAVIOURS != 0 {
        facts = facts.with_behaviour(counts.sent.behaviour);
        if let Some(number) = facts.behaviour().checked_sub(1) {
            let count = &mut counts.behaviours[number % Behaviour::COUNT];
            count.packets += 1;
            count.dropped += facts.dropped();
            count.would_drop += facts.would_drop();
        }
    }
    let port = counts.sent.port as u16;
    count_port(counts, port, facts);
    source::count(counts, facts.at(port));
}

/// What this CPU counts.
#[inline(always)]
pub fn counts() -> Option<&'static mut Counts> {
    let counts = COUNTS.get_ptr_mut(0)?;
    // SAFETY: a per-CPU value, which only the program on this CPU uses.
    Some(unsafe { &mut *counts })
}

#[inline(always)]
fn count_port(counts: &mut Counts, port: u16, facts: Facts) {
    let place = &mut counts.ports[PortPlace::of(port)];
    let mark = u64::from(port) + 1;
    let count = if place.taken_by == mark {
        &mut place.count
    } else if place.taken_by == 0 {
        place.taken_by = mark;
        &mut place.count
    } else {
        match placeless_port(u32::from(port)) {
            Some(count) => count,
            None => {
                counts.totals.unlisted += 1;
                return;
            }
        }
    };
    count.packets += 1;
    count.scanner += facts.hostile();
    count.dropped += facts.dropped();
}

/// The count of a port whose place another port has taken.
#[inline(always)]
fn placeless_port(port: u32) -> Option<&'static mut PortCount> {
    let count = match PORTS.get_ptr_mut(port) {
        Some(count) => count,
        None => {
            // Another CPU may be first; then its entry is the one to count in.
            let _ = PORTS.insert(port, NEW_PORT, BPF_NOEXIST as u64);
            PORTS.get_ptr_mut(port)?
        }
    };
    // SAFETY: a per-CPU value, which only the program on this CPU uses.
    Some(unsafe { &mut *count })
}

/// Nanoseconds of the clock that goes on while the machine sleeps, to a jiffy.
///
/// The kernel replaces the question for its jiffies by a load.
#[inline(always)]
pub fn now(counts: &mut Counts) -> u64 {
    if policy::uses() & Rules::SET_CLOCK != 0 {
        return CLOCK.get(0).copied().unwrap_or(0);
    }
    // SAFETY: a helper without arguments.
    let jiffies = unsafe { bpf_jiffies64() };
    if counts.jiffies != jiffies {
        counts.jiffies = jiffies;
        counts.now = clock();
    }
    counts.now
}

/// Nanoseconds since the machine was started, those in which it slept too: what is blocked for an hour
/// is blocked for an hour of the wall clock.
#[inline(always)]
pub fn clock() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}
