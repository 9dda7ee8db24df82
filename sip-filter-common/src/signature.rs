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

use crate::{
    field::{Detector, Field, Match},
    header_name::{self, HeaderName, LETTERS},
    swar,
    tool::Found,
};

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

// Building it, on the host.
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
