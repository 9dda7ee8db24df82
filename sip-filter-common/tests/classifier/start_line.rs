//! Start lines, keepalives, and what is neither.

use super::*;

#[test]
fn a_request_has_its_method() {
    for expected in MessageClass::ALL
        .into_iter()
        .filter(|class| class.is_request())
    {
        let Some(method) = expected.method() else {
            panic!("{expected:?} has no method")
        };
        hold([
            (
                "a whole request",
                format!("{method} sip:a@b SIP/2.0\r\nCall-ID: 1\r\n\r\n"),
                expected,
            ),
            (
                "a start line alone",
                format!("{method} sip:a@b SIP/2.0\r\n"),
                expected,
            ),
            (
                "ended by LF",
                format!("{method} sip:a@b SIP/2.0\n\n"),
                expected,
            ),
            (
                "sips",
                format!("{method} sips:a@b SIP/2.0\r\n\r\n"),
                expected,
            ),
            (
                "tel",
                format!("{method} tel:+81312345678 SIP/2.0\r\n\r\n"),
                expected,
            ),
            ("SIP", format!("{method} SIP:a@b SIP/2.0\r\n\r\n"), expected),
            ("Tel", format!("{method} Tel:110 SIP/2.0\r\n\r\n"), expected),
            (
                "another version",
                format!("{method} sip:a@b SIP/3.0\r\n\r\n"),
                expected,
            ),
            (
                "a version in lower case",
                format!("{method} sip:a@b sip/2.0\r\n\r\n"),
                expected,
            ),
            (
                "a service",
                format!("{method} urn:service:sos SIP/2.0\r\n\r\n"),
                expected,
            ),
            (
                "an unknown scheme",
                format!("{method} unknown:a-b;c?d SIP/2.0\r\n\r\n"),
                expected,
            ),
            (
                "the web",
                format!("{method} https://b/a%20b SIP/2.0\r\n\r\n"),
                expected,
            ),
            (
                "the shortest URI",
                format!("{method} a:b SIP/2.0\r\n\r\n"),
                expected,
            ),
            (
                "behind a line end",
                format!("\r\n{method} sip:a@b SIP/2.0\r\n\r\n"),
                expected,
            ),
            // Not allowed, and yet a request (RFC 4475 section 3.1.2.9).
            (
                "two blanks",
                format!("{method}  sip:a@b SIP/2.0\r\n\r\n"),
                expected,
            ),
        ]);
    }
}

#[test]
fn methods_are_tokens_and_case_sensitive() {
    use MessageClass::{Malformed, Other};
    let line = |method: &str| format!("{method} sip:a@b SIP/2.0\r\n\r\n");
    hold(
        [
            "options",
            "Options",
            "oPTIONS",
            "OPTIONs",
            "register",
            "Invite",
            "ack",
            "OPTION",
            "OPTIONSS",
            "INVITES",
            "REGISTERS",
            "SUBSCRIBED",
            "SUBSCRIB",
            "SUBSCRIBER",
            "ACKS",
            "AC",
            "PING",
            "QAUTH",
            "SERVICE",
            "A",
            "SIP",
            "1",
            "2.0",
            "-.!%*_+`'~",
        ]
        .map(|method| (method, line(method), Other)),
    );
    for byte in 0..=u8::MAX {
        if byte == b' ' {
            continue;
        }
        let is_token = byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
        let expected = if is_token { Other } else { Malformed };
        for method in [[byte, b'A', b'B'], [b'A', byte, b'B'], [b'A', b'B', byte]] {
            // A line end at the beginning precedes a start line.
            let expected = match byte {
                b'\r' | b'\n' if method[0] == byte => Other,
                _ => expected,
            };
            let payload = [&method[..], b" sip:a@b SIP/2.0\r\n\r\n"].concat();
            hold([(format!("byte {byte:#04x}"), payload, expected)]);
        }
    }
    for (length, expected) in [
        (LONGEST_METHOD - 1, Other),
        (LONGEST_METHOD, Other),
        (LONGEST_METHOD + 1, Malformed),
        (2 * LONGEST_METHOD, Malformed),
        (0, Malformed),
    ] {
        hold([(
            format!("{length} bytes"),
            line(&"X".repeat(length)),
            expected,
        )]);
    }
}

