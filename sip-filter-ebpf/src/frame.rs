//! The frame as the driver delivers it: bounds-checked reads of header fields.

use core::mem::offset_of;

use network_types::eth::EthHdr;

use crate::opaque;

/// Offsets of headers stay below this (a power of two, less one), so that the verifier can
/// bound every pointer made from one.
pub const MAX_HEADERS: usize = 0xfff;

/// A frame from its Ethernet header on.
pub struct Frame {
    start: usize,
    end: usize,
    /// Bits that the verifier knows nothing of: see [`opaque::forget`].
    unknown: usize,
}

impl Frame {
    /// The frame between two addresses from the XDP context; `None` where it has no whole
    /// Ethernet header, which no driver delivers.
    #[inline(always)]
    pub fn new(start: usize, end: usize) -> Option<Self> {
        let frame = Self {
            start,
            end,
            unknown: 0,
        };
        // The last four bytes of the source address, which nothing here compares with anything.
        let [_, _, a, b, c, d] = *frame.header::<[u8; 6]>(offset_of!(EthHdr, src_addr))?;
        Some(Self {
            unknown: u32::from_ne_bytes([a, b, c, d]) as usize,
            ..frame
        })
    }

    /// Where the frame ends.
    #[inline(always)]
    pub fn end(&self) -> usize {
        self.end
    }

    /// Where the frame starts.
    #[inline(always)]
    pub fn start(&self) -> usize {
        self.start
    }

    /// Whether the frame has at least so many bytes.
    ///
    /// Asked this way round because the difference of two packet pointers is a number only for
    /// programs loaded with CAP_PERFMON.
    #[inline(always)]
    pub fn holds(&self, length: usize) -> bool {
        self.start + length <= self.end
    }

    /// A header at `offset`; `None` where the frame ends before it does.
    ///
    /// Headers are made of bytes alone, as those of `network_types` are: nothing else may
    /// stand at whatever address.
    #[inline(always)]
    pub fn header<T: Header>(&self, offset: usize) -> Option<&T> {
        let address = self.start + offset;
        if address + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: the bounds were checked, and a header has neither alignment nor invalid values.
        Some(unsafe { &*(address as *const T) })
    }

    /// The same offset, as one that the verifier takes for any up to [`MAX_HEADERS`].
    #[inline(always)]
    pub fn forget(&self, offset: usize) -> usize {
        opaque::forget(offset, self.unknown) & MAX_HEADERS
    }

    /// See [`opaque::forget`].
    #[inline(always)]
    pub fn unknown(&self) -> usize {
        self.unknown
    }
}

/// A header that can be read at any address.
///
/// # Safety
///
/// The type has an alignment of one and no invalid values.
pub unsafe trait Header {}

// SAFETY: made of byte arrays alone.
unsafe impl<const N: usize> Header for [u8; N] {}
// SAFETY: made of byte arrays alone.
unsafe impl Header for network_types::ip::Ipv4Hdr {}
// SAFETY: made of byte arrays alone.
unsafe impl Header for network_types::ip::Ipv6Hdr {}
// SAFETY: made of byte arrays alone.
unsafe impl Header for network_types::udp::UdpHdr {}
