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

/// How many bytes of a To are searched for its tag, a word at a time, and how many semicolons and
/// words that makes.
const TAG_STEPS: usize = 48;
/// How many bytes of a To are searched for its URI.
const MAX_DISPLAY_NAME: usize = 96;
/// How many words of a user count.
const USER_WORDS: usize = 8;

const TAG: u32 = u32::from_le_bytes(*b"tag=");
const SIP: u32 = u32::from_le_bytes(*b"sip:");
const TEL: u32 = u32::from_le_bytes(*b"tel:");
const SIPS: u32 = u32::from_le_bytes(*b"sips");

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
    let to = work.name_end(Noted::To);
    if to != 0 {
        let end = work.end(payload, Noted::To);
        work.keep(Kept::E, end);
        find_tag(payload, work, to);
    }
    work.keep(Kept::B, work.kept(Kept::Uri));
    if is_in_to {
        work.keep(Kept::B, 0);
        if to != 0 {
            find_uri(payload, work, to);
        }
    }
    hash_user(payload, work);
}

/// Adds to [`Kept::Flags`] whether a tag stands in what begins at `at` and ends at [`Kept::E`].
#[inline(always)]
fn find_tag(payload: &impl Payload, work: &mut Work, at: usize) {
    let mut at = at;
    let mut semicolons = swar::equal_exactly(work.word(at), b';');
    for _ in payload.rolled(TAG_STEPS) {
        if semicolons == 0 {
            at = payload.forget(at + 8) & MAX_OFFSET;
            if at >= work.kept(Kept::E) {
                break;
            }
            semicolons = swar::equal_exactly(work.word(at), b';');
            continue;
        }
        let behind = at + swar::count_before_first(semicolons) + 1;
        if work.half(behind) | 0x20_2020 == TAG && behind < work.kept(Kept::E) {
            work.keep(
                Kept::Flags,
                work.kept(Kept::Flags) | Sent::IN_DIALOGUE as usize,
            );
            break;
        }
        semicolons &= semicolons - 1;
    }
}

/// Keeps as [`Kept::B`] where the URI begins of a To whose name ends at `at` and which ends at
/// [`Kept::E`]: behind the first bracket that does not stand in quotes, or else where the value begins
/// (RFC 3261 section 20.39).
///
/// Without choices but those that end the loop, for the verifier's sake.
#[inline(always)]
fn find_uri(payload: &impl Payload, work: &mut Work, at: usize) {
    value::begin(payload, work, Field::To as usize, at);
    let begin = work.kept(Kept::A) & MAX_OFFSET;
    work.keep(Kept::B, begin);
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
            break;
        }
        let is_quote = is(b'"') & (1 ^ is_escaped);
        work.keep(Kept::C, (is_quoted ^ is_quote) as usize);
        work.keep(Kept::D, (is(b'\\') & (1 ^ is_escaped)) as usize);
    }
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
        at = payload.forget(at + 8) & MAX_OFFSET;
    }
    // As much of a longer one as counts.
    work.keep(Kept::User, (user | 1) as usize);
}

/// Flags what no user holds: it ends the host of a URI that names none.
#[inline(always)]
fn others(word: u64) -> u64 {
    swar::equal_exactly(word, b'>')
        | swar::equal_exactly(word, b'\r')
        | swar::equal_exactly(word, b'\n')
        | swar::equal_exactly(word, b' ')
}
