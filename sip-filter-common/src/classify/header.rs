//! The header's lines: which fields stand where, and which of their values may be a tool's.

use super::text::{Kept, Work, place_of};
use crate::{
    header_name::{self, HeaderName, IS_BEHIND},
    payload::{CHUNK, MAX_OFFSET, Payload},
    signature::{Line, SignatureTable},
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
    let mut base = work.feeds(work.kept(Kept::Number)).base as usize;
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
            base = feeds.base as usize;
            continue;
        }
        let lowest = mask & mask.wrapping_neg();
        mask ^= lowest;
        let at = (base + place_of(lowest)) & MAX_OFFSET;
        let Some(first_two) = payload.peek_u16(at + 1) else {
            continue;
        };
        let line = table.line(first_two);
        if line.length == 0 {
            continue;
        }
        let mut head = 1;
        let name_end = at + line.length as usize;
        if let Some(rest) = payload.peek_u32(name_end)
            && rest as u16 == USUAL
            && (rest >> 16) as u8 > b' '
        {
            seen |= line.bit as u64;
            if let Some(key) = payload.peek_u32(at + line.key as usize) {
                head = table.head(line.bit as u32, key) as u64;
                if head | line.is_special() == 0 {
                    continue;
                }
            }
        }
        take(payload, work, *line, at, head);
    }
    work.keep(Kept::Mask, mask as usize);
    work.keep(Kept::Seen, seen as usize);
}

/// Looks at a line that begins like a name. `head` is 0 where its value begins like no pattern.
#[inline(always)]
fn take(payload: &impl Payload, work: &mut Work, line: Line, at: usize, head: u64) {
    let number = line.number();
    if number == header_name::END {
        let bytes = payload.peek_u16(at).unwrap_or_default();
        let third = payload.u8_at(at + 2).unwrap_or(b'\n');
        let is_end = bytes == u16::from_le_bytes(*b"\n\n")
            || bytes == u16::from_le_bytes(*b"\n\r") && third == b'\n';
        if is_end {
            // What else stands in this chunk may stand before it.
            work.keep(Kept::Limit, work.kept(Kept::Number) + 1);
            work.keep(Kept::IsRead, 1);
            if at < work.kept(Kept::HeaderEnd) {
                work.keep(Kept::HeaderEnd, at);
            }
        }
        return;
    }
    let name_end = at + line.length as usize;
    let behind = payload.u8_at(name_end).unwrap_or_default();
    if IS_BEHIND[behind as usize] == 0 {
        return;
    }
    // What only seems a name must not take the room of what is one.
    let name = HeaderName::by_number(number);
    let begins = payload.u64_at(at);
    if begins.is_some_and(|begins| name.difference(begins, header_name::TAIL) != 0) {
        return;
    }
    if head != 0 || line.is_always_compared() {
        work.add_candidate(at, number);
    }
    if line.is_noted() && begins.is_some() {
        work.note(name.field, name_end, work.kept(Kept::Number));
    }
}

/// Begins with the request URI, the field before the first line end.
#[inline(always)]
pub(super) fn note_uri(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
    let uri = work.kept(Kept::Uri) & MAX_OFFSET;
    let key = payload.peek_u32(uri + SignatureTable::URI_KEY_AT);
    if key.is_none_or(|key| table.begins_uri(key)) {
        work.add_candidate(uri, 0);
    }
}

/// In how many chunks a User-Agent alone is looked for.
const MANY_CHUNKS: usize = super::text::CHUNKS;

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
pub(super) fn find_user_agent(payload: &impl Payload, work: &mut Work) {
    let from = work.feeds(work.kept(Kept::Number)).base as usize;
    let to = work.kept(Kept::End);
    work.keep(Kept::A, 0);
    for chunk in payload.rolled(MANY_CHUNKS) {
        let at = payload.opaque((from + CHUNK * chunk) as u64) as usize;
        if at >= to {
            break;
        }
        let mut parts = 0;
        for word in 0..CHUNK / 8 {
            parts |= IS_PART[slot(fold(work.half(at + 8 * word).to_le_bytes()))];
        }
        if parts == 0 {
            continue;
        }
        find_in_chunk(payload, work, at, to);
        if work.kept(Kept::A) != 0 {
            break;
        }
    }
    let at = work.kept(Kept::A) & MAX_OFFSET;
    if at != 0 && !ends_before(payload, work, at) {
        // All candidates have been compared whose chunk was gone through.
        work.keep(Kept::Mask, 0);
        work.keep(Kept::Candidates, 0);
        work.keep(Kept::Compared, 0);
        work.add_candidate(at, header_name::USER_AGENT);
    }
}

/// Keeps as [`Kept::A`] where a line begins that is a User-Agent, of whose name four bytes stand in
/// the chunk at `at`: the last such line.
///
/// Without a choice: this is in a loop.
#[inline(always)]
fn find_in_chunk(payload: &impl Payload, work: &mut Work, at: usize, to: usize) {
    let name = header_name::USER_AGENT_NAME;
    for word in payload.rolled(CHUNK / 8) {
        let at = payload.opaque((at + 8 * word) as u64) as usize;
        let part = IS_PART[slot(fold(work.half(at).to_le_bytes()))] as usize;
        let at = at.wrapping_add(1).wrapping_sub(part) & MAX_OFFSET;
        let name_end = at + name.length as usize;
        let end = work.half(name_end.wrapping_sub(4));
        let behind = IS_BEHIND[work.byte(name_end) as usize] ^ 1;
        let is_behind_text = to.wrapping_sub(at + 1) as u64 >> 63;
        let difference = name.difference(work.word(at), end) | u64::from(behind) | is_behind_text;
        let is_it = payload.mask_if_0((difference | difference >> 32) & 0xffff_ffff) as usize;
        let found = work.kept(Kept::A);
        work.keep(Kept::A, found & !is_it | at & is_it);
    }
}

/// Whether the header ends before `end`, which is among the first [`MANY_CHUNKS`] chunks.
#[inline(always)]
fn ends_before(payload: &impl Payload, work: &mut Work, end: usize) -> bool {
    work.keep(Kept::B, 0);
    for step in payload.rolled(MANY_CHUNKS * CHUNK / 8) {
        let at = payload.opaque(8 * step as u64) as usize;
        if at >= end {
            break;
        }
        let feeds = |behind| swar::equal_exactly(work.word(at + behind), b'\n');
        let returns = swar::equal_exactly(work.word(at + 1), b'\r');
        if feeds(0) & (feeds(1) | returns & feeds(2)) != 0 {
            work.keep(Kept::B, 1);
            break;
        }
    }
    work.kept(Kept::B) != 0
}
