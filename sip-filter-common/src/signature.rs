//! The signature table: which text in which place names which tool.
//!
//! The loader builds the table; the classifier looks values up in it. What a value begins with is
//! found by hashing: a small set says whether any pattern of the field begins like it, which
//! nearly always ends the matter; then a pattern is filed under as many of its first bytes as it
//! has of 16, 8, 4 or 1. So the cost of a look-up does not depend on how many signatures there are.

use crate::{
    field::{Detector, Field, Match},
    swar,
    tool::Found,
};

/// How many signatures a table holds.
pub const MAX_SIGNATURES: usize = 512;
/// The longest pattern, in bytes.
pub const MAX_PATTERN: usize = 64;
/// The shortest pattern that a value may begin with, in bytes.
pub const MIN_PREFIX: usize = 3;
/// How many patterns with the same hash a look-up goes through.
pub const MAX_CHAIN: usize = 8;

pub(crate) const WORDS: usize = MAX_PATTERN / 8;
const BUCKETS: usize = 2048;
const BEGINNINGS: usize = 16384;
const NONE: u16 = 0;

/// How many bytes of a value the set of beginnings is asked about, at most.
const KEY: usize = 6;

/// From which byte on the set of beginnings is asked about a field's value: every Via of a UDP
/// packet begins with `SIP/2.0/UDP ` (RFC 3261 section 20.42).
pub(crate) const fn key_at(field: Field) -> usize {
    match field {
        Field::Via => 12,
        _ => 0,
    }
}

/// The classes by which patterns are filed: so many of their first bytes count.
const CLASSES: [usize; 4] = [16, 8, 4, 1];
/// In how many chains a value is looked for.
pub(crate) const CHAINS: usize = CLASSES.len();

/// Folds the case of letters; what else it makes equal is told apart when patterns are compared.
const FOLD: u64 = swar::splat(0x20);

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
    /// The next entry of the chain plus one, [`NONE`] at its end.
    pub(crate) next: u16,
    /// The pattern's length in bytes; 0 in an entry that is free.
    pub(crate) length: u8,
    pub(crate) field: u8,
    /// A [`Found`].
    pub(crate) found: u16,
    /// Not 0 where the value must end behind the pattern.
    pub(crate) is_exact: u16,
}

/// Why a signature cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// The number is not below [`MAX_SIGNATURES`], or is taken.
    Full,
    /// The pattern is empty.
    Empty,
    /// A prefix is shorter than [`MIN_PREFIX`] bytes.
    TooShort,
    /// The pattern is longer than [`MAX_PATTERN`] bytes.
    TooLong,
    /// The pattern holds a byte that no value can: a zero byte, CR or LF.
    Unmatchable,
    /// The pattern begins with a blank, with which no value begins.
    BeginsWithBlank,
    /// Patterns that stand anywhere in a value are not looked for yet; and a body and a whole
    /// message have no beginning to compare with.
    NotYet,
    /// More than [`MAX_CHAIN`] patterns share a chain.
    ChainTooLong,
}

impl core::fmt::Display for TableError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Full => write!(f, "there are more than {MAX_SIGNATURES} patterns"),
            Self::Empty => write!(f, "the pattern is empty"),
            Self::TooShort => write!(
                f,
                "the pattern is shorter than {MIN_PREFIX} bytes: ordinary traffic would begin with \
                 it too; make it longer, or exact"
            ),
            Self::TooLong => write!(f, "the pattern is longer than {MAX_PATTERN} bytes"),
            Self::Unmatchable => write!(f, "the pattern holds a zero byte or a line end"),
            Self::BeginsWithBlank => {
                write!(f, "the pattern begins with a blank, which no value does")
            }
            Self::NotYet => write!(
                f,
                "match contains, which fields body and any go with, is not there yet"
            ),
            Self::ChainTooLong => write!(
                f,
                "more than {MAX_CHAIN} patterns of the field begin with the same bytes"
            ),
        }
    }
}

impl core::error::Error for TableError {}

/// Up to [`MAX_SIGNATURES`] patterns and what the detectors name, as the program holds them in
/// its read-only data.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SignatureTable {
    /// What each detector names; nothing where it is off.
    detectors: [Hit; 16],
    /// By field: of a value's first bytes, those that the set of beginnings is asked about; as many
    /// as the field's shortest pattern has, at most [`KEY`].
    keys: [u64; 16],
    /// Not 0 at [`beginning`] of each field and first bytes of a pattern.
    beginnings: [u8; BEGINNINGS],
    /// The first entry of each chain plus one, [`NONE`] for an empty chain.
    buckets: [u16; BUCKETS],
    entries: [Entry; MAX_SIGNATURES],
}

