//! Building the table, on the host.

use super::{
    Entry, FILED, FOLD, Filed, HEADS, Hit, KEY, LINKS, Link, MAX_CHAIN, MAX_PATTERN,
    MAX_SIGNATURES, MIN_CONTAINS, MIN_PREFIX, NONE, NOTED, PHASES, SignatureTable, WATCHED,
    WINDOW_HEADS, WORDS, bit, key_at, lines, needed, place, window_place,
};
use crate::{
    field::{Detector, Field, Match},
    swar,
    tool::Found,
};

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
    /// The pattern holds a byte that no value can: a zero byte, CR or LF; or a blank, of what a request
    /// URI is to contain.
    Unmatchable,
    /// The pattern begins with a blank, with which no value begins.
    BeginsWithBlank,
    /// What a value is to contain is shorter than [`MIN_CONTAINS`] bytes.
    TooShortToContain,
    /// A body and a whole message have no beginning to compare with.
    NoBeginning,
    /// More than [`MAX_CHAIN`] patterns share a key.
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
            Self::Unmatchable => write!(
                f,
                "the pattern holds a zero byte or a line end, or a request URI is to contain a blank"
            ),
            Self::BeginsWithBlank => {
                write!(f, "the pattern begins with a blank, which no value does")
            }
            Self::TooShortToContain => write!(
                f,
                "what a value contains has at least {MIN_CONTAINS} bytes, or it would be found in \
                 ordinary traffic"
            ),
            Self::NoBeginning => write!(
                f,
                "a body and a whole message have no beginning to compare with; they may contain the \
                 pattern"
            ),
            Self::ChainTooLong => write!(
                f,
                "more than {MAX_CHAIN} patterns of the field begin with the same bytes, or share all \
                 bytes by which a value may contain them"
            ),
        }
    }
}

impl core::error::Error for TableError {}

impl SignatureTable {
    /// Says what a detector names, under a number of its own among all signatures.
    ///
    /// # Errors
    ///
    /// When the number is taken, or the table has no room; it is as it was then.
    pub fn set_detector(
        &mut self,
        detector: Detector,
        number: u16,
        found: Found,
    ) -> Result<(), TableError> {
        /// What its CSeq begins with (nmap nselib/sip.lua): only where a request's does too is the rest
        /// looked at.
        const NMAP_CSEQ: &[u8] = b"1234 ";
        if detector as u8 == Detector::NmapScript as u8 {
            return self.insert_entry(number, Field::CSeq, Match::Prefix, NMAP_CSEQ, found, true);
        }
        self.detectors[detector as usize] = Hit::new(found.word(), usize::from(number));
        Ok(())
    }

    /// Adds a pattern under a number of its own, in any case. Of two patterns that a value begins
    /// with, the longer one names it, as a rule, and of equally long ones the first. What a value
    /// contains is looked for last, and which of several is found is not said; but what may be dropped
    /// goes before what only counts.
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
        self.insert_entry(number, field, how, pattern, found, false)
    }

    fn insert_entry(
        &mut self,
        number: u16,
        field: Field,
        how: Match,
        pattern: &[u8],
        found: Found,
        has_shape: bool,
    ) -> Result<(), TableError> {
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
        let free = self.entries[at];
        self.entries[at] = Entry {
            words,
            is_contained: u8::from(how == Match::Contains),
            has_shape: u8::from(has_shape),
            length: pattern.len() as u8,
            field: field as u8,
            found: found.word(),
            is_exact: u16::from(how == Match::Exact),
        };
        let filed = self.file();
        if filed.is_err() {
            self.entries[at] = free;
            self.file()?;
        }
        filed
    }

    /// Files all entries anew: what is filed by the same key is found longest first, and of equally
    /// long ones by their numbers.
    fn file(&mut self) -> Result<(), TableError> {
        self.short = [NONE; 16];
        self.heads = [NONE; HEADS];
        self.contained = 0;
        self.window_heads = [NONE; WINDOW_HEADS];
        let (mut fields, mut always, mut used, mut filed) = (0_u16, 0_u16, 0, 0);
        for length in 1..=MAX_PATTERN {
            for number in (0..MAX_SIGNATURES).rev() {
                // Most are not, and copying them all took a quarter of the time that attaching takes.
                if usize::from(self.entries[number].length) != length {
                    continue;
                }
                let entry = self.entries[number];
                if entry.is_contained != 0 {
                    self.file_windows(number, &mut filed)?;
                    continue;
                }
                fields |= 1 << entry.field;
                let is_keyed = entry.each_key(&mut |key| {
                    let place = place(bit(entry.field), key);
                    link(&mut self.heads[place], &mut self.links, &mut used, number)
                })?;
                if !is_keyed {
                    always |= 1 << entry.field;
                    let first = &mut self.short[usize::from(entry.field)];
                    link(first, &mut self.links, &mut used, number)?;
                }
            }
        }
        let watched = if self.watched != 0 { WATCHED } else { 0 };
        self.lines = lines(fields, always, NOTED | watched);
        self.needed = needed(fields | watched);
        Ok(())
    }

    /// From now on it is noted who a request is for, and whether it has credentials: what
    /// [`note_dialogue`](crate::classify::note_dialogue) needs.
    ///
    /// # Errors
    ///
    /// None: what is in the table fits.
    pub fn watch(&mut self) -> Result<(), TableError> {
        self.watched = 1;
        self.file()
    }

    /// Files an entry by four windows in a row: those of its bytes by which the least is filed so far,
    /// so that patterns that begin alike are filed by what they do not share.
    fn file_windows(&mut self, number: usize, filed: &mut usize) -> Result<(), TableError> {
        let entry = self.entries[number];
        let beginnings = 0..=usize::from(entry.length) - MIN_CONTAINS;
        let longest = |first: &usize| {
            let windows = (*first..).take(PHASES).map(|phase| entry.window(phase));
            windows.map(|window| self.chain(window)).max()
        };
        let first = beginnings.min_by_key(longest).unwrap_or(0);
        for phase in (first..).take(PHASES) {
            let window = entry.window(phase);
            if self.chain(window) == MAX_CHAIN || *filed == FILED {
                return Err(TableError::ChainTooLong);
            }
            let head = &mut self.window_heads[window_place(window)];
            self.filed[*filed] = Filed {
                window,
                entry: number as u16 + 1 + phase as u16 * Filed::PHASE,
                next: *head,
            };
            *filed += 1;
            *head = *filed as u16;
        }
        self.contained |= if matches!(Field::from_u8(entry.field), Some(Field::Body | Field::Any)) {
            Self::BEHIND_HEADER
        } else {
            Self::IN_HEADER
        };
        Ok(())
    }

    /// How much is filed like this window.
    fn chain(&self, window: u32) -> usize {
        let (mut at, mut length) = (self.window_heads[window_place(window)], 0);
        while at != NONE {
            at = self.filed[usize::from(at - 1)].next;
            length += 1;
        }
        length
    }
}

