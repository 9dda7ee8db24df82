//! Which headers are read, and which are not.

use crate::{
    ETHERNET, FROM_IPV4, FROM_IPV6, IPV4, IPV6, PORTS, UDP, ipv4, ipv6, program,
    rows::{Expected, Row, dropped_probe, hold, row},
};
use sip_filter::kernel::Hook;
use sip_filter_tests::{
    kernel::{Counted, PASS},
    messages,
    packet::{AUTHENTICATION, Extension, Frame},
};
use std::net::Ipv4Addr;

at_each_hook! {
    the_probe_is_found_behind_every_shape_of_headers
    a_readable_frame_that_is_cut_off_anywhere_passes_as_unreadable
    what_contradicts_itself_passes_as_unreadable
    what_is_no_udp_to_an_inspected_port_is_not_counted
}

/// The extension headers that are read, each in a length or two.
const EXTENSIONS: [(&str, Extension); 10] = [
    ("hop-by-hop options", Extension::HopByHop(8)),
    ("long hop-by-hop options", Extension::HopByHop(256)),
    ("a routing header", Extension::Routing(8)),
    ("a routing header of an address", Extension::Routing(24)),
    ("the longest routing header", Extension::Routing(2048)),
    ("destination options", Extension::Destination(16)),
    ("an authentication header", Extension::Authentication(24)),
    (
        "an authentication header of an odd number of words",
        Extension::Authentication(28),
    ),
    (
        "the shortest authentication header",
        Extension::Authentication(12),
    ),
    (
        "a fragment header of a datagram in one piece",
        Extension::Fragment {
            offset: 0,
            more: false,
        },
    ),
];

/// How many tags of a mix are read.
const TAGS: usize = 4;
/// How many extension headers of a chain are read.
const CHAIN: usize = 8;

/// Every mix of so many 802.1Q and 802.1ad tags.
fn tagged(frame: &Frame, tags: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
    (0..1_u16 << tags).map(move |mix| {
        let (mut what, mut frame) = (String::new(), frame.clone());
        for tag in 0..tags as u16 {
            if mix >> tag & 1 == 0 {
                what += " 802.1Q";
                frame = frame.vlan(100 + tag);
            } else {
                what += " 802.1ad";
                frame = frame.service_vlan(100 + tag);
            }
        }
        (what, frame.bytes())
    })
}

/// A chain of so many extension headers, of different kinds.
fn chained(frame: Frame, length: usize) -> Frame {
    (0..length).fold(frame, |frame, at| {
        frame.extension(EXTENSIONS[[0, 2, 5, 6, 9, 3, 7, 8][at % 8]].1)
    })
}

/// A frame with one byte replaced.
fn with(frame: &Frame, at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = frame.bytes();
    bytes[at] = byte;
    bytes
}

/// The probe behind every shape of headers that is read, up to the frame's very end.
pub fn readable() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |what: String, frame: Vec<u8>, source| {
        let expected = dropped_probe(source, frame.len());
        rows.push(row(what, frame, expected));
    };
    for tags in 0..=TAGS {
        for (what, frame) in tagged(&ipv4(), tags) {
            add(format!("IPv4 behind{what}"), frame, FROM_IPV4);
        }
        for (what, frame) in tagged(&ipv6(), tags) {
            add(format!("IPv6 behind{what}"), frame, FROM_IPV6);
        }
    }
    for words in 1..=10 {
        // No operation, as often as it fits (RFC 791 section 3.1).
        let frame = ipv4().ip_options(&vec![1; 4 * words]).bytes();
        add(format!("{words} words of IPv4 options"), frame, FROM_IPV4);
    }
    // Flags and offset stand behind the identification.
    let flags = ETHERNET + 6;
    add(
        "must not be fragmented".into(),
        with(&ipv4(), flags, 0x40),
        FROM_IPV4,
    );
    add(
        "the reserved flag".into(),
        with(&ipv4(), flags, 0x80),
        FROM_IPV4,
    );
    add(
        "a service class".into(),
        with(&ipv4(), ETHERNET + 1, 0xb8),
        FROM_IPV4,
    );
    add(
        "a flow label".into(),
        with(&ipv6(), ETHERNET + 3, 0x7f),
        FROM_IPV6,
    );
    add(
        "an IPv6 traffic class".into(),
        with(&ipv6(), ETHERNET, 0x6b),
        FROM_IPV6,
    );
    // Checksums are the receiver's business, and a NIC may have left them to be filled in.
    add(
        "a wrong IP checksum".into(),
        with(&ipv4(), ETHERNET + 10, 0),
        FROM_IPV4,
    );
    add(
        "a wrong UDP checksum".into(),
        with(&ipv4(), ETHERNET + IPV4 + 6, 0),
        FROM_IPV4,
    );
    for (what, extension) in EXTENSIONS {
        add(what.into(), ipv6().extension(extension).bytes(), FROM_IPV6);
    }
    for length in 2..=CHAIN {
        let frame = chained(ipv6(), length);
        add(
            format!("{length} extension headers"),
            frame.bytes(),
            FROM_IPV6,
        );
        add(
            format!("{length} extension headers behind two tags"),
            frame.service_vlan(7).vlan(8).bytes(),
            FROM_IPV6,
        );
    }
    add(
        "addresses with every bit set".into(),
        Frame::to("255.255.255.255")
            .from("255.255.255.255")
            .payload(messages::SVMAP)
            .bytes(),
        "255.255.255.255",
    );
    add(
        "an IPv6 source whose first and last bytes count".into(),
        ipv6().from("fd00::1").bytes(),
        "fd00::1",
    );
    rows
}

