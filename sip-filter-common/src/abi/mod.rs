//! What crosses the boundary between the programs in the kernel and their loader: map names, keys,
//! values and the globals set at load time, each declared here once.
//!
//! All numbers are in the host's byte order unless said otherwise. Every type is
//! `repr(C)`, has no hidden padding and asserts its size; a change of any of them goes with
//! a new [`VERSION`].

mod counters;
mod event;
mod facts;
mod source;

use crate::{
    lists::{self, Ban},
    rules::{Behaviour, Rules},
    sender::Sent,
    signature::MAX_SIGNATURES,
};

/// The version of everything in this module. A loader of another version does not read
/// the maps.
pub const VERSION: u32 = 6;

/// The XDP program's name in the object; the names of others begin with it.
pub const PROGRAM: &str = "sip_filter";
/// The same for kernels that hand an XDP program frames in one piece alone (before 5.18).
pub const ONE_PIECE_PROGRAM: &str = "sip_filter_one";
/// The name of the program for tcx.
pub const TCX_PROGRAM: &str = "sip_filter_tcx";

/// Names of the maps, which are their pins' file names too.
pub mod map {
    /// Per-CPU array of one [`Counts`](super::Counts).
    pub const COUNTS: &str = "COUNTS";
    /// Per-CPU hash from a destination port (`u32`) to [`PortCount`](super::PortCount): the ports
    /// that have no place in [`Counts`](super::Counts).
    pub const PORTS: &str = "PORTS";
    /// LRU hash from [`Address`](super::Address) to [`SourceCount`](super::SourceCount).
    pub const SOURCES: &str = "SOURCES";
    /// Hash from [`Address`](super::Address) to [`SourceCount`](super::SourceCount): sources in
    /// which a tool of a dropping kind or a behaviour was recognised, since then. However many
    /// others come, none of these is forgotten; those for which there is no room are in
    /// [`SOURCES`]. What such a source sent before is there too.
    pub const RECOGNISED: &str = "RECOGNISED";
    /// Hash from [`Address`](super::Address) to [`Listed`](crate::lists::Listed): single addresses
    /// in the lists.
    pub const LISTED: &str = "LISTED";
    /// LPM trie from [`Prefix`](crate::lists::Prefix) to [`Listed`](crate::lists::Listed): prefixes
    /// in the allow list.
    pub const ALLOWED: &str = "ALLOWED";
    /// The same for the block list.
    pub const BLOCKED: &str = "BLOCKED";
    /// Array of one [`ListFilter`](crate::lists::ListFilter).
    pub const LIST_FILTER: &str = "LIST_FILTER";
    /// LRU hash from [`Address`](super::Address) to [`Sender`](crate::sender::Sender).
    pub const SENDERS: &str = "SENDERS";
    /// LRU hash from [`Address`](super::Address) to [`Ban`](crate::lists::Ban).
    pub const BANS: &str = "BANS";
    /// Array of one [`BanFilter`](crate::lists::BanFilter).
    pub const BAN_FILTER: &str = "BAN_FILTER";
    /// Array of one `u64`, the time in nanoseconds: see [`Rules::SET_CLOCK`](crate::rules::Rules).
    pub const CLOCK: &str = "CLOCK";
    /// Ring buffer of [`Event`](super::Event)s.
    pub const EVENTS: &str = "EVENTS";
    /// LRU hash from [`Address`](super::Address) to the last [`Event`](super::Event) of that source.
    pub const REPORTED: &str = "REPORTED";
    /// Array of one [`Carried`](super::Carried): what was counted before these maps were made. Written
    /// by the loader alone, as the two that follow, and read with whatever counts.
    pub const CARRIED: &str = "CARRIED";
    /// Hash from a destination port (`u32`) to [`PortCount`](super::PortCount): the same of ports.
    pub const CARRIED_PORTS: &str = "CARRIED_PORTS";
    /// Hash from [`Address`](super::Address) to [`SourceCount`](super::SourceCount): the same of
    /// sources.
    pub const CARRIED_SOURCES: &str = "CARRIED_SOURCES";
    /// Array of [`ToolName`](super::ToolName): what the tool numbers mean. Written by the
    /// loader alone.
    pub const TOOLS: &str = "TOOLS";
    /// Array of [`SignatureNumber`](super::SignatureNumber): whose hits the signature numbers
    /// count. Written by the loader alone.
    pub const NUMBERS: &str = "NUMBERS";
    /// Array of one [`Settings`](super::Settings): what is in force. Written by the loader
    /// alone, read by other processes; the program has its settings as globals.
    pub const SETTINGS: &str = "SETTINGS";

