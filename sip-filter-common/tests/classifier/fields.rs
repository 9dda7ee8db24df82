//! Every field that a signature may be about.

use super::*;

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
