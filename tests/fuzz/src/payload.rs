//! What must hold of any payload.

use sip_filter_common::{
    abi::Address,
    classify::{self, Classification, Destination, Work, classify, starts_like_sip},
    field::Detector,
    payload::SlicePayload,
    sender::Sent,
    signature::SignatureTable,
    sip::MessageClass,
};

use crate::{
    reference::{self, Answer, Says},
    signatures::Signatures,
};

/// Lines of a request that each signature's place has something in, to be left in the room.
const LEFT: &[u8] = b"User-Agent: friendly-scanner\r\nu: zzzzz\r\n\
    From: <sip:1@1.1.1.1>;tag=6330303030323061313363340131323334353637\r\n\
    Via: SIP/2.0/UDP 1.1.1.1:5060;branch=z9hG4bK-1234567;rport\r\nCall-ID: 1234567890\r\n\
    Max-Forwards: 20\r\nContact: *\r\nTo: zzzz\r\nCSeq: 7 q\r\n";
/// About as much as the room holds, in bytes.
const FULL: usize = 9_000;

/// Where the packets are for.
const DESTINATION: Destination = Destination {
    address: Address::from_ipv4(0xc000_020a),
    port: 5060,
};

/// Asks the classifier, in a room in which other requests have left their text, as they do in the
/// kernel, and in one that is new each time.
pub struct Judge<'a> {
    signatures: &'a Signatures,
    used: Box<Work>,
    new: Box<Work>,
}

impl<'a> Judge<'a> {
    /// With the same left in the room each time, so that what one input shows it shows again.
    pub fn new(signatures: &'a Signatures) -> Self {
        let mut judge = Self {
            signatures,
            used: Box::new(const { Work::EMPTY }),
            new: Box::new(const { Work::EMPTY }),
        };
        let mut left = b"OPTIONS sip:q SIP/2.0\r\n".to_vec();
        while left.len() < FULL {
            left.extend_from_slice(LEFT);
        }
        classify(
            &SlicePayload(&left),
            &DESTINATION,
            // Nothing ends the search early.
            const { &SignatureTable::EMPTY },
            &mut judge.used,
        );
        judge
    }

    /// The one place that asks the classifier.
    fn classified(&mut self, payload: &[u8], table: &SignatureTable) -> Classification {
        *self.new = Work::EMPTY;
        let [new, used] = [&mut self.new, &mut self.used]
            .map(|work| classify(&SlicePayload(payload), &DESTINATION, table, work));
        assert_eq!(
            used,
            new,
            "with what others left, and without: {}",
            payload.escape_ascii()
        );
        new
    }

    /// The same of a request, and what it says of itself.
    fn watched(&mut self, payload: &[u8], table: &SignatureTable) -> (Classification, Sent) {
        let found = self.classified(payload, table);
        let class = found.class;
        let [new, used] = [&mut self.new, &mut self.used].map(|work| {
            let mut sent = Sent::default();
            classify::note_dialogue(
                &SlicePayload(payload),
                class,
                work,
                table,
                reference::SEED,
                &mut sent,
            );
            sent
        });
        assert_eq!(
            used,
            new,
            "noted with what others left, and without: {}",
            payload.escape_ascii()
        );
        (found, new)
    }

    /// Holds a payload against what must hold.
    pub fn holds(&mut self, payload: &[u8]) {
        let signatures = self.signatures;
        let found = self.classified(payload, &signatures.patterns);
        let Classification { class, hit } = found;
        assert!(
            class.is_request() || hit.is_none(),
            "{class:?} of {hit:?}, and only requests are judged"
        );
        assert!(
            !starts_like_sip(&SlicePayload(payload))
                || class.is_request()
                || class == MessageClass::Response,
            "{class:?}, although it starts like SIP"
        );

        let all = self.classified(payload, &signatures.all);
        assert_eq!(all.class, class);
        let Some(expected) = reference::classified(payload, signatures) else {
            return;
        };
        assert_found(found, &expected, "as it is", payload);
        match all.hit.signature().checked_sub(signatures.list.len()) {
            None => assert_found(all, &expected, "with detectors", payload),
            // What detectors find comes last, and is of use only where nothing is to be dropped for;
            // but one that begins with a text is found like a pattern.
            Some(detector) => assert!(
                all.hit.is_hostile()
                    || !expected.is_hostile
                        && (!expected.is_named || detector == Detector::NmapScript as usize),
                "{all:?} with detectors, {found:?} without: {}",
                payload.escape_ascii()
            ),
        }
        if class.is_request() {
            let (watched, sent) = self.watched(payload, &signatures.watched);
            assert_found(watched, &expected, "watched", payload);
            // Of what is dropped no more may have been read.
            let is_read = !watched.hit.is_hostile();
            assert_sent(&sent, &reference::sent(&expected, is_read), payload);
            // Half of them with each input: they take most of the time.
            let turn = payload.len() % 2;
            for (what, changed) in equivalents(payload).into_iter().skip(turn).step_by(2) {
                let Some(of_changed) = reference::classified(&changed, signatures) else {
                    continue;
                };
                let again = self.classified(&changed, &signatures.patterns);
                assert_found(again, &of_changed, what, &changed);
                // Beyond the limits and among several tools the change may make a difference.
                let is_plain = |answer: &Answer<'_>| match *answer.tools {
                    [] => true,
                    [_] => answer.is_named,
                    _ => false,
                };
                // A body may have a pattern too.
                let is_same = expected.tools == of_changed.tools;
                if is_same && is_plain(&expected) && is_plain(&of_changed) {
                    assert_eq!(again, found, "{what}: {}", changed.escape_ascii());
                }
            }
        }
    }
}

