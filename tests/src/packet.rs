//! Frames in words: what a test sends, from the Ethernet header to the payload.
//!
//! A [`Frame`] takes what the test cares about and fills in the rest with documentation
//! addresses, right lengths and right checksums. Whatever the wire can hold can be said,
//! lengths that contradict each other included; nothing is checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// EtherType of IPv4 (IEEE 802).
pub const ETHER_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETHER_ARP: u16 = 0x0806;
/// EtherType of an 802.1Q tag.
pub const ETHER_VLAN: u16 = 0x8100;
/// EtherType of IPv6.
pub const ETHER_IPV6: u16 = 0x86dd;
/// EtherType of an 802.1ad service tag.
pub const ETHER_SERVICE_VLAN: u16 = 0x88a8;

/// Protocol number of IPv6's hop-by-hop options (IANA).
pub const HOP_BY_HOP: u8 = 0;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of IPv6's routing header.
pub const ROUTING: u8 = 43;
/// Protocol number of IPv6's fragment header.
pub const FRAGMENT: u8 = 44;
/// Protocol number of the authentication header.
pub const AUTHENTICATION: u8 = 51;
/// Protocol number of IPv6's destination options.
pub const DESTINATION: u8 = 60;

/// The Ethernet address that frames are to.
pub const RECEIVER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
/// The Ethernet address that frames are from.
pub const SENDER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
const UDP_HEADER: usize = 8;

/// An IPv6 extension header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Hop-by-hop options of so many bytes, a multiple of 8 (RFC 8200 section 4.3).
    HopByHop(usize),
    /// A routing header of so many bytes, a multiple of 8, with no segments left.
    Routing(usize),
    /// Destination options of so many bytes, a multiple of 8.
    Destination(usize),
    /// An authentication header of so many bytes, a multiple of 4 (RFC 4302).
    Authentication(usize),
    /// A fragment header (RFC 8200 section 4.5).
    Fragment {
        /// Where the fragment stands in the datagram, in bytes, a multiple of 8.
        offset: usize,
        /// Whether other fragments follow it.
        more: bool,
    },
}

impl Extension {
    fn number(self) -> u8 {
        match self {
            Self::HopByHop(_) => HOP_BY_HOP,
            Self::Routing(_) => ROUTING,
            Self::Destination(_) => DESTINATION,
            Self::Authentication(_) => AUTHENTICATION,
            Self::Fragment { .. } => FRAGMENT,
        }
    }

    fn bytes(self, next: u8) -> Vec<u8> {
        let padded_options = |length: usize| {
            let mut header = vec![next, (length / 8 - 1) as u8];
            // One PadN option over the whole of the rest (RFC 8200 section 4.2).
            header.extend([1, (length - 4) as u8]);
            header.resize(length, 0);
            header
        };
        match self {
            Self::HopByHop(length) | Self::Destination(length) => padded_options(length),
            Self::Routing(length) => {
                let mut header = vec![next, (length / 8 - 1) as u8];
                header.resize(length, 0);
                header
            }
            Self::Authentication(length) => {
                let mut header = vec![next, (length / 4 - 2) as u8];
                header.resize(length, 0);
                header
            }
            Self::Fragment { offset, more } => {
                let [high, low] = (offset as u16 | u16::from(more)).to_be_bytes();
                vec![next, 0, high, low, 0, 0, 0, 1]
            }
        }
    }
}

/// What stands between the IP header and the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
    /// Nothing: the payload follows the IP header at once.
    None,
}

/// A frame to be built.
#[derive(Clone, Debug)]
pub struct Frame {
    destination: IpAddr,
    source: IpAddr,
    destination_port: u16,
    source_port: u16,
    payload: Vec<u8>,
    transport: Transport,
    tags: Vec<(u16, u16)>,
    ether_type: Option<u16>,
    ip_version: Option<u8>,
    ip_header_words: Option<u8>,
    ip_length: Option<u16>,
    ip_options: Vec<u8>,
    ip_fragment: (usize, bool),
    extensions: Vec<Extension>,
    protocol: Option<u8>,
    udp_length: Option<u16>,
    padded_to: usize,
    cut_to: usize,
}

