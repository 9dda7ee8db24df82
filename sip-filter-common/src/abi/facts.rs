//! What was found of a packet and decided, in one word.

use crate::{
    sip::MessageClass,
    tool::MAX_TOOLS,
    verdict::{Outcome, Reason},
};

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

    /// The place in [`Totals::cells`](super::Totals::cells).
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

    /// The place in [`SourceCount::reasons`](super::SourceCount::reasons) of the rule that met it; `None` where none did.
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

#[cfg(test)]
mod tests {
    use super::{super::Totals, *};

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
}
