//! Who a request is for, whether it belongs to a dialogue and whether it has credentials, on byte slices.

use sip_filter_common::{
    classify::{self, Destination, Work},
    payload::SlicePayload,
    sender::Sent,
    signature::SignatureTable,
};

const SEED: u64 = 0x5eed;

/// What a request says of itself; in a room in which another request has left its text, too.
fn note(payload: &str) -> Sent {
    let mut table = Box::new(SignatureTable::EMPTY);
    table
        .watch()
        .unwrap_or_else(|error| panic!("the empty table: {error}"));
    let mut work = Box::new(const { Work::EMPTY });
    let new = note_in(&mut work, &table, payload);
    let left = "To: \"a\" <sip:other@a>;tag=1;tag=2\r\nAuthorization: Digest\r\n".repeat(140);
    let left = format!("OPTIONS sip:a SIP/2.0\r\n{left}");
    note_in(&mut work, &table, &left);
    let used = note_in(&mut work, &table, payload);
    assert_eq!(used, new, "with what another request left: {payload}");
    new
}

fn note_in(work: &mut Work, table: &SignatureTable, payload: &str) -> Sent {
    let bytes = SlicePayload(payload.as_bytes());
    let found = classify::classify(&bytes, &Destination::NONE, table, work);
    assert!(found.class.is_request(), "{payload}");
    let mut sent = Sent::default();
    classify::note_dialogue(&bytes, found.class, work, table, SEED, &mut sent);
    sent
}

/// The hash of a user.
fn hash_of(user: &str) -> u64 {
    note(&format!("OPTIONS sip:{user}@a SIP/2.0\r\n\r\n")).user
}

/// Holds a request against the user that it is for, if any, and what of it is in a dialogue or has
/// credentials.
fn assert_says(request: &str, user: Option<&str>, flags: u64) {
    for text in [request.to_owned(), request.replace("\r\n", "\n")] {
        let sent = note(&text);
        assert_eq!(sent.user, user.map_or(0, hash_of), "{user:?}: {text}");
        assert_eq!(sent.flags, flags, "the flags: {text}");
    }
}

/// A request with some lines.
fn request(start: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "{start} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n{lines}\
         From: <sip:from@a>;tag=9\r\nCall-ID: 1\r\nCSeq: 1 {}\r\nContent-Length: 0\r\n\r\n",
        start.split(' ').next().unwrap_or_default()
    )
}

const DIALOGUE: u64 = Sent::IN_DIALOGUE;
const CREDENTIALS: u64 = Sent::HAS_CREDENTIALS;

#[test]
fn a_request_is_for_who_its_uri_names() {
    for (uri, user) in [
        ("sip:100@192.0.2.1", Some("100")),
        ("SIP:100@192.0.2.1;transport=udp", Some("100")),
        ("sips:100@192.0.2.1", Some("100")),
        ("sip:100:secret@192.0.2.1", Some("100")),
        ("sip:100;phone-context=+1@192.0.2.1", Some("100")),
        ("sip:a.longer-name_of+20@a", Some("a.longer-name_of+20")),
        ("sip:12345678@a", Some("12345678")),
        ("tel:+1-201-555-0123", Some("+1-201-555-0123")),
        ("tel:100;phone-context=a.example", Some("100")),
        ("sip:192.0.2.1", None),
        ("sip:192.0.2.1:5060;transport=udp", None),
        ("urn:service:sos", None),
    ] {
        // Whom the To names is another matter.
        let text = request(&format!("INVITE {uri}"), &["To: <sip:to@a>"]);
        assert_says(&text, user, 0);
    }
    let long = "0123456789".repeat(7);
    assert_eq!(
        hash_of(&long),
        hash_of(&long[..64]),
        "of a long user 64 bytes count"
    );
    assert_ne!(hash_of(&long[..64]), hash_of(&long[..63]));
}

