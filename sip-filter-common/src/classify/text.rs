//! The classifier's room to work in: a request's text, and where its lines end.
//!
//! The text is copied as it is searched for line ends, eight bytes at a time and without a choice,
//! so that the steps do not wait for each other. What follows reads the copy: it may look
//! anywhere without asking where the packet ends, which the verifier would have to follow.

use crate::{
    field::Field,
    header_name,
    payload::{CHUNK, MAX_OFFSET, Payload, last_word},
    signature::Line,
    swar,
};

/// How many bytes are read in one step.
const PAIR: usize = 2 * CHUNK;
/// How many steps there are: a jumbo frame of 9,000 bytes is read whole.
pub(super) const PAIRS: usize = 72;
/// The longest payload that is read, in bytes.
pub(super) const MAX_TEXT: usize = PAIRS * PAIR - 1;
/// Room for the line ends of chunks: a power of two.
const FEEDS: usize = 256;
/// The number of the chunk before the first one.
pub(super) const BEFORE: usize = FEEDS - 1;
/// Bytes behind the last offset, for what is read from there on.
const BEHIND: usize = 576;
/// How many values are compared with patterns, at most.
pub(super) const CANDIDATES: usize = 8;

const WORD: usize = size_of::<u64>();

/// How many bytes that are taken for line feeds, folded lines and chunks without any are gone
/// through for a value's end.
const MAX_FOLDED: usize = 8;

/// De Bruijn: times this, each power of two has another number in its six highest bits.
const DE_BRUIJN: u64 = 0x0218_a392_cd3d_5dbf;

/// By the product of a bit of a chunk's line feeds, which byte of the chunk it is for.
static BY_PRODUCT: [u8; 64] = {
    let mut places = [0; 64];
    let mut bit = 0;
    while bit < 64 {
        places[(DE_BRUIJN.wrapping_shl(bit) >> 58) as usize] = swar::byte_of(bit) as u8;
        bit += 1;
    }
    places
};

/// By a place in a chunk, the bits of it and of what stands behind it.
static FROM: [u64; CHUNK] = {
    let mut masks = [0; CHUNK];
    let mut bit = 0;
    while bit < 64 {
        let mut at = 0;
        while at <= swar::byte_of(bit) {
            masks[at] |= 1 << bit;
            at += 1;
        }
        bit += 1;
    }
    masks
};

/// Which byte of its chunk a bit of its line feeds is for; the first one for none.
#[inline(always)]
pub(super) fn place_of(bit: u64) -> usize {
    byte_of(bit) as usize
}

/// The same as a byte.
#[inline(always)]
pub(super) fn byte_of(bit: u64) -> u8 {
    BY_PRODUCT[(bit.wrapping_mul(DE_BRUIJN) >> 58) as usize]
}

/// The bit of the first byte of those that have one; 0 for none.
#[inline(always)]
fn first(mask: u64) -> u64 {
    // Bytes of the same word stand eight bits apart, and the words' bits beside each other.
    let words = mask | mask >> 32;
    let words = words | words >> 16;
    let words = (words | words >> 8) & 0xff;
    let word = mask & swar::splat(1).wrapping_mul(words & words.wrapping_neg());
    word & word.wrapping_neg()
}

/// Whether two bytes are no line feed, or one that a blank follows.
#[inline(always)]
const fn is_folded(bytes: u16) -> bool {
    let [feed, first] = bytes.to_le_bytes();
    feed != b'\n' || first == b' ' || first == b'\t'
}

/// How many lines are recorded, at most.
pub(super) const RECORDS: usize = 10;

/// A line that may be one of those that are looked for: 0 to 31 what is to be done with it, from 32 on
/// where it begins, and 63 whether its value may begin like a pattern.
#[derive(Clone, Copy)]
pub(super) struct Record(u64);

impl Record {
    /// What is to be done with the line.
    #[inline(always)]
    pub(super) fn line(self) -> Line {
        Line::from_bits(self.0 as u32)
    }

    /// Where it begins.
    #[inline(always)]
    pub(super) fn at(self) -> usize {
        (self.0 >> 32) as usize & MAX_OFFSET
    }

