//! The SIP vocabulary: what a datagram on a SIP port can be.

/// What a datagram is, told from its start line alone (RFC 3261 section 7).
///
/// Every inspected datagram is exactly one of these, so the discriminant also numbers the
/// rows of the counters in [`abi`](crate::abi).
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageClass {
    /// RFC 3261 section 10.
    Register = 0,
    /// RFC 3261 section 13.
    Invite = 1,
    /// RFC 3261 section 13.
    Ack = 2,
    /// RFC 3261 section 15.
    Bye = 3,
    /// RFC 3261 section 9.
    Cancel = 4,
    /// RFC 3261 section 11.
    Options = 5,
    /// RFC 3262.
    Prack = 6,
    /// RFC 6665.
    Subscribe = 7,
    /// RFC 6665.
    Notify = 8,
    /// RFC 3903.
    Publish = 9,
    /// RFC 6086.
    Info = 10,
    /// RFC 3515.
    Refer = 11,
    /// RFC 3428.
    Message = 12,
    /// RFC 3311.
    Update = 13,
    /// A request whose method is a token (RFC 3261 section 25.1) that is none of the above.
    Other = 14,
    /// A response: a status line.
    Response = 15,
    /// Keeps a NAT binding or a flow open: nothing, CR and LF alone (RFC 5626 section
    /// 3.5.1), a lone zero byte, or STUN (RFC 8489 section 5).
    Keepalive = 16,
    /// Neither SIP nor a keepalive.
    Malformed = 17,
}

impl MessageClass {
    /// How many classes there are.
    pub const COUNT: usize = 18;

    /// Every class, in the order of the discriminants.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Register,
        Self::Invite,
        Self::Ack,
        Self::Bye,
        Self::Cancel,
        Self::Options,
        Self::Prack,
        Self::Subscribe,
        Self::Notify,
        Self::Publish,
        Self::Info,
        Self::Refer,
        Self::Message,
        Self::Update,
        Self::Other,
        Self::Response,
        Self::Keepalive,
        Self::Malformed,
    ];

    /// The class with this discriminant; malformed where there is none.
    #[inline(always)]
    pub const fn from_number(number: usize) -> Self {
        if number < Self::COUNT {
            Self::ALL[number]
        } else {
            Self::Malformed
        }
    }

    /// Whether this is a request of whatever method.
    #[inline(always)]
    pub const fn is_request(self) -> bool {
        (self as u8) <= Self::Other as u8
    }

    /// The method's name as RFC 3261 writes it, `OTHER` for a method of no RFC known here;
    /// `None` for what is not a request.
    pub const fn method(self) -> Option<&'static str> {
        Some(match self {
            Self::Register => "REGISTER",
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Prack => "PRACK",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Publish => "PUBLISH",
            Self::Info => "INFO",
            Self::Refer => "REFER",
            Self::Message => "MESSAGE",
            Self::Update => "UPDATE",
            Self::Other => "OTHER",
            Self::Response | Self::Keepalive | Self::Malformed => return None,
        })
    }

    /// A name for every class: the method's, or `response`, `keepalive`, `malformed`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Keepalive => "keepalive",
            Self::Malformed => "malformed",
            request => match request.method() {
                Some(name) => name,
                None => "",
            },
        }
    }
}
