//! What a value contains: patterns that may stand anywhere in it.
//!
//! The text is gone through in windows of four bytes, and of nearly all of them a bit says that no
//! pattern has such a window. Where one may, the patterns that are filed by it are compared; and only
//! of one that stands there it is asked which field it stands in. So a text is searched once, however
//! many patterns and fields there are.
//!
//! The search is three functions of their own in the program, each with loops that do but one thing:
//! what a loop in a loop would cost the verifier is the product of both.

use super::{
    Step, is_hostile,
    text::{Kept, MAX_TEXT, PAIRS, Work},
    value,
};
use crate::{
    field::Field,
    header_name::{HeaderName, IS_BEHIND},
    payload::{CHUNK, MAX_OFFSET, Payload},
    signature::{Hit, MAX_CHAIN, SignatureTable, WINDOW, WORDS},
    swar,
};

const WORD: usize = size_of::<u64>();
/// The longest text, in words.
const MANY_WORDS: usize = MAX_TEXT / WORD + 1;
/// How many times something filed is looked at, or a pattern stands somewhere else than it should:
/// each window of the longest text may be filed, and some patterns may.
const MANY: usize = 2 * MANY_WORDS + 256;

/// Looks for the patterns that may stand anywhere in a value, and keeps what they name as
/// [`Kept::Hit`].
#[inline(always)]
pub(super) fn find(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
    if table.looks_behind_header() || work.kept(Kept::IsRead) == 0 {
        work.read(payload, 0, PAIRS, false);
    }
    payload.take(Step::Contains, work, table);
}

/// Searches the copy of the text.
#[inline(always)]
pub(super) fn search(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
    // Where there are no such patterns, the verifier need not look further.
    if !table.has_contained() {
        return;
    }
    work.keep(Kept::Reach, work.kept(Kept::End));
    work.keep(Kept::HeaderEnds, usize::MAX);
    for what in [
        Kept::Next,
        Kept::Filed,
        Kept::FiledBehind,
        Kept::Line,
        Kept::LineReach,
        Kept::UriEnd,
    ] {
        work.keep(what, 0);
    }
    for _ in payload.rolled(MANY) {
        payload.take(Step::Window, work, table);
        if work.kept(Kept::IsSearched) != 0 {
            break;
        }
    }
}

/// Goes on to what may be a pattern's, and compares it.
#[inline(always)]
pub(super) fn look(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
    if !table.has_contained() {
        return;
    }
    if work.kept(Kept::Filed) == 0 {
        let behind = work.kept(Kept::FiledBehind);
        if behind == 0 {
            find_window(payload, work, table);
        } else {
            work.keep(Kept::Filed, behind);
            work.keep(Kept::FiledBehind, 0);
            work.keep(Kept::Window, work.kept(Kept::Window) + WINDOW);
        }
    }
    compare(payload, work, table);
    if work.kept(Kept::Entry) != 0 {
        payload.take(Step::Place, work, table);
    }
}

/// Finds the next two windows of which one may be filed, or the header's end.
#[inline(always)]
fn find_window(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
    let from = work.kept(Kept::Next);
    let to = work.kept(Kept::Reach);
    let ends = work.kept(Kept::HeaderEnds) as u64;
    work.keep(Kept::IsSearched, 1);
    for step in payload.rolled(MANY_WORDS.div_ceil(2)) {
        let at = payload.opaque(from.wrapping_add(2 * WORD * step) as u64) as usize;
        if at >= to {
            break;
        }
        if event(work, table, ends, at, 0) | event(work, table, ends, at, WORD) == 0 {
            continue;
        }
        work.keep(Kept::IsSearched, 0);
        work.keep(Kept::Next, at);
        break;
    }
    if work.kept(Kept::IsSearched) != 0 {
        return;
    }
    let at = work.kept(Kept::Next);
    if event(work, table, ends, at, 0) == 0 {
        work.keep(Kept::Next, at + WORD);
    }
    let at = work.kept(Kept::Next) & MAX_OFFSET;
    let feeds = |behind| swar::equal_exactly(work.word(at + behind), b'\n');
    let returns = swar::equal_exactly(work.word(at + 1), b'\r');
    let feeds = feeds(0) & (feeds(1) | returns & feeds(2)) & ends;
    if feeds != 0 {
        let end = at + swar::count_before_first(feeds);
        work.keep(Kept::HeaderEnd, end);
        work.keep(Kept::HeaderEnds, 0);
        if !table.looks_behind_header() {
            work.keep(Kept::Reach, end);
        }
    }
    work.keep(Kept::Window, at);
    work.keep(Kept::Next, at + WORD);
    work.keep(Kept::Filed, table.window_head(work.half(at)));
    let behind = table.window_head(work.half(at + WINDOW));
    work.keep(Kept::FiledBehind, behind);
}