fn the_probe_is_found_behind_every_shape_of_headers(hook: Hook) {
    let program = program(hook, "scanners", PORTS);
    hold(&program, &readable());
}

fn a_readable_frame_that_is_cut_off_anywhere_passes_as_unreadable(hook: Hook) {
    let program = program(hook, "scanners,options,malformed", PORTS);
    for Row { what, frame, .. } in readable() {
        for length in (ETHERNET..frame.len()).filter(|length| program.takes(&frame[..*length])) {
            let before = program.totals();
            let action = program.run(&frame[..length]);
            let (counted, _) = Counted::between(&before, &program.totals());
            assert_eq!(counted, Counted::Unreadable, "{what}, cut to {length}");
            assert_eq!(action, PASS, "{what}, cut to {length}");
        }
    }
}

fn what_contradicts_itself_passes_as_unreadable(hook: Hook) {
    let mut rows = Vec::new();
    let mut add = |what: &str, frame: Vec<u8>| rows.push(row(what, frame, Expected::Unreadable));

    for (what, frame) in tagged(&ipv4(), TAGS + 1).chain(tagged(&ipv6(), TAGS + 1)) {
        add(&what, frame);
    }
    add("an EtherType and no more", ipv4().cut_to(ETHERNET).bytes());

    for words in 0..5 {
        add(
            "an IPv4 header of less than five words",
            ipv4().ip_header_words(words).bytes(),
        );
    }
    for version in (0..16).filter(|version| *version != 4) {
        add(
            "IPv4 of another version",
            ipv4().ip_version(version).bytes(),
        );
    }
    for version in (0..16).filter(|version| *version != 6) {
        add(
            "IPv6 of another version",
            ipv6().ip_version(version).bytes(),
        );
    }
    let packet = (IPV4 + UDP + messages::SVMAP.len()) as u16;
    for (what, length) in [
        ("an IPv4 packet of no bytes", 0),
        ("an IPv4 packet shorter than its header", IPV4 as u16 - 1),
        ("an IPv4 packet that is a header alone", IPV4 as u16),
        (
            "an IPv4 packet that ends in the UDP header",
            (IPV4 + UDP) as u16 - 1,
        ),
        ("an IPv4 packet that ends before its datagram", packet - 1),
        ("an IPv4 packet a byte longer than the frame", packet + 1),
        ("the longest IPv4 packet", u16::MAX),
    ] {
        add(what, ipv4().ip_length(length).bytes());
    }
    add(
        "an IPv4 packet that ends before its options do",
        ipv4().ip_options(&[1; 40]).ip_length(59).bytes(),
    );
    let packet = (UDP + messages::SVMAP_IPV6.len()) as u16;
    for (what, length) in [
        ("an IPv6 packet of no bytes", 0),
        ("an IPv6 packet that ends in the UDP header", UDP as u16 - 1),
        ("an IPv6 packet that ends before its datagram", packet - 1),
        ("an IPv6 packet a byte longer than the frame", packet + 1),
        ("the longest IPv6 packet", u16::MAX),
    ] {
        add(what, ipv6().ip_length(length).bytes());
    }
    // RFC 2675: its length is in an option, and 64 kilobytes are no frame.
    add(
        "a jumbogram",
        ipv6()
            .extension(Extension::HopByHop(8))
            .ip_length(0)
            .bytes(),
    );

    add("nine extension headers", chained(ipv6(), CHAIN + 1).bytes());
    for (what, extension) in EXTENSIONS {
        let frame = ipv6().extension(extension);
        let all_but = frame.overhead() - ETHERNET - IPV6 - UDP - 1;
        add(
            &format!("a packet that ends in {what}"),
            frame.clone().ip_length(all_but as u16).bytes(),
        );
    }
    for (what, at, extension) in [
        ("options", 1, Extension::HopByHop(8)),
        ("a routing header", 1, Extension::Routing(8)),
        ("an authentication header", 1, Extension::Authentication(12)),
    ] {
        add(
            &format!("{what} longer than the packet"),
            with(&ipv6().extension(extension), ETHERNET + IPV6 + at, 255),
        );
    }

    for length in 0..UDP as u16 {
        add(
            "UDP shorter than its header",
            ipv4().udp_length(length).bytes(),
        );
        add(
            "UDP over IPv6 shorter than its header",
            ipv6().udp_length(length).bytes(),
        );
    }
    let datagram = (UDP + messages::SVMAP.len()) as u16;
    add(
        "UDP longer than the packet",
        ipv4().udp_length(datagram + 1).bytes(),
    );
    add(
        "UDP longer than any packet",
        ipv4().udp_length(u16::MAX).bytes(),
    );
    add(
        "UDP longer than the packet, into the padding",
        Frame::to("192.0.2.10").udp_length(9).padded_to(60).bytes(),
    );
    add(
        "UDP longer than the packet in a datagram that is in one piece",
        ipv6()
            .extension(Extension::Fragment {
                offset: 0,
                more: false,
            })
            .udp_length(u16::MAX)
            .bytes(),
    );
    hold(&program(hook, "scanners,options,malformed", PORTS), &rows);
}

