//! Who a request is for, and whether it belongs to a dialogue: what behaviour is told by.
//!
//! Works on the text alone, as far as it has been read, and on where To and credentials stand in it.

use super::{
    text::{Kept, Noted, Work},
    value,
};
use crate::{
    field::Field,
    payload::{MAX_OFFSET, Payload},
    sender::{Sent, hash},
    swar,
};

/// How many times sixteen bytes of a To are searched for its end. What stands behind is not looked at.
const END_STEPS: usize = 32;
/// How many words behind the URI are searched for its closing bracket.
const URI_STEPS: usize = 48;
/// How many semicolons, and words without any, are gone through for a tag.
const TAG_STEPS: usize = 48;
/// How many bytes of a To are searched for its URI.
const MAX_DISPLAY_NAME: usize = 96;
/// How many words of a user count.
const USER_WORDS: usize = 8;

const WORD: usize = size_of::<u64>();

const TAG: u32 = u32::from_le_bytes(*b"tag\0");
const SIP: u32 = u32::from_le_bytes(*b"sip:");
const TEL: u32 = u32::from_le_bytes(*b"tel:");
const SIPS: u32 = u32::from_le_bytes(*b"sips");

/// How many bytes behind its name a To is read before it is said that no more need be.
const READ_AHEAD: usize = 256;

/// Whether as much of the To was read as one has, where it is noted at all.
#[inline(always)]
pub(super) fn is_read(work: &Work) -> bool {
    work.name_end(Noted::To) + READ_AHEAD <= work.kept(Kept::End)
}

/// Keeps as [`Kept::Flags`] what the request says of itself, and as [`Kept::User`] a hash of the user
/// that it is for, which begins with what is kept there; 0 where it is for none. Who a request is for
/// stands in its To where [`Kept::A`] is not 0, and otherwise in its URI.
#[inline(always)]
pub(super) fn note(payload: &impl Payload, work: &mut Work) {
    let is_in_to = work.kept(Kept::A) != 0;
    let mut flags = 0;
    if work.name_end(Noted::Credentials) != 0 {
        flags |= Sent::HAS_CREDENTIALS;
    }
    work.keep(Kept::Flags, flags as usize);
    work.close();
    work.keep(Kept::A, 0);
    let to = work.name_end(Noted::To);
    if to != 0 {
        find_end(payload, work, to);
        value::begin(payload, work, Field::To as usize, to);
    }
    // What has no colon is no field.
    work.keep(Kept::B, 0);
    if work.kept(Kept::A) != 0 {
        find_uri(payload, work);
        find_tag(payload, work);
    }
    if !is_in_to {
        work.keep(Kept::B, work.kept(Kept::Uri));
    }
    hash_user(payload, work);
}

/// Keeps as [`Kept::E`] where the To ends whose name ends at `from`, as far as it was read, or where no
/// more of it is looked at.
#[inline(always)]
fn find_end(payload: &impl Payload, work: &mut Work, from: usize) {
    work.keep(Kept::E, from + 2 * WORD * END_STEPS);
    for step in payload.rolled(END_STEPS) {
        let at = payload.opaque(from.wrapping_add(2 * WORD * step) as u64) as usize;
        // At the text's end there is one, if not before.
        if work.field_ends(at, 0) | work.field_ends(at, WORD) != 0 {
            work.keep(Kept::E, at);
            break;
        }
    }
    let at = work.kept(Kept::E) & MAX_OFFSET;
    let ends = work.field_ends(at, 0);
    let (ends, at) = match ends {
        0 => (work.field_ends(at, WORD), at + WORD),
        _ => (ends, at),
    };
    work.keep(Kept::E, at + swar::count_before_first(ends | 1 << 63));
}

/// Keeps as [`Kept::B`] where the URI begins of a To whose value begins at [`Kept::A`] and which ends at
/// [`Kept::E`]: behind the first bracket that does not stand in quotes, or else where the value begins
/// (RFC 3261 section 20.39). Keeps as [`Kept::Start`] from where on its parameters may stand: those
/// within brackets are the URI's, and all are the field's where there are none (section 20.10); 0 where
/// brackets do not close.
///
/// Without choices but those that end the loop, for the verifier's sake.
#[inline(always)]
fn find_uri(payload: &impl Payload, work: &mut Work) {
    let begin = work.kept(Kept::A) & MAX_OFFSET;
    work.keep(Kept::B, begin);
    work.keep(Kept::Start, begin);
    // Whether what follows stands in quotes, and whether a backslash stands before it.
    work.keep(Kept::C, 0);
    work.keep(Kept::D, 0);
    for step in payload.rolled(MAX_DISPLAY_NAME) {
        let at = begin + step;
        if at >= work.kept(Kept::E) {
            break;
        }
        let byte = u64::from(work.byte(at));
        let (is_quoted, is_escaped) = (work.kept(Kept::C) as u64, work.kept(Kept::D) as u64);
        let is = |this: u8| payload.is_0(byte ^ u64::from(this));
        if payload.opaque(is(b'<') & (1 ^ is_quoted)) != 0 {
            work.keep(Kept::B, at + 1);
            work.keep(Kept::Start, 0);
            break;
        }
        let is_quote = is(b'"') & (1 ^ is_escaped);
        work.keep(Kept::C, (is_quoted ^ is_quote) as usize);
        work.keep(Kept::D, (is(b'\\') & (1 ^ is_escaped)) as usize);
    }
    if work.kept(Kept::Start) != 0 {
        return;
    }
    let begin = work.kept(Kept::B) & MAX_OFFSET;
    for step in payload.rolled(URI_STEPS) {
        let at = payload.opaque(begin.wrapping_add(WORD * step) as u64) as usize;
        if at >= work.kept(Kept::E) {
            break;
        }
        let closes = swar::equal_exactly(work.word(at), b'>');
        if closes != 0 {
            work.keep(Kept::Start, at + swar::count_before_first(closes));
            break;
        }
    }
}

