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

/// What happens to a packet and why: every inspected packet has exactly one outcome.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Passed: no rule met it.
    Passed = 0,
    /// Passed, and a rule that only counts met it: a tool of a dropping kind while
    /// `scanners` is not dropped.
    WouldDrop = 1,
    /// Dropped for the tool that was recognised.
    Signature = 2,
    /// Dropped as an OPTIONS request.
    Options = 3,
    /// Dropped as neither SIP nor a keepalive.
    Malformed = 4,
}

impl Outcome {
    /// How many outcomes there are.
    pub const COUNT: usize = 5;

    /// Every outcome, in the order of the discriminants.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Passed,
        Self::WouldDrop,
        Self::Signature,
        Self::Options,
        Self::Malformed,
    ];

    /// Whether the packet is dropped.
    #[inline(always)]
    pub const fn is_drop(self) -> bool {
        (self as u8) >= Self::Signature as u8
    }

    /// Whether the packet passes although a counting rule met it.
    #[inline(always)]
    pub const fn is_would_drop(self) -> bool {
        self as u8 == Self::WouldDrop as u8
    }

    /// The reason as the log and reports write it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::WouldDrop => "would drop by signature",
            Self::Signature => "dropped by signature",
            Self::Options => "dropped as OPTIONS",
            Self::Malformed => "dropped as malformed",
        }
    }
}

/// Decides one packet: the first rule that matches wins, and what no rule names passes.
///
/// A packet that another rule drops is not counted as `would drop` as well.
#[inline(always)]
pub fn decide(drop: DropSet, class: MessageClass, tool: Option<Found>) -> Outcome {
    let hostile = matches!(tool, Some(tool) if tool.is_hostile());
    if hostile && drop.contains(DropSet::SCANNERS) {
        return Outcome::Signature;
    }
    if class as u8 == MessageClass::Options as u8 && drop.contains(DropSet::OPTIONS) {
        return Outcome::Options;
    }
    if class as u8 == MessageClass::Malformed as u8 && drop.contains(DropSet::MALFORMED) {
        return Outcome::Malformed;
    }
    if hostile {
        Outcome::WouldDrop
    } else {
        Outcome::Passed
    }
}
