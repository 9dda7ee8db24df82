//! What a payload is, said once more: byte by byte and line by line, slowly, with nothing of the
//! classifier's but its vocabulary.
//!
//! Of several values that name tools, any may be the one that is found, as long as one that may be
//! dropped goes first: this knows all of them, and whether one must be found. The classifier looks no
//! further than some limits, which its own tables of tests hold; beyond these nothing must be found,
//! and still nothing else may. Where it is not plain what a payload is, this has no opinion: `None`.

use sip_filter_common::{
    field::{Field, Match},
    sender::hash,
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

/// How many bytes of a request URI are searched for what it contains.
const URI: usize = 2048;
/// How many windows of four bytes that may be a pattern's are looked at, and places where one stands.
const MANY: usize = 2560;
/// How many bytes of a To are looked at, and how many of these may stand before its URI.
const TO: usize = 240;
const DISPLAY_NAME: usize = 96;
/// How many semicolons of a To, and words of it, are gone through.
const TAG_STEPS: usize = 48;
/// Blanks on either side of a tag's name.
const TAG_BLANKS: usize = 7;
/// How many bytes of a user count.
const USER: usize = 64;

/// With what hashes of users begin.
pub const SEED: u64 = 0x0123_4567_89ab_cdef;

/// What a payload is.
pub struct Answer<'a> {
    /// Its class.
    pub class: MessageClass,
    /// The tools that may be found, each by the signature with this number.
    pub tools: Vec<(Found, usize)>,
    /// Whether one of them must be found.
    pub is_named: bool,
    /// Whether one must be found that may be dropped.
    pub is_hostile: bool,
    /// The lines of a request's header.
    lines: Option<Lines<'a>>,
}

/// What the payload is and which tools may have sent it.
pub fn classified<'a>(payload: &'a [u8], signatures: &Signatures) -> Option<Answer<'a>> {
    if payload.len() > LONGEST {
        return None;
    }
    let (class, start) = class(payload)?;
    let mut answer = Answer {
        class,
        tools: Vec::new(),
        is_named: false,
        is_hostile: false,
        lines: None,
    };
    if class.is_request() {
        find_tools(&payload[start..], signatures, &mut answer)?;
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
fn find_tools<'a>(
    request: &'a [u8],
    signatures: &Signatures,
    answer: &mut Answer<'a>,
) -> Option<()> {
    let (_, uri) = split_method(request)?;
    find_parts(request, request.len() - uri.len(), signatures, answer);
    let signatures = &signatures.list;
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
    answer.lines = Some(lines);
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
        self.is_gone_through_if(end, || self.is_first(end, field))
    }

    /// The same of any line, where it is first of its field if it is asked for.
    fn is_gone_through_if(&self, end: usize, is_first: impl FnOnce() -> bool) -> bool {
        let chunk = end / CHUNK;
        // What is behind the last whole chunk is read together with what is before it.
        let last = self.request.len() / CHUNK;
        let until = if chunk + 1 == last { last } else { chunk };
        let steps = self.steps[until.min(self.steps.len() - 1)];
        // Before no more may be read, or later, where it is the first of its field.
        steps <= self.parts[1] || steps <= self.parts[2] && is_first()
    }

    /// Whether nothing that is gone through before may be taken for the field.
    fn is_first(&self, end: usize, field: Field) -> bool {
        self.is_first_of(end, |line| may_be_seen(line, field))
    }

    /// Whether nothing that is gone through before may be taken for what this takes a line for.
    fn is_first_of(&self, end: usize, may_be_seen: impl Fn(&[u8]) -> bool) -> bool {
        let before = self.marks.iter();
        let mut before = before.filter(|mark| **mark != end && **mark / CHUNK <= end / CHUNK);
        !before.any(|mark| may_be_seen(&self.request[mark + 1..]))
    }

    /// Whether all of the header is gone through, up to its end.
    fn is_all_gone_through(&self) -> bool {
        self.steps
            .last()
            .is_some_and(|steps| *steps <= self.parts[2])
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

/// What credentials stand in, which no signature is about.
const CREDENTIALS: [&[u8]; 2] = [b"authorization", b"proxy-authorization"];
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
    let mut names = NAMES.iter().map(|(name, _)| *name).chain(CREDENTIALS);
    line.len() < 2 || names.any(seems)
}

