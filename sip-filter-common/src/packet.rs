//! From the Ethernet header to the UDP payload.
//!
//! Each step reads one header, checks it against the frame and against the length that the
//! header before it stated, and says where the next one begins. It is compiled twice, for the
//! kernel and for the host, and reads the same in both.

use core::mem::offset_of;

use network_types::{
    eth::EthHdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
};

use crate::{
    address::Address,
    frame::{Frame, MAX_HEADERS},
    payload::{MAX_OFFSET, Payload},
};

/// How many VLAN tags are read: 802.1Q and 802.1ad, in any order.
const MAX_VLAN_TAGS: usize = 4;
/// The length of a tag, in bytes (IEEE 802.1Q).
pub const VLAN_TAG: usize = 4;
/// How many IPv6 extension headers are read.
const MAX_EXTENSIONS: usize = 8;

// EtherTypes (IEEE 802), as they stand in the packet.
const ETHER_IPV4: u16 = 0x0800_u16.to_be();
const ETHER_IPV6: u16 = 0x86dd_u16.to_be();
const ETHER_8021Q: u16 = 0x8100_u16.to_be();
const ETHER_8021AD: u16 = 0x88a8_u16.to_be();

// Protocol numbers (IANA), of which IPv6's extension headers are some.
const HOP_BY_HOP: u8 = 0;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;

/// A UDP header, of which nothing but the port was looked at.
pub struct Udp {
    /// Who sent it.
    source: Address,
    /// To whom.
    destination: Address,
    /// The destination port, in host byte order.
    pub port: u16,
    /// What the length field says, in bytes with the header.
    stated: usize,
    /// Where the payload begins, an offset in the frame.
    start: usize,
    /// Where the network packet ends by its own length, an offset in the frame or beyond.
    end: usize,
    /// More of the datagram follows in other packets.
    is_fragment: bool,
}

/// A UDP datagram, or the first fragment of one, whose lengths agree.
pub struct Datagram<P> {
    /// Who sent it.
    pub source: Address,
    /// To whom.
    pub destination: Address,
    /// The destination port, in host byte order.
    pub port: u16,
    /// The length of the frame in bytes, as it was on the wire, up to the network packet's end:
    /// padding that Ethernet adds to short packets is not counted.
    pub length: usize,
    /// What the datagram carries.
    pub payload: P,
}

/// What a frame holds.
pub enum Packet {
    /// A UDP header, of a datagram or of the first fragment of one.
    Udp(Udp),
    /// A fragment of a UDP datagram that is not its first: it has no port.
    LaterFragment,
    /// Cut off, or with more headers than are read.
    Unreadable,
    /// Anything else than UDP.
    Other,
}

/// The destination port of the plainest of packets, in host byte order: UDP in a whole IPv4
/// packet without options in an untagged frame. `None` is no answer: [`parse`] reads any packet.
///
/// Most of what arrives at a telephone system is such a packet and speech, and leaves at once.
#[inline(always)]
pub fn plain_port(frame: &impl Frame) -> Option<u16> {
    const IPV4: usize = EthHdr::LEN;
    const UDP_HEADER: usize = IPV4 + Ipv4Hdr::LEN;
    // Four bytes from the EtherType on, and four from the fragment field on: what is compared of
    // them, and with what. Don't Fragment is the one bit of its field that a whole packet may
    // have; the type of service and the time to live may be any.
    const KIND: (u32, u32) = (
        u32::from_be_bytes([0x08, 0x00, 0x45, 0]).to_be(),
        0xffff_ff00_u32.to_be(),
    );
    const WHOLE: (u32, u32) = (
        u32::from_be_bytes([0, 0, 0, UDP]).to_be(),
        0xbfff_00ff_u32.to_be(),
    );
    let headers = frame.header::<[u8; UDP_HEADER + UdpHdr::LEN]>(0)?;
    let is = |at: usize, (value, mask): (u32, u32)| {
        // SAFETY: both places asked for lie four bytes and more before the end of the headers.
        let word = unsafe { headers.as_ptr().add(at).cast::<u32>().read_unaligned() };
        word & mask == value
    };
    let port = UDP_HEADER + offset_of!(UdpHdr, dst);
    (is(offset_of!(EthHdr, ether_type), KIND) && is(IPV4 + offset_of!(Ipv4Hdr, frags), WHOLE)).then(
        // SAFETY: the port is a part of the headers.
        || u16::from_be(unsafe { headers.as_ptr().add(port).cast::<u16>().read_unaligned() }),
    )
}