    /// Every map that outlives the loader.
    pub const PINNED: [&str; 19] = [
        COUNTS,
        PORTS,
        SOURCES,
        RECOGNISED,
        TOOLS,
        NUMBERS,
        SETTINGS,
        SENDERS,
        BANS,
        BAN_FILTER,
        EVENTS,
        REPORTED,
        LISTED,
        ALLOWED,
        BLOCKED,
        LIST_FILTER,
        CARRIED,
        CARRIED_PORTS,
        CARRIED_SOURCES,
    ];

    /// Those of them that count, and what was counted before: made anew together where there is to be
    /// room for more sources or fewer.
    pub const COUNTERS: [&str; 7] = [
        CARRIED,
        CARRIED_PORTS,
        CARRIED_SOURCES,
        COUNTS,
        PORTS,
        SOURCES,
        RECOGNISED,
    ];

    /// Those of them that hold the lists: made anew where the configuration changes the lists, so
    /// that the program and its lists are replaced at once.
    pub const LISTS: [&str; 4] = [LISTED, ALLOWED, BLOCKED, LIST_FILTER];
}

/// Names of the program's globals, set before it is loaded. The verifier sees them as
/// constants: what they turn off is not there at run time.
pub mod global {
    /// `u32`: the bits of a [`DropSet`](crate::verdict::DropSet).
    pub const DROP_SET: &str = "DROP_SET";
    /// `u32`: not 0 to inspect datagrams to any port that start like SIP.
    pub const ANY_PORT: &str = "ANY_PORT";
    /// `u32`: not 0 where an XDP program may be handed frames in several pieces (5.18).
    pub const SEVERAL_PIECES: &str = "SEVERAL_PIECES";
    /// [`PortSet`](super::PortSet): the inspected ports.
    pub const PORT_SET: &str = "PORT_SET";
    /// [`SignatureTable`](crate::signature::SignatureTable).
    pub const SIGNATURES: &str = "SIGNATURES";
    /// `u32`: [`Rules::uses`](crate::rules::Rules).
    pub const USES: &str = "USES";
    /// [`Rules`](crate::rules::Rules).
    pub const RULES: &str = "RULES";
    /// `u8`: aya-log's level; 0 logs nothing.
    pub const LOG_LEVEL: &str = "AYA_LOG_LEVEL";
}

pub use self::{counters::*, event::*, facts::*, source::*};
pub use crate::{address::Address, tool::MAX_TOOLS};

/// How many sources are remembered unless the operator says otherwise.
pub const DEFAULT_SOURCES: u32 = 65_536;

/// How many sources may be blocked at once for what they sent unless the operator says otherwise.
pub const DEFAULT_BANS: u32 = 16_384;

/// How many bytes of events wait to be read.
pub const EVENT_BYTES: u32 = 2 << 20;

/// How many sources have their last [`Event`] in [`map::REPORTED`].
pub const REPORTED_SOURCES: u32 = 4096;

pub use lists::DEFAULT_ENTRIES;

/// How many ports can have their own count: all of them.
pub const MAX_PORTS: u32 = 65_536;

/// The inspected ports: bit `port % 64` of word `port / 64`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSet {
    /// The bits.
    pub words: [u64; 1024],
}

impl PortSet {
    /// No port.
    pub const EMPTY: Self = Self { words: [0; 1024] };

    /// Adds a port (host byte order).
    pub fn insert(&mut self, port: u16) {
        self.words[usize::from(port >> 6)] |= 1 << (port & 63);
    }

    /// Whether the port (host byte order) is in the set.
    #[inline(always)]
    pub fn contains(&self, port: u16) -> bool {
        self.words[(port >> 6) as usize] >> (port & 63) & 1 != 0
    }

