//! A User-Agent behind more lines than are read for all fields: what is made to be read no further is
//! found all the same.
//!
//! Wherever its name stands, one of four bytes that begin at a multiple of eight are its own. Line ends
//! play no part: whoever sends hundreds of them is no dearer than others.

use super::{
    Step,
    text::{BEFORE, Kept, Work},
};
use crate::{
    header_name::{self, IS_BEHIND},
    payload::{CHUNK, MAX_OFFSET, Payload},
    signature::SignatureTable,
    swar,
};

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

/// Looks for it, and makes it all that is left to compare.
#[inline(always)]
pub(super) fn find(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
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
            add(payload, work, table);
            break;
        }
    }
}

/// Makes the User-Agent that was found all that is left to compare, unless the header ends before it.
#[inline(always)]
fn add(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
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
    work.add_candidate(name.field as usize, at + name.length as usize, BEFORE * CHUNK);
}

/// Where the chunk begins that is so many behind the one at which the reader of lines is.
#[inline(always)]
fn chunk_from_reader(work: &Work, chunk: usize) -> usize {
    CHUNK * work.kept(Kept::Number).wrapping_add(chunk)
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