/// Adds to [`Kept::Flags`] whether a tag stands in what begins at [`Kept::Start`] and ends at
/// [`Kept::E`].
#[inline(always)]
fn find_tag(payload: &impl Payload, work: &mut Work) {
    let mut at = work.kept(Kept::Start) & MAX_OFFSET;
    if at == 0 {
        return;
    }
    let mut semicolons = swar::equal_exactly(work.word(at), b';');
    for _ in payload.rolled(TAG_STEPS) {
        if semicolons == 0 {
            at = payload.forget(at + WORD) & MAX_OFFSET;
            if at >= work.kept(Kept::E) {
                break;
            }
            semicolons = swar::equal_exactly(work.word(at), b';');
            continue;
        }
        let behind = at + swar::count_before_first(semicolons) + 1;
        // Blanks may stand around the name, those of folded lines too (RFC 3261 section 25.1, SEMI).
        let text = !blanks(work.word(behind)) & swar::TOP;
        let name_at = behind + swar::count_before_first(text | 1 << 63);
        let name = work.half(name_at);
        let is_named = payload.is_0(u64::from((name & 0xff_ffff | 0x20_2020) ^ TAG));
        let next = u64::from(name >> 24);
        let is = |this: u8| payload.is_0(next ^ u64::from(this));
        let is_tag = is_named & (is(b'=') | is(b' ') | is(b'\t'));
        if payload.opaque(is_tag) != 0 && name_at < work.kept(Kept::E) {
            work.keep(
                Kept::Flags,
                work.kept(Kept::Flags) | Sent::IN_DIALOGUE as usize,
            );
            break;
        }
        semicolons &= semicolons - 1;
    }
}

/// Flags blanks and what ends a line.
#[inline(always)]
fn blanks(word: u64) -> u64 {
    swar::equal_exactly(word, b' ')
        | swar::equal_exactly(word, b'\t')
        | swar::equal_exactly(word, b'\r')
        | swar::equal_exactly(word, b'\n')
}

/// Goes on with the hash at [`Kept::User`] over the user of the URI that begins at [`Kept::B`].
#[inline(always)]
fn hash_user(payload: &impl Payload, work: &mut Work) {
    let begin = work.kept(Kept::B) & MAX_OFFSET;
    let scheme = work.half(begin) | 0x20_2020;
    let mut at = begin + 4;
    let is_sips = work.half(begin) | 0x2020_2020 == SIPS && work.byte(at) == b':';
    let is_tel = scheme == TEL;
    let mut user = work.kept(Kept::User) as u64;
    work.keep(Kept::User, 0);
    if begin == 0 || !(is_sips || is_tel || scheme == SIP) {
        return;
    }
    at += is_sips as usize;
    let mut is_whole = false;
    for _ in payload.rolled(USER_WORDS) {
        let word = work.word(at);
        let at_signs = swar::equal_exactly(word, b'@');
        let ends = at_signs | others(word);
        // A password and parameters are not the user (RFC 3261 section 25.1, userinfo).
        let cuts = swar::equal_exactly(word, b':') | swar::equal_exactly(word, b';');
        if !is_whole {
            let length = swar::count_before_first(ends | cuts | 1 << 63);
            let is_cut = ends | cuts != 0;
            let kept = if is_cut {
                swar::mask_below(length)
            } else {
                u64::MAX
            };
            user = hash(user, word & kept);
            is_whole = is_cut;
        }
        if ends != 0 {
            // Of `sip:host` nothing is a user; of a telephone number all is.
            if at_signs & ends & ends.wrapping_neg() == 0 && !is_tel {
                return;
            }
            break;
        }
        at = payload.forget(at + WORD) & MAX_OFFSET;
    }
    // As much of a longer one as counts.
    work.keep(Kept::User, (user | 1) as usize);
}

/// Flags what no user holds: it ends the host of a URI that names none.
#[inline(always)]
fn others(word: u64) -> u64 {
    swar::equal_exactly(word, b'>') | blanks(word)
}
