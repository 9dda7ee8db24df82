//! The signatures that inputs are judged by: the built-in ones, and some in forms of which those
//! have none.

use sip_filter_common::{
    signature::{MAX_PATTERN, Match, SignatureTable},
    tool::{Found, Kind, MAX_TOOLS},
};
use toml::Table;

const BUILT_IN: &str = include_str!("../../../sip-filter/signatures.toml");

/// The longest and the shortest patterns, several that begin alike, the same twice, blanks in the
/// first four bytes, and bytes that are no letters although they differ from some by the bit of the case.
const FORMS: [(Match, &[u8]); 11] = [
    (Match::Exact, b"q"),
    (Match::Exact, b"q w"),
    (Match::Prefix, &[b'z'; MAX_PATTERN]),
    (Match::Exact, &[b'z'; MAX_PATTERN - 1]),
    (Match::Prefix, b"zzzz"),
    (Match::Exact, b"zzzzzzzz"),
    (Match::Prefix, b"zzzzzzzz"),
    (Match::Prefix, b"ZZZZZ"),
    (Match::Exact, b"zzzzz"),
    (Match::Prefix, b"[\\]^_`{|}~"),
    (Match::Prefix, b"\xc3\xa9\xff\x80"),
];

/// One signature.
pub struct Signature {
    pub how: Match,
    pub pattern: Vec<u8>,
    pub found: Found,
}

/// All of them, as a list and as the table that the classifier takes.
pub struct Signatures {
    pub list: Vec<Signature>,
    pub table: Box<SignatureTable>,
}

impl Signatures {
    /// Reads the built-in ones.
    pub fn read() -> Self {
        let file: Table = BUILT_IN
            .parse()
            .unwrap_or_else(|error| panic!("the built-in signatures: {error}"));
        let built_in = file["signature"].as_array().into_iter().flatten();
        let built_in = built_in.map(|entry| {
            let text = |key: &str| entry.get(key).and_then(toml::Value::as_str);
            let how = match text("match") {
                Some("exact") => Match::Exact,
                Some("prefix") => Match::Prefix,
                other => panic!("a built-in signature's match is {other:?}"),
            };
            (how, text("pattern").unwrap_or_default().as_bytes())
        });
        let mut list = Vec::new();
        let mut table = Box::new(SignatureTable::EMPTY);
        for (number, (how, pattern)) in built_in.chain(FORMS).enumerate() {
            // A tool of its own for each, as far as there are numbers, and each kind in turn.
            let tool = (number % MAX_TOOLS) as u8;
            let kind = Kind::ALL[number % Kind::ALL.len()];
            table
                .insert(pattern, how, tool, kind)
                .unwrap_or_else(|error| panic!("{}: {error}", pattern.escape_ascii()));
            list.push(Signature {
                how,
                pattern: pattern.to_ascii_lowercase(),
                found: Found::new(tool, kind),
            });
        }
        Self { list, table }
    }
}