#[test]
fn a_long_first_line_is_searched_so_far() {
    use MessageClass::{Malformed, Message, Other};
    for (what, before) in [
        ("an unknown method", "PING sip:"),
        ("an odd scheme", "MESSAGE urn:"),
    ] {
        for (length, is_found) in [
            (LONGEST_LINE - 1, true),
            (LONGEST_LINE, true),
            (LONGEST_LINE + 1, false),
            (1400, false),
        ] {
            let after = " SIP/2.0\r\n";
            let user = "u".repeat(length - before.len() - after.len());
            let expected = match (is_found, before.starts_with("PING")) {
                (false, _) => Malformed,
                (true, true) => Other,
                (true, false) => Message,
            };
            hold([(
                format!("{what}, {length} bytes"),
                format!("{before}{user}{after}\r\n"),
                expected,
            )]);
        }
    }
    // What the first bytes settle may be as long as it likes.
    let long = "u".repeat(2000);
    hold([(
        "a known request",
        format!("MESSAGE sip:{long}@b SIP/2.0\r\n\r\n"),
        Message,
    )]);
}

#[test]
fn a_known_method_and_a_sip_uri_are_enough() {
    use MessageClass::{Malformed, Options};
    hold([
        ("cut off in the URI", "OPTIONS sip:", Options),
        ("cut off before the version", "OPTIONS sip:a@b", Options),
        ("cut off in the version", "OPTIONS sip:a@b SIP/2", Options),
        ("without a line end", "OPTIONS sip:a@b SIP/2.0", Options),
        ("without a version", "OPTIONS sip:a@b\r\n\r\n", Options),
        ("cut off in the scheme", "OPTIONS sip", Malformed),
        ("cut off behind the method", "OPTIONS ", Malformed),
        ("a method alone", "OPTIONS", Malformed),
        ("a method and a line end", "OPTIONS\r\n\r\n", Malformed),
        (
            "a method without a URI",
            "OPTIONS SIP/2.0\r\n\r\n",
            Malformed,
        ),
    ]);
}

#[test]
fn a_status_line_is_a_response() {
    use MessageClass::{Malformed, Response};
    hold([
        ("OK", "SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\n\r\n", Response),
        ("trying", "SIP/2.0 100 Trying\r\n\r\n", Response),
        ("the highest", "SIP/2.0 699 \r\n\r\n", Response),
        ("without a reason", "SIP/2.0 404\r\n\r\n", Response),
        ("cut off", "SIP/2.0 4", Response),
        ("in lower case", "sip/2.0 200 OK\r\n\r\n", Response),
        ("in mixed case", "Sip/2.0 200 OK\r\n\r\n", Response),
        (
            "behind line ends",
            "\r\n\r\nSIP/2.0 200 OK\r\n\r\n",
            Response,
        ),
        ("without a code", "SIP/2.0 OK\r\n\r\n", Malformed),
        ("the version alone", "SIP/2.0", Malformed),
        ("the version and a blank", "SIP/2.0 ", Malformed),
        ("the version and a line end", "SIP/2.0\r\n\r\n", Malformed),
        ("of HTTP", "HTTP/1.1 200 OK\r\n\r\n", Malformed),
        ("of RTSP", "RTSP/1.0 200 OK\r\n\r\n", Malformed),
        ("of another kind", "ICY 200 OK\r\n\r\n", Malformed),
    ]);
}

#[test]
fn line_ends_may_precede_a_start_line() {
    use MessageClass::{Malformed, Options, Other, Response};
    for length in 0..=LINE_ENDS {
        for line_end in ["\r\n", "\n", "\r"] {
            let before: String = line_end.chars().cycle().take(length).collect();
            let what = format!("{length} bytes");
            hold([
                (
                    &what,
                    format!("{before}OPTIONS sip:a@b SIP/2.0\r\n\r\n"),
                    Options,
                ),
                (
                    &what,
                    format!("{before}OPTIONS urn:a:b SIP/2.0\r\n\r\n"),
                    Options,
                ),
                (
                    &what,
                    format!("{before}PING sip:a@b SIP/2.0\r\n\r\n"),
                    Other,
                ),
                (&what, format!("{before}SIP/2.0 200 OK\r\n\r\n"), Response),
                (&what, format!("{before}GET / HTTP/1.1\r\n\r\n"), Malformed),
                (
                    &what,
                    format!("{before}\0"),
                    if length == 0 {
                        MessageClass::Keepalive
                    } else {
                        Malformed
                    },
                ),
            ]);
        }
    }
    for before in [" ", "\t", "\0", "\r\n ", "\r\n\0\r\n"] {
        let payload = format!("{before}OPTIONS sip:a@b SIP/2.0\r\n\r\n");
        hold([("anything else may not", payload, Malformed)]);
    }
    let before = "\r\n".repeat(LINE_ENDS);
    let payload = format!("{before}OPTIONS sip:a@b SIP/2.0\r\n\r\n");
    hold([("too many", payload, Malformed)]);
}