/// Puts an entry before others.
fn link(
    first: &mut u16,
    links: &mut [Link; LINKS],
    used: &mut usize,
    number: usize,
) -> Result<(), TableError> {
    let (mut at, mut chain) = (*first, 1);
    while at != NONE {
        at = links[usize::from(at - 1)].next;
        chain += 1;
    }
    if chain > MAX_CHAIN || *used == LINKS {
        return Err(TableError::ChainTooLong);
    }
    links[*used] = Link {
        entry: number as u16 + 1,
        next: *first,
    };
    *used += 1;
    *first = *used as u16;
    Ok(())
}

impl Entry {
    /// The pattern's window behind so many bytes, folded.
    fn window(&self, phase: usize) -> u32 {
        let word = |number: usize| u128::from(self.words[number % WORDS][0]);
        let words = word(phase / 8) | word(phase / 8 + 1) << 64;
        (words >> (8 * (phase % 8))) as u32 | FOLD
    }

    /// Says each key by which a value may be filed that begins with the pattern; `false` if these are
    /// too many.
    fn each_key(
        &self,
        file: &mut dyn FnMut(u32) -> Result<(), TableError>,
    ) -> Result<bool, TableError> {
        /// What ends a value, folded: a line end or a blank, and a URI a blank alone.
        const ENDS: [u8; 4] = [b' ', b'\t' | 0x20, b'\r' | 0x20, b'\n' | 0x20];
        let is_uri = self.field == Field::RequestUri as u8;
        let at = Field::from_u8(self.field).map_or(0, key_at);
        let known = usize::from(self.length).saturating_sub(at).min(KEY);
        let key = self.window(at) & swar::mask(known) as u32;
        if known == KEY {
            file(key)?;
            return Ok(true);
        }
        let ends = match (self.is_exact != 0, is_uri) {
            (false, _) => &[][..],
            (true, true) => &ENDS[..2],
            (true, false) => &ENDS[..],
        };
        match (KEY - known, ends) {
            (1, []) => {
                for byte in (0..=u8::MAX).filter(|byte| byte & 0x20 != 0) {
                    file(key | u32::from(byte) << 24)?;
                }
            }
            (1, ends) => {
                for end in ends {
                    file(key | u32::from(*end) << 24)?;
                }
            }
            (2, ends @ [_, ..]) if at < usize::from(self.length) => {
                for end in ends {
                    for byte in (0..=u8::MAX).filter(|byte| byte & 0x20 != 0) {
                        file(key | u32::from(*end) << 16 | u32::from(byte) << 24)?;
                    }
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
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
        Match::Contains if field == Field::RequestUri && pattern.contains(&b' ') => {
            Err(TableError::Unmatchable)
        }
        Match::Contains if pattern.len() < MIN_CONTAINS => Err(TableError::TooShortToContain),
        Match::Prefix if pattern.len() < MIN_PREFIX => Err(TableError::TooShort),
        Match::Exact | Match::Prefix if matches!(field, Field::Any | Field::Body) => {
            Err(TableError::NoBeginning)
        }
        Match::Exact | Match::Prefix if matches!(pattern[0], b' ' | b'\t') => {
            Err(TableError::BeginsWithBlank)
        }
        _ => Ok(()),
    }
}
