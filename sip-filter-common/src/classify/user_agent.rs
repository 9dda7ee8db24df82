//! The User-Agent header field: where its value stands and what it is.
//!
//! The search looks at four bytes in every eight. The literal sought, a line end and
//! `user-agent`, is eleven bytes long, so whatever its offset one of its first eight
//! four-byte pieces lies at a multiple of eight; only where such a piece is met is the
//! literal compared. The steps do not wait for each other, which is what makes it fast.

use crate::{
    payload::{MAX_OFFSET, Payload, last_word},
    perfect_hash::{self, slot},
    swar,
};

/// How far into the payload a User-Agent is looked for, in bytes.
const MAX_SEARCH: usize = 4096;
/// How many blanks are skipped before and after the colon, folded lines included.
const MAX_BLANKS: usize = 32;

const LITERAL: &[u8; 11] = b"\nuser-agent";
const STRIDE: usize = 8;
const PIECE: usize = 4;
const _: () = assert!(LITERAL.len() + 1 >= STRIDE + PIECE);

/// Folds the case of the letters in a piece; what else it folds together is told apart when
/// the whole literal is compared.
const FOLD: u32 = 0x2020_2020;

/// A piece of the literal and how far into it the piece begins.
#[derive(Clone, Copy)]
#[repr(C)]
struct Piece {
    folded: u32,
    back: u32,
}

const SLOTS: usize = 16;

const fn piece(at: usize) -> u32 {
    swar::word(&[
        LITERAL[at],
        LITERAL[at + 1],
        LITERAL[at + 2],
        LITERAL[at + 3],
    ]) as u32
        | FOLD
}

const MULTIPLIER: u32 = {
    let mut pieces = [0; STRIDE];
    let mut at = 0;
    while at < STRIDE {
        pieces[at] = piece(at);
        at += 1;
    }
    perfect_hash::multiplier::<SLOTS>(&pieces)
};

static PIECES: [Piece; SLOTS] = {
    // An empty slot holds what no folded window can be: it lacks the folding bits.
    let mut pieces = [Piece { folded: 0, back: 0 }; SLOTS];
    let mut at = 0;
    while at < STRIDE {
        pieces[slot::<SLOTS>(piece(at), MULTIPLIER)] = Piece {
            folded: piece(at),
            back: at as u32,
        };
        at += 1;
    }
    pieces
};

/// The offset at which the first User-Agent's value begins.
#[inline(always)]
pub(super) fn find(payload: &impl Payload) -> Option<usize> {
    let mut literal = usize::MAX;
    let searched = payload.apart();
    for step in payload.rolled(MAX_SEARCH / STRIDE) {
        let at = step * STRIDE;
        let folded = searched.u32_at(at)? | FOLD;
        let candidate = &PIECES[slot::<SLOTS>(folded, MULTIPLIER)];
        if candidate.folded == folded {
            let start = at.wrapping_sub(candidate.back as usize) & MAX_OFFSET;
            if is_literal(&searched, start) {
                literal = start;
                break;
            }
        }
    }
    if literal == usize::MAX {
        return None;
    }
    let after = payload.forget(literal + LITERAL.len()) & MAX_OFFSET;
    let colon = skip_blanks(payload, after)?;
    if payload.u8_at(colon)? != b':' {
        return None;
    }
    skip_blanks(payload, colon + 1)
}

/// Whether the literal stands at `start`, in any case, and the name ends with it.
#[inline(always)]
fn is_literal(payload: &impl Payload, start: usize) -> bool {
    // Letters alone are folded: 0x20 makes a letter of nothing but the same letter.
    const HEAD_FOLD: u64 = swar::word(b"\0    \0  ");
    const HEAD: u64 = swar::word(b"\nuser-ag");
    const TAIL_FOLD: u64 = swar::word(b" \0     ");
    const TAIL: u64 = swar::word(b"r-agent");
    const BEHIND: usize = 7;
    // The tail and the byte behind it.
    let (Some(head), Some(tail)) = (
        payload.u64_at(start),
        payload.u64_at(start + LITERAL.len() - BEHIND),
    ) else {
        return false;
    };
    let behind = (tail >> (8 * BEHIND)) as u8;
    head | HEAD_FOLD == HEAD
        && tail & swar::mask(BEHIND) | TAIL_FOLD == TAIL
        && matches!(behind, b':' | b' ' | b'\t' | b'\r' | b'\n')
}

/// The offset of the first byte that is no blank: space, tab, or a line end before either of
/// them (RFC 3261 section 7.3.1).
#[inline(always)]
fn skip_blanks(payload: &impl Payload, from: usize) -> Option<usize> {
    let payload = payload.apart();
    let from = payload.forget(from) & MAX_OFFSET;
    let mut end = usize::MAX;
    for step in payload.rolled(MAX_BLANKS + 1) {
        let byte = payload.u8_at(from + step)?;
        let blank = match byte {
            b' ' | b'\t' => true,
            b'\r' => {
                payload.u8_at(from + step + 1) == Some(b'\n')
                    && matches!(payload.u8_at(from + step + 2), Some(b' ' | b'\t'))
            }
            b'\n' => matches!(payload.u8_at(from + step + 1), Some(b' ' | b'\t')),
            _ => false,
        };
        if !blank {
            end = from + step;
            break;
        }
    }
    (end != usize::MAX).then_some(payload.forget(end) & MAX_OFFSET)
}

/// Whether no empty line, which ends the header, stands between the start line at `start` and
/// `value`: a User-Agent in a body is none.
#[inline(always)]
pub(super) fn stands_in_header(payload: &impl Payload, start: usize, value: usize) -> bool {
    let mut lines = Lines::default();
    let payload = payload.apart();
    let (start, value) = (
        payload.forget(start) & MAX_OFFSET,
        payload.forget(value) & MAX_OFFSET,
    );
    let mut rest = start;
    for step in payload.rolled(MAX_SEARCH / 8) {
        let at = start + step * 8;
        rest = at;
        if at + 8 > value {
            break;
        }
        let Some(word) = payload.u64_at(at) else {
            break;
        };
        lines.read(word);
    }
    // The bytes that are left before the value, less than eight, in a word that may end behind the
    // payload.
    let payload = payload.apart();
    let rest = payload.forget(rest) & MAX_OFFSET;
    let word = match payload.u64_at(rest) {
        Some(word) => word,
        None => last_word(&payload, rest),
    };
    lines.read(word & swar::mask_up_to_eight(value.saturating_sub(rest)));
    lines.empty == 0
}

/// Looks for an empty line, word after word.
#[derive(Default)]
struct Lines {
    /// Not 0 once there was one.
    empty: u64,
    /// The line feeds of the word before.
    feeds: u64,
    /// The CRs right behind a line feed of the word before.
    returns: u64,
}

impl Lines {
    #[inline(always)]
    fn read(&mut self, word: u64) {
        let feeds = swar::equal_exactly(word, b'\n');
        let after_feed = (feeds << 8) | (self.feeds >> 56);
        let returns = swar::equal_exactly(word, b'\r') & after_feed;
        // LF LF, or LF CR LF.
        self.empty |= feeds & (after_feed | (returns << 8) | (self.returns >> 56));
        (self.feeds, self.returns) = (feeds, returns);
    }
}
