//! What a payload is, said once more: byte by byte and line by line, slowly, with nothing of the
//! classifier's but its vocabulary.
//!
//! The classifier looks no further than some limits, which its own tables of tests hold. Where a
//! payload is beyond one of them, and where it is not plain what is right, this has no opinion:
//! `None`.

use sip_filter_common::{
    field::{Field, Match},
    sip::MessageClass,
    tool::Found,
};

use crate::signatures::{Signature, Signatures};

/// The longest payload, in bytes.
const LONGEST: usize = 4000;
/// Line ends before a start line, or that are all there is.
const LINE_ENDS: usize = 32;
/// A first line in bytes, with its end.
const LINE: usize = 512;
/// A method in bytes.
const METHOD: usize = 64;
/// On either side of the colon: folds, and eights of blanks.
const BLANKS: usize = 7;
/// Blanks behind a value.
const TRAILING: usize = 7;
/// What the classifier takes for line ends, chunks of text counted too: up to so many, every field
/// is found.
const MARKS: usize = 48;
/// Up to so many, a User-Agent is found.
const MANY_MARKS: usize = 480;
/// Steps of comparing, as far as they can be told without the classifier's hashes.
const STEPS: usize = 20;

/// What the payload is; and which tool sent it, and by which signature.
pub type Answer = (MessageClass, Option<(Found, usize)>);

