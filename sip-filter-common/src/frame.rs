//! Bounds-checked reads of a frame's headers, wherever its bytes are.
//!
//! [`packet`](crate::packet) sees a frame through [`Frame`] alone. The program in the kernel implements
//! it over packet memory, with the checks that the verifier asks for; [`SliceFrame`] is the host's.

use crate::payload::{Payload, SlicePayload};

/// Offsets of headers stay below this (a power of two, less one), so that the verifier can
/// bound every pointer made from one.
pub const MAX_HEADERS: usize = 0xfff;

/// A frame from its Ethernet header on. Offsets are in bytes from there.
pub trait Frame {
    /// What a datagram in such a frame carries.
    type Payload: Payload;

    /// A header at `offset`; `None` where the frame ends before it does.
    fn header<T: Header>(&self, offset: usize) -> Option<&T>;

    /// Whether the frame has at least so many bytes.
    ///
    /// Asked this way round because the difference of two packet pointers is a number only for
    /// programs loaded with CAP_PERFMON.
    fn holds(&self, length: usize) -> bool;

    /// How many bytes of VLAN tags were taken out of the frame on its way here: the network stack
    /// keeps the outermost tag beside it.
    fn taken_out(&self) -> usize {
        0
    }

    /// The same offset, as one that the verifier takes for any up to [`MAX_HEADERS`].
    fn forget(&self, offset: usize) -> usize;

    /// A length from a header: as it stands there, in network order.
    ///
    /// The verifiers of Linux 6.12 and before do not see that swapping the bytes of 16 bits leaves
    /// 16 bits.
    fn length(&self, field: [u8; 2]) -> usize {
        u16::from_be_bytes(field) as usize
    }

    /// `length` bytes from `offset`, which the frame was found to hold.
    fn payload(&self, offset: usize, length: usize) -> Self::Payload;
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

/// A frame in a byte slice.
#[derive(Clone, Copy, Debug)]
pub struct SliceFrame<'a>(pub &'a [u8]);

impl<'a> Frame for SliceFrame<'a> {
    type Payload = SlicePayload<'a>;

    fn header<T: Header>(&self, offset: usize) -> Option<&T> {
        let bytes = self.0.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: as many bytes as a `T` has, which has neither alignment nor invalid values.
        Some(unsafe { &*bytes.as_ptr().cast() })
    }

    fn holds(&self, length: usize) -> bool {
        length <= self.0.len()
    }

    fn forget(&self, offset: usize) -> usize {
        offset & MAX_HEADERS
    }

    fn payload(&self, offset: usize, length: usize) -> SlicePayload<'a> {
        let bytes = self.0.get(offset..).unwrap_or_default();
        SlicePayload(bytes.get(..length).unwrap_or(bytes))
    }
}
