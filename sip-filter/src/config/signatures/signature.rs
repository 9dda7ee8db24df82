//! One signature: a tool, what gives it away, and what errors call it.

use sip_filter_common::{
    field::{Detector, Field, Match},
    tool::{Found, Kind},
};

/// What stands in the place of a field where a detector names the tool.
pub(super) const DETECTOR: &str = "detector";

/// One way to tell a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Where in its file it stands.
    pub(super) place: Place,
    /// What reports call the tool.
    pub tool: String,
    /// What the tool is used for; the same in all of a tool's signatures.
    pub kind: Kind,
    /// What gives the tool away.
    pub mark: Mark,
    /// Whether no honest program is known to send the same: what is not sure is counted, and
    /// never dropped.
    pub sure: bool,
    /// Where this is known from.
    pub note: String,
    /// Whether it is from the operator's own file.
    pub own: bool,
}

/// What gives a tool away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A text.
    Pattern {
        /// Where it stands.
        field: Field,
        /// How it meets what stands there.
        how: Match,
        /// The text, in any case.
        pattern: String,
    },
    /// A shape that the program knows.
    Detector(Detector),
}

/// What an own file takes the place of at once: a tool's signatures of a field, or a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Field(Field),
    Detector(Detector),
}

impl Part {
    pub(super) fn name(self) -> String {
        match self {
            Self::Field(field) => format!("field `{}`", field.name()),
            Self::Detector(detector) => format!("{DETECTOR} `{}`", detector.name()),
        }
    }
}

impl Signature {
    /// The field that is looked at, or `detector`.
    pub fn field(&self) -> &'static str {
        match &self.mark {
            Mark::Pattern { field, .. } => field.name(),
            Mark::Detector(_) => DETECTOR,
        }
    }

    /// How the pattern meets the field's value; empty for a detector.
    pub fn how(&self) -> &'static str {
        match &self.mark {
            Mark::Pattern { how, .. } => how.name(),
            Mark::Detector(_) => "",
        }
    }

    /// The pattern, or the detector's name.
    pub fn pattern(&self) -> &str {
        match &self.mark {
            Mark::Pattern { pattern, .. } => pattern,
            Mark::Detector(detector) => detector.name(),
        }
    }

    /// Whether `--drop scanners` drops what it meets.
    pub fn drops(&self) -> bool {
        self.sure && self.kind.is_dropping()
    }

    /// What tells it from others in a running filter: the same for the same tool and mark,
    /// whatever file they are from, and never 0.
    pub fn fingerprint(&self) -> u64 {
        // FNV-1a, which is the same in every build.
        let texts = [&self.tool, self.field(), self.how(), self.pattern()];
        // No text has a line end.
        let bytes = texts.iter().flat_map(|text| text.bytes().chain([b'\n']));
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x100_0000_01b3)
        });
        hash.max(1)
    }

    pub(super) fn part(&self) -> Part {
        match self.mark {
            Mark::Pattern { field, .. } => Part::Field(field),
            Mark::Detector(detector) => Part::Detector(detector),
        }
    }

    /// What the program finds by it, of a tool with this number.
    pub(super) fn found(&self, tool: u8) -> Found {
        match Found::new(tool, self.kind) {
            found if self.sure => found,
            found => found.unsure(),
        }
    }

    /// What an error calls it.
    pub(super) fn name(&self) -> String {
        let what = match self.mark {
            Mark::Pattern { .. } => "pattern",
            Mark::Detector(_) => DETECTOR,
        };
        self.place.name(&self.tool, Some((what, self.pattern())))
    }
}

/// Where a signature stands in its file: its line and its number, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) number: usize,
}

impl Place {
    /// What an error calls the entry that stands there, with what it has of a tool and a mark.
    pub(super) fn name(self, tool: &str, mark: Option<(&str, &str)>) -> String {
        let Self { line, number } = self;
        match mark {
            Some((what, text)) => {
                format!("line {line}, signature {number} (tool {tool:?}, {what} {text:?})")
            }
            None => format!("line {line}, signature {number} (tool {tool:?})"),
        }
    }
}
