//! The classifier: what a datagram is, and which tool sent it.
//!
//! It takes a payload, where it is for, and the signature table, and gives a [`Classification`].
//! It is compiled twice, for the kernel and for the host, and does the same in both. It knows
//! nothing of sources, policy or counters.
//!
//! A request's text is copied and its line ends are found, in parts; then each line says which field
//! it may be, and four bytes of its value whether that can be a tool's. What can is compared before
//! more is read: most tools say who they are in one of the first lines, and then nothing else need be.

mod contains;
mod dialogue;
mod header;
mod marks;
mod start_line;
mod text;
mod user_agent;
mod value;

use text::{CANDIDATES, Kept, MAX_TEXT};

pub use text::Work;

use crate::{
    address::Address,
    field::Detector,
    header_name,
    payload::{CHUNK, MAX_OFFSET, Payload},
    sender::Sent,
    signature::{self, Hit, SignatureTable},
    sip::MessageClass,
    tool::Found,
};

/// Where a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The destination address.
    pub address: Address,
    /// The destination port, in host byte order.
    pub port: u16,
}

impl Destination {
    /// Nowhere, where it is not known.
    pub const NONE: Self = Self {
        address: Address { words: [0; 2] },
        port: 0,
    };

    /// Whether the address is an IPv4 one.
    #[inline(always)]
    fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// The IPv4 address as a number.
    #[inline(always)]
    fn ipv4(&self) -> u32 {
        u32::from_be((self.address.words[1] >> 32) as u32)
    }
}

/// What the classifier says of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classification {
    /// What it is.
    pub class: MessageClass,
    /// The tool that sent it, where a signature named one, and which signature. Only requests are
    /// judged: a response may echo what a scanner sent.
    pub hit: Hit,
}

impl Classification {
    /// The tool that sent it.
    #[inline(always)]
    pub fn tool(&self) -> Option<Found> {
        self.hit.found()
    }
}

/// Whether a datagram to whatever port is SIP beyond doubt, from its first bytes: a known
/// method and a `sip:`, `sips:` or `tel:` URI, or a status line.
#[inline(always)]
pub fn starts_like_sip(payload: &impl Payload) -> bool {
    start_line::from_first_bytes(payload).is_some()
}

/// Classifies a datagram that arrived on a SIP port. `work` is room to work in, in whatever state.
#[inline(always)]
pub fn classify(
    payload: &impl Payload,
    destination: &Destination,
    table: &SignatureTable,
    work: &mut Work,
) -> Classification {
    let class = class(payload, work);
    // Whatever was learnt on the way to the class is forgotten, so that what follows is walked
    // once.
    recognise(&payload.apart(), class, destination, table, work)
}

/// What a datagram is that arrived on a SIP port.
#[inline(always)]
pub fn class(payload: &impl Payload, work: &mut Work) -> MessageClass {
    start_line::classify(payload, work);
    MessageClass::from_number(work.kept(Kept::A))
}

/// Which tool sent a datagram, of which [`class`] was asked last.
#[inline(always)]
pub fn recognise(
    payload: &impl Payload,
    class: MessageClass,
    destination: &Destination,
    table: &SignatureTable,
    work: &mut Work,
) -> Classification {
    let hit = if class.is_request() && payload.len() <= MAX_TEXT {
        request(payload, class, destination, table, work)
    } else if class as u8 == MessageClass::Malformed as u8 && is_bare_options(payload) {
        table.detector(Detector::ZmapBare as usize)
    } else {
        Hit::NONE
    };
    Classification { class, hit }
}

