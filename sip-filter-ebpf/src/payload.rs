//! A UDP payload in packet memory.

use core::ops::Range;

use sip_filter_common::{
    abi::Address,
    classify::{Step, Work},
    frame::MAX_HEADERS,
    packet,
    payload::{CHUNK, MAX_OFFSET, Payload},
    signature::SignatureTable,
};

use crate::{
    frame::{MAX_FRAME, PacketFrame},
    opaque, step,
};

/// A payload begins behind headers of at most [`MAX_HEADERS`] bytes and the UDP header.
const MAX_PAYLOAD_OFFSET: usize = 2 * (MAX_HEADERS + 1) - 1;

/// A datagram in packet memory.
pub type Datagram = packet::Datagram<PacketPayload>;

/// The same datagram, of which the verifier knows nothing but that it is in reach: else it would
/// walk what follows once for IPv4 and once for IPv6, once for each number of tags, and so on.
#[inline(always)]
pub fn forget(datagram: Datagram) -> Datagram {
    let payload = datagram.payload.apart();
    let forget = |number: u64| payload.forget(number as usize) as u64;
    Datagram {
        source: Address {
            words: datagram.source.words.map(forget),
        },
        destination: Address {
            words: datagram.destination.words.map(forget),
        },
        port: payload.forget(datagram.port as usize) as u16,
        length: payload.forget(datagram.length) & MAX_FRAME,
        payload,
    }
}

/// The payload of the datagram in a frame.
pub struct PacketPayload {
    /// Where the frame begins, and the payload's offset in it: what `start` is made of, so that
    /// it can be made anew.
    frame_start: usize,
    offset: usize,
    start: usize,
    /// Where the frame ends: the bound that the verifier knows.
    frame_end: usize,
    /// The payload's length, which may end before the frame does.
    length: usize,
    /// See [`opaque::forget`].
    unknown: usize,
}

impl PacketPayload {
    /// `length` bytes from `offset` in the frame, or as many of them as can be read.
    #[inline(always)]
    pub fn new(frame: &PacketFrame, offset: usize, length: usize) -> Self {
        Self {
            frame_start: frame.start(),
            offset,
            start: frame.start() + offset,
            frame_end: frame.end(),
            length: frame.readable(offset, length),
            unknown: frame.unknown(),
        }
    }

    /// Where it begins in the frame, in bytes.
    #[inline(always)]
    pub fn offset(&self) -> usize {
        self.offset
    }

    #[inline(always)]
    fn read<T: Copy>(&self, offset: usize) -> Option<T> {
        let address = self.address::<T>(offset)?;
        // SAFETY: inside the frame; `T` is an integer, for which every bit pattern is valid.
        Some(unsafe { (address as *const T).read_unaligned() })
    }

    /// The address of a `T` at `offset`, all of which lies in the payload.
    #[inline(always)]
    fn address<T>(&self, offset: usize) -> Option<usize> {
        if offset + size_of::<T>() > self.length {
            return None;
        }
        let (address, end) = opaque::span::<T>(self.start, offset);
        if end > self.frame_end {
            return None;
        }
        Some(address)
    }
}

impl Payload for PacketPayload {
    #[inline(always)]
    fn len(&self) -> usize {
        self.length
    }

    #[inline(always)]
    fn u8_at(&self, offset: usize) -> Option<u8> {
        self.read(offset)
    }

    #[inline(always)]
    fn u32_at(&self, offset: usize) -> Option<u32> {
        self.read(offset)
    }

    #[inline(always)]
    fn u64_at(&self, offset: usize) -> Option<u64> {
        self.read(offset)
    }

    #[inline(always)]
    unsafe fn copy_chunks<const N: usize>(&self, offset: usize, to: *mut u8) -> Option<[u64; N]> {
        let from = self.address::<[[u8; CHUNK]; N]>(offset)?;
        // SAFETY: inside the frame, and the caller promises room.
        Some(core::array::from_fn(|chunk| unsafe {
            opaque::copy_chunk(from + chunk * CHUNK, to.add(chunk * CHUNK) as usize)
        }))
    }

    #[inline(always)]
    fn behind(&self, offset: usize) -> Self {
        let offset = (self.offset + offset) & MAX_PAYLOAD_OFFSET;
        Self {
            offset,
            start: self.frame_start + offset,
            length: self.length.wrapping_sub(offset - self.offset),
            ..*self
        }
    }

    #[inline(always)]
    fn forget(&self, offset: usize) -> usize {
        opaque::forget(offset, self.unknown)
    }

    #[inline(always)]
    fn apart(&self) -> Self {
        let offset = self.forget(self.offset) & MAX_PAYLOAD_OFFSET;
        Self {
            offset,
            start: self.frame_start + offset,
            length: self.forget(self.length) & MAX_OFFSET,
            ..*self
        }
    }

    #[inline(always)]
    fn opaque(&self, number: u64) -> u64 {
        opaque::constant(number as usize) as u64
    }

    #[inline(always)]
    fn take(&self, step: Step, _work: &mut Work, _table: &SignatureTable) -> bool {
        step::take(step)
    }

    #[inline(always)]
    fn rolled(&self, steps: usize) -> Range<usize> {
        0..opaque::constant(steps)
    }
}
