//! Why a packet is what it is: read by the program's own parser and classifier, taken apart for
//! people. Takes frames or bare payloads and gives an [`Explanation`] of each; decides nothing.

use anyhow::Result;
use serde::Serialize;
use sip_filter_common::{
    abi::{PortSet, ToolName},
    classify::{self, Destination, Work, classify},
    frame::SliceFrame,
    packet::{self, Packet},
    payload::SlicePayload,
    field::Match,
    signature::SignatureTable,
    verdict::{DropSet, Outcome, decide},
};

use crate::{
    config::signatures::{Signature, Signatures, tool_name},
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
    /// The field that was looked at.
    pub field: &'static str,
    /// How the pattern met it.
    #[serde(rename = "match")]
    pub how: &'static str,
    /// The pattern.
    pub pattern: String,
    /// Where the matched bytes begin in the payload.
    pub at: usize,
    /// How many they are.
    pub length: usize,
}

/// Explains packets.
pub struct Explainer<'a> {
    signatures: &'a Signatures,
    table: Box<SignatureTable>,
    names: Vec<ToolName>,
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
        let (table, names) = load.signatures.table(&[])?;
        Ok(Self {
            signatures: load.signatures,
            table,
            names,
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
        let found = classify(
            &SlicePayload(payload),
            &Destination::NONE,
            &self.table,
            &mut Work::EMPTY,
        );
        let parts = parts(payload, found.class.is_request());
        let tool = found
            .tool()
            .and_then(|tool| tool_name(&self.names[usize::from(tool.tool())]));
        let signature = tool.and_then(|tool| self.matched(tool, payload, &parts));
        let outcome = decide(self.drop, found.class, found.tool());
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

    /// The longest signature of the tool that the User-Agent begins with.
    fn matched(&self, tool: &str, payload: &[u8], parts: &[Part]) -> Option<Matched> {
        let part = parts.iter().find(|part| part.what == "User-Agent")?;
        let colon = payload
            .get(part.at..)?
            .iter()
            .position(|byte| *byte == b':')?;
        let from = part.at + colon + 1;
        let blanks = payload.get(from..)?.iter();
        let at = from
            + blanks
                .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
                .count();
        let value = payload.get(at..)?;
        let end = value.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let value = value.get(..end.unwrap_or(value.len()))?.trim_ascii_end();
        let meets = |signature: &&Signature| {
            let pattern = signature.pattern.as_bytes();
            match signature.how {
                Match::Contains => false,
                Match::Exact => value.eq_ignore_ascii_case(pattern),
                Match::Prefix => value
                    .get(..pattern.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(pattern)),
            }
        };
        let of_tool = self.signatures.list.iter().filter(|one| one.tool == tool);
        let signature = of_tool.filter(meets).max_by_key(|one| one.pattern.len())?;
        Some(Matched {
            tool: signature.tool.clone(),
            kind: signature.kind.name(),
            field: signature.field(),
            how: signature.how.name(),
            pattern: signature.pattern.clone(),
            at,
            length: signature.pattern.len(),
        })
    }
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
        let mut explanation = self.payload(datagram.payload.0);
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
        format!(", for {} is a {}", found.tool, found.kind)
    });
    match outcome {
        Outcome::Passed => format!("passes: no rule drops it{tool}"),
        Outcome::WouldDrop => format!("passes, and --drop scanners would drop it{tool}"),
        Outcome::Signature => format!("is dropped by --drop scanners{tool}"),
        Outcome::Options => "is dropped by --drop options".to_owned(),
        Outcome::Malformed => "is dropped by --drop malformed".to_owned(),
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
                    what: "body".to_owned(),
                    text: text(body),
                });
            }
            break;
        }
        match parts.last_mut() {
            None => parts.push(Part {
                at,
                what: "start line".to_owned(),
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
