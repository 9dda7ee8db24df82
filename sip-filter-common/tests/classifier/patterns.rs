//! Patterns: which value they are, and how many there may be.

use super::*;

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
