//! The frame in packet memory.

use core::mem::offset_of;

use network_types::eth::EthHdr;
use sip_filter_common::frame::{Frame, Header, MAX_HEADERS};

use crate::{opaque, payload::PacketPayload};

/// More than the length of any frame, and a power of two less one.
pub const MAX_FRAME: usize = 0x1_ffff;

/// A frame in packet memory, from its Ethernet header on.
pub struct PacketFrame {
    start: usize,
    end: usize,
    /// How many bytes it has in all, where that is more than can be read; else 0.
    length: usize,
    /// See [`Frame::taken_out`].
    taken_out: usize,
    /// Bits that the verifier knows nothing of: see [`opaque::forget`].
    unknown: usize,
}

impl PacketFrame {
    /// The frame between two addresses from the context, out of which VLAN tags of so many bytes
    /// were taken; `None` where it has no whole Ethernet header, which no driver delivers.
    #[inline(always)]
    pub fn new(start: usize, end: usize, taken_out: usize) -> Option<Self> {
        let frame = Self {
            start,
            end,
            length: 0,
            taken_out,
            unknown: 0,
        };
        // The last four bytes of the source address, which nothing here compares with anything.
        let [_, _, a, b, c, d] = *frame.header::<[u8; 6]>(offset_of!(EthHdr, src_addr))?;
        Some(Self {
            unknown: u32::from_ne_bytes([a, b, c, d]) as usize,
            ..frame
        })
    }

    /// The same frame, which has so many bytes, not all of which can be read.
    #[inline(always)]
    pub fn longer(self, length: usize) -> Self {
        Self { length, ..self }
    }

    /// How much can be read of so many bytes from `offset`, up to which it can be read.
    #[inline(always)]
    pub fn readable(&self, offset: usize, length: usize) -> usize {
        match self.length {
            0 => length,
            _ => length.min((self.end - self.start).wrapping_sub(offset)),
        }
    }

    /// Where ends what can be read.
    #[inline(always)]
    pub fn end(&self) -> usize {
        self.end
    }

    /// Where the frame starts.
    #[inline(always)]
    pub fn start(&self) -> usize {
        self.start
    }

    /// See [`opaque::forget`].
    #[inline(always)]
    pub fn unknown(&self) -> usize {
        self.unknown
    }
}

impl Frame for PacketFrame {
    type Payload = PacketPayload;

    #[inline(always)]
    fn header<T: Header>(&self, offset: usize) -> Option<&T> {
        let address = self.start + offset;
        if address + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: the bounds were checked, and a header has neither alignment nor invalid values.
        Some(unsafe { &*(address as *const T) })
    }

    #[inline(always)]
    fn holds(&self, length: usize) -> bool {
        self.start + length <= self.end || length <= self.length
    }

    #[inline(always)]
    fn taken_out(&self) -> usize {
        self.taken_out
    }

    #[inline(always)]
    fn forget(&self, offset: usize) -> usize {
        opaque::forget(offset, self.unknown) & MAX_HEADERS
    }

    #[inline(always)]
    fn length(&self, field: [u8; 2]) -> usize {
        opaque::two_bytes(u16::from_be_bytes(field) as usize)
    }

    #[inline(always)]
    fn payload(&self, offset: usize, length: usize) -> PacketPayload {
        PacketPayload::new(self, offset, length)
    }
}