    /// Whether its value may begin like a pattern.
    #[inline(always)]
    pub(super) fn may_begin(self) -> bool {
        self.0 >> 63 != 0
    }
}

/// The fields of which it is noted where they stand.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Noted {
    Credentials = header_name::CREDENTIALS,
    From = Field::From as u8,
    To = Field::To as u8,
    Via = Field::Via as u8,
    CallId = Field::CallId as u8,
}

impl Noted {
    const ALL: [Self; 5] = [
        Self::Credentials,
        Self::From,
        Self::To,
        Self::Via,
        Self::CallId,
    ];
}

/// The text of a line, as far as it is near its beginning.
#[derive(Clone, Copy)]
pub(super) struct LineText(*const u8);

impl LineText {
    /// Two bytes, `at` bytes behind its line feed.
    #[inline(always)]
    pub(super) fn quarter(self, at: u8) -> u16 {
        // SAFETY: see `Work::line`.
        unsafe { self.0.add(at as usize).cast::<u16>().read_unaligned() }
    }

    /// Four bytes.
    #[inline(always)]
    pub(super) fn half(self, at: u8) -> u32 {
        // SAFETY: see `Work::line`.
        unsafe { self.0.add(at as usize).cast::<u32>().read_unaligned() }
    }
}

/// Room to work on one request. What an earlier one left there is never looked at.
///
/// In the kernel it lies in a map. What is written there and read back is, for the verifier, a
/// number of which it knows nothing: it walks what follows once, whatever led there.
#[repr(C)]
pub struct Work {
    text: [u8; MAX_OFFSET + 1 + BEHIND],
    /// By chunk, a bit for each line feed, and for some other bytes, in the order of
    /// [`swar::byte_of`].
    feeds: [u64; FEEDS],
    /// By a field's number, where its name ends; 0 where it does not stand in the header.
    name_ends: [u64; 8],
    /// Lines that may be some that are looked for: see [`Record`].
    records: [u64; 16],
    /// Values that may begin like a pattern: field, where the name ends, and where the line begins.
    candidates: [u64; CANDIDATES],
    kept: [u64; 48],
}

/// What is kept in the room from step to step.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(super) enum Kept {
    /// Of how many chunks the line ends are known.
    Read,
    /// Up to which byte the text is there.
    End,
    /// Not 0 where nothing is left to read.
    IsRead,
    /// The line ends that have not been looked at of the chunk at which the reader of lines is.
    Mask,
    /// That chunk's number.
    Number,
    /// Of how many chunks the lines are the header's.
    Limit,
    /// Where the header ends, as far as it is known.
    HeaderEnd,
    /// Not 0 once all lines were looked at.
    IsEnded,
    /// The bits of fields that were seen.
    Seen,
    /// How many lines were recorded.
    Records,
    /// How many of them were looked at.
    Taken,
    /// Not 0 where there was no room for more lines.
    IsFull,
    /// How many candidates there are.
    Candidates,
    /// How many of them were compared.
    Compared,
    /// What has been found.
    Hit,
    /// For numbers that are only to be forgotten.
    A,
    /// As `A`.
    B,
    /// As `A`.
    C,
    /// As `A`.
    D,
    /// As `A`.
    E,
    /// Where the request URI begins.
    Uri,
    /// Of a request, the hash of the user that it is for, and before that what the hash begins with.
    User,
    /// Flags of [`Sent`](crate::sender::Sent) that the request itself says.
    Flags,
    /// Of the search for what a value contains: up to where it goes.
    Reach,
    /// The eight bytes that are searched next.
    Next,
    /// All ones until the header's end was found, and then 0.
    HeaderEnds,
    /// Where the window stands that is looked at.
    Window,
    /// What is filed by it and was not compared yet.
    Filed,
    /// The same of the window behind it.
    FiledBehind,
    /// The number plus one of the entry whose pattern stands somewhere; 0 for none.
    Entry,
    /// Where that stands.
    Start,
    /// The line feed before the field that was found last.
    Line,
    /// Up to where it is known that no other field begins.
    LineReach,
    /// Where the request URI ends; 0 while that is not known.
    UriEnd,
    /// Not 0 once the search is over.
    IsSearched,
}

