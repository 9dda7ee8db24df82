//! The signature table: which text in which place names which tool.
//!
//! The loader builds the table; the classifier looks values up in it. Patterns are filed by four of
//! their first bytes, and a look at what is filed by four bytes of a value nearly always ends the
//! matter: so the cost of a look-up does not depend on how many signatures there are. Which names of
//! fields are looked for at all is a part of the table: a field without signatures costs nothing.
//!
//! What a value contains is found by windows of four bytes, at every multiple of four of the text:
//! wherever a pattern stands, one of four windows in a row of it stands at such a place. All four are
//! filed, and of nearly every window of a text one look tells that nothing is filed like it.

mod build;

use crate::{
    field::{Detector, Field},
    header_name::{self, HeaderName, LETTERS},
    tool::Found,
};

pub use build::{TableError, check};

/// How many signatures a table holds.
pub const MAX_SIGNATURES: usize = 512;
/// The longest pattern, in bytes.
pub const MAX_PATTERN: usize = 64;
/// The shortest pattern that a value may begin with, in bytes.
pub const MIN_PREFIX: usize = 3;
/// The shortest pattern that a value may contain, in bytes: wherever it stands, a window of four
/// bytes at a multiple of four is wholly its own. Shorter ones stand in ordinary traffic too.
pub const MIN_CONTAINS: usize = WINDOW + PHASES - 1;
/// How many patterns with the same key a look-up goes through.
pub const MAX_CHAIN: usize = 16;

pub(crate) const WORDS: usize = MAX_PATTERN / 8;
const HEADS: usize = 16384;
const LINKS: usize = 4096;
const NONE: u16 = 0;

/// How many bytes of a value it is filed by.
const KEY: usize = 4;

/// How many bytes of a text are looked up at once for what it contains, and from how many to how many.
pub(crate) const WINDOW: usize = 4;
/// At how many places a pattern may begin, seen from the windows of a text.
const PHASES: usize = WINDOW;
/// How many chains there are of what is filed by windows.
const WINDOW_HEADS: usize = 16384;
/// Each pattern is filed by so many windows.
const FILED: usize = MAX_SIGNATURES * PHASES;

/// Behind how many bytes of a field's value those stand that it is filed by. What nearly all values
/// of a field begin with tells nothing: `sip:`, `<sip:`, and in a Via `SIP/2.0/UDP `.
pub(crate) const fn key_at(field: Field) -> usize {
    match field {
        Field::Via => 12,
        Field::From | Field::To | Field::Contact | Field::RequestUri => 4,
        _ => 0,
    }
}

/// [`key_at`] by the field's number.
static KEYS_AT: [u8; 16] = {
    let mut keys_at = [0; 16];
    let mut at = 0;
    while at < Field::ALL.len() {
        keys_at[Field::ALL[at] as usize] = key_at(Field::ALL[at]) as u8;
        at += 1;
    }
    keys_at
};

/// Folds the case of letters; what else it makes equal is told apart when patterns are compared.
const FOLD: u32 = u32::from_le_bytes([0x20; 4]);

/// What a signature has found, and which one: one word, for the verifier's sake, and 0 for
/// nothing.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hit(u32);

impl Hit {
    /// Nothing was found.
    pub const NONE: Self = Self(0);

    /// Found by the signature with this number; nothing where `found` is 0.
    #[inline(always)]
    pub(crate) const fn new(found: u16, signature: usize) -> Self {
        if found == 0 {
            Self::NONE
        } else {
            Self(found as u32 | (signature as u32) << 16)
        }
    }

    /// As a number.
    #[inline(always)]
    pub(crate) const fn number(self) -> u64 {
        self.0 as u64
    }

    /// From [`Hit::number`].
    #[inline(always)]
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number as u32)
    }

    /// The tool.
    #[inline(always)]
    pub fn found(self) -> Option<Found> {
        Found::from_word(self.0 as u16)
    }

    /// The signature's number, below [`MAX_SIGNATURES`].
    #[inline(always)]
    pub const fn signature(self) -> usize {
        (self.0 >> 16) as usize
    }

    /// Whether nothing was found.
    #[inline(always)]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether a tool was found for which the packet may be dropped.
    #[inline(always)]
    pub fn is_hostile(self) -> bool {
        Found::is_hostile_word(self.0 as u16)
    }

    /// The one that names the packet: what may be dropped goes before what only counts, and
    /// otherwise what was found first.
    #[inline(always)]
    #[must_use]
    pub fn or(self, later: Self) -> Self {
        if self.is_none() || (!self.is_hostile() && later.is_hostile()) {
            later
        } else {
            self
        }
    }
}

