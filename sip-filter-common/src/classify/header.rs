//! The header's lines: which fields stand where, and which of their values may be a tool's.

use super::text::{BEFORE, Kept, RECORDS, Work, byte_of};
use crate::{
    field::Field,
    header_name::{self, HeaderName, IS_BEHIND},
    payload::{CHUNK, MAX_OFFSET, Payload},
    signature::SignatureTable,
};

/// Between a field's name and its value, as nearly always.
const USUAL: u16 = u16::from_le_bytes(*b": ");

/// Reads up to so many lines from where the last call ended, as far as the text has been read, to
/// the header's end: notes where fields stand, and which values may begin like a pattern. What is
/// taken for a line end counts, and a chunk too.
///
/// Lines are read as their line ends stand in the mask of their chunk, those of a
/// chunk in no order.
#[inline(always)]
pub(super) fn read(payload: &impl Payload, work: &mut Work, table: &SignatureTable, lines: usize) {
    let mut mask = work.kept(Kept::Mask) as u64;
    let mut base = work.kept(Kept::Number).wrapping_mul(CHUNK) & MAX_OFFSET;
    let mut seen = work.kept(Kept::Seen) as u64;
    for _ in payload.rolled(lines) {
        if mask == 0 {
            let number = (work.kept(Kept::Number) + 1) & 0xff;
            if number >= work.kept(Kept::Limit) {
                work.keep(Kept::IsEnded, work.kept(Kept::IsRead));
                break;
            }
            work.keep(Kept::Number, number);
            mask = work.feeds(number);
            base = number * CHUNK;
            if mask == 0 {
                continue;
            }
        }
        let lowest = mask & mask.wrapping_neg();
        mask ^= lowest;
        let place = byte_of(lowest);
        let text = work.line(base, place);
        let line = table.line(text.quarter(1));
        if line.length == 0 {
            continue;
        }
        let mut head = 1;
        let rest = text.half(line.length);
        if rest as u16 == USUAL && (rest >> 16) as u8 > b' ' {
            seen |= line.bit as u64;
            head = table.head(line.bit as u32, text.half(line.key)) as u64;
            if head | line.is_special() == 0 {
                continue;
            }
        }
        let at = (base + place as usize) & MAX_OFFSET;
        if line.number() == header_name::END {
            if is_header_end(work, at) {
                // What else stands in this chunk may stand before it.
                work.keep(Kept::Limit, work.kept(Kept::Number) + 1);
                work.keep(Kept::IsRead, 1);
                work.end_header(at);
            }
            continue;
        }
        // Neither what only seems a line end nor a longer name must take the room of a line.
        if IS_BEHIND[rest as u8 as usize] != 0 && work.byte(at) == b'\n' {
            work.record(line, at, head);
        }
    }
    work.keep(Kept::Mask, mask as usize);
    work.keep(Kept::Seen, seen as usize);
    for _ in payload.rolled(RECORDS) {
        if !take(work) {
            break;
        }
    }
    work.keep(
        Kept::IsFull,
        work.kept(Kept::IsFull) | (work.kept(Kept::Records) == RECORDS) as usize,
    );
    work.keep(Kept::Records, 0);
    work.keep(Kept::Taken, 0);
}

/// Whether the empty line stands at `at` that ends the header.
#[inline(always)]
fn is_header_end(work: &Work, at: usize) -> bool {
    let bytes = work.half(at);
    bytes as u16 == u16::from_le_bytes(*b"\n\n")
        || bytes & 0xff_ffff == u32::from_le_bytes(*b"\n\r\n\0")
}

/// Looks at the next line that was recorded; `false` where there is none.
#[inline(always)]
fn take(work: &mut Work) -> bool {
    let taken = work.kept(Kept::Taken);
    if taken >= work.kept(Kept::Records) {
        return false;
    }
    work.keep(Kept::Taken, taken + 1);
    let record = work.recorded(taken);
    let (at, line) = (record.at(), record.line());
    let name = HeaderName::by_number(line.number());
    let name_end = at + name.length as usize;
    let difference = name.difference(work.word(at), work.half(name_end.wrapping_sub(4)));
    let behind = IS_BEHIND[work.byte(name_end) as usize] ^ 1;
    if difference | u64::from(behind) != 0 {
        return true;
    }
    if record.may_begin() || line.is_always_compared() {
        work.add_candidate(name.field as usize, name_end, at);
    }
    if line.is_noted() {
        work.note(name.field, name_end);
    }
    true
}

/// Begins with the request URI, the field before the first line end.
#[inline(always)]
pub(super) fn note_uri(work: &mut Work, table: &SignatureTable) {
    let uri = work.kept(Kept::Uri) & MAX_OFFSET;
    if table.begins_uri(work.half(uri + SignatureTable::URI_KEY_AT)) {
        work.add_candidate(Field::RequestUri as usize, uri, BEFORE * CHUNK);
    }
}
