//! Signatures that are not strings: what gives a tool away by its shape alone.
//!
//! Each looks at the end of a header field's line first, where a few bytes tell nearly every
//! honest value apart, and only then at the whole.

use super::{
    Destination,
    text::{Kept, Noted, Work},
};
use crate::{
    field::Detector,
    payload::{MAX_OFFSET, Payload},
    signature::{Hit, SignatureTable},
    swar,
};

/// How long what SIPVicious remembers in a tag may be, in bytes of it.
const MAX_REMEMBERED: usize = 48;
/// The fewest and most digits of the number behind it: of 32 bits, and few of these are small.
const MIN_DIGITS: usize = 6;
const MAX_DIGITS: usize = 10;
/// The length of SIPPTS's branch, in bytes.
const SIPPTS_BRANCH: usize = 71;
/// How long a Call-ID of digits may be, in bytes.
const MAX_CALL_ID: usize = 48;

/// Digits in hex: 3, then the digit.
const HEX_DIGITS: u64 = swar::word(b"3\x303\x303\x303\x30");
/// The bits that tell them.
const HEX_KEPT: u64 = swar::word(b"\xff\xf0\xff\xf0\xff\xf0\xff\xf0");
/// What Metasploit's tag ends with, and svcrack's.
const METASPLOIT_TAG: u64 = swar::word(b"70c00e8c");
const SVCRACK_TAG: u64 = swar::word(b"06210844");
const BRANCH: u64 = swar::word(b";branch=");
const ALIAS: u64 = swar::word(b"rt;alias");

/// Finds what the detectors name, and keeps it as [`Kept::Hit`].
#[inline(always)]
pub(super) fn find(
    payload: &impl Payload,
    destination: &Destination,
    work: &mut Work,
    table: &SignatureTable,
) {
    let no = Detector::COUNT;
    work.keep(Kept::A, no);
    from_tag(payload, destination, work);
    note(work, table);
    via(payload, work);
    note(work, table);
}

/// Takes over what the detector kept as `A` names.
#[inline(always)]
fn note(work: &mut Work, table: &SignatureTable) {
    if work.kept(Kept::A) == Detector::COUNT {
        return;
    }
    let hit = Hit::from_number(work.kept(Kept::Hit) as u64);
    let hit = hit.or(table.detector(work.kept(Kept::A)));
    work.keep(Kept::Hit, hit.number() as usize);
    work.keep(Kept::A, Detector::COUNT);
}

/// Keeps as [`Kept::B`] where the value of a field ends, before its line end; 0 where the field does
/// not stand there.
#[inline(always)]
fn keep_end(payload: &impl Payload, work: &mut Work, field: Noted) {
    let feed = work.end(payload, field);
    let is_cr = payload.is_0(u64::from(work.byte(feed.wrapping_sub(1)) ^ b'\r')) as usize;
    work.keep(Kept::B, feed.wrapping_sub(is_cr) & MAX_OFFSET);
}

/// The eight bytes before `end`.
#[inline(always)]
fn word_before(work: &Work, end: usize) -> u64 {
    work.word(end.wrapping_sub(8))
}

#[inline(always)]
fn from_tag(payload: &impl Payload, destination: &Destination, work: &mut Work) {
    keep_end(payload, work, Noted::From);
    let end = work.kept(Kept::B) & MAX_OFFSET;
    let last = word_before(work, end);
    if last & HEX_KEPT == HEX_DIGITS {
        sipvicious_tag(payload, destination, work);
        return;
    }
    let before = word_before(work, end.wrapping_sub(8));
    if last == METASPLOIT_TAG && before >> 24 == swar::word(b";tag=") {
        work.keep(Kept::A, Detector::MetasploitTag as usize);
    }
    if last == SVCRACK_TAG && before >> 8 == swar::word(b";tag=32") {
        work.keep(Kept::A, Detector::SvcrackTag as usize);
    }
}

