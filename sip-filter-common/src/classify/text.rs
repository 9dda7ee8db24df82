//! The classifier's room to work in: a request's text, and where its lines end.
//!
//! The text is copied as it is searched for line ends, eight bytes at a time and without a choice,
//! so that the steps do not wait for each other. What follows reads the copy: it may look
//! anywhere without asking where the packet ends, which the verifier would have to follow.

use crate::{
    field::Field,
    payload::{MAX_OFFSET, Payload},
    swar,
};

/// How many bytes are copied and searched in one step.
pub(crate) const CHUNK: usize = 64;
/// How many steps there are: a jumbo frame of 9,000 bytes is read whole.
const CHUNKS: usize = 144;
/// The longest payload that is read, in bytes.
pub(super) const MAX_TEXT: usize = CHUNKS * CHUNK - 1;
/// Room for masks: a power of two, and one at least is free.
const MASKS: usize = 256;
/// Bytes behind the last offset, for what is read from there on.
const BEHIND: usize = 576;
/// How many values are compared with patterns, at most; how many chains of them.
pub(super) const CANDIDATES: usize = 8;
/// Room for chains: a power of two, and one at least is free.
const CHAINS: usize = 64;

const WORD: usize = size_of::<u64>();

/// Where the reader stands in the list of line ends.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    /// Of the chunk, the line ends that have not been looked at.
    pub(super) mask: u64,
    /// Which of the masks it is.
    pub(super) number: usize,
}

/// Room to work on one request, which says afterwards where the request's fields stand.
///
/// In the kernel it lies in a map. What is written there and read back is, for the verifier, a
/// number of which it knows nothing: it walks what follows once, whatever led there.
#[repr(C)]
pub struct Work {
    text: [u8; MAX_OFFSET + 1 + BEHIND],
    /// A bit for each line feed (and some other bytes) of a chunk that has any.
    masks: [u64; MASKS],
    /// Where the chunk begins.
    bases: [u64; MASKS],
    /// By field, where its name ends; 0 where it does not stand in the header.
    names: [u64; 16],
    /// By field, where the line feed stands that ends it.
    ends: [u64; 16],
    /// Values that may begin like a pattern: field and where the name ends.
    pub(super) candidates: [u64; CANDIDATES],
    /// Chains of patterns, with the value that is compared with them.
    pub(super) chains: [u64; CHAINS],
    kept: [u64; 16],
}

/// What is kept in the room from step to step.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(super) enum Kept {
    /// How far the text has been read; more than its length when it was read to its end.
    Read,
    /// How many masks there are.
    Masks,
    /// [`Cursor::mask`].
    Mask,
    /// [`Cursor::number`].
    Number,
    /// The field of the line that is being read.
    Field,
    /// 1 once the header's end was found.
    IsEnded,
    /// Where the body begins.
    Body,
    /// How many candidates there are.
    Candidates,
    /// How many chains there are.
    Chains,
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
}

impl Work {
    /// Room in which nothing stands.
    pub const EMPTY: Self = Self {
        text: [0; MAX_OFFSET + 1 + BEHIND],
        masks: [0; MASKS],
        bases: [0; MASKS],
        names: [0; 16],
        ends: [0; 16],
        candidates: [0; CANDIDATES],
        chains: [0; CHAINS],
        kept: [0; 16],
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
        unsafe { self.pointer(at).add(8 * words).cast::<u64>().read_unaligned() }
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

    #[inline(always)]
    fn pointer(&self, at: usize) -> *const u8 {
        // SAFETY: masked to less than the text's length.
        unsafe { self.text.as_ptr().add(at & MAX_OFFSET) }
    }

    #[inline(always)]
    fn put(&mut self, at: usize, behind: usize, word: u64) {
        // SAFETY: masked to less than the text's length, and there is room behind.
        unsafe {
            let place = self.text.as_mut_ptr().add(at & MAX_OFFSET);
            place.add(behind).cast::<u64>().write_unaligned(word);
        }
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

    /// Where the field's name ends; 0 where it does not stand in the header. An offset in the
    /// text from the start line on.
    #[inline(always)]
    pub fn name_end(&self, field: usize) -> usize {
        self.names[field & 0xf] as usize
    }

    /// Where the line feed stands that ends the field.
    #[inline(always)]
    pub fn line_feed(&self, field: usize) -> usize {
        self.ends[field & 0xf] as usize
    }

    /// Notes where a field's name ends.
    #[inline(always)]
    pub(super) fn begin_field(&mut self, field: usize, name_end: usize) {
        self.names[field & 0xf] = name_end as u64;
    }

    /// Notes where the line feed stands that ends a field.
    #[inline(always)]
    pub(super) fn end_field(&mut self, field: usize, line_feed: usize) {
        self.ends[field & 0xf] = line_feed as u64;
    }

    /// Makes room for another request.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        for field in 1..Field::COUNT {
            self.names[field] = 0;
        }
        for what in [
            Kept::Read,
            Kept::Masks,
            Kept::Mask,
            Kept::Field,
            Kept::IsEnded,
            Kept::Candidates,
            Kept::Hit,
        ] {
            self.keep(what, 0);
        }
        self.keep(Kept::Number, MASKS - 1);
    }

    /// Notes a value that may begin like a pattern; gives how many there are. What has no room takes
    /// the place of another one.
    #[inline(always)]
    pub(super) fn add_candidate(&mut self, number: usize, field: usize, name_end: usize) -> usize {
        self.candidates[number % CANDIDATES] = field as u64 | (name_end as u64) << 8;
        number + 1
    }