/// One pattern.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Of each word the bytes in lower case, and the bits that make the packet's letters lower
    /// case. Behind the pattern's end both are all ones, so that whatever stands there is equal.
    words: [[u64; 2]; WORDS],
    /// Not 0 where the pattern may stand anywhere in the value.
    is_contained: u8,
    /// Not 0 where the request must have the shape of [`Detector::NmapScript`] too.
    pub(crate) has_shape: u8,
    /// The pattern's length in bytes; 0 in an entry that is free.
    pub(crate) length: u8,
    pub(crate) field: u8,
    /// A [`Found`].
    pub(crate) found: u16,
    /// Not 0 where the value must end behind the pattern.
    pub(crate) is_exact: u16,
}

/// A pattern filed by a key, and what else is filed by it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Link {
    /// The entry's number plus one.
    entry: u16,
    /// The next link plus one, [`NONE`] at the end.
    next: u16,
}

/// A pattern filed by one of its windows, and what else is filed like it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filed {
    /// The window, folded.
    pub(crate) window: u32,
    /// The entry's number plus one, and how far behind the pattern's beginning the window stands,
    /// times [`Self::PHASE`].
    entry: u16,
    /// The next one plus one, [`NONE`] at the end.
    next: u16,
}

impl Filed {
    const NONE: Self = Self {
        window: 0,
        entry: NONE,
        next: NONE,
    };
    /// A power of two above [`MAX_SIGNATURES`].
    const PHASE: u16 = 1024;

    /// The entry's number plus one.
    #[inline(always)]
    pub(crate) fn entry(self) -> usize {
        (self.entry % Self::PHASE) as usize
    }

    /// How far behind the pattern's beginning the window stands, in bytes.
    #[inline(always)]
    pub(crate) fn phase(self) -> usize {
        (self.entry / Self::PHASE) as usize
    }

    /// The next one plus one; 0 at the end.
    #[inline(always)]
    pub(crate) fn next(self) -> usize {
        self.next as usize
    }
}

/// What is to be done with a line that begins like a name: all 0 where nothing is.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// From the line feed to behind the name, in bytes.
    pub(crate) length: u8,
    /// From the line feed to what the value is filed by, where a colon and a blank stand between name
    /// and value.
    pub(crate) key: u8,
    /// The name's number, and [`Self::NOTED`] or [`Self::ALWAYS`].
    flags: u8,
    /// A bit of its own for each field.
    pub(crate) bit: u8,
}

impl Line {
    const NONE: Self = Self {
        length: 0,
        key: 0,
        flags: 0,
        bit: 0,
    };
    /// It is noted where the field stands, for detectors.
    const NOTED: u8 = 0x40;
    /// Patterns of the field are too short for a key: each value is compared.
    const ALWAYS: u8 = 0x80;

    /// All of it as one number.
    #[inline(always)]
    pub(crate) fn bits(&self) -> u32 {
        // SAFETY: four bytes, aligned like a number. Of single bytes the compiler would make four loads.
        unsafe { core::ptr::from_ref(self).cast::<u32>().read() }
    }

    /// From [`Self::bits`].
    #[inline(always)]
    pub(crate) fn from_bits(bits: u32) -> Self {
        let [length, key, flags, bit] = bits.to_le_bytes();
        Self {
            length,
            key,
            flags,
            bit,
        }
    }

    /// The name's number.
    #[inline(always)]
    pub(crate) fn number(self) -> usize {
        (self.flags & 0xf) as usize
    }

    /// Not 0 where more is to be done with the line whatever its value begins with.
    #[inline(always)]
    pub(crate) fn is_special(self) -> u64 {
        (self.flags & (Self::NOTED | Self::ALWAYS)) as u64
    }

    /// Whether it is noted where the field stands.
    #[inline(always)]
    pub(crate) fn is_noted(self) -> bool {
        self.flags & Self::NOTED != 0
    }

    /// Whether each value is compared.
    #[inline(always)]
    pub(crate) fn is_always_compared(self) -> bool {
        self.flags & Self::ALWAYS != 0
    }
}

