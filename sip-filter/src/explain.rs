//! Why a packet is what it is: read by the program's own parser and classifier, taken apart for
//! people. Takes frames or bare payloads and gives an [`Explanation`] of each; decides nothing.

use std::ops::Range;

use anyhow::Result;
use serde::Serialize;
use sip_filter_common::{
    abi::PortSet,
    classify::{self, Classification, Destination, Work, classify},
    field::{Field, Match},
    frame::SliceFrame,
    packet::{self, Packet},
    payload::SlicePayload,
    signature::SignatureTable,
    verdict::{DropSet, Met, Outcome, decide},
};

use crate::{
    config::signatures::{Mark, Signature, Signatures},
    kernel::Load,
    replay::Engine,
    stats::Counters,
};

/// Header fields that have a compact form (RFC 3261 section 7.3.3).
const COMPACT: [(&str, &str); 10] = [
    ("i", "Call-ID"),
    ("m", "Contact"),
    ("e", "Content-Encoding"),
    ("l", "Content-Length"),
    ("c", "Content-Type"),
    ("f", "From"),
    ("s", "Subject"),
    ("k", "Supported"),
    ("t", "To"),
    ("v", "Via"),
];

/// What a request or response begins with.
const START_LINE: &str = "start line";
/// What follows the empty line.
const BODY: &str = "body";

/// Why a packet is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The packet's number in its capture, from 1.
    pub packet: u64,
    /// Who sent it, where that is known.
    pub source: Option<String>,
    /// The port that it is to, where that is known.
    pub port: Option<u16>,
    /// The payload's length in bytes.
    pub length: usize,
    /// The method, or `response`, `keepalive` or `malformed`.
    pub class: &'static str,
    /// What it consists of, in its order.
    pub parts: Vec<Part>,
    /// What named a tool, if anything did.
    pub signature: Option<Matched>,
    /// What becomes of it and why.
    pub verdict: String,
}

/// A part of a payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Where it begins, in bytes from the payload's start.
    pub at: usize,
    /// `start line`, `body`, or a header field's name in its long form.
    pub what: String,
    /// What stands there, without its line end; characters that are not printable are escaped.
    pub text: String,
}

/// A signature and the bytes that it matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Matched {
    /// The tool.
    pub tool: String,
    /// What the tool is used for.
    pub kind: &'static str,
    /// Whether no honest program is known to send the same; only then is it dropped.
    pub sure: bool,
    /// The field that was looked at, or `detector`.
    pub field: &'static str,
    /// How the pattern met it; empty for a detector.
    #[serde(rename = "match")]
    pub how: &'static str,
    /// The pattern, or the detector's name.
    pub pattern: String,
    /// Where the matched bytes begin in the payload; nowhere for a detector, which looks at more
    /// than one place.
    pub at: Option<usize>,
    /// How many they are.
    pub length: Option<usize>,
}

/// Explains packets.
pub struct Explainer<'a> {
    signatures: &'a Signatures,
    table: Box<SignatureTable>,
    drop: DropSet,
    any_port: bool,
    ports: &'a PortSet,
    /// How many packets are explained.
    limit: usize,
    frames: u64,
    /// Of the packets seen, as many as were to be explained.
    pub explanations: Vec<Explanation>,
}

impl<'a> Explainer<'a> {
    /// Explains as many packets, with this policy.
    ///
    /// # Errors
    ///
    /// When the signatures do not fit their table.
    pub fn new(load: &Load<'a>, limit: usize) -> Result<Self> {
        let (table, _) = load.signatures.table(&[])?;
        Ok(Self {
            signatures: load.signatures,
            table,
            drop: load.drop,
            any_port: load.any_port,
            ports: load.ports,
            limit,
            frames: 0,
            explanations: Vec::new(),
        })
    }

    /// Explains a bare payload, as one that arrived at an inspected port.
    pub fn payload(&self, payload: &[u8]) -> Explanation {
        self.explain(payload, &Destination::NONE)
    }

