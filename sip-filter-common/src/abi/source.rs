//! What one source sent: in the map that all CPUs share, and lately on one CPU.

use super::{Address, Facts};
use crate::{
    rules::Behaviour,
    sip::MessageClass,
    tool::MAX_TOOLS,
    verdict::{Outcome, Reason},
};

/// How many sources may have a place for what they have sent lately, on each CPU.
pub const RECENT_PLACES: usize = 64;

/// Packets of one source that are alike and came within one jiffy to one CPU, and are not in
/// [`SOURCES`](super::map::SOURCES) yet: a flood costs that map an addition each jiffy and not each packet.
///
/// The first packet of another jiffy that has the same place moves them to the map and takes the
/// place. One that does not find its like there, and has the place's jiffy, is added to the map at
/// once. So each packet is in the map or in one place, and a place is moved once a jiffy at most.
///
/// Whoever reads a source adds what is in the places, which are read after the map: then nothing
/// is in both. What was moved while the map was read may be in neither; `begun` tells, and
/// then the source is read again.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// What `begun` was when the place was taken last: another number while it is being moved. The
    /// first word of a place, and `begun` the last, for the kernel copies them in this order:
    /// where the two are the same, all between belongs together.
    pub ended: u64,
    /// Who sent them.
    pub source: Address,
    /// What they are.
    pub facts: Facts,
    /// When they arrived: nanoseconds of the kernel's monotonic clock. 0 where there are none.
    pub at: u64,
    /// How many there are.
    pub packets: u64,
    /// Their bytes, counted as in [`Count`](super::Count).
    pub bytes: u64,
    /// How often the place was taken.
    pub begun: u64,
}

impl Recent {
    /// Nothing counted.
    pub const ZERO: Self = Self {
        ended: 0,
        source: Address { words: [0; 2] },
        facts: Facts(0),
        at: 0,
        packets: 0,
        bytes: 0,
        begun: 0,
    };

    /// The place of packets that have none.
    pub const PASSING: usize = RECENT_PLACES;

    /// The place for such packets of a source.
    #[inline(always)]
    pub const fn place(source: &Address, facts: Facts) -> usize {
        // 2^64 divided by the golden ratio: every bit moves the highest ones (Knuth, 6.4).
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        const _: () = assert!(RECENT_PLACES.is_power_of_two());
        // The first eight bytes are left out, or the verifier would walk IPv4, of which it knows
        // them, apart from IPv6.
        let [_, low] = source.words;
        let spread = (low ^ facts.0).wrapping_mul(SPREAD);
        (spread >> (u64::BITS - RECENT_PLACES.ilog2())) as usize
    }

    /// Whether it was not being moved when it was read.
    pub const fn is_whole(&self) -> bool {
        self.begun == self.ended
    }
}

/// In how many places the ports that a source has tried are noted.
pub const SOURCE_PORTS: usize = 64;

/// What one source sent.
///
/// Counters are added to atomically, since a source's packets may arrive on several CPUs. What it
/// has sent lately may still be in a [`Recent`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceCount {
    /// Packets by the rule that met them, at [`Reason`]'s number less one: those that no rule met are
    /// what is left of `classes`. Most packets are such, and they are spared an atomic addition.
    pub reasons: [u64; Reason::COUNT - 1],
    /// Packets in which a tool of a dropping kind was recognised.
    pub scanner: u64,
    /// Packets that were dropped.
    pub dropped: u64,
    /// Packets that passed although a counting rule met them.
    pub would_drop: u64,
    /// Packets by class.
    pub classes: [u64; MessageClass::COUNT],
    /// Bytes, counted as in [`Count`](super::Count).
    pub bytes: u64,
    /// When the first packet arrived: nanoseconds of the kernel's monotonic clock.
    pub first_seen: u64,
    /// When the last packet arrived: nanoseconds of the kernel's monotonic clock.
    pub last_seen: u64,
    /// Not 0 at [`SourceCount::port`] of each destination port tried. A byte each, so that CPUs
    /// that meet different ports at the same moment do not undo each other's notes.
    pub ports: [u8; SOURCE_PORTS],
    /// Not 0 for each tool number that was recognised. A byte each, as for the ports.
    pub tools: [u8; MAX_TOOLS],
    /// Not 0 for each behaviour that was recognised, at its number plus one. A byte each, as for the
    /// ports.
    pub behaviours: [u8; 8],
}

