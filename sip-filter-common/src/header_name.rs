//! The names of the header fields that are looked at, in long and compact form.
//!
//! The first two letters of a line say in one look which name it may have; what else it must have
//! of it is compared only where the value matters.

use crate::{field::Field, swar};

/// A name: RFC 3261 section 20, and for the compact forms section 7.3.3.
#[derive(Clone, Copy)]
pub(crate) struct HeaderName {
    /// A line feed and the first seven letters, or all if there are less.
    head: u64,
    mask: u64,
    /// The bits that make letters lower case: a CR must not become a hyphen.
    fold: u64,
    /// The last four letters of a name of more than seven.
    tail: u32,
    /// From the line feed to behind the name, in bytes.
    pub(crate) length: u8,
    pub(crate) field: u8,
}

/// The number in place of a [`Field`]'s of those that say who a request is from; no signature is
/// about them.
pub(crate) const CREDENTIALS: u8 = 0;

const fn name(text: &[u8], field: u8) -> HeaderName {
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
    HeaderName {
        head,
        mask: swar::mask(at + 1),
        fold,
        tail: if text.len() > 7 {
            swar::word(text.split_at(text.len() - 4).1) as u32
        } else {
            0
        },
        length: text.len() as u8 + 1,
        field,
    }
}

/// The number of User-Agent.
pub(crate) const USER_AGENT: usize = 1;
/// The number of the line that ends the header.
pub(crate) const END: usize = 15;
/// How many names there are, with the nothing before them.
pub(crate) const MANY: usize = 15;

/// The names by number. What is none equals nothing.
pub(crate) const BY_NUMBER: [HeaderName; 16] = {
    let none = HeaderName {
        head: 1,
        mask: 0,
        fold: 0,
        tail: 0,
        length: 0,
        field: 0,
    };
    let mut names = [none; 16];
    names[USER_AGENT] = name(b"user-agent", Field::UserAgent as u8);
    names[2] = name(b"from", Field::From as u8);
    names[3] = name(b"to", Field::To as u8);
    names[4] = name(b"contact", Field::Contact as u8);
    names[5] = name(b"via", Field::Via as u8);
    names[6] = name(b"call-id", Field::CallId as u8);
    names[7] = name(b"cseq", Field::CSeq as u8);
    names[8] = name(b"f", Field::From as u8);
    names[9] = name(b"t", Field::To as u8);
    names[10] = name(b"m", Field::Contact as u8);
    names[11] = name(b"v", Field::Via as u8);
    names[12] = name(b"i", Field::CallId as u8);
    names[13] = name(b"authorization", CREDENTIALS);
    names[14] = name(b"proxy-authorization", CREDENTIALS);
    names
};
static NAMES: [HeaderName; 16] = BY_NUMBER;

/// User-Agent.
pub(crate) const USER_AGENT_NAME: HeaderName = BY_NUMBER[USER_AGENT];

impl HeaderName {
    /// The name with this number.
    #[inline(always)]
    pub(crate) fn by_number(number: usize) -> &'static Self {
        &NAMES[number & 0xf]
    }

    /// 0 where a line begins with the name: `line` is its line feed and seven bytes more, `end` the
    /// last four bytes of what is as long as the name.
    #[inline(always)]
    pub(crate) fn difference(&self, line: u64, end: u32) -> u64 {
        let tail = u64::from((end | 0x2020_2020) ^ self.tail);
        let is_long = (self.length > 8) as u64;
        ((line | self.fold) & self.mask) ^ self.head | tail & is_long.wrapping_neg()
    }
}

/// How many different beginnings of lines [`letters`] tells apart, and more.
pub(crate) const LETTERS: usize = 0x6000;

/// What tells lines apart by their first two bytes, the first one lowest: letters in any case, and
/// what follows compact names from letters.
#[inline(always)]
pub(crate) const fn letters(first_two: u16) -> usize {
    (first_two & 0x5f5f) as usize
}

/// By [`letters`], the number of the one name that a line may have; 0 for most.
pub(crate) static BY_LETTERS: [u8; LETTERS] = {
    let mut numbers = [0; LETTERS];
    let mut number = 1;
    while number < MANY {
        let head = BY_NUMBER[number].head;
        let (first, second) = ((head >> 8) as u8, (head >> 16) as u8);
        if second == 0 {
            // A compact name is followed by the colon or a blank.
            let mut at = 0;
            while at < 3 {
                numbers[letters(u16::from_le_bytes([first, b": \t"[at]]))] = number as u8;
                at += 1;
            }
        } else {
            numbers[letters(u16::from_le_bytes([first, second]))] = number as u8;
        }
        number += 1;
    }
    numbers[letters(u16::from_le_bytes(*b"\r\n"))] = END as u8;
    let mut behind = 0_u16;
    while behind < 256 {
        numbers[letters(b'\n' as u16 | behind << 8)] = END as u8;
        behind += 1;
    }
    numbers
};

/// Not 0 for what may stand behind a field's name: the colon, and blanks before it (RFC 3261 section
/// 7.3.1).
pub(crate) static IS_BEHIND: [u8; 256] = {
    let mut bytes = [0; 256];
    bytes[b':' as usize] = 1;
    bytes[b' ' as usize] = 1;
    bytes[b'\t' as usize] = 1;
    bytes
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_letters_of_its_own() {
        let mut taken = [0_usize; LETTERS];
        for (number, name) in BY_NUMBER.iter().enumerate().take(MANY).skip(1) {
            let head = name.head;
            let (first, second) = ((head >> 8) as u8, (head >> 16) as u8);
            let alone = [second];
            let seconds = if second == 0 { &b": \t"[..] } else { &alone };
            for second in seconds {
                let at = letters(u16::from_le_bytes([first, *second]));
                assert_eq!(taken[at], 0, "name {number} and name {}", taken[at]);
                taken[at] = number;
                assert_eq!(usize::from(BY_LETTERS[at]), number);
            }
        }
    }
}
