//! The classifier's room to work in: a request's text, and where its lines end.
//!
//! The text is copied as it is searched for line ends, eight bytes at a time and without a choice,
//! so that the steps do not wait for each other. What follows reads the copy: it may look
//! anywhere without asking where the packet ends, which the verifier would have to follow.

use crate::{
    payload::{CHUNK, MAX_OFFSET, Payload, last_word},
    signature::CHAINS,
    swar,
};

/// How many steps there are: a jumbo frame of 9,000 bytes is read whole.
const CHUNKS: usize = 144;
/// The longest payload that is read, in bytes.
pub(super) const MAX_TEXT: usize = CHUNKS * CHUNK - 1;
/// Room for masks: a power of two.
const MASKS: usize = 256;
/// Bytes behind the last offset, for what is read from there on.
const BEHIND: usize = 576;
/// How many values are compared with patterns in one step, at most.
pub(super) const CANDIDATES: usize = 8;

const WORD: usize = size_of::<u64>();

/// How many folded lines a value may have of which the end is looked for, and bytes that are taken
/// for line feeds.
const MAX_FOLDED: usize = 16;

/// De Bruijn: times this, each power of two has another number in its six highest bits.
const DE_BRUIJN: u64 = 0x0218_a392_cd3d_5dbf;

static BY_PRODUCT: [u8; 64] = {
    let mut numbers = [0; 64];
    let mut number = 0;
    while number < 64 {
        numbers[(DE_BRUIJN.wrapping_shl(number) >> 58) as usize] = number as u8;
        number += 1;
    }
    numbers
};

/// The number of the one bit that is set.
#[inline(always)]
pub(super) fn place_of(bit: u64) -> usize {
    BY_PRODUCT[(bit.wrapping_mul(DE_BRUIJN) >> 58) as usize] as usize
}

/// Where the reader stands among the line ends.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    /// Of the chunk, the line ends that have not been looked at.
    pub(super) mask: u64,
    /// The chunk's number.
    pub(super) number: usize,
}

/// Where a field stands.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Where its name ends; 0 where it does not stand in the header.
    name_end: u64,
    /// The line ends behind it in the chunk in which it begins, and that chunk's number.
    mask: u64,
    number: u64,
    reserved: u64,
}

/// The fields of which it is noted where they stand.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(super) enum Noted {
    From,
    Via,
    CallId,
    MaxForwards,
}

impl Noted {
    const COUNT: usize = 4;
}

impl Place {
    const NOWHERE: Self = Self {
        name_end: 0,
        mask: 0,
        number: 0,
        reserved: 0,
    };
}

/// Room to work on one request. What an earlier one left there is never looked at.
///
/// In the kernel it lies in a map. What is written there and read back is, for the verifier, a
/// number of which it knows nothing: it walks what follows once, whatever led there.
#[repr(C)]
pub struct Work {
    text: [u8; MAX_OFFSET + 1 + BEHIND],
    /// By chunk, a bit for each line feed, and some other bytes.
    masks: [u64; MASKS],
    /// By [`Noted`].
    places: [Place; Noted::COUNT],
    /// Values that may begin like a pattern: field and where the name ends.
    pub(super) candidates: [u64; CANDIDATES],
    /// Chains of patterns, with the value that is compared with them.
    pub(super) chains: [u64; CHAINS * CANDIDATES],
    kept: [u64; 24],
}

/// What is kept in the room from step to step.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(super) enum Kept {
    /// Where what is left behind the last whole chunk begins.
    Read,
    /// Of how many chunks the line ends are known.
    Masks,
    /// [`Cursor::mask`].
    Mask,
    /// [`Cursor::number`].
    Number,
    /// 1 once the header's end was found.
    IsEnded,
    /// Where the body begins.
    Body,
    /// How many candidates there are.
    Candidates,
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
}

