//! From what was found and what the operator asked for to what happens to the packet.

use crate::{sip::MessageClass, tool::Found};

/// What the operator asked to drop: a set of bits, empty while monitoring.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropSet(pub u32);

impl DropSet {
    /// Drops nothing: monitoring.
    pub const NOTHING: Self = Self(0);
    /// Drops requests of tools of a dropping kind ([`Kind::is_dropping`](crate::tool::Kind::is_dropping)).
    pub const SCANNERS: Self = Self(1);
    /// Drops every OPTIONS request.
    pub const OPTIONS: Self = Self(1 << 1);
    /// Drops what is neither SIP nor a keepalive.
    pub const MALFORMED: Self = Self(1 << 2);

    /// Every member with the name that `--drop` takes.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("scanners", Self::SCANNERS),
        ("options", Self::OPTIONS),
        ("malformed", Self::MALFORMED),
    ];

    /// Whether every bit of `other` is set.
    #[inline(always)]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Why a packet is passed or dropped: exactly one for every inspected packet.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No rule met it.
    Passed = 0,
    /// Its source is in the allow list.
    Allowed = 1,
    /// Its source is in the block list.
    Blocked = 2,
    /// Its source was blocked for what it had sent before.
    Escalated = 3,
    /// A tool of a dropping kind was recognised.
    Signature = 4,
    /// Its source is over a rate limit.
    Limit = 5,
    /// Its source does what scanners do.
    Behaviour = 6,
    /// It is an OPTIONS request.
    Options = 7,
    /// It is neither SIP nor a keepalive.
    Malformed = 8,
}

impl Reason {
    /// How many reasons there are.
    pub const COUNT: usize = 9;

    /// Every reason, in the order in which rules are asked.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Allowed,
        Self::Blocked,
        Self::Escalated,
        Self::Signature,
        Self::Limit,
        Self::Behaviour,
        Self::Options,
        Self::Malformed,
        Self::Passed,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Allowed => "allowed",
            Self::Blocked => "blocked",
            Self::Escalated => "escalated",
            Self::Signature => "signature",
            Self::Limit => "limit",
            Self::Behaviour => "behaviour",
            Self::Options => "options",
            Self::Malformed => "malformed",
        }
    }
}

/// What happens to a packet and why: every inspected packet has exactly one outcome.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Passed: no rule met it.
    Passed = 0,
    /// Passed: its source is in the allow list.
    Allowed = 1,
    /// Passed, and a block list that only counts met it.
    WouldBlock = 2,
    /// Passed, and an escalation that only counts met it.
    WouldEscalate = 3,
    /// Passed, and a tool of a dropping kind was recognised while `scanners` is not dropped.
    WouldSignature = 4,
    /// Passed, and over a limit that only counts.
    WouldLimit = 5,
    /// Passed, and a behaviour that only counts was recognised.
    WouldBehaviour = 6,
    /// Dropped for the tool that was recognised.
    Signature = 7,
    /// Dropped as an OPTIONS request.
    Options = 8,
    /// Dropped as neither SIP nor a keepalive.
    Malformed = 9,
    /// Dropped since its source is in the block list.
    Blocked = 10,
    /// Dropped since its source was blocked for what it had sent.
    Escalated = 11,
    /// Dropped as over a limit.
    Limit = 12,
    /// Dropped for its source's behaviour.
    Behaviour = 13,
}

impl Outcome {
    /// How many outcomes there are.
    pub const COUNT: usize = 14;

