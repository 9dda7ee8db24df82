//! Patterns that may stand anywhere in a value, on byte slices: where they are found and where not, in
//! tables, and on what is put together at random beside a second, slower way to find them.

use std::cell::RefCell;

use sip_filter_common::{
    classify::{self, Destination, Work},
    field::{Field, Match},
    payload::SlicePayload,
    signature::{MAX_PATTERN, MAX_SIGNATURES, MIN_CONTAINS, SignatureTable, TableError},
    tool::{Found, Kind},
};

/// Windows stand at multiples of four, and words at multiples of eight.
const PLACES: usize = 8;
/// Line ends are found so many bytes at a time.
const CHUNK: usize = 64;
/// The longest payload that is searched, in bytes.
const SEARCHED: usize = 9215;
/// How many bytes of a request URI are searched.
const URI: usize = 2048;

/// Header fields, with the names that they go by.
const HEADERS: [(Field, &[&str]); 7] = [
    (Field::UserAgent, &["User-Agent"]),
    (Field::From, &["From", "f"]),
    (Field::To, &["To", "t"]),
    (Field::Contact, &["Contact", "m"]),
    (Field::Via, &["Via", "v"]),
    (Field::CallId, &["Call-ID", "i"]),
    (Field::CSeq, &["CSeq"]),
];

const PATTERN: &str = "Friendly-Scanner";

fn room() -> Box<Work> {
    Box::new(const { Work::EMPTY })
}

thread_local! {
    /// Never cleared, as in the kernel.
    static USED: RefCell<Box<Work>> = RefCell::new(room());
}

/// The number of the signature that names the payload. What was in the room before makes no
/// difference.
fn find(table: &SignatureTable, payload: &[u8]) -> Option<usize> {
    let payload = SlicePayload(payload);
    let to = &Destination::NONE;
    let hit = classify::classify(&payload, to, table, &mut room()).hit;
    let again = USED.with_borrow_mut(|work| classify::classify(&payload, to, table, work).hit);
    let text = payload.0.escape_ascii();
    assert_eq!(hit, again, "in a room that was used before: {text}");
    (!hit.is_none()).then(|| hit.signature())
}

fn scanner(number: usize) -> Found {
    Found::new((number % 64) as u8, Kind::Scanner)
}

/// A table of patterns that a field contains.
fn table(patterns: &[(Field, &str)]) -> Box<SignatureTable> {
    let mut table = Box::new(SignatureTable::EMPTY);
    for (number, (field, pattern)) in patterns.iter().enumerate() {
        table
            .insert(
                number as u16,
                *field,
                Match::Contains,
                pattern.as_bytes(),
                scanner(number),
            )
            .unwrap_or_else(|error| panic!("{pattern}: {error}"));
    }
    table
}

/// A request with some lines of a header and a body.
fn request(uri: &str, lines: &[&str], body: &str) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("OPTIONS {uri} SIP/2.0\r\nMax-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n{body}")
}

/// The same as most rows have it.
fn with_line(line: &str) -> String {
    request("sip:100@192.0.2.1", &[line], "")
}

/// A text of so many bytes that no pattern is part of.
fn filler(length: usize) -> String {
    "abcde_".chars().cycle().take(length).collect()
}

/// A pattern of so many bytes, of which no seven are alike.
fn pattern(length: usize) -> String {
    let bytes = (0..).flat_map(|number| format!("{number:02}x").into_bytes());
    bytes.take(length).map(char::from).collect()
}