/// Reads a frame's headers.
///
/// The lengths that they state are not compared yet: a packet to a port that is not inspected
/// is nobody's business here, whatever its lengths.
#[inline(always)]
pub fn parse(frame: &impl Frame) -> Packet {
    match parse_headers(frame) {
        Ok(udp) => Packet::Udp(udp),
        Err(packet) => packet,
    }
}

#[inline(always)]
fn parse_headers(frame: &impl Frame) -> Result<Udp, Packet> {
    let network = ethernet(frame)?;
    let transport = match network.ether_type {
        ETHER_IPV4 => ipv4(frame, network.offset)?,
        ETHER_IPV6 => ipv6(frame, network.offset)?,
        _ => return Err(Packet::Other),
    };
    udp(frame, transport)
}

impl Udp {
    /// Whether the frame holds the packet to its end, as far as it can be read.
    #[inline(always)]
    pub fn is_whole(&self, frame: &impl Frame) -> bool {
        frame.holds(self.end)
    }

    /// The datagram, if its lengths and the packet's agree with each other and with the frame's.
    #[inline(always)]
    pub fn datagram<F: Frame>(self, frame: &F) -> Option<Datagram<F::Payload>> {
        let Self {
            source,
            destination,
            port,
            stated,
            start,
            end,
            is_fragment,
        } = self;
        if !frame.holds(end) || start > end || stated < UdpHdr::LEN {
            return None;
        }
        // A first fragment states the length of the whole datagram, of which it holds a part.
        if !is_fragment && start + stated > end + UdpHdr::LEN {
            return None;
        }
        // What is readable: as much as was stated, as is there, and as offsets may reach, which is
        // more than any frame holds and tells the verifier that no offset leaves a packet's reach.
        let readable = (stated - UdpHdr::LEN).min(end - start).min(MAX_OFFSET);
        let payload = frame.payload(start, readable);
        // The last eight bytes of a mapped address begin with four known ones, and what is addressed
        // by them later would keep the verifier's walk of IPv4 apart from that of IPv6.
        let [high, low] = source.words;
        let source = Address {
            words: [high, payload.forget(low as usize) as u64],
        };
        Some(Datagram {
            source,
            destination,
            port,
            length: end + frame.taken_out(),
            payload,
        })
    }
}

/// Where the network header begins and what it is.
struct Network {
    offset: usize,
    /// As it stands in the packet.
    ether_type: u16,
}

/// Where the transport header begins, and what the network header said of it.
struct Transport {
    offset: usize,
    /// Where the network packet ends by its own length, an offset in the frame or beyond.
    end: usize,
    source: Address,
    destination: Address,
    /// More of the datagram follows in other packets.
    is_fragment: bool,
}

#[inline(always)]
fn ethernet(frame: &impl Frame) -> Result<Network, Packet> {
    let read = |offset| match frame.header::<[u8; 2]>(offset) {
        Some(bytes) => Ok(u16::from_ne_bytes(*bytes)),
        None => Err(Packet::Unreadable),
    };
    let mut ether_type = read(offset_of!(EthHdr, ether_type))?;
    let mut offset = EthHdr::LEN;
    for _ in 0..MAX_VLAN_TAGS {
        if !is_vlan(ether_type) {
            break;
        }
        // A tag is its control information, then the EtherType of what follows.
        // From an offset that the verifier does not know, so that it learns the same of the
        // frame's start however many tags there are.
        ether_type = read(frame.forget(offset + 2))?;
        offset += VLAN_TAG;
    }
    const MOST: usize = EthHdr::LEN + MAX_VLAN_TAGS * VLAN_TAG;
    if is_vlan(ether_type) || offset + frame.taken_out() > MOST {
        return Err(Packet::Unreadable);
    }
    // Five places where the network header may begin would be five walks of the verifier
    // through all that follows.
    Ok(Network {
        offset: frame.forget(offset),
        ether_type,
    })
}

#[inline(always)]
fn is_vlan(ether_type: u16) -> bool {
    ether_type == ETHER_8021Q || ether_type == ETHER_8021AD
}

