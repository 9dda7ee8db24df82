//! The classifier on byte slices: what a payload is, and which tool sent it, in tables.
//!
//! What is right stands in RFC 3261 unless said otherwise; where the classifier looks no further
//! than some limit, the limit has a name here.

mod fields;
mod marks;
mod patterns;
mod room;
mod start_line;
mod user_agent;

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