/// Notes in `sent` who a request is for, and whether it belongs to a dialogue or has credentials:
/// of a request of which [`recognise`] was asked last, with a table that
/// [watches](SignatureTable::watch). `seed` makes the hash of the user unpredictable.
#[inline(always)]
pub fn note_dialogue(
    payload: &impl Payload,
    class: MessageClass,
    work: &mut Work,
    table: &SignatureTable,
    seed: u64,
    sent: &mut Sent,
) {
    if payload.len() > MAX_TEXT {
        return;
    }
    work.keep(Kept::User, seed as usize);
    work.keep(Kept::Flags, 0);
    // Who a REGISTER is for stands in its To (RFC 3261 section 10.2); others say it in the URI.
    work.keep(
        Kept::A,
        (class as u8 == MessageClass::Register as u8) as usize,
    );
    payload.take(Step::Dialogue, work, table);
    sent.user = work.kept(Kept::User) as u64;
    sent.flags |= work.kept(Kept::Flags) as u64;
}

/// zmap's packet of seven bytes (examples/udp-probes).
#[inline(always)]
fn is_bare_options(payload: &impl Payload) -> bool {
    payload.len() == 7
        && payload.u32_at(0) == Some(u32::from_le_bytes(*b"OPTI"))
        && payload.u32_at(3) == Some(u32::from_le_bytes(*b"IONS"))
}

/// What is done with the text alone, in a function of its own in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Compares the candidate with this number, a value that may be a tool's; `false` where more of the
    /// text must be read first.
    Compare(usize),
    /// Searches a block of the text for a User-Agent, behind more lines than are read for all fields;
    /// `false` where nothing is left to search.
    Search(usize),
    /// Whether the header may end in a block, before the User-Agent that was found.
    MayEndIn(usize),
    /// Whether it ends there.
    EndsBehind,
    /// Whether Call-ID and branch are those of nmap's scripts.
    NmapScript,
    /// Finds out who a request is for, and whether it belongs to a dialogue.
    Dialogue,
    /// Searches for what a value contains.
    Contains,
    /// Takes that search to the next place at which a pattern may stand, and compares it.
    Window,
    /// Finds out whether a pattern that was found stands in its field.
    Place,
}

impl Step {
    const SEARCH: u64 = 0x100;
    const MAY_END_IN: u64 = 0x200;

    /// As a number, of a step that has no function of its own.
    #[inline(always)]
    pub const fn number(self) -> u64 {
        match self {
            Self::Compare(candidate) => candidate as u64,
            Self::Search(block) => Self::SEARCH | block as u64,
            Self::MayEndIn(block) => Self::MAY_END_IN | block as u64,
            Self::EndsBehind
            | Self::NmapScript
            | Self::Dialogue
            | Self::Contains
            | Self::Window
            | Self::Place => 0,
        }
    }

    /// From [`Self::number`].
    #[inline(always)]
    pub const fn from_number(number: u64) -> Self {
        if number & Self::MAY_END_IN != 0 {
            Self::MayEndIn((number & 0xff) as usize)
        } else if number & Self::SEARCH != 0 {
            Self::Search((number & 0xff) as usize)
        } else {
            Self::Compare(number as usize)
        }
    }

    /// Takes it. The payload is asked for nothing that it holds.
    #[inline(always)]
    pub fn take(self, payload: &impl Payload, work: &mut Work, table: &SignatureTable) -> bool {
        match self {
            Self::Compare(candidate) => return value::compare(payload, work, table, candidate),
            Self::Search(block) => return user_agent::search(payload, work, block),
            Self::MayEndIn(block) => return user_agent::may_end_in(payload, work, block),
            Self::EndsBehind => return user_agent::ends_behind(payload, work),
            Self::NmapScript => return marks::is_nmap_script(payload, work),
            Self::Dialogue => dialogue::note(payload, work),
            Self::Contains => contains::search(payload, work, table),
            Self::Window => contains::look(payload, work, table),
            Self::Place => contains::judge(payload, work, table),
        }
        true
    }
}

/// The header is read in parts, each up to so many pairs of chunks: most scanners say who they are in
/// the first 200 bytes, and most phones in the first 500.
const PARTS: [usize; 3] = [2, 5, text::PAIRS];
/// How many lines of each part are looked at, and with each part what was left of the one before.
const LINES: [usize; 3] = [10, 16, 24];