impl SourceCount {
    /// Nothing counted.
    pub const ZERO: Self = Self {
        reasons: [0; Reason::COUNT - 1],
        scanner: 0,
        dropped: 0,
        would_drop: 0,
        classes: [0; MessageClass::COUNT],
        bytes: 0,
        first_seen: 0,
        last_seen: 0,
        ports: [0; SOURCE_PORTS],
        tools: [0; MAX_TOOLS],
        behaviours: [0; 8],
    };

    /// Adds what was counted of other packets of the same source.
    pub fn add(&mut self, other: &Self) {
        for (packets, more) in self.reasons.iter_mut().zip(&other.reasons) {
            *packets += more;
        }
        self.scanner += other.scanner;
        self.dropped += other.dropped;
        self.would_drop += other.would_drop;
        for (packets, more) in self.classes.iter_mut().zip(&other.classes) {
            *packets += more;
        }
        self.bytes += other.bytes;
        // 0 in an entry that is being made.
        if self.first_seen == 0 || (1..self.first_seen).contains(&other.first_seen) {
            self.first_seen = other.first_seen;
        }
        self.last_seen = self.last_seen.max(other.last_seen);
        for (tried, also) in self.ports.iter_mut().zip(&other.ports) {
            *tried |= also;
        }
        for (recognised, also) in self.tools.iter_mut().zip(&other.tools) {
            *recognised |= also;
        }
        for (recognised, also) in self.behaviours.iter_mut().zip(&other.behaviours) {
            *recognised |= also;
        }
    }

    /// Adds what the source has sent lately.
    pub fn add_recent(&mut self, recent: &Recent) {
        let facts = recent.facts;
        if let Some(packets) = self.classes.get_mut(facts.class()) {
            *packets += recent.packets;
        }
        if let Some(reason) = facts.reason() {
            self.reasons[reason] += recent.packets;
        }
        self.scanner += facts.hostile() * recent.packets;
        self.dropped += facts.dropped() * recent.packets;
        self.would_drop += facts.would_drop() * recent.packets;
        self.bytes += recent.bytes;
        if self.first_seen == 0 || recent.at < self.first_seen {
            self.first_seen = recent.at;
        }
        self.last_seen = self.last_seen.max(recent.at);
        self.ports[Self::port(facts.port())] = 1;
        if let Some(recognised) = self.tools.get_mut(facts.tool()) {
            *recognised = 1;
        }
        if facts.behaviour() != 0 {
            self.behaviours[facts.behaviour()] = 1;
        }
    }

    /// Which behaviours were recognised.
    pub fn behaviours(&self) -> impl Iterator<Item = Behaviour> + '_ {
        let noted = |behaviour: &Behaviour| self.behaviours[*behaviour as usize + 1] != 0;
        Behaviour::ALL.into_iter().filter(noted)
    }

    /// The place in `ports` of a port (host byte order).
    ///
    /// No two of the ports inspected by default share one, nor do any 64 neighbours between two
    /// multiples of 1024. Elsewhere some may, and their number then comes out too low.
    #[inline(always)]
    pub const fn port(port: u16) -> usize {
        (port as usize + (port as usize >> 10)) % SOURCE_PORTS
    }

    /// Counts packets of which the same was found and decided.
    pub fn count(&mut self, class: MessageClass, hostile: bool, outcome: Outcome, packets: u64) {
        self.classes[class as usize] += packets;
        if let Some(reason) = (outcome.reason() as usize).checked_sub(1) {
            self.reasons[reason] += packets;
        }
        self.scanner += u64::from(hostile) * packets;
        self.dropped += u64::from(outcome.is_drop()) * packets;
        self.would_drop += u64::from(outcome.is_would_drop()) * packets;
    }

    /// How many packets a rule met.
    pub fn met_by(&self, reason: Reason) -> u64 {
        match (reason as usize).checked_sub(1) {
            Some(reason) => self.reasons[reason],
            None => {
                let others: u64 = self.reasons.iter().sum();
                self.packets().saturating_sub(others)
            }
        }
    }

    /// Whether a tool of a dropping kind or a behaviour was ever recognised.
    pub fn is_recognised(&self) -> bool {
        self.scanner > 0 || self.behaviours().next().is_some()
    }

    /// All packets.
    pub fn packets(&self) -> u64 {
        self.classes.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_inspected_by_default_are_noted_apart() {
        let mut noted = [false; SOURCE_PORTS];
        for port in (5060..=5100).chain([6060]) {
            let place = &mut noted[SourceCount::port(port)];
            assert!(!*place, "port {port} shares its place");
            *place = true;
        }
    }
}