    fn explain(&self, payload: &[u8], destination: &Destination) -> Explanation {
        let mut work = Box::new(const { Work::EMPTY });
        let found = classify(&SlicePayload(payload), destination, &self.table, &mut work);
        let parts = parts(payload, found.class.is_request());
        let signature = self.matched(&found, payload, &parts);
        let outcome = decide(self.drop, found.class, found.tool(), Met::NOTHING);
        Explanation {
            packet: 1,
            source: None,
            port: None,
            length: payload.len(),
            class: found.class.name(),
            parts,
            verdict: verdict(outcome, signature.as_ref()),
            signature,
        }
    }

    /// The signature that named the tool.
    fn matched(&self, found: &Classification, payload: &[u8], parts: &[Part]) -> Option<Matched> {
        found.tool()?;
        let signature = self.signatures.list.get(found.hit.signature())?;
        Some(matched(signature, place(&signature.mark, payload, parts)))
    }
}

/// A signature that named a tool, and where it stands in the payload.
fn matched(signature: &Signature, place: Option<Range<usize>>) -> Matched {
    Matched {
        tool: signature.tool.clone(),
        kind: signature.kind.name(),
        sure: signature.sure,
        field: signature.field(),
        how: signature.how(),
        pattern: signature.pattern().to_owned(),
        at: place.as_ref().map(|place| place.start),
        length: place.as_ref().map(Range::len),
    }
}

/// Where a pattern stands in a payload, if it meets it.
fn place(mark: &Mark, payload: &[u8], parts: &[Part]) -> Option<Range<usize>> {
    let Mark::Pattern {
        field,
        how,
        pattern,
    } = mark
    else {
        return None;
    };
    let pattern = pattern.as_bytes();
    let met = |value: Range<usize>| {
        let text = payload.get(value.clone())?;
        let at = match how {
            Match::Exact => text
                .trim_ascii_end()
                .eq_ignore_ascii_case(pattern)
                .then_some(0),
            Match::Prefix => text
                .get(..pattern.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(pattern))
                .then_some(0),
            Match::Contains => text
                .windows(pattern.len())
                .position(|window| window.eq_ignore_ascii_case(pattern)),
        }?;
        let from = value.start + at;
        Some(from..from + pattern.len())
    };
    if *field == Field::Any {
        return met(0..payload.len());
    }
    let is_it = |part: &&Part| match field {
        Field::RequestUri => part.what == START_LINE,
        Field::Body => part.what == BODY,
        header => part.what.eq_ignore_ascii_case(header.name()),
    };
    let mut values = parts.iter().filter(is_it).filter_map(|part| match field {
        Field::RequestUri => request_uri(payload, part.at),
        Field::Body => Some(part.at..payload.len()),
        _ => value(payload, part.at, *how),
    });
    values.find_map(met)
}

/// The value of the header field that begins at `at`, without the blanks before it: its first line,
/// and for what it contains, those that go on with it too.
fn value(payload: &[u8], at: usize, how: Match) -> Option<Range<usize>> {
    let name = payload.get(at..)?.iter().position(|byte| *byte == b':')?;
    let from = at + name + 1;
    let blanks = payload.get(from..)?.iter();
    let at = from
        + blanks
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
            .count();
    let mut end = at + line(payload, at)?.len();
    if how != Match::Contains {
        return Some(at..end);
    }
    loop {
        let behind = payload.get(end..)?;
        let behind = behind.strip_prefix(b"\r").unwrap_or(behind);
        let [b'\n', b' ' | b'\t', ..] = behind else {
            return Some(at..end);
        };
        let next = payload.len() - behind.len() + 1;
        end = next + line(payload, next)?.len();
    }
}

