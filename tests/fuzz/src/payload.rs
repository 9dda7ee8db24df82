//! What must hold of any payload.

use sip_filter_common::{
    classify::{Classification, classify, starts_like_sip},
    payload::SlicePayload,
    sip::MessageClass,
};

use crate::{
    reference::{self, LONGEST},
    signatures::Signatures,
};

/// The one place that asks the classifier.
fn classified(payload: &[u8], signatures: &Signatures) -> Classification {
    classify(&SlicePayload(payload), &signatures.table)
}

/// Holds a payload against what must hold.
pub fn holds(payload: &[u8], signatures: &Signatures) {
    let found = classified(payload, signatures);
    let Classification { class, tool } = found;
    assert!(
        class.is_request() || tool.is_none(),
        "{class:?} of {tool:?}, and only requests are judged"
    );
    assert!(
        !starts_like_sip(&SlicePayload(payload))
            || class.is_request()
            || class == MessageClass::Response,
        "{class:?}, although it starts like SIP"
    );
    let Some(expected) = reference::classified(payload, signatures) else {
        return;
    };
    assert_eq!(
        found,
        expected,
        "found, and by the reference: {}",
        payload.escape_ascii()
    );
    if class.is_request() {
        for (what, changed) in equivalents(payload) {
            if changed.len() <= LONGEST {
                let again = classified(&changed, signatures);
                assert_eq!(again, found, "{what}: {}", changed.escape_ascii());
            }
        }
    }
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
