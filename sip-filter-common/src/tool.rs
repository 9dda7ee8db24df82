//! The tools that a signature can name: their kinds and their numbers.

use core::num::NonZero;

/// How many tools can be told apart.
pub const MAX_TOOLS: usize = 80;

/// What a tool is used for, which decides what recognising it may lead to.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Looks for SIP servers.
    Scanner = 0,
    /// Looks for extensions and passwords.
    Cracker = 1,
    /// Sends what no honest program sends, to break the receiver.
    Fuzzer = 2,
    /// Places calls that nobody asked for.
    Dialer = 3,
    /// Tests servers, its operator's own as a rule: counted, never dropped by its name.
    TestTool = 4,
    /// A library that honest software is built with too: counted, never dropped by its name.
    Library = 5,
}

impl Kind {
    /// Every kind, in the order of the discriminants.
    pub const ALL: [Self; 6] = [
        Self::Scanner,
        Self::Cracker,
        Self::Fuzzer,
        Self::Dialer,
        Self::TestTool,
        Self::Library,
    ];

    /// Whether `--drop scanners` drops packets of tools of this kind.
    #[inline(always)]
    pub const fn is_dropping(self) -> bool {
        (self as u8) <= Self::Dialer as u8
    }

    /// The name used in signature files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scanner => "scanner",
            Self::Cracker => "cracker",
            Self::Fuzzer => "fuzzer",
            Self::Dialer => "dialer",
            Self::TestTool => "testtool",
            Self::Library => "library",
        }
    }

    /// The kind with this discriminant, as it comes out of a map.
    #[inline(always)]
    pub const fn from_u8(number: u8) -> Option<Self> {
        if (number as usize) < Self::ALL.len() {
            Some(Self::ALL[number as usize])
        } else {
            None
        }
    }
}

/// The tool that a signature names: a number, a kind, and whether it is sure.
///
/// One word, since the verifier does not follow the compiler into what it makes of an optional
/// structure of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found(NonZero<u16>);

/// In a [`Found`]: an honest program may show the same, so the packet is named and no more.
const UNSURE: u16 = 1 << 15;

impl Found {
    /// Tool number `tool`, of this kind.
    pub const fn new(tool: u8, kind: Kind) -> Self {
        let mark = NonZero::<u16>::MIN.saturating_add(kind as u16);
        // The kind's place is never 0, so neither is the word.
        match NonZero::new(mark.get() << 8 | tool as u16) {
            Some(word) => Self(word),
            None => Self(mark),
        }
    }

    /// The same, but not sure: the packet is counted as the tool's and passes.
    #[must_use]
    pub const fn unsure(self) -> Self {
        Self(self.0.saturating_add(UNSURE & !self.0.get()))
    }

    /// Whether no honest program shows the same.
    pub const fn is_sure(self) -> bool {
        self.0.get() & UNSURE == 0
    }

    /// The word in which a table or a map holds it; never 0.
    pub const fn word(self) -> u16 {
        self.0.get()
    }

    /// What [`Found::word`] gave; `None` for 0.
    #[inline(always)]
    pub fn from_word(word: u16) -> Option<Self> {
        NonZero::new(word).map(Self)
    }

    /// The tool's number, below [`MAX_TOOLS`].
    #[inline(always)]
    pub const fn tool(self) -> u8 {
        self.0.get() as u8
    }

    /// The tool's kind.
    pub const fn kind(self) -> Kind {
        match Kind::from_u8(((self.0.get() & !UNSURE) >> 8) as u8 - 1) {
            Some(kind) => kind,
            None => Kind::Library,
        }
    }

    /// Whether the tool is of a kind that `--drop scanners` drops, and that is sure.
    #[inline(always)]
    pub const fn is_hostile(self) -> bool {
        Self::is_hostile_word(self.0.get())
    }

    /// [`Found::is_hostile`] of what a word holds, if anything.
    #[inline(always)]
    pub(crate) const fn is_hostile_word(word: u16) -> bool {
        // 1 to 4 are the dropping kinds; 0 is nothing, and what is not sure is more.
        (word >> 8).wrapping_sub(1) <= Kind::Dialer as u16
    }
}

// What drops is said of kinds; a tool's word only repeats it in a form that the verifier follows.
const _: () = {
    let mut number = 0;
    while number < Kind::ALL.len() {
        let kind = Kind::ALL[number];
        let found = Found::new(0, kind);
        assert!(found.is_hostile() == kind.is_dropping());
        assert!(!found.unsure().is_hostile() && !found.unsure().is_sure() && found.is_sure());
        number += 1;
    }
};