/// Not 0 where, in the eight bytes so many behind `at`, something may be filed by one of the two
/// windows, or, of what is flagged in `ends`, the header may end.
#[inline(always)]
fn event(work: &Work, table: &SignatureTable, ends: u64, at: usize, behind: usize) -> u64 {
    let word = work.word_after(at, behind);
    let filed = table.window_head(word as u32) | table.window_head((word >> 32) as u32);
    // Cheap, and not exact.
    let second =
        swar::feeds(work.word_after(at, behind + 1)) | swar::feeds(work.word_after(at, behind + 2));
    filed as u64 | swar::feeds(word) & !word & second & ends
}

/// Finds the next pattern that stands where the window does, of those that are filed by it.
#[inline(always)]
fn compare(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
    let at = work.kept(Kept::Window) & MAX_OFFSET;
    let window = work.half(at) | u32::from_le_bytes([b' '; WINDOW]);
    let mut number = work.kept(Kept::Filed);
    work.keep(Kept::Entry, 0);
    for _ in payload.rolled(MAX_CHAIN) {
        if number == 0 {
            break;
        }
        let filed = table.filed(number);
        number = filed.next();
        let start = at.wrapping_sub(filed.phase());
        // It may seem to begin before the text.
        if filed.window != window || start > MAX_OFFSET {
            continue;
        }
        let entry = table.entry(filed.entry());
        let mut difference = entry.difference(0, work.word(start));
        for word in 1..WORDS {
            difference |= entry.difference(word, work.word_behind(start, word));
        }
        if difference != 0 {
            continue;
        }
        work.keep(Kept::Entry, filed.entry());
        work.keep(Kept::Start, start);
        break;
    }
    work.keep(Kept::Filed, number);
}

/// Keeps what the pattern that was found names, if it stands in its field.
#[inline(always)]
pub(super) fn judge(payload: &impl Payload, work: &mut Work, table: &SignatureTable) {
    if !table.has_contained() {
        return;
    }
    let number = work.kept(Kept::Entry);
    let start = work.kept(Kept::Start) & MAX_OFFSET;
    let entry = table.entry(number);
    let field = entry.field as usize;
    work.keep(Kept::A, 0);
    if field == Field::Any as usize {
        work.keep(Kept::A, 1);
    } else if field == Field::Body as usize {
        let is_behind = start > work.kept(Kept::HeaderEnd);
        work.keep(Kept::A, is_behind as usize);
    } else if field == Field::RequestUri as usize {
        if work.kept(Kept::UriEnd) == 0 {
            find_uri_end(payload, work);
        }
        let end = start + entry.length as usize;
        let is_inside = start >= work.kept(Kept::Uri) && end <= work.kept(Kept::UriEnd);
        work.keep(Kept::A, is_inside as usize);
    } else if start < work.kept(Kept::HeaderEnd) {
        find_line(payload, work, start);
        find_value(payload, work, field);
        // Where it begins, not 0, is kept.
        if start < work.kept(Kept::A) {
            work.keep(Kept::A, 0);
        }
    }
    if work.kept(Kept::A) == 0 {
        return;
    }
    let new = Hit::new(entry.found, number.wrapping_sub(1));
    let hit = Hit::from_number(work.kept(Kept::Hit) as u64).or(new);
    work.keep(Kept::Hit, hit.number() as usize);
    if is_hostile(work) {
        work.keep(Kept::IsSearched, 1);
    }
}

