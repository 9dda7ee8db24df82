//! What the program reports as it happens.

use super::{Address, Facts};

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
    /// Of a source that was blocked, what for: see [`Ban::cause`](crate::lists::Ban::cause).
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
    /// Handed to whoever reads [`EVENTS`](super::map::EVENTS).
    pub reported: u64,
    /// Not reported, for there were [`Event::MOST`] in that time, or [`Event::MOST_BLOCKED`].
    pub suppressed: u64,
    /// For which the ring had no room, since nobody reads it or not fast enough. The last one of each
    /// source is in [`REPORTED`](super::map::REPORTED) all the same.
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
