//! The header's lines: which fields stand where, and which of their values may be a tool's.

use super::text::{Cursor, Kept, Work};
use crate::{
    field::Field,
    payload::Payload,
    perfect_hash::{self, slot},
    signature::SignatureTable,
    swar,
};

/// How many line feeds, and what is taken for some, are looked at in one go.
const MAX_LINES: usize = 64;

/// A line feed and the first seven letters of a field's name, or all if it has less.
#[derive(Clone, Copy)]
struct Name {
    head: u64,
    mask: u64,
    /// The last four letters of a name that has more than seven, and which bits of them count.
    tail: u32,
    tail_mask: u32,
    /// From the line feed to behind the name, in bytes.
    length: u8,
    field: u8,
}

const LETTERS: u64 = 0x2020_2020_2020_2000;

const fn name(text: &[u8], field: Field) -> Name {
    let mut head = b'\n' as u64;
    let mut at = 0;
    while at < text.len() && at < 7 {
        head |= (text[at] as u64) << (8 * at + 8);
        at += 1;
    }
    let (mut tail, mut tail_mask) = (0, 0);
    if text.len() > 7 {
        tail = swar::word(text.split_at(text.len() - 4).1) as u32;
        tail_mask = u32::MAX;
    }
    Name {
        head,
        mask: swar::mask(at + 1),
        tail,
        tail_mask,
        length: text.len() as u8 + 1,
        field: field as u8,
    }
}

/// The names by the two bytes that a line begins with, in lower case: RFC 3261 section 20, and for
/// the compact forms section 7.3.3. Behind these comes a colon, a blank or a tab.
const NAMES: [([u8; 2], Name); 22] = [
    (*b"us", name(b"user-agent", Field::UserAgent)),
    (*b"fr", name(b"from", Field::From)),
    (*b"to", name(b"to", Field::To)),
    (*b"co", name(b"contact", Field::Contact)),
    (*b"vi", name(b"via", Field::Via)),
    (*b"ca", name(b"call-id", Field::CallId)),
    (*b"cs", name(b"cseq", Field::CSeq)),
    (*b"f:", name(b"f", Field::From)),
    (*b"f ", name(b"f", Field::From)),
    (*b"f\t", name(b"f", Field::From)),
    (*b"t:", name(b"t", Field::To)),
    (*b"t ", name(b"t", Field::To)),
    (*b"t\t", name(b"t", Field::To)),
    (*b"m:", name(b"m", Field::Contact)),
    (*b"m ", name(b"m", Field::Contact)),
    (*b"m\t", name(b"m", Field::Contact)),
    (*b"v:", name(b"v", Field::Via)),
    (*b"v ", name(b"v", Field::Via)),
    (*b"v\t", name(b"v", Field::Via)),
    (*b"i:", name(b"i", Field::CallId)),
    (*b"i ", name(b"i", Field::CallId)),
    (*b"i\t", name(b"i", Field::CallId)),
];

const SLOTS: usize = 64;

const fn filed_under(first: [u8; 2]) -> u32 {
    first[0] as u32 | (first[1] as u32) << 8 | 0x2020
}

const MULTIPLIER: u32 = {
    let mut numbers = [0; NAMES.len()];
    let mut at = 0;
    while at < NAMES.len() {
        numbers[at] = filed_under(NAMES[at].0);
        at += 1;
    }
    perfect_hash::multiplier::<SLOTS>(&numbers)
};

/// The names by [`slot`]. An empty slot compares unequal to anything.
static BY_FIRST_BYTES: [Name; SLOTS] = {
    let empty = Name {
        head: 1,
        mask: 0,
        tail: 0,
        tail_mask: 0,
        length: 0,
        field: 0,
    };
    let mut slots = [empty; SLOTS];
    let mut at = 0;
    while at < NAMES.len() {
        let (first, name) = NAMES[at];
        slots[slot::<SLOTS>(filed_under(first), MULTIPLIER)] = name;
        at += 1;
    }
    slots
};

/// De Bruijn: times this, each power of two has another number in its six highest bits.
const DE_BRUIJN: u64 = 0x03f7_9d71_b4cb_0a89;

static BY_PRODUCT: [u8; 64] = {
    let mut numbers = [0; 64];
    let mut number = 0;
    while number < 64 {
        numbers[((DE_BRUIJN << number) >> 58) as usize] = number as u8;
        number += 1;
    }
    numbers
};

/// Reads lines from where the last call ended, as far as the text has been read, to the header's
/// end: notes where fields stand, and which values may begin like a pattern; with `leave` it comes
/// back with the first of these.
#[inline(always)]
pub(super) fn read(payload: &impl Payload, work: &mut Work, table: &SignatureTable, leave: bool) {
    let Cursor {
        mut mask,
        mut number,
    } = work.cursor();
    let mut field = work.kept(Kept::Field);
    let mut candidates = work.kept(Kept::Candidates);
    for _ in payload.rolled(MAX_LINES) {
        if mask == 0 {
            Cursor { mask, number } = work.next(number);
            if mask == 0 {
                break;
            }
        }
        let lowest = mask & mask.wrapping_neg();
        mask ^= lowest;
        let place = BY_PRODUCT[(lowest.wrapping_mul(DE_BRUIJN) >> 58) as usize];
        let at = work.base(number) + place as usize;
        let line = work.word(at);
        if line as u16 == u16::from_le_bytes(*b"\n\n")
            || line & 0xff_ffff == swar::word(b"\n\r\n")
        {
            work.end_field(field, at);
            work.keep(Kept::Body, at + 2 + (line as u16 == u16::from_le_bytes(*b"\n\r")) as usize);
            work.keep(Kept::IsEnded, 1);
            break;
        }
        let folded = line | LETTERS;
        let name = &BY_FIRST_BYTES[slot::<SLOTS>((folded >> 8) as u16 as u32, MULTIPLIER)];
        if folded & name.mask != name.head {
            // A line that begins with a blank goes on with the field before it (RFC 3261
            // section 7.3.1).
            let first = (line >> 8) as u8;
            if line as u8 == b'\n' && !is_blank(first) {
                work.end_field(field, at);
                field = 0;
            }
            continue;
        }
        work.end_field(field, at);
        field = 0;
        let name_end = at + name.length as usize;
        if (work.half(name_end.wrapping_sub(4)) | LETTERS as u32 | 0x20) & name.tail_mask
            != name.tail
        {
            continue;
        }
        let rest = work.word(name_end);
        let behind = rest >> 8;
        let value = behind >> (8 * (behind as u8 == b' ') as u64);
        let mut may_be = table.may_begin(name.field as usize, value);
        if rest as u8 != b':' || value as u8 <= b' ' {
            if rest as u8 != b':' && !is_blank(rest as u8) {
                continue;
            }
            may_be = 1;
        }
        field = name.field as usize;
        work.begin_field(field, name_end);
        if may_be == 0 {
            continue;
        }
        candidates = work.add_candidate(candidates, field, name_end);
        if leave {
            break;
        }
    }
    work.keep(Kept::Mask, mask as usize);
    work.keep(Kept::Number, number);
    work.keep(Kept::Field, field);
    work.keep(Kept::Candidates, candidates);
}

#[inline(always)]
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
