//! What a payload is, said once more: byte by byte and line by line, slowly, with nothing of the
//! classifier's but its vocabulary.
//!
//! The classifier looks no further than some limits, which its own tables of tests hold. Where a
//! payload is beyond one of them, and where it is not plain what is right, this has no opinion:
//! `None`.

use sip_filter_common::{
    classify::Classification, signature::Match, sip::MessageClass, tool::Found,
};

use crate::signatures::{Signature, Signatures};

/// The longest payload, in bytes.
pub const LONGEST: usize = 4000;
/// Line ends before a start line, or that are all there is.
const LINE_ENDS: usize = 32;
/// A first line in bytes, with its end.
const LINE: usize = 512;
/// A method in bytes.
const METHOD: usize = 64;
/// Blanks on either side of the colon, line ends of folded lines counted.
const BLANKS: usize = 32;
/// Blanks behind a value.
const TRAILING: usize = 15;

/// What the payload is and which tool sent it.
pub fn classified(payload: &[u8], signatures: &Signatures) -> Option<Classification> {
    if payload.len() > LONGEST {
        return None;
    }
    let (class, start) = class(payload)?;
    let tool = if class.is_request() {
        match user_agent(payload, start)? {
            Some(value) => named(value, &signatures.list)?,
            None => None,
        }
    } else {
        None
    };
    Some(Classification { class, tool })
}

/// What it is, and where its start line begins.
fn class(payload: &[u8]) -> Option<(MessageClass, usize)> {
    if let Some((method, rest)) = split_method(payload)
        && let Some(class) = known(method)
        && [&b"sip:"[..], b"sips", b"tel:"]
            .iter()
            .any(|scheme| begins(rest, scheme))
    {
        return Some((class, 0));
    }
    if is_status_line(payload) {
        return Some((MessageClass::Response, 0));
    }
    if payload.len() <= 4 && payload.iter().all(|byte| *byte == 0) || is_stun(payload) {
        return Some((MessageClass::Keepalive, 0));
    }
    let start = payload.iter().position(|byte| !b"\r\n".contains(byte));
    if start.unwrap_or(payload.len()) > LINE_ENDS {
        return None;
    }
    let Some(start) = start else {
        return Some((MessageClass::Keepalive, 0));
    };
    let line = &payload[start..];
    if is_status_line(line) {
        return Some((MessageClass::Response, start));
    }
    let malformed = Some((MessageClass::Malformed, start));
    let line = match line.iter().position(|byte| *byte == b'\n') {
        Some(feed) if feed >= LINE => return None,
        None if line.len() >= LINE => return None,
        None => return malformed,
        Some(feed) => &line[..feed],
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Some((method, rest)) = split_method(line) else {
        return malformed;
    };
    if method.len() > METHOD {
        return None;
    }
    let Some((uri, [b' ', s, i, p, b'/', major, b'.', minor])) = rest.split_last_chunk::<8>()
    else {
        return malformed;
    };
    let is_version = [*s, *i, *p].eq_ignore_ascii_case(b"SIP")
        && major.is_ascii_digit()
        && minor.is_ascii_digit();
    if uri.is_empty() || !is_version {
        return malformed;
    }
    Some((known(method).unwrap_or(MessageClass::Other), start))
}

/// A token (RFC 3261 section 25.1), and what stands behind it and one blank.
fn split_method(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = line.iter().position(|byte| *byte == b' ')?;
    let method = &line[..length];
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(byte);
    (length > 0 && method.iter().all(is_token)).then(|| (method, &line[length + 1..]))
}

fn known(method: &[u8]) -> Option<MessageClass> {
    MessageClass::ALL.into_iter().find(|class| {
        *class != MessageClass::Other
            && class.method().is_some_and(|name| name.as_bytes() == method)
    })
}

fn is_status_line(line: &[u8]) -> bool {
    begins(line, b"SIP/2.0 ") && line.get(8).is_some_and(u8::is_ascii_digit)
}

/// RFC 8489 section 5, or a binding message of RFC 3489.
fn is_stun(payload: &[u8]) -> bool {
    let [a, b, c, d, cookie @ ..] = payload else {
        return false;
    };
    let kind = u16::from_be_bytes([*a, *b]);
    let length = usize::from(u16::from_be_bytes([*c, *d]));
    let is_binding = [0x0001, 0x0011, 0x0101, 0x0111].contains(&kind);
    kind < 0x4000
        && length.is_multiple_of(4)
        && payload.len() == 20 + length
        && (is_binding || cookie.starts_with(&[0x21, 0x12, 0xa4, 0x42]))
}

/// The payload from where the value of the first User-Agent in the header begins.
fn user_agent(payload: &[u8], start: usize) -> Option<Option<&[u8]>> {
    const NAME: &[u8] = b"User-Agent";
    // A method of that name behind a line end: a matter of taste.
    if start > 0 && begins(&payload[start..], NAME) {
        return None;
    }
    let mut at = start;
    loop {
        let Some(feed) = payload[at..].iter().position(|byte| *byte == b'\n') else {
            return Some(None);
        };
        at += feed + 1;
        let rest = &payload[at..];
        if rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            return Some(None);
        }
        let Some(behind) = rest.get(NAME.len()) else {
            return Some(None);
        };
        if !begins(rest, NAME) || !b": \t\r\n".contains(behind) {
            continue;
        }
        // A line that holds the name and no colon is no field. Whether the next one is the first
        // User-Agent, or there is none, is a matter of taste too.
        let value = skip_blanks(&rest[NAME.len()..])?.strip_prefix(b":")?;
        return skip_blanks(value).map(Some);
    }
}

/// What follows the blanks, of folded lines too; no opinion where they are too many.
fn skip_blanks(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    loop {
        let unfolded = rest.strip_prefix(b"\r").unwrap_or(rest);
        rest = match (unfolded, rest) {
            ([b'\n', b' ' | b'\t', ..], _) => &unfolded[1..],
            (_, [b' ' | b'\t', behind @ ..]) => behind,
            _ => break,
        };
    }
    (text.len() - rest.len() <= BLANKS).then_some(rest)
}

/// The tool of the longest pattern that meets the value which `text` begins with.
fn named(text: &[u8], signatures: &[Signature]) -> Option<Option<Found>> {
    let mut best: Option<&Signature> = None;
    for signature in signatures {
        let Signature { how, pattern, .. } = signature;
        if !begins(text, pattern) {
            continue;
        }
        if *how == Match::Exact {
            let behind = &text[pattern.len()..];
            let blanks = behind.iter().take_while(|byte| b" \t".contains(byte));
            let blanks = blanks.count();
            if blanks > TRAILING {
                return None;
            }
            if !matches!(behind.get(blanks), None | Some(b'\r' | b'\n')) {
                continue;
            }
        }
        if best.is_none_or(|best| best.pattern.len() < pattern.len()) {
            best = Some(signature);
        }
    }
    Some(best.map(|signature| signature.found))
}

fn begins(text: &[u8], with: &[u8]) -> bool {
    text.get(..with.len())
        .is_some_and(|text| text.eq_ignore_ascii_case(with))
}
