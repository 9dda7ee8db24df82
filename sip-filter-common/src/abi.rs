//! What crosses the boundary between the programs in the kernel and their loader: map names, keys,
//! values and the globals set at load time, each declared here once.
//!
//! All numbers are in the host's byte order unless said otherwise. Every type is
//! `repr(C)`, has no hidden padding and asserts its size; a change of any of them goes with
//! a new [`VERSION`].

use crate::{
    lists::{self, Ban},
    rules::{Behaviour, Rules},
    sender::Sent,
    signature::MAX_SIGNATURES,
    sip::MessageClass,
    verdict::{Outcome, Reason},
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

pub use crate::tool::MAX_TOOLS;

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

/// An address as an IPv6 address in network byte order; an IPv4 address is mapped
/// (RFC 4291 section 2.5.5.2).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// The address's bytes, eight to a word, each word in memory order.
    pub words: [u64; 2],
}

impl Address {
    /// From an IPv4 address whose four bytes, in network order, are `address` in memory order.
    #[inline(always)]
    pub const fn from_ipv4(address: u32) -> Self {
        let mapped = 0xffff_u32.to_be() as u64;
        let low = if cfg!(target_endian = "little") {
            mapped | (address as u64) << 32
        } else {
            mapped << 32 | address as u64
        };
        Self { words: [0, low] }
    }

    /// From sixteen bytes in network order.
    pub fn from_octets(octets: [u8; 16]) -> Self {
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&octets[at..at + 8]);
            u64::from_ne_bytes(bytes)
        };
        Self {
            words: [word(0), word(8)],
        }
    }

    /// Whether it is an IPv4 address, mapped.
    #[inline(always)]
    pub const fn is_ipv4(&self) -> bool {
        let [high, low] = self.words;
        high == 0 && low as u32 == Self::from_ipv4(0).words[1] as u32
    }

    /// The address's sixteen bytes in network order.
    pub fn octets(self) -> [u8; 16] {
        let mut octets = [0; 16];
        for (half, word) in octets.chunks_exact_mut(8).zip(self.words) {
            half.copy_from_slice(&word.to_ne_bytes());
        }
        octets
    }
}

/// How many sources may have a place for what they have sent lately, on each CPU.
pub const RECENT_PLACES: usize = 64;

/// Packets of one source that are alike and came within one jiffy to one CPU, and are not in
/// [`map::SOURCES`] yet: a flood costs that map an addition each jiffy and not each packet.
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
    /// Their bytes, counted as in [`Count`].
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

/// What was found of a packet, apart from its length and its time, in one word.
///
/// From the lowest byte on: the [`MessageClass`], the outcome and whether it is hostile, the
/// tool's number, three bits of the verdict, the behaviour, and the destination port.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts(pub u64);

impl Facts {
    const HOSTILE: u32 = 24;
    const DROPPED: u32 = 25;
    const WOULD_DROP: u32 = 26;
    const BEHAVIOUR: u32 = 27;
    const PORT: u32 = 32;
    const NO_TOOL: u64 = 0xff;

    /// How many bits there are without the port: what is above them is free until then.
    pub const BITS: u32 = Self::PORT;

    /// Of a datagram to whatever port.
    #[inline(always)]
    pub const fn new(
        class: MessageClass,
        tool: Option<u8>,
        hostile: bool,
        outcome: Outcome,
    ) -> Self {
        const _: () = assert!(MAX_TOOLS <= Facts::NO_TOOL as usize);
        let tool = match tool {
            Some(tool) => tool as u64,
            None => Self::NO_TOOL,
        };
        Self(
            class as u64
                | (Self::place(hostile, outcome) as u64) << 8
                | tool << 16
                | (hostile as u64) << Self::HOSTILE
                | (outcome.is_drop() as u64) << Self::DROPPED
                | (outcome.is_would_drop() as u64) << Self::WOULD_DROP,
        )
    }

    /// The same of a datagram to a port (host byte order).
    #[inline(always)]
    pub const fn at(self, port: u16) -> Self {
        Self(self.0 | (port as u64) << Self::PORT)
    }

    /// The [`MessageClass`]. The verifier knows no more of any of these than how many bits they have.
    #[inline(always)]
    pub const fn class(self) -> usize {
        (self.0 & 0xff) as usize
    }

    /// Where such a packet stands among all outcomes of its class.
    const fn place(hostile: bool, outcome: Outcome) -> usize {
        hostile as usize * Outcome::COUNT + outcome as usize
    }

    /// The number of its outcome, and [`Outcome::COUNT`] more for a recognised tool of a dropping
    /// kind.
    #[inline(always)]
    pub const fn outcome(self) -> usize {
        (self.0 >> 8 & 0xff) as usize
    }

    /// The place in [`Totals::cells`].
    #[inline(always)]
    pub const fn cell(self) -> usize {
        self.class() * (2 * Outcome::COUNT) + self.outcome()
    }

    /// The tool's number, or [`MAX_TOOLS`] and more where none was recognised.
    #[inline(always)]
    pub const fn tool(self) -> usize {
        (self.0 >> 16 & 0xff) as usize
    }

    /// 1 for a recognised tool of a dropping kind.
    #[inline(always)]
    pub const fn hostile(self) -> u64 {
        self.0 >> Self::HOSTILE & 1
    }

    /// 1 when the packet is dropped.
    #[inline(always)]
    pub const fn dropped(self) -> u64 {
        self.0 >> Self::DROPPED & 1
    }