/// SIPVicious's tag (svhelper.py, createTag): in hex what the tool wants to remember of the
/// target, a byte of 1, and a decimal number. What svmap remembers is the address and the port
/// that it sends to, both in hex already.
///
/// Read from its end, two hex digits at a time. The From's value ends at what is kept as `B`.
#[inline(always)]
fn sipvicious_tag(payload: &impl Payload, destination: &Destination, work: &mut Work) {
    const TAG: u64 = swar::word(b";tag=");
    let end = work.kept(Kept::B) & MAX_OFFSET;
    work.keep(Kept::B, 0);
    for digits in payload.rolled(MAX_DIGITS + 1) {
        let digits = payload.opaque(digits as u64) as usize;
        let at = end.wrapping_sub(2 * digits) & MAX_OFFSET;
        let pair = (word_before(work, at) >> 48) as u16;
        if pair == u16::from_le_bytes(*b"01") {
            if digits >= MIN_DIGITS {
                work.keep(Kept::B, at.wrapping_sub(2) & MAX_OFFSET);
            }
            break;
        }
        let [three, digit] = pair.to_le_bytes();
        if three != b'3' || !digit.is_ascii_digit() {
            break;
        }
    }
    let end = work.kept(Kept::B) & MAX_OFFSET;
    if end == 0 {
        return;
    }
    // The last sixteen digits that were remembered, as a number, and whether all are digits.
    let (mut remembered, mut others) = (0_u64, 0);
    work.keep(Kept::C, 0);
    for pairs in payload.rolled(MAX_REMEMBERED) {
        let pairs = payload.opaque(pairs as u64) as usize;
        let at = end.wrapping_sub(2 * pairs) & MAX_OFFSET;
        let before = word_before(work, at);
        if before >> 24 == TAG {
            work.keep(Kept::C, pairs);
            break;
        }
        let high = nibble((before >> 48) as u8);
        let low = nibble((before >> 56) as u8);
        if (high | low) & NO_DIGIT != 0 {
            break;
        }
        let digit = nibble((high << 4 | low) as u8);
        others |= digit & NO_DIGIT;
        remembered = remembered >> 4 | (digit & 0xf) << 60;
    }
    let length = work.kept(Kept::C);
    if length == 0 {
        return;
    }
    work.keep(Kept::A, Detector::SipviciousTag as usize);
    // Read from the end, the twelve digits have come to stand highest.
    let target = (destination.ipv4() as u64) << 16 | destination.port as u64;
    if others == 0 && length == 12 && destination.is_ipv4() && remembered >> 16 == target {
        work.keep(Kept::A, Detector::SipviciousTarget as usize);
        return;
    }
    if has_sipvicious_branch(payload, work) && has_decimal_call_id(payload, work) {
        work.keep(Kept::A, Detector::SipviciousShape as usize);
    }
}

/// In what [`nibble`] gives: the byte is no hex digit.
const NO_DIGIT: u64 = 0xf00;

/// The values of hex digits by byte.
static NIBBLES: [u16; 256] = {
    let mut nibbles = [NO_DIGIT as u16; 256];
    let mut digit = 0;
    while digit < 16 {
        nibbles[b"0123456789abcdef"[digit] as usize] = digit as u16;
        nibbles[b"0123456789ABCDEF"[digit] as usize] = digit as u16;
        digit += 1;
    }
    nibbles
};

/// The value of a hex digit, or [`NO_DIGIT`].
#[inline(always)]
fn nibble(byte: u8) -> u64 {
    NIBBLES[byte as usize] as u64
}

const RPORT: u64 = swar::word(b";rport");

/// SIPVicious's branch (svhelper.py, makeRequest): the magic cookie, a hyphen and a decimal
/// number, and then `;rport`. A phone stack (Doubango) sends the same, so it proves nothing alone.
#[inline(always)]
fn has_sipvicious_branch(payload: &impl Payload, work: &mut Work) -> bool {
    const COOKIE: u64 = swar::word(b"z9hG4bK-");
    keep_end(payload, work, Noted::Via);
    let end = work.kept(Kept::B) & MAX_OFFSET;
    if word_before(work, end) >> 16 != RPORT {
        return false;
    }
    let end = end.wrapping_sub(6);
    work.keep(Kept::B, 0);
    for digits in payload.rolled(MAX_DIGITS + 1) {
        let digits = payload.opaque(digits as u64) as usize;
        let before = word_before(work, end.wrapping_sub(digits));
        if before == COOKIE {
            work.keep(Kept::B, digits);
            break;
        }
        if !((before >> 56) as u8).is_ascii_digit() {
            break;
        }
    }
    work.kept(Kept::B) != 0
}

