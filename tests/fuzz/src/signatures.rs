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
    /// The patterns alone, which the reference judges by too.
    pub patterns: Box<SignatureTable>,
    /// The detectors besides.
    pub all: Box<SignatureTable>,
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
        for (number, (field, how, pattern)) in (0..).zip(built_in.chain(FORMS)) {
            // The reference would have to know it.
            assert!(how != Match::Contains, "{}", pattern.escape_ascii());
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
        let mut all = patterns.clone();
        for (number, detector) in (list.len() as u16..).zip(Detector::ALL) {
            all.set_detector(detector, number, found(number))
                .unwrap_or_else(|error| panic!("{}: {error}", detector.name()));
        }
        Self {
            list,
            patterns,
            all,
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