    /// 1 when it passes although a counting rule met it.
    #[inline(always)]
    pub const fn would_drop(self) -> u64 {
        self.0 >> Self::WOULD_DROP & 1
    }

    /// The same of a packet that is a part of the behaviour with this number plus one; of none where
    /// that is 0.
    #[inline(always)]
    #[must_use]
    pub const fn with_behaviour(self, behaviour: u64) -> Self {
        Self(self.0 | (behaviour & 7) << Self::BEHAVIOUR)
    }

    /// Whether a tool was recognised, or the packet is a part of a behaviour.
    #[inline(always)]
    pub const fn is_telling(self) -> bool {
        self.tool() < MAX_TOOLS || self.behaviour() != 0
    }

    /// The number plus one of the behaviour of which the packet is a part; 0 for none.
    #[inline(always)]
    pub const fn behaviour(self) -> usize {
        (self.0 >> Self::BEHAVIOUR & 7) as usize
    }

    /// The place in [`SourceCount::reasons`] of the rule that met it; `None` where none did.
    #[inline(always)]
    pub fn reason(self) -> Option<usize> {
        // Where there is no such outcome there is no such rule.
        let reason = REASONS[self.outcome() % REASONS.len()];
        (reason as usize).checked_sub(1)
    }

    /// The destination port.
    #[inline(always)]
    pub const fn port(self) -> u16 {
        (self.0 >> Self::PORT) as u16
    }
}

/// By [`Facts::outcome`], the number of its [`Reason`].
static REASONS: [u8; 32] = {
    let mut reasons = [Reason::Passed as u8; 32];
    let mut at = 0;
    while at < 2 * Outcome::COUNT {
        reasons[at] = Outcome::ALL[at % Outcome::COUNT].reason() as u8;
        at += 1;
    }
    reasons
};

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
    /// Bytes, counted as in [`Count`].
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

/// What the program reports of a packet as it happens.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// [`Self::TOOL`] and others; 0 where there is nothing to report.
    pub what: u64,
    /// When it arrived: nanoseconds of the kernel's monotonic clock.
    pub at: u64,
    /// Who sent it.
    pub source: Address,
    /// To whom.
    pub destination: Address,
    /// What was found of it, and its destination port.
    pub facts: Facts,
    /// Of a source that was blocked, what for: see [`Ban::cause`](lists::Ban::cause).
    pub cause: u64,
    /// Of a source that was blocked, until when.
    pub until: u64,
    /// How many bytes of `text` are the packet's.
    pub length: u64,
    /// The first bytes of what the packet carries.
    pub text: [u64; Self::TEXT / 8],
}

impl Event {
    /// The source was seen with a tool that it had not been seen with.
    pub const TOOL: u64 = 1;
    /// The source was seen in a behaviour for the first time.
    pub const BEHAVIOUR: u64 = 2;
    /// The source was blocked for what it sent.
    pub const BLOCKED: u64 = 4;
    /// The source is not blocked any more: this is its first packet since.
    pub const UNBLOCKED: u64 = 8;

    /// How many bytes of a packet are reported at most.
    pub const TEXT: usize = 1024;

    /// How many events a CPU reports in one [`Self::SPAN`].
    pub const MOST: u64 = 32;
    /// The same where a source is blocked, of which each is to be logged.
    pub const MOST_BLOCKED: u64 = 1024;
    /// Nanoseconds, as a power of two: 1.07 s.
    pub const SPAN: u32 = 30;

    /// Nothing.
    pub const NOTHING: Self = Self {
        what: 0,
        at: 0,
        source: Address { words: [0; 2] },
        destination: Address { words: [0; 2] },
        facts: Facts(0),
        cause: 0,
        until: 0,
        length: 0,
        text: [0; Self::TEXT / 8],
    };
}

/// How many events there were, and what became of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Handed to whoever reads [`map::EVENTS`].
    pub reported: u64,
    /// Not reported, for there were [`Event::MOST`] in that time, or [`Event::MOST_BLOCKED`].
    pub suppressed: u64,
    /// For which the ring had no room, since nobody reads it or not fast enough. The last one of each
    /// source is in [`map::REPORTED`] all the same.
    pub lost: u64,
}

/// What a CPU needs to report the packet that it is at: the program's alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reporting {
    /// Which time it is, in [`Event::SPAN`]s.
    pub span: u64,
    /// How many events there were in it.
    pub events: u64,
    /// Where the payload begins in the frame, and its length in bytes.
    pub offset: u64,
    /// As above.
    pub length: u64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_count_in_the_cell_of_their_class_and_verdict() {
        for class in MessageClass::ALL {
            for hostile in [false, true] {
                for outcome in Outcome::ALL {
                    let facts = Facts::new(class, Some(7), hostile, outcome).at(65_535);
                    assert_eq!(facts.cell(), Totals::cell(class, hostile, outcome));
                    assert_eq!(facts.class(), class as usize);
                    assert_eq!(
                        facts.reason().map_or(0, |at| at + 1),
                        outcome.reason() as usize
                    );
                    assert_eq!((facts.tool(), facts.port()), (7, 65_535));
                    assert_eq!(facts.hostile(), u64::from(hostile));
                    assert_eq!(facts.dropped(), u64::from(outcome.is_drop()));
                    assert_eq!(facts.would_drop(), u64::from(outcome.is_would_drop()));
                }
            }
        }
    }

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