/// SIPVicious's Call-ID: a decimal number, without a host.
#[inline(always)]
fn has_decimal_call_id(payload: &impl Payload, work: &mut Work) -> bool {
    keep_end(payload, work, Noted::CallId);
    let end = work.kept(Kept::B) & MAX_OFFSET;
    work.keep(Kept::B, 0);
    for digits in payload.rolled(MAX_CALL_ID) {
        let digits = payload.opaque(digits as u64) as usize;
        match work.byte(end.wrapping_sub(digits + 1)) {
            b'0'..=b'9' => {}
            b' ' | b':' | b'\t' => {
                work.keep(Kept::B, digits);
                break;
            }
            _ => break,
        }
    }
    work.kept(Kept::B) >= MIN_DIGITS
}

/// What a Via's branch shows: all that is looked for stands at a fixed distance from its end.
#[inline(always)]
fn via(payload: &impl Payload, work: &mut Work) {
    const COOKIE: u64 = swar::word(b"z9hG4bK.");
    keep_end(payload, work, Noted::Via);
    let end = work.kept(Kept::B) & MAX_OFFSET;
    let last = word_before(work, end);
    if last == ALIAS
        && word_before(work, end.wrapping_sub(4)) == swar::word(b";rport;a")
        && has_max_forwards_20(payload, work)
    {
        let end = end.wrapping_sub(12);
        let before = word_before(work, end);
        let random = word_before(work, end.wrapping_sub(8));
        if random == COOKIE
            && word_before(work, end.wrapping_sub(16)) == BRANCH
            && hex_digits(before)
        {
            work.keep(Kept::A, Detector::MetasploitBranch as usize);
            return;
        }
        // Six letters, a full stop and ten digits (zmap, examples/udp-probes).
        let ten = word_before(work, end.wrapping_sub(2));
        if word_before(work, end.wrapping_sub(17)) == BRANCH
            && (random >> 40) as u8 == b'.'
            && decimal_digits(before)
            && decimal_digits(ten)
            && letters(word_before(work, end.wrapping_sub(11)) | 0xffff)
        {
            work.keep(Kept::A, Detector::ZmapTemplate as usize);
        }
        return;
    }
    // SIPPTS's branch (src/sippts/lib/functions.py) has no magic cookie; with or without rport.
    let behind = if last >> 16 == RPORT { 6 } else { 0 };
    work.keep(Kept::B, end.wrapping_sub(behind));
    let end = work.kept(Kept::B) & MAX_OFFSET;
    if word_before(work, end.wrapping_sub(SIPPTS_BRANCH)) != BRANCH {
        return;
    }
    let begin = work.word(end.wrapping_sub(SIPPTS_BRANCH));
    if swar::lower(begin) & swar::mask(7) == swar::word(b"z9hg4bk") {
        return;
    }
    let mut others = 0;
    for at in payload.rolled(SIPPTS_BRANCH) {
        let at = payload.opaque(at as u64) as usize;
        let byte = work.byte(end.wrapping_sub(at + 1));
        others |= IS_OTHER[byte as usize];
    }
    if others == 0 {
        work.keep(Kept::A, Detector::SipptsBranch as usize);
    }
}

/// How many times eight bytes are searched for Max-Forwards: in both tools' requests it stands among
/// the first fields.
const MANY_WORDS: usize = 64;

/// Whether a Max-Forwards of 20 stands in the header, as Metasploit's and zmap's.
#[inline(always)]
fn has_max_forwards_20(payload: &impl Payload, work: &mut Work) -> bool {
    const LINE: [u64; 2] = [swar::word(b"\nMax-For"), swar::word(b"wards: 2")];
    const END: u16 = u16::from_le_bytes(*b"0\r");
    work.keep(Kept::C, 0);
    for step in payload.rolled(MANY_WORDS) {
        let at = payload.opaque(8 * step as u64) as usize;
        // The first M of eight bytes, or their last byte.
        let flags = swar::equal_exactly(work.word(at), b'M') | 1 << 63;
        let feed = (at + swar::count_before_first(flags)).wrapping_sub(1);
        if [work.word(feed), work.word_behind(feed, 1)] == LINE
            && work.quarter(feed + 16) == END
            && feed < work.kept(Kept::HeaderEnd)
            && feed + 18 <= work.kept(Kept::End)
        {
            work.keep(Kept::C, 1);
            break;
        }
    }
    work.kept(Kept::C) != 0
}