/// What the payload is and which tool sent it.
pub fn classified(payload: &[u8], signatures: &Signatures) -> Option<Answer> {
    if payload.len() > LONGEST {
        return None;
    }
    let (class, start) = class(payload)?;
    let tool = if class.is_request() {
        tool(&payload[start..], &signatures.list)?
    } else {
        None
    };
    Some((class, tool))
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

/// The tool of the first value that may be dropped for, or else of the first one.
fn tool(request: &[u8], signatures: &[Signature]) -> Option<Option<(Found, usize)>> {
    let (_, uri) = split_method(request)?;
    let header = header(request);
    let marks = header.iter().filter(|byte| is_mark(**byte)).count() + header.len() / 64 + 2;
    let is_short = marks <= MARKS;
    if marks > MANY_MARKS {
        return None;
    }
    let mut values = vec![(Field::RequestUri, uri)];
    let (mut steps, mut user_agents) = (0, 0);
    for (at, _) in header
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
    {
        let line = &request[at + 1..];
        let Some((field, behind)) = name(line) else {
            continue;
        };
        // A name that ends in a carriage return, or has one in place of its hyphen: a matter of
        // taste.
        let behind = behind?;
        user_agents += usize::from(field == Field::UserAgent);
        let (before, rest) = skip_blanks(behind)?;
        let Some(rest) = rest.strip_prefix(b":") else {
            // What holds the name and no colon is no field.
            steps += 4;
            continue;
        };
        let (after, value) = skip_blanks(rest)?;
        if before > 0 || after > 1 || value.first().is_none_or(|byte| *byte <= b' ') {
            steps += 4;
        }
        values.push((field, value));
    }
    let mut best: Option<&Signature> = None;
    for (field, value) in values {
        let named = named(field, value, signatures, &mut steps)?;
        // Which values are found behind many lines.
        let is_found = is_short || field == Field::UserAgent && user_agents == 1;
        match named {
            Some(_) if !is_found => return None,
            Some(named) => {
                best = match best {
                    Some(best) if best.found.is_hostile() || !named.found.is_hostile() => {
                        Some(best)
                    }
                    _ => Some(named),
                }
            }
            None => {}
        }
    }
    if steps > STEPS {
        return None;
    }
    Some(best.map(|best| (best.found, usize::from(best.number))))
}

/// The request up to the first line end behind which an empty line stands.
fn header(request: &[u8]) -> &[u8] {
    let end = request.iter().enumerate().position(|(at, byte)| {
        let behind = &request[at + 1..];
        *byte == b'\n' && (behind.starts_with(b"\n") || behind.starts_with(b"\r\n"))
    });
    end.map_or(request, |end| &request[..end])
}

/// Whether the classifier may take it for a line end at first.
fn is_mark(byte: u8) -> bool {
    byte <= 11 || byte >= 0x80
}

/// The field whose name begins the line, and what stands behind the name; no opinion on that where
/// only some take it for the name.
fn name(line: &[u8]) -> Option<(Field, Option<&[u8]>)> {
    const NAMES: [(&[u8], Field); 12] = [
        (b"user-agent", Field::UserAgent),
        (b"from", Field::From),
        (b"f", Field::From),
        (b"to", Field::To),
        (b"t", Field::To),
        (b"contact", Field::Contact),
        (b"m", Field::Contact),
        (b"via", Field::Via),
        (b"v", Field::Via),
        (b"call-id", Field::CallId),
        (b"i", Field::CallId),
        (b"cseq", Field::CSeq),
    ];
    NAMES.into_iter().find_map(|(name, field)| {
        let (text, behind) = line.split_at_checked(name.len())?;
        if text.eq_ignore_ascii_case(name) && matches!(behind, [b':' | b' ' | b'\t', ..]) {
            return Some((field, Some(behind)));
        }
        let is_folded = matches!(behind, [b'\r' | b'\n', ..]) && text.eq_ignore_ascii_case(name);
        let hyphened = text.iter().map(|byte| match byte {
            b'\r' => b'-',
            other => *other,
        });
        let hyphened: Vec<u8> = hyphened.collect();
        let is_odd = hyphened != text && hyphened.eq_ignore_ascii_case(name);
        (is_folded || is_odd).then_some((field, None))
    })
}

/// How many blanks there are, those of folded lines too, and what follows them; no opinion where
/// they are too many.
fn skip_blanks(text: &[u8]) -> Option<(usize, &[u8])> {
    let mut rest = text;
    let (mut folds, mut blanks) = (0, 0);
    loop {
        let unfolded = rest.strip_prefix(b"\r").unwrap_or(rest);
        rest = match (unfolded, rest) {
            ([b'\n', b' ' | b'\t', behind @ ..], _) => {
                folds += 1;
                behind
            }
            (_, [b' ' | b'\t', behind @ ..]) => {
                blanks += 1;
                behind
            }
            _ => break,
        };
    }
    (folds + blanks / 8 <= BLANKS).then_some((text.len() - rest.len(), rest))
}

/// The longest of the field's patterns that meets the value which `text` begins with; no opinion
/// where it may not be dropped for and a shorter one may.
fn named<'a>(
    field: Field,
    text: &[u8],
    signatures: &'a [Signature],
    steps: &mut usize,
) -> Option<Option<&'a Signature>> {
    let mut best: Option<&Signature> = None;
    let (mut is_hostile, mut candidate, mut alike) = (false, 0, 0);
    for signature in signatures.iter().filter(|one| one.field == field) {
        let Signature { how, pattern, .. } = signature;
        if is_alike(text, pattern, 1) {
            candidate = 4;
        }
        alike += usize::from(is_alike(text, pattern, 4));
        if !begins(text, pattern) {
            continue;
        }
        if *how == Match::Exact {
            let behind = &text[pattern.len()..];
            let blanks = behind.iter().take_while(|byte| b" \t".contains(byte));
            let blanks = blanks.count();
            let is_end = match field {
                // It ends at the first blank.
                Field::RequestUri => blanks > 0,
                _ if blanks > TRAILING => return None,
                _ => ends(&behind[blanks..]),
            };
            if !is_end {
                continue;
            }
        }
        is_hostile |= signature.found.is_hostile();
        if best.is_none_or(|best| best.pattern.len() < pattern.len()) {
            best = Some(signature);
        }
    }
    *steps += candidate + alike;
    if is_hostile && best.is_some_and(|best| !best.found.is_hostile()) {
        return None;
    }
    Some(best)
}

/// Whether a value ends where this follows: at a line end that no blank follows, or with the payload.
fn ends(behind: &[u8]) -> bool {
    let line_end = behind.strip_prefix(b"\r").unwrap_or(behind);
    match line_end {
        [] | [b'\n'] => true,
        [b'\n', next, ..] => !matches!(next, b' ' | b'\t'),
        _ => false,
    }
}

/// Whether so many first bytes of the value may be taken for the pattern's.
fn is_alike(text: &[u8], pattern: &[u8], bytes: usize) -> bool {
    let alike = pattern.len().min(bytes);
    let folded = |bytes: &[u8]| -> Vec<u8> { bytes.iter().map(|byte| byte | 0x20).collect() };
    text.get(..alike)
        .is_some_and(|text| folded(text) == folded(&pattern[..alike]))
}

fn begins(text: &[u8], with: &[u8]) -> bool {
    text.get(..with.len())
        .is_some_and(|text| text.eq_ignore_ascii_case(with))
}