#[test]
fn a_registration_is_for_who_its_to_names() {
    for (to, user) in [
        ("To: <sip:100@192.0.2.1>", Some("100")),
        ("To: \"100\"<sip:100@192.0.2.1>", Some("100")),
        ("To: sip:100@192.0.2.1", Some("100")),
        ("To: sip:100@192.0.2.1;x=y", Some("100")),
        ("t:<sips:100@192.0.2.1>", Some("100")),
        ("TO :  100 <sip:100@192.0.2.1>", Some("100")),
        ("To:\r\n <sip:100@192.0.2.1>", Some("100")),
        ("To: \"One\"\r\n\t<sip:100@192.0.2.1>", Some("100")),
        ("To: <tel:+1201;x=y>", Some("+1201")),
        ("To: \"<sip:200@a>\" <sip:100@a>", Some("100")),
        ("To: \"a\\\"<sip:200@a>\" <sip:100@a>", Some("100")),
        ("To: \"a\\\\\" <sip:100@a>", Some("100")),
        // Each of these bytes is taken for a line end where lines are only counted.
        (
            "To: \"\u{418}\u{432}\u{430}\u{43d} \u{41f}\u{435}\u{442}\u{440}\u{43e}\u{432}\" <sip:100@a>",
            Some("100"),
        ),
        ("To: <sip:192.0.2.1>", None),
        ("To: sip:192.0.2.1\t;x=a@b", None),
        ("To: 100", None),
        // What has no colon is no field, whatever stands in the lines behind it.
        ("To <sip:100@a>", None),
        ("X: a", None),
    ] {
        let text = request("REGISTER sip:a@192.0.2.1", &[to]);
        assert_says(&text, user, 0);
    }
}

#[test]
fn a_tag_in_to_is_a_dialogue() {
    let unread = format!("X: {}", "x".repeat(700));
    let most = format!("X: {}", "x".repeat(490));
    let name = format!("To: \"{}\" <sip:100@a>;tag=1", "x".repeat(80));
    let parameters = format!("To: <sip:100@a>;x={};tag=1", "x".repeat(150));
    for (lines, flags) in [
        (&["To: <sip:100@a>;tag=1"][..], DIALOGUE),
        (&["To: <sip:100@a>;x=y;TAG=1"], DIALOGUE),
        (&["To: <sip:100@a> ;\t tag  = 1"], DIALOGUE),
        (&["To: <sip:100@a>;\r\n tag=1"], DIALOGUE),
        (&["t: sip:100@a;tag=1"], DIALOGUE),
        (&["To: \"100\"\r\n <sip:100@a>\r\n ;tag=1"], DIALOGUE),
        (
            &["To: \u{5f20}\u{4e09}\u{674e}\u{56db}\u{738b}\u{4e94} <sip:100@a>;tag=1"],
            DIALOGUE,
        ),
        (&[&unread, "To: <sip:100@a>;tag=1"], DIALOGUE),
        // The last bytes of it are not read at first.
        (&[&most, &name], DIALOGUE),
        (&[&most, &parameters], DIALOGUE),
        (&["To: <sip:100@a>"], 0),
        (&["To: <sip:100@a>;stag=1"], 0),
        (&["To: <sip:100@a>;tagged=1"], 0),
        (&["To: <sip:100@a>;tag"], 0),
        // A parameter of the URI and a part of the name are none of the field's.
        (&["To: <sip:100@a;tag=1>"], 0),
        (&["To: \";tag=1\" <sip:100@a>"], 0),
        (&["To: <sip:100@a;tag=1"], 0),
        (&["To: <sip:100@a"], 0),
        (&["To: <sip:100@a>\r\nX: a;tag=1"], 0),
        (&["To <sip:100@a>;tag=1"], 0),
        // The first one counts.
        (&["To: <sip:100@a>", "To: <sip:100@a>;tag=1"], 0),
        (&["X: a"], 0),
    ] {
        assert_says(&request("BYE sip:a@192.0.2.1", lines), Some("a"), flags);
    }
    let in_body = request("BYE sip:a@192.0.2.1", &[]) + "To: <sip:100@a>;tag=1\r\n";
    assert_says(&in_body, Some("a"), 0);
}

