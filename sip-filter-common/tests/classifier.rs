//! The classifier on byte slices: what a payload is, and which tool sent it, in tables.
//!
//! What is right stands in RFC 3261 unless said otherwise; where the classifier looks no further
//! than some limit, the limit has a name here.

use std::cell::RefCell;

use sip_filter_common::{
    abi::Address,
    classify::{self, Classification, Destination, Work, starts_like_sip},
    field::{Detector, Field, Match},
    payload::SlicePayload,
    signature::{
        MAX_CHAIN, MAX_PATTERN, MAX_SIGNATURES, MIN_CONTAINS, MIN_PREFIX, SignatureTable,
        TableError,
    },
    sip::MessageClass,
    tool::{Found, Kind, MAX_TOOLS},
    verdict::{DropSet, Met, Outcome, decide},
};

/// How many bytes of CR and LF alone are a keepalive, and may precede a start line.
const LINE_ENDS: usize = 32;
/// The longest method that no standard defines.
const LONGEST_METHOD: usize = 64;
/// The longest first line, with its line end, of a request that its first bytes leave open.
const LONGEST_LINE: usize = 512;
/// The longest payload whose header is searched.
const SEARCHED: usize = 9215;
/// How many blanks may stand on either side of the colon.
const BLANKS: usize = 64;
/// How often a line may be folded on either side of the colon.
const FOLDS: usize = 8;
/// How many blanks may stand behind an exact value.
const TRAILING: usize = 8;
/// The search goes so many bytes at a time: what depends on the place does so modulo this.
const CHUNK: usize = 64;

fn room() -> Box<Work> {
    Box::new(const { Work::EMPTY })
}

thread_local! {
    /// Never cleared, as in the kernel.
    static USED: RefCell<Box<Work>> = RefCell::new(room());
}

/// What the payload is. What was in the room before makes no difference.
fn classify(payload: &[u8], destination: &Destination, table: &SignatureTable) -> Classification {
    let payload = SlicePayload(payload);
    let classified = classify::classify(&payload, destination, table, &mut room());
    let again = USED.with_borrow_mut(|work| classify::classify(&payload, destination, table, work));
    let text = payload.0.escape_ascii();
    assert_eq!(classified, again, "in a room that was used before: {text}");
    classified
}