impl Work {
    /// Room in which nothing stands.
    pub const EMPTY: Self = Self {
        text: [0; MAX_OFFSET + 1 + BEHIND],
        masks: [0; MASKS],
        places: [Place::NOWHERE; Noted::COUNT],
        candidates: [0; CANDIDATES],
        chains: [0; CHAINS * CANDIDATES],
        kept: [0; 24],
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

    /// Notes where a field's name ends, and which line ends follow.
    ///
    /// Only a few fields, each at an address that is known before the line is read: the processor
    /// may let no load go before a store to an address that it does not know yet, and then each
    /// line would wait for the one before.
    #[inline(always)]
    pub(super) fn note(&mut self, field: Noted, name_end: usize, behind: Cursor) {
        self.places[field as usize] = Place {
            name_end: name_end as u64,
            mask: behind.mask,
            number: behind.number as u64,
            reserved: 0,
        };
    }

    /// Where the field's name ends; 0 where it does not stand in the header.
    #[inline(always)]
    pub(super) fn name_end(&self, field: Noted) -> usize {
        self.places[field as usize].name_end as usize & MAX_OFFSET
    }

    /// Where the field's value ends, its line end and what follows in folded lines counted: before
    /// the first line feed behind its name that no blank follows. 0 where it does not stand in the
    /// header, or after too many others.
    #[inline(always)]
    pub(super) fn end(&mut self, payload: &impl Payload, field: Noted) -> usize {
        let place = self.places[field as usize];
        self.keep(Kept::E, 0);
        if place.name_end == 0 {
            return 0;
        }
        let mut behind = Cursor {
            mask: place.mask,
            number: place.number as usize % MASKS,
        };
        for _ in payload.rolled(MAX_FOLDED) {
            // Seldom more than once: a line is seldom longer than a chunk.
            let half = (behind.mask | behind.mask >> 32) & 0xffff_ffff;
            let is_over = payload.mask_if_0(half);
            behind.number = (behind.number + payload.is_0(half) as usize) % MASKS;
            behind.mask |= self.masks[behind.number] & is_over;
            let lowest = behind.mask & behind.mask.wrapping_neg();
            behind.mask ^= lowest;
            // Opaque, or the compiler leaves out the mask, and old verifiers know less than it does.
            let at = behind.number * CHUNK + place_of(lowest);
            let at = payload.opaque(at as u64) as usize & MAX_OFFSET;
            let [feed, first, ..] = self.half(at).to_le_bytes();
            if feed == b'\n' && first != b' ' && first != b'\t' {
                self.keep(Kept::E, at);
                break;
            }
        }
        self.kept(Kept::E) & MAX_OFFSET
    }

    /// Makes room for another request.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        for place in &mut self.places {
            place.name_end = 0;
        }
        for what in [
            Kept::Read,
            Kept::Masks,
            Kept::Mask,
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

    /// Where the reading of lines goes on.
    #[inline(always)]
    pub(super) fn cursor(&self) -> Cursor {
        Cursor {
            mask: self.kept(Kept::Mask) as u64,
            number: self.kept(Kept::Number) % MASKS,
        }
    }

    /// The line ends of the next chunk.
    #[inline(always)]
    pub(super) fn next(&self, number: usize) -> Cursor {
        let number = (number + 1) % MASKS;
        Cursor {
            mask: self.masks[number],
            number,
        }
    }

    /// Reads the text to its end, or to the chunk in which the header ends.
    ///
    /// Behind the payload's end the text has line feeds. What is behind the header's end is that of
    /// another packet.
    #[inline(always)]
    pub(super) fn read(&mut self, payload: &impl Payload) {
        let payload = payload.apart();
        self.keep(Kept::Read, 0);
        self.keep(Kept::B, 0);
        for step in payload.rolled(CHUNKS) {
            let at = step * CHUNK;
            // SAFETY: there is room for a chunk behind the last offset.
            let Some(mask) = (unsafe { payload.copy_chunk(at, self.pointer_mut(at)) }) else {
                self.keep(Kept::Read, at);
                self.keep(Kept::B, 1);
                break;
            };
            self.masks[at / CHUNK % MASKS] = mask;
            // Two line feeds, or what is taken for some, at most two bytes apart.
            let ends = mask & (mask << 1 | mask << 2);
            if ends != 0 {
                let end = ends & ends.wrapping_neg();
                let last = self.half((at + place_of(end)).wrapping_sub(2)) & 0xff_ffff;
                let is_end = last >> 8 == u32::from_le_bytes(*b"\n\n\0\0")
                    || last == u32::from_le_bytes(*b"\n\r\n\0");
                if is_end {
                    // Nothing behind it is looked at.
                    self.masks[at / CHUNK % MASKS] = mask & (end << 1).wrapping_sub(1);
                    self.keep(Kept::Masks, at / CHUNK + 1);
                    break;
                }
            }
        }
        if self.kept(Kept::B) & 1 != 0 {
            self.read_tail(&payload.apart());
        }
    }

    /// Reads what is left behind the last whole chunk.
    #[inline(always)]
    fn read_tail(&mut self, payload: &impl Payload) {
        let base = self.kept(Kept::Read) & MAX_OFFSET & !(CHUNK - 1);
        let end = payload.len();
        let left = payload.forget(end.wrapping_sub(base)) & (CHUNK - 1);
        self.keep(Kept::B, 0);
        if end >= CHUNK {
            // The last chunk's worth of bytes, of which some were read before.
            let from = payload.forget(end.wrapping_sub(CHUNK)) & MAX_OFFSET;
            // SAFETY: as above.
            if let Some(mask) = unsafe { payload.copy_chunk(from, self.pointer_mut(from)) } {
                self.keep(Kept::B, ((mask >> 1) >> (CHUNK - 1 - left)) as usize);
            }
        } else {
            self.read_short(&payload.apart());
        }
        self.put(payload.forget(end), swar::splat(b'\n'));
        // The first line feed behind the end counts too, and ends the last line.
        let mask = self.kept(Kept::B) as u64 | 1 << left;
        self.masks[base / CHUNK % MASKS] = mask;
        self.keep(Kept::Masks, base / CHUNK + 1);
    }

    /// Reads a text that is shorter than a chunk.
    #[inline(always)]
    fn read_short(&mut self, payload: &impl Payload) {
        for at in (0..CHUNK).step_by(WORD) {
            let Some(word) = payload.u64_at(at) else {
                // Less than eight bytes are left.
                let word = last_word(payload, at);
                let left = payload.len().wrapping_sub(at) & (WORD - 1);
                let mask = swar::feeds(word) & (1_u64 << left).wrapping_sub(1);
                self.put(at, word);
                self.keep(Kept::B, self.kept(Kept::B) | (mask << at) as usize);
                break;
            };
            self.put(at, word);
            let mask = swar::feeds(word) << at;
            self.keep(Kept::B, self.kept(Kept::B) | mask as usize);
        }
    }
}
