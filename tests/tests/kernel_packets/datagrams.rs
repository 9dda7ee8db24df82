//! Which datagrams are inspected, and where their payload ends.

use crate::{
    ETHERNET, FROM_IPV4, FROM_IPV6, IPV4, PORTS, UDP, ipv4, ipv6, program,
    rows::{Datagram, Expected, dropped_probe, hold, passed, row},
};
use sip_filter::kernel::Hook;
use sip_filter_common::{sip::MessageClass, verdict::Outcome};
use sip_filter_tests::{
    kernel::LONGEST_FRAME,
    messages,
    packet::{Extension, Frame},
};

at_each_hook! {
    the_destination_port_decides_and_not_the_source_port
    the_first_fragment_is_inspected_and_the_later_ones_are_counted
    the_payload_ends_where_udp_says
    padding_is_neither_payload_nor_counted
    on_any_port_what_starts_like_sip_is_inspected_and_nothing_else
    on_a_listed_port_everything_is_inspected_beside_any
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