impl Work {
    /// Room in which nothing stands.
    pub const EMPTY: Self = Self {
        text: [0; MAX_OFFSET + 1 + BEHIND],
        feeds: [0; FEEDS],
        name_ends: [0; 8],
        records: [0; 16],
        candidates: [0; CANDIDATES],
        kept: [0; 48],
    };

    /// Eight bytes of the text from `at`.
    #[inline(always)]
    pub(super) fn word(&self, at: usize) -> u64 {
        // SAFETY: more than eight bytes follow the last offset.
        unsafe { self.pointer(at).cast::<u64>().read_unaligned() }
    }

    /// Eight bytes of the text, so many words behind `at`.
    #[inline(always)]
    pub(super) fn word_behind(&self, at: usize, words: usize) -> u64 {
        const { assert!(BEHIND >= 64 + 16) };
        // SAFETY: `words` is below 9 wherever this is called.
        unsafe {
            self.pointer(at)
                .add(8 * words)
                .cast::<u64>()
                .read_unaligned()
        }
    }

    /// Four bytes of the text, so many words behind `at`, below 8: one mask will do for several.
    #[inline(always)]
    pub(super) fn window_behind(&self, at: usize, words: usize) -> u32 {
        // SAFETY: more than 64 bytes follow the last offset.
        unsafe {
            self.pointer(at)
                .add(WORD * words)
                .cast::<u32>()
                .read_unaligned()
        }
    }

    /// Eight bytes of the text, so many bytes behind `at`, below 32: one mask will do for several.
    #[inline(always)]
    pub(super) fn word_after(&self, at: usize, bytes: usize) -> u64 {
        // SAFETY: more than 40 bytes follow the last offset.
        unsafe { self.pointer(at).add(bytes).cast::<u64>().read_unaligned() }
    }

    /// Four bytes of the text from `at`.
    #[inline(always)]
    pub(super) fn half(&self, at: usize) -> u32 {
        // SAFETY: as above.
        unsafe { self.pointer(at).cast::<u32>().read_unaligned() }
    }

    /// A byte of the text.
    #[inline(always)]
    pub(super) fn byte(&self, at: usize) -> u8 {
        // SAFETY: as above.
        unsafe { self.pointer(at).read() }
    }

    /// Where a line begins, so many bytes behind the beginning of its chunk, which is an offset below
    /// [`MAX_OFFSET`].
    ///
    /// What stands less than 500 bytes behind it can be read without a mask.
    #[inline(always)]
    pub(super) fn line(&self, base: usize, place: u8) -> LineText {
        const { assert!(BEHIND >= 255 + 255 + 8 && RECORDS <= 16) };
        // SAFETY: behind the last offset there are more bytes than a byte counts.
        LineText(unsafe { self.text.as_ptr().add(base + place as usize) })
    }

    #[inline(always)]
    fn pointer(&self, at: usize) -> *const u8 {
        // SAFETY: masked to less than the text's length.
        unsafe { self.text.as_ptr().add(at & MAX_OFFSET) }
    }

    #[inline(always)]
    fn pointer_mut(&mut self, at: usize) -> *mut u8 {
        // SAFETY: masked to less than the text's length.
        unsafe { self.text.as_mut_ptr().add(at & MAX_OFFSET) }
    }

    #[inline(always)]
    fn put(&mut self, at: usize, word: u64) {
        // SAFETY: more than eight bytes follow the last offset.
        unsafe { self.pointer_mut(at).cast::<u64>().write_unaligned(word) };
    }

    /// What was kept, of which the verifier knows nothing.
    #[inline(always)]
    pub(super) fn kept(&self, what: Kept) -> usize {
        // SAFETY: a field of this structure. Volatile, or the compiler would go on with what it
        // has in a register.
        unsafe { (&raw const self.kept[what as usize]).read_volatile() as usize }
    }

    /// Keeps a number.
    #[inline(always)]
    pub(super) fn keep(&mut self, what: Kept, number: usize) {
        // SAFETY: as for `kept`.
        unsafe { (&raw mut self.kept[what as usize]).write_volatile(number as u64) }
    }