/// A STUN message: its type, the length that it states, its cookie, and so many bytes more.
fn stun(kind: u16, length: u16, cookie: u32, attributes: usize) -> Vec<u8> {
    let mut message = kind.to_be_bytes().to_vec();
    message.extend(length.to_be_bytes());
    message.extend(cookie.to_be_bytes());
    message.extend(*b"transaction1");
    message.resize(20 + attributes, 0xa5);
    message
}

/// RFC 8489 section 5.
const COOKIE: u32 = 0x2112_a442;
/// As RFC 3489 has it: part of the transaction's identifier.
const NO_COOKIE: u32 = 0x6e6f_6e65;

#[test]
fn what_keeps_a_binding_open_is_a_keepalive() {
    use MessageClass::Keepalive;
    for (what, payload) in [
        ("nothing", &b""[..]),
        // RFC 5626 section 3.5.1 has four bytes, and its answer two.
        ("CR LF", b"\r\n"),
        ("CR LF CR LF", b"\r\n\r\n"),
        ("LF", b"\n"),
        ("CR", b"\r"),
        ("LF LF", b"\n\n"),
        ("a zero byte", b"\0"),
        ("two zero bytes", b"\0\0"),
        ("three zero bytes", b"\0\0\0"),
        ("four zero bytes", b"\0\0\0\0"),
    ] {
        hold([(what, payload, Keepalive)]);
    }
    for length in 1..=LINE_ENDS {
        let line_ends: String = "\r\n".chars().cycle().take(length).collect();
        hold([(format!("{length} bytes of CR LF"), line_ends, Keepalive)]);
    }
    for (what, message) in [
        ("a binding request", stun(0x0001, 0, COOKIE, 0)),
        (
            "a binding request with attributes",
            stun(0x0001, 24, COOKIE, 24),
        ),
        ("with many attributes", stun(0x0001, 1200, COOKIE, 1200)),
        ("a binding indication", stun(0x0011, 0, COOKIE, 0)),
        ("a binding response", stun(0x0101, 12, COOKIE, 12)),
        ("a binding error", stun(0x0111, 16, COOKIE, 16)),
        ("another method (RFC 8656)", stun(0x0003, 8, COOKIE, 8)),
        ("the highest type", stun(0x3fff, 0, COOKIE, 0)),
        (
            "a binding request of RFC 3489",
            stun(0x0001, 0, NO_COOKIE, 0),
        ),
        (
            "a binding request of RFC 3489 with attributes",
            stun(0x0001, 8, NO_COOKIE, 8),
        ),
        (
            "a binding response of RFC 3489",
            stun(0x0101, 36, NO_COOKIE, 36),
        ),
        ("a binding error of RFC 3489", stun(0x0111, 4, NO_COOKIE, 4)),
    ] {
        hold([(what, message, Keepalive)]);
    }
}