/// What stands between the method and the version in the start line that begins at `at`.
fn request_uri(payload: &[u8], at: usize) -> Option<Range<usize>> {
    let line = line(payload, at)?.trim_ascii_end();
    let is_blank = |byte: &u8| *byte == b' ';
    let method = line.iter().position(is_blank)?;
    let uri = line[method..line.iter().rposition(is_blank)?].trim_ascii();
    let from = line[method..].iter().position(|byte| !is_blank(byte))?;
    let from = at + method + from;
    (!uri.is_empty()).then_some(from..from + uri.len())
}

/// What stands from `at` to the end of the line.
fn line(payload: &[u8], at: usize) -> Option<&[u8]> {
    let rest = payload.get(at..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    rest.get(..end.unwrap_or(rest.len()))
}

impl Engine for Explainer<'_> {
    fn observe(&mut self, frame: &[u8], _time: u64) -> Result<()> {
        self.frames += 1;
        if self.explanations.len() >= self.limit {
            return Ok(());
        }
        let frame = SliceFrame(frame);
        let Packet::Udp(udp) = packet::parse(&frame) else {
            return Ok(());
        };
        let Some(datagram) = udp.datagram(&frame) else {
            return Ok(());
        };
        let destination = Destination {
            address: datagram.destination,
            port: datagram.port,
        };
        let mut explanation = self.explain(datagram.payload.0, &destination);
        let source = std::net::Ipv6Addr::from(datagram.source.octets());
        explanation.packet = self.frames;
        explanation.source = Some(source.to_canonical().to_string());
        explanation.port = Some(datagram.port);
        let is_inspected = self.ports.contains(datagram.port)
            || (self.any_port && classify::starts_like_sip(&datagram.payload));
        if !is_inspected {
            explanation.verdict = format!("passes: port {} is not inspected", datagram.port);
        }
        self.explanations.push(explanation);
        Ok(())
    }

    fn counters(&self) -> Result<Counters> {
        anyhow::bail!("what is explained is not counted")
    }
}

/// What becomes of a packet and why, in words.
fn verdict(outcome: Outcome, signature: Option<&Matched>) -> String {
    let tool = signature.map_or_else(String::new, |found| {
        let but = match found.sure {
            true => "",
            false => ", which this signature is not sure of",
        };
        format!(", for {} is a {}{but}", found.tool, found.kind)
    });
    match outcome {
        Outcome::Passed => format!("passes: no rule drops it{tool}"),
        Outcome::WouldSignature => {
            format!("passes, and --drop scanners would drop it{tool}")
        }
        Outcome::Signature => format!("is dropped by --drop scanners{tool}"),
        Outcome::Options => "is dropped by --drop options".to_owned(),
        Outcome::Malformed => "is dropped by --drop malformed".to_owned(),
        // What its source did before is not known here.
        other => format!("{}{tool}", other.in_words()),
    }
}

/// Text from a packet for people to read: what is not printable is escaped, since it is an
/// attacker's.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '"' | '\'' => text.push(c),
            _ => text.extend(c.escape_debug()),
        }
    }
    text
}