const _: () = {
    assert!(size_of::<Entry>() == 16 * WORDS + 8);
    assert!(Detector::COUNT <= 16 && Field::COUNT <= 16);
    assert!(
        size_of::<SignatureTable>()
            == 64 + 128 + BEGINNINGS + 2 * BUCKETS + MAX_SIGNATURES * size_of::<Entry>()
    );
};

// Building it, on the host.
impl SignatureTable {
    /// No signature.
    pub const EMPTY: Self = Self {
        detectors: [Hit::NONE; 16],
        keys: [0; 16],
        beginnings: [0; BEGINNINGS],
        buckets: [NONE; BUCKETS],
        entries: [Entry {
            words: [[u64::MAX; 2]; WORDS],
            next: NONE,
            length: 0,
            field: 0,
            found: 0,
            is_exact: 0,
        }; MAX_SIGNATURES],
    };

    /// Says what a detector names, under a number of its own among all signatures.
    pub fn set_detector(&mut self, detector: Detector, number: u16, found: Found) {
        self.detectors[detector as usize] = Hit::new(found.word(), usize::from(number));
    }

    /// Adds a pattern under a number of its own, in any case. Of two patterns that a value begins
    /// with, the longer one names it, as a rule, and of equally long ones the first.
    ///
    /// # Errors
    ///
    /// When the pattern or the table does not allow it; the table is as it was then.
    pub fn insert(
        &mut self,
        number: u16,
        field: Field,
        how: Match,
        pattern: &[u8],
        found: Found,
    ) -> Result<(), TableError> {
        check(field, how, pattern)?;
        let at = usize::from(number);
        if at >= MAX_SIGNATURES || self.entries[at].length != 0 {
            return Err(TableError::Full);
        }
        let mut words = [[u64::MAX; 2]; WORDS];
        for (at, byte) in pattern.iter().enumerate() {
            let byte = byte.to_ascii_lowercase();
            let fold = if byte.is_ascii_lowercase() { 0x20 } else { 0 };
            for (word, byte) in words[at / 8].iter_mut().zip([byte, fold]) {
                let shift = 8 * (at % 8);
                *word = *word & !(0xff << shift) | u64::from(byte) << shift;
            }
        }
        let entry = Entry {
            words,
            next: NONE,
            length: pattern.len() as u8,
            field: field as u8,
            found: found.word(),
            is_exact: u16::from(how == Match::Exact),
        };
        self.insert_beginning(number, entry, pattern)
    }

    fn insert_beginning(
        &mut self,
        number: u16,
        mut entry: Entry,
        pattern: &[u8],
    ) -> Result<(), TableError> {
        let head = [0, 8].map(|from| swar::word(pattern.get(from..).unwrap_or_default()));
        let class = CLASSES
            .iter()
            .position(|class| pattern.len() >= *class)
            .unwrap_or(CHAINS - 1);
        let bucket = bucket(usize::from(entry.field), class, head);
        // The chain is kept longest first, so that the first match is the one to take.
        let (mut before, mut at, mut chain) = (NONE, self.buckets[bucket], 1);
        let mut place = None;
        while at != NONE {
            let other = &self.entries[usize::from(at - 1)];
            if place.is_none() && other.length < entry.length {
                place = Some((before, at));
            }
            before = at;
            at = other.next;
            chain += 1;
        }
        if chain > MAX_CHAIN {
            return Err(TableError::ChainTooLong);
        }
        let (before, next) = place.unwrap_or((before, NONE));
        entry.next = next;
        self.entries[usize::from(number)] = entry;
        match before {
            NONE => self.buckets[bucket] = number + 1,
            before => self.entries[usize::from(before - 1)].next = number + 1,
        }
        self.file_beginnings();
        Ok(())
    }

