//! Values: where they begin and end, and which pattern they begin with.

use super::text::{CANDIDATES, Kept, Work};
use crate::{
    field::Field,
    payload::{MAX_OFFSET, Payload},
    signature::{CHAINS, Hit, SignatureTable, WORDS},
    swar,
};

/// How many times eight blanks, or blanks and a folded line's beginning, may stand on either side
/// of the colon.
const BLANKS: usize = 8;
/// How many patterns are compared, all values of a message together.
const MAX_COMPARED: usize = 40;

/// Finds the first tool that may be dropped, or else the first one, that the candidates' values
/// begin with, and keeps it.
///
/// Without choices but those that end the loop, for the verifier's sake.
#[inline(always)]
pub(super) fn find(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
    let chains = note_chains(payload, work, table);
    let mut hit = work.kept(Kept::Hit) as u64;
    let mut chain = 0_usize;
    work.keep(Kept::A, 0);
    for _ in payload.rolled(MAX_COMPARED) {
        // What is compared: an entry, 0 where the chain has ended, a field, and where its value
        // begins. Entry 0 is compared too, and found to be of no field.
        let mut compared = work.kept(Kept::A) as u64;
        let is_over = payload.mask_if_0(compared & 0xffff);
        let are_left = payload
            .opaque(chain.wrapping_sub(chains) as u64 >> 63)
            .wrapping_neg();
        if payload.opaque(is_over & !are_left) != 0 {
            break;
        }
        let next = work.chains[chain % work.chains.len()];
        chain += payload.is_0(compared & 0xffff) as usize;
        compared = (compared & !is_over) | (next & is_over);
        work.keep(Kept::A, compared as usize);
        let compared = work.kept(Kept::A);
        let (number, field) = (compared & 0xffff, compared >> 16 & 0xf);
        let at = compared >> 32 & MAX_OFFSET;
        let entry = table.entry(number);
        let mut difference = (entry.field as usize ^ field) as u64;
        for word in 0..WORDS {
            difference |= entry.difference(word, work.word_behind(at, word));
        }
        let ends = end_at(payload, work, field, at + entry.length as usize);
        difference |= u64::from(entry.is_exact) & !ends;
        let is_equal = payload.mask_if_0((difference | difference >> 32) & 0xffff_ffff);
        // An entry that differs is followed by the next one of its chain.
        let next = u64::from(entry.next) & !is_equal;
        work.keep(Kept::A, compared & !0xffff | next as usize);
        let new = u64::from(entry.found) | (number.wrapping_sub(1) as u64 & 0xffff) << 16;
        // What was found before can be no tool that may be dropped.
        let is_first = payload.mask_if_0(hit);
        // 1 to 4 are the kinds that may be dropped for, and what is not sure is more.
        let kind = u64::from(entry.found >> 8).wrapping_sub(1);
        let is_hostile = payload.mask_if_0(kind >> 2 & 0xff);
        let is_taken = (is_first | is_hostile) & is_equal;
        hit = (hit & !is_taken) | (new & is_taken);
        work.keep(Kept::Hit, hit as usize);
        hit = work.kept(Kept::Hit) as u64;
        if Hit::from_number(hit).is_hostile() {
            break;
        }
    }
}

/// Notes the chains in which patterns may be with which the candidates' values begin, some of them
/// empty; gives how many there are.
#[inline(always)]
fn note_chains(payload: &impl Payload, work: &mut Work, table: &SignatureTable) -> usize {
    let candidates = work.kept(Kept::Candidates);
    work.keep(Kept::Candidates, 0);
    for place in payload.rolled(CANDIDATES) {
        if place >= candidates {
            break;
        }
        let candidate = work.candidates[place % CANDIDATES] as usize;
        let field = candidate & 0xf;
        begin(payload, work, field, candidate >> 8);
        let at = work.kept(Kept::A) & MAX_OFFSET;
        let is_there = !payload.mask_if_0(at as u64);
        let head = [work.word(at), work.word_behind(at, 1)];
        let chains = table.chains(field, head).into_iter().enumerate();
        for (class, chain) in chains {
            let chain = u64::from(chain) & is_there;
            let of = (field as u64) << 16 | (at as u64) << 32;
            work.chains[(place * CHAINS + class) % work.chains.len()] = of | chain;
        }
    }
    (if candidates < CANDIDATES {
        candidates
    } else {
        CANDIDATES
    }) * CHAINS
}

/// Keeps as [`Kept::A`] where the value begins of a field whose name ends at `name_end`; 0 where no
/// colon follows, or too many blanks do.
#[inline(always)]
fn begin(payload: &impl Payload, work: &mut Work, field: usize, name_end: usize) {
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