/// The parts of a payload: of what is no SIP, all of it.
fn parts(payload: &[u8], is_request: bool) -> Vec<Part> {
    let is_response = payload
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
    if !is_request && !is_response {
        return match payload.is_empty() {
            true => Vec::new(),
            false => vec![Part {
                at: 0,
                what: "payload".to_owned(),
                text: text(payload),
            }],
        };
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut at = payload
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    while at < payload.len() {
        let rest = &payload[at..];
        let length = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(rest.len(), |feed| feed + 1);
        let line = rest[..length].trim_ascii_end();
        if line.is_empty() {
            let body = &rest[length..];
            if !body.is_empty() {
                parts.push(Part {
                    at: at + length,
                    what: BODY.to_owned(),
                    text: text(body),
                });
            }
            break;
        }
        match parts.last_mut() {
            None => parts.push(Part {
                at,
                what: START_LINE.to_owned(),
                text: text(line),
            }),
            // RFC 3261 section 7.3.1: the line before goes on.
            Some(before) if matches!(line[0], b' ' | b'\t') => {
                before.text.push(' ');
                before.text.push_str(&text(line.trim_ascii()));
            }
            Some(_) => {
                let name = line.split(|byte| *byte == b':').next().unwrap_or(line);
                parts.push(Part {
                    at,
                    what: long_name(&text(name.trim_ascii())),
                    text: text(line),
                });
            }
        }
        at += length;
    }
    parts
}

/// A header field's name as RFC 3261 writes it, where it is one that is looked at or compact.
fn long_name(name: &str) -> String {
    const LONG: [&str; 3] = ["User-Agent", "CSeq", "Max-Forwards"];
    let compact = COMPACT
        .iter()
        .find(|(short, long)| name.eq_ignore_ascii_case(short) || name.eq_ignore_ascii_case(long));
    let long = LONG.iter().find(|long| name.eq_ignore_ascii_case(long));
    match (compact, long) {
        (Some((_, long)), _) | (None, Some(long)) => (*long).to_owned(),
        (None, None) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &[u8] = b"OPTIONS  sip:nm SIP/2.0\r\nv:SIP/2.0/UDP nm;branch=foo\r\n\
        f:\r\n <sip:nm@nm>;tag=root\r\n\t;folded=yes\n ;again\r\nTo: <sip:nm2@nm2>\r\ni: 50000 \r\nCSeq : 42 OPTIONS\r\n\
        m: <sip:nm@nm>\r\nUser-Agent: Nmap NSE\r\n\r\nFrom: body\r\n";

    #[test]
    fn patterns_are_found_where_they_stand() {
        let parts = parts(PAYLOAD, true);
        for (field, how, pattern, met) in [
            (Field::RequestUri, Match::Exact, "SIP:NM", Some("sip:nm")),
            (Field::RequestUri, Match::Exact, "sip:n", None),
            (
                Field::Via,
                Match::Prefix,
                "sip/2.0/udp nm;",
                Some("SIP/2.0/UDP nm;"),
            ),
            (Field::From, Match::Prefix, "<sip:nm@", Some("<sip:nm@")),
            (Field::From, Match::Contains, "tag=root", Some("tag=root")),
            (Field::From, Match::Contains, "D=YES", Some("d=yes")),
            (Field::From, Match::Contains, ";again", Some(";again")),
            (Field::From, Match::Contains, "nm2@nm2", None),
            (Field::From, Match::Contains, "from: body", None),
            (Field::RequestUri, Match::Contains, "p:nm", Some("p:nm")),
            (Field::RequestUri, Match::Contains, "p:nm sip", None),
            (Field::From, Match::Prefix, "body", None),
            (
                Field::To,
                Match::Exact,
                "<sip:nm2@nm2>",
                Some("<sip:nm2@nm2>"),
            ),
            (Field::To, Match::Prefix, "<sip:nm@", None),
            (Field::CallId, Match::Exact, "50000", Some("50000")),
            (Field::CallId, Match::Exact, "5000", None),
            (Field::CallId, Match::Prefix, "50000 ", Some("50000 ")),
            (Field::CSeq, Match::Exact, "42 options", Some("42 OPTIONS")),
            (
                Field::Contact,
                Match::Exact,
                "<sip:nm@nm>",
                Some("<sip:nm@nm>"),
            ),
            (Field::UserAgent, Match::Prefix, "nmap", Some("Nmap")),
            (
                Field::Body,
                Match::Contains,
                "from: body",
                Some("From: body"),
            ),
            (Field::Body, Match::Contains, "Nmap NSE", None),
            (Field::Any, Match::Contains, "nse\r\n", Some("NSE\r\n")),
        ] {
            let pattern = pattern.to_owned();
            let mark = Mark::Pattern {
                field,
                how,
                pattern,
            };
            let place = place(&mark, PAYLOAD, &parts);
            let text = place.map(|place| str::from_utf8(&PAYLOAD[place]).unwrap());
            assert_eq!(text, met, "{mark:?}");
        }
    }
}
