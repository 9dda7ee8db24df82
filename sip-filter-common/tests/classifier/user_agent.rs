//! A User-Agent, however it is written and wherever it stands.

use super::*;

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
