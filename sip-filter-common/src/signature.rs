//! The signature table: which text in which place names which tool.
//!
//! The loader builds the table with [`SignatureTable::insert`]; the classifier looks values
//! up with [`SignatureTable::find`]. A pattern is filed under its first four bytes, so that
//! a look-up meets the few patterns that begin alike, however many there are.

use crate::{
    payload::{MAX_OFFSET, Payload, last_word},
    swar,
    tool::{Found, Kind, MAX_TOOLS},
};

/// How many signatures a table holds.
pub const MAX_SIGNATURES: usize = 512;
/// The longest pattern, in bytes.
pub const MAX_PATTERN: usize = 64;
/// The shortest pattern, in bytes: patterns are filed under as many.
pub const MIN_PATTERN: usize = HEAD;
/// How many patterns with the same hash a look-up goes through.
pub const MAX_CHAIN: usize = 8;

const HEAD: usize = 4;
const WORDS: usize = MAX_PATTERN / 8;
const BUCKETS: usize = 1024;
const NONE: u16 = 0;

/// How many blanks may follow a value that a pattern meets exactly.
const MAX_TRAILING_BLANKS: usize = 16;

/// How a pattern meets a value.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Match {
    /// The value is the pattern; blanks may follow.
    Exact = 0,
    /// The value begins with the pattern.
    Prefix = 1,
}

impl Match {
    /// The name used in signature files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
        }
    }
}

/// One signature.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Lower case, zero from its end on.
    pattern: [u64; WORDS],
    /// The next entry of the chain plus one, [`NONE`] at its end.
    next: u16,
    length: u8,
    how: u8,
    /// A [`Found`]; 0 in an entry that is free.
    found: u16,
    reserved: u16,
}

/// Why a signature cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// The table holds [`MAX_SIGNATURES`] already.
    Full,
    /// The pattern is shorter than [`MIN_PATTERN`] bytes.
    TooShort,
    /// The pattern is longer than [`MAX_PATTERN`] bytes.
    TooLong,
    /// The pattern holds a byte that no value can: a zero byte, CR or LF.
    Unmatchable,
    /// The tool's number is not below [`MAX_TOOLS`].
    NoSuchTool,
    /// More than [`MAX_CHAIN`] patterns share a chain.
    ChainTooLong,
}

impl core::fmt::Display for TableError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Full => write!(f, "there are more than {MAX_SIGNATURES} signatures"),
            Self::TooShort => write!(f, "the pattern is shorter than {MIN_PATTERN} bytes"),
            Self::TooLong => write!(f, "the pattern is longer than {MAX_PATTERN} bytes"),
            Self::Unmatchable => write!(f, "the pattern holds a zero byte or a line end"),
            Self::NoSuchTool => {
                write!(f, "there are more than {} tools", MAX_TOOLS)
            }
            Self::ChainTooLong => {
                write!(
                    f,
                    "more than {MAX_CHAIN} patterns begin with the same {HEAD} bytes"
                )
            }
        }
    }
}

impl core::error::Error for TableError {}

/// Up to [`MAX_SIGNATURES`] signatures, as the program holds them in its read-only data.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SignatureTable {
    /// The first entry of each chain plus one, [`NONE`] for an empty chain.
    buckets: [u16; BUCKETS],
    entries: [Entry; MAX_SIGNATURES],
}

const _: () = {
    assert!(size_of::<Entry>() == MAX_PATTERN + 8);
    assert!(size_of::<SignatureTable>() == 2 * BUCKETS + MAX_SIGNATURES * size_of::<Entry>());
};

impl SignatureTable {
    /// No signature.
    pub const EMPTY: Self = Self {
        buckets: [NONE; BUCKETS],
        entries: [Entry {
            pattern: [0; WORDS],
            next: NONE,
            length: 0,
            how: 0,
            found: 0,
            reserved: 0,
        }; MAX_SIGNATURES],
    };

    /// Adds a signature: a pattern of [`MIN_PATTERN`] to [`MAX_PATTERN`] bytes, in any case.
    /// An exact pattern may have as few as one byte. Of two patterns that meet the same
    /// value, the longer one names it, and of equally long ones the first.
    ///
    /// # Errors
    ///
    /// When the pattern or the table does not allow it; the table is as it was then.
    pub fn insert(
        &mut self,
        pattern: &[u8],
        how: Match,
        tool: u8,
        kind: Kind,
    ) -> Result<(), TableError> {
        let shortest = if how == Match::Exact { 1 } else { MIN_PATTERN };
        if pattern.len() < shortest {
            return Err(TableError::TooShort);
        }
        if pattern.len() > MAX_PATTERN {
            return Err(TableError::TooLong);
        }
        if pattern.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return Err(TableError::Unmatchable);
        }
        if usize::from(tool) >= MAX_TOOLS {
            return Err(TableError::NoSuchTool);
        }
        let free = self
            .entries
            .iter()
            .position(|entry| entry.length == 0)
            .ok_or(TableError::Full)?;