/// The length of the Call-ID of nmap's scripts, in bytes, and of what stands in a Via before and in
/// its branch.
const NMAP_CALL_ID: usize = 60;
const NMAP_BRANCH: usize = 14 + 32;
/// How far behind a Via's name that is looked for, in bytes.
const NMAP_VIA: usize = 72;

/// Whether Call-ID and branch are as nmap's scripts make them (nselib/sip.lua): sixty letters, digits
/// and underscores without a host; and behind `;rport` the magic cookie and 25 other bytes, to the
/// line's end.
#[inline(always)]
pub(super) fn is_nmap_script(payload: &impl Payload, work: &mut Work) -> bool {
    const RPORT_BRANCH: [u64; 2] = [swar::word(b";rport;b"), swar::word(b"ranch=z9")];
    // A blank stands behind the colon, as in whatever the scripts send.
    let via = work.name_end(Noted::Via);
    let call_id = work.name_end(Noted::CallId);
    // What has not been read is another packet's. Both stand before the CSeq, where the scripts send it.
    let end = work.kept(Kept::End);
    if via == 0 || call_id == 0 || call_id + 2 + NMAP_CALL_ID >= end {
        return false;
    }
    work.keep(Kept::B, 0);
    for behind in payload.rolled(NMAP_VIA) {
        let at = payload.opaque((via + behind) as u64) as usize;
        if at + NMAP_BRANCH >= end {
            break;
        }
        if work.word(at) == RPORT_BRANCH[0] {
            work.keep(Kept::B, at);
            break;
        }
    }
    let at = work.kept(Kept::B) & MAX_OFFSET;
    if at == 0
        || work.word(at + 8) != RPORT_BRANCH[1]
        || work.word(at + 16) & swar::mask(5) != swar::word(b"hG4bK")
        || !matches!(work.byte(at + NMAP_BRANCH), b'\r' | b'\n')
    {
        return false;
    }
    work.keep(Kept::B, 0);
    for length in payload.rolled(NMAP_CALL_ID + 1) {
        let at = payload.opaque((call_id + 2 + length) as u64) as usize;
        let byte = work.byte(at);
        if IS_NO_WORD[byte as usize] != 0 {
            work.keep(Kept::B, length);
            break;
        }
    }
    let end = work.byte(call_id + 2 + NMAP_CALL_ID);
    work.kept(Kept::B) == NMAP_CALL_ID && matches!(end, b'\r' | b'\n')
}

/// Not 0 for every byte but letters, digits and the underscore.
static IS_NO_WORD: [u8; 256] = {
    let mut others = [1; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            others[byte as usize] = 0;
        }
        byte += 1;
    }
    others
};

/// Not 0 for every byte but lower-case letters and digits.
static IS_OTHER: [u8; 256] = {
    let mut others = [1; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() {
            others[byte as usize] = 0;
        }
        byte += 1;
    }
    others
};

const TOP: u64 = swar::splat(0x80);

/// Flags the bytes of an ASCII word that are from `first` to `last`.
#[inline(always)]
const fn between(word: u64, first: u8, last: u8) -> u64 {
    let low = word & !TOP;
    let from = low + swar::splat(0x80 - first);
    let after = low + swar::splat(0x7f - last);
    (from & !after) & !word & TOP
}

#[inline(always)]
fn decimal_digits(word: u64) -> bool {
    between(word, b'0', b'9') == TOP
}

#[inline(always)]
fn hex_digits(word: u64) -> bool {
    between(word, b'0', b'9') | between(word, b'a', b'f') == TOP
}

/// Whether the six highest bytes are letters.
#[inline(always)]
fn letters(word: u64) -> bool {
    const SIX: u64 = TOP & !0xffff;
    between(swar::lower(word), b'a', b'z') & SIX == SIX
}