/// How many times eight bytes of a request URI are searched for its end. What stands behind is no
/// part of it.
const MANY_OF_URI: usize = 256;

/// Finds where the request URI ends: before a blank, a line end, or another byte that no URI holds.
#[inline(always)]
fn find_uri_end(payload: &impl Payload, work: &mut Work) {
    let uri = work.kept(Kept::Uri);
    work.keep(Kept::UriEnd, uri + WORD * MANY_OF_URI);
    for step in payload.rolled(MANY_OF_URI) {
        let at = payload.opaque(uri.wrapping_add(WORD * step) as u64) as usize;
        // Behind the text there are line feeds.
        if others(work.word(at)) != 0 {
            work.keep(Kept::UriEnd, at);
            break;
        }
    }
    let at = work.kept(Kept::UriEnd) & MAX_OFFSET;
    let end = at + swar::count_before_first(others(work.word(at)) | 1 << 63);
    work.keep(Kept::UriEnd, end);

    /// Flags bytes up to a blank; exact up to the first one.
    #[inline(always)]
    fn others(word: u64) -> u64 {
        word.wrapping_sub(swar::splat(b' ' + 1)) & !word & swar::TOP
    }
}

/// Finds the line feed before the field that a place is in, folded lines and all, and keeps it as
/// [`Kept::Line`]; 0 for the start line.
///
/// It is searched for backwards, and not where it was done before: else what has a pattern in many
/// places of one long line would be dear.
#[inline(always)]
fn find_line(payload: &impl Payload, work: &mut Work, start: usize) {
    // Windows are looked at in their order, and a pattern has no line end: what was found before
    // stands in the same field or in an earlier one.
    let known = work.kept(Kept::LineReach);
    work.keep(Kept::B, 0);
    // The pattern has no line feed, and is long enough for what is looked at of it.
    let from = (start + WORD - 1) & !(WORD - 1);
    for step in payload.rolled(MANY_WORDS / 2 + 1) {
        let behind = payload.opaque(from.wrapping_sub(2 * WORD * step) as u64) as usize;
        if behind as i64 <= known as i64 {
            break;
        }
        // What may seem to stand before the text is behind the longest one, where nothing ever is.
        const { assert!(MAX_TEXT + 2 * CHUNK < MAX_OFFSET) };
        let at = behind.wrapping_sub(2 * WORD);
        if work.field_ends(at, 0) | work.field_ends(at, WORD) != 0 {
            work.keep(Kept::B, behind);
            break;
        }
    }
    let behind = work.kept(Kept::B) & MAX_OFFSET;
    if behind != 0 {
        let at = behind.wrapping_sub(2 * WORD);
        let last = work.field_ends(at, WORD);
        let (fields, behind) = match last {
            0 => (work.field_ends(at, 0), behind.wrapping_sub(WORD)),
            _ => (last, behind),
        };
        let after = swar::count_before_first(fields.swap_bytes());
        work.keep(Kept::Line, behind.wrapping_sub(after + 1));
    }
    work.keep(Kept::LineReach, start);
}

/// How many numbers behind a field's own its compact name has its number, if it has one.
const COMPACT: usize = 6;

/// Keeps as [`Kept::A`] where the value begins of the line at [`Kept::Line`], if it is this field's; 0
/// if not.
#[inline(always)]
fn find_value(payload: &impl Payload, work: &mut Work, field: usize) {
    let line = work.kept(Kept::Line) & MAX_OFFSET;
    if line == 0 {
        return;
    }
    work.keep(Kept::B, 0);
    // Whatever begins with the compact name may yet have the long one.
    for number in [field + COMPACT, field] {
        let name = HeaderName::by_number(number);
        let end = work.half((line + name.length as usize).wrapping_sub(4));
        if name.field as usize == field && name.difference(work.word(line), end) == 0 {
            work.keep(Kept::B, line + name.length as usize);
        }
    }
    let name_end = work.kept(Kept::B) & MAX_OFFSET;
    if name_end != 0 && IS_BEHIND[work.byte(name_end) as usize] != 0 {
        value::begin(payload, work, field, name_end);
    }
}