    /// Two bytes of the text from `at`.
    #[inline(always)]
    pub(super) fn quarter(&self, at: usize) -> u16 {
        // SAFETY: as above.
        unsafe { self.pointer(at).cast::<u16>().read_unaligned() }
    }

    /// Flags the line feeds that no blank follows, of eight bytes so many behind `at`, below 31.
    #[inline(always)]
    pub(super) fn field_ends(&self, at: usize, behind: usize) -> u64 {
        let next = self.word_after(at, behind + 1);
        let blanks = swar::equal_exactly(next, b' ') | swar::equal_exactly(next, b'\t');
        swar::equal_exactly(self.word_after(at, behind), b'\n') & !blanks
    }

    /// Ends the text behind what was read of it: what stands there is another request's.
    #[inline(always)]
    pub(super) fn close(&mut self) {
        let end = self.kept(Kept::End);
        self.put(end, swar::splat(b'\n'));
        self.put(end + WORD, swar::splat(b'\n'));
    }

    /// A chunk's line feeds, and what is taken for some.
    #[inline(always)]
    pub(super) fn feeds(&self, number: usize) -> u64 {
        self.feeds[number % FEEDS]
    }

    /// The bits of a chunk's bytes at which a header ends, but for those at its end of which the rest
    /// stands in the next chunk: two line feeds, with or without a carriage return between.
    #[inline(always)]
    pub(super) fn header_ends(&self, payload: &impl Payload, number: usize) -> u64 {
        let feeds = self.equal_in_chunk(payload, number, b'\n');
        let before = swar::one_byte_before(feeds);
        let apart = feeds & swar::one_byte_before(before);
        if apart == 0 {
            return feeds & before;
        }
        let returns = self.equal_in_chunk(payload, number, b'\r');
        feeds & before | apart & swar::one_byte_before(returns)
    }

    /// The bits of a chunk's bytes that are this one.
    #[inline(always)]
    fn equal_in_chunk(&self, payload: &impl Payload, number: usize, byte: u8) -> u64 {
        let mut others = 0;
        // Rolled, for want of stack.
        for pair in payload.rolled(CHUNK / WORD / 2) {
            for word in [2 * pair, 2 * pair + 1] {
                let word = self.word_behind(number * CHUNK, word);
                others = others >> 1 | swar::others(word, byte);
            }
        }
        !others
    }

    /// The bits of a chunk's bytes that stand before `at`.
    #[inline(always)]
    pub(super) fn before(&self, number: usize, at: usize) -> u64 {
        if at / CHUNK == number {
            !FROM[at % CHUNK]
        } else {
            u64::MAX
        }
    }

    /// Notes where a field's name ends; the first one of its name counts.
    #[inline(always)]
    pub(super) fn note(&mut self, field: u8, name_end: usize) {
        let place = &mut self.name_ends[(field & 7) as usize];
        let noted = *place as usize;
        if noted == 0 || name_end < noted {
            *place = name_end as u64;
        }
    }

    /// Forgets fields whose names end behind `at`: whether the header ends before them is not known.
    #[inline(always)]
    pub(super) fn forget_behind(&mut self, at: usize) {
        for field in Noted::ALL {
            let name_end = &mut self.name_ends[field as usize & 7];
            if *name_end > at as u64 {
                *name_end = 0;
            }
        }
    }

    /// Where the field's name ends; 0 where it does not stand in the header.
    #[inline(always)]
    pub(super) fn name_end(&self, field: Noted) -> usize {
        let name_end = self.name_ends[field as usize & 7] as usize & MAX_OFFSET;
        if name_end < self.kept(Kept::HeaderEnd) {
            name_end
        } else {
            0
        }
    }