/// Up to [`MAX_SIGNATURES`] patterns and what the detectors name, as the program holds them in
/// its read-only data.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SignatureTable {
    /// What each detector names; nothing where it is off.
    detectors: [Hit; 16],
    /// By field: the first link plus one of the patterns that are too short for a key.
    short: [u16; 16],
    /// The bits of all fields that are looked for.
    needed: u64,
    /// [`Self::IN_HEADER`] and [`Self::BEHIND_HEADER`] where there are patterns that stand anywhere in
    /// a value.
    contained: u64,
    /// Not 0 where it is noted who a request is for, and whether it has credentials.
    watched: u64,
    /// By [`window_place`]: the first one plus one of what is filed.
    window_heads: [u16; WINDOW_HEADS],
    filed: [Filed; FILED],
    /// By [`letters`](header_name::letters) of a line's first two bytes.
    lines: [Line; LETTERS],
    /// By [`place`]: the first link plus one.
    heads: [u16; HEADS],
    links: [Link; LINKS],
    entries: [Entry; MAX_SIGNATURES],
}

const _: () = {
    assert!(size_of::<Entry>() == 16 * WORDS + 8);
    assert!(size_of::<Line>() == 4);
    assert!(size_of::<Filed>() == 8);
    assert!(MAX_SIGNATURES < Filed::PHASE as usize);
    assert!((MAX_PATTERN - WINDOW) * Filed::PHASE as usize + MAX_SIGNATURES <= u16::MAX as usize);
    assert!(Detector::COUNT <= 16 && Field::COUNT <= 16 && Field::HEADERS <= 8);
    assert!(
        size_of::<SignatureTable>()
            == 64
                + 32
                + 8
                + 8
                + 8
                + 2 * WINDOW_HEADS
                + 8 * FILED
                + 4 * LETTERS
                + 2 * HEADS
                + 4 * LINKS
                + MAX_SIGNATURES * size_of::<Entry>()
    );
};

/// Fields at which detectors look.
const NOTED: u16 = 1 << Field::From as u16 | 1 << Field::Via as u16 | 1 << Field::CallId as u16;

/// Fields that say who a request is for, and whether it has credentials.
const WATCHED: u16 = 1 << Field::To as u16 | 1 << header_name::CREDENTIALS as u16;

/// What is to be done with lines, where these fields have patterns, these some without a key, and
/// these are noted.
const fn lines(fields: u16, always: u16, noted: u16) -> [Line; LETTERS] {
    let mut lines = [Line::NONE; LETTERS];
    let mut at = 0;
    while at < LETTERS {
        let number = header_name::BY_LETTERS[at];
        if number as usize == header_name::END {
            lines[at] = Line {
                length: 1,
                key: 1,
                flags: number,
                bit: 0,
            };
        } else if number != 0 {
            let HeaderName { length, field, .. } = header_name::BY_NUMBER[number as usize];
            let of_field = 1_u16 << field;
            if (fields | noted) & of_field != 0 {
                let mut flags = number;
                if noted & of_field != 0 {
                    flags |= Line::NOTED;
                }
                if always & of_field != 0 {
                    flags |= Line::ALWAYS;
                }
                let key_at = match Field::from_u8(field) {
                    Some(known) => key_at(known),
                    None => 0,
                };
                lines[at] = Line {
                    length,
                    key: length + 2 + key_at as u8,
                    flags,
                    bit: bit(field) as u8,
                };
            }
        }
        at += 1;
    }
    lines
}

impl SignatureTable {
    /// No signature.
    pub const EMPTY: Self = Self {
        detectors: [Hit::NONE; 16],
        short: [NONE; 16],
        needed: needed(0),
        contained: 0,
        watched: 0,
        window_heads: [NONE; WINDOW_HEADS],
        filed: [Filed::NONE; FILED],
        lines: lines(0, 0, NOTED),
        heads: [NONE; HEADS],
        links: [Link {
            entry: NONE,
            next: NONE,
        }; LINKS],
        entries: [Entry {
            words: [[u64::MAX; 2]; WORDS],
            is_contained: 0,
            has_shape: 0,
            length: 0,
            field: 0,
            found: 0,
            is_exact: 0,
        }; MAX_SIGNATURES],
    };
}

// Looking things up, in the kernel too.
impl SignatureTable {
    /// What the detector with this number names.
    #[inline(always)]
    pub(crate) fn detector(&self, detector: usize) -> Hit {
        self.detectors[detector & 0xf]
    }

    /// Whether these are the bits of all fields that are looked for.
    #[inline(always)]
    pub(crate) fn needs_no_more_than(&self, bits: u64) -> bool {
        bits & self.needed == self.needed
    }