fn class(payload: impl AsRef<[u8]>) -> MessageClass {
    static NOTHING: SignatureTable = SignatureTable::EMPTY;
    classify(payload.as_ref(), &Destination::NONE, &NOTHING).class
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

/// A table of scanners, each known by one field.
fn table_of(signatures: &[(Field, Match, &str, u8)]) -> SignatureTable {
    let mut table = SignatureTable::EMPTY;
    for (number, (field, how, pattern, tool)) in (0..).zip(signatures) {
        let found = Found::new(*tool, Kind::Scanner);
        if let Err(error) = table.insert(number, *field, *how, pattern.as_bytes(), found) {
            panic!("{pattern}: {error}");
        }
    }
    table
}

/// A table of scanners, each known by its User-Agent.
fn table(signatures: &[(&str, Match, u8)]) -> SignatureTable {
    let signatures = signatures.iter();
    let signatures: Vec<_> = signatures
        .map(|(pattern, how, tool)| (Field::UserAgent, *how, *pattern, *tool))
        .collect();
    table_of(&signatures)
}

fn scanners() -> SignatureTable {
    table(&[
        ("friendly-scanner", Match::Prefix, SCANNER),
        ("Honest", Match::Prefix, PHONE),
    ])
}

/// The tool that the payload names.
fn tool(payload: impl AsRef<[u8]>, table: &SignatureTable) -> Option<u8> {
    let found = classify(payload.as_ref(), &Destination::NONE, table).tool();
    found.map(|found| found.tool())
}

/// Whether one of these is found; nothing, where there are none.
fn is_one_of(found: Option<u8>, expected: &[u8]) -> bool {
    match found {
        Some(tool) => expected.contains(&tool),
        None => expected.is_empty(),
    }
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
}

/// The field stands once in a message (RFC 3261 section 7.3.1); one that stands there more often is
/// a tool's if any is. What may be dropped goes before what only counts; which of equals is named
/// is not said.
#[test]
fn every_user_agent_is_tried() {
    const CRACKER: u8 = 3;
    let mut table = SignatureTable::EMPTY;
    for (number, pattern, tool, kind) in [
        (0, "friendly-scanner", SCANNER, Kind::Scanner),
        (1, "Honest", PHONE, Kind::Library),
        (2, "sipcracker", CRACKER, Kind::Cracker),
    ] {
        let found = Found::new(tool, kind);
        let pattern = pattern.as_bytes();
        let inserted = table.insert(number, Field::UserAgent, Match::Prefix, pattern, found);
        assert_eq!(inserted, Ok(()));
    }
    for (agents, expected) in [
        (&["x", "friendly-scanner"][..], &[SCANNER][..]),
        (&["friendly-scanner", "x"], &[SCANNER]),
        (&["x", "y", "z", "friendly-scanner"], &[SCANNER]),
        (
            &["friendly", "friendly-scanne", "friendly-scanner"],
            &[SCANNER],
        ),
        (&["", " ", "friendly-scanner"], &[SCANNER]),
        (&["x", "Honest"], &[PHONE]),
        (&["Honest", "friendly-scanner"], &[SCANNER]),
        (&["friendly-scanner", "Honest"], &[SCANNER]),
        (&["Honest", "x", "sipcracker", "Honest"], &[CRACKER]),
        (&["friendly-scanner", "sipcracker"], &[SCANNER, CRACKER]),
        (&["sipcracker", "friendly-scanner"], &[SCANNER, CRACKER]),
        (
            &["Honest", "x", "sipcracker", "friendly-scanner"],
            &[SCANNER, CRACKER],
        ),
        (&["x", "y"], &[]),
    ] {
        for between in ["", "Call-ID: 1\r\n", "X: 1\r\n\t2\r\n"] {
            for padding in 0..2 * CHUNK {
                let lines = agents
                    .iter()
                    .map(|agent| format!("{between}User-Agent: {agent}\r\n"));
                let lines: String = lines.collect();
                let message = format!("{START}X:{}\r\n{lines}\r\n", "x".repeat(padding));
                let found = tool(&message, &table);
                assert!(is_one_of(found, expected), "{found:?}: {message:?}");
            }
        }
    }
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
        for padding in (0..=1600).chain((1600..9000).step_by(61)) {
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
    // It is found as far as the search goes, and in what is longer nothing is.
    for (length, expected) in [
        (SEARCHED - CHUNK, Some(SCANNER)),
        (SEARCHED - 1, Some(SCANNER)),
        (SEARCHED, Some(SCANNER)),
        (SEARCHED + 1, None),
        (SEARCHED + CHUNK, None),
        (60_000, None),
    ] {
        for after in ["", "\r\n", "\r\n\r\n"] {
            let rest = format!("\r\n{header}{after}");
            let padding = "x".repeat(length - START.len() - 2 - rest.len());
            let last = format!("{START}X:{padding}{rest}");
            let first = format!("{START}{header}\r\nX:{padding}{after}");
            assert_eq!(last.len(), length);
            assert_eq!(tool(last, &table), expected, "{length} bytes, last");
            assert_eq!(tool(first, &table), expected, "{length} bytes, first");
        }
    }
}

/// Lines cost something, and so does what stands between them.
#[test]
fn behind_many_lines_a_user_agent_alone_is_found() {
    let table = table_of(&[
        (Field::UserAgent, Match::Prefix, "friendly-scanner", SCANNER),
        (Field::From, Match::Prefix, "<sip:scan", PHONE),
    ]);
    for (line, few, many) in [
        ("X: 1\r\n", 40, 70),
        ("X:1\n", 40, 70),
        ("From: a\r\n", 9, 50),
        ("User-Agents: friendly-scanner\r\n", 11, 50),
    ] {
        for lines in (0..=few).chain([many, 80, 90, 100, 120]) {
            let before = format!("{START}{}", line.repeat(lines));
            let agent = "User-Agent: friendly-scanner\r\n";
            let message = format!("{before}{agent}\r\n");
            assert_eq!(tool(message, &table), Some(SCANNER), "{lines} of {line:?}");
            let message = format!("{before}\r\n{agent}\r\n");
            assert_eq!(tool(message, &table), None, "a body, {lines} of {line:?}");
            let message = format!("{before}{agent}\r\nUser-Agent: x\r\n");
            let found = tool(message, &table);
            assert_eq!(
                found,
                Some(SCANNER),
                "another in a body, {lines} of {line:?}"
            );
            let expected = if lines <= few { Some(PHONE) } else { None };
            let message = format!("{before}From: <sip:scan@a>\r\n\r\n");
            assert_eq!(tool(message, &table), expected, "From, {lines} of {line:?}");
        }
    }
}

/// A field of each name that signatures may be about, as an honest phone has it.
const HONEST: [(&str, &str); 7] = [
    ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
    ("From", "<sip:100@192.0.2.10>;tag=1"),
    ("To", "<sip:100@192.0.2.10>"),
    ("Call-ID", "1@192.0.2.1"),
    ("CSeq", "1 OPTIONS"),
    ("Contact", "<sip:100@192.0.2.1>"),
    ("User-Agent", "Somephone 1.0"),
];

/// Where each field that a signature may be about was seen, no more is read: but the first of each
/// name is looked at, wherever it stands.
#[test]
fn the_first_of_a_name_is_looked_at_wherever_it_stands() {
    for (field, names) in NAMES {
        let table = table_of_field(field);
        let others = HONEST.into_iter().filter(|(name, _)| *name != names[0]);
        let others = others.map(|(name, value)| format!("{name}: {value}\r\n"));
        let others: String = others.collect();
        for padding in 0..1_000 {
            let before = format!("{START}{others}X:{}\r\n", "x".repeat(padding));
            for (value, expected) in [(BEGINNING, Some(1)), (WHOLE, Some(2)), ("sip:w-2", None)] {
                for after in [
                    "",
                    "\r\n\r\n",
                    &format!("\r\nX:{}\r\n\r\n", "x".repeat(700)),
                ] {
                    let message = format!("{before}{}: {value}{after}", names[0]);
                    assert_eq!(tool(&message, &table), expected, "{message:?}");
                }
            }
        }
    }
}

/// There is room for some lines that have a name, or seem to at first; a User-Agent is found without.
#[test]
fn behind_lines_that_take_up_all_room_a_user_agent_is_found() {
    let table = table_of(&[
        (Field::UserAgent, Match::Prefix, "friendly-scanner", SCANNER),
        (Field::Contact, Match::Exact, "*", PHONE),
    ]);
    let others: String = HONEST[..6]
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    for taking in [
        "Via: SIP/2.0/UDP 192.0.2.1\r\n",
        "Content-Type: text/plain\r\n",
        "Us: 1\r\n",
        "m:  <sip:a@b>\r\n",
        "X:\t\t\t\t\r\n",
    ] {
        for lines in [0, 3, 8, 12, 25, 40] {
            for padding in (0..8).chain(200..500) {
                let padding = "x".repeat(padding);
                let before = format!("{START}{others}{}X:{padding}\r\n", taking.repeat(lines));
                let agent = "User-Agent: friendly-scanner\r\n";
                for (message, expected) in [
                    (format!("{before}{agent}\r\n"), Some(SCANNER)),
                    (format!("{before}{agent}Y:{padding}\r\n\r\n"), Some(SCANNER)),
                    (format!("{before}\r\n{agent}\r\n"), None),
                ] {
                    assert_eq!(tool(&message, &table), expected, "{message:?}");
                }
            }
        }
    }
}

/// Neither is what another packet left behind the header's end.
#[test]
fn a_line_cut_off_by_what_was_read_takes_no_room() {
    let table = table_of(&[
        (Field::UserAgent, Match::Prefix, "friendly-scanner", SCANNER),
        (Field::From, Match::Prefix, "<sip:scan", PHONE),
    ]);
    for lines in 7..=10 {
        let taking = "Us: 1\r\n".repeat(lines);
        for (padding, tail) in
            (0..2 * CHUNK).flat_map(|padding| (0..8).map(move |tail| (padding, tail)))
        {
            let tail = "t".repeat(tail);
            let before = format!("{START}X:{}\r\n{taking}", "x".repeat(padding));
            let body = format!("v=0\r\n{}\r\n", "s".repeat(300));
            let found = [":", "\0", "a"].map(|left| {
                let mut work = room();
                for message in [
                    format!("{START}X:{}", left.repeat(1_000)),
                    format!("{before}From: <sip:scan@{tail}>\r\n\r\n{body}"),
                ] {
                    let payload = SlicePayload(message.as_bytes());
                    let none = &Destination::NONE;
                    let hit = classify::classify(&payload, none, &table, &mut work).hit;
                    if message.ends_with(&body) {
                        return hit;
                    }
                }
                unreachable!("the second message ends with the body")
            });
            assert!(
                found.iter().all(|hit| *hit == found[0]),
                "{lines}, {padding}: {found:?}"
            );
        }
    }
}

/// What another packet left in the room is not taken for part of this one.
#[test]
fn an_honest_request_is_not_named_for_what_came_before() {
    let table = scanners();
    let destination = Destination::NONE;
    for before in [
        "X: a\t\r\n",
        "X: \u{e9}\r\n",
        "X: 1\nY\n",
        "X: 1\r\n\t2\r\n",
    ] {
        for padding in 0..3 * CHUNK {
            let before = format!("{START}X:{}\r\n{before}User-Agent: ", "x".repeat(padding));
            let scanner = format!("{}friendly-scanner\r\n\r\n", "y".repeat(before.len()));
            let scanner = format!("{START}{}", &scanner[START.len()..]);
            let honest = format!("{before}Somephone\r\n\r\n");
            let mut work = room();
            for (message, expected) in [(&scanner, None), (&honest, None)] {
                let payload = SlicePayload(message.as_bytes());
                let found = classify::classify(&payload, &destination, &table, &mut work).tool();
                assert_eq!(found, expected, "{}", message.escape_debug());
            }
        }
    }
}

/// What looks like a header's end eight bytes at a time, and is none.
#[test]
fn a_header_goes_on_behind_what_only_seems_its_end() {
    let table = scanners();
    let header = "User-Agent: friendly-scanner";
    for before in [
        "X: a\t\r\n",
        "X: a\t\n",
        "X: \u{e9}\r\n",
        "X: \u{65e5}\u{672c}\r\n",
        "X: \u{e9}\n",
        "X\r\n",
        "X\n",
        "X: 1\nY\n",
        "X: 1\r\nY\r\nZ\n",
        "X: 1\r\n\t2\r\n",
        "X: 1\r\n \r\n",
        "X: 1\r\n\t\r\n",
        "X: 1\n\t\n",
        "X: 1\n \n",
        "X: \0\0\0\r\n",
        "X: \x0b\r\n",
        "X: a\t\r\nY: a\t\r\nZ: a\t\r\n",
    ] {
        for padding in 0..3 * CHUNK {
            let before = format!("{START}X:{}\r\n{before}", "x".repeat(padding));
            for (message, expected) in [
                (format!("{before}{header}\r\n\r\n"), Some(SCANNER)),
                (format!("{before}{header}\r\n\r\nv=0\r\n"), Some(SCANNER)),
                (format!("{before}{header}"), Some(SCANNER)),
                (format!("{before}\r\n{header}\r\n\r\n"), None),
                (format!("{before}\r\n\r\nv=0\r\n{header}\r\n"), None),
            ] {
                // So that a text that is not read to its end is followed by something.
                tool(format!("{START}X:{}", "y".repeat(2000)), &table);
                assert_eq!(
                    tool(&message, &table),
                    expected,
                    "{}",
                    message.escape_debug()
                );
            }
        }
    }
}

#[test]
fn a_user_agent_in_a_body_is_none_at_every_offset() {
    let table = scanners();
    for padding in 0..200 {
        for empty_line in ["\r\n\r\n", "\n\n", "\r\n\n", "\n\r\n"] {
            for leading in 0..8 {
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
    for place in 0..8 {
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
        (1, Some(SCANNER)),
        (2, Some(SCANNER)),
        (7, Some(SCANNER)),
        (8, Some(SCANNER)),
        (9, Some(SCANNER)),
        (BLANKS / 2, Some(SCANNER)),
        (BLANKS - 1, Some(SCANNER)),
        (BLANKS, Some(SCANNER)),
        (BLANKS + 1, None),
        (2 * BLANKS, None),
    ] {
        for many in [" ".repeat(blanks), "\t".repeat(blanks)] {
            for header in [
                format!("User-Agent:{many}friendly-scanner"),
                format!("User-Agent{many}:friendly-scanner"),
                format!("User-Agent{many}:{many}friendly-scanner"),
            ] {
                for padding in 0..4 * CHUNK {
                    let before = format!("{START}X:{}\r\n", "x".repeat(padding));
                    let message = format!("{before}{header}\r\nX:{}\r\n\r\n", "x".repeat(100));
                    assert_eq!(tool(&message, &table), expected, "{message:?}");
                }
            }
        }
    }
    for (folds, expected) in [
        (1, Some(SCANNER)),
        (2, Some(SCANNER)),
        (FOLDS, Some(SCANNER)),
        (FOLDS + 1, None),
    ] {
        for fold in ["\r\n ", "\n ", "\r\n\t", "\n\t", " \r\n ", "\t\n\t"] {
            let many = fold.repeat(folds);
            let message = format!("{START}User-Agent:{many}friendly-scanner\r\n\r\n");
            assert_eq!(tool(message, &table), expected, "{many:?}");
        }
    }
}

// --- Signatures ----------------------------------------------------------------------------

/// What the table finds in a request with this User-Agent, wherever it stands and whatever
/// follows it.
fn found(table: &SignatureTable, value: &[u8]) -> Option<u8> {
    let mut all = Vec::new();
    for padding in 0..8 {
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
            if how == Match::Prefix && length < MIN_PREFIX {
                continue;
            }
            let what = format!("{} {}", how.name(), pattern.escape_ascii());
            let mut table = SignatureTable::EMPTY;
            let named = Found::new(SCANNER, Kind::Scanner);
            let inserted = table.insert(0, Field::UserAgent, how, pattern, named);
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
            // What is no letter has no other case.
            let mut near = pattern.to_vec();
            near[length - 1] ^= 0x20;
            if near[length - 1] > b' ' && !pattern[length - 1].is_ascii_alphabetic() {
                assert_eq!(found(&table, &near), None, "{what}, a sign in another case");
            }
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
        (&format!("PBX{}", " ".repeat(TRAILING)), Some(1)),
        (&format!("PBX{}", "\t".repeat(TRAILING)), Some(1)),
        (&format!("PBX{}", " ".repeat(TRAILING + 1)), None),
        ("PBXact", None),
        ("PBX\r\n act", None),
        ("PBX\n\tact", None),
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

/// Patterns are filed by four bytes of the value, which stand behind what most values of the field
/// begin with; those that are too short for it are filed together.
#[test]
fn a_full_chain_is_looked_through_to_its_end() {
    use Field::{CSeq, CallId, Contact, From, RequestUri, To, UserAgent, Via};
    use Match::{Exact, Prefix};

    /// The fillings differ in length, so that the chain's order is not that of the numbers.
    fn filled(head: &str, number: usize) -> String {
        format!("{head}{}{number}", &"z"[..number % 2])
    }
    fn one_byte(_: &str, number: usize) -> String {
        let bytes = b"abcdefghijklmnopqrstuvwxyz0123456";
        char::from(bytes[number]).to_string()
    }
    type Pattern = fn(&str, usize) -> String;
    for (field, how, head, pattern) in [
        (UserAgent, Prefix, "same", filled as Pattern),
        (UserAgent, Exact, "same", filled),
        (UserAgent, Prefix, "samesamesame", filled),
        (UserAgent, Exact, "", one_byte),
        (From, Prefix, "sip:same", filled),
        (From, Exact, "s", filled),
        (To, Exact, "<sip:sam", filled),
        (Contact, Exact, "", one_byte),
        (Via, Prefix, "SIP/2.0/UDP same", filled),
        (Via, Exact, "SIP/2.0/T", filled),
        (CallId, Prefix, "same", filled),
        (CSeq, Exact, "1 OP", filled),
        (RequestUri, Prefix, "sip:same", filled),
        (RequestUri, Exact, "s", filled),
    ] {
        let what = format!("{field:?} {} {head:?}", how.name());
        let mut table = SignatureTable::EMPTY;
        let named = |tool: usize| Found::new(tool as u8, Kind::Fuzzer);
        let mut insert = |number: usize, field: Field, pattern: &str| {
            let pattern = pattern.as_bytes();
            table.insert(number as u16, field, how, pattern, named(number))
        };
        for number in 0..MAX_CHAIN {
            let inserted = insert(number, field, &pattern(head, number));
            assert_eq!(inserted, Ok(()), "{what}, {number}");
        }
        let one_more = pattern(head, MAX_CHAIN);
        for refused in [one_more.clone(), one_more.to_uppercase()] {
            let inserted = insert(MAX_CHAIN, field, &refused);
            assert_eq!(inserted, Err(TableError::ChainTooLong), "{what}: {refused}");
        }
        // Nothing but this key of this field is full.
        const OTHER: &str = "sip:/another-value";
        for (number, field) in (MAX_CHAIN..).zip(Field::ALL.into_iter().take(8)) {
            let inserted = insert(number, field, OTHER);
            assert_eq!(inserted, Ok(()), "{what}, {field:?}");
        }
        let found = |field, value: &str| tool(request_with(field, value), &table);
        for number in 0..MAX_CHAIN {
            let value = pattern(head, number);
            let after = if how == Prefix { "/1.0" } else { "" };
            for value in [format!("{value}{after}"), value.to_uppercase() + after] {
                let expected = Some(number as u8);
                assert_eq!(found(field, &value), expected, "{what}: {value}");
            }
        }
        assert_eq!(found(field, &one_more), None, "{what}: {one_more}");
        for (number, field) in (MAX_CHAIN..).zip(Field::ALL.into_iter().take(8)) {
            assert_eq!(found(field, OTHER), Some(number as u8), "{what}, {field:?}");
        }
    }
}

/// A prefix of three bytes is filed once for each byte that may follow it, and for these there is
/// only so much room.
#[test]
fn prefixes_of_three_bytes_are_refused_once_their_room_is_used_up() {
    /// At the least.
    const ROOM: usize = 32;
    let mut table = SignatureTable::EMPTY;
    let pattern = |number: usize| format!("{}{}~", number / 10, number % 10);
    let mut insert = |number: usize, pattern: &str| {
        let named = Found::new((number % MAX_TOOLS) as u8, Kind::Fuzzer);
        let pattern = pattern.as_bytes();
        table.insert(
            number as u16,
            Field::UserAgent,
            Match::Prefix,
            pattern,
            named,
        )
    };
    let fitting = (0..100).take_while(|number| insert(*number, &pattern(*number)).is_ok());
    let fitting = fitting.count();
    assert!((ROOM..100).contains(&fitting), "{fitting}");
    let refused = insert(fitting, &pattern(fitting));
    assert_eq!(refused, Err(TableError::ChainTooLong));
    for number in 0..fitting {
        for after in ["", "x", "/1.0", " ", "\u{e9}"] {
            let value = pattern(number) + after;
            let expected = Some((number % MAX_TOOLS) as u8);
            assert_eq!(found(&table, value.as_bytes()), expected, "{value:?}");
        }
    }
    assert_eq!(found(&table, pattern(fitting).as_bytes()), None);
}

#[test]
fn a_full_table_finds_each_of_its_patterns() {
    let mut table = SignatureTable::EMPTY;
    /// The header fields and the request URI.
    const FIELDS: usize = 8;
    const { assert!(MAX_SIGNATURES == FIELDS * MAX_PATTERN) };
    let field = |number: usize| Field::ALL[number % FIELDS];
    // In each field one of each length, which begins with its length.
    let pattern = |number: usize| {
        let length = 1 + number / FIELDS;
        let text = format!("{length:02}").repeat(MAX_PATTERN);
        text[..length].to_owned()
    };
    let how = |number: usize| {
        let length = 1 + number / FIELDS;
        if length < MIN_PREFIX || (length + number) % 2 == 1 {
            Match::Exact
        } else {
            Match::Prefix
        }
    };
    let tool_of = |number: usize| (number % MAX_TOOLS) as u8;
    for number in 0..MAX_SIGNATURES {
        let inserted = table.insert(
            number as u16,
            field(number),
            how(number),
            pattern(number).as_bytes(),
            Found::new(tool_of(number), Kind::ALL[number % Kind::ALL.len()]),
        );
        assert_eq!(inserted, Ok(()), "{number}");
    }
    for number in [0, MAX_SIGNATURES - 1, MAX_SIGNATURES, MAX_SIGNATURES + 1] {
        let named = Found::new(0, Kind::Scanner);
        let number = number as u16;
        let one_more = table.insert(number, Field::UserAgent, Match::Exact, b"one more", named);
        assert_eq!(one_more, Err(TableError::Full), "{number}");
    }
    for number in 0..MAX_SIGNATURES {
        let after = match how(number) {
            Match::Prefix => "/1",
            _ => "",
        };
        let value = pattern(number) + after;
        let message = request_with(field(number), &value);
        let hit = classify(message.as_bytes(), &Destination::NONE, &table).hit;
        let Some(found) = hit.found() else {
            panic!("{number} is not found: {message:?}")
        };
        assert_eq!(hit.signature(), number);
        let kind = Kind::ALL[number % Kind::ALL.len()];
        assert_eq!(found.tool(), tool_of(number), "{number}");
        assert_eq!(found.kind(), kind, "{number}");
        assert_eq!(found.is_hostile(), kind.is_dropping(), "{number}");
    }
    assert_eq!(found(&table, b"9999-tool"), None);
    assert_eq!(found(&table, &[b'6'; MAX_PATTERN]), None);
}

#[test]
fn patterns_that_cannot_be_are_refused_and_change_nothing() {
    use Field::{Any, Body, From, RequestUri, UserAgent};
    use Match::{Contains, Exact, Prefix};

    let mut table = scanners();
    let longest = [b'x'; MAX_PATTERN + 1];
    let named = Found::new(0, Kind::Scanner);
    for (what, field, how, pattern, expected) in [
        ("no prefix", UserAgent, Prefix, &b""[..], TableError::Empty),
        ("no exact value", UserAgent, Exact, b"", TableError::Empty),
        ("nothing to contain", Body, Contains, b"", TableError::Empty),
        (
            "a prefix too short",
            UserAgent,
            Prefix,
            &b"abcdefgh"[..MIN_PREFIX - 1],
            TableError::TooShort,
        ),
        (
            "too short to contain",
            From,
            Contains,
            &b"abcdefgh"[..MIN_CONTAINS - 1],
            TableError::TooShortToContain,
        ),
        (
            "a prefix too long",
            UserAgent,
            Prefix,
            &longest,
            TableError::TooLong,
        ),
        (
            "a value too long",
            From,
            Exact,
            &longest,
            TableError::TooLong,
        ),
        (
            "too long to contain",
            Any,
            Contains,
            &longest,
            TableError::TooLong,
        ),
        (
            "a zero byte",
            UserAgent,
            Prefix,
            b"a\0bcd",
            TableError::Unmatchable,
        ),
        (
            "a line end",
            From,
            Prefix,
            b"abcd\n",
            TableError::Unmatchable,
        ),
        ("CR", RequestUri, Exact, b"\rabcd", TableError::Unmatchable),
        (
            "a line end to contain",
            Body,
            Contains,
            b"abcdefg\n",
            TableError::Unmatchable,
        ),
        (
            "a body's beginning",
            Body,
            Prefix,
            b"abcd",
            TableError::NoBeginning,
        ),
        (
            "a whole body",
            Body,
            Exact,
            b"abcd",
            TableError::NoBeginning,
        ),
        (
            "a message's beginning",
            Any,
            Prefix,
            b"abcd",
            TableError::NoBeginning,
        ),
        (
            "a whole message",
            Any,
            Exact,
            b"abcd",
            TableError::NoBeginning,
        ),
        (
            "a blank first",
            UserAgent,
            Prefix,
            b" abcd",
            TableError::BeginsWithBlank,
        ),
        (
            "a tab first",
            From,
            Exact,
            b"\tabcd",
            TableError::BeginsWithBlank,
        ),
        (
            "a blank alone",
            From,
            Exact,
            b" ",
            TableError::BeginsWithBlank,
        ),
    ] {
        let refused = table.insert(2, field, how, pattern, named);
        assert_eq!(refused, Err(expected), "{what}");
        assert!(!expected.to_string().is_empty(), "{what}");
    }
    assert_eq!(found(&table, b"friendly-scanner"), Some(SCANNER));
    assert_eq!(found(&table, b"abcd"), None);
    let named = Found::new(MAX_TOOLS as u8 - 1, Kind::Dialer);
    assert_eq!(table.insert(2, UserAgent, Prefix, b"abc", named), Ok(()));
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

// --- The other fields ----------------------------------------------------------------------

/// Each header field with its names: the long one, and the compact one (RFC 3261 section 7.3.3).
const NAMES: [(Field, &[&str]); 7] = [
    (Field::UserAgent, &["User-Agent"]),
    (Field::From, &["From", "f"]),
    (Field::To, &["To", "t"]),
    (Field::Contact, &["Contact", "m"]),
    (Field::Via, &["Via", "v"]),
    (Field::CallId, &["Call-ID", "i"]),
    (Field::CSeq, &["CSeq"]),
];

/// A request in which a field has this value.
fn request_with(field: Field, value: &str) -> String {
    let names = NAMES.into_iter().find(|(other, _)| *other == field);
    match names {
        Some((_, names)) => format!("{START}{}: {value}\r\n\r\n", names[0]),
        None => format!("OPTIONS {value} SIP/2.0\r\n\r\n"),
    }
}

/// Values with a pattern, and what their field's value is beside.
const BEGINNING: &str = "\"Scan\" <sip:s";
const WHOLE: &str = "sip:w-1";

fn table_of_field(field: Field) -> SignatureTable {
    table_of(&[
        (field, Match::Prefix, BEGINNING, 1),
        (field, Match::Exact, WHOLE, 2),
        (field, Match::Exact, "7", 3),
    ])
}

#[test]
fn a_field_is_found_however_it_is_written() {
    for (field, names) in NAMES {
        let table = table_of_field(field);
        for name in names {
            for name in [*name, &name.to_lowercase(), &name.to_uppercase()] {
                for colon in [
                    ": ",
                    ":",
                    ":  ",
                    ":\t",
                    " :",
                    " : ",
                    "\t:\t",
                    " \t : \t ",
                    "        :         ",
                    ":\r\n ",
                    ":\r\n\t",
                    ": \r\n  ",
                    ":\n ",
                    ": \n\t",
                ] {
                    for (value, expected) in [
                        (BEGINNING.to_owned(), Some(1)),
                        (BEGINNING.to_uppercase(), Some(1)),
                        (format!("{BEGINNING}100@192.0.2.1>;tag=1"), Some(1)),
                        (format!("{BEGINNING}\r\n ;tag=1"), Some(1)),
                        (BEGINNING.replace("Scan", "Scam"), None),
                        (BEGINNING[..BEGINNING.len() - 1].to_owned(), None),
                        (BEGINNING[1..].to_owned(), None),
                        (format!("x{BEGINNING}"), None),
                        (WHOLE.to_owned(), Some(2)),
                        (WHOLE.to_uppercase(), Some(2)),
                        (format!("{WHOLE} \t"), Some(2)),
                        (format!("{WHOLE}1"), None),
                        (format!("{WHOLE} x"), None),
                        (format!("{WHOLE};x"), None),
                        (format!("<{WHOLE}>"), None),
                        (WHOLE[..WHOLE.len() - 1].to_owned(), None),
                        ("7".to_owned(), Some(3)),
                        ("77".to_owned(), None),
                        ("7 OPTIONS".to_owned(), None),
                    ] {
                        let line = format!("{name}{colon}{value}");
                        for message in [
                            format!("{START}{line}\r\n\r\n"),
                            format!("{START}{line}\r\nX: 1\r\n\r\nv=0\r\n"),
                            format!("{START}Subject: a\r\n b\r\n{line}\r\nX: 1\r\n\r\n"),
                            format!("{START}X: 1\r\n{line}\r\n\r\n").replace("\r\n", "\n"),
                            format!("{START}X:\n{line}\nY: 1\r\n\r\n"),
                            format!("\r\n{START}{line}\r\n"),
                            format!("{START}{line}"),
                        ] {
                            let text = message.escape_debug();
                            assert_eq!(tool(&message, &table), expected, "{text}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_no_field_is_not_taken_for_one() {
    for (field, names) in NAMES {
        let table = table_of_field(field);
        let others = NAMES.into_iter().filter(|(other, _)| *other != field);
        for (value, expected) in [(BEGINNING, Some(1)), (WHOLE, Some(2)), ("7", Some(3))] {
            let mut lines = Vec::new();
            for other in others.clone().flat_map(|(_, names)| names) {
                lines.push(format!("{other}: {value}"));
            }
            for name in names.iter() {
                for line in [
                    format!("{name}s: {value}"),
                    format!("{name}-x: {value}"),
                    name.to_string(),
                    format!("{name} {value}"),
                    format!("{name}; {value}"),
                    format!("{name} x: {value}"),
                    format!("{name}\0: {value}"),
                    format!("{name}\u{a0}: {value}"),
                    format!("{name}:: {value}"),
                    format!("{name}: : {value}"),
                    format!("{name}: x\r\n {value}"),
                    format!("{name}:\r\n{value}: x"),
                    format!("{name}:"),
                    format!("{name}: "),
                    format!("X{name}: {value}"),
                    format!("X-{name}: {value}"),
                    format!("X: {name}: {value}"),
                    format!("X: 1\r\n {name}: {value}"),
                    format!("X: 1\r\n\t{name}: {value}"),
                    format!("X: 1\r{name}: {value}"),
                    format!("X: 1\0{name}: {value}"),
                    format!("X: 1\x0b{name}: {value}"),
                    format!("X: 1\r\n\r\n{name}: {value}"),
                    format!("X: 1\n\n{name}: {value}"),
                    format!("X: 1\r\n\r\nv=0\r\n{name}: {value}"),
                    format!("X: 1\n\nv=0\n{name}: {value}"),
                ] {
                    lines.push(line);
                }
                if name.len() > 1 {
                    lines.push(format!("{}: {value}", &name[..name.len() - 1]));
                    lines.push(format!("{}: {value}", &name[1..]));
                    lines
                        .push(format!("{}: {value}", name.replace('-', "_")).replace("Via", "Vya"));
                }
            }
            lines.retain(|line| {
                let is_it = |name: &&str| {
                    let line = line.to_lowercase();
                    line.starts_with(&format!("{}: {}", name, value).to_lowercase())
                };
                !names.iter().any(is_it)
            });
            for line in lines {
                for padding in 0..8 {
                    let before = format!("{START}Y:{}\r\n", "y".repeat(padding));
                    for end in ["\r\n\r\n", "\n\n", ""] {
                        let message = format!("{before}{line}{end}");
                        let text = message.escape_debug();
                        assert_eq!(tool(&message, &table), None, "{field:?}: {text}");
                    }
                }
                // The same in a line of its own is found in front of it.
                let message = format!("{START}{}: {value}\r\n{line}\r\n\r\n", names[0]);
                let text = message.escape_debug();
                assert_eq!(tool(&message, &table), expected, "{field:?}: {text}");
            }
        }
        // Nor is it in the start line, or in a response.
        let uri = format!("OPTIONS {WHOLE} SIP/2.0\r\n\r\n");
        assert_eq!(tool(uri, &table), None, "{field:?}");
        let response = format!("SIP/2.0 200 OK\r\n{}: {WHOLE}\r\n\r\n", names[0]);
        assert_eq!(tool(response, &table), None, "{field:?}");
    }
}

#[test]
fn each_field_is_found_at_every_offset() {
    for (field, names) in NAMES {
        let table = table_of_field(field);
        for name in names {
            for padding in 0..3 * CHUNK {
                let before = format!("{START}Y:{}\r\n", "y".repeat(padding));
                for (value, expected) in [(BEGINNING, 1), (WHOLE, 2), ("7", 3)] {
                    for after in ["\r\n\r\n", "\r\nX: 1\r\n\r\nv=0\r\n", "\n\n", ""] {
                        let message = format!("{before}{name}: {value}{after}");
                        let text = message.escape_debug();
                        assert_eq!(tool(&message, &table), Some(expected), "{text}");
                    }
                }
            }
        }
    }
}

/// Fields of which a message may have several are all tried, and so are all fields.
#[test]
fn each_line_of_a_field_is_tried() {
    for (field, names) in NAMES {
        let table = table_of_field(field);
        let lines = |values: &[&str], padding: usize| {
            let lines = values.iter().zip(names.iter().cycle());
            let lines = lines.map(|(value, name)| format!("{name}: {value}\r\n"));
            let lines: String = lines.collect();
            format!("{START}X:{}\r\n{lines}\r\n", "x".repeat(padding))
        };
        for (values, expected) in [
            (&["x", WHOLE][..], &[2][..]),
            (&[WHOLE, "x"], &[2]),
            (&["x", "y", BEGINNING], &[1]),
            (&["sip:w-2", "\"Scam\"", "sip:w-11", WHOLE], &[2]),
            (&[WHOLE, "sip:w-2", "sip:w-2", "sip:w-2"], &[2]),
            (&["x", "7", "y"], &[3]),
            // Which of equals is named is not said.
            (&[BEGINNING, WHOLE], &[1, 2]),
            (&[WHOLE, BEGINNING], &[1, 2]),
            (&["x", "sip:w-2"], &[]),
        ] {
            for padding in 0..2 * CHUNK {
                let message = lines(values, padding);
                let found = tool(&message, &table);
                assert!(
                    is_one_of(found, expected),
                    "{field:?}, {found:?}: {message:?}"
                );
            }
        }
    }
    let all: Vec<_> = NAMES.into_iter().zip(0..).collect();
    let signatures = all
        .iter()
        .map(|((field, _), tool)| (*field, Match::Exact, WHOLE, *tool));
    let table = table_of(&signatures.collect::<Vec<_>>());
    for ((_, names), expected) in &all {
        for name in *names {
            let others = NAMES.into_iter().filter(|(_, others)| others != names);
            let others = others.map(|(_, names)| format!("{}: {WHOLE}1\r\n", names[0]));
            let others: String = others.collect();
            for header in [
                format!("{name}: {WHOLE}\r\n{others}"),
                format!("{others}{name}: {WHOLE}\r\n"),
            ] {
                let found = tool(format!("{START}{header}\r\n"), &table);
                assert_eq!(found, Some(*expected), "{header:?}");
            }
        }
    }
}

#[test]
fn a_request_uri_is_compared_up_to_its_blank() {
    let table = table_of(&[
        (Field::RequestUri, Match::Prefix, "sip:nm", 1),
        (Field::RequestUri, Match::Exact, "sip:100@1.1.1.1", 2),
        (Field::RequestUri, Match::Exact, "urn:x", 3),
    ]);
    for (uri, expected) in [
        ("sip:nm", Some(1)),
        ("SIP:NM", Some(1)),
        ("sip:nm@nm2", Some(1)),
        ("sip:nmap;transport=udp", Some(1)),
        ("sip:n", None),
        ("sip:mn", None),
        ("sips:nm", None),
        ("tel:nm", None),
        ("sip:100@1.1.1.1", Some(2)),
        ("Sip:100@1.1.1.1", Some(2)),
        ("sip:100@1.1.1.1:5060", None),
        ("sip:100@1.1.1.10", None),
        ("sip:100@1.1.1.", None),
        ("sip:1000@1.1.1.1", None),
        ("urn:x", Some(3)),
        ("URN:X", Some(3)),
        ("urn:xy", None),
        ("urn:y", None),
    ] {
        for method in ["OPTIONS", "ACK", "SUBSCRIBE", "REGISTER", "PING", "A"] {
            for leading in ["", "\r\n", "\r\n\r\n", "\n\n\n"] {
                let line = format!("{leading}{method} {uri} SIP/2.0");
                for rest in [
                    "\r\n\r\n",
                    "\n\n",
                    "\r\n",
                    "\r\nUser-Agent: x\r\n\r\n",
                    "\r\nFrom: sip:x\r\n\r\nsip:nm\r\n",
                ] {
                    let found = tool(format!("{line}{rest}"), &table);
                    assert_eq!(found, expected, "{line:?} {rest:?}");
                }
            }
        }
    }
    for (message, expected) in [
        ("OPTIONS sip:nm", Some(1)),
        ("OPTIONS sip:n", None),
        // An exact one ends at a blank.
        ("OPTIONS sip:100@1.1.1.1", None),
        ("OPTIONS sip:100@1.1.1.1\r\n\r\n", None),
        ("OPTIONS sip:100@1.1.1.1 ", Some(2)),
        ("OPTIONS sip:a@b SIP/2.0\r\nsip:nm: 1\r\n\r\n", None),
        ("OPTIONS sip:a@b SIP/2.0\r\nTo: sip:nm\r\n\r\n", None),
        (
            "OPTIONS sip:a@b SIP/2.0\r\n\r\nOPTIONS sip:nm SIP/2.0\r\n",
            None,
        ),
        ("SIP/2.0 200 sip:nm\r\n\r\n", None),
        ("sip:nm SIP/2.0\r\n\r\n", None),
        ("OPTIONS rtsp:x RTSP/1.0\r\n\r\n", None),
    ] {
        assert_eq!(tool(message, &table), expected, "{message:?}");
    }
}

/// Each field names its own tool, and what may be dropped goes before what only counts.
#[test]
fn a_tool_that_may_be_dropped_goes_first_whatever_its_field() {
    let counted = Found::new(1, Kind::TestTool);
    let scanner = Found::new(2, Kind::Scanner);
    let unsure = Found::new(3, Kind::Scanner).unsure();
    let fields = Field::ALL.into_iter().take(8);
    for (first, second) in fields.clone().flat_map(|first| {
        let others = fields.clone().filter(move |second| *second != first);
        others.map(move |second| (first, second))
    }) {
        for (of_first, of_second, expected) in [
            (Some(counted), Some(scanner), Some(scanner)),
            (Some(scanner), Some(counted), Some(scanner)),
            (Some(unsure), Some(scanner), Some(scanner)),
            (Some(scanner), Some(unsure), Some(scanner)),
            (Some(counted), None, Some(counted)),
            (None, Some(unsure), Some(unsure)),
        ] {
            let mut table = SignatureTable::EMPTY;
            let signatures = [(first, of_first, "sip:one"), (second, of_second, "sip:two")];
            for (number, (field, found, pattern)) in (0..).zip(signatures) {
                if let Some(found) = found {
                    let pattern = pattern.as_bytes();
                    let inserted = table.insert(number, field, Match::Exact, pattern, found);
                    assert_eq!(inserted, Ok(()));
                }
            }
            let line = |field: Field, value: &str| {
                let names = NAMES.into_iter().find(|(other, _)| *other == field);
                names.map_or_else(String::new, |(_, names)| {
                    format!("{}: {value}\r\n", names[0])
                })
            };
            let uri = match (first, second) {
                (Field::RequestUri, _) => "sip:one",
                (_, Field::RequestUri) => "sip:two",
                _ => "sip:three",
            };
            let (one, two) = (line(first, "sip:one"), line(second, "sip:two"));
            for header in [format!("{one}{two}"), format!("{two}{one}")] {
                let message = format!("OPTIONS {uri} SIP/2.0\r\n{header}\r\n");
                let found = classify(message.as_bytes(), &Destination::NONE, &table).tool();
                assert_eq!(found, expected, "{message:?}");
            }
        }
    }
}

// --- Detectors -----------------------------------------------------------------------------

/// Each detector names the tool with its discriminant.
fn detectors() -> SignatureTable {
    let mut table = SignatureTable::EMPTY;
    for detector in Detector::ALL {
        let number = 100 + detector as u16;
        let found = Found::new(detector as u8, Kind::Scanner);
        assert_eq!(table.set_detector(detector, number, found), Ok(()));
    }
    table
}

/// What is read of a request ends somewhere, and what stands behind that is of the request before:
/// wherever that is, it plays no part.
#[test]
fn what_a_request_before_has_left_is_no_mark_of_nmap() {
    const VIA: &str = "SIP/2.0/UDP 192.0.2.66:40455;rport;branch=z9hG4bK8HQcLxnIMpkTxQA4JkRMdqKz4";
    const CALL_ID: &str = "Y0VXp543frEOm_N2RJTA6dzQZGDpwpsJfDhK8aCcGHqsG4kYD3Z9WNPvUSaG";
    let table = detectors();
    let first_two = format!("Via: {VIA}\r\nCall-ID: {CALL_ID}\r\n");
    let message = format!("{START}{first_two}CSeq: 1234 OPTIONS\r\n\r\n");
    assert_eq!(tool(message, &table), Some(Detector::NmapScript as u8));
    for padding in 0..200 {
        let padding = format!("X: {}\r\n", "x".repeat(padding));
        // The same bytes stand here whether it is cut off or not.
        let before =
            format!("{START}CSeq: 1234 OPTIONS\r\nCall-ID: {CALL_ID}\r\n{padding}Via: {VIA}");
        for length in before.len() - 40..before.len() {
            let whole = format!("{before}\r\nX: {}\r\n\r\n", "x".repeat(400));
            // A fresh room and a used one must agree.
            let _ = tool(whole, &table);
            let _ = tool(&before[..length], &table);
        }
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_tag_gives_its_tool_away() {
    use Detector::{MetasploitTag, SipviciousShape, SipviciousTag, SipviciousTarget, SvcrackTag};

    let table = detectors();
    let destination = Destination {
        address: Address::from_ipv4(u32::from_ne_bytes([192, 0, 2, 10])),
        port: 5060,
    };
    let target = hex("c000020a13c4");
    let number = hex("1234567890");
    let plain = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\nCall-ID: a@b\r\n";
    let shape = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1234567890;rport\r\n\
                 Call-ID: 123456789012345678901234\r\n";
    for (tag, others, expected) in [
        ("70c00e8c".to_owned(), plain, Some(MetasploitTag)),
        ("70c00e8d".to_owned(), plain, None),
        ("170c00e8c".to_owned(), plain, None),
        ("3206210844".to_owned(), plain, Some(SvcrackTag)),
        ("3206210845".to_owned(), plain, None),
        ("13206210844".to_owned(), plain, None),
        (format!("{target}01{number}"), plain, Some(SipviciousTarget)),
        (format!("{target}01{number}"), shape, Some(SipviciousTarget)),
        (
            format!("{target}01{}", hex("123456")),
            plain,
            Some(SipviciousTarget),
        ),
        (format!("{target}01{}", hex("12345")), plain, None),
        (format!("{target}01{}", hex("12345678901")), plain, None),
        (format!("{target}{number}"), plain, None),
        (format!("{target}02{number}"), plain, None),
        (
            format!("{}01{number}", hex("c000020b13c4")),
            plain,
            Some(SipviciousTag),
        ),
        (
            format!("{}01{number}", hex("c000020a13c5")),
            plain,
            Some(SipviciousTag),
        ),
        (
            format!("{}01{number}", hex("100")),
            plain,
            Some(SipviciousTag),
        ),
        (
            format!("{}01{number}", hex("100")),
            shape,
            Some(SipviciousShape),
        ),
        ("as12345678".to_owned(), shape, None),
        ("12345678".to_owned(), plain, None),
        (String::new(), plain, None),
    ] {
        for name in ["From", "f", "FROM"] {
            let from = format!("{name}: \"a\" <sip:a@b>;tag={tag}\r\n");
            for padding in 0..CHUNK {
                let before = format!("{START}Subject: {}\r\n", "x".repeat(padding));
                for message in [
                    format!("{before}{others}{from}\r\n"),
                    format!("{before}{from}{others}Max-Forwards: 70\r\n\r\nv=0\r\n"),
                    format!("{before}{others}{from}").replace("\r\n", "\n"),
                ] {
                    let hit = classify(message.as_bytes(), &destination, &table).hit;
                    let found = hit.found().map(|found| found.tool());
                    let expected = expected.map(|detector| detector as u8);
                    assert_eq!(found, expected, "{}", message.escape_debug());
                    let number = usize::from(found.map_or(0, |tool| 100 + tool));
                    assert_eq!(hit.signature(), number);
                }
            }
            // In a body, in another field, and in a response it says nothing.
            for message in [
                format!("{START}{plain}\r\n{from}"),
                format!("{START}{plain}To: <sip:a@b>;tag={tag}\r\n\r\n"),
                format!("SIP/2.0 200 OK\r\n{plain}{from}\r\n"),
            ] {
                let found = classify(message.as_bytes(), &destination, &table).tool();
                assert_eq!(found, None, "{}", message.escape_debug());
            }
        }
    }
}

/// Detectors look at the first field of a name, as receivers do.
#[test]
fn of_several_fields_the_first_gives_its_tool_away() {
    let table = detectors();
    let via = "SIP/2.0/UDP 192.0.2.1:5060;branch=";
    let sippts = format!("{via}{}", "a1b2c3d".repeat(11)[..71].to_owned());
    let honest_via = format!("{via}z9hG4bK1");
    for (names, given_away, honest, detector) in [
        (
            ["From", "f"],
            "<sip:a@b>;tag=70c00e8c",
            "<sip:a@b>;tag=1",
            Detector::MetasploitTag,
        ),
        (["Via", "v"], &sippts, &honest_via, Detector::SipptsBranch),
    ] {
        for (first, second, expected) in [
            (given_away, honest, Some(detector as u8)),
            (honest, given_away, None),
            (honest, honest, None),
        ] {
            for [name, other] in [names, [names[1], names[0]]] {
                for between in ["", "Max-Forwards: 70\r\n"] {
                    for padding in 0..2 * CHUNK {
                        let before = format!("{START}X:{}\r\n", "x".repeat(padding));
                        let header = format!("{name}: {first}\r\n{between}{other}: {second}\r\n");
                        let message = format!("{before}{header}Call-ID: 1\r\n\r\n");
                        assert_eq!(tool(&message, &table), expected, "{message:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_method_alone_is_zmap() {
    let table = detectors();
    for (payload, expected) in [
        ("OPTIONS", Some(Detector::ZmapBare as u8)),
        ("OPTION", None),
        ("OPTIONX", None),
        ("options", None),
        ("INVITE ", None),
        ("OPTIONS ", None),
        ("OPTIONS\r\n", None),
        ("\r\nOPTIONS", None),
    ] {
        assert_eq!(tool(payload, &table), expected, "{payload:?}");
        assert_eq!(tool(payload, &SignatureTable::EMPTY), None, "{payload:?}");
    }
}

// --- Verdicts ------------------------------------------------------------------------------

#[test]
fn the_first_rule_that_matches_decides() {
    use MessageClass as C;
    use Outcome::{Malformed as M, Options as O, Passed as P, Signature as S, WouldSignature as W};

    /// A tool of this kind, as the classifier gives it.
    fn tool_of(kind: Kind) -> Option<Found> {
        let mut table = SignatureTable::EMPTY;
        let named = Found::new(0, kind);
        let inserted = table.insert(0, Field::UserAgent, Match::Prefix, b"tool", named);
        assert_eq!(inserted, Ok(()));
        let message = format!("{START}User-Agent: tool\r\n\r\n");
        classify(message.as_bytes(), &Destination::NONE, &table).tool()
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
            let tool = kind.and_then(tool_of);
            assert_eq!(tool.is_some(), kind.is_some());
            let outcome = decide(set, class, tool, Met::NOTHING);
            assert_eq!(outcome, expected, "{class:?} of {kind:?}, dropping {set:?}");
            assert_eq!(outcome.is_drop(), matches!(expected, S | O | M));
            assert_eq!(outcome.is_would_drop(), expected == W);
        }
    }
    // No rule names the rest: it passes whatever is dropped.
    for class in C::ALL {
        let outcome = decide(
            scanners.union(options).union(malformed),
            class,
            None,
            Met::NOTHING,
        );
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
            let found = classify(payload, &Destination::NONE, &table);
            let expected = match length {
                0 => Keepalive,
                length if length < known_from => Malformed,
                _ => expected,
            };
            let text = payload.escape_ascii();
            assert_eq!(found.class, expected, "{text}");
            let named = message == call && Some(length) >= agent_ends;
            assert_eq!(found.tool().is_some(), named, "{text}");
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
        let found = classify(&payload, &Destination::NONE, &table);
        if found.tool().is_some() {
            assert!(found.class.is_request(), "{}", payload.escape_ascii());
        }
    }
}