    /// How many ports are in the set.
    pub fn len(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Whether no port is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The ports in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..=u16::MAX).filter(|port| self.contains(*port))
    }
}

/// What is in force, for other processes to read.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// [`VERSION`] of the loader that attached.
    pub version: u32,
    /// Bits of a [`DropSet`](crate::verdict::DropSet).
    pub drop_set: u32,
    /// Not 0 when datagrams to any port that start like SIP are inspected.
    pub any_port: u32,
    /// How many sources are remembered.
    pub sources: u32,
    /// How many addresses and how many prefixes of each list there is room for.
    pub entries: u32,
    /// How many sources may be blocked at once for what they sent.
    pub bans: u32,
    /// When the filter was first attached: nanoseconds of the wall clock since 1970.
    pub attached_at: u64,
    /// Tells the lists of one configuration from those of another.
    pub lists: u64,
    /// Limits, behaviours, escalation.
    pub rules: Rules,
    /// The inspected ports.
    pub ports: PortSet,
}

/// A tool's name and kind.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolName {
    /// UTF-8, the rest zero; all zero where no tool has this number.
    pub name: [u8; 31],
    /// [`Kind`](crate::tool::Kind).
    pub kind: u8,
}

/// Which signature has a number, and how its hits are counted.
///
/// A signature keeps its number while the filter is attached. Where it must leave it to another
/// one, that one's hits begin at nothing again.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignatureNumber {
    /// What tells the signature from others: a hash of its tool and of what it looks for; 0 where
    /// none has had the number.
    pub fingerprint: u64,
    /// What was in [`Counts::hits`], over all CPUs, when it was given the number.
    pub before: u64,
    /// Not 0 while it is in force.
    pub in_force: u64,
}

// Sizes as the kernel sees them; a change breaks every pinned map.
const _: () = {
    assert!(size_of::<PortSet>() == 8192);
    assert!(size_of::<Event>() == 80 + Event::TEXT);
    assert!(size_of::<Settings>() == 40 + size_of::<Rules>() + 8192);
    assert!(size_of::<Totals>() == 16 * 504 + 24);
    assert!(size_of::<ToolCounts>() == 24 * MAX_TOOLS);
    assert!(size_of::<PortCount>() == 24);
    assert!(size_of::<PortPlace>() == 32);
    assert!(
        size_of::<Counts>()
            == size_of::<Totals>()
                + size_of::<ToolCounts>()
                + 8 * MAX_SIGNATURES
                + 24 * Behaviour::COUNT
                + 8
                + size_of::<Sent>()
                + size_of::<EventCounts>()
                + size_of::<Reporting>()
                + size_of::<Event>()
                + size_of::<Ban>()
                + 32 * PORT_PLACES
                + 16
                + 64 * (RECENT_PLACES + 1)
    );
    assert!(
        size_of::<Carried>()
            == 56
                + size_of::<Totals>()
                + size_of::<ToolCounts>()
                + 8 * MAX_SIGNATURES
                + 24 * Behaviour::COUNT
                + 8
                + size_of::<EventCounts>()
    );
    assert!(size_of::<Recent>() == 64);
    // What the kernel allows a per-CPU value.
    assert!(size_of::<Counts>() <= 32 << 10);
    assert!(size_of::<Address>() == 16);
    assert!(size_of::<SourceCount>() == 88 + 144 + 24 + SOURCE_PORTS + MAX_TOOLS + 8);
    assert!(size_of::<ToolName>() == 32);
    assert!(size_of::<SignatureNumber>() == 24);
};

#[cfg(feature = "user")]
mod pod {
    use super::{
        Address, Carried, Counts, Event, PortCount, PortSet, Settings, SignatureNumber,
        SourceCount, ToolName,
    };

    // SAFETY: `repr(C)`, made of integers alone, without padding: see the sizes above.
    unsafe impl aya::Pod for Counts {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Carried {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Event {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PortCount {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Address {}
    // SAFETY: as above.
    unsafe impl aya::Pod for SourceCount {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ToolName {}
    // SAFETY: as above.
    unsafe impl aya::Pod for SignatureNumber {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Settings {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PortSet {}
}
