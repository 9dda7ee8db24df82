//! What each CPU counts: in total, by tool, by port.

use super::{Event, EventCounts, RECENT_PLACES, Recent, Reporting, map};
use crate::{
    lists::Ban, rules::Behaviour, sender::Sent, signature::MAX_SIGNATURES, sip::MessageClass,
    tool::MAX_TOOLS, verdict::Outcome,
};

/// Packets and bytes. Bytes are counted from the Ethernet header to the end of the IP packet,
/// without the padding of short frames and the frame check sequence.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Every packet that the program has seen and counted, once.
///
/// One cell for each class, whether a tool of a dropping kind was recognised, and each
/// outcome: every total of the contract is a sum of cells, so that they always agree.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Inspected datagrams, at [`Totals::cell`].
    pub cells: [Count; Totals::CELLS],
    /// Later fragments of UDP datagrams: they carry no port, and pass.
    pub fragments: u64,
    /// Frames that cannot be read below SIP (cut off, or with lengths that contradict each
    /// other): they pass.
    pub unreadable: u64,
    /// What the lists of ports and sources lack because the kernel had no memory for another
    /// entry: one for a packet's port, one for its source. The cells hold the packet all the same.
    pub unlisted: u64,
}

impl Totals {
    /// How many cells there are.
    pub const CELLS: usize = MessageClass::COUNT * 2 * Outcome::COUNT;

    /// Nothing counted.
    pub const ZERO: Self = Self {
        cells: [Count {
            packets: 0,
            bytes: 0,
        }; Self::CELLS],
        fragments: 0,
        unreadable: 0,
        unlisted: 0,
    };

    /// Adds what was counted of other packets.
    pub fn add(&mut self, other: &Self) {
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            cell.packets += more.packets;
            cell.bytes += more.bytes;
        }
        self.fragments += other.fragments;
        self.unreadable += other.unreadable;
        self.unlisted += other.unlisted;
    }

    /// The cell that counts such a packet. `hostile`: a tool of a dropping kind was
    /// recognised.
    #[inline(always)]
    pub const fn cell(class: MessageClass, hostile: bool, outcome: Outcome) -> usize {
        (class as usize * 2 + hostile as usize) * Outcome::COUNT + outcome as usize
    }
}

/// What one tool sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolCount {
    /// Packets in which the tool was recognised.
    pub packets: u64,
    /// Of these, dropped.
    pub dropped: u64,
    /// Of these, passed although a counting rule met them.
    pub would_drop: u64,
}

impl ToolCount {
    /// Adds what was counted of other packets.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.dropped += other.dropped;
        self.would_drop += other.would_drop;
    }
}

/// What each tool sent, by tool number.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolCounts {
    /// By tool number.
    pub tools: [ToolCount; MAX_TOOLS],
}

impl ToolCounts {
    /// Nothing counted.
    pub const ZERO: Self = Self {
        tools: [ToolCount {
            packets: 0,
            dropped: 0,
            would_drop: 0,
        }; MAX_TOOLS],
    };

    /// Adds what was counted of other packets.
    pub fn add(&mut self, other: &Self) {
        for (tool, more) in self.tools.iter_mut().zip(&other.tools) {
            tool.add(more);
        }
    }
}

/// What arrived at one destination port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCount {
    /// Inspected datagrams.
    pub packets: u64,
    /// Of these, from a recognised tool of a dropping kind.
    pub scanner: u64,
    /// Of these, dropped.
    pub dropped: u64,
}

impl PortCount {
    /// Adds what was counted of other packets.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.scanner += other.scanner;
        self.dropped += other.dropped;
    }
}

/// How many ports have a place in [`Counts`].
pub const PORT_PLACES: usize = 256;

/// What arrived at the port that was first to take a place.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortPlace {
    /// The port plus one; 0 where no port has taken the place.
    pub taken_by: u64,
    /// What arrived at it.
    pub count: PortCount,
}

