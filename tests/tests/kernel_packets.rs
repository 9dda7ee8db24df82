//! Single frames handed to the program in the kernel (BPF_PROG_TEST_RUN, which needs root):
//! what becomes of each, and that it is counted once and in the right place.
//!
//! Tables of frames say what the program reads and what it does not; the classifier itself has
//! its tables in `sip-filter-common`, and here both are asked about the same payloads.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

use sip_filter::{
    config::signatures::Signatures,
    kernel::Hook,
    replay::{Engine, Host, Kernel},
    stats::{Clock, Snapshot, WallTime},
};
use sip_filter_common::{
    abi::{PortCount, SourceCount, ToolCount},
    field::Field,
    rules::Rules,
    sip::MessageClass,
    verdict::Outcome,
};
use sip_filter_tests::{
    kernel::{Counted, Counts, DROP, LONGEST_FRAME, PASS, Policy, Program, tool_between},
    messages,
    mutation::{Random, change},
    packet::{AUTHENTICATION, Extension, Frame},
};

/// The default of `--ports`.
const PORTS: &str = "5060-5100,6060";
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: usize = 8;

/// Where [`ipv4`] comes from.
const FROM_IPV4: &str = "198.51.100.7";
/// Where [`ipv6`] comes from.
const FROM_IPV6: &str = "2001:db8::7";

/// svmap's probe, which `--drop scanners` drops.
fn ipv4() -> Frame {
    Frame::to("192.0.2.10")
        .from(FROM_IPV4)
        .payload(messages::SVMAP)
}

/// The same over IPv6.
fn ipv6() -> Frame {
    Frame::to("2001:db8::10")
        .from(FROM_IPV6)
        .payload(messages::SVMAP_IPV6)
}

/// Where one frame is counted.
#[derive(Clone, Copy)]
enum Expected {
    /// Passed and not counted.
    Nowhere,
    /// Passed and counted as one that cannot be read.
    Unreadable,
    /// Passed and counted as a fragment.
    Fragment,
    /// Inspected.
    Datagram(Datagram),
}

/// What is counted of an inspected datagram.
#[derive(Clone, Copy)]
struct Datagram {
    class: MessageClass,
    /// The tool, where one is recognised.
    tool: Option<&'static str>,
    /// Whether the tool is of a dropping kind.
    hostile: bool,
    outcome: Outcome,
    port: u16,
    source: &'static str,
    /// Without padding.
    bytes: usize,
}

/// svmap's probe to port 5060, recognised and dropped.
fn dropped_probe(source: &'static str, bytes: usize) -> Expected {
    Expected::Datagram(Datagram {
        class: MessageClass::Options,
        tool: Some("sipvicious"),
        hostile: true,
        outcome: Outcome::Signature,
        port: 5060,
        source,
        bytes,
    })
}

/// A datagram to port 5060 that passes, of no tool.
fn passed(class: MessageClass, source: &'static str, bytes: usize) -> Expected {
    Expected::Datagram(Datagram {
        class,
        tool: None,
        hostile: false,
        outcome: Outcome::Passed,
        port: 5060,
        source,
        bytes,
    })
}

/// A frame and where it is counted.
struct Row {
    what: String,
    frame: Vec<u8>,
    expected: Expected,
}

fn row(what: impl Into<String>, frame: Vec<u8>, expected: Expected) -> Row {
    let what = what.into();
    Row {
        what,
        frame,
        expected,
    }
}

/// Hands over each frame and looks at every counter before and after.
fn hold(program: &Program, rows: &[Row]) {
    assert!(!rows.is_empty(), "an empty table proves nothing");
    let mut before = program.counts();
    for row in rows.iter().filter(|row| program.takes(&row.frame)) {
        let action = program.run(&row.frame);
        let after = program.counts();
        Added::between(&before, &after, row, program).is_as_expected(row, program, action);
        before = after;
    }
}

/// What one frame has added to the counters.
struct Added {
    counted: Counted,
    bytes: u64,
    tools: Vec<(String, ToolCount)>,
    ports: Vec<(u16, PortCount)>,
    sources: Vec<(IpAddr, SourceCount)>,
}