impl Frame {
    /// A UDP datagram without payload from a documentation address of the same family, from
    /// port 5060 to port 5060.
    pub fn to(destination: &str) -> Self {
        let destination = address(destination);
        let source = match destination {
            IpAddr::V4(_) => Ipv4Addr::new(198, 51, 100, 7).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7).into(),
        };
        Self {
            destination,
            source,
            destination_port: 5060,
            source_port: 5060,
            payload: Vec::new(),
            transport: Transport::Udp,
            tags: Vec::new(),
            ether_type: None,
            ip_version: None,
            ip_header_words: None,
            ip_length: None,
            ip_options: Vec::new(),
            ip_fragment: (0, false),
            extensions: Vec::new(),
            protocol: None,
            udp_length: None,
            padded_to: 0,
            cut_to: usize::MAX,
        }
    }

    /// An ARP request for the address, padded as Ethernet asks for.
    pub fn arp(wanted: Ipv4Addr) -> Vec<u8> {
        let mut frame = [[0xff; 6], SENDER_MAC].concat();
        frame.extend(ETHER_ARP.to_be_bytes());
        // Ethernet, IPv4, their address lengths, request (RFC 826).
        frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend(SENDER_MAC);
        frame.extend([198, 51, 100, 7]);
        frame.extend([0; 6]);
        frame.extend(wanted.octets());
        frame.resize(60, 0);
        frame
    }

    /// The source address; of the same family as the destination.
    pub fn from(mut self, source: &str) -> Self {
        self.source = address(source);
        self
    }

    /// The destination port.
    pub fn port(mut self, port: u16) -> Self {
        self.destination_port = port;
        self
    }

    /// The source port.
    pub fn from_port(mut self, port: u16) -> Self {
        self.source_port = port;
        self
    }

    /// What the datagram carries.
    pub fn payload(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = payload.as_ref().to_vec();
        self
    }

    /// One more 802.1Q tag, inside those already there.
    pub fn vlan(mut self, id: u16) -> Self {
        self.tags.push((ETHER_VLAN, id));
        self
    }

    /// One more 802.1ad service tag, inside those already there.
    pub fn service_vlan(mut self, id: u16) -> Self {
        self.tags.push((ETHER_SERVICE_VLAN, id));
        self
    }

    /// The EtherType, whatever follows it.
    pub fn ether_type(mut self, ether_type: u16) -> Self {
        self.ether_type = Some(ether_type);
        self
    }

    /// The IP version that the header names, whatever the addresses are.
    pub fn ip_version(mut self, version: u8) -> Self {
        self.ip_version = Some(version);
        self
    }

    /// IPv4's header length field, in words of four bytes, whatever the header's length is.
    pub fn ip_header_words(mut self, words: u8) -> Self {
        self.ip_header_words = Some(words);
        self
    }

    /// IPv4's total length or IPv6's payload length field, whatever the packet's length is.
    pub fn ip_length(mut self, length: u16) -> Self {
        self.ip_length = Some(length);
        self
    }

    /// IPv4 options, filled up with zero bytes to a multiple of 4; at most 40 bytes.
    pub fn ip_options(mut self, options: &[u8]) -> Self {
        self.ip_options = options.to_vec();
        self.ip_options.resize(options.len().next_multiple_of(4), 0);
        self
    }

    /// IPv4's fragment offset, in bytes and a multiple of 8, and its flag for more fragments.
    /// What the packet holds stays as it is: see [`Frame::fragments`] for real ones.
    pub fn ip_fragment(mut self, offset: usize, more: bool) -> Self {
        self.ip_fragment = (offset, more);
        self
    }

    /// One more IPv6 extension header, after those already there.
    pub fn extension(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// A TCP segment instead of a UDP datagram.
    pub fn tcp(mut self) -> Self {
        self.transport = Transport::Tcp;
        self
    }

    /// The protocol number that the IP header, or the last extension header, names, whatever
    /// follows it.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// The payload right behind the IP header.
    pub fn without_transport_header(mut self) -> Self {
        self.transport = Transport::None;
        self
    }

    /// UDP's length field, whatever the datagram's length is.
    pub fn udp_length(mut self, length: u16) -> Self {
        self.udp_length = Some(length);
        self
    }

    /// Zero bytes behind the IP packet, up to a frame of so many bytes: 60 is what Ethernet
    /// asks for.
    pub fn padded_to(mut self, length: usize) -> Self {
        self.padded_to = length;
        self
    }

    /// The frame's first bytes alone, at most so many.
    pub fn cut_to(mut self, length: usize) -> Self {
        self.cut_to = length;
        self
    }

    /// The frame's bytes, without the frame check sequence.
    pub fn bytes(&self) -> Vec<u8> {
        self.around(&self.transport_bytes())
    }

    /// The datagram in two frames: the first holds `at` bytes of the UDP header and payload,
    /// a multiple of 8, the second one the rest.
    pub fn fragments(&self, at: usize) -> [Vec<u8>; 2] {
        let transport = self.transport_bytes();
        let (first, rest) = transport.split_at(at);
        let part = |offset, more, held: &[u8]| {
            let frame = self.clone();
            match self.destination {
                IpAddr::V4(_) => frame.ip_fragment(offset, more),
                IpAddr::V6(_) => frame.extension(Extension::Fragment { offset, more }),
            }
            .around(held)
        };
        [part(0, true, first), part(at, false, rest)]
    }

    /// The frame's length without its payload, in bytes.
    pub fn overhead(&self) -> usize {
        self.clone().payload([]).bytes().len()
    }

    fn around(&self, transport: &[u8]) -> Vec<u8> {
        let mut frame = [RECEIVER_MAC, SENDER_MAC].concat();
        for (kind, id) in &self.tags {
            frame.extend(kind.to_be_bytes());
            frame.extend(id.to_be_bytes());
        }
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend(self.ether_type.unwrap_or(ETHER_IPV4).to_be_bytes());
                frame.extend(self.ipv4_header(source, destination, transport.len()));
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                frame.extend(self.ether_type.unwrap_or(ETHER_IPV6).to_be_bytes());
                frame.extend(self.ipv6_headers(source, destination, transport.len()));
            }
            (source, destination) => {
                panic!("no frame goes from {source} to {destination}: they differ in family")
            }
        }
        frame.extend(transport);
        if frame.len() < self.padded_to {
            frame.resize(self.padded_to, 0);
        }
        frame.truncate(self.cut_to);
        frame
    }

    fn protocol_number(&self) -> u8 {
        self.protocol.unwrap_or(match self.transport {
            Transport::Udp | Transport::None => UDP,
            Transport::Tcp => TCP,
        })
    }

    fn ipv4_header(&self, source: Ipv4Addr, destination: Ipv4Addr, held: usize) -> Vec<u8> {
        let length = 20 + self.ip_options.len();
        let words = self.ip_header_words.unwrap_or((length / 4) as u8);
        let (offset, more) = self.ip_fragment;
        let mut header = vec![self.ip_version.unwrap_or(4) << 4 | words & 0xf, 0];
        header.extend(
            self.ip_length
                .unwrap_or((length + held) as u16)
                .to_be_bytes(),
        );
        // The identification, then the flags and the offset in units of eight bytes.
        header.extend([0x12, 0x34]);
        header.extend((u16::from(more) << 13 | (offset / 8) as u16).to_be_bytes());
        header.extend([64, self.protocol_number(), 0, 0]);
        header.extend(source.octets());
        header.extend(destination.octets());
        header.extend(&self.ip_options);
        let checksum = checksum(&[&header]);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    fn ipv6_headers(&self, source: Ipv6Addr, destination: Ipv6Addr, held: usize) -> Vec<u8> {
        let mut extensions = Vec::new();
        let mut next = self.protocol_number();
        for extension in self.extensions.iter().rev() {
            extensions.splice(0..0, extension.bytes(next));
            next = extension.number();
        }
        let length = self.ip_length.unwrap_or((extensions.len() + held) as u16);
        let mut headers = vec![self.ip_version.unwrap_or(6) << 4, 0, 0, 0];
        headers.extend(length.to_be_bytes());
        headers.extend([next, 64]);
        headers.extend(source.octets());
        headers.extend(destination.octets());
        headers.extend(extensions);
        headers
    }

    fn transport_bytes(&self) -> Vec<u8> {
        let [source, destination] = [self.source_port, self.destination_port].map(u16::to_be_bytes);
        let mut bytes = [source, destination].concat();
        let checksum_at = match self.transport {
            Transport::Udp => {
                let length = (UDP_HEADER + self.payload.len()) as u16;
                bytes.extend(self.udp_length.unwrap_or(length).to_be_bytes());
                bytes.extend([0, 0]);
                6
            }
            Transport::Tcp => {
                // Sequence 1, acknowledges 1, five words, PSH and ACK, a window.
                bytes.extend([0, 0, 0, 1, 0, 0, 0, 1, 5 << 4, 0x18, 0x20, 0, 0, 0, 0, 0]);
                16
            }
            Transport::None => return self.payload.clone(),
        };
        bytes.extend(&self.payload);
        let checksum = match checksum(&[&self.pseudo_header(bytes.len()), &bytes]) {
            // Zero would say that there is none (RFC 768).
            0 => 0xffff,
            other => other,
        };
        bytes[checksum_at..checksum_at + 2].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    fn pseudo_header(&self, length: usize) -> Vec<u8> {
        let mut header = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                [source.octets(), destination.octets()].concat()
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                [source.octets(), destination.octets()].concat()
            }
            _ => Vec::new(),
        };
        header.extend((length as u32).to_be_bytes());
        header.extend([0, 0, 0, self.protocol_number()]);
        header
    }
}

