//! The start line: request, response, keepalive or malformed.
//!
//! Nearly every datagram is decided by its first bytes; only what they leave open (an
//! unknown method, an odd URI scheme) has its whole first line searched for the SIP version.

use super::text::{Kept, Work};
use crate::{
    payload::{MAX_OFFSET, Payload, last_word},
    perfect_hash::{self, slot},
    sip::MessageClass,
    swar,
};

/// CR and LF before the start line are skipped (RFC 3261 section 7.5), so many of them.
const MAX_LEADING: usize = 32;
/// The longest first line that is searched for its version, in bytes.
const MAX_LINE: usize = 512;
/// The longest method of its own make, in bytes.
const MAX_METHOD: usize = 64;

/// A known method and the blank behind it.
#[derive(Clone, Copy)]
struct Method {
    /// The first eight bytes, the rest zero.
    head: u64,
    /// Of the head, the bytes that count.
    mask: u64,
    /// The last eight bytes of what is longer than eight.
    tail: u64,
    /// In bytes, with the blank. A byte, so that the verifier can bound what is added to it.
    length: u8,
    /// What of the length is beyond eight: stored, because the verifier takes the difference for
    /// possibly negative.
    beyond: u8,
    class: MessageClass,
}

const fn method(name: &[u8], class: MessageClass) -> Method {
    let mask = swar::mask(if name.len() < 8 { name.len() } else { 8 });
    let tail = if name.len() > 8 {
        swar::word(name.split_at(name.len() - 8).1)
    } else {
        0
    };
    let length = name.len() as u8;
    Method {
        head: swar::word(name),
        mask,
        tail,
        length,
        beyond: length.saturating_sub(8),
        class,
    }
}

const METHODS: [Method; 14] = [
    method(b"REGISTER ", MessageClass::Register),
    method(b"INVITE ", MessageClass::Invite),
    method(b"ACK ", MessageClass::Ack),
    method(b"BYE ", MessageClass::Bye),
    method(b"CANCEL ", MessageClass::Cancel),
    method(b"OPTIONS ", MessageClass::Options),
    method(b"PRACK ", MessageClass::Prack),
    method(b"SUBSCRIBE ", MessageClass::Subscribe),
    method(b"NOTIFY ", MessageClass::Notify),
    method(b"PUBLISH ", MessageClass::Publish),
    method(b"INFO ", MessageClass::Info),
    method(b"REFER ", MessageClass::Refer),
    method(b"MESSAGE ", MessageClass::Message),
    method(b"UPDATE ", MessageClass::Update),
];

const SLOTS: usize = 32;

/// What a method is filed under: its first four bytes, which are its own.
const MULTIPLIER: u32 = {
    let mut heads = [0; METHODS.len()];
    let mut at = 0;
    while at < METHODS.len() {
        heads[at] = METHODS[at].head as u32;
        at += 1;
    }
    perfect_hash::multiplier::<SLOTS>(&heads)
};

/// The methods by [`slot`]. An empty slot compares unequal to anything.
static BY_FIRST_BYTES: [Method; SLOTS] = {
    let empty = Method {
        head: 1,
        mask: 0,
        tail: 0,
        length: 0,
        beyond: 0,
        class: MessageClass::Other,
    };
    let mut slots = [empty; SLOTS];
    let mut at = 0;
    while at < METHODS.len() {
        slots[slot::<SLOTS>(METHODS[at].head as u32, MULTIPLIER)] = METHODS[at];
        at += 1;
    }
    slots
};

/// Keeps what the datagram is as [`Kept::A`], where its start line begins, behind the line ends that
/// may precede it, as [`Kept::B`], and where a request's URI begins as [`Kept::C`]: in bytes from
/// the payload's start.
#[inline(always)]
pub(super) fn classify(payload: &impl Payload, work: &mut Work) {
    work.keep(Kept::A, MessageClass::Keepalive as usize);
    work.keep(Kept::B, 0);
    if let Some((class, uri)) = from_first_bytes(payload) {
        work.keep(Kept::A, class as usize);
        work.keep(Kept::C, uri);
        return;
    }
    let payload = &payload.apart();
    if is_short_keepalive(payload) {
        return;
    }
    let payload = &payload.apart();
    if is_stun(payload) {
        return;
    }
    let payload = &payload.apart();
    if !skip_line_ends(payload, work) {
        return;
    }
    work.keep(Kept::A, MessageClass::Malformed as usize);
    from_first_line(&payload.apart(), work);
}