    /// Whether the whole text has been read.
    #[inline(always)]
    pub(super) fn is_read(&self) -> bool {
        self.kept(Kept::Read) > MAX_OFFSET
    }

    /// Where the list of line ends goes on.
    #[inline(always)]
    pub(super) fn cursor(&self) -> Cursor {
        Cursor {
            mask: self.kept(Kept::Mask) as u64,
            number: self.kept(Kept::Number) % MASKS,
        }
    }

    /// The next mask; 0 where there is none.
    #[inline(always)]
    pub(super) fn next(&self, number: usize) -> Cursor {
        let number = (number + 1) % MASKS;
        Cursor {
            mask: self.masks[number],
            number,
        }
    }

    /// Where the chunk of a mask begins.
    #[inline(always)]
    pub(super) fn base(&self, number: usize) -> usize {
        self.bases[number % MASKS] as usize & MAX_OFFSET
    }

    /// Reads on, to the payload's end or to where the header may end: to a chunk in which two line
    /// feeds, or what is taken for some, are at most two bytes apart, and of such `stop_at` says
    /// whether they count.
    ///
    /// Behind the payload's end the text has line feeds.
    #[inline(always)]
    pub(super) fn read(&mut self, payload: &impl Payload, stop_at: u64) {
        let payload = payload.apart();
        let start = self.kept(Kept::Read) & MAX_OFFSET & !(CHUNK - 1);
        let mut number = self.kept(Kept::Masks) % MASKS;
        self.keep(Kept::Read, start);
        self.keep(Kept::B, 0);
        for step in payload.rolled(CHUNKS) {
            let at = start + step * CHUNK;
            let Some(chunk) = payload.chunk(at) else {
                self.keep(Kept::B, 1);
                break;
            };
            let mut mask = 0;
            for (place, word) in chunk.into_iter().enumerate() {
                self.put(at, place * WORD, word);
                mask |= feeds(word) << (place * WORD);
            }
            self.note(number, mask, at);
            number += 1 - payload.is_0((mask | mask >> 32) & 0xffff_ffff) as usize;
            self.keep(Kept::Read, at + CHUNK);
            self.keep(Kept::Masks, number);
            if mask & (mask << 1 | mask << 2) & stop_at != 0 {
                break;
            }
        }
        if self.kept(Kept::B) & 1 != 0 {
            self.read_tail(&payload.apart());
        }
        let number = self.kept(Kept::Masks) % MASKS;
        self.masks[number] = 0;
    }

    #[inline(always)]
    fn note(&mut self, number: usize, mask: u64, base: usize) {
        self.masks[number % MASKS] = mask;
        self.bases[number % MASKS] = base as u64;
    }

    /// Reads what is left behind the last whole chunk.
    #[inline(always)]
    fn read_tail(&mut self, payload: &impl Payload) {
        let base = self.kept(Kept::Read) & MAX_OFFSET & !(CHUNK - 1);
        let end = payload.len();
        for step in payload.rolled(CHUNK / WORD) {
            match payload.u64_at(base + step * WORD) {
                Some(word) => self.put(base, step * WORD, word),
                None => break,
            }
        }
        let payload = payload.apart();
        if let Some(last) = end.checked_sub(WORD)
            && let Some(word) = payload.u64_at(payload.forget(last) & MAX_OFFSET)
        {
            self.put(payload.forget(last), 0, word);
        }
        self.put(payload.forget(end), 0, swar::splat(b'\n'));
        let mut mask = 0;
        for place in 0..CHUNK / WORD {
            mask |= feeds(self.word_behind(base, place)) << (place * WORD);
        }
        // The first line feed behind the end counts, and nothing behind that.
        let left = payload.forget(end.wrapping_sub(base)) & (CHUNK - 1);
        let number = self.kept(Kept::Masks) % MASKS;
        self.note(number, mask & (2_u64 << left).wrapping_sub(1), base);
        self.keep(Kept::Masks, number + 1);
        self.keep(Kept::Read, MAX_OFFSET + 1);
    }
}

/// A bit for each byte of a word, in the order of the bytes, that is below 11, and for some above
/// 127 or behind one of these: every line feed, and little else in a header.
#[inline(always)]
fn feeds(word: u64) -> u64 {
    const TOP: u64 = swar::splat(0x80);
    // Sends bit 8k+7 to bit 56+k, for each k from 0 to 7. All 64 products are different powers of
    // two, so nothing is carried.
    const GATHER: u64 = {
        let mut gather = 0;
        let mut place = 0;
        while place < 8 {
            gather |= 1 << (49 - 7 * place);
            place += 1;
        }
        gather
    };
    let flags = word.wrapping_sub(swar::splat(b'\n' + 1)) & TOP;
    flags.wrapping_mul(GATHER) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_feed_has_its_bit() {
        for bits in 0..=u8::MAX {
            let mut bytes = [0; 8];
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = if bits >> at & 1 != 0 { b'\n' } else { b'\r' };
            }
            assert_eq!(feeds(u64::from_le_bytes(bytes)), u64::from(bits));
            let bytes = bytes.map(|byte| if byte == b'\r' { 0x7f } else { byte });
            assert_eq!(feeds(u64::from_le_bytes(bytes)), u64::from(bits));
        }
    }
}