#[test]
fn a_registration_has_credentials() {
    let long = format!("X: {}", "x".repeat(700));
    let to = "To: <sip:100@a>";
    for (lines, flags) in [
        (
            &[to, "Authorization: Digest username=\"100\""][..],
            CREDENTIALS,
        ),
        (&[to, "PROXY-AUTHORIZATION : Digest"], CREDENTIALS),
        (&["Authorization:Digest", to], CREDENTIALS),
        (&[&long, to, "Authorization: Digest"], CREDENTIALS),
        (&[to, &long, "Authorization: Digest"], CREDENTIALS),
        (
            &["To: <sip:100@a>;tag=1", "Authorization: Digest"],
            CREDENTIALS | DIALOGUE,
        ),
        (&[to, "Authorizations: Digest"], 0),
        (&[to, "X: a\r\n Authorization: Digest"], 0),
        (&[to, "WWW-Authenticate: Digest"], 0),
    ] {
        assert_says(
            &request("REGISTER sip:192.0.2.1", lines),
            Some("100"),
            flags,
        );
    }
    // Behind more than is gone through, neither is found.
    let longer = format!("X: {}", "x".repeat(2500));
    let text = request("REGISTER sip:a", &[&longer, to, "Authorization: Digest"]);
    assert_says(&text, None, 0);
    let in_body = request("REGISTER sip:a", &[to]) + "Authorization: Digest\r\n";
    assert_says(&in_body, Some("100"), 0);
    // What is taken for line ends between the header's end and there, in whatever chunks they are.
    for padding in 0..128 {
        let padding = format!("X: {}", "x".repeat(padding));
        for many in [4, 9, 16, 24, 40] {
            let body = format!("{}\nAuthorization: Digest\r\n", "\x01".repeat(many));
            let in_body = request("REGISTER sip:a", &[&padding, to]) + &body;
            assert_says(&in_body, Some("100"), 0);
        }
    }
}

#[test]
fn what_scanners_and_phones_send() {
    // SIPVicious svwar, svcrack, and a phone's BYE.
    for (text, user, flags) in [
        (
            "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK-1;rport\r\n\
             Content-Length: 0\r\nFrom: \"100\" <sip:100@192.0.2.1>; tag=31303001\r\n\
             Accept: application/sdp\r\nUser-Agent: a\r\nTo: \"100\" <sip:100@192.0.2.1>\r\n\
             Contact: sip:100@1.1.1.1\r\nCSeq: 1 REGISTER\r\nCall-ID: 1\r\nMax-Forwards: 70\r\n\r\n",
            Some("100"),
            0,
        ),
        (
            "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK-2;rport\r\n\
             Content-Length: 0\r\nFrom: \"100\"<sip:100@192.0.2.1>; tag=2\r\nAccept: application/sdp\r\n\
             User-Agent: a\r\nTo: \"100\"<sip:100@192.0.2.1>\r\nContact: sip:100@1.1.1.1\r\n\
             CSeq: 1 REGISTER\r\nCall-ID: 2\r\nMax-Forwards: 70\r\nAuthorization: Digest \
             username=\"100\",realm=\"a\",nonce=\"1\",uri=\"sip:192.0.2.1\",response=\"2\"\r\n\r\n",
            Some("100"),
            CREDENTIALS,
        ),
        (
            "BYE sip:102@192.0.2.66:5060;transport=udp SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK3\r\n\
             f: <sip:101@192.0.2.10>;tag=a\r\nt: \"Home\" <sip:102@192.0.2.10>;tag=b\r\ni: 3\r\n\
             CSeq: 2 BYE\r\nl: 0\r\n\r\n",
            Some("102"),
            DIALOGUE,
        ),
    ] {
        assert_says(text, user, flags);
    }
}
