//! The header's lines: which fields stand where, and which of their values may be a tool's.

use super::text::{Cursor, Kept, Noted, Work, place_of};
use crate::{
    field::Field,
    payload::{CHUNK, Payload},
    signature::{self, SignatureTable},
    swar,
};

/// How many line feeds, what is taken for some, and chunks without any are looked at in one go.
const MAX_LINES: usize = 48;
/// The same where only a User-Agent is looked for.
const MANY_LINES: usize = 512;

/// What begins a line.
#[derive(Clone, Copy)]
struct Name {
    /// A line feed and the first seven letters of a field's name, or all if it has less.
    head: u64,
    mask: u64,
    /// The bits that make letters lower case: a CR must not become a hyphen.
    fold: u64,
    /// In the set of beginnings, what tells this field from others.
    salt: u64,
    /// From the line feed to behind the name, in bytes.
    length: u8,
    field: u8,
    /// See [`signature::key_at`].
    key_at: u8,
}

/// The last four letters of User-Agent. Of another name of more than seven letters no other begins
/// alike.
const TAIL: u32 = u32::from_le_bytes(*b"gent");

const fn name(text: &[u8], field: Field) -> Name {
    let mut head = b'\n' as u64;
    let mut fold = 0;
    let mut at = 0;
    while at < text.len() && at < 7 {
        if text[at] != b'-' {
            fold |= 0x20 << (8 * at + 8);
        }
        head |= (text[at] as u64) << (8 * at + 8);
        at += 1;
    }
    Name {
        head,
        mask: swar::mask(at + 1),
        fold,
        salt: signature::salt(field),
        length: text.len() as u8 + 1,
        field: field as u8,
        key_at: signature::key_at(field) as u8,
    }
}

/// The names: RFC 3261 section 20, and for the compact forms section 7.3.3.
const NAMES: [Name; 16] = {
    let nothing = Name {
        head: 1,
        mask: 0,
        fold: 0,
        salt: 0,
        length: 0,
        field: 0,
        key_at: 0,
    };
    let mut names = [nothing; 16];
    names[1] = name(b"user-agent", Field::UserAgent);
    names[2] = name(b"from", Field::From);
    names[3] = name(b"to", Field::To);
    names[4] = name(b"contact", Field::Contact);
    names[5] = name(b"via", Field::Via);
    names[6] = name(b"call-id", Field::CallId);
    names[7] = name(b"cseq", Field::CSeq);
    names[8] = name(b"f", Field::From);
    names[9] = name(b"t", Field::To);
    names[10] = name(b"m", Field::Contact);
    names[11] = name(b"v", Field::Via);
    names[12] = name(b"i", Field::CallId);
    names[13] = Name {
        field: MAX_FORWARDS,
        ..name(b"max-forwards", Field::Any)
    };
    names
};
static BY_NUMBER: [Name; 16] = NAMES;
/// How many of them there are, with the nothing before them.
const MANY: usize = 14;
/// The number of a field at which detectors alone look.
const MAX_FORWARDS: u8 = 15;
/// The number of the line that ends the header.
const END: u8 = 15;

/// By the first two bytes of a line, the number of the one name that it may be; 0 for most.
static BY_FIRST_BYTES: [u8; 65536] = {
    let mut numbers = [0; 65536];
    let mut number = 1;
    while number < MANY {
        let head = NAMES[number].head;
        let first = (head >> 8) as u8 as usize;
        let second = (head >> 16) as u8 as usize;
        let number_of = number as u8;
        let first_upper = first & !0x20;
        if second == 0 {
            // A compact name is followed by the colon or a blank.
            let mut at = 0;
            while at < 3 {
                let behind = b": \t"[at] as usize;
                numbers[first | behind << 8] = number_of;
                numbers[first_upper | behind << 8] = number_of;
                at += 1;
            }
        } else {
            let second_upper = second & !0x20;
            numbers[first | second << 8] = number_of;
            numbers[first_upper | second << 8] = number_of;
            numbers[first | second_upper << 8] = number_of;
            numbers[first_upper | second_upper << 8] = number_of;
        }
        number += 1;
    }
    numbers[b'\r' as usize | (b'\n' as usize) << 8] = END;
    let mut behind = 0;
    while behind < 256 {
        numbers[b'\n' as usize | behind << 8] = END;
        behind += 1;
    }
    numbers
};

/// Not 0 for what may stand behind a field's name: the colon, and blanks before it (RFC 3261 section
/// 7.3.1).
static IS_BEHIND_NAME: [u8; 256] = {
    let mut bytes = [0; 256];
    bytes[b':' as usize] = 1;
    bytes[b' ' as usize] = 1;
    bytes[b'\t' as usize] = 1;
    bytes
};

