//! What the detectors find.

use super::*;

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