fn what_is_no_udp_to_an_inspected_port_is_not_counted(hook: Hook) {
    let mut rows = Vec::new();
    let mut add = |what: &str, frame: Vec<u8>| rows.push(row(what, frame, Expected::Nowhere));
    add("ARP", Frame::arp(Ipv4Addr::new(192, 0, 2, 10)));
    for (what, ether_type) in [
        ("an Ethernet frame with a length", 60),
        ("LLDP", 0x88cc),
        ("MPLS", 0x8847),
        ("a PPPoE session", 0x8864),
        ("a tag of 802.1ad's predecessor", 0x9100),
        ("an unknown EtherType", 0xffff),
    ] {
        add(what, ipv4().ether_type(ether_type).bytes());
        add(
            &format!("{what} in a VLAN"),
            ipv4().vlan(7).ether_type(ether_type).bytes(),
        );
    }
    for (what, protocol) in [
        ("ICMP", 1),
        ("IPv4 in IPv4", 4),
        ("TCP", 6),
        ("DCCP", 33),
        ("GRE", 47),
        ("ESP", 50),
        ("OSPF", 89),
        ("SCTP", 132),
        ("UDP-Lite", 136),
        ("hop-by-hop options, which IPv4 has none of", 0),
        ("an authentication header in IPv4", AUTHENTICATION),
    ] {
        add(what, ipv4().protocol(protocol).bytes());
    }
    for (what, protocol) in [
        ("TCP over IPv6", 6),
        ("ESP over IPv6", 50),
        ("ICMPv6", 58),
        ("no next header", 59),
        ("mobility", 135),
        ("an unassigned protocol", 253),
    ] {
        add(what, ipv6().protocol(protocol).bytes());
        add(
            &format!("{what} behind options"),
            ipv6()
                .extension(Extension::Destination(8))
                .protocol(protocol)
                .bytes(),
        );
    }
    add("a TCP segment with SIP in it", ipv4().tcp().bytes());
    add(
        "a TCP segment with SIP in it, over IPv6",
        ipv6().tcp().bytes(),
    );
    for port in [0, 1, 53, 5059, 5101, 6059, 6061, 15060, 65535] {
        add(&format!("SIP to port {port}"), ipv4().port(port).bytes());
        add(
            &format!("SIP over IPv6 to port {port}"),
            ipv6().port(port).bytes(),
        );
    }
    add(
        "an answer from port 5060",
        ipv4().from_port(5060).port(49152).bytes(),
    );
    hold(&program(hook, "scanners,options,malformed", PORTS), &rows);
}
