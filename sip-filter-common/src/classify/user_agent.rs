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

const WORD: usize = size_of::<u64>();
/// How many windows a chunk has.
const WINDOWS: usize = CHUNK / WORD;

/// The slots of [`IS_PART`].
const SLOTS: usize = 4096;
/// In how many bits it says what a window is.
const PART: usize = 4;

/// Four bytes of `\nuser-agent`, folded, from each of the first eight on.
const PARTS: [u32; 8] = {
    let mut all = [0; 8];
    let name = b"\nuser-agent";
    let mut at = 0;
    while at < 8 {
        all[at] = u32::from_le_bytes([name[at], name[at + 1], name[at + 2], name[at + 3]]);
        all[at] |= FOLD;
        at += 1;
    }
    all
};

/// The bits that make letters lower case.
const FOLD: u32 = 0x2020_2020;

/// The slot of four bytes.
#[inline(always)]
const fn slot(bytes: u32) -> usize {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    (((bytes | FOLD) as u64).wrapping_mul(MIX) >> (u64::BITS - SLOTS.ilog2())) as usize
}

/// By [`slot`], one more than the number of bytes of the name that stand before these four; 0 for
/// four bytes that are none of it.
static IS_PART: [u8; SLOTS] = {
    let mut slots = [0; SLOTS];
    let mut at = 0;
    while at < PARTS.len() {
        assert!(slots[slot(PARTS[at])] == 0, "two parts share a slot");
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
        if CHUNK * chunk_from_reader(work, block) >= at {
            break;
        }
        if payload.take(Step::MayEndIn(block), work, table)
            && payload.take(Step::EndsBehind, work, table)
        {
            return;
        }
    }
    let name = header_name::USER_AGENT_NAME;
    work.add_candidate(
        name.field as usize,
        at + name.length as usize,
        BEFORE * CHUNK,
    );
}

/// The number of a block's first chunk: blocks begin with the chunk at which the reader of lines is.
#[inline(always)]
fn chunk_from_reader(work: &Work, block: usize) -> usize {
    work.kept(Kept::Number) + BLOCK * (block % BLOCKS)
}

/// Searches a block, and keeps as [`Kept::A`] where the first line begins that is a User-Agent; 0 where
/// there is none. `false` where the text ends before the block.
#[inline(always)]
pub(super) fn search(payload: &impl Payload, work: &mut Work, block: usize) -> bool {
    let from = CHUNK * chunk_from_reader(work, block);
    let to = work.kept(Kept::End);
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
        for window in 0..WINDOWS {
            let part = IS_PART[slot(work.window_behind(at, window))];
            parts = parts << PART | part as u64;
        }
        if parts == 0 {
            continue;
        }
        find_in(payload, work, at, parts);
        if work.kept(Kept::A) != 0 {
            break;
        }
    }
    true
}

/// Keeps as [`Kept::A`] where the first line begins that is a User-Agent, of which some of the windows
/// of the chunk that begins at `from` may be part.
#[inline(always)]
fn find_in(payload: &impl Payload, work: &mut Work, from: usize, parts: u64) {
    let name = header_name::USER_AGENT_NAME;
    let to = work.kept(Kept::End);
    let mut parts = parts;
    for window in payload.rolled(WINDOWS) {
        let part = (parts >> (PART * (WINDOWS - 1))) as usize & ((1 << PART) - 1);
        parts <<= PART;
        if part == 0 {
            continue;
        }
        let at = payload.opaque((from + WORD * window) as u64) as usize;
        let at = at.wrapping_add(1).wrapping_sub(part) & MAX_OFFSET;
        let name_end = at + name.length as usize;
        let end = work.half(name_end.wrapping_sub(4));
        let is_it = name.difference(work.word(at), end) == 0;
        if is_it && IS_BEHIND[work.byte(name_end) as usize] != 0 && at < to {
            work.keep(Kept::A, at);
            break;
        }
    }
}

/// Whether the header may end in a block, before what is kept as [`Kept::A`]: then it keeps the first
/// chunk in which it may as [`Kept::D`], and the one behind the block as [`Kept::C`].
#[inline(always)]
pub(super) fn may_end_in(payload: &impl Payload, work: &mut Work, block: usize) -> bool {
    let from = chunk_from_reader(work, block);
    let to = work.kept(Kept::A);
    work.keep(Kept::B, 0);
    work.keep(Kept::C, from + BLOCK);
    for chunk in payload.rolled(BLOCK) {
        let number = payload.opaque((from + chunk) as u64) as usize;
        if CHUNK * number >= to {
            break;
        }
        let (feeds, next) = (work.feeds(number), work.feeds(number + 1));
        let before = swar::one_byte_before(feeds | swar::one_byte_before(feeds));
        let crosses = swar::next_within_two(feeds, next);
        if feeds & before | crosses != 0 {
            work.keep(Kept::B, 1);
            work.keep(Kept::D, number);
            break;
        }
    }
    work.kept(Kept::B) != 0
}

/// Whether the header ends from the chunk whose number is kept as [`Kept::D`] on, up to the one that is
/// kept as [`Kept::C`], before what is kept as [`Kept::A`].
///
/// Chunk by chunk, whether it may end there or not: what looks like its end in each would else be dearer.
#[inline(always)]
pub(super) fn ends_behind(payload: &impl Payload, work: &mut Work) -> bool {
    let (from, to) = (work.kept(Kept::D), work.kept(Kept::A));
    work.keep(Kept::E, 0);
    for chunk in payload.rolled(BLOCK) {
        let number = payload.opaque((from + chunk) as u64) as usize;
        if number >= work.kept(Kept::C) || CHUNK * number >= to {
            break;
        }
        let last_two = CHUNK * number + CHUNK - 2;
        let ends = work.header_ends(payload, number) & work.before(number, to);
        if ends != 0 || last_two < to && ends_at(work.half(last_two)) {
            work.keep(Kept::E, 1);
            break;
        }
    }
    work.kept(Kept::E) != 0
}

/// Whether the header ends at the first or second of four bytes, and behind the second.
#[inline(always)]
fn ends_at(bytes: u32) -> bool {
    let [first, second, third, fourth] = bytes.to_le_bytes();
    third == b'\n' && (second == b'\n' || [first, second] == *b"\n\r")
        || [second, third, fourth] == *b"\n\r\n"
}