/// Not 0 for blanks and control characters.
static IS_BLANK: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut byte = 0;
    while byte <= b' ' as usize {
        bytes[byte] = 1;
        byte += 1;
    }
    bytes
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
    let masks = work.kept(Kept::Masks);
    let mut candidates = work.kept(Kept::Candidates);
    for _ in payload.rolled(MAX_LINES) {
        if mask == 0 {
            let next = work.next(number);
            if next.number >= masks {
                break;
            }
            // Without any, the byte that is looked at is no line feed.
            Cursor { mask, number } = next;
        }
        let lowest = payload.opaque(mask & mask.wrapping_neg());
        mask ^= lowest;
        let at = number * CHUNK + place_of(lowest);
        let line = work.word(at);
        let kind = BY_FIRST_BYTES[(line >> 8) as u16 as usize];
        if kind == 0 || line as u8 != b'\n' {
            continue;
        }
        let name = &BY_NUMBER[(kind & 0xf) as usize];
        if (line | name.fold) & name.mask != name.head {
            if kind == END {
                let has_cr = ((line >> 8) as u8 == b'\r') as usize;
                work.keep(Kept::Body, at + 2 + has_cr);
                work.keep(Kept::IsEnded, 1);
                break;
            }
            continue;
        }
        let name_end = at + name.length as usize;
        if kind == 1 && work.half(name_end.wrapping_sub(4)) | 0x2020_2020 != TAIL {
            continue;
        }
        let rest = work.word(name_end);
        if IS_BEHIND_NAME[rest as u8 as usize] == 0 {
            continue;
        }
        let field = name.field as usize;
        let behind = Cursor { mask, number };
        if field == Field::From as usize {
            work.note(Noted::From, name_end, behind);
        } else if field == Field::Via as usize {
            work.note(Noted::Via, name_end, behind);
        } else if field == Field::CallId as usize {
            work.note(Noted::CallId, name_end, behind);
        } else if name.field == MAX_FORWARDS {
            work.note(Noted::MaxForwards, name_end, behind);
            continue;
        }
        // A colon and a blank, as nearly always; what is unusual is looked at later.
        let has_blank = payload.is_0((rest >> 8 & 0xff) ^ b' ' as u64);
        let value = rest >> (8 + 8 * has_blank);
        let is_unusual = u64::from(rest as u8 ^ b':') | u64::from(IS_BLANK[value as u8 as usize]);
        let key_at = name_end + 1 + has_blank as usize + name.key_at as usize;
        let may_begin = u64::from(table.may_begin(field, name.salt, work.word(key_at)));
        if payload.opaque(is_unusual | may_begin) == 0 {
            continue;
        }
        candidates = work.add_candidate(candidates, field, name_end);
        if leave {
            break;
        }
    }
    work.keep(Kept::Mask, mask as usize);
    work.keep(Kept::Number, number);
    work.keep(Kept::Candidates, candidates);
}

/// Looks for a User-Agent alone, behind more lines than are read for all fields: what is made to be
/// read no further is found all the same.
#[inline(always)]
pub(super) fn find_user_agent(payload: &impl Payload, work: &mut Work) {
    const HEAD: u64 = NAMES[1].head;
    let Cursor {
        mut mask,
        mut number,
    } = work.cursor();
    let masks = work.kept(Kept::Masks);
    for _ in payload.rolled(MANY_LINES) {
        // Without choices but those that end the loop.
        let half = (mask | mask >> 32) & 0xffff_ffff;
        let next = work.next(number);
        mask |= next.mask & payload.mask_if_0(half);
        number += payload.is_0(half) as usize;
        if number >= masks {
            break;
        }
        let lowest = payload.opaque(mask & mask.wrapping_neg());
        mask ^= lowest;
        let at = payload.opaque((number * CHUNK + place_of(lowest)) as u64) as usize;
        let line = work.word(at);
        let is_end = line as u16 == u16::from_le_bytes(*b"\n\n")
            || line & 0xff_ffff == swar::word(b"\n\r\n");
        if is_end {
            break;
        }
        let name_end = at + NAMES[1].length as usize;
        let tail = work.half(name_end.wrapping_sub(4)) | 0x2020_2020;
        let behind = IS_BEHIND_NAME[work.byte(name_end) as usize] ^ 1;
        let difference = (line | NAMES[1].fold) ^ HEAD | u64::from(tail ^ TAIL) | u64::from(behind);
        if difference == 0 {
            work.add_candidate(0, Field::UserAgent as usize, name_end);
            work.keep(Kept::Candidates, 1);
            break;
        }
    }
}
