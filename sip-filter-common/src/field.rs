//! What a signature is about: the part of a message, the way in which a pattern meets it, and
//! the shapes that no pattern describes.

/// Where a signature looks.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// RFC 3261 section 20.41.
    UserAgent = 1,
    /// RFC 3261 section 20.20.
    From = 2,
    /// RFC 3261 section 20.39.
    To = 3,
    /// RFC 3261 section 20.10.
    Contact = 4,
    /// RFC 3261 section 20.42.
    Via = 5,
    /// RFC 3261 section 20.8.
    CallId = 6,
    /// RFC 3261 section 20.16.
    CSeq = 7,
    /// The start line's second part (RFC 3261 section 7.1).
    RequestUri = 8,
    /// What follows the empty line.
    Body = 9,
    /// The whole message.
    Any = 10,
}

impl Field {
    /// How many fields there are, with a place for none.
    pub const COUNT: usize = 11;

    /// Fields below this are header fields.
    pub const HEADERS: usize = Self::RequestUri as usize;

    /// Every field.
    pub const ALL: [Self; Self::COUNT - 1] = [
        Self::UserAgent,
        Self::From,
        Self::To,
        Self::Contact,
        Self::Via,
        Self::CallId,
        Self::CSeq,
        Self::RequestUri,
        Self::Body,
        Self::Any,
    ];

    /// The name used in signature files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserAgent => "user-agent",
            Self::From => "from",
            Self::To => "to",
            Self::Contact => "contact",
            Self::Via => "via",
            Self::CallId => "call-id",
            Self::CSeq => "cseq",
            Self::RequestUri => "request-uri",
            Self::Body => "body",
            Self::Any => "any",
        }
    }

    /// The field with this discriminant.
    pub const fn from_u8(number: u8) -> Option<Self> {
        if number >= 1 && (number as usize) < Self::COUNT {
            Some(Self::ALL[number as usize - 1])
        } else {
            None
        }
    }
}

/// How a pattern meets a value.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Match {
    /// The value is the pattern; blanks may follow.
    Exact = 0,
    /// The value begins with the pattern.
    Prefix = 1,
    /// The pattern stands anywhere in the value.
    Contains = 2,
}

impl Match {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Exact, Self::Prefix, Self::Contains];

    /// The name used in signature files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Contains => "contains",
        }
    }

    /// The way with this discriminant.
    pub const fn from_u8(number: u8) -> Option<Self> {
        if (number as usize) < Self::ALL.len() {
            Some(Self::ALL[number as usize])
        } else {
            None
        }
    }
}

/// What a packet shows of the tool that sent it, although no text in it is constant.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detector {
    /// A From tag of SIPVicious that names the very address and port that the packet is for.
    SipviciousTarget = 0,
    /// SIPVicious's From tag, branch and Call-ID, all three.
    SipviciousShape = 1,
    /// SIPVicious's From tag alone.
    SipviciousTag = 2,
    /// The From tag with which svcrack asks first.
    SvcrackTag = 3,
    /// A branch of SIPPTS.
    SipptsBranch = 4,
    /// Metasploit's From tag.
    MetasploitTag = 5,
    /// Metasploit's branch.
    MetasploitBranch = 6,
    /// zmap's template.
    ZmapTemplate = 7,
    /// zmap's packet of seven bytes.
    ZmapBare = 8,
    /// The CSeq, Call-ID and branch of nmap's scripts, all three.
    NmapScript = 9,
}

impl Detector {
    /// How many detectors there are.
    pub const COUNT: usize = 10;

    /// Every detector, in the order of the discriminants.
    pub const ALL: [Self; Self::COUNT] = [
        Self::SipviciousTarget,
        Self::SipviciousShape,
        Self::SipviciousTag,
        Self::SvcrackTag,
        Self::SipptsBranch,
        Self::MetasploitTag,
        Self::MetasploitBranch,
        Self::ZmapTemplate,
        Self::ZmapBare,
        Self::NmapScript,
    ];

    /// The name used in signature files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SipviciousTarget => "sipvicious-target",
            Self::SipviciousShape => "sipvicious-shape",
            Self::SipviciousTag => "sipvicious-tag",
            Self::SvcrackTag => "svcrack-tag",
            Self::SipptsBranch => "sippts-branch",
            Self::MetasploitTag => "metasploit-tag",
            Self::MetasploitBranch => "metasploit-branch",
            Self::ZmapTemplate => "zmap-template",
            Self::ZmapBare => "zmap-bare",
            Self::NmapScript => "nmap-script",
        }
    }
}