impl Added {
    fn between(before: &Counts, after: &Counts, row: &Row, program: &Program) -> Self {
        let (counted, bytes) = Counted::between(&before.totals, &after.totals);
        let tools = (0_u8..).zip(before.tools.tools.iter().zip(after.tools.tools));
        let tools = tools.filter(|(_, (before, after))| *before != after);
        let ports = after.ports.iter().map(|(port, after)| {
            let before = before.ports.get(port).copied().unwrap_or_default();
            let more = PortCount {
                packets: after.packets - before.packets,
                scanner: after.scanner - before.scanner,
                dropped: after.dropped - before.dropped,
            };
            (*port, more)
        });
        let sources = after.sources.iter().filter_map(|(address, after)| {
            let before = before.sources.get(address);
            (before != Some(after)).then(|| {
                let mut more = *after;
                let before = before.copied().unwrap_or(SourceCount::ZERO);
                for (more, before) in more.reasons.iter_mut().zip(before.reasons) {
                    *more -= before;
                }
                more.scanner -= before.scanner;
                more.dropped -= before.dropped;
                more.would_drop -= before.would_drop;
                for (more, before) in more.classes.iter_mut().zip(before.classes) {
                    *more -= before;
                }
                more.bytes -= before.bytes;
                (*address, more)
            })
        });
        let lost = before
            .sources
            .keys()
            .find(|address| !after.sources.contains_key(address));
        assert_eq!(lost, None, "{}: a source was forgotten", row.what);
        Self {
            counted,
            bytes,
            tools: tools
                .map(|(number, (before, after))| {
                    let more = ToolCount {
                        packets: after.packets - before.packets,
                        dropped: after.dropped - before.dropped,
                        would_drop: after.would_drop - before.would_drop,
                    };
                    (program.tool(number).to_owned(), more)
                })
                .collect(),
            ports: ports
                .filter(|(_, more)| *more != PortCount::default())
                .collect(),
            sources: sources.collect(),
        }
    }

    fn is_as_expected(&self, row: &Row, program: &Program, action: u32) {
        let what = &row.what;
        let Expected::Datagram(expected) = row.expected else {
            let counted = match row.expected {
                Expected::Unreadable => Counted::Unreadable,
                Expected::Fragment => Counted::Fragment,
                _ => Counted::Nowhere,
            };
            assert_eq!(self.counted, counted, "{what}");
            assert_eq!(action, PASS, "{what}");
            assert!(self.tools.is_empty(), "{what}: {:?}", self.tools);
            assert!(self.ports.is_empty(), "{what}: {:?}", self.ports);
            assert!(self.sources.is_empty(), "{what}: {:?}", self.sources);
            return;
        };
        let Datagram {
            class,
            tool,
            hostile,
            outcome,
            port,
            source,
            bytes,
        } = expected;
        let counted = Counted::Datagram {
            class,
            hostile,
            outcome,
        };
        let bytes = bytes as u64;
        let [dropped, would_drop] =
            [outcome.is_drop(), outcome == Outcome::WouldSignature].map(u64::from);
        assert_eq!((self.counted, self.bytes), (counted, bytes), "{what}");
        assert_eq!(action, if dropped == 1 { DROP } else { PASS }, "{what}");
        let count = ToolCount {
            packets: 1,
            dropped,
            would_drop,
        };
        let tools: Vec<_> = tool
            .map(|tool| (tool.to_owned(), count))
            .into_iter()
            .collect();
        assert_eq!(self.tools, tools, "{what}");
        let count = PortCount {
            packets: 1,
            scanner: hostile.into(),
            dropped,
        };
        assert_eq!(self.ports, [(port, count)], "{what}");
        let [(address, count)] = self.sources.as_slice() else {
            panic!("{what}: not one source: {:?}", self.sources)
        };
        assert_eq!(address.to_string(), source, "{what}");
        let mut one = SourceCount::ZERO;
        one.count(class, hostile, outcome, 1);
        assert_eq!(count.reasons, one.reasons, "{what}");
        let met = |count: &SourceCount| (count.scanner, count.dropped, count.would_drop);
        assert_eq!(met(count), met(&one), "{what}");
        assert_eq!(count.classes, one.classes, "{what}");
        assert_eq!(count.bytes, bytes, "{what}");
        assert!(count.first_seen > 0, "{what}: never seen");
        assert!(count.first_seen <= count.last_seen, "{what}: {count:?}");
        assert_ne!(count.ports[SourceCount::port(port)], 0, "{what}: port");
        if let Some(tool) = tool {
            assert_ne!(count.tools[program.tool_number(tool)], 0, "{what}: tool");
        }
    }
}

// --- Loading -------------------------------------------------------------------------------

