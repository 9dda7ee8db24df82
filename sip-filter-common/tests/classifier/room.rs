//! How far is read, and what one request leaves to the next.

use super::*;

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