    /// Every outcome, in the order of the discriminants.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Passed,
        Self::Allowed,
        Self::WouldBlock,
        Self::WouldEscalate,
        Self::WouldSignature,
        Self::WouldLimit,
        Self::WouldBehaviour,
        Self::Signature,
        Self::Options,
        Self::Malformed,
        Self::Blocked,
        Self::Escalated,
        Self::Limit,
        Self::Behaviour,
    ];

    /// Whether the packet is dropped.
    #[inline(always)]
    pub const fn is_drop(self) -> bool {
        (self as u8) >= Self::Signature as u8
    }

    /// Whether the packet passes although a rule met it that only counts.
    #[inline(always)]
    pub const fn is_would_drop(self) -> bool {
        (self as u8) >= Self::WouldBlock as u8 && (self as u8) < Self::Signature as u8
    }

    /// Which rule met it.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Passed => Reason::Passed,
            Self::Allowed => Reason::Allowed,
            Self::WouldBlock | Self::Blocked => Reason::Blocked,
            Self::WouldEscalate | Self::Escalated => Reason::Escalated,
            Self::WouldSignature | Self::Signature => Reason::Signature,
            Self::WouldLimit | Self::Limit => Reason::Limit,
            Self::WouldBehaviour | Self::Behaviour => Reason::Behaviour,
            Self::Options => Reason::Options,
            Self::Malformed => Reason::Malformed,
        }
    }

    /// What happens and why, as the log writes it.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Allowed => "passed, allowed",
            Self::WouldBlock => "would drop as blocked",
            Self::WouldEscalate => "would drop as escalated",
            Self::WouldSignature => "would drop by signature",
            Self::WouldLimit => "would drop by limit",
            Self::WouldBehaviour => "would drop by behaviour",
            Self::Signature => "dropped by signature",
            Self::Options => "dropped as OPTIONS",
            Self::Malformed => "dropped as malformed",
            Self::Blocked => "dropped as blocked",
            Self::Escalated => "dropped as escalated",
            Self::Limit => "dropped by limit",
            Self::Behaviour => "dropped by behaviour",
        }
    }
}

/// What is known of a packet's source: a set of bits.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Met(pub u32);

impl Met {
    /// Nothing.
    pub const NOTHING: Self = Self(0);
    /// It is in the allow list.
    pub const ALLOWED: Self = Self(1);
    /// It is in a block list that drops.
    pub const BLOCKED: Self = Self(1 << 1);
    /// It is in a block list that only counts.
    pub const WOULD_BLOCK: Self = Self(1 << 2);
    /// It is blocked for what it has sent.
    pub const ESCALATED: Self = Self(1 << 3);
    /// It would be blocked for what it has sent.
    pub const WOULD_ESCALATE: Self = Self(1 << 4);
    /// It is over a limit that drops.
    pub const LIMIT: Self = Self(1 << 5);
    /// It is over a limit that only counts.
    pub const WOULD_LIMIT: Self = Self(1 << 6);
    /// The packet is a part of a behaviour that is dropped.
    pub const BEHAVIOUR: Self = Self(1 << 7);
    /// The packet is a part of a behaviour that is only counted.
    pub const WOULD_BEHAVIOUR: Self = Self(1 << 8);

    /// Whether any bit of `other` is set.
    #[inline(always)]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    #[inline(always)]
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Decides one packet: the first rule that matches wins, and what no rule names passes.
///
/// A packet that another rule drops is not counted as `would drop` as well; of rules that only
/// count, the first one that matches counts it.
#[inline(always)]
pub fn decide(drop: DropSet, class: MessageClass, tool: Option<Found>, met: Met) -> Outcome {
    let hostile = matches!(tool, Some(tool) if tool.is_hostile());
    // Asked in groups first: most packets have met nothing.
    if met.contains(Met::ALLOWED.and(Met::BLOCKED).and(Met::ESCALATED)) {
        if met.contains(Met::ALLOWED) {
            return Outcome::Allowed;
        }
        if met.contains(Met::BLOCKED) {
            return Outcome::Blocked;
        }
        return Outcome::Escalated;
    }
    if hostile && drop.contains(DropSet::SCANNERS) {
        return Outcome::Signature;
    }
    if met.contains(Met::LIMIT.and(Met::BEHAVIOUR)) {
        if met.contains(Met::LIMIT) {
            return Outcome::Limit;
        }
        return Outcome::Behaviour;
    }
    if class as u8 == MessageClass::Options as u8 && drop.contains(DropSet::OPTIONS) {
        return Outcome::Options;
    }
    if class as u8 == MessageClass::Malformed as u8 && drop.contains(DropSet::MALFORMED) {
        return Outcome::Malformed;
    }
    if met.contains(Met::WOULD_BLOCK.and(Met::WOULD_ESCALATE)) {
        if met.contains(Met::WOULD_BLOCK) {
            return Outcome::WouldBlock;
        }
        return Outcome::WouldEscalate;
    }
    if hostile {
        return Outcome::WouldSignature;
    }
    if met.contains(Met::WOULD_LIMIT.and(Met::WOULD_BEHAVIOUR)) {
        if met.contains(Met::WOULD_LIMIT) {
            return Outcome::WouldLimit;
        }
        return Outcome::WouldBehaviour;
    }
    Outcome::Passed
}