    /// Makes the set of beginnings anew: a shorter pattern than before makes it ask about less.
    fn file_beginnings(&mut self) {
        let begins = |entry: &&Entry| entry.length != 0;
        self.keys = [0; 16];
        for field in 1..Field::COUNT {
            let of_field = |entry: &&Entry| begins(entry) && usize::from(entry.field) == field;
            let shortest = self.entries.iter().filter(of_field).map(|one| one.length);
            let shortest = usize::from(shortest.min().unwrap_or(0));
            let key = shortest.saturating_sub(entry_key_at(field)).min(KEY);
            self.keys[field] = swar::mask(key);
        }
        self.beginnings = [0; BEGINNINGS];
        for entry in self.entries.iter().filter(begins) {
            let field = usize::from(entry.field);
            let at = entry_key_at(field);
            let word = |number: usize| u128::from(entry.words[number][0]);
            let head = (word(at / 8) | word(at / 8 + 1) << 64) >> (8 * (at % 8));
            let place = beginning((field as u64) << 56, head as u64, self.keys[field]);
            self.beginnings[place] = 1;
        }
        // Where a field has no patterns, every value would ask for the same place.
        for field in 1..Field::COUNT {
            let has_patterns = self
                .entries
                .iter()
                .any(|entry| entry.length != 0 && usize::from(entry.field) == field);
            if !has_patterns && self.beginnings[beginning((field as u64) << 56, 0, 0)] != 0 {
                self.keys[field] = swar::mask(KEY);
            }
        }
    }
}

/// Whether a pattern may be added, other patterns apart.
///
/// # Errors
///
/// When it may not.
pub fn check(field: Field, how: Match, pattern: &[u8]) -> Result<(), TableError> {
    if pattern.is_empty() {
        return Err(TableError::Empty);
    }
    if pattern.len() > MAX_PATTERN {
        return Err(TableError::TooLong);
    }
    if pattern.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        return Err(TableError::Unmatchable);
    }
    match how {
        Match::Contains => Err(TableError::NotYet),
        Match::Prefix if pattern.len() < MIN_PREFIX => Err(TableError::TooShort),
        Match::Exact | Match::Prefix if matches!(field, Field::Any | Field::Body) => {
            Err(TableError::NotYet)
        }
        Match::Exact | Match::Prefix if matches!(pattern[0], b' ' | b'\t') => {
            Err(TableError::BeginsWithBlank)
        }
        _ => Ok(()),
    }
}

// Looking things up, in the kernel too.
impl SignatureTable {
    /// What the detector with this number names.
    #[inline(always)]
    pub(crate) fn detector(&self, detector: usize) -> Hit {
        self.detectors[detector & 0xf]
    }

    /// Not 0 where a pattern of the field, whose [`salt`] is `salt`, may begin like a value whose first
    /// bytes are in `head`, at least [`KEY`] of them.
    #[inline(always)]
    pub(crate) fn may_begin(&self, field: usize, salt: u64, head: u64) -> u8 {
        self.beginnings[beginning(salt, head, self.keys[field & 0xf])]
    }

    /// The chains of the patterns with which the field's value may begin, whose first sixteen
    /// bytes are in `head`: for each class the first entry plus one, the longest first.
    #[inline(always)]
    pub(crate) fn chains(&self, field: usize, head: [u64; 2]) -> [u16; CHAINS] {
        let chain = |class| self.buckets[bucket(field, class, head)];
        [chain(0), chain(1), chain(2), chain(3)]
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

// Fibonacci hashing: the multiplier is 2^64 / phi.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline(always)]
const fn hash(number: u64, size: usize) -> usize {
    (number.wrapping_mul(MULTIPLIER) >> (64 - size.ilog2())) as usize
}

/// Of the first sixteen bytes, those by which each class is filed.
const FILED_BY: [[u64; 2]; CHAINS] = [
    [u64::MAX, u64::MAX],
    [u64::MAX, 0],
    [swar::mask(CLASSES[2]), 0],
    [swar::mask(CLASSES[3]), 0],
];

/// The chain that holds the patterns of a class that begin like these sixteen bytes.
#[inline(always)]
fn bucket(field: usize, class: usize, head: [u64; 2]) -> usize {
    let [first, second] = FILED_BY[class];
    let [first, second] = [(head[0] | FOLD) & first, (head[1] | FOLD) & second];
    let salt = ((field * CHAINS + class) as u64) << 40;
    hash(first ^ second.wrapping_mul(MULTIPLIER) ^ salt, BUCKETS)
}

/// [`key_at`] by the field's number.
fn entry_key_at(field: usize) -> usize {
    Field::from_u8(field as u8).map_or(0, key_at)
}

/// What tells a field from others in the set of beginnings.
#[inline(always)]
pub(crate) const fn salt(field: Field) -> u64 {
    (field as u64) << 56
}

/// The place in the set of beginnings of a field and the first bytes of a value.
#[inline(always)]
fn beginning(salt: u64, head: u64, key: u64) -> usize {
    hash(((head | FOLD) & key) ^ salt, BEGINNINGS)
}

// SAFETY: `repr(C)`, made of integers alone, without padding: see the sizes above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for SignatureTable {}