    /// Where the field's value ends, its line end and what follows in folded lines counted: before
    /// the first line feed behind its name that no blank follows. 0 where it does not stand in the
    /// header, or after too many others.
    #[inline(always)]
    pub(super) fn end(&mut self, payload: &impl Payload, field: Noted) -> usize {
        self.keep(Kept::E, 0);
        let name_end = self.name_end(field);
        if name_end == 0 {
            return 0;
        }
        let number = name_end / CHUNK;
        let mut mask = self.feeds[number] & FROM[name_end % CHUNK];
        self.keep(Kept::D, number);
        for _ in payload.rolled(MAX_FOLDED) {
            let number = self.kept(Kept::D);
            if mask == 0 {
                if number + 1 >= self.kept(Kept::Read) {
                    break;
                }
                self.keep(Kept::D, number + 1);
                mask = self.feeds(number + 1);
                continue;
            }
            let bit = payload.opaque(first(mask));
            mask ^= bit;
            let at = payload.opaque((number * CHUNK + place_of(bit)) as u64) as usize & MAX_OFFSET;
            // At the text's end nothing is folded.
            let is_last = at + 1 >= self.kept(Kept::End);
            if is_last || !is_folded(self.quarter(at)) {
                self.keep(Kept::E, at);
                break;
            }
        }
        self.kept(Kept::E) & MAX_OFFSET
    }

    /// The header ends at `at`, or before.
    #[inline(always)]
    pub(super) fn end_header(&mut self, at: usize) {
        if at < self.kept(Kept::HeaderEnd) {
            self.keep(Kept::HeaderEnd, at);
        }
    }

    /// Records a line that begins at `at`, if there is room. `head` is 0 where its value begins like no
    /// pattern.
    #[inline(always)]
    pub(super) fn record(&mut self, line: &Line, at: usize, head: u64) {
        let count = self.kept(Kept::Records);
        let may_begin = (head != 0) as u64;
        if count < RECORDS {
            self.records[count & 0xf] =
                u64::from(line.bits()) | (at as u64) << 32 | may_begin << 63;
            self.keep(Kept::Records, count + 1);
        }
    }

    /// What was recorded.
    #[inline(always)]
    pub(super) fn recorded(&self, number: usize) -> Record {
        Record(self.records[number & 0xf])
    }