fn address(text: &str) -> IpAddr {
    text.parse()
        .unwrap_or_else(|_| panic!("'{text}' is no IP address"))
}

/// The checksum of RFC 1071 over the parts, of which only the last may have an odd length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !sum as u16
}

#[cfg(test)]
mod tests {
    use etherparse::{
        EtherType, IpNumber, NetSlice, SlicedPacket, TransportSlice, UdpHeader, VlanSlice,
    };

    use super::*;

    fn sliced(frame: &[u8]) -> SlicedPacket<'_> {
        SlicedPacket::from_ethernet(frame)
            .unwrap_or_else(|error| panic!("unreadable: {error}\n{frame:02x?}"))
    }

    /// Every kind of frame reads back as the datagram that it was built from.
    #[test]
    fn a_frame_reads_back_as_what_it_was_built_from() {
        let ipv4 = Frame::to("192.0.2.10")
            .from("198.51.100.9")
            .port(5061)
            .payload(b"odd");
        let ipv6 = Frame::to("2001:db8::10")
            .from("2001:db8::9")
            .port(5061)
            .payload(b"odd");
        let cases = [
            ("IPv4", ipv4.clone()),
            (
                "IPv4 with options",
                ipv4.clone().ip_options(&[7, 7, 4, 0, 0, 0, 0]),
            ),
            ("IPv4 padded", ipv4.clone().padded_to(60)),
            ("IPv4 in a VLAN", ipv4.clone().vlan(7)),
            ("IPv4 in two VLANs", ipv4.service_vlan(100).vlan(7)),
            ("IPv6", ipv6.clone()),
            (
                "IPv6 with hop-by-hop options",
                ipv6.clone().extension(Extension::HopByHop(8)),
            ),
            (
                "IPv6 with a routing header",
                ipv6.clone().extension(Extension::Routing(24)),
            ),
            (
                "IPv6 with three extensions",
                ipv6.clone()
                    .extension(Extension::HopByHop(16))
                    .extension(Extension::Destination(8))
                    .extension(Extension::Authentication(24)),
            ),
        ];
        for (what, frame) in cases {
            let bytes = frame.bytes();
            let packet = sliced(&bytes);
            let Some(TransportSlice::Udp(udp)) = &packet.transport else {
                panic!("{what}: no UDP in {packet:?}")
            };
            assert_eq!(udp.source_port(), 5060, "{what}");
            assert_eq!(udp.destination_port(), 5061, "{what}");
            assert_eq!(udp.payload(), b"odd", "{what}");
            let header = UdpHeader {
                checksum: 0,
                ..udp.to_header()
            };
            let expected = match &packet.net {
                Some(NetSlice::Ipv4(ip)) => {
                    let ip = ip.header().to_header();
                    assert_eq!(ip.header_checksum, ip.calc_header_checksum(), "{what}");
                    header.calc_checksum_ipv4(&ip, b"odd")
                }
                Some(NetSlice::Ipv6(ip)) => {
                    header.calc_checksum_ipv6(&ip.header().to_header(), b"odd")
                }
                other => panic!("{what}: {other:?} is no IP packet"),
            };
            assert_eq!(Ok(udp.checksum()), expected, "{what}");
        }
    }

    #[test]
    fn tags_stand_in_the_order_in_which_they_were_added() {
        let frame = Frame::to("192.0.2.10").service_vlan(100).vlan(7).bytes();
        let packet = sliced(&frame);
        let Some(VlanSlice::DoubleVlan(tags)) = packet.vlan() else {
            panic!("no two tags in {packet:?}")
        };
        assert_eq!(tags.outer.vlan_identifier().value(), 100);
        assert_eq!(tags.inner.vlan_identifier().value(), 7);
        let five = (1..=5).fold(Frame::to("192.0.2.10"), Frame::vlan);
        assert_eq!(five.overhead(), Frame::to("192.0.2.10").overhead() + 5 * 4);
    }

    #[test]
    fn fragments_hold_the_datagram_between_them() {
        for to in ["192.0.2.10", "2001:db8::10"] {
            let frame = Frame::to(to).payload([b'x'; 100]);
            let whole = frame.bytes();
            let [first, second] = frame.fragments(24);
            let headers = whole.len() - UDP_HEADER - 100;
            let fragment_header = if to.contains(':') { 8 } else { 0 };
            let held = |fragment: &[u8]| fragment[headers + fragment_header..].to_vec();
            assert_eq!(
                [held(&first), held(&second)].concat(),
                whole[headers..],
                "{to}"
            );
            for (fragment, first) in [(&first, true), (&second, false)] {
                let packet = sliced(fragment);
                assert!(packet.is_ip_payload_fragmented(), "{to}");
                let Some(payload) = packet.ip_payload() else {
                    panic!("{to}: {packet:?}")
                };
                assert_eq!(payload.ip_number, IpNumber::UDP, "{to}");
                assert_eq!(payload.payload.len(), if first { 24 } else { 84 }, "{to}");
            }
        }
    }

    #[test]
    fn lengths_may_contradict_each_other() {
        let frame = Frame::to("192.0.2.10").payload([0; 4]);
        let [length, stated, cut] = [
            frame.clone().ip_length(9).bytes(),
            frame.clone().udp_length(7).bytes(),
            frame.cut_to(33).bytes(),
        ];
        assert_eq!(length[16..18], [0, 9]);
        assert_eq!(stated[38..40], [0, 7]);
        assert_eq!(cut.len(), 33);
    }

    #[test]
    fn tcp_and_arp_are_what_they_say() {
        let tcp = Frame::to("192.0.2.10").tcp().payload(b"OPTIONS").bytes();
        let packet = sliced(&tcp);
        let Some(TransportSlice::Tcp(segment)) = &packet.transport else {
            panic!("no TCP in {packet:?}")
        };
        assert_eq!(segment.payload(), b"OPTIONS");
        let arp = Frame::arp(Ipv4Addr::new(192, 0, 2, 10));
        let Some(NetSlice::Arp(request)) = sliced(&arp).net else {
            panic!("no ARP in {arp:?}")
        };
        assert_eq!(request.proto_addr_type(), EtherType::IPV4);
        assert_eq!(request.target_protocol_addr(), [192, 0, 2, 10]);
    }
}
