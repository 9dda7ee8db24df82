//! Patterns that stand anywhere in a value.
//!
//! A value is looked at in pieces of four bytes, one at every fourth byte, each in a set of the
//! pieces that patterns are made of: wherever a pattern stands, one of its pieces is met. What the
//! table has no pattern for is not there at run time.

use super::text::{Kept, Span, Work};
use crate::{
    payload::{MAX_OFFSET, Payload},
    signature::{Hit, MAX_CHAIN, STRIDE, SignatureTable, WORDS},
};

/// How often a piece that may be a pattern's is compared, or another value is begun with, or goes
/// on after [`MAX_PIECES`].
const MAX_ATTEMPTS: usize = 24;
/// How many pieces are looked at in one go.
const MAX_PIECES: usize = 384;

/// Finds the first pattern that may be dropped for, or else the first one, that the fields contain,
/// and keeps it.
#[inline(always)]
pub(super) fn find(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
    let spans = work.list_spans(payload);
    // Which span is looked at, and where in it.
    work.keep(Kept::A, 0);
    work.keep(Kept::B, work.span(0).start as usize);
    for _ in payload.rolled(MAX_ATTEMPTS) {
        let number = work.kept(Kept::A);
        if number >= spans {
            break;
        }
        let span = work.span(number);
        look(payload, work, table, span);
        compare(payload, work, table, span);
        if Hit::from_number(work.kept(Kept::Hit) as u64).is_hostile() {
            break;
        }
        let at = work.kept(Kept::B) + STRIDE;
        // Behind its end another span follows.
        let is_over = ((span.end as u64).wrapping_sub(at as u64 + STRIDE as u64) as i64) >> 63;
        let is_over = payload.opaque(is_over as u64) as usize;
        let next = number + (payload.opaque(is_over as u64 >> 63) as usize);
        let start = work.span(next).start as usize;
        work.keep(Kept::A, next);
        work.keep(Kept::B, (at & !is_over) | (start & is_over));
    }
}

/// Goes on from what is kept as `B` to the next piece that may be a pattern's, or to the end.
#[inline(always)]
fn look(payload: &impl Payload, work: &mut Work, table: &SignatureTable, span: Span) {
    let start = work.kept(Kept::B) & MAX_OFFSET;
    let end = span.end as usize;
    for step in payload.rolled(MAX_PIECES) {
        let at = start + step * STRIDE;
        work.keep(Kept::B, at);
        if at + STRIDE > end {
            break;
        }
        if table.may_be_piece(work.half(at)) != 0 {
            break;
        }
    }
}

/// Compares the patterns that have the piece at what is kept as `B`.
#[inline(always)]
fn compare(payload: &impl Payload, work: &mut Work, table: &SignatureTable, span: Span) {
    let at = work.kept(Kept::B) & MAX_OFFSET;
    let (start, end) = (span.start as usize, span.end as usize);
    work.keep(Kept::C, table.first_piece(work.half(at)));
    for _ in payload.rolled(MAX_CHAIN) {
        let number = work.kept(Kept::C) & 0xffff;
        if number == 0 {
            break;
        }
        let piece = table.piece(number);
        let entry = table.entry(piece.entry as usize + 1);
        let from = at.wrapping_sub(piece.back as usize);
        let mut difference = u64::from(entry.field) ^ u64::from(span.field);
        // Not before the span's start, nor beyond its end.
        difference |= from.wrapping_sub(start) as u64 >> 63;
        difference |= end.wrapping_sub(from + entry.length as usize) as u64 >> 63;
        work.keep(Kept::D, from);
        let from = work.kept(Kept::D) & MAX_OFFSET;
        for word in 0..WORDS {
            difference |= entry.difference(word, work.word_behind(from, word));
        }
        let is_equal = payload.mask_if_0((difference | difference >> 32) & 0xffff_ffff);
        let new = u64::from(entry.found) | u64::from(piece.entry) << 16;
        let hit = work.kept(Kept::Hit) as u64;
        let is_first = payload.mask_if_0(hit);
        let kind = u64::from(entry.found >> 8).wrapping_sub(1);
        let is_hostile = payload.mask_if_0(kind >> 2 & 0xff);
        let is_taken = (is_first | is_hostile) & is_equal;
        work.keep(Kept::Hit, ((hit & !is_taken) | (new & is_taken)) as usize);
        work.keep(Kept::C, piece.next as usize);
    }
}