    /// Makes room for another request.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        for field in Noted::ALL {
            self.name_ends[field as usize & 7] = 0;
        }
        for what in [
            Kept::Read,
            Kept::End,
            Kept::IsRead,
            Kept::Mask,
            Kept::IsEnded,
            Kept::Seen,
            Kept::Records,
            Kept::Taken,
            Kept::IsFull,
            Kept::Candidates,
            Kept::Compared,
            Kept::Hit,
        ] {
            self.keep(what, 0);
        }
        self.keep(Kept::Number, BEFORE);
        self.keep(Kept::Limit, FEEDS);
        self.keep(Kept::HeaderEnd, MAX_OFFSET + 1);
    }

    /// Notes a value that is to be compared with patterns, if there is room for it: its field, and where
    /// the field's name ends, or where a URI begins, and where its line does.
    #[inline(always)]
    pub(super) fn add_candidate(&mut self, field: usize, name_end: usize, line: usize) {
        let count = self.kept(Kept::Candidates);
        if count < CANDIDATES {
            self.candidates[count % CANDIDATES] =
                field as u64 | (name_end as u64) << 8 | (line as u64) << 32;
            self.keep(Kept::Candidates, count + 1);
        }
    }

    /// What [`Self::add_candidate`] was told.
    #[inline(always)]
    pub(super) fn candidate(&self, count: usize) -> (usize, usize, usize) {
        let candidate = self.candidates[count % CANDIDATES] as usize;
        let name_end = (candidate >> 8) & MAX_OFFSET;
        (candidate & 0xf, name_end, candidate >> 32)
    }

    /// Copies the text from the pair of chunks with the number `from` up to the one before `to`, or up
    /// to its end, and finds its line ends. All before was read. `stops` where that is the end in which
    /// the header ends.
    ///
    /// Behind the payload's end the copy has line feeds. What is behind what was read is that of
    /// another packet.
    #[inline(always)]
    pub(super) fn read(&mut self, payload: &impl Payload, from: usize, to: usize, stops: bool) {
        let payload = payload.apart();
        self.keep(Kept::B, 0);
        self.keep(Kept::Read, 2 * to);
        self.keep(Kept::End, to * PAIR);
        for step in payload.rolled(PAIRS) {
            let step = from + step;
            if step >= to {
                break;
            }
            let at = step * PAIR;
            // SAFETY: there is room for chunks behind the last offset.
            let masks = unsafe { payload.copy_chunks::<2>(at, self.pointer_mut(at)) };
            let Some([first, second]) = masks else {
                self.keep(Kept::Read, 2 * step);
                self.keep(Kept::B, 1);
                break;
            };
            self.put_feeds(2 * step, [first, second]);
            // Two line feeds, or what is taken for some, two bytes apart.
            let first_ends = first & swar::two_bytes_behind(first);
            let second_ends = second & swar::two_bytes_behind(second);
            if stops && first_ends | second_ends != 0 {
                let (ends, base) = match first_ends {
                    0 => (second_ends, at + CHUNK),
                    _ => (first_ends, at),
                };
                let end = base + place_of(ends & ends.wrapping_neg());
                if self.half(end.wrapping_sub(3)) == u32::from_le_bytes(*b"\r\n\r\n") {
                    self.keep(Kept::Read, 2 * step + 2);
                    self.keep(Kept::End, at + PAIR);
                    // A line that is cut off here is not to go on with another packet's text.
                    self.put(at + PAIR, swar::splat(b'\n'));
                    self.put(at + PAIR + WORD, swar::splat(b'\n'));
                    self.keep(Kept::IsRead, 1);
                    break;
                }
            }
        }
        if self.kept(Kept::B) & 1 != 0 {
            self.read_tail(&payload.apart());
        }
    }

    /// Keeps the line feeds of chunks from an even number on.
    #[inline(always)]
    fn put_feeds(&mut self, number: usize, masks: [u64; 2]) {
        let number = number & (FEEDS - 2);
        self.feeds[number] = masks[0];
        self.feeds[number + 1] = masks[1];
    }

    /// Reads what is left behind the last pair of chunks.
    #[inline(always)]
    fn read_tail(&mut self, payload: &impl Payload) {
        let number = self.kept(Kept::Read) % FEEDS;
        let base = (number * CHUNK) & MAX_OFFSET;
        let end = payload.len();
        let left = payload.forget(end.wrapping_sub(base)) & (PAIR - 1);
        self.keep(Kept::C, number);
        if left >= CHUNK {
            let payload = payload.apart();
            // SAFETY: there is room for chunks behind the last offset.
            if let Some([mask]) = unsafe { payload.copy_chunks(base, self.pointer_mut(base)) } {
                self.feeds[number] = mask;
                self.keep(Kept::C, number + 1);
            }
        }
        let payload = &payload.apart();
        if end >= CHUNK {
            // The last chunk's worth of bytes, of which some were read before.
            let from = payload.forget(end.wrapping_sub(CHUNK)) & MAX_OFFSET;
            // SAFETY: as above.
            let _ = unsafe { payload.copy_chunks::<1>(from, self.pointer_mut(from)) };
        } else {
            self.read_short(&payload.apart());
        }
        let end = payload.forget(end) & MAX_OFFSET;
        self.put(end, swar::splat(b'\n'));
        self.put(end + WORD, swar::splat(b'\n'));
        // The first line feed behind the end counts too, and ends the last line.
        let number = self.kept(Kept::C) % FEEDS;
        let behind = FROM[left % CHUNK];
        let mask = self.find_feeds(number * CHUNK) & !behind;
        self.feeds[number] = mask | swar::bit_of(left % CHUNK);
        self.keep(Kept::Read, number + 1);
        self.keep(Kept::End, end);
        self.keep(Kept::IsRead, 1);
    }

    /// The line feeds of the chunk that begins at `base` in the copy.
    #[inline(always)]
    fn find_feeds(&self, base: usize) -> u64 {
        let mut mask = 0;
        for word in 0..CHUNK / WORD {
            mask |= swar::feeds(self.word_behind(base, word)) >> (7 - word);
        }
        mask
    }

    /// Reads a text that is shorter than a chunk.
    #[inline(always)]
    fn read_short(&mut self, payload: &impl Payload) {
        for word in 0..CHUNK / WORD {
            let at = word * WORD;
            let Some(bytes) = payload.u64_at(at) else {
                // Less than eight bytes are left.
                self.put(at, last_word(payload, at));
                break;
            };
            self.put(at, bytes);
        }
    }
}
