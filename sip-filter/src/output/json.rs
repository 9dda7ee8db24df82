//! JSON: one document, compact, with a line end. Whoever parses it gets each text as it was; on a terminal
//! it does nothing.

use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};

use crate::escape;
use crate::stats::{
    ByBehaviour, ByReason, Interface, Method, Port, Section, Snapshot, Source, Tool, Totals,
    WallTime,
};

/// A snapshot with one section of it.
#[derive(Serialize)]
struct Part<'a> {
    time: WallTime,
    instance: &'a str,
    interfaces: &'a [Interface],
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<&'a Totals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    methods: Option<Methods<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<&'a [Tool]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ports: Option<&'a [Port]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<&'a [ByReason]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    behaviours: Option<&'a [ByBehaviour]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<&'a [Source]>,
}

#[derive(Serialize)]
struct Methods<'a>(#[serde(serialize_with = "crate::stats::by_method")] &'a [Method]);

/// The whole snapshot, or one section with the same names in the same places.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn snapshot(
    out: &mut dyn Write,
    snapshot: &Snapshot,
    section: Option<Section>,
) -> io::Result<()> {
    let Some(section) = section else {
        return document(out, snapshot);
    };
    document(
        out,
        &Part {
            time: snapshot.time,
            instance: &snapshot.instance,
            interfaces: &snapshot.interfaces,
            totals: (section == Section::Total).then_some(&snapshot.totals),
            methods: (section == Section::Method).then_some(Methods(&snapshot.methods)),
            tools: (section == Section::Tool).then_some(&snapshot.tools),
            ports: (section == Section::Port).then_some(&snapshot.ports),
            reasons: (section == Section::Reason).then_some(&snapshot.reasons),
            behaviours: (section == Section::Behaviour).then_some(&snapshot.behaviours),
            sources: (section == Section::Source).then_some(&snapshot.sources),
        },
    )
}

/// Anything as one document.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn document(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    // Each name and each comma is a write: cheap here, and not through whatever `out` is.
    let mut out = BufWriter::with_capacity(1 << 16, out);
    value.serialize(&mut Serializer::with_formatter(&mut out, Harmless))?;
    writeln!(out)?;
    out.flush()
}

/// As compact as can be, with `\u202e` in place of characters that would do something or hide.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        if escape::is_harmless(text) {
            return out.write_all(text.as_bytes());
        }
        for character in text.chars() {
            if escape::is_hostile(character) {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            } else {
                write!(out, "{character}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats;
    use serde_json::{Value, json};

    fn printed(section: Option<Section>) -> Value {
        let mut out = Vec::new();
        snapshot(&mut out, &stats::tests::snapshot(), section).unwrap();
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_snapshot_is_the_documented_document() {
        let first_seen = "2026-11-23T05:55:00.000Z";
        let last_seen = "2026-11-23T05:59:58.500Z";
        let expected = json!({
            "time": "2026-11-23T06:00:00.000Z",
            "instance": "default",
            "interfaces": [{"name": "eth0", "ifindex": 4, "mode": "native"}],
            "totals": {
                "packets": 1_235_564, "bytes": 500_084_700, "sip": 1_234_662,
                "requests": 1_234_622, "responses": 40, "keepalives": 900, "malformed": 2,
                "scanner": 1_234_610, "dropped": 1_234_570, "would_drop": 40, "passed": 994,
                "fragments": 5, "unreadable": 1, "unlisted": 3
            },
            "methods": {
                "REGISTER": {"packets": 15, "bytes": 7_200, "scanner": 3, "dropped": 3, "would_drop": 0},
                "OPTIONS": {"packets": 1_234_607, "bytes": 500_016_000, "scanner": 1_234_607,
                            "dropped": 1_234_567, "would_drop": 40}
            },
            "tools": [
                {"tool": "sipvicious", "kind": "scanner", "packets": 1_234_570,
                 "dropped": 1_234_570, "would_drop": 0},
                {"tool": "nmap", "kind": "scanner", "packets": 40, "dropped": 0, "would_drop": 40}
            ],
            "ports": [
                {"port": 5061, "packets": 1_234_610, "scanner": 1_234_610, "dropped": 1_234_570},
                {"port": 5060, "packets": 954, "scanner": 0, "dropped": 0}
            ],
            "reasons": [
                {"reason": "signature", "packets": 1_234_610, "dropped": 1_234_570, "would_drop": 40},
                {"reason": "options", "packets": 0, "dropped": 0, "would_drop": 40},
                {"reason": "malformed", "packets": 0, "dropped": 0, "would_drop": 2},
                {"reason": "passed", "packets": 954, "dropped": 0, "would_drop": 0}
            ],
            "behaviours": [],
            "sources": [
                {"source": "192.0.2.7", "packets": 1_234_570, "bytes": 500_001_200,
                 "scanner": 1_234_570, "dropped": 1_234_570, "would_drop": 0,
                 "methods": {"REGISTER": 3, "OPTIONS": 1_234_567}, "tools": ["sipvicious"],
                 "behaviours": [], "reasons": {"signature": 1_234_570}, "ports": 4, "first_seen": first_seen, "last_seen": last_seen},
                {"source": "198.51.100.1", "packets": 952, "bytes": 67_400, "scanner": 0,
                 "dropped": 0, "would_drop": 0, "methods": {"REGISTER": 12}, "tools": [],
                 "behaviours": [], "reasons": {"passed": 952}, "ports": 1,
                 "first_seen": first_seen, "last_seen": last_seen},
                {"source": "2001:db8::5060", "packets": 40, "bytes": 16_000, "scanner": 40,
                 "dropped": 0, "would_drop": 40, "methods": {"OPTIONS": 40},
                 "tools": ["nmap", "sipvicious"], "behaviours": [],
                 "reasons": {"signature": 40}, "ports": 2,
                 "first_seen": first_seen, "last_seen": last_seen},
                {"source": "203.0.113.9", "packets": 2, "bytes": 100, "scanner": 0, "dropped": 0,
                 "would_drop": 0, "methods": {}, "tools": [], "behaviours": [],
                 "reasons": {"passed": 2}, "ports": 1,
                 "first_seen": first_seen, "last_seen": last_seen}
            ]
        });
        assert_eq!(printed(None), expected);
    }

    #[test]
    fn a_text_does_nothing_and_is_the_same_for_whoever_parses_it() {
        let text = "a\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{e0041}\"\\ü\n";
        let mut out = Vec::new();
        document(&mut out, &text).unwrap();
        let written = String::from_utf8(out.clone()).unwrap();
        let expected = r#""a\u001b[2J\u007f\u009b\u202e\udb40\udc41\"\\ü\n""#;
        assert_eq!(written.trim_end(), expected);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }

    #[test]
    fn a_section_stands_where_it_stands_in_the_whole() {
        let whole = printed(None);
        for (section, key) in [
            (Section::Total, "totals"),
            (Section::Method, "methods"),
            (Section::Tool, "tools"),
            (Section::Port, "ports"),
            (Section::Source, "sources"),
            (Section::Reason, "reasons"),
            (Section::Behaviour, "behaviours"),
        ] {
            let part = printed(Some(section));
            assert_eq!(part[key], whole[key]);
            assert_eq!(part["time"], whole["time"]);
            assert_eq!(part.as_object().unwrap().len(), 4, "{part}");
        }
    }
}