impl PortPlace {
    /// The place for a port (host byte order).
    ///
    /// No two of the ports inspected by default share one, nor do any 256 neighbours.
    #[inline(always)]
    pub const fn of(port: u16) -> usize {
        port as usize % PORT_PLACES
    }
}

/// What one CPU has counted: all in one value, since each look-up costs.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Every packet.
    pub totals: Totals,
    /// By tool.
    pub tools: ToolCounts,
    /// Packets that each signature named, by its number. What they mean is in [`map::NUMBERS`].
    pub hits: [u64; MAX_SIGNATURES],
    /// By behaviour, packets that were a part of it.
    pub behaviours: [ToolCount; Behaviour::COUNT],
    /// How many times a source was blocked for what it sent.
    pub escalations: u64,
    /// The packet that is being judged.
    pub sent: Sent,
    /// How many events there were.
    pub events: EventCounts,
    /// How many there may be yet, and what of.
    pub reporting: Reporting,
    /// What is reported of the packet, and noted of its source: on the stack is no room for more.
    pub event: Event,
    /// As above.
    pub ban: Ban,
    /// By destination port, at [`PortPlace::of`]. A port whose place another one has taken is
    /// counted in [`map::PORTS`].
    pub ports: [PortPlace; PORT_PLACES],
    /// The kernel's jiffies when `now` was read.
    pub jiffies: u64,
    /// Nanoseconds of the kernel's clock since boot: read once a jiffy, since asking for it with every
    /// packet is a call.
    pub now: u64,
    /// What sources have sent lately, at [`Recent::place`]; and at [`Recent::PASSING`] a packet
    /// that has found no place, on its way to [`map::SOURCES`], which is nothing to readers.
    pub recent: [Recent; RECENT_PLACES + 1],
}

/// What was counted before the maps were made that count now, over all CPUs: see [`map::CARRIED`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Tells these counters from those of a filter attached anew: the kernel's number of the map that
    /// held the sources when they began. 0 where nothing was carried.
    pub counters: u64,
    /// The kernel's numbers of the maps that this goes with, in the order of [`map::COUNTERS`], without
    /// this one: who opens them one by one while they are replaced sees whether all are of one time. 0
    /// where nothing was carried.
    pub maps: [u64; map::COUNTERS.len() - 1],
    /// As in [`Counts`], as all that follows.
    pub totals: Totals,
    /// By tool.
    pub tools: ToolCounts,
    /// By signature.
    pub hits: [u64; MAX_SIGNATURES],
    /// By behaviour.
    pub behaviours: [ToolCount; Behaviour::COUNT],
    /// How many times a source was blocked.
    pub escalations: u64,
    /// How many events there were.
    pub events: EventCounts,
}

impl Carried {
    /// Nothing.
    pub const NOTHING: Self = Self {
        counters: 0,
        maps: [0; map::COUNTERS.len() - 1],
        totals: Totals::ZERO,
        tools: ToolCounts::ZERO,
        hits: [0; MAX_SIGNATURES],
        behaviours: [ToolCount {
            packets: 0,
            dropped: 0,
            would_drop: 0,
        }; Behaviour::COUNT],
        escalations: 0,
        events: EventCounts {
            reported: 0,
            suppressed: 0,
            lost: 0,
        },
    };

    /// Adds what one CPU has counted.
    pub fn add(&mut self, cpu: &Counts) {
        self.totals.add(&cpu.totals);
        self.tools.add(&cpu.tools);
        for (hits, more) in self.hits.iter_mut().zip(&cpu.hits) {
            *hits += more;
        }
        for (count, more) in self.behaviours.iter_mut().zip(&cpu.behaviours) {
            count.add(more);
        }
        self.escalations += cpu.escalations;
        self.events.reported += cpu.events.reported;
        self.events.suppressed += cpu.events.suppressed;
        self.events.lost += cpu.events.lost;
    }
}
