//! The classifier on byte slices: what a payload is, and which tool sent it, in tables.
//!
//! What is right stands in RFC 3261 unless said otherwise; where the classifier looks no further
//! than some limit, the limit has a name here.

use sip_filter_common::{
    classify::{classify, starts_like_sip},
    payload::SlicePayload,
    signature::{
        MAX_CHAIN, MAX_PATTERN, MAX_SIGNATURES, MIN_PATTERN, Match, SignatureTable, TableError,
    },
    sip::MessageClass,
    tool::{Kind, MAX_TOOLS},
    verdict::{DropSet, Outcome, decide},
};

/// How many bytes of CR and LF alone are a keepalive, and may precede a start line.
const LINE_ENDS: usize = 32;
/// The longest method that no standard defines.
const LONGEST_METHOD: usize = 64;
/// The longest first line, with its line end, of a request that its first bytes leave open.
const LONGEST_LINE: usize = 512;
/// How far into the payload a User-Agent is found: so many bytes before its name's line end.
const SEARCHED: usize = 4096;
/// How many blanks may stand on either side of the colon.
const BLANKS: usize = 32;
/// The search goes eight bytes at a time: what depends on the place does so modulo this.
const STRIDE: usize = 8;

fn class(payload: impl AsRef<[u8]>) -> MessageClass {
    classify(&SlicePayload(payload.as_ref()), &SignatureTable::EMPTY).class
}

