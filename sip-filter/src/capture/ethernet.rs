//! Packets as Ethernet frames, which is what the program reads: those captured with another
//! header get one of Ethernet, without addresses, in its place.

use super::{LinkType, Packet};

// tcpdump.org/linktypes.html
/// A loopback interface of a BSD, and of OpenBSD: an address family of 4 bytes, then IP.
const NULL: LinkType = LinkType(0);
const LOOP: LinkType = LinkType(108);
const ETHERNET: LinkType = LinkType(1);
/// What BSDs call DLT_RAW, which some programs write to files.
const RAW_BSD: LinkType = LinkType(12);
const RAW: LinkType = LinkType(101);
const LINUX_SLL: LinkType = LinkType(113);
const IPV4: LinkType = LinkType(228);
const IPV6: LinkType = LinkType(229);
const LINUX_SLL2: LinkType = LinkType(276);

// EtherTypes (IEEE 802).
const ETHER_IPV4: [u8; 2] = [0x08, 0x00];
const ETHER_IPV6: [u8; 2] = [0x86, 0xdd];

/// The destination and the source address.
const ADDRESSES: [u8; 12] = [0; 12];

/// Makes Ethernet frames, one at a time.
#[derive(Debug, Default)]
pub struct Ethernet {
    frame: Vec<u8>,
}

impl Ethernet {
    /// The packet as a frame; `None` for a link type that is not read.
    ///
    /// A packet that ends before its own header does becomes a frame that cannot be read.
    pub fn frame<'a>(&'a mut self, packet: &Packet<'a>) -> Option<&'a [u8]> {
        let bytes = packet.bytes;
        Some(match packet.link {
            ETHERNET => bytes,
            RAW | RAW_BSD => self.around_ip(bytes),
            // The family's number differs between systems; IP itself says which it is.
            NULL | LOOP => self.around_ip(bytes.get(4..).unwrap_or_default()),
            IPV4 => self.around(ETHER_IPV4, bytes),
            IPV6 => self.around(ETHER_IPV6, bytes),
            LINUX_SLL => self.in_place_of::<16>(14, bytes),
            LINUX_SLL2 => self.in_place_of::<20>(0, bytes),
            _ => return None,
        })
    }

    fn around_ip(&mut self, bytes: &[u8]) -> &[u8] {
        match bytes.first() {
            Some(first) if first >> 4 == 6 => self.around(ETHER_IPV6, bytes),
            _ => self.around(ETHER_IPV4, bytes),
        }
    }

    /// A frame in place of a header of `LENGTH` bytes that has an EtherType at `at`.
    fn in_place_of<const LENGTH: usize>(&mut self, at: usize, bytes: &[u8]) -> &[u8] {
        match bytes.split_first_chunk::<LENGTH>() {
            Some((header, rest)) => self.around([header[at], header[at + 1]], rest),
            None => &ADDRESSES,
        }
    }

    fn around(&mut self, ether_type: [u8; 2], bytes: &[u8]) -> &[u8] {
        self.frame.clear();
        self.frame.extend_from_slice(&ADDRESSES);
        self.frame.extend_from_slice(&ether_type);
        self.frame.extend_from_slice(bytes);
        &self.frame
    }
}