/// What the first bytes alone settle, and where the URI begins.
#[inline(always)]
pub(super) fn from_first_bytes(payload: &impl Payload) -> Option<(MessageClass, usize)> {
    let (class, after) = known_start(payload, 0)?;
    (class as u8 == MessageClass::Response as u8 || has_sip_uri(payload, after))
        .then_some((class, after))
}

/// A known method and its blank, or a status line's version, at `at`; with the offset after it.
#[inline(always)]
fn known_start(payload: &impl Payload, at: usize) -> Option<(MessageClass, usize)> {
    let first = payload.u64_at(at)?;
    let method = &BY_FIRST_BYTES[slot::<SLOTS>(first as u32, MULTIPLIER)];
    if first & method.mask == method.head {
        let beyond = method.beyond as usize;
        if beyond == 0 || payload.u64_at(at + beyond)? == method.tail {
            return Some((method.class, at + method.length as usize));
        }
    }
    let digit = payload.u8_at(at + 8)?;
    let is_status_line = swar::lower(first) == swar::word(b"sip/2.0 ") && digit.is_ascii_digit();
    is_status_line.then_some((MessageClass::Response, at + 8))
}

/// Whether a URI with a scheme of SIP's stands at `at`.
#[inline(always)]
fn has_sip_uri(payload: &impl Payload, at: usize) -> bool {
    const SCHEMES: [u64; 3] = [
        swar::word(b"sip:"),
        swar::word(b"sips"),
        swar::word(b"tel:"),
    ];
    match payload.u32_at(at) {
        Some(scheme) => {
            let scheme = swar::lower(scheme as u64);
            scheme == SCHEMES[0] || scheme == SCHEMES[1] || scheme == SCHEMES[2]
        }
        None => false,
    }
}

/// Nothing at all, or zero bytes alone, four at most: some phones send as many.
#[inline(always)]
fn is_short_keepalive(payload: &impl Payload) -> bool {
    match payload.len() {
        0 => true,
        // Up to a constant: old verifiers learn nothing where a loop ends at an unknown number.
        1..=4 => (0..4).all(|at| at >= payload.len() || payload.u8_at(at) == Some(0)),
        _ => false,
    }
}

/// STUN, with the magic cookie of RFC 8489 section 5 or as a binding message of RFC 3489
/// section 11.1 without it.
#[inline(always)]
fn is_stun(payload: &impl Payload) -> bool {
    const HEADER: usize = 20;
    const COOKIE: u32 = 0x2112_a442_u32.swap_bytes();
    let (Some(head), Some(cookie)) = (payload.u32_at(0), payload.u32_at(4)) else {
        return false;
    };
    let kind = (head as u16).swap_bytes();
    let length = ((head >> 16) as u16).swap_bytes();
    if kind & 0xc000 != 0 || length & 3 != 0 || payload.len() != HEADER + length as usize {
        return false;
    }
    // Binding request, indication, response and error.
    cookie == COOKIE || kind & 0xfeef == 0x0001
}

/// Keeps the offset of the first byte that is neither CR nor LF as [`Kept::B`]; false where there
/// is no other.
#[inline(always)]
fn skip_line_ends(payload: &impl Payload, work: &mut Work) -> bool {
    for at in payload.rolled(MAX_LEADING + 1) {
        work.keep(Kept::B, at);
        match payload.u8_at(at) {
            Some(b'\r' | b'\n') => {}
            Some(_) => return true,
            None => return false,
        }
    }
    true
}