#[inline(always)]
fn ipv4(frame: &impl Frame, offset: usize) -> Result<Transport, Packet> {
    let header = frame.header::<Ipv4Hdr>(offset).ok_or(Packet::Unreadable)?;
    let header_length = header.ihl() as usize;
    let total_length = frame.length(header.tot_len);
    if header.version() != 4 || header_length < Ipv4Hdr::LEN {
        return Err(Packet::Unreadable);
    }
    if header.proto != UDP {
        return Err(Packet::Other);
    }
    if header.frag_offset() != 0 {
        return Err(Packet::LaterFragment);
    }
    const MORE_FRAGMENTS: u8 = 1;
    Ok(Transport {
        offset: offset + header_length,
        end: offset + total_length,
        source: Address::from_ipv4(u32::from_ne_bytes(header.src_addr)),
        destination: Address::from_ipv4(u32::from_ne_bytes(header.dst_addr)),
        is_fragment: header.frag_flags() & MORE_FRAGMENTS != 0,
    })
}

#[inline(always)]
fn ipv6(frame: &impl Frame, start: usize) -> Result<Transport, Packet> {
    let header = frame.header::<Ipv6Hdr>(start).ok_or(Packet::Unreadable)?;
    let end = start + Ipv6Hdr::LEN + frame.length(header.payload_len);
    if header.vcf[0] >> 4 != 6 {
        return Err(Packet::Unreadable);
    }
    let mut next = header.next_hdr;
    let mut offset = start + Ipv6Hdr::LEN;
    let mut is_fragment = false;
    for _ in 0..MAX_EXTENSIONS {
        let length = match next {
            HOP_BY_HOP | ROUTING | DESTINATION | AUTHENTICATION | FRAGMENT => {
                let [following, length] =
                    *frame.header::<[u8; 2]>(offset).ok_or(Packet::Unreadable)?;
                let this = next;
                next = following;
                match this {
                    FRAGMENT => {
                        let [_, _, high, low] =
                            *frame.header::<[u8; 4]>(offset).ok_or(Packet::Unreadable)?;
                        let field = u16::from_be_bytes([high, low]);
                        // RFC 8200 section 4.5: 13 bits of offset, two reserved, the M flag.
                        if field >> 3 != 0 {
                            return Err(if next == UDP {
                                Packet::LaterFragment
                            } else {
                                Packet::Other
                            });
                        }
                        is_fragment |= field & 1 != 0;
                        8
                    }
                    // RFC 4302 section 2.2: in words of four bytes, less two.
                    AUTHENTICATION => (length as usize + 2) * 4,
                    // RFC 8200 section 4.3: in words of eight bytes, less one.
                    _ => (length as usize + 1) * 8,
                }
            }
            _ => break,
        };
        offset += length;
        if offset > MAX_HEADERS {
            return Err(Packet::Unreadable);
        }
        offset = frame.forget(offset);
    }
    match next {
        UDP => Ok(Transport {
            offset,
            end,
            source: Address {
                words: words(&header.src_addr),
            },
            destination: Address {
                words: words(&header.dst_addr),
            },
            is_fragment,
        }),
        HOP_BY_HOP | ROUTING | DESTINATION | AUTHENTICATION | FRAGMENT => Err(Packet::Unreadable),
        _ => Err(Packet::Other),
    }
}

/// An IPv6 address in words, loaded as such: byte by byte it would pass through the stack, where
/// the verifier wants every access aligned.
#[inline(always)]
fn words(address: &[u8; 16]) -> [u64; 2] {
    // SAFETY: the same size, without invalid values.
    unsafe {
        core::ptr::from_ref(address)
            .cast::<[u64; 2]>()
            .read_unaligned()
    }
}

#[inline(always)]
fn udp(frame: &impl Frame, transport: Transport) -> Result<Udp, Packet> {
    let Transport {
        offset,
        end,
        source,
        destination,
        is_fragment,
    } = transport;
    // IPv4 and IPv6, with and without options, become one walk of the verifier here.
    let offset = frame.forget(offset);
    let header = frame.header::<UdpHdr>(offset).ok_or(Packet::Unreadable)?;
    Ok(Udp {
        source,
        destination,
        port: u16::from_be_bytes(header.dst),
        stated: frame.length(header.len),
        start: offset + UdpHdr::LEN,
        end,
        is_fragment,
    })
}