/// Holds what was found against what the reference says.
fn assert_found(found: Classification, expected: &Answer<'_>, what: &str, payload: &[u8]) {
    let Classification { class, hit } = found;
    let text = payload.escape_ascii();
    assert_eq!(class, expected.class, "{what}: {text}");
    let Answer {
        tools,
        is_named,
        is_hostile,
        ..
    } = expected;
    let tool = hit.found().map(|tool| (tool, hit.signature()));
    let Some(tool) = tool else {
        assert!(
            !is_named,
            "nothing, and not one of {tools:?}, {what}: {text}"
        );
        return;
    };
    assert!(
        tools.contains(&tool),
        "{tool:?}, and not one of {tools:?}, {what}: {text}"
    );
    assert!(
        hit.is_hostile() || !is_hostile,
        "{tool:?}, and none of {tools:?} that may be dropped, {what}: {text}"
    );
}

/// Holds what a request says of itself against what the reference makes of it.
fn assert_sent(sent: &Sent, expected: &Says, payload: &[u8]) {
    let text = payload.escape_ascii();
    let has = |flag| sent.flags & flag != 0;
    for (what, is_so, may_be) in [
        (
            "in a dialogue",
            has(Sent::IN_DIALOGUE),
            expected.is_in_dialogue,
        ),
        (
            "with credentials",
            has(Sent::HAS_CREDENTIALS),
            expected.has_credentials,
        ),
    ] {
        assert!(
            may_be.is_none_or(|must_be| is_so == must_be),
            "{what}: {is_so}, not {may_be:?}: {text}"
        );
    }
    let Some(users) = &expected.users else {
        return;
    };
    assert!(
        users
            .iter()
            .any(|user| reference::hash_of(user.as_deref()) == sent.user),
        "the user has the hash {:#x}, and is one of {users:?}: {text}",
        sent.user
    );
}

/// The same request written in other ways, none of which a receiver tells from the first.
fn equivalents(request: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut equivalents = Vec::with_capacity(4);
    let (line, rest) = request.split_at(behind_first_line(request));
    if line.ends_with(b"\n") {
        // Everything moves against the words that are read. What lengths there are come in turn.
        let filling = &b"xxxxxxxx"[..request.len() / 16 % 8];
        let field = [b"P: ", filling, b"\r\n"].concat();
        equivalents.push(("with one more field", [line, &field, rest].concat()));
        equivalents.push(("in capitals", [line, &rest.to_ascii_uppercase()].concat()));
    }
    if let Some(end) = end_of_header(request) {
        equivalents.push(("without its body", request[..end].to_vec()));
    }
    if let Some(feeds) = with_line_feeds(request) {
        equivalents.push(("with LF for CR LF", feeds));
    }
    equivalents
}

/// Where the line behind the start line begins, or the payload's end.
fn behind_first_line(request: &[u8]) -> usize {
    let start = request
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'));
    let start = start.unwrap_or(request.len());
    let feed = request[start..].iter().position(|byte| *byte == b'\n');
    feed.map_or(request.len(), |feed| start + feed + 1)
}

/// Where the first line behind the empty one begins.
fn end_of_header(request: &[u8]) -> Option<usize> {
    let mut at = behind_first_line(request);
    loop {
        let feed = request[at..].iter().position(|byte| *byte == b'\n')?;
        let line = &request[at..at + feed];
        at += feed + 1;
        if matches!(line, b"" | b"\r") {
            return Some(at);
        }
    }
}

/// With LF in place of each CR LF; nothing where a CR stands alone, which would be one end of a
/// line then that it was not before.
fn with_line_feeds(request: &[u8]) -> Option<Vec<u8>> {
    let mut changed = Vec::with_capacity(request.len());
    for (at, byte) in request.iter().enumerate() {
        match (byte, request.get(at + 1)) {
            (b'\r', Some(b'\n')) => {}
            (b'\r', _) => return None,
            _ => changed.push(*byte),
        }
    }
    Some(changed)
}