/// What the first line settles that begins at what is kept as [`Kept::B`]: a request when it is a
/// method, a blank, and ends in a blank and a SIP version.
#[inline(always)]
fn from_first_line(payload: &impl Payload, work: &mut Work) {
    /// More than any class.
    const UNKNOWN: usize = 0xff;
    let start = work.kept(Kept::B) & MAX_OFFSET;
    work.keep(Kept::D, UNKNOWN);
    if let Some((class, after)) = known_start(payload, start) {
        work.keep(Kept::D, class as usize);
        work.keep(Kept::C, after);
    }
    let payload = &payload.apart();
    let class = work.kept(Kept::D);
    if class == MessageClass::Response as usize {
        work.keep(Kept::A, class);
        return;
    }
    // First, because what is no SIP at all seldom begins with a method.
    if class == UNKNOWN {
        after_method(payload, work);
        if work.kept(Kept::C) == 0 {
            return;
        }
        work.keep(Kept::D, MessageClass::Other as usize);
    }
    let payload = &payload.apart();
    find_line_feed(payload, work);
    if ends_in_version(&payload.apart(), work) {
        let class = work.kept(Kept::D);
        work.keep(Kept::A, class);
    }
}

/// Whether the line from [`Kept::B`] to the line feed at [`Kept::E`] ends in ` SIP/` digit `.`
/// digit, in any case, and a URI stands between that and [`Kept::C`], where the method and its
/// blank end.
#[inline(always)]
fn ends_in_version(payload: &impl Payload, work: &Work) -> bool {
    const VERSION: u64 = swar::word(b" sip/\0.\0");
    const TEXT: u64 = swar::word(b"\xff\xff\xff\xff\xff\0\xff\0");
    let after = work.kept(Kept::C) & MAX_OFFSET;
    let end = work.kept(Kept::E) & MAX_OFFSET;
    // The version ends at the LF, or one before it where a CR precedes.
    let (Some(with_cr), Some(with_lf)) = (
        payload.u64_at(end.wrapping_sub(9) & MAX_OFFSET),
        payload.u64_at(end.wrapping_sub(8) & MAX_OFFSET),
    ) else {
        return false;
    };
    let (version, begins) = if (with_lf >> 56) as u8 == b'\r' {
        (with_cr, end.wrapping_sub(9))
    } else {
        (with_lf, end.wrapping_sub(8))
    };
    begins > after
        && begins < end
        && swar::lower(version) & TEXT == VERSION
        && ((version >> 40) as u8).is_ascii_digit()
        && ((version >> 56) as u8).is_ascii_digit()
}

/// Keeps as [`Kept::E`] where the first line feed from [`Kept::B`] on stands; 0 where there is none.
#[inline(always)]
fn find_line_feed(payload: &impl Payload, work: &mut Work) {
    let start = work.kept(Kept::B) & MAX_OFFSET;
    work.keep(Kept::E, 0);
    for step in payload.rolled(MAX_LINE / 8) {
        let at = start + step * 8;
        let Some(word) = payload.u64_at(at) else {
            // Less than eight bytes are left.
            let last = payload.len().wrapping_sub(at);
            let word = last_word(payload, payload.forget(at) & MAX_OFFSET);
            let feeds = swar::equal(word, b'\n') & swar::mask_up_to_eight(last);
            if feeds != 0 {
                work.keep(Kept::E, at + swar::count_before_first(feeds));
            }
            break;
        };
        let feeds = swar::equal(word, b'\n');
        if feeds != 0 {
            work.keep(Kept::E, at + swar::count_before_first(feeds));
            break;
        }
    }
}

/// Keeps as [`Kept::C`] the offset behind a token (RFC 3261 section 25.1) and a blank at
/// [`Kept::B`], or 0 if they are not there.
#[inline(always)]
fn after_method(payload: &impl Payload, work: &mut Work) {
    let start = work.kept(Kept::B) & MAX_OFFSET;
    work.keep(Kept::C, 0);
    for at in payload.rolled(MAX_METHOD + 1) {
        let Some(byte) = payload.u8_at(start + at) else {
            break;
        };
        if IS_TOKEN[byte as usize] == 0 {
            if byte == b' ' && at > 0 {
                work.keep(Kept::C, start + at + 1);
            }
            break;
        }
    }
}

/// Not 0 for each ASCII character of RFC 3261's `token`.
static IS_TOKEN: [u8; 256] = {
    let mut tokens = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
            )
        {
            tokens[byte as usize] = 1;
        }
        byte += 1;
    }
    tokens
};