    /// What is to be done with a line that begins with these two bytes, the first one lowest.
    #[inline(always)]
    pub(crate) fn line(&self, first_two: u16) -> &Line {
        &self.lines[header_name::letters(first_two)]
    }

    /// Behind how many bytes of a request URI those stand that it is filed by.
    pub(crate) const URI_KEY_AT: usize = key_at(Field::RequestUri);

    /// Whether a request URI that is filed by `key` may begin with a pattern.
    #[inline(always)]
    pub(crate) fn begins_uri(&self, key: u32) -> bool {
        const FIELD: Field = Field::RequestUri;
        self.head(bit(FIELD as u8), key) | self.short(FIELD as usize) != NONE
    }

    /// Behind how many bytes of a value of the field with this number those stand that it is filed by.
    #[inline(always)]
    pub(crate) fn key_at(field: usize) -> usize {
        KEYS_AT[field & 0xf] as usize
    }

    /// The first link plus one of what is filed by `key`, for the field with this [`bit`]; 0 for
    /// nothing, as nearly always.
    #[inline(always)]
    pub(crate) fn head(&self, bit: u32, key: u32) -> u16 {
        self.heads[place(bit, key)]
    }

    /// The same of the field's patterns that are too short for a key.
    #[inline(always)]
    pub(crate) fn short(&self, field: usize) -> u16 {
        self.short[field & 0xf]
    }

    /// Of a link, from its number plus one: the entry's number plus one, and the next link's.
    #[inline(always)]
    pub(crate) fn link(&self, number: usize) -> (usize, usize) {
        // Masked, which the verifier follows better than a comparison.
        let Link { entry, next } = self.links[number.wrapping_sub(1) % LINKS];
        (entry as usize, next as usize)
    }

    /// Patterns of header fields or the request URI.
    const IN_HEADER: u64 = 1;
    /// Patterns that may stand behind the header.
    const BEHIND_HEADER: u64 = 2;

    /// Whether there are patterns that may stand anywhere in a value.
    #[inline(always)]
    pub(crate) fn has_contained(&self) -> bool {
        self.contained != 0
    }

    /// Whether there are such that may stand behind the header.
    #[inline(always)]
    pub(crate) fn looks_behind_header(&self) -> bool {
        self.contained & Self::BEHIND_HEADER != 0
    }

    /// The first one plus one of what is filed like a window; 0 for nothing, as nearly always.
    #[inline(always)]
    pub(crate) fn window_head(&self, window: u32) -> usize {
        self.window_heads[window_place(window | FOLD)] as usize
    }

    /// What is filed, from its number plus one.
    #[inline(always)]
    pub(crate) fn filed(&self, number: usize) -> Filed {
        self.filed[number.wrapping_sub(1) % FILED]
    }

    /// An entry, from its number plus one.
    #[inline(always)]
    pub(crate) fn entry(&self, number: usize) -> &Entry {
        // Masked, which the verifier follows better than a comparison.
        &self.entries[number.wrapping_sub(1) % MAX_SIGNATURES]
    }
}

impl Entry {
    /// 0 where eight bytes are the pattern's at `word`, as far as it reaches.
    #[inline(always)]
    pub(crate) fn difference(&self, word: usize, packet: u64) -> u64 {
        let [bytes, fold] = self.words[word];
        (packet | fold) ^ bytes
    }
}

/// The bit of a header field; the request URI and credentials share one.
#[inline(always)]
pub(crate) const fn bit(field: u8) -> u32 {
    1 << ((field + 7) & 7)
}

/// The bits of fields, by number, and of those that detectors look at.
const fn needed(fields: u16) -> u64 {
    let credentials = fields & 1 << header_name::CREDENTIALS as u16;
    (((fields | NOTED) >> 1) & 0x7f) as u64 | (credentials as u64) << 7
}

/// The place of what is filed by a folded window.
#[inline(always)]
fn window_place(window: u32) -> usize {
    (window.wrapping_mul(MULTIPLIER) >> (32 - WINDOW_HEADS.ilog2())) as usize
}

/// Fibonacci hashing: 2^32 / phi.
const MULTIPLIER: u32 = 0x9e37_79b1;

/// The place of what is filed by four bytes of a value of the field with this [`bit`].
#[inline(always)]
fn place(bit: u32, key: u32) -> usize {
    (((key | FOLD) ^ bit).wrapping_mul(MULTIPLIER) >> (32 - HEADS.ilog2())) as usize
}

// SAFETY: `repr(C)`, made of integers alone, without padding: see the sizes above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for SignatureTable {}
