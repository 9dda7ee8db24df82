//! The header's lines: which fields stand where, and which of their values may be a tool's.

use super::Step;
use super::text::{BEFORE, Kept, RECORDS, Work, byte_of};
use crate::{
    field::Field,
    header_name::{self, HeaderName, IS_BEHIND},
    payload::{CHUNK, MAX_OFFSET, Payload},
    signature::SignatureTable,
    swar,
};

/// Between a field's name and its value, as nearly always.
const USUAL: u16 = u16::from_le_bytes(*b": ");

/// Reads up to so many lines from where the last call ended, as far as the text has been read, to
/// the header's end: notes where fields stand, and which values may begin like a pattern. What is
/// taken for a line end counts, and a chunk too.
///
/// Lines are read as their line ends stand in [`Feeds::mask`](super::text::Feeds::mask), those of a
/// chunk in no order.
#[inline(always)]
pub(super) fn read(payload: &impl Payload, work: &mut Work, table: &SignatureTable, lines: usize) {
    let mut mask = work.kept(Kept::Mask) as u64;
    let mut base = work.feeds(work.kept(Kept::Number)).base as usize & MAX_OFFSET;
    let mut seen = work.kept(Kept::Seen) as u64;
    for _ in payload.rolled(lines) {
        if mask == 0 {
            let number = (work.kept(Kept::Number) + 1) & 0xff;
            if number >= work.kept(Kept::Limit) {
                work.keep(Kept::IsEnded, work.kept(Kept::IsRead));
                break;
            }
            work.keep(Kept::Number, number);
            let feeds = work.feeds(number);
            mask = feeds.mask;
            base = feeds.base as usize & MAX_OFFSET;
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
        // What only seems a line end must not take the room of a line.
        if work.byte(at) == b'\n' {
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
        work.add_candidate(name.field as usize, name_end, record.chunk());
    }
    if line.is_noted() {
        work.note(name.field, name_end, record.chunk());
    }
    true
}

/// Begins with the request URI, the field before the first line end.
#[inline(always)]
pub(super) fn note_uri(work: &mut Work, table: &SignatureTable) {
    let uri = work.kept(Kept::Uri) & MAX_OFFSET;
    if table.begins_uri(work.half(uri + SignatureTable::URI_KEY_AT)) {
        work.add_candidate(Field::RequestUri as usize, uri, BEFORE);
    }
}

/// In how many blocks a User-Agent alone is looked for, and how many chunks each has.
const BLOCKS: usize = 9;
const BLOCK: usize = 16;

/// The slots of [`IS_PART`].
const SLOTS: usize = 4096;

/// Four bytes of `\nuser-agent`, folded, from each of the first eight on.
const PARTS: [u32; 8] = {
    let mut all = [0; 8];
    let name = b"\nuser-agent";
    let mut at = 0;
    while at < 8 {
        all[at] = fold([name[at], name[at + 1], name[at + 2], name[at + 3]]);
        at += 1;
    }
    all
};

#[inline(always)]
const fn fold(bytes: [u8; 4]) -> u32 {
    u32::from_le_bytes(bytes) | 0x2020_2020
}

/// The slot of four folded bytes.
#[inline(always)]
const fn slot(bytes: u32) -> usize {
    (bytes.wrapping_mul(0x9e37_79b1) >> (32 - SLOTS.ilog2())) as usize
}

/// By [`slot`], one more than the number of bytes of the name that stand before these four; 0 for
/// four bytes that are none of it.
static IS_PART: [u8; SLOTS] = {
    let mut slots = [0; SLOTS];
    let mut at = 0;
    while at < PARTS.len() {
        slots[slot(PARTS[at])] = at as u8 + 1;
        at += 1;
    }
    slots
};

/// Looks for a User-Agent alone, behind more lines than are read for all fields: what is made to be
/// read no further is found all the same.
///
/// Wherever the name stands, one of four bytes that begin at a multiple of eight are its own. Line
/// ends play no part: whoever sends hundreds of them is no dearer than others.
#[inline(always)]
pub(super) fn find_user_agent(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
    for block in payload.rolled(BLOCKS) {
        if !payload.take(Step::Search(block), work, table) {
            break;
        }
        for chunk in payload.rolled(BLOCK) {
            let chunks = work.kept(Kept::C) >> (chunk & 63);
            if chunks == 0
                || chunks & 1 != 0 && payload.take(Step::FindIn(block * BLOCK + chunk), work, table)
            {
                break;
            }
        }
        if work.kept(Kept::A) != 0 {
            add_user_agent(payload, work, table);
            break;
        }
    }
}

/// Makes the User-Agent that was found all that is left to compare, unless the header ends before it.
#[inline(always)]
fn add_user_agent(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
    // All candidates have been compared.
    work.keep(Kept::Candidates, 0);
    work.keep(Kept::Compared, 0);
    let at = work.kept(Kept::A) & MAX_OFFSET;
    for block in payload.rolled(BLOCKS) {
        if chunk_from_reader(work, block * BLOCK) >= at {
            break;
        }
        if payload.take(Step::EndsIn(block), work, table) {
            return;
        }
    }
    let name = header_name::USER_AGENT_NAME;
    work.add_candidate(name.field as usize, at + name.length as usize, BEFORE);
}

/// Where the chunk begins that is so many behind the one at which the reader of lines is.
#[inline(always)]
fn chunk_from_reader(work: &Work, chunk: usize) -> usize {
    work.feeds(work.kept(Kept::Number)).base as usize + CHUNK * chunk
}

/// Keeps as [`Kept::C`] a bit for each chunk of a block in which bytes of the name stand; `false` where
/// the text or the header ends before the block.
#[inline(always)]
pub(super) fn search(payload: &impl Payload, work: &mut Work, block: usize) -> bool {
    let block = block % BLOCKS;
    let from = chunk_from_reader(work, block * BLOCK);
    let to = work.kept(Kept::End);
    work.keep(Kept::C, 0);
    work.keep(Kept::A, 0);
    if from >= to {
        return false;
    }
    for chunk in payload.rolled(BLOCK) {
        let at = payload.opaque((from + CHUNK * chunk) as u64) as usize;
        if at >= to {
            break;
        }
        let mut parts = 0;
        for word in 0..CHUNK / 8 {
            parts |= IS_PART[slot(fold(work.half(at + 8 * word).to_le_bytes()))];
        }
        let has_some = payload.opaque(payload.is_0(parts as u64) ^ 1) as usize;
        work.keep(Kept::C, work.kept(Kept::C) | has_some << (chunk & 63));
    }
    true
}

/// Keeps as [`Kept::A`] where a line begins that is a User-Agent, of whose name four bytes stand in the
/// chunk so many behind the one at which the reader of lines is: the first such line. `false` where
/// there is none.
#[inline(always)]
pub(super) fn find_in(payload: &impl Payload, work: &mut Work, chunk: usize) -> bool {
    let name = header_name::USER_AGENT_NAME;
    let from = chunk_from_reader(work, chunk);
    let to = work.kept(Kept::End);
    for word in payload.rolled(CHUNK / 8) {
        let at = payload.opaque((from + 8 * word) as u64) as usize;
        let part = IS_PART[slot(fold(work.half(at).to_le_bytes()))] as usize;
        if part == 0 {
            continue;
        }
        let at = at.wrapping_add(1).wrapping_sub(part) & MAX_OFFSET;
        let name_end = at + name.length as usize;
        let end = work.half(name_end.wrapping_sub(4));
        let is_it = name.difference(work.word(at), end) == 0;
        if is_it && IS_BEHIND[work.byte(name_end) as usize] != 0 && at < to {
            work.keep(Kept::A, at);
            break;
        }
    }
    work.kept(Kept::A) != 0
}

/// Whether the header ends in a block, before what is kept as [`Kept::A`].
#[inline(always)]
pub(super) fn ends_in(payload: &impl Payload, work: &mut Work, block: usize) -> bool {
    let from = chunk_from_reader(work, block % BLOCKS * BLOCK);
    let to = work.kept(Kept::A);
    work.keep(Kept::B, 0);
    for step in payload.rolled(BLOCK * CHUNK / 8) {
        let at = payload.opaque((from + 8 * step) as u64) as usize;
        if at >= to {
            break;
        }
        let feeds = swar::equal_exactly(work.word(at), b'\n');
        if feeds == 0 {
            continue;
        }
        let next = work.word(at + 1);
        let returns = swar::equal_exactly(next, b'\r');
        let behind = swar::equal_exactly(work.word(at + 2), b'\n');
        if feeds & (swar::equal_exactly(next, b'\n') | returns & behind) != 0 {
            work.keep(Kept::B, 1);
            break;
        }
    }
    work.kept(Kept::B) != 0
}
