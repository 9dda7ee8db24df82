//! What the operator asked for beyond names: limits, behaviours, escalation. Set when the program is
//! loaded, and then read-only.

use crate::{sip::MessageClass, verdict::Met};

/// Times of windows are counted in units of 2^20 ns, about a millisecond: in 32 bits, which are
/// enough for 52 days.
pub const TICK_BITS: u32 = 20;

/// How often a source may send.
///
/// The generic cell rate algorithm (ITU-T I.371), which is a token bucket that needs one number: the
/// time at which the next packet is due.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Nanoseconds between two packets; 0 where there is no limit.
    pub interval: u64,
    /// How many nanoseconds before it is due a packet may come: (burst - 1) × interval.
    pub tolerance: u64,
    /// Not 0 where what is over the limit is dropped and not only counted.
    pub drops: u64,
}

impl Limit {
    /// No limit.
    pub const NONE: Self = Self {
        interval: 0,
        tolerance: 0,
        drops: 0,
    };
}

/// What scanners do, whatever they call themselves.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// REGISTERs with credentials, many for one user.
    PasswordGuessing = 0,
    /// REGISTER, INVITE or OPTIONS for many users.
    Enumeration = 1,
    /// Requests to several inspected ports of one host.
    PortSweep = 2,
    /// OPTIONS to several local addresses.
    AddressSweep = 3,
    /// Many requests, and next to none in a dialogue.
    Flood = 4,
}

impl Behaviour {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// Every behaviour: of several that a packet is a part of, the first one names it.
    pub const ALL: [Self; Self::COUNT] = [
        Self::PasswordGuessing,
        Self::Enumeration,
        Self::PortSweep,
        Self::AddressSweep,
        Self::Flood,
    ];

    /// The name in the configuration and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PasswordGuessing => "password-guessing",
            Self::Enumeration => "enumeration",
            Self::PortSweep => "port-sweep",
            Self::AddressSweep => "address-sweep",
            Self::Flood => "flood",
        }
    }

    /// Its bit in [`Rules::watched`] and [`Rules::dropped`].
    #[inline(always)]
    pub const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// When a behaviour is recognised.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Threshold {
    /// How long is counted, in units of [`TICK_BITS`].
    pub window: u32,
    /// From how many on: of what is counted in a sketch, how many of its bits.
    pub count: u32,
}

/// When a source is blocked for what it sends.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Escalation {
    /// After how many packets; 0 for never.
    pub after: u32,
    /// Within which time, in units of [`TICK_BITS`].
    pub within: u32,
    /// For how long, in nanoseconds.
    pub length: u64,
    /// [`Self::BY_SIGNATURE`] and [`Self::BY_BEHAVIOUR`]: which packets count.
    pub by: u32,
    /// Not 0 where such a source's packets are dropped and not only counted.
    pub drops: u32,
}

impl Escalation {
    /// Packets in which a tool of a dropping kind was recognised.
    pub const BY_SIGNATURE: u32 = 1;
    /// Packets that are a part of a behaviour.
    pub const BY_BEHAVIOUR: u32 = 2;

    /// Never.
    pub const OFF: Self = Self {
        after: 0,
        within: 0,
        length: 0,
        by: 0,
        drops: 0,
    };

    /// What a source meets that was blocked for what it had sent.
    #[inline(always)]
    pub fn met(&self) -> Met {
        if self.drops != 0 {
            Met::ESCALATED
        } else {
            Met::WOULD_ESCALATE
        }
    }
}

/// How many limits there are: one for requests and responses together, one for each method.
pub const LIMITS: usize = 1 + MessageClass::Response as usize;

/// What the operator asked for.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What is asked at all: see [`Self::with_uses`].
    pub uses: u32,
    /// The behaviours that are looked for: see [`Behaviour::bit`].
    pub watched: u32,
    /// Those of them whose packets are dropped.
    pub dropped: u32,
    /// Not 0 where block lists drop and do not only count.
    pub block_drops: u32,
    /// The first one for requests and responses together, then one for each method, in the order of
    /// [`MessageClass`].
    pub limits: [Limit; LIMITS],
    /// By behaviour.
    pub thresholds: [Threshold; Behaviour::COUNT],
    /// When a source is blocked.
    pub escalation: Escalation,
    /// What makes hashes unpredictable.
    pub seed: u64,
}

impl Rules {
    /// There are limits.
    pub const LIMITS: u32 = 1;
    /// There are behaviours to look for.
    pub const BEHAVIOURS: u32 = 2;
    /// Sources are blocked for what they send.
    pub const ESCALATION: u32 = 4;
    /// Limits need a clock that is finer than the kernel's jiffies.
    pub const FINE_CLOCK: u32 = 8;
    /// The time is what the loader says: a capture's.
    pub const SET_CLOCK: u32 = 16;

    /// Nothing but names.
    pub const NONE: Self = Self {
        uses: 0,
        watched: 0,
        dropped: 0,
        block_drops: 1,
        limits: [Limit::NONE; LIMITS],
        thresholds: [Threshold {
            window: 0,
            count: 0,
        }; Behaviour::COUNT],
        escalation: Escalation::OFF,
        seed: 0,
    };

    /// What a source in the block list meets.
    #[inline(always)]
    pub fn met_by_block(&self) -> Met {
        if self.block_drops != 0 {
            Met::BLOCKED
        } else {
            Met::WOULD_BLOCK
        }
    }

    /// The longest jiffy, in nanoseconds: kernels count 100 to 1000 a second.
    const JIFFY: u64 = 10_000_000;

    /// The same, with a note of what of it is asked: what is not is not there in the program.
    #[must_use]
    pub fn with_uses(self) -> Self {
        let limits = || self.limits.iter().filter(|limit| limit.interval != 0);
        // Within a jiffy time stands still: as much must be allowed at once as may come in some.
        let is_short = |limit: &Limit| limit.tolerance < 20 * Self::JIFFY;
        let mut uses = 0;
        if limits().count() > 0 {
            uses |= Self::LIMITS;
        }
        if limits().any(is_short) {
            uses |= Self::FINE_CLOCK;
        }
        if self.watched != 0 {
            uses |= Self::BEHAVIOURS;
        }
        if self.escalation.after != 0 {
            uses |= Self::ESCALATION;
        }
        Self { uses, ..self }
    }
}

const _: () = {
    assert!(size_of::<Limit>() == 24);
    assert!(size_of::<Threshold>() == 8);
    assert!(size_of::<Escalation>() == 24);
    assert!(size_of::<Rules>() == 16 + 24 * LIMITS + 8 * Behaviour::COUNT + 24 + 8);
};

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, made of integers alone, without padding: see the sizes above.
    unsafe impl aya::Pod for super::Rules {}
}
