//! The signatures that inputs are judged by: the built-in ones, and some in forms of which those
//! have none.

use sip_filter_common::{
    field::{Detector, Field, Match},
    signature::{MAX_PATTERN, SignatureTable},
    tool::{Found, Kind, MAX_TOOLS},
};
use toml::Table;

const BUILT_IN: &str = include_str!("../../../sip-filter/signatures.toml");

/// The longest and the shortest patterns, several that begin alike, the same twice, blanks in the
/// first four bytes, bytes that are no letters although they differ from some by the bit of the
/// case, and the same in several fields.
const FORMS: [(Field, Match, &[u8]); 19] = [
    (Field::UserAgent, Match::Exact, b"q"),
    (Field::UserAgent, Match::Exact, b"q w"),
    (Field::UserAgent, Match::Prefix, &[b'z'; MAX_PATTERN]),
    (Field::UserAgent, Match::Exact, &[b'z'; MAX_PATTERN - 1]),
    (Field::UserAgent, Match::Prefix, b"zzzz"),
    (Field::UserAgent, Match::Exact, b"zzzzzzzz"),
    (Field::UserAgent, Match::Prefix, b"zzzzzzzz"),
    (Field::UserAgent, Match::Prefix, b"ZZZZZ"),
    (Field::UserAgent, Match::Exact, b"zzzzz"),
    (Field::UserAgent, Match::Prefix, b"[\\]^_`{|}~"),
    (Field::UserAgent, Match::Prefix, b"\xc3\xa9\xff\x80"),
    (Field::To, Match::Prefix, b"<sip:zzzz"),
    (Field::To, Match::Exact, b"zzzz"),
    (Field::Contact, Match::Exact, b"*"),
    (Field::Contact, Match::Prefix, b"<sip:zzzz"),
    (Field::CSeq, Match::Exact, b"7 q"),
    (Field::CallId, Match::Exact, &[b'z'; 16]),
    (Field::RequestUri, Match::Exact, b"sip:q"),
    (Field::RequestUri, Match::Prefix, b"sip:zzzzzzzzzz"),
];

/// Parts of values: of each kind of place, one in another, the longest one, of the shortest length,
/// with blanks, and what patterns of the other kind begin with. Their capitals are not those that
/// inputs begin with.
const PARTS: [(Field, &[u8]); 16] = [
    (Field::UserAgent, b"Scanner"),
    (Field::UserAgent, b"friendly-scanner zz"),
    (Field::UserAgent, b"\xc3\xa9\xff\x80\xc3\xa9["),
    (Field::From, b"zzzzzzz"),
    (Field::To, b"zz;TAG="),
    (Field::To, b" <sip:zz"),
    (Field::Contact, b"sip:zzzz@"),
    (Field::Via, b"zz;branch=zz"),
    (Field::CallId, b"zz@zz.zz"),
    (Field::CSeq, b"7 options"),
    (Field::RequestUri, b"zz@zz.zz"),
    (Field::RequestUri, b";tag=zz"),
    (Field::Body, b"zzzzzzzz"),
    (Field::Body, b"user-agent: q"),
    (Field::Any, &[b'z'; MAX_PATTERN]),
    (Field::Any, b"scanner "),
];

/// One pattern.
pub struct Signature {
    /// Its number in the tables.
    pub number: u16,
    /// Where it stands.
    pub field: Field,
    /// How it meets what stands there.
    pub how: Match,
    /// The text, in lower case.
    pub pattern: Vec<u8>,
    /// What it names.
    pub found: Found,
}

/// All of them, as a list and as the tables that the classifier takes.
pub struct Signatures {
    /// The patterns.
    pub list: Vec<Signature>,
    /// By its first byte in either case, what a value may contain: indices in the list.
    pub contained: [Vec<usize>; 256],
    /// By a byte, whether there are any.
    pub begin_parts: [bool; 256],
    /// The patterns alone, which the reference judges by too.
    pub patterns: Box<SignatureTable>,
    /// The detectors besides.
    pub all: Box<SignatureTable>,
    /// The patterns, and it is noted who requests are for.
    pub watched: Box<SignatureTable>,
}

impl Signatures {
    /// Reads the built-in ones.
    pub fn read() -> Self {
        let file: Table = BUILT_IN
            .parse()
            .unwrap_or_else(|error| panic!("the built-in signatures: {error}"));
        let built_in = file["signature"].as_array().into_iter().flatten();
        let built_in = built_in.filter_map(|entry| {
            let text = |key: &str| entry.get(key).and_then(toml::Value::as_str);
            let field = text("field")?;
            let named = |how: &Match| text("match") == Some(how.name());
            let field = Field::ALL.into_iter().find(|one| one.name() == field);
            let (Some(field), Some(how)) = (field, Match::ALL.into_iter().find(named)) else {
                panic!("a built-in signature's field or match: {entry:?}");
            };
            Some((field, how, text("pattern").unwrap_or_default().as_bytes()))
        });
        let mut list = Vec::new();
        let mut patterns = Box::new(SignatureTable::EMPTY);
        let parts = PARTS.map(|(field, pattern)| (field, Match::Contains, pattern));
        let all = built_in.chain(FORMS).chain(parts);
        for (number, (field, how, pattern)) in (0..).zip(all) {
            let found = found(number);
            patterns
                .insert(number, field, how, pattern, found)
                .unwrap_or_else(|error| panic!("{}: {error}", pattern.escape_ascii()));
            list.push(Signature {
                number,
                field,
                how,
                pattern: pattern.to_ascii_lowercase(),
                found,
            });
        }
        let mut watched = patterns.clone();
        watched
            .watch()
            .unwrap_or_else(|error| panic!("who requests are for: {error}"));
        let mut contained = [const { Vec::new() }; 256];
        for (at, signature) in list.iter().enumerate() {
            if signature.how == Match::Contains {
                let first = signature.pattern[0];
                contained[usize::from(first)].push(at);
                if first.is_ascii_lowercase() {
                    contained[usize::from(first.to_ascii_uppercase())].push(at);
                }
            }
        }
        let mut all = patterns.clone();
        for (number, detector) in (list.len() as u16..).zip(Detector::ALL) {
            all.set_detector(detector, number, found(number))
                .unwrap_or_else(|error| panic!("{}: {error}", detector.name()));
        }
        Self {
            list,
            begin_parts: std::array::from_fn(|byte| !contained[byte].is_empty()),
            contained,
            patterns,
            all,
            watched,
        }
    }
}

/// A tool of its own for each signature, as far as there are numbers; each kind in turn, and what
/// is sure and what is not.
fn found(number: u16) -> Found {
    let number = usize::from(number);
    let kind = Kind::ALL[number % Kind::ALL.len()];
    let found = Found::new((number % MAX_TOOLS) as u8, kind);
    if number % 7 == 3 {
        found.unsure()
    } else {
        found
    }
}
