//! Bounds-checked reads from a UDP payload, wherever its bytes are.
//!
//! The classifier sees a payload through [`Payload`] alone. The XDP program implements it
//! over packet memory, with the checks that the verifier asks for; [`SlicePayload`] is the
//! host's.

use core::ops::Range;

use crate::{
    classify::{Step, Work},
    signature::SignatureTable,
    swar,
};

/// A UDP payload that can be read at any offset, in bytes from its start.
///
/// Words are little endian: the byte at `offset` is the lowest. A read that would leave the
/// payload gives `None`.
pub trait Payload: Sized {
    /// The payload's length in bytes.
    fn len(&self) -> usize;

    /// The byte at `offset`.
    fn u8_at(&self, offset: usize) -> Option<u8>;

    /// Four bytes from `offset`.
    fn u32_at(&self, offset: usize) -> Option<u32>;

    /// Eight bytes from `offset`.
    fn u64_at(&self, offset: usize) -> Option<u64>;

    /// Copies `N` times [`CHUNK`] bytes from `offset`, and gives a bit for each of them that is a line
    /// feed, in the order of [`swar::byte_of`]. Bytes below a line feed have their bit too, and so have
    /// some above 127 and a vertical tab behind one of these. `None` where they are not there.
    ///
    /// # Safety
    ///
    /// There is room for as many bytes at `to`.
    unsafe fn copy_chunks<const N: usize>(&self, offset: usize, to: *mut u8) -> Option<[u64; N]>;

    /// What begins at `offset`, which is inside.
    fn behind(&self, offset: usize) -> Self;

    /// The same offset, of which the verifier no longer knows how it came about.
    ///
    /// The verifier walks every value that an offset can have apart from each other: after a
    /// loop that may end at any of a hundred places it would walk the rest of the program a
    /// hundred times. Losing the knowledge makes all of them one.
    fn forget(&self, offset: usize) -> usize;

    /// The same payload, for a loop: what the verifier learns of its place and length there, a
    /// little more at each step, it does not learn of this one. Otherwise it would walk what
    /// follows the loop once for each step at which the loop may end.
    fn apart(&self) -> Self;

    /// The same number, of which the compiler knows nothing: from arithmetic that tells whether a
    /// number is 0 it would make a choice, and the verifier walks both ways.
    fn opaque(&self, number: u64) -> u64;

    /// 1 where a number below 2^63 is 0, and else 0, without a choice.
    #[inline(always)]
    fn is_0(&self, number: u64) -> u64 {
        self.opaque(self.opaque(number).wrapping_sub(1) >> 63)
    }

    /// All ones where a number below 2^63 is 0, and else 0, without a choice.
    #[inline(always)]
    fn mask_if_0(&self, number: u64) -> u64 {
        self.opaque(((self.opaque(number).wrapping_sub(1) as i64) >> 63) as u64)
    }

    /// Takes a [`Step`] on what stands in the room to work in, and gives what that says.
    ///
    /// In the kernel a step is a function of its own, which the verifier walks once, and not once
    /// for each way that leads to it.
    #[inline(always)]
    fn take(&self, step: Step, work: &mut Work, table: &SignatureTable) -> bool {
        step.take(self, work, table)
    }

    /// The numbers below `steps`, for a loop that the compiler must not unroll: it does not know
    /// the end, the verifier does. An unrolled search keeps more values alive than a BPF stack
    /// of 512 bytes holds.
    fn rolled(&self, steps: usize) -> Range<usize>;

    /// Whether the payload holds no byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Offsets below this are readable in the kernel; a UDP payload of a frame that reaches an
/// XDP program in one piece is shorter.
pub const MAX_OFFSET: usize = 0x3fff;

/// How many bytes are copied and searched for line feeds at once.
pub const CHUNK: usize = 64;

/// The bytes from `at` to the payload's end, at least one and less than eight of them, and zero
/// behind; all zero in a payload of less than eight bytes, which holds no line of SIP.
#[inline(always)]
pub(crate) fn last_word(payload: &impl Payload, at: usize) -> u64 {
    let Some(start) = payload.len().checked_sub(8) else {
        return 0;
    };
    match payload.u64_at(payload.forget(start) & MAX_OFFSET) {
        Some(word) => word >> ((8 * at.wrapping_sub(start)) & 63),
        None => 0,
    }
}

/// A payload in a byte slice.
#[derive(Clone, Copy, Debug)]
pub struct SlicePayload<'a>(pub &'a [u8]);

impl SlicePayload<'_> {
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.0.get(offset..)?.first_chunk::<N>().copied()
    }
}

impl Payload for SlicePayload<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn u8_at(&self, offset: usize) -> Option<u8> {
        self.0.get(offset).copied()
    }

    fn u32_at(&self, offset: usize) -> Option<u32> {
        self.bytes(offset).map(u32::from_le_bytes)
    }

    fn u64_at(&self, offset: usize) -> Option<u64> {
        self.bytes(offset).map(u64::from_le_bytes)
    }

    unsafe fn copy_chunks<const N: usize>(&self, offset: usize, to: *mut u8) -> Option<[u64; N]> {
        let chunks = self.0.get(offset..)?.get(..N * CHUNK)?;
        // SAFETY: as the caller promises.
        unsafe { to.copy_from_nonoverlapping(chunks.as_ptr(), chunks.len()) };
        Some(core::array::from_fn(|chunk| {
            let words = chunks[chunk * CHUNK..].as_chunks().0.iter().take(8);
            words.enumerate().fold(0, |feeds, (at, word)| {
                feeds | swar::feeds(u64::from_le_bytes(*word)) >> (7 - at)
            })
        }))
    }

    fn behind(&self, offset: usize) -> Self {
        Self(self.0.get(offset..).unwrap_or_default())
    }

    fn forget(&self, offset: usize) -> usize {
        offset
    }

    fn apart(&self) -> Self {
        *self
    }

    fn opaque(&self, number: u64) -> u64 {
        number
    }

    fn rolled(&self, steps: usize) -> Range<usize> {
        0..steps
    }
}