#[test]
fn what_is_neither_sip_nor_a_keepalive_is_malformed() {
    use MessageClass::Malformed;
    for (what, payload) in [
        ("HTTP", &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..]),
        (
            "HTTP with a SIP method",
            b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        ("RTSP", b"OPTIONS / RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        (
            "RTSP with a URL",
            b"OPTIONS rtsp://a/b RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        ),
        (
            "SSDP",
            b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n",
        ),
        ("SSDP's search", b"M-SEARCH * HTTP/1.1\r\n\r\n"),
        ("MGCP", b"AUEP 1 aaln/1@a MGCP 1.0\r\n"),
        ("a word", b"hello"),
        ("words and a line end", b"hello, world\r\n"),
        ("a method without a version", b"PING sip:a@b\r\n\r\n"),
        ("a version without a number", b"PING sip:a@b SIP/\r\n\r\n"),
        (
            "a version without a minor number",
            b"PING sip:a@b SIP/2.\r\n\r\n",
        ),
        ("a version in letters", b"PING sip:a@b SIP/a.b\r\n\r\n"),
        ("a version without a blank", b"PING sip:a@bSIP/2.0\r\n\r\n"),
        (
            "a version that is not the last word",
            b"PING sip:a@b SIP/2.0 x\r\n\r\n",
        ),
        (
            "a version in the second line",
            b"PING sip:a@b\r\nX: SIP/2.0\r\n\r\n",
        ),
        ("a version alone", b" SIP/2.0\r\n\r\n"),
        ("a version and no URI", b"PING SIP/2.0\r\n\r\n"),
        (
            "an unknown method without a line end",
            b"PING sip:a@b SIP/2.0",
        ),
        (
            "a header field without a start line",
            b"User-Agent: friendly-scanner\r\n\r\n",
        ),
        (
            "RTP",
            b"\x80\x08\x5f\x1e\0\0\x0d\xc0\x3a\x6b\x1c\x02\xd5\xd5\xd5\xd5",
        ),
        ("RTCP", b"\x81\xc8\0\x06\x3a\x6b\x1c\x02\xe1\0\0\0\0\0\0\0"),
        (
            "DNS",
            b"\x1c\x07\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01",
        ),
        ("five zero bytes", b"\0\0\0\0\0"),
        ("twenty zero bytes", &[0; 20]),
        ("many zero bytes", &[0; 1000]),
        ("many 0xff", &[0xff; 1000]),
        ("a zero byte and another", b"\0\x01"),
        ("zero bytes and a line end", b"\0\0\r\n"),
        ("a line end and a zero byte", b"\r\n\0"),
        ("a blank", b" "),
        ("a byte", b"\x01"),
    ] {
        hold([(what, payload, Malformed)]);
    }
    for byte in (0..=u8::MAX).filter(|byte| !matches!(byte, 0 | b'\r' | b'\n')) {
        hold([(format!("byte {byte:#04x} alone"), [byte], Malformed)]);
    }
    for (what, message) in [
        ("a message longer than stated", stun(0x0001, 0, COOKIE, 4)),
        ("a message shorter than stated", stun(0x0001, 8, COOKIE, 4)),
        (
            "a length that is no multiple of four",
            stun(0x0001, 6, COOKIE, 6),
        ),
        (
            "a length beyond any datagram",
            stun(0x0001, 0xfffc, COOKIE, 0),
        ),
        ("its first bit set", stun(0x8001, 0, COOKIE, 0)),
        ("its second bit set", stun(0x4001, 0, COOKIE, 0)),
        ("RFC 3489's shared secret", stun(0x0002, 0, NO_COOKIE, 0)),
        (
            "an unknown method without the cookie",
            stun(0x0003, 0, NO_COOKIE, 0),
        ),
        ("ChannelData", stun(0x4000, 4, COOKIE, 4)),
    ] {
        hold([(format!("STUN with {what}"), &message, Malformed)]);
    }
    let whole = stun(0x0001, 0, COOKIE, 0);
    // Its first byte alone is a zero byte.
    for length in 2..whole.len() {
        hold([(
            format!("STUN cut to {length} bytes"),
            &whole[..length],
            Malformed,
        )]);
    }
}

#[test]
fn on_any_port_sip_is_told_by_its_first_bytes() {
    let rows: [(&[u8], bool); 26] = [
        (b"OPTIONS sip:a@b SIP/2.0\r\n\r\n", true),
        (b"OPTIONS sip:", true),
        (b"OPTIONS SIPS:a", true),
        (b"SUBSCRIBE tel:110 SIP/2.0\r\n\r\n", true),
        (b"ACK sip:a@b SIP/2.0\r\n\r\n", true),
        (b"SIP/2.0 200 OK\r\n\r\n", true),
        (b"sip/2.0 200 OK\r\n\r\n", true),
        (b"OPTIONS sip", false),
        (b"OPTIONS si:a@b SIP/2.0\r\n\r\n", false),
        (b"OPTIONS siphon:a SIP/2.0\r\n\r\n", false),
        (b"OPTIONS urn:service:sos SIP/2.0\r\n\r\n", false),
        (b"OPTIONS / RTSP/1.0\r\n\r\n", false),
        (b"NOTIFY * HTTP/1.1\r\n\r\n", false),
        (b"options sip:a@b SIP/2.0\r\n\r\n", false),
        (b"PING sip:a@b SIP/2.0\r\n\r\n", false),
        (b"\r\nOPTIONS sip:a@b SIP/2.0\r\n\r\n", false),
        (b"SIP/2.0 OK\r\n\r\n", false),
        (b"SIP/2.0", false),
        (b"GET / HTTP/1.1\r\n\r\n", false),
        (b"OPTIONS", false),
        (b"\r\n\r\n", false),
        (b"\0\0\0\0", false),
        (b"\0", false),
        (b"", false),
        (b"\x80\x08\x5f\x1e\0\0\x0d\xc0\x3a\x6b\x1c\x02", false),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", false),
    ];
    for (payload, expected) in rows {
        let text = payload.escape_ascii();
        assert_eq!(starts_like_sip(&SlicePayload(payload)), expected, "{text}");
    }
}
