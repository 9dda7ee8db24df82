//! Values: where they begin and end, and which pattern they begin with.

use super::{
    Step,
    text::{Kept, Work},
};
use crate::{
    field::Field,
    payload::{CHUNK, MAX_OFFSET, Payload},
    signature::{self, Hit, MAX_CHAIN, MAX_PATTERN, SignatureTable, WORDS},
    swar,
};

/// How many times eight blanks, or blanks and a folded line's beginning, may stand on either side
/// of the colon.
const BLANKS: usize = 8;
/// How many bytes these are at the most, with a carriage return and a line feed each time.
const SKIPPED: usize = BLANKS * (8 + 3);
/// How many bytes behind a value's beginning are looked at.
const REACH: usize = MAX_PATTERN + 16;

/// Compares the candidate with this number, and keeps the tool that is found: the first one that may
/// be dropped, or else the first one. `false` where the text behind it has yet to be read.
///
/// Without choices but those that end the loop, for the verifier's sake.
#[inline(always)]
pub(super) fn compare(
    payload: &impl Payload,
    work: &mut Work,
    table: &SignatureTable,
    candidate: usize,
) -> bool {
    let (field, name_end, line) = work.candidate(candidate);
    // The header may end before it, in a chunk that has not been gone through.
    if work.kept(Kept::Mask) != 0 && line / CHUNK == work.kept(Kept::Number) {
        return false;
    }
    if name_end >= work.kept(Kept::HeaderEnd) {
        return true;
    }
    begin(payload, work, field, name_end);
    let at = work.kept(Kept::A) & MAX_OFFSET;
    // Where there is no colon, it may follow as many blanks as are skipped.
    let is_unread =
        at + REACH > work.kept(Kept::End) || at == 0 && name_end + SKIPPED > work.kept(Kept::End);
    if is_unread && work.kept(Kept::IsRead) == 0 {
        return false;
    }
    if at == 0 {
        return true;
    }
    let before = work.kept(Kept::Hit);
    work.keep(Kept::C, before);
    let key = work.half(at + SignatureTable::key_at(field));
    let first = table.head(signature::bit(field as u8), key);
    compare_chain(payload, work, table, (field, at), first as usize);
    let first = table.short(field);
    compare_chain(payload, work, table, (field, at), first as usize);
    // Not in the loop, where each choice counts.
    let (before, hit) = (work.kept(Kept::C), work.kept(Kept::Hit));
    if hit != before {
        let signature = Hit::from_number(hit as u64).signature();
        if table.entry(signature + 1).has_shape != 0 && !payload.take(Step::NmapScript, work, table)
        {
            work.keep(Kept::Hit, before);
        }
    }
    true
}

/// Compares a value, of a field and where it begins, with a chain of patterns.
#[inline(always)]
fn compare_chain(
    payload: &impl Payload,
    work: &mut Work,
    table: &SignatureTable,
    (field, at): (usize, usize),
    first: usize,
) {
    let mut link = first;
    for _ in payload.rolled(MAX_CHAIN) {
        if link == 0 {
            break;
        }
        let (number, next) = table.link(link);
        link = next;
        let entry = table.entry(number);
        let mut difference =
            (entry.field as usize ^ field) as u64 | entry.difference(0, work.word(at));
        if difference != 0 {
            continue;
        }
        for word in 1..WORDS {
            difference |= entry.difference(word, work.word_behind(at, word));
        }
        if difference != 0 {
            continue;
        }
        if entry.is_exact != 0 && end_at(payload, work, field, at + entry.length as usize) == 0 {
            continue;
        }
        let new = Hit::new(entry.found, number.wrapping_sub(1));
        let hit = Hit::from_number(work.kept(Kept::Hit) as u64).or(new);
        work.keep(Kept::Hit, hit.number() as usize);
        break;
    }
}

/// Keeps as [`Kept::A`] where the value begins of a field whose name ends at `name_end`; 0 where no
/// colon follows, or too many blanks do.
#[inline(always)]
pub(super) fn begin(payload: &impl Payload, work: &mut Work, field: usize, name_end: usize) {
    work.keep(Kept::A, name_end);
    if field == Field::RequestUri as usize {
        return;
    }
    // A colon and a blank, as nearly always.
    let usual = work.word(name_end);
    if usual as u16 == u16::from_le_bytes(*b": ") && (usual >> 16) as u8 > b' ' {
        work.keep(Kept::A, name_end + 2);
        return;
    }
    let colon = skip_blanks(payload, work, name_end);
    let is_colon = is(payload, work.word(colon), b':').wrapping_neg() as usize;
    let value = skip_blanks(payload, work, colon + 1);
    work.keep(Kept::A, value & is_colon);
}

/// Where something stands that is neither a blank nor the beginning of a folded line.
#[inline(always)]
fn skip_blanks(payload: &impl Payload, work: &Work, from: usize) -> usize {
    let mut at = from & MAX_OFFSET;
    for _ in payload.rolled(BLANKS) {
        let skipped = swar::count_before_first(others(work.word(at)));
        at = (at + skipped) & MAX_OFFSET;
        let next = u64::from(work.half(at));
        let has_cr = is(payload, next, b'\r');
        let next = next >> (8 * has_cr);
        let is_fold = is(payload, next, b'\n') & is_blank(payload, next >> 8);
        let folded = ((2 + has_cr) & is_fold.wrapping_neg()) as usize;
        at = (at + folded) & MAX_OFFSET;
    }
    at
}

/// Not 0 where the value ends at `at`: a line end or blanks before one; a URI ends at a blank.
#[inline(always)]
fn end_at(payload: &impl Payload, work: &Work, field: usize, at: usize) -> u64 {
    let word = work.word(at);
    let blanks = swar::count_before_first(others(word)) as u64;
    // A line feed that a blank follows ends a line, and not the value.
    let next = work.word(at + blanks as usize);
    let has_cr = is(payload, next, b'\r');
    let behind = next >> (8 * has_cr);
    let is_end = is(payload, behind, b'\n') & (1 ^ is_blank(payload, behind >> 8));
    let is_uri = payload.is_0((field ^ Field::RequestUri as usize) as u64);
    is_end & (1 ^ is_uri) | is_uri & is_blank(payload, word)
}

/// Flags the bytes that are neither space nor tab.
#[inline(always)]
fn others(word: u64) -> u64 {
    !(swar::equal_exactly(word, b' ') | swar::equal_exactly(word, b'\t')) & swar::splat(0x80)
}

/// 1 where the lowest byte is this one.
#[inline(always)]
fn is(payload: &impl Payload, word: u64, byte: u8) -> u64 {
    payload.is_0((word & 0xff) ^ byte as u64)
}

/// 1 where the lowest byte is a space or a tab.
#[inline(always)]
fn is_blank(payload: &impl Payload, word: u64) -> u64 {
    is(payload, word, b' ') | is(payload, word, b'\t')
}