        let mut value = [0; WORDS];
        for (word, chunk) in value.iter_mut().zip(pattern.chunks(8)) {
            *word = swar::lower(swar::word(chunk));
        }
        let length = pattern.len() as u8;
        // The chain is kept longest first, so that the first match is the one to take.
        let bucket = bucket(value[0]);
        let (mut before, mut at, mut chain) = (NONE, self.buckets[bucket], 1);
        let mut place = None;
        while at != NONE {
            let entry = &self.entries[usize::from(at - 1)];
            if place.is_none() && entry.length < length {
                place = Some((before, at));
            }
            before = at;
            at = entry.next;
            chain += 1;
        }
        if chain > MAX_CHAIN {
            return Err(TableError::ChainTooLong);
        }
        let (before, next) = place.unwrap_or((before, NONE));
        self.entries[free] = Entry {
            pattern: value,
            next,
            length,
            how: how as u8,
            found: Found::new(tool, kind).word(),
            reserved: 0,
        };
        let number = free as u16 + 1;
        match before {
            NONE => self.buckets[bucket] = number,
            before => self.entries[usize::from(before - 1)].next = number,
        }
        Ok(())
    }

    /// The longest signature that meets the value at `start`.
    #[inline(always)]
    pub fn find(&self, payload: &impl Payload, start: usize) -> Option<Found> {
        let head = match payload.u32_at(start) {
            Some(head) => u64::from(head),
            None if start >= payload.len() => return None,
            None => last_word(payload, start),
        };
        let mut number = self.buckets[bucket(swar::lower(head))];
        for _ in payload.rolled(MAX_CHAIN) {
            let entry = self.entries.get((number as usize).wrapping_sub(1))?;
            if entry.meets(payload, start) {
                return Found::from_word(entry.found);
            }
            number = entry.next;
        }
        None
    }
}

impl Entry {
    #[inline(always)]
    fn meets(&self, payload: &impl Payload, start: usize) -> bool {
        let payload = &payload.apart();
        let start = payload.forget(start) & MAX_OFFSET;
        let length = self.length as usize;
        if start + length > payload.len() {
            return false;
        }
        // A pattern holds no line end: where all its bytes stand, the value has not ended.
        let mut equal = true;
        for at in payload.rolled(WORDS) {
            let Some(pattern) = self.pattern.get(at) else {
                return false;
            };
            let rest = length.wrapping_sub(at * 8);
            let offset = start + at * 8;
            let differs = match payload.u64_at(offset) {
                Some(word) => (swar::lower(word) ^ pattern) & swar::mask_up_to_eight(rest),
                // The payload ends in this word, so the pattern does too.
                None => {
                    let word = last_word(payload, payload.forget(offset) & MAX_OFFSET);
                    equal = (swar::lower(word) ^ pattern) & swar::mask_up_to_eight(rest) == 0;
                    break;
                }
            };
            if differs != 0 {
                return false;
            }
            if rest <= 8 {
                break;
            }
        }
        equal
            && (self.how == Match::Prefix as u8
                || ends_at(payload, payload.forget(start + length) & MAX_OFFSET))
    }
}

/// Whether the value ends at `at`: a line end or the payload's, blanks before it apart.
#[inline(always)]
fn ends_at(payload: &impl Payload, at: usize) -> bool {
    for step in payload.rolled(MAX_TRAILING_BLANKS) {
        match payload.u8_at(at + step) {
            Some(b' ' | b'\t') => {}
            Some(b'\r' | b'\n') | None => return true,
            Some(_) => return false,
        }
    }
    false
}

/// The chain that holds the patterns which begin like this word in lower case: its first four
/// bytes, as far as the first blank or line end, with which an exact value may end.
#[inline(always)]
fn bucket(first: u64) -> usize {
    let ends = [b' ', b'\t', b'\r', b'\n']
        .into_iter()
        .fold(0, |ends, byte| ends | swar::equal(first, byte));
    let head = first & swar::mask(HEAD) & swar::before_first(ends);
    // Fibonacci hashing: the multiplier is 2^64 / phi.
    (head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BUCKETS.ilog2())) as usize
}

// SAFETY: `repr(C)`, made of integers alone, without padding: see the sizes above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for SignatureTable {}