/// Each payload is what its row says.
fn hold<T: AsRef<[u8]>>(rows: impl IntoIterator<Item = (impl AsRef<str>, T, MessageClass)>) {
    let mut wrong = Vec::new();
    for (what, payload, expected) in rows {
        let payload = payload.as_ref();
        let class = class(payload);
        if class != expected {
            let (what, text) = (what.as_ref(), payload.escape_ascii());
            wrong.push(format!("{what}: {class:?}, not {expected:?}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// --- Start lines ---------------------------------------------------------------------------

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

// --- Keepalives ----------------------------------------------------------------------------

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

// --- User-Agents ---------------------------------------------------------------------------

const SCANNER: u8 = 1;
const PHONE: u8 = 2;

fn table(signatures: &[(&str, Match, u8)]) -> SignatureTable {
    let mut table = SignatureTable::EMPTY;
    for (pattern, how, tool) in signatures {
        if let Err(error) = table.insert(pattern.as_bytes(), *how, *tool, Kind::Scanner) {
            panic!("{pattern}: {error}");
        }
    }
    table
}

fn scanners() -> SignatureTable {
    table(&[
        ("friendly-scanner", Match::Prefix, SCANNER),
        ("Honest", Match::Prefix, PHONE),
    ])
}

/// The tool that the payload names.
fn tool(payload: impl AsRef<[u8]>, table: &SignatureTable) -> Option<u8> {
    let found = classify(&SlicePayload(payload.as_ref()), table).tool;
    found.map(|found| found.tool())
}

const START: &str = "OPTIONS sip:100@192.0.2.10 SIP/2.0\r\n";

#[test]
fn a_user_agent_is_found_however_it_is_written() {
    let table = scanners();
    let value = "friendly-scanner";
    for header in [
        "User-Agent: friendly-scanner",
        "user-agent: friendly-scanner",
        "USER-AGENT: FRIENDLY-SCANNER",
        "uSeR-aGeNt: fRiEnDlY-sCaNnEr",
        "User-Agent:friendly-scanner",
        "User-Agent:  friendly-scanner",
        "User-Agent:\tfriendly-scanner",
        "User-Agent: \t friendly-scanner",
        "User-Agent : friendly-scanner",
        "User-Agent\t:friendly-scanner",
        "User-Agent \t : \t friendly-scanner",
        "User-Agent:\r\n friendly-scanner",
        "User-Agent:\r\n\tfriendly-scanner",
        "User-Agent: \r\n  friendly-scanner",
        "User-Agent:\n friendly-scanner",
        "User-Agent: friendly-scanner ",
        "User-Agent: friendly-scanner/1.0 (x)",
    ] {
        for (what, message) in [
            ("alone", format!("{START}{header}\r\n\r\n")),
            (
                "first",
                format!("{START}{header}\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"),
            ),
            (
                "in the middle",
                format!("{START}Call-ID: 1\r\n{header}\r\nCSeq: 1 OPTIONS\r\n\r\n"),
            ),
            (
                "last",
                format!("{START}Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n{header}\r\n\r\n"),
            ),
            (
                "before a body",
                format!("{START}{header}\r\n\r\nv=0\r\ns=-\r\n"),
            ),
            (
                "with LF alone",
                format!("{START}Call-ID: 1\r\n{header}\r\n\r\n").replace("\r\n", "\n"),
            ),
            (
                "with LF around it",
                format!("{START}Call-ID: 1\n{header}\nCSeq: 1 OPTIONS\r\n\r\n"),
            ),
            (
                "before the end",
                format!("{START}Call-ID: 1\r\n{header}\r\n"),
            ),
            ("at the very end", format!("{START}Call-ID: 1\r\n{header}")),
            (
                "behind line ends",
                format!("\r\n\r\n{START}{header}\r\n\r\n"),
            ),
            (
                "in an unknown request",
                format!("PING sip:a@b SIP/2.0\r\n{header}\r\n\r\n"),
            ),
            (
                "in a request of an odd scheme",
                format!("INVITE urn:a SIP/2.0\r\n{header}\r\n\r\n"),
            ),
            (
                "behind a folded header",
                format!("{START}Subject: a\r\n b\r\n{header}\r\n\r\n"),
            ),
            (
                "behind an empty folded line",
                format!("{START}Subject: a\r\n \r\n{header}\r\n\r\n"),
            ),
            (
                "behind empty headers",
                format!("{START}Subject:\r\nX:\r\n{header}\r\n\r\n"),
            ),
            (
                "behind others named alike",
                format!("{START}User: a\r\nAgent: b\r\n{header}\r\n\r\n"),
            ),
            (
                "behind its beginning",
                format!("{START}User-Age: 1\r\n{header}\r\n\r\n"),
            ),
            (
                "behind a longer name",
                format!("{START}User-Agents: a\r\n{header}\r\n\r\n"),
            ),
            (
                "behind a mention",
                format!("{START}X-User-Agent: a\r\n{header}\r\n\r\n"),
            ),
        ] {
            let text = message.escape_debug();
            assert!(header.to_lowercase().contains(value), "{header}");
            assert_eq!(tool(&message, &table), Some(SCANNER), "{what}: {text}");
        }
    }
}

#[test]
fn what_is_no_user_agent_is_not_taken_for_one() {
    let table = scanners();
    let start = "OPTIONS sip:friendly-scanner@192.0.2.10 SIP/2.0\r\n";
    for (what, rest) in [
        (
            "in From",
            "From: \"friendly-scanner\" <sip:friendly-scanner@b>\r\n\r\n",
        ),
        ("in Call-ID", "Call-ID: friendly-scanner\r\n\r\n"),
        ("in Server", "Server: friendly-scanner\r\n\r\n"),
        (
            "in another header",
            "X-User-Agent: friendly-scanner\r\n\r\n",
        ),
        ("in a longer name", "User-Agents: friendly-scanner\r\n\r\n"),
        (
            "in a longer name with a dash",
            "User-Agent-X: friendly-scanner\r\n\r\n",
        ),
        ("in a shorter name", "User-Agen: friendly-scanner\r\n\r\n"),
        (
            "with a blank for the dash",
            "User Agent: friendly-scanner\r\n\r\n",
        ),
        ("with another dash", "User_Agent: friendly-scanner\r\n\r\n"),
        ("without a colon", "User-Agent friendly-scanner\r\n\r\n"),
        ("with a semicolon", "User-Agent; friendly-scanner\r\n\r\n"),
        (
            "in a folded line",
            "Subject: a\r\n User-Agent: friendly-scanner\r\n\r\n",
        ),
        (
            "in a line folded with a tab",
            "Subject: a\r\n\tUser-Agent: friendly-scanner\r\n\r\n",
        ),
        (
            "in a value",
            "Subject: User-Agent: friendly-scanner\r\n\r\n",
        ),
        (
            "behind CR alone",
            "Subject: a\rUser-Agent: friendly-scanner\r\n\r\n",
        ),
        ("in a body", "\r\nUser-Agent: friendly-scanner\r\n"),
        (
            "in a body behind a header",
            "Call-ID: 1\r\n\r\nUser-Agent: friendly-scanner\r\n\r\n",
        ),
        (
            "in the middle of a body",
            "Call-ID: 1\r\n\r\na\r\nUser-Agent: friendly-scanner\r\n",
        ),
        (
            "in a body with LF",
            "Call-ID: 1\n\nUser-Agent: friendly-scanner\n",
        ),
        (
            "in a body behind LF CR LF",
            "Call-ID: 1\n\r\nUser-Agent: friendly-scanner\n",
        ),
        (
            "in a body behind CR LF LF",
            "Call-ID: 1\r\n\nUser-Agent: friendly-scanner\n",
        ),
        (
            "not at the value's beginning",
            "User-Agent: a friendly-scanner\r\n\r\n",
        ),
        ("in quotes", "User-Agent: \"friendly-scanner\"\r\n\r\n"),
        ("cut off", "User-Agent: friendly-scanne\r\n\r\n"),
        ("at the end, cut off", "User-Agent: friendly-scanne"),
        ("folded", "User-Agent: friendly-\r\n scanner\r\n\r\n"),
        ("an empty value", "User-Agent:\r\n\r\n"),
        (
            "an empty value before another header",
            "User-Agent:\r\nfriendly-scanner: 1\r\n\r\n",
        ),
        ("no value", "User-Agent:"),
        ("a name at the end", "User-Agent"),
        ("a blank at the end", "User-Agent: "),
        (
            "an honest one before a body",
            "User-Agent: a\r\n\r\nUser-Agent: friendly-scanner\r\n",
        ),
    ] {
        assert_eq!(tool(format!("{start}{rest}"), &table), None, "{what}");
    }
    // The field stands once in a message (section 7.3.1): it is the first one that is read.
    let twice = "User-Agent: Honest\r\nUser-Agent: friendly-scanner\r\n\r\n";
    assert_eq!(tool(format!("{start}{twice}"), &table), Some(PHONE));
}

#[test]
fn only_requests_are_judged() {
    let table = scanners();
    let header = "User-Agent: friendly-scanner\r\n\r\n";
    for (start, is_judged) in [
        ("OPTIONS sip:a@b SIP/2.0\r\n", true),
        ("PING sip:a@b SIP/2.0\r\n", true),
        ("SIP/2.0 200 OK\r\n", false),
        ("sip/2.0 200 OK\r\n", false),
        ("\r\nSIP/2.0 200 OK\r\n", false),
        ("GET / HTTP/1.1\r\n", false),
        ("OPTIONS / RTSP/1.0\r\n", false),
        ("OPTIONS\r\n", false),
        ("", false),
        ("\r\n\r\n", false),
    ] {
        let found = tool(format!("{start}{header}"), &table);
        assert_eq!(found.is_some(), is_judged, "{start:?}");
    }
}

#[test]
fn a_user_agent_is_found_at_every_offset() {
    let table = scanners();
    let header = "User-Agent: friendly-scanner";
    // The padding ends in the line end before the name.
    for line_end in ["\r\n", "\n"] {
        for padding in 0..=4000 {
            let before = format!("{START}X:{}{line_end}", "x".repeat(padding));
            for (what, message) in [
                (
                    "in the middle",
                    format!("{before}{header}\r\nCall-ID: 1\r\n\r\n"),
                ),
                ("last", format!("{before}{header}\r\n\r\n")),
                ("at the end", format!("{before}{header}")),
            ] {
                let offset = before.len();
                assert_eq!(tool(&message, &table), Some(SCANNER), "{what}, at {offset}");
            }
        }
    }
    // It is found as far as the search goes, whatever the offset, and not beyond.
    for (line_feed, expected) in [
        (SEARCHED - 2 * STRIDE, Some(SCANNER)),
        (SEARCHED - STRIDE - 1, Some(SCANNER)),
        (SEARCHED - STRIDE, Some(SCANNER)),
        (SEARCHED, None),
        (SEARCHED + 1000, None),
    ] {
        let padding = "x".repeat(line_feed - START.len() - 3);
        let message = format!("{START}X:{padding}\r\n{header}\r\n\r\n");
        assert_eq!(message.as_bytes()[line_feed], b'\n');
        assert_eq!(tool(message, &table), expected, "line feed at {line_feed}");
    }
}

#[test]
fn a_user_agent_in_a_body_is_none_at_every_offset() {
    let table = scanners();
    for padding in 0..200 {
        for empty_line in ["\r\n\r\n", "\n\n", "\r\n\n", "\n\r\n"] {
            for leading in 0..STRIDE {
                let before = format!("{}{START}X:{}", "\n".repeat(leading), "x".repeat(padding));
                for between in ["", "\r\n", "a=b\r\n", "a=b\r\nc=d\r\n", &"e".repeat(500)] {
                    let rest = format!("{between}\nUser-Agent: friendly-scanner\r\n");
                    let message = format!("{before}{empty_line}{rest}");
                    let text = message.escape_debug();
                    assert_eq!(tool(&message, &table), None, "{text}");
                }
            }
        }
    }
}

#[test]
fn every_byte_of_the_name_counts() {
    let table = scanners();
    let name = b"\nUser-Agent";
    for place in 0..STRIDE {
        let before = format!("{START}X:{}", "x".repeat(place));
        for at in 0..name.len() {
            for byte in 0..=u8::MAX {
                let mut changed = *name;
                changed[at] = byte;
                let message = [before.as_bytes(), &changed, b": friendly-scanner\r\n\r\n"].concat();
                let expected = byte.eq_ignore_ascii_case(&name[at]).then_some(SCANNER);
                let text = changed.escape_ascii();
                assert_eq!(tool(message, &table), expected, "{text}, place {place}");
            }
        }
    }
}

#[test]
fn blanks_around_the_colon_are_skipped_so_many() {
    let table = scanners();
    for (blanks, expected) in [
        (BLANKS / 2, Some(SCANNER)),
        (BLANKS - 1, Some(SCANNER)),
        (BLANKS, Some(SCANNER)),
        (2 * BLANKS, None),
    ] {
        let many = " ".repeat(blanks);
        for header in [
            format!("User-Agent:{many}friendly-scanner"),
            format!("User-Agent{many}:friendly-scanner"),
        ] {
            assert_eq!(
                tool(format!("{START}{header}\r\n\r\n"), &table),
                expected,
                "{header}"
            );
        }
    }
}

// --- Signatures ----------------------------------------------------------------------------

/// What the table finds in a request with this User-Agent, wherever it stands and whatever
/// follows it.
fn found(table: &SignatureTable, value: &[u8]) -> Option<u8> {
    let mut all = Vec::new();
    for padding in 0..STRIDE {
        let before = format!("{START}X:{}\r\nUser-Agent: ", "x".repeat(padding));
        for (what, after) in [
            ("behind it a header", "\r\nCall-ID: 1\r\n\r\n"),
            ("behind it a header, with LF", "\nCall-ID: 1\n\n"),
            ("last", "\r\n\r\n"),
            ("last, with LF", "\n\n"),
            ("before a body", "\r\n\r\nv=0\r\n"),
            ("before the end", "\r\n"),
            ("before the end, with LF", "\n"),
            ("at the very end", ""),
        ] {
            let message = [before.as_bytes(), value, after.as_bytes()].concat();
            all.push((what, padding, tool(message, table)));
        }
    }
    let (_, _, expected) = all[0];
    let others: Vec<_> = all.iter().filter(|(.., tool)| *tool != expected).collect();
    let text = value.escape_ascii();
    assert!(
        others.is_empty(),
        "{text}: {expected:?} as a rule, but {others:?}"
    );
    expected
}

#[test]
fn a_pattern_of_any_length_meets_its_value_alone() {
    // Letters of both cases, digits and signs.
    let text = b"Abc-9/X_yZ 1.2;(q)tUv+wX=y@z#5%6&7*8!~`^|{}[]<>?,'\"$ kLmNoPqRsTu";
    for length in 1..=MAX_PATTERN {
        let pattern = &text[..length];
        let longer = [pattern, b"x"].concat();
        let mut other = pattern.to_vec();
        other[length - 1] ^= 1;
        let cases = [pattern.to_ascii_lowercase(), pattern.to_ascii_uppercase()];
        for how in [Match::Exact, Match::Prefix] {
            if how == Match::Prefix && length < MIN_PATTERN {
                continue;
            }
            let what = format!("{} {}", how.name(), pattern.escape_ascii());
            let mut table = SignatureTable::EMPTY;
            let inserted = table.insert(pattern, how, SCANNER, Kind::Scanner);
            assert_eq!(inserted, Ok(()), "{what}");
            assert_eq!(found(&table, pattern), Some(SCANNER), "{what}");
            for case in &cases {
                assert_eq!(found(&table, case), Some(SCANNER), "{what} in another case");
            }
            let blanks = [pattern, b" \t "].concat();
            assert_eq!(found(&table, &blanks), Some(SCANNER), "{what} and blanks");
            let expected = (how == Match::Prefix).then_some(SCANNER);
            assert_eq!(found(&table, &longer), expected, "{what}, one byte more");
            assert_eq!(found(&table, &other), None, "{what}, another last byte");
            // What ends in a blank has another end when it is cut off, or it is an exact value
            // with less behind it.
            let shorter = pattern[..length - 1].trim_ascii_end();
            assert_eq!(found(&table, shorter), None, "{what}, cut off");
        }
    }
}

#[test]
fn an_exact_pattern_is_the_whole_value() {
    let table = table(&[
        ("PBX", Match::Exact, 1),
        ("x", Match::Exact, 2),
        ("pplsip", Match::Exact, 3),
        ("two words", Match::Exact, 4),
    ]);
    for (value, expected) in [
        ("PBX", Some(1)),
        ("pbx", Some(1)),
        ("PBX ", Some(1)),
        ("PBX\t", Some(1)),
        ("PBX        ", Some(1)),
        ("PBXact", None),
        ("PBX 2", None),
        ("PB", None),
        ("x", Some(2)),
        ("X", Some(2)),
        ("xx", None),
        ("x y", None),
        ("pplsip", Some(3)),
        ("pplsip2", None),
        ("pplsip  2", None),
        ("pplsi", None),
        ("two words", Some(4)),
        ("two  words", None),
        ("two", None),
    ] {
        assert_eq!(found(&table, value.as_bytes()), expected, "{value:?}");
    }
}

#[test]
fn the_longest_pattern_names_the_value_and_of_equals_the_first() {
    let signatures = [
        ("frie", Match::Prefix, 1),
        ("friendly", Match::Prefix, 2),
        ("friendly-scanner", Match::Prefix, 3),
        ("friendly-scanner/2", Match::Exact, 4),
        ("friendly-s", Match::Exact, 5),
        ("friendly", Match::Exact, 6),
    ];
    let expected = [
        ("frie", Some(1)),
        ("friends", Some(1)),
        ("friendly", Some(2)),
        ("friendly!", Some(2)),
        ("friendly-s", Some(5)),
        ("friendly-scan", Some(2)),
        ("friendly-scanner", Some(3)),
        ("friendly-scanner/1", Some(3)),
        ("friendly-scanner/2", Some(4)),
        ("friendly-scanner/2.1", Some(3)),
        ("fri", None),
        ("foe", None),
    ];
    // In any order; the two equally long ones keep theirs.
    for turn in 0..signatures.len() {
        let mut turned = signatures;
        turned.rotate_left(turn);
        let table = table(&turned);
        let place = |tool| turned.iter().position(|signature| signature.2 == tool);
        for (value, expected) in expected {
            let expected = match (value, place(6) < place(2)) {
                ("friendly", true) => Some(6),
                _ => expected,
            };
            assert_eq!(
                found(&table, value.as_bytes()),
                expected,
                "{value}, {turned:?}"
            );
        }
    }
}

#[test]
fn a_full_chain_is_looked_through_to_its_end() {
    let mut table = SignatureTable::EMPTY;
    let pattern = |number: usize| format!("same{}", ["z"; 16][..number].concat());
    for number in 0..MAX_CHAIN {
        let pattern = format!("{}{number}", pattern(number));
        let inserted = table.insert(
            pattern.as_bytes(),
            Match::Prefix,
            number as u8,
            Kind::Fuzzer,
        );
        assert_eq!(inserted, Ok(()), "{pattern}");
    }
    let whole = table;
    for other in ["samex", "SAME", "same-of-any-length"] {
        let refused = table.insert(other.as_bytes(), Match::Prefix, 90, Kind::Scanner);
        assert_eq!(refused, Err(TableError::ChainTooLong), "{other}");
    }
    for table in [&whole, &table] {
        for number in 0..MAX_CHAIN {
            let value = format!("{}{number} 1.0", pattern(number));
            assert_eq!(
                found(table, value.as_bytes()),
                Some(number as u8),
                "{value}"
            );
        }
        assert_eq!(found(table, b"same"), None);
        assert_eq!(found(table, b"samex"), None);
    }
}

#[test]
fn a_full_table_finds_each_of_its_patterns() {
    let mut table = SignatureTable::EMPTY;
    let pattern = |number: usize| format!("{number:04}-tool");
    let tool_of = |number: usize| (number % MAX_TOOLS) as u8;
    for number in 0..MAX_SIGNATURES {
        let inserted = table.insert(
            pattern(number).as_bytes(),
            Match::Prefix,
            tool_of(number),
            Kind::ALL[number % Kind::ALL.len()],
        );
        assert_eq!(inserted, Ok(()), "{number}");
    }
    let one_more = table.insert(b"one more", Match::Prefix, 0, Kind::Scanner);
    assert_eq!(one_more, Err(TableError::Full));
    for number in 0..MAX_SIGNATURES {
        let message = format!("{START}User-Agent: {}/1.0\r\n\r\n", pattern(number));
        let Some(found) = classify(&SlicePayload(message.as_bytes()), &table).tool else {
            panic!("{number} is not found")
        };
        let kind = Kind::ALL[number % Kind::ALL.len()];
        assert_eq!(found.tool(), tool_of(number), "{number}");
        assert_eq!(found.kind(), kind, "{number}");
        assert_eq!(found.is_hostile(), kind.is_dropping(), "{number}");
    }
    assert_eq!(found(&table, b"9999-tool"), None);
}

#[test]
fn patterns_that_cannot_be_are_refused_and_change_nothing() {
    let mut table = scanners();
    let longest = [b'x'; MAX_PATTERN + 1];
    for (what, pattern, how, tool, expected) in [
        (
            "no prefix",
            &b""[..],
            Match::Prefix,
            0,
            TableError::TooShort,
        ),
        (
            "a prefix of three bytes",
            b"abc",
            Match::Prefix,
            0,
            TableError::TooShort,
        ),
        ("no exact value", b"", Match::Exact, 0, TableError::TooShort),
        (
            "a prefix too long",
            &longest,
            Match::Prefix,
            0,
            TableError::TooLong,
        ),
        (
            "a value too long",
            &longest,
            Match::Exact,
            0,
            TableError::TooLong,
        ),
        (
            "a zero byte",
            b"a\0bcd",
            Match::Prefix,
            0,
            TableError::Unmatchable,
        ),
        (
            "a line end",
            b"abcd\n",
            Match::Prefix,
            0,
            TableError::Unmatchable,
        ),
        ("CR", b"\rabcd", Match::Exact, 0, TableError::Unmatchable),
        (
            "no such tool",
            b"abcd",
            Match::Prefix,
            MAX_TOOLS as u8,
            TableError::NoSuchTool,
        ),
        (
            "the highest number",
            b"abcd",
            Match::Exact,
            255,
            TableError::NoSuchTool,
        ),
    ] {
        let refused = table.insert(pattern, how, tool, Kind::Scanner);
        assert_eq!(refused, Err(expected), "{what}");
        assert!(!expected.to_string().is_empty(), "{what}");
    }
    assert_eq!(found(&table, b"friendly-scanner"), Some(SCANNER));
    assert_eq!(found(&table, b"abcd"), None);
    assert_eq!(
        table.insert(b"abcd", Match::Prefix, MAX_TOOLS as u8 - 1, Kind::Dialer),
        Ok(())
    );
    assert_eq!(found(&table, b"abcde"), Some(MAX_TOOLS as u8 - 1));
}

/// A table without signatures finds nothing, not even in an empty value.
#[test]
fn without_signatures_nothing_is_found() {
    for value in [&b""[..], b"\0\0\0\0", b"friendly-scanner", b" "] {
        assert_eq!(found(&SignatureTable::EMPTY, value), None);
        assert_eq!(found(&SignatureTable::EMPTY, &[value, b"x"].concat()), None);
    }
}

// --- Verdicts ------------------------------------------------------------------------------

#[test]
fn the_first_rule_that_matches_decides() {
    use MessageClass as C;
    use Outcome::{Malformed as M, Options as O, Passed as P, Signature as S, WouldDrop as W};

    /// A tool of this kind, as the classifier gives it.
    fn tool_of(kind: Kind) -> sip_filter_common::classify::Classification {
        let mut table = SignatureTable::EMPTY;
        let inserted = table.insert(b"tool", Match::Prefix, 0, kind);
        assert_eq!(inserted, Ok(()));
        let message = format!("{START}User-Agent: tool\r\n\r\n");
        classify(&SlicePayload(message.as_bytes()), &table)
    }

    let packets = [
        (C::Options, Some(Kind::Scanner)),
        (C::Register, Some(Kind::Cracker)),
        (C::Other, Some(Kind::Fuzzer)),
        (C::Invite, Some(Kind::Dialer)),
        (C::Options, Some(Kind::TestTool)),
        (C::Register, Some(Kind::Library)),
        (C::Options, None),
        (C::Invite, None),
        (C::Response, None),
        (C::Keepalive, None),
        (C::Malformed, None),
    ];
    let [scanners, options, malformed] = DropSet::NAMES.map(|(_, set)| set);
    let verdicts = [
        (DropSet::NOTHING, [W, W, W, W, P, P, P, P, P, P, P]),
        (scanners, [S, S, S, S, P, P, P, P, P, P, P]),
        (options, [O, W, W, W, O, P, O, P, P, P, P]),
        (malformed, [W, W, W, W, P, P, P, P, P, P, M]),
        (scanners.union(options), [S, S, S, S, O, P, O, P, P, P, P]),
        (scanners.union(malformed), [S, S, S, S, P, P, P, P, P, P, M]),
        (options.union(malformed), [O, W, W, W, O, P, O, P, P, P, M]),
        (
            scanners.union(options).union(malformed),
            [S, S, S, S, O, P, O, P, P, P, M],
        ),
    ];
    for (set, outcomes) in verdicts {
        for ((class, kind), expected) in packets.into_iter().zip(outcomes) {
            let tool = kind.and_then(|kind| tool_of(kind).tool);
            assert_eq!(tool.is_some(), kind.is_some());
            let outcome = decide(set, class, tool);
            assert_eq!(outcome, expected, "{class:?} of {kind:?}, dropping {set:?}");
            assert_eq!(outcome.is_drop(), matches!(expected, S | O | M));
            assert_eq!(outcome.is_would_drop(), expected == W);
        }
    }
    // No rule names the rest: it passes whatever is dropped.
    for class in C::ALL {
        let outcome = decide(scanners.union(options).union(malformed), class, None);
        let expected = match class {
            C::Options => O,
            C::Malformed => M,
            _ => P,
        };
        assert_eq!(outcome, expected, "{class:?}");
    }
}

// --- Anything ------------------------------------------------------------------------------

/// A message that is cut off anywhere is what its beginning says, and no read leaves it.
#[test]
fn a_message_cut_off_anywhere_is_still_classified() {
    use MessageClass::{Invite, Keepalive, Malformed, Options, Other, Response};
    let call = "INVITE sip:a@b SIP/2.0\r\nFrom: <sip:c@d>;tag=1\r\nUser-Agent: friendly-scanner\r\n\
                Content-Type: application/sdp\r\n\r\nv=0\r\nUser-Agent: friendly-scanner\r\n";
    let agent_ends = call
        .find("friendly-scanner")
        .map(|at| at + "friendly-scanner".len());
    // What it is as soon as so many bytes are there; malformed before.
    for (message, known_from, expected) in [
        (call, "INVITE sip:".len(), Invite),
        (
            "OPTIONS sips:a@b SIP/2.0\r\nUser-Agent: x\r\n\r\n",
            "OPTIONS sips".len(),
            Options,
        ),
        (
            "PING sip:a@b SIP/2.0\r\nA: b\r\n\r\n",
            "PING sip:a@b SIP/2.0\r\n".len(),
            Other,
        ),
        (
            "OPTIONS urn:a SIP/2.0\nA: b\n\n",
            "OPTIONS urn:a SIP/2.0\n".len(),
            Options,
        ),
        (
            "SIP/2.0 200 OK\r\nUser-Agent: friendly-scanner\r\n\r\n",
            "SIP/2.0 2".len(),
            Response,
        ),
    ] {
        let table = scanners();
        for length in 0..=message.len() {
            let payload = &message.as_bytes()[..length];
            let found = classify(&SlicePayload(payload), &table);
            let expected = match length {
                0 => Keepalive,
                length if length < known_from => Malformed,
                _ => expected,
            };
            let text = payload.escape_ascii();
            assert_eq!(found.class, expected, "{text}");
            let named = message == call && Some(length) >= agent_ends;
            assert_eq!(found.tool.is_some(), named, "{text}");
        }
    }
}

/// Whatever the bytes are, the classifier gives an answer, and a tool for requests alone.
#[test]
fn any_bytes_are_classified() {
    let table = scanners();
    let pieces: [&[u8]; 12] = [
        b"OPTIONS sip:a@b SIP/2.0",
        b"PING ",
        b"\r\nUser-Agent: ",
        b"friendly-scanner",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\0",
        b"\xff\xff\xff",
        b"SIP/2.0 200",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42",
    ];
    // Marsaglia's xorshift64: without a pattern, and the same in each run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..200_000 {
        let mut payload = Vec::new();
        for _ in 0..random(12) {
            payload.extend(pieces[random(pieces.len())]);
        }
        let found = classify(&SlicePayload(&payload), &table);
        if found.tool.is_some() {
            assert!(found.class.is_request(), "{}", payload.escape_ascii());
        }
    }
}