/// Whether the field may be thought to begin like this.
fn may_be_seen(line: &[u8], field: Field) -> bool {
    let mut names = NAMES.iter().filter(|(_, other)| *other == field);
    names.any(|(name, _)| may_be_named(line, name))
}

/// Whether the field may be thought to begin like this that has this name.
fn may_be_named(line: &[u8], name: &[u8]) -> bool {
    let behind = line.get(name.len()..);
    is_alike(line, name, b':') && matches!(behind, Some([b':', b' ', value, ..]) if *value > b' ')
}

/// Whether the line is taken for one with this name at first, with this byte behind the name: the first
/// two bytes tell.
fn is_alike(line: &[u8], name: &[u8], behind: u8) -> bool {
    let folded = |first: u8, second: u8| [first & 0x5f, second & 0x5f];
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
    answer: &mut Answer<'_>,
) {
    let mut met = Vec::new();
    let mut is_plain = true;
    let of_field = |one: &&Signature| one.field == field && one.how != Match::Contains;
    for signature in signatures.iter().filter(of_field) {
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

/// Adds what stands anywhere in its place, of a request whose URI begins at `uri`.
fn find_parts(request: &[u8], uri: usize, signatures: &Signatures, answer: &mut Answer<'_>) {
    let header_end = header(request).len();
    let uri_length = request[uri..].iter().position(|byte| *byte <= b' ');
    let uri_end = uri_length.map_or(request.len(), |length| uri + length);
    let mut places = Vec::new();
    let may_begin = |(_, first): &(usize, &u8)| signatures.begin_parts[usize::from(**first)];
    for (start, first) in request.iter().enumerate().filter(may_begin) {
        for at in &signatures.contained[usize::from(*first)] {
            let one = &signatures.list[*at];
            if begins(&request[start..], &one.pattern) {
                places.push((start, one));
            }
        }
    }
    let is_all_searched = request.len() / 4 + 8 + places.len() <= MANY;
    for (start, one) in places {
        let end = start + one.pattern.len();
        let (stands, is_plain) = match one.field {
            Field::Any => (true, true),
            Field::Body => (start > header_end, true),
            Field::RequestUri => (start >= uri && end <= uri_end, end <= uri + URI),
            _ if start >= header_end => (false, true),
            field => stands_in(field, request, start),
        };
        if !stands {
            continue;
        }
        let tool = (one.found, usize::from(one.number));
        if !answer.tools.contains(&tool) {
            answer.tools.push(tool);
        }
        let is_sure = is_plain && is_all_searched;
        answer.is_named |= is_sure;
        answer.is_hostile |= is_sure && one.found.is_hostile();
    }
}

/// Whether what begins at `start` stands in the value of this field, and whether it is plain where that
/// begins.
fn stands_in(field: Field, request: &[u8], start: usize) -> (bool, bool) {
    let mut before = (0..start).rev();
    let line = before.find(|at| {
        request[*at] == b'\n' && !matches!(request.get(at + 1), None | Some(b' ' | b'\t'))
    });
    let named = line.and_then(|line| name(&request[line + 1..]));
    let Some((_, behind)) = named.filter(|(other, _)| *other == field) else {
        return (false, true);
    };
    let (before, rest) = skip_blanks(behind);
    let Some(rest) = rest.strip_prefix(b":") else {
        return (false, true);
    };
    let (after, value) = skip_blanks(rest);
    let value_at = request.len() - value.len();
    // What is no longer skipped counts as the value.
    let is_plain = before.max(after) <= BLANKS;
    (start >= value_at || !is_plain, is_plain)
}

/// What a request says of itself; nothing where it may be either.
pub struct Says {
    /// Whether its To has a tag.
    pub is_in_dialogue: Option<bool>,
    /// Whether it has credentials.
    pub has_credentials: Option<bool>,
    /// Whom it may be for, or nobody; nothing where it may be for anyone.
    pub users: Option<Vec<Option<Vec<u8>>>>,
}

/// What a request says of itself, and where `is_read`, what it must be found to say.
pub fn sent(answer: &Answer<'_>, is_read: bool) -> Says {
    let mut says = Says {
        is_in_dialogue: None,
        has_credentials: None,
        users: None,
    };
    let Some(lines) = &answer.lines else {
        return says;
    };
    let request = lines.request;
    let Some((_, uri)) = split_method(request) else {
        return says;
    };
    let is_register = answer.class == MessageClass::Register;
    if !is_register {
        says.users = Some(users(uri));
    }
    // Else what follows the header may be thought to stand in it.
    if !lines.is_all_gone_through() {
        return says;
    }
    let has_room = is_read && lines.records <= RECORDS;
    let credentials = |is_named: fn(&[u8], &[u8]) -> bool| {
        let mut ends = lines.ends.iter();
        ends.find(|end| {
            let line = &request[**end + 1..];
            CREDENTIALS.iter().any(|name| is_named(line, name))
        })
    };
    let may_be_credentials = |line: &[u8]| CREDENTIALS.iter().any(|name| may_be_named(line, name));
    says.has_credentials = match (credentials(is_named), credentials(is_named_like)) {
        (_, None) => Some(false),
        // Of those of others it does not matter.
        (Some(end), _) if is_register && has_room => lines
            .is_gone_through_if(*end, || lines.is_first_of(*end, may_be_credentials))
            .then_some(true),
        _ => None,
    };

    let mut tos = lines.ends.iter().filter_map(|end| {
        let line = &request[*end + 1..];
        let name = [&b"to"[..], b"t"]
            .into_iter()
            .find(|name| is_named(line, name))?;
        Some((*end, &line[name.len()..]))
    });
    let Some((end, behind)) = tos.next() else {
        says.is_in_dialogue = Some(false);
        if is_register {
            says.users = Some(vec![None]);
        }
        return says;
    };
    if !has_room || !lines.is_gone_through(end, Field::To) {
        return says;
    }
    // The first one counts, whatever follows.
    let to = To::of(behind);
    says.is_in_dialogue = to.as_ref().map_or(Some(false), |to| to.has_tag);
    if is_register {
        says.users = to.map_or(Some(vec![None]), |to| to.users);
    }
    says
}

/// Whether the line begins with the name, and with what may stand behind one.
fn is_named(line: &[u8], name: &[u8]) -> bool {
    begins(line, name) && matches!(line.get(name.len()), Some(b':' | b' ' | b'\t'))
}

/// Whether the classifier takes what begins the line for the name: its first seven and its last four
/// bytes, and the length, tell.
fn is_named_like(line: &[u8], name: &[u8]) -> bool {
    let Some(text) = line.get(..name.len()) else {
        return false;
    };
    let last = name.len() - 4;
    text[..7].eq_ignore_ascii_case(&name[..7])
        && text[last..].eq_ignore_ascii_case(&name[last..])
        && matches!(line.get(name.len()), Some(b':' | b' ' | b'\t'))
}

/// What a To says.
struct To {
    has_tag: Option<bool>,
    users: Option<Vec<Option<Vec<u8>>>>,
}

impl To {
    /// From what follows its name (RFC 3261 section 20.39). `None` where that is no field.
    fn of(behind: &[u8]) -> Option<Self> {
        let nothing = Self {
            has_tag: None,
            users: None,
        };
        let (before, rest) = skip_blanks(behind);
        if before > BLANKS {
            return Some(nothing);
        }
        let (after, value) = skip_blanks(rest.strip_prefix(b":")?);
        let length = (0..value.len()).find(|at| ends(&value[*at..]));
        let length = length.unwrap_or(value.len());
        let rest_length = value.len() - length;
        let value = &value[..length];
        if after > BLANKS || behind.len() - rest_length > TO {
            return Some(nothing);
        }
        // The first bracket that is not quoted.
        let (mut is_quoted, mut is_escaped) = (false, false);
        let mut bracket = None;
        for (at, byte) in value.iter().enumerate() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'"' => is_quoted = !is_quoted,
                b'\\' if is_quoted => is_escaped = true,
                // There is none, and what follows is anybody's guess.
                b'\\' => return Some(nothing),
                b'<' if !is_quoted => {
                    bracket = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let (uri, parameters) = match bracket {
            Some(at) if at >= DISPLAY_NAME => return Some(nothing),
            // A URI that does not end has no parameters behind it.
            Some(at) => {
                let uri = &value[at + 1..];
                let close = uri.iter().position(|byte| *byte == b'>');
                (uri, close.map_or(&b""[..], |close| &uri[close..]))
            }
            None => (value, value),
        };
        Some(Self {
            has_tag: has_tag(parameters),
            users: Some(users(uri)),
        })
    }
}

/// Whether one of the parameters is a tag.
fn has_tag(parameters: &[u8]) -> Option<bool> {
    let mut texts = parameters.split(|byte| *byte == b';').skip(1);
    let semicolons = texts.clone().count();
    let is_blank = |byte: &u8| b" \t\r\n".contains(byte);
    let mut is_plain = semicolons + parameters.len() / 8 < TAG_STEPS;
    let has_tag = texts.any(|text| {
        let blanks = text.iter().take_while(|byte| is_blank(byte)).count();
        is_plain &= blanks <= TAG_BLANKS;
        let text = &text[blanks..];
        let behind = text.get(3).filter(|_| begins(text, b"tag"));
        // Behind a name, folded lines are not looked at.
        is_plain &= !matches!(behind, Some(b'\r' | b'\n'));
        matches!(behind, Some(b'=' | b' ' | b'\t'))
    });
    is_plain.then_some(has_tag)
}

/// The users that the URI may be for that this begins with.
fn users(text: &[u8]) -> Vec<Option<Vec<u8>>> {
    let scheme = [&b"sip:"[..], b"sips:", b"tel:"]
        .into_iter()
        .find(|scheme| begins(text, scheme));
    let Some(scheme) = scheme else {
        return vec![None];
    };
    let text = &text[scheme.len()..];
    let end = text.iter().position(|byte| b"@> \t\r\n".contains(byte));
    let end = end.unwrap_or(text.len());
    let cut = text[..end.min(USER)].split(|byte| b":;".contains(byte));
    let user = Some(cut.map(<[u8]>::to_vec).next().unwrap_or_default());
    let is_named = text.get(end) == Some(&b'@') || scheme == b"tel:";
    match (is_named, end < USER) {
        (true, _) => vec![user],
        (false, true) => vec![None],
        // It is not known yet whether a host follows.
        (false, false) => vec![user, None],
    }
}

/// The hash of a user, or of none: of words, the last of which is filled with zeros.
pub fn hash_of(user: Option<&[u8]>) -> u64 {
    let Some(user) = user else {
        return 0;
    };
    let words = (user.len() / 8 + 1).min(USER / 8);
    let hash = (0..words).fold(SEED, |hashed, word| {
        let mut bytes = [0; 8];
        for (at, byte) in user.iter().skip(8 * word).take(8).enumerate() {
            bytes[at] = *byte;
        }
        hash(hashed, u64::from_le_bytes(bytes))
    });
    hash | 1
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