/// A test for each hook, of what both programs do alike.
macro_rules! at_each_hook {
    ($($test:ident)*) => {
        mod at_xdp {
            use super::*;
            $(#[test] fn $test() { super::$test(Hook::Xdp) })*
        }
        mod at_tcx {
            use super::*;
            $(#[test] fn $test() { super::$test(Hook::Tcx) })*
        }
    };
}

at_each_hook! {
    the_verifier_takes_the_program
    the_probe_is_found_behind_every_shape_of_headers
    a_readable_frame_that_is_cut_off_anywhere_passes_as_unreadable
    what_contradicts_itself_passes_as_unreadable
    what_is_no_udp_to_an_inspected_port_is_not_counted
    the_destination_port_decides_and_not_the_source_port
    the_first_fragment_is_inspected_and_the_later_ones_are_counted
    the_payload_ends_where_udp_says
    padding_is_neither_payload_nor_counted
    on_any_port_what_starts_like_sip_is_inspected_and_nothing_else
    on_a_listed_port_everything_is_inspected_beside_any
    the_first_rule_that_matches_gives_the_verdict
    kernel_and_host_agree_on_every_message_cut_off_anywhere
    kernel_and_host_agree_on_a_user_agent_at_every_offset
    kernel_and_host_agree_on_messages_with_anything_changed
    kernel_and_host_agree_on_what_a_value_contains_at_every_offset
    kernel_and_host_agree_on_what_values_contain_where_anything_is_changed
    frames_with_anything_changed_in_their_headers_are_counted_once_at_most
}

/// So many random frames; fewer at tcx, where the same code was only compiled again.
const fn many(hook: Hook, frames: usize) -> usize {
    match hook {
        Hook::Xdp => frames,
        Hook::Tcx => frames / 5,
    }
}

/// The program at this hook, with what `--drop` and `--ports` take.
fn program(hook: Hook, drop: &str, ports: &str) -> Program {
    Program::load_as(Policy::new(drop, ports).at(hook), false)
}

/// Says how far from its limits the verifier stays, which is different in each kernel.
fn the_verifier_takes_the_program(hook: Hook) {
    let policy = || Policy::new("scanners,options,malformed", "any,5060-5100,6060").at(hook);
    let mut behaviours = Rules::NONE;
    behaviours.uses |= Rules::BEHAVIOURS;
    for (what, policy, verbose) in [
        ("as it runs", policy(), false),
        ("with -v", policy(), true),
        (
            "looking for what values contain",
            policy().with_signatures(contained()),
            false,
        ),
        (
            "looking for it with -v",
            policy().with_signatures(contained()),
            true,
        ),
        (
            "telling scans by behaviour",
            policy().with_rules(behaviours),
            false,
        ),
    ] {
        let started = Instant::now();
        let program = Program::load_as(policy, verbose);
        let verified = match program.verified_instructions() {
            Some(number) => format!("{number} instructions verified"),
            None => "this kernel does not count what it verifies (5.16 and later do)".into(),
        };
        println!(
            "{hook:?}, {what}: loaded in {:.1?}, {verified}",
            started.elapsed()
        );
    }
}

// --- Headers -------------------------------------------------------------------------------

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
fn readable() -> Vec<Row> {
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

fn the_destination_port_decides_and_not_the_source_port(hook: Hook) {
    let mut rows = Vec::new();
    for port in [5060, 5061, 5063, 5064, 5099, 5100, 6060] {
        for from_port in [0, 53, 5060, 49152, 65535] {
            let frame = ipv4().port(port).from_port(from_port).bytes();
            let bytes = frame.len();
            let Expected::Datagram(probe) = dropped_probe(FROM_IPV4, bytes) else {
                panic!("a probe is a datagram")
            };
            let expected = Expected::Datagram(Datagram { port, ..probe });
            rows.push(row(format!("from {from_port} to {port}"), frame, expected));
        }
    }
    hold(&program(hook, "scanners", PORTS), &rows);
}

fn the_first_fragment_is_inspected_and_the_later_ones_are_counted(hook: Hook) {
    let mut rows = Vec::new();
    // Before it the User-Agent is not complete; what it holds is enough for the method.
    let [early, late] = [24, 360];
    for (what, frame, source) in [
        ("IPv4", ipv4(), FROM_IPV4),
        ("IPv4 with options", ipv4().ip_options(&[1; 12]), FROM_IPV4),
        ("IPv4 in a VLAN", ipv4().vlan(7), FROM_IPV4),
        ("IPv6", ipv6(), FROM_IPV6),
        (
            "IPv6 with options before the fragment header",
            ipv6().extension(Extension::HopByHop(8)),
            FROM_IPV6,
        ),
    ] {
        let [first, rest] = frame.fragments(late);
        let expected = dropped_probe(source, first.len());
        rows.push(row(format!("{what}: with the User-Agent"), first, expected));
        rows.push(row(format!("{what}: the rest"), rest, Expected::Fragment));

        let [first, rest] = frame.fragments(early);
        let expected = passed(MessageClass::Options, source, first.len());
        rows.push(row(format!("{what}: the method alone"), first, expected));
        rows.push(row(
            format!("{what}: the rest with the User-Agent"),
            rest,
            Expected::Fragment,
        ));
    }
    let fragment = |offset, more| Extension::Fragment { offset, more };
    for (what, frame) in [
        ("one in the middle", ipv4().ip_fragment(1480, true)),
        ("the last one", ipv4().ip_fragment(1480, false)),
        ("the furthest", ipv4().ip_fragment(8 * 0x1fff, false)),
        (
            "one in the middle over IPv6",
            ipv6().extension(fragment(1448, true)),
        ),
        (
            "the last one over IPv6",
            ipv6().extension(fragment(1448, false)),
        ),
        (
            "the furthest over IPv6",
            ipv6().extension(fragment(8 * 0x1fff, false)),
        ),
        (
            "one without content",
            ipv4()
                .without_transport_header()
                .payload([])
                .ip_fragment(8, true),
        ),
    ] {
        rows.push(row(what, frame.bytes(), Expected::Fragment));
    }
    for (what, frame) in [
        ("of TCP", ipv4().tcp().ip_fragment(1480, false)),
        (
            "of TCP over IPv6",
            ipv6().tcp().extension(fragment(1448, false)),
        ),
        // What follows the options is in the first fragment alone.
        (
            "of UDP behind options",
            ipv6()
                .extension(fragment(1448, false))
                .extension(Extension::Destination(8)),
        ),
    ] {
        rows.push(row(what, frame.bytes(), Expected::Nowhere));
    }
    hold(&program(hook, "scanners", PORTS), &rows);
}

fn the_payload_ends_where_udp_says(hook: Hook) {
    let rest = messages::SVMAP;
    let mut rows = Vec::new();
    for (what, held, class) in [
        ("nothing", &b""[..], MessageClass::Keepalive),
        ("a zero byte", b"\0", MessageClass::Keepalive),
        ("CR LF CR LF", b"\r\n\r\n", MessageClass::Keepalive),
        ("half a method", b"OPTI", MessageClass::Malformed),
        (
            "a method and a URI",
            b"OPTIONS sip:a@b",
            MessageClass::Options,
        ),
        (
            "a status line",
            b"SIP/2.0 200 OK\r\n\r\n",
            MessageClass::Response,
        ),
    ] {
        for (family, frame, source) in [("IPv4", ipv4(), FROM_IPV4), ("IPv6", ipv6(), FROM_IPV6)] {
            let length = (UDP + held.len()) as u16;
            let frame = frame
                .payload([held, rest].concat())
                .udp_length(length)
                .bytes();
            let expected = passed(class, source, frame.len());
            rows.push(row(format!("{what} over {family}"), frame, expected));
        }
    }
    hold(&program(hook, "scanners", PORTS), &rows);
}

fn padding_is_neither_payload_nor_counted(hook: Hook) {
    let mut rows = Vec::new();
    for (what, payload, class) in [
        ("nothing", &b""[..], MessageClass::Keepalive),
        ("a zero byte", b"\0", MessageClass::Keepalive),
        ("CR LF", b"\r\n", MessageClass::Keepalive),
        ("three zero bytes", b"\0\0\0", MessageClass::Keepalive),
        ("CR LF CR LF", b"\r\n\r\n", MessageClass::Keepalive),
        ("four zero bytes", b"\0\0\0\0", MessageClass::Keepalive),
        ("a byte of text", b"a", MessageClass::Malformed),
        ("a word", b"ping", MessageClass::Malformed),
    ] {
        let frame = Frame::to("192.0.2.10").from(FROM_IPV4).payload(payload);
        let bytes = ETHERNET + IPV4 + UDP + payload.len();
        for (where_, frame, bytes) in [
            ("to 60 bytes", frame.clone().padded_to(60), bytes),
            (
                "to 64 bytes in a VLAN",
                frame.clone().vlan(7).padded_to(64),
                bytes + 4,
            ),
            ("to a page", frame.padded_to(LONGEST_FRAME), bytes),
        ] {
            rows.push(row(
                format!("{what}, padded {where_}"),
                frame.bytes(),
                passed(class, FROM_IPV4, bytes),
            ));
        }
    }
    let probe = ipv4().bytes().len();
    rows.push(row(
        "a probe with a trailer",
        ipv4().padded_to(probe + 20).bytes(),
        dropped_probe(FROM_IPV4, probe),
    ));
    hold(&program(hook, "scanners", PORTS), &rows);
}

fn on_any_port_what_starts_like_sip_is_inspected_and_nothing_else(hook: Hook) {
    let mut rows = Vec::new();
    for (what, payload, class, tool) in [
        (
            "a probe",
            messages::SVMAP,
            MessageClass::Options,
            Some("sipvicious"),
        ),
        ("a call", messages::INVITE, MessageClass::Invite, None),
        ("an answer", messages::OK, MessageClass::Response, None),
        (
            "sips",
            b"BYE sips:a@b SIP/2.0\r\n\r\n",
            MessageClass::Bye,
            None,
        ),
        (
            "tel",
            b"INVITE tel:110 SIP/2.0\r\n\r\n",
            MessageClass::Invite,
            None,
        ),
    ] {
        for port in [0, 53, 1900, 5059, 40000, 65535] {
            let frame = ipv4().payload(payload).port(port).bytes();
            let hostile = tool.is_some();
            let expected = Expected::Datagram(Datagram {
                class,
                tool,
                hostile,
                outcome: match hostile {
                    true => Outcome::Signature,
                    false => Outcome::Passed,
                },
                port,
                source: FROM_IPV4,
                bytes: frame.len(),
            });
            rows.push(row(format!("{what} to {port}"), frame, expected));
        }
    }
    for (what, payload) in [
        ("DNS", messages::DNS),
        ("RTP", messages::RTP),
        ("STUN", messages::STUN),
        ("HTTP", messages::HTTP),
        ("nothing", b""),
        ("a zero byte", b"\0"),
        ("CR LF CR LF", b"\r\n\r\n"),
        (
            "SSDP",
            b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n",
        ),
        (
            "RTSP",
            b"OPTIONS rtsp://192.0.2.10/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        ),
        ("a method in lower case", b"options sip:a@b SIP/2.0\r\n\r\n"),
        // SIP, but not beyond doubt: on a SIP port both are requests.
        ("an unknown method", messages::UNKNOWN_METHOD),
        (
            "an unknown scheme",
            b"SUBSCRIBE urn:service:sos SIP/2.0\r\n\r\n",
        ),
    ] {
        for port in [53, 1900, 40000] {
            let frame = ipv4().payload(payload).port(port).bytes();
            rows.push(row(format!("{what} to {port}"), frame, Expected::Nowhere));
        }
    }
    hold(&program(hook, "scanners", "any"), &rows);
}

fn on_a_listed_port_everything_is_inspected_beside_any(hook: Hook) {
    let mut rows = Vec::new();
    for (what, payload, class) in [
        ("DNS", messages::DNS, MessageClass::Malformed),
        ("nothing", messages::EMPTY, MessageClass::Keepalive),
        (
            "an unknown method",
            messages::UNKNOWN_METHOD,
            MessageClass::Other,
        ),
    ] {
        let listed = ipv4().payload(payload).bytes();
        let expected = passed(class, FROM_IPV4, listed.len());
        rows.push(row(format!("{what} to 5060"), listed, expected));
        let other = ipv4().payload(payload).port(5061).bytes();
        rows.push(row(format!("{what} to 5061"), other, Expected::Nowhere));
    }
    hold(&program(hook, "scanners", "5060,any"), &rows);
}

#[test]
fn a_frame_in_several_pieces_is_judged_by_its_first_one() {
    let program = program(Hook::Xdp, "scanners", PORTS);
    if !program.takes_several_pieces() {
        println!("skipped: this kernel hands over no such frames (5.18 and later do)");
        return;
    }
    let long = |length: usize| [messages::SVMAP, &b"x".repeat(length)].concat();
    let mut rows = Vec::new();
    for (family, frame, source) in [("IPv4", ipv4(), FROM_IPV4), ("IPv6", ipv6(), FROM_IPV6)] {
        for length in [3000, 4000, 8000, 20_000, 40_000] {
            let what = format!("{family}, the probe and {length} bytes more");
            let frame = frame.clone().payload(long(length)).vlan(7).bytes();
            let expected = dropped_probe(source, frame.len());
            let cut = frame[..frame.len() - 1].to_vec();
            rows.push(row(format!("{what}, cut off"), cut, Expected::Unreadable));
            rows.push(row(what, frame, expected));
        }
        // What names the tool is in a piece that is not read.
        let hidden = format!(
            "OPTIONS sip:a SIP/2.0\r\nX: {}\r\nUser-Agent: friendly-scanner\r\n\r\n",
            "x".repeat(5000)
        );
        let frame = frame.payload(hidden).bytes();
        let expected = passed(MessageClass::Options, source, frame.len());
        rows.push(row(format!("{family}, hidden"), frame, expected));
    }
    hold(&program, &rows);
}

// --- Verdicts ------------------------------------------------------------------------------

fn the_first_rule_that_matches_gives_the_verdict(hook: Hook) {
    use Outcome::{Malformed as M, Options as O, Passed as P, Signature as S, WouldSignature as W};

    // What arrives, and the tool in it, of a dropping kind or not.
    let scanner = Some(("sipvicious", true));
    let packets = [
        ("svmap's OPTIONS", messages::SVMAP, scanner),
        ("svwar's REGISTER", messages::SVWAR, scanner),
        ("an honest OPTIONS", messages::QUALIFY, None),
        (
            "a test tool's OPTIONS",
            messages::SIPSAK,
            Some(("sipsak", false)),
        ),
        ("an INVITE", messages::INVITE, None),
        ("an unknown method", messages::UNKNOWN_METHOD, None),
        ("a response to a probe", messages::OK, None),
        ("a keepalive", messages::CRLF_CRLF, None),
        ("STUN", messages::STUN, None),
        ("RTP", messages::RTP, None),
        ("HTTP of a scanner", messages::HTTP, None),
        (
            "a bare method",
            messages::BARE_METHOD,
            Some(("zmap", false)),
        ),
    ];
    // What each of them meets, in that order.
    let verdicts = [
        ("nothing", [W, W, P, P, P, P, P, P, P, P, P, P]),
        ("scanners", [S, S, P, P, P, P, P, P, P, P, P, P]),
        ("options", [O, W, O, O, P, P, P, P, P, P, P, P]),
        ("malformed", [W, W, P, P, P, P, P, P, P, M, M, M]),
        ("scanners,options", [S, S, O, O, P, P, P, P, P, P, P, P]),
        ("scanners,malformed", [S, S, P, P, P, P, P, P, P, M, M, M]),
        ("options,malformed", [O, W, O, O, P, P, P, P, P, M, M, M]),
        (
            "scanners,options,malformed",
            [S, S, O, O, P, P, P, P, P, M, M, M],
        ),
    ];
    for (drop, outcomes) in verdicts {
        let program = program(hook, drop, PORTS);
        let mut rows = Vec::new();
        for ((what, payload, tool), outcome) in packets.into_iter().zip(outcomes) {
            for (family, frame, source) in
                [("IPv4", ipv4(), FROM_IPV4), ("IPv6", ipv6(), FROM_IPV6)]
            {
                let frame = frame.payload(payload).bytes();
                let expected = Expected::Datagram(Datagram {
                    class: class_of(payload),
                    tool: tool.map(|(tool, _)| tool),
                    hostile: tool.is_some_and(|(_, hostile)| hostile),
                    outcome,
                    port: 5060,
                    source,
                    bytes: frame.len(),
                });
                rows.push(row(
                    format!("{what} over {family}, dropping {drop}"),
                    frame,
                    expected,
                ));
            }
        }
        hold(&program, &rows);
    }
}

/// What the messages above are, by their first word.
fn class_of(payload: &[u8]) -> MessageClass {
    let starts = |text: &str| payload.starts_with(text.as_bytes());
    match payload {
        _ if starts("OPTIONS sip:") => MessageClass::Options,
        _ if starts("REGISTER sip:") => MessageClass::Register,
        _ if starts("INVITE sip:") => MessageClass::Invite,
        _ if starts("PING sip:") => MessageClass::Other,
        _ if starts("SIP/2.0 ") => MessageClass::Response,
        messages::CRLF_CRLF | messages::STUN => MessageClass::Keepalive,
        _ => MessageClass::Malformed,
    }
}

// --- Kernel and host -----------------------------------------------------------------------

/// Both classifiers say the same of the payload in this frame, and of the tool.
fn agree(program: &Program, what: &str, payload: &[u8], frame: &[u8]) {
    let host = program.host_of(frame);
    let (totals, tools) = (program.totals(), program.tool_counts());
    let action = program.run(frame);
    let (counted, _) = Counted::between(&totals, &program.totals());
    let tool = tool_between(&tools, &program.tool_counts());
    let text = payload.escape_ascii();
    assert_eq!(counted, program.decided(host), "{what}: {text}");
    assert_eq!(action, counted.action(), "{what}: {text}");
    assert_eq!(
        tool,
        host.tool().map(|found| found.tool()),
        "{what}: {text}"
    );
}

fn kernel_and_host_agree_on_every_message_cut_off_anywhere(hook: Hook) {
    let program = program(hook, "scanners,options,malformed", PORTS);
    for (what, message) in messages::ALL {
        for length in 0..=message.len() {
            let payload = &message[..length];
            let what = format!("{what}, {length} bytes");
            let udp_length = (UDP + length) as u16;
            let whole = Frame::to("192.0.2.10").payload(message);
            let padded = Frame::to("192.0.2.10").payload(payload).bytes();
            for (where_, frame) in [
                ("alone", Frame::to("192.0.2.10").payload(payload).bytes()),
                (
                    "over IPv6",
                    Frame::to("2001:db8::10").payload(payload).bytes(),
                ),
                // What is cut off stands behind the datagram, where it must not be read.
                ("in a longer packet", whole.udp_length(udp_length).bytes()),
                (
                    "in a longer frame",
                    [&padded[..], &message[length..]].concat(),
                ),
            ] {
                agree(&program, &format!("{what}, {where_}"), payload, &frame);
            }
        }
    }
}

fn kernel_and_host_agree_on_a_user_agent_at_every_offset(hook: Hook) {
    let program = program(hook, "scanners", PORTS);
    let longest = LONGEST_FRAME - Frame::to("192.0.2.10").overhead();
    let start = "OPTIONS sip:100@192.0.2.10 SIP/2.0\r\nX:";
    let end = "\r\nUser-Agent: friendly-scanner\r\n\r\n";
    let near = 0..300;
    let far = longest - 300..longest + 1 - start.len() - end.len();
    for padding in near.chain(far) {
        let payload = format!("{start}{}{end}", "x".repeat(padding));
        let frame = Frame::to("192.0.2.10").payload(&payload).bytes();
        let found = program.host(payload.as_bytes()).tool();
        assert!(found.is_some(), "not found behind {padding} bytes");
        agree(&program, "a User-Agent", payload.as_bytes(), &frame);
    }
}

fn kernel_and_host_agree_on_messages_with_anything_changed(hook: Hook) {
    let many = many(hook, 30_000);
    let program = program(hook, "scanners,options,malformed", PORTS);
    let longest = LONGEST_FRAME - Frame::to("192.0.2.10").overhead();
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    for number in 0..many {
        let (what, message) = messages::ALL[number % messages::ALL.len()];
        let mut payload = message.to_vec();
        for _ in 0..1 + random.below(4) {
            change(&mut payload, &mut random);
        }
        payload.truncate(longest);
        let frame = Frame::to("192.0.2.10").payload(&payload).bytes();
        agree(&program, what, &payload, &frame);
    }
}

/// A scanner of its own for each field that contains a text of its own.
fn contained() -> Signatures {
    let entry = |field: Field| {
        let name = field.name();
        let pattern = text_of(field);
        format!(
            "[[signature]]\ntool = \"in {name}\"\nkind = \"scanner\"\nfield = \"{name}\"\n\
             match = \"contains\"\npattern = \"{pattern}\"\n"
        )
    };
    let file: String = Field::ALL.into_iter().map(entry).collect();
    Signatures::parse(&file).unwrap_or_else(|error| panic!("{error:#}"))
}

/// What names the scanner of a field where it stands in it.
fn text_of(field: Field) -> String {
    format!("Mark-of-{}", field.name())
}

fn kernel_and_host_agree_on_what_a_value_contains_at_every_offset(hook: Hook) {
    let policy = Policy::new("scanners", PORTS).with_signatures(contained());
    let program = Program::load_as(policy.at(hook), false);
    let longest = LONGEST_FRAME - Frame::to("192.0.2.10").overhead();
    for field in Field::ALL {
        let text = text_of(field);
        let name = field.name();
        let (start, end) = match field {
            Field::RequestUri => ("OPTIONS sip:".to_owned(), " SIP/2.0\r\n\r\n"),
            Field::Body => ("OPTIONS sip:a SIP/2.0\r\n\r\n".to_owned(), ""),
            Field::Any => ("OPTIONS sip:a SIP/2.0\r\nSubject: ".to_owned(), ""),
            _ => (
                format!("OPTIONS sip:a SIP/2.0\r\n{name}: a\r\n "),
                "\r\n\r\nbody",
            ),
        };
        let most = longest - start.len() - text.len() - end.len();
        let far = match field {
            // No more of a request URI is searched.
            Field::RequestUri => 1900..1950,
            _ => most - 100..most + 1,
        };
        for padding in (0..200).chain(far) {
            let padded = "x".repeat(padding);
            let payload = format!("{start}{padded}{text}{end}");
            let frame = Frame::to("192.0.2.10").payload(&payload).bytes();
            let found = program.host(payload.as_bytes()).tool();
            let found = found.map(|found| program.tool(found.tool()).to_owned());
            assert_eq!(found, Some(format!("in {name}")), "behind {padding} bytes");
            agree(&program, name, payload.as_bytes(), &frame);
            // With a byte less, the body's last may be none.
            let payload = payload.replacen(&text, &text[1..], 1);
            let frame = Frame::to("192.0.2.10").payload(&payload).bytes();
            assert_eq!(program.host(payload.as_bytes()).tool(), None, "{payload}");
            agree(&program, name, payload.as_bytes(), &frame);
        }
    }
}

fn kernel_and_host_agree_on_what_values_contain_where_anything_is_changed(hook: Hook) {
    let many = many(hook, 10_000);
    let policy = Policy::new("scanners", PORTS).with_signatures(contained());
    let program = Program::load_as(policy.at(hook), false);
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let mut found = 0;
    for _ in 0..many {
        let mut text = |field: Field| {
            let other = Field::ALL[random.below(Field::ALL.len())];
            match random.below(8) {
                0 => text_of(field),
                1 => format!("a\r\n {} b", text_of(field).to_uppercase()),
                2 => text_of(other),
                _ => "x".repeat(random.below(40)),
            }
        };
        let header: String = Field::ALL[..Field::HEADERS - 1]
            .iter()
            .map(|field| format!("{}: {}\r\n", field.name(), text(*field)))
            .collect();
        let mut payload = format!(
            "OPTIONS sip:{} SIP/2.0\r\nSubject: {}\r\n{header}\r\n{}",
            text(Field::RequestUri),
            text(Field::Any),
            text(Field::Body)
        )
        .into_bytes();
        for _ in 0..random.below(3) {
            change(&mut payload, &mut random);
        }
        let frame = Frame::to("192.0.2.10").payload(&payload).bytes();
        found += usize::from(program.host(&payload).tool().is_some());
        agree(&program, "what values contain", &payload, &frame);
    }
    assert!(found > many / 4, "only {found} are found");
}

/// A readable frame with anything changed in its headers.
fn changed(frames: &[Vec<u8>], number: usize, random: &mut Random) -> Vec<u8> {
    let mut frame = frames[number % frames.len()].clone();
    for _ in 0..1 + random.below(3) {
        let place = random.below(frame.len().min(120));
        frame[place] = match random.below(3) {
            0 => random.below(256) as u8,
            1 => frame[place] ^ 1 << random.below(8),
            _ => [0, 1, 4, 6, 17, 43, 44, 51, 60, 0x81, 0x88, 0xff][random.below(12)],
        };
    }
    let length = ETHERNET + random.below(frame.len() + 1 - ETHERNET);
    if random.below(4) == 0 {
        frame.truncate(length);
    }
    frame
}

/// Whatever the headers say, the verdict fits the counters, and each frame is counted in one
/// place at most.
fn frames_with_anything_changed_in_their_headers_are_counted_once_at_most(hook: Hook) {
    let many = many(hook, 30_000);
    let program = program(hook, "scanners,options,malformed", "any,5060-5100,6060");
    let frames: Vec<_> = readable().into_iter().map(|row| row.frame).collect();
    let mut random = Random::new(0x2545_f491_4f6c_dd1d);
    for number in 0..many {
        let frame = changed(&frames, number, &mut random);
        if !program.takes(&frame) {
            continue;
        }
        let before = program.totals();
        let action = program.run(&frame);
        let (counted, _) = Counted::between(&before, &program.totals());
        assert_eq!(action, counted.action(), "{counted:?}: {frame:02x?}");
    }
}

/// Whole, cut off anywhere or with anything changed in their headers: the host reads frames as
/// the program does, and counts the same of them.
#[test]
fn the_host_counts_every_frame_as_the_program_does() {
    const CHANGED: usize = 30_000;
    /// So many frames are compared at once: reading all counters takes longer than a frame.
    const TOGETHER: usize = 500;
    let frames: Vec<_> = readable().into_iter().map(|row| row.frame).collect();
    let mut random = Random::new(0x6c62_272e_07bb_0142);
    let mut all: Vec<_> = (0..CHANGED)
        .map(|number| changed(&frames, number, &mut random))
        .collect();
    for frame in &frames {
        all.extend((0..=frame.len()).map(|length| frame[..length].to_vec()));
    }
    for ports in [PORTS, "any", "any,5060-5100,6060"] {
        let policy = Policy::new("scanners,malformed", ports);
        let load = policy.load();
        let (mut kernel, mut host) = match (Kernel::new(&load), Host::new(&load)) {
            (Ok(kernel), Ok(host)) => (kernel, host),
            (Err(error), _) | (_, Err(error)) => panic!("{error:#}"),
        };
        for (at, some) in all.chunks(TOGETHER).enumerate() {
            for (time, frame) in (1..).zip(some) {
                for engine in [&mut kernel as &mut dyn Engine, &mut host] {
                    if let Err(error) = engine.observe(frame, time) {
                        panic!("{error:#}: {frame:02x?}");
                    }
                }
            }
            let what = format!("--ports {ports}, frames from {} on", at * TOGETHER);
            assert_eq!(snapshot(&kernel), snapshot(&host), "{what}");
        }
    }
}

/// All that an engine has counted.
fn snapshot(engine: &dyn Engine) -> Snapshot {
    let counters = engine
        .counters()
        .unwrap_or_else(|error| panic!("{error:#}"));
    Snapshot::new(
        "",
        Vec::new(),
        &counters,
        Clock::new(WallTime::from_ns(0), 0),
    )
}