#[test]
fn a_header_field_contains_a_pattern_anywhere() {
    for (field, names) in HEADERS {
        let table = table(&[(field, PATTERN)]);
        for name in names {
            for name in [(*name).to_owned(), name.to_uppercase(), name.to_lowercase()] {
                for before in (0..=2 * PLACES).chain(CHUNK - 20..=CHUNK + 20) {
                    for behind in [0, 1, 40] {
                        let value = filler(before) + PATTERN + &filler(behind);
                        for line in [
                            format!("{name}: {value}"),
                            format!("{name}:{}", value.to_uppercase()),
                            format!("{name} \t:  {}", value.to_lowercase()),
                            format!("{name}:\r\n {value}"),
                            format!("{name}: abc\r\n\t{value}\r\n def"),
                            format!("{name}: a \"b\";\n c,\n {value}"),
                        ] {
                            let text = with_line(&line);
                            assert_eq!(find(&table, text.as_bytes()), Some(0), "{text}");
                            let text = text.replace("\r\n", "\n");
                            assert_eq!(find(&table, text.as_bytes()), Some(0), "{text}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_stands_elsewhere_is_not_in_the_field() {
    for (field, names) in HEADERS {
        let table = table(&[(field, PATTERN)]);
        let name = names[0];
        let mut others: Vec<_> = HEADERS
            .iter()
            .filter(|(other, _)| *other != field)
            .collect();
        let subject = (
            Field::Any,
            &["Subject", "User-Agents", "Fro", "xVia", "-"][..],
        );
        others.push(&subject);
        for (_, names) in others {
            for other in *names {
                let text = with_line(&format!("{other}: {PATTERN}"));
                assert_eq!(find(&table, text.as_bytes()), None, "{text}");
            }
        }
        let other_byte = PATTERN.replace('y', "x");
        let (first, last) = PATTERN.split_at(8);
        for text in [
            with_line(&format!("{name}: {other_byte}")),
            with_line(&format!("{name}: {}", &PATTERN[1..])),
            with_line(&format!("{name}: {}", &PATTERN[..PATTERN.len() - 1])),
            with_line(&format!("{name}: {first} {last}")),
            with_line(&format!("{name}: {first}\r\n {last}")),
            with_line(&format!("{name}: {first}\r\n{last}")),
            with_line(&format!("{name}s: {PATTERN}")),
            with_line(&format!("{name} {PATTERN}")),
            with_line(&format!("{name}{PATTERN}: a")),
            with_line(&format!("{name}: a\r\nSubject: {PATTERN}")),
            with_line(&format!("{name}: a\r\nSubject: b\r\n {PATTERN}")),
            with_line(&format!("Subject: b\r\n {name}: {PATTERN}")),
            request("sip:100@192.0.2.1", &[], &format!("{name}: {PATTERN}\r\n")),
            request(
                &format!("sip:{PATTERN}@192.0.2.1"),
                &[&format!("{name}: a")],
                "",
            ),
        ] {
            assert_eq!(find(&table, text.as_bytes()), None, "{text}");
            let text = text.replace("\r\n", "\n");
            assert_eq!(find(&table, text.as_bytes()), None, "{text}");
        }
    }
}

#[test]
fn a_name_is_no_part_of_a_value() {
    let table = table(&[
        (Field::UserAgent, "user-agent"),
        (Field::CallId, "all-id: "),
    ]);
    for (line, expected) in [
        ("User-Agent: a", None),
        ("User-Agent: user-agent", Some(0)),
        ("Call-ID: a", None),
        ("Call-ID: Call-ID: b", Some(1)),
        ("i:Call-ID: b", Some(1)),
    ] {
        let text = with_line(line);
        assert_eq!(find(&table, text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn patterns_of_each_length_are_found_at_each_place() {
    for length in MIN_CONTAINS..=MAX_PATTERN {
        let pattern = pattern(length);
        let fields = [Field::UserAgent, Field::Body, Field::Any, Field::RequestUri];
        for field in fields {
            let table = table(&[(field, &pattern)]);
            for place in 0..PLACES {
                let value = filler(place) + &pattern;
                let text = |value: &str| match field {
                    Field::RequestUri => request(&format!("sip:{value}"), &[], ""),
                    Field::Body => request("sip:a", &[], &format!("v=0\r\n{value}\r\n")),
                    Field::Any => with_line(&format!("Subject: {value}")),
                    _ => with_line(&format!("User-Agent: {value}")),
                };
                let met = text(&value);
                assert_eq!(find(&table, met.as_bytes()), Some(0), "{met}");
                for at in place..value.len() {
                    let mut other = value.clone().into_bytes();
                    other[at] ^= 1;
                    let missed = text(&String::from_utf8_lossy(&other));
                    assert_eq!(find(&table, missed.as_bytes()), None, "{missed}");
                }
            }
        }
    }
}

#[test]
fn what_ends_the_payload_is_found() {
    for length in [MIN_CONTAINS, 8, 9, 16, 33, MAX_PATTERN] {
        let pattern = pattern(length);
        let in_body = table(&[(Field::Body, &pattern)]);
        let anywhere = table(&[(Field::Any, &pattern)]);
        let in_header = table(&[(Field::UserAgent, &pattern)]);
        for before in 0..=2 * CHUNK {
            let body = request("sip:a", &[], &(filler(before) + &pattern));
            let header = format!(
                "OPTIONS sip:a SIP/2.0\r\nUser-Agent: {}{pattern}",
                filler(before)
            );
            for (table, text) in [
                (&in_body, &body),
                (&anywhere, &body),
                (&in_header, &header),
                (&anywhere, &header),
            ] {
                assert_eq!(find(table, text.as_bytes()), Some(0), "{text}");
                let cut = &text.as_bytes()[..text.len() - 1];
                assert_eq!(find(table, cut), None, "{text}");
            }
        }
    }
}

#[test]
fn the_longest_payloads_are_searched_to_their_end() {
    let rows = |length: usize| {
        let start = request("sip:a", &[], "");
        let body = filler(length - start.len() - PATTERN.len()) + PATTERN;
        let body = start + &body;
        let start = "OPTIONS sip:a SIP/2.0\r\nUser-Agent: ";
        let value = filler(length - start.len() - PATTERN.len() - 4);
        [body, format!("{start}{value}{PATTERN}\r\n\r\n")]
    };
    for length in [1500, 4096, 8192, SEARCHED - 1, SEARCHED, SEARCHED + 1] {
        let expected = (length <= SEARCHED).then_some(0);
        let [body, header] = rows(length);
        for (field, text) in [
            (Field::Body, &body),
            (Field::Any, &body),
            (Field::UserAgent, &header),
            (Field::Any, &header),
        ] {
            assert_eq!(text.len(), length);
            let found = find(&table(&[(field, PATTERN)]), text.as_bytes());
            assert_eq!(found, expected, "{length} bytes, {field:?}");
        }
    }
}

#[test]
fn a_request_uri_contains_a_pattern_anywhere() {
    let table = table(&[(Field::RequestUri, PATTERN)]);
    let of = |uri: &str, lines: &[&str], body: &str| {
        let text = request(uri, lines, body);
        find(&table, text.as_bytes())
    };
    for before in (0..=2 * PLACES).chain([CHUNK, 10 * CHUNK, URI - 4 - PATTERN.len()]) {
        for behind in [0, 1, 100] {
            let uri = format!("sip:{}{PATTERN}{}", filler(before), filler(behind));
            assert_eq!(of(&uri, &[], ""), Some(0), "{uri}");
            assert_eq!(of(&uri.to_uppercase(), &[], ""), Some(0), "{uri}");
        }
    }
    for leading in ["\r\n", "\r\n\r\n"] {
        let text = format!("{leading}{}", request(&format!("sip:{PATTERN}"), &[], ""));
        assert_eq!(find(&table, text.as_bytes()), Some(0), "{text}");
    }
    for (uri, line, body) in [
        ("sip:a", PATTERN, PATTERN),
        ("sip:a Friendly-Scanner", "a", ""),
        ("sip:a\tFriendly-Scanner", "a", ""),
        ("sip:Friendly -Scanner", "a", ""),
        ("sip:a", "sip:Friendly-Scanner", ""),
    ] {
        assert_eq!(of(uri, &[line], body), None, "{uri} {line} {body}");
    }
    let text = format!("{PATTERN} sip:a SIP/2.0\r\n\r\n");
    assert_eq!(find(&table, text.as_bytes()), None, "{text}");
}

#[test]
fn a_body_is_what_follows_the_empty_line() {
    let in_body = table(&[(Field::Body, PATTERN)]);
    let anywhere = table(&[(Field::Any, PATTERN)]);
    let line = format!("Subject: {PATTERN}");
    let start = "OPTIONS sip:a SIP/2.0";
    for (text, is_body, is_any) in [
        (format!("{start}\r\n\r\n{PATTERN}"), true, true),
        (format!("{start}\n\n{PATTERN}"), true, true),
        (format!("{start}\r\n\n{PATTERN}"), true, true),
        (format!("{start}\n\r\n{PATTERN}"), true, true),
        (
            format!("{start}\r\nx: a\r\n\r\n\r\n\r\n{PATTERN}"),
            true,
            true,
        ),
        (format!("{start}\r\n{line}\r\n\r\n"), false, true),
        (format!("{start}\r\n{line}\r\n"), false, true),
        (format!("{start}\r\n{line}"), false, true),
        (format!("{start}\r\nx: a\r\n \r\n{PATTERN}"), false, true),
        (format!("{start}\r\n\r{PATTERN}"), false, true),
        (format!("{start}\r\nx: a\r\r\n\r{PATTERN}"), false, true),
        (
            format!("OPTIONS sip:{PATTERN} SIP/2.0\r\n\r\n"),
            false,
            true,
        ),
        (format!("{PATTERN} sip:a SIP/2.0\r\n\r\n"), false, true),
        (format!("{start}\r\n\r\n{}", &PATTERN[1..]), false, false),
        (
            format!("SIP/2.0 200 OK\r\n{line}\r\n\r\n{PATTERN}"),
            false,
            false,
        ),
    ] {
        for before in 0..PLACES {
            let text = text.replace("sip:a", &format!("sip:a{}", filler(before)));
            let text = text.as_bytes();
            let expected = is_body.then_some(0);
            assert_eq!(find(&in_body, text), expected, "{}", text.escape_ascii());
            let expected = is_any.then_some(0);
            assert_eq!(find(&anywhere, text), expected, "{}", text.escape_ascii());
        }
    }
}

#[test]
fn the_header_ends_at_every_place() {
    let in_field = table(&[(Field::UserAgent, PATTERN)]);
    let in_body = table(&[(Field::Body, PATTERN)]);
    let in_both = table(&[(Field::UserAgent, PATTERN), (Field::Body, PATTERN)]);
    let line = format!("User-Agent: {PATTERN}");
    for before in 0..=2 * CHUNK {
        for end in ["\r\n\r\n", "\n\n", "\n\r\n", "\r\n\n"] {
            let start = format!("OPTIONS sip:a SIP/2.0\r\nSubject: {}", filler(before));
            let body = format!("{start}{end}{line}\r\n");
            assert_eq!(find(&in_field, body.as_bytes()), None, "{body}");
            assert_eq!(find(&in_body, body.as_bytes()), Some(0), "{body}");
            assert_eq!(find(&in_both, body.as_bytes()), Some(1), "{body}");
            let header = format!("{start}\r\n{line}{end}");
            assert_eq!(find(&in_field, header.as_bytes()), Some(0), "{header}");
            assert_eq!(find(&in_body, header.as_bytes()), None, "{header}");
            assert_eq!(find(&in_both, header.as_bytes()), Some(0), "{header}");
        }
    }
}

#[test]
fn behind_many_lines_a_field_is_still_found() {
    let table = table(&[(Field::From, PATTERN)]);
    let line = format!("From: {PATTERN}");
    for many in [1, 50, 100, 600, 1500] {
        for other in ["x:\n", "x:a\n\t\n", "x: a\u{e9}\u{e9}\n", "\u{b}\u{b}\n"] {
            let lines = other.repeat(many.min((SEARCHED - 100) / other.len()));
            let header = format!("OPTIONS sip:a SIP/2.0\n{lines}{line}\n\n");
            assert_eq!(
                find(&table, header.as_bytes()),
                Some(0),
                "{many} times {other}"
            );
            let body = header.replace(&line, &format!("x:\n\n{line}"));
            assert_eq!(find(&table, body.as_bytes()), None, "{many} times {other}");
        }
    }
}

#[test]
fn a_pattern_that_stands_everywhere_else_is_found_in_its_field() {
    // As often as a payload has room for, in one line and in many.
    let table = table(&[(Field::UserAgent, "scanner"), (Field::UserAgent, "an-scan")]);
    for what in [
        "scanner",
        "scanner\r\nx: ",
        "scan-scanner",
        "scanner\r\n scan-scanner ",
    ] {
        let many = what.repeat((SEARCHED - 200) / what.len());
        let text = |name: &str| with_line(&format!("Subject: {many}\r\n{name}: scanner"));
        assert_eq!(
            find(&table, text("User-Agent").as_bytes()),
            Some(0),
            "{what}"
        );
        assert_eq!(find(&table, text("Server").as_bytes()), None, "{what}");
        let first = with_line(&format!("User-Agent: a\r\nSubject: {many}"));
        assert_eq!(find(&table, first.as_bytes()), None, "{what}");
    }
}

#[test]
fn of_several_what_may_be_dropped_goes_first() {
    let mut table = Box::new(SignatureTable::EMPTY);
    let library = Found::new(1, Kind::Library);
    for (number, how, pattern, found) in [
        (0, Match::Contains, "library-one", library),
        (1, Match::Contains, "scanner-one", scanner(1)),
        (2, Match::Prefix, "begins", library),
        (3, Match::Prefix, "drops", scanner(3)),
        (4, Match::Contains, "unsure-one", scanner(4).unsure()),
        (5, Match::Contains, "library-one and", scanner(5)),
    ] {
        let added = table.insert(number, Field::UserAgent, how, pattern.as_bytes(), found);
        assert_eq!(added, Ok(()));
    }
    for (value, expected) in [
        ("a library-one", Some(0)),
        ("a scanner-one", Some(1)),
        ("a library-one scanner-one", Some(1)),
        ("a scanner-one library-one", Some(1)),
        ("a library-one and more", Some(5)),
        ("begins with library-one", Some(2)),
        ("begins with scanner-one", Some(1)),
        ("drops scanner-one", Some(3)),
        ("unsure-one", Some(4)),
        ("a unsure-one scanner-one", Some(1)),
    ] {
        let text = with_line(&format!("User-Agent: {value}"));
        assert_eq!(find(&table, text.as_bytes()), expected, "{text}");
    }
}

/// Eight digits that no other number below [`MAX_SIGNATURES`] shares four of.
fn digits(number: usize) -> String {
    format!("{:08x}", (number as u32).wrapping_mul(0x9e37_79b1))
}

#[test]
fn a_full_table_finds_each_of_its_patterns() {
    let fields: Vec<_> = HEADERS.iter().map(|(field, _)| *field).collect();
    let patterns: Vec<_> = (0..MAX_SIGNATURES)
        .map(|number| {
            let text = format!("friendly-scanner-{} one", digits(number));
            (fields[number % fields.len()], text)
        })
        .collect();
    let patterns: Vec<_> = patterns
        .iter()
        .map(|(field, text)| (*field, text.as_str()))
        .collect();
    let table = table(&patterns);
    for (number, (field, text)) in patterns.iter().enumerate() {
        for (other, names) in HEADERS {
            let text = with_line(&format!("{}: a {text} b", names[0]));
            let expected = (other == *field).then_some(number);
            assert_eq!(find(&table, text.as_bytes()), expected, "{text}");
        }
    }
}

#[test]
fn patterns_that_cannot_be_are_refused() {
    let mut table = SignatureTable::EMPTY;
    let long = "x".repeat(MAX_PATTERN + 1);
    for (field, text, expected) in [
        (Field::Body, "", TableError::Empty),
        (Field::From, "abcdef", TableError::TooShortToContain),
        (Field::Any, &long, TableError::TooLong),
        (Field::Any, "abcdef\r", TableError::Unmatchable),
        (Field::Any, "abc\ndef", TableError::Unmatchable),
        (Field::Any, "abc\0def", TableError::Unmatchable),
        (Field::RequestUri, "sip:a b", TableError::Unmatchable),
    ] {
        let added = table.insert(0, field, Match::Contains, text.as_bytes(), scanner(0));
        assert_eq!(added, Err(expected), "{field:?} {text:?}");
    }
    let same = |table: &mut SignatureTable, number: u16| {
        table.insert(number, Field::Any, Match::Contains, b"scanner", scanner(0))
    };
    let taken = (0..)
        .take_while(|number| same(&mut table, *number).is_ok())
        .count();
    assert!(
        (8..MAX_SIGNATURES).contains(&taken),
        "{taken} of one pattern"
    );
    assert_eq!(find(&table, with_line("x: a scanner").as_bytes()), Some(0));
}

// --- At random ---------------------------------------------------------------------------------

/// What the classifier is to find, more slowly: whether the pattern stands where it should.
fn stands(text: &[u8], field: Field, pattern: &str) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let header_end = (0..text.len()).find(|at| {
        text[*at] == b'\n'
            && (text[at + 1..].starts_with(b"\n") || text[at + 1..].starts_with(b"\r\n"))
    });
    let places = text.windows(pattern.len()).enumerate();
    let mut places = places.filter(|(_, window)| window.eq_ignore_ascii_case(pattern.as_bytes()));
    places.any(|(start, _)| match field {
        Field::Any => true,
        Field::Body => header_end.is_some_and(|end| start > end),
        Field::RequestUri => {
            let uri = text.iter().position(|byte| *byte == b' ').unwrap_or(0) + 1;
            let end = text[uri..].iter().position(|byte| *byte <= b' ');
            start >= uri && start + pattern.len() <= end.map_or(text.len(), |end| uri + end)
        }
        header => {
            let mut before = (0..start).rev();
            let line = before.find(|at| text[*at] == b'\n' && !is_blank(text.get(at + 1)));
            let Some(line) = line.filter(|_| header_end.is_none_or(|end| start < end)) else {
                return false;
            };
            let before = &text[line + 1..start];
            let Some(colon) = before.iter().position(|byte| *byte == b':') else {
                return false;
            };
            let name = before[..colon].trim_ascii();
            let blanks = before[colon + 1..].iter().all(u8::is_ascii_whitespace);
            let begins = !(blanks && is_blank(text.get(start)));
            let names = HEADERS.iter().find(|(field, _)| *field == header);
            let is_it = |one: &&str| one.as_bytes().eq_ignore_ascii_case(name);
            begins && names.is_some_and(|(_, names)| names.iter().any(is_it))
        }
    })
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % limit as u64) as usize
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

#[test]
fn what_is_put_together_at_random_is_found_as_the_slow_way_finds_it() {
    const PATTERNS: [&str; 5] = [
        "scanner",
        "scan-scanner",
        "a scanner b",
        " scanner",
        "ner:scan",
    ];
    const PIECES: [&str; 26] = [
        "\r\n",
        "\r\n",
        "\n",
        "\r\n ",
        "\n\t",
        "User-Agent: ",
        "user-agent:",
        "From : ",
        "f:",
        "t: ",
        "Subject: ",
        "Via:",
        "i :",
        "scanner",
        "SCANNER",
        "scan-",
        "a scanner b",
        "ner:",
        " ",
        "  ",
        ":",
        "x",
        "abcd",
        "\u{e9}",
        "To: scanner\r\n",
        "CSeq: 1 scanner\r\n",
    ];
    let mut random = Random(1);
    let tables: Vec<_> = Field::ALL
        .iter()
        .flat_map(|field| PATTERNS.map(|pattern| (*field, pattern)))
        // No request URI holds a blank.
        .filter(|(field, pattern)| *field != Field::RequestUri || !pattern.contains(' '))
        .enumerate()
        .map(|(number, one)| match number % 2 {
            0 => (one, table(&[one])),
            // What is behind the header is gone through too.
            _ => (one, table(&[one, (Field::Body, "is never there")])),
        })
        .collect();
    let mut found = 0;
    for _ in 0..4000 {
        let mut text = "OPTIONS sip:".to_owned();
        for _ in 0..random.below(3) {
            text += random.of(&["scanner", "abc", "\u{e9}scan-"]);
        }
        text += " SIP/2.0\r\n";
        for _ in 0..random.below(40) {
            text += random.of(&PIECES);
        }
        if random.below(3) == 0 {
            text += "\r\n\r\n";
            for _ in 0..random.below(10) {
                text += random.of(&PIECES);
            }
        }
        for ((field, pattern), table) in &tables {
            let expected = stands(text.as_bytes(), *field, pattern);
            found += usize::from(expected);
            let is_found = find(table, text.as_bytes()) == Some(0);
            assert_eq!(is_found, expected, "{field:?} {pattern:?}: {text:?}");
        }
    }
    assert!(found > 1000, "there was hardly anything to find");
}
