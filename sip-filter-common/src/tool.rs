//! The kinds of tools that a signature can name.

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
