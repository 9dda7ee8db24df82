//! What a payload is, said once more: byte by byte and line by line, slowly, with nothing of the
//! classifier's but its vocabulary.
//!
//! Of several values that name tools, any may be the one that is found, as long as one that may be
//! dropped goes first: this knows all of them, and whether one must be found. The classifier looks no
//! further than some limits, which its own tables of tests hold; beyond these nothing must be found,
//! and still nothing else may. Where it is not plain what a payload is, this has no opinion: `None`.

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
/// Text is read so many bytes at a time.
const CHUNK: usize = 64;
/// The first two parts in which lines are gone through end before these chunks, and the third at
/// the text's end.
const PARTS: [usize; 2] = [3, 9];
/// What is gone through in each part: what is taken for a line end, and chunks.
const STEPS: [usize; 3] = [10, 16, 24];
/// How many line ends are more than are ever gone through.
const FEW: usize = 128;
/// How many lines are looked at that seem to have a name, in each part; and how many values are compared.
const RECORDS: usize = 10;
const VALUES: usize = 8;

/// What a payload is.
pub struct Answer {
    /// Its class.
    pub class: MessageClass,
    /// The tools that may be found, each by the signature with this number.
    pub tools: Vec<(Found, usize)>,
    /// Whether one of them must be found.
    pub is_named: bool,
    /// Whether one must be found that may be dropped.
    pub is_hostile: bool,
}

/// What the payload is and which tools may have sent it.
pub fn classified(payload: &[u8], signatures: &Signatures) -> Option<Answer> {
    if payload.len() > LONGEST {
        return None;
    }
    let (class, start) = class(payload)?;
    let mut answer = Answer {
        class,
        tools: Vec::new(),
        is_named: false,
        is_hostile: false,
    };
    if class.is_request() {
        find_tools(&payload[start..], &signatures.list, &mut answer)?;
    }
    Some(answer)
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

/// Adds the tools of all values.
fn find_tools(request: &[u8], signatures: &[Signature], answer: &mut Answer) -> Option<()> {
    let (_, uri) = split_method(request)?;
    let lines = Lines::of(request);
    let has_room = lines.records <= RECORDS && lines.values <= VALUES;
    name_tools(Field::RequestUri, uri, true, signatures, answer);
    let fields: Vec<_> = lines
        .ends
        .iter()
        .filter_map(|end| Some((*end, name(&request[end + 1..])?)))
        .collect();
    let is_user_agent = |(_, (field, _)): &&(usize, (Field, &[u8]))| *field == Field::UserAgent;
    let user_agents = fields.iter().filter(is_user_agent).count();
    for (end, (field, behind)) in fields {
        let (before, rest) = skip_blanks(behind);
        let Some(rest) = rest.strip_prefix(b":") else {
            continue;
        };
        let (after, value) = skip_blanks(rest);
        let is_plain = before.max(after) <= BLANKS;
        let is_alone = field == Field::UserAgent && user_agents == 1 && lines.is_first(end, field);
        let is_looked_at = is_alone || has_room && lines.is_gone_through(end, field);
        name_tools(field, value, is_plain && is_looked_at, signatures, answer);
    }
    Some(())
}

/// The header's lines, and how many of them are gone through.
struct Lines<'a> {
    request: &'a [u8],
    /// The line ends behind which a line of the header begins.
    ends: Vec<usize>,
    /// How many lines seem to have a field's name, those behind what only seems a line end counted.
    records: usize,
    /// How many of these may have it, and the URI.
    values: usize,
    /// What may be taken for a line end.
    marks: Vec<usize>,
    /// By chunk, how many steps lead to its end.
    steps: Vec<usize>,
    /// After how many steps each part ends, or what is gone through.
    parts: [usize; 3],
}

impl<'a> Lines<'a> {
    fn of(request: &'a [u8]) -> Self {
        let header = header(request);
        let ends = header.iter().enumerate();
        let ends = ends.filter_map(|(at, byte)| (*byte == b'\n').then_some(at));
        // What stands in the chunk in which the header ends is gone through with it.
        let read = request.len().min((header.len() / CHUNK + 1) * CHUNK);
        let marks = request[..read].iter().enumerate();
        let marks = marks.filter_map(|(at, byte)| is_mark(*byte).then_some(at));
        let marks: Vec<usize> = marks.collect();
        // Of many more than are gone through nothing is demanded.
        let few = &marks[..marks.len().min(FEW)];
        let is_more = marks.len() > FEW;
        let line = |mark: &usize| &request[mark + 1..];
        let records = few.iter().filter(|mark| seems_name(line(mark)));
        let records = records.count() + if is_more { RECORDS + 1 } else { 0 };
        let values = few.iter().filter(|mark| may_be_name(line(mark)));
        let values = 1 + values.count() + if is_more { VALUES } else { 0 };
        let chunks = read / CHUNK + 1;
        let mut steps: Vec<usize> = vec![1; chunks];
        for mark in &marks {
            steps[mark / CHUNK] += 1;
        }
        for chunk in 1..chunks {
            steps[chunk] += steps[chunk - 1];
        }
        let mut done = 0;
        let ends_of_parts = [PARTS[0], PARTS[1], usize::MAX];
        let parts = core::array::from_fn(|part| {
            done = (done + STEPS[part]).min(steps[ends_of_parts[part].min(chunks) - 1]);
            done
        });
        Self {
            request,
            ends: ends.collect(),
            records,
            values,
            marks,
            steps,
            parts,
        }
    }