/// The tool that sent the request whose start line begins at what is kept as `B` and whose URI at
/// `C`.
#[inline(always)]
fn request(
    payload: &impl Payload,
    class: MessageClass,
    destination: &Destination,
    table: &SignatureTable,
    work: &mut Work,
) -> Hit {
    let start = work.kept(Kept::B) & MAX_OFFSET;
    let uri = work.kept(Kept::C).wrapping_sub(start) & MAX_OFFSET;
    work.clear();
    work.keep(Kept::Uri, uri);
    // What credentials other requests have is nobody's business. Without a choice, or all that follows
    // would be walked once for each answer.
    let is_register = payload.is_0(class as u64 ^ MessageClass::Register as u64);
    let credentials = u64::from(signature::bit(header_name::CREDENTIALS));
    work.keep(Kept::Seen, (credentials * (1 ^ is_register)) as usize);

    let payload = &payload.behind(start);
    let mut from = 0;
    for part in payload.rolled(PARTS.len()) {
        let (to, lines) = match part {
            0 => (PARTS[0], LINES[0]),
            1 => (PARTS[1], LINES[1]),
            _ => (PARTS[2], LINES[2]),
        };
        if work.kept(Kept::IsRead) == 0 {
            work.read(payload, from, to, true);
            // What stands behind a name must have been read too.
            let ahead = (work.kept(Kept::IsRead) == 0) as usize;
            work.keep(Kept::Limit, work.kept(Kept::Read).wrapping_sub(ahead));
        }
        from = to;
        if part == 0 {
            header::note_uri(work, table);
        }
        // Where there is no room for more, a User-Agent is looked for in the rest.
        if work.kept(Kept::Candidates) != CANDIDATES {
            header::read(payload, work, table, lines);
            compare(payload, work, table);
        }
        if is_hostile(work) || work.kept(Kept::IsEnded) != 0 {
            break;
        }
        // Where each field that a signature is about was seen, nothing more is read: of several
        // fields with one name the first counts. Lines of a chunk are looked at in no order, so it is
        // gone through: an earlier one may end the header.
        if part != 0
            && work.kept(Kept::Mask) == 0
            && work.kept(Kept::Compared) == work.kept(Kept::Candidates)
            && !is_full(work)
            && table.needs_no_more_than(work.kept(Kept::Seen) as u64)
            && dialogue::is_read(work)
        {
            work.keep(Kept::IsEnded, 1);
            break;
        }
    }
    if work.kept(Kept::Mask) != 0 {
        work.forget_behind(work.kept(Kept::Number) * CHUNK);
    }
    // Where there was no room for more lines, a User-Agent may stand anywhere.
    if is_full(work) {
        work.keep(Kept::Compared, work.kept(Kept::Candidates));
        work.keep(Kept::Number, 0);
        work.keep(Kept::IsEnded, 0);
    }
    if !is_hostile(work) && work.kept(Kept::IsEnded) == 0 {
        user_agent::find(payload, work, table);
        compare(payload, work, table);
    }
    if table.has_contained() && !is_hostile(work) {
        contains::find(payload, work, table);
    }
    if !is_hostile(work) {
        marks::find(payload, destination, work, table);
    }
    Hit::from_number(work.kept(Kept::Hit) as u64)
}

/// Compares what may be a tool's.
#[inline(always)]
fn compare(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
    for _ in payload.rolled(CANDIDATES) {
        let number = work.kept(Kept::Compared);
        if number >= work.kept(Kept::Candidates)
            || !payload.take(Step::Compare(number), work, table)
        {
            break;
        }
        work.keep(Kept::Compared, number + 1);
        if is_hostile(work) {
            break;
        }
    }
}

/// Whether there was no room for more lines or values.
#[inline(always)]
fn is_full(work: &Work) -> bool {
    work.kept(Kept::IsFull) != 0 || work.kept(Kept::Candidates) == CANDIDATES
}

/// Whether a tool was found for which the packet may be dropped.
#[inline(always)]
fn is_hostile(work: &Work) -> bool {
    Hit::from_number(work.kept(Kept::Hit) as u64).is_hostile()
}