    /// Whether the line behind this line end is looked at, for its field.
    fn is_gone_through(&self, end: usize, field: Field) -> bool {
        let chunk = end / CHUNK;
        // What is behind the last whole chunk is read together with what is before it.
        let last = self.request.len() / CHUNK;
        let until = if chunk + 1 == last { last } else { chunk };
        let steps = self.steps[until.min(self.steps.len() - 1)];
        // Before no more may be read, or later, where it is the first of its field.
        steps <= self.parts[1] || steps <= self.parts[2] && self.is_first(end, field)
    }

    /// Whether nothing that is gone through before may be taken for the field.
    fn is_first(&self, end: usize, field: Field) -> bool {
        let before = self.marks.iter();
        let mut before = before.filter(|mark| **mark != end && **mark / CHUNK <= end / CHUNK);
        !before.any(|mark| may_be_seen(&self.request[mark + 1..], field))
    }
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

/// The field whose name begins the line, and what stands behind the name.
fn name(line: &[u8]) -> Option<(Field, &[u8])> {
    NAMES.into_iter().find_map(|(name, field)| {
        let (text, behind) = line.split_at_checked(name.len())?;
        let is_name = text.eq_ignore_ascii_case(name);
        (is_name && matches!(behind, [b':' | b' ' | b'\t', ..])).then_some((field, behind))
    })
}

/// Whether a line that begins like this may be compared, with other bytes behind its first seven too.
fn may_be_name(line: &[u8]) -> bool {
    NAMES.into_iter().any(|(name, _)| {
        let told = name.len().min(7).min(line.len());
        line[..told].eq_ignore_ascii_case(&name[..told])
            && matches!(line.get(name.len()), Some(b':' | b' ' | b'\t') | None)
    })
}

/// Whether the line begins like one of the names.
fn seems_name(line: &[u8]) -> bool {
    let seems = |name| b": \t".iter().any(|behind| is_alike(line, name, *behind));
    line.len() < 2 || NAMES.into_iter().any(|(name, _)| seems(name))
}

/// Whether the field may be thought to begin like this.
fn may_be_seen(line: &[u8], field: Field) -> bool {
    NAMES.into_iter().any(|(name, other)| {
        let behind = line.get(name.len()..);
        other == field
            && is_alike(line, name, b':')
            && matches!(behind, Some([b':', b' ', value, ..]) if *value > b' ')
    })
}

/// Whether the line is taken for one with this name at first, with this byte behind the name: the first
/// two bytes tell.
fn is_alike(line: &[u8], name: &[u8], behind: u8) -> bool {
    let folded = |first: u8, second: u8| [first & 0x1f, second & 0x5f];
    let [first, second, ..] = *line else {
        return false;
    };
    let other = name.get(1).copied().unwrap_or(behind);
    folded(first, second) == folded(name[0], other)
}

/// How many folds and eights of blanks there are, those of folded lines too, and what follows them.
fn skip_blanks(text: &[u8]) -> (usize, &[u8]) {
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
    (folds + blanks / 8, rest)
}

/// Adds the tools that the value may name which `text` begins with: that of the longest of the field's
/// patterns that it meets, or where that may not be dropped for, that of another that may. Where
/// `is_sure`, it must name one.
fn name_tools(
    field: Field,
    text: &[u8],
    is_sure: bool,
    signatures: &[Signature],
    answer: &mut Answer,
) {
    let mut met = Vec::new();
    let mut is_plain = true;
    for signature in signatures.iter().filter(|one| one.field == field) {
        let Signature { how, pattern, .. } = signature;
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
                _ => ends(&behind[blanks..]),
            };
            if !is_end {
                continue;
            }
            is_plain &= blanks <= TRAILING;
        }
        met.push(signature);
    }
    // Of equally long ones the first.
    let best = met.iter().rev().max_by_key(|one| one.pattern.len());
    let Some(best) = best else {
        return;
    };
    let is_dropped = best.found.is_hostile();
    let others = met.iter().filter(|one| {
        one.number == best.number
            || !is_dropped && one.found.is_hostile()
            // The longest one may not be met.
            || !is_plain
    });
    let tools = others.map(|one| (one.found, usize::from(one.number)));
    answer.tools.extend(tools);
    answer.is_named |= is_sure && is_plain;
    answer.is_hostile |= is_sure && is_plain && is_dropped;
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

fn begins(text: &[u8], with: &[u8]) -> bool {
    text.get(..with.len())
        .is_some_and(|text| text.eq_ignore_ascii_case(with))
}
