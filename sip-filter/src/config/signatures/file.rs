//! A signature file's text, entry by entry: which keys it has, whether their values are possible,
//! and if not, in which line, why not, and what may have been meant. Knows nothing of other
//! entries, nor of the table that is made of them.

use anyhow::{Result, anyhow};
use sip_filter_common::{
    field::{Detector, Field, Match},
    signature::{MAX_PATTERN, MIN_CONTAINS, MIN_PREFIX},
    tool::Kind,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{MAX_TOOL_NAME, Mark, Part, Place, Signature};
use crate::config::meant::meant;

/// The only table of a file.
const SIGNATURE: &str = "signature";

const TOOL: &str = "tool";
const KIND: &str = "kind";
const FIELD: &str = "field";
const MATCH: &str = "match";
const PATTERN: &str = "pattern";
const DETECTOR: &str = "detector";
const SURE: &str = "sure";
const NOTE: &str = "note";
const DISABLED: &str = "disabled";
const KEYS: [&str; 9] = [
    TOOL, KIND, FIELD, MATCH, PATTERN, DETECTOR, SURE, NOTE, DISABLED,
];

/// An entry of a file.
pub(super) enum Entry {
    /// A signature.
    Signature(Signature),
    /// The built-in signatures that do not hold.
    Disabled {
        place: Place,
        tool: String,
        /// All of the tool's, if it is none.
        part: Option<Part>,
    },
}

/// What is wrong with an entry, and in which line.
struct Wrong {
    line: usize,
    what: String,
}

/// The entries of a file's text, `own` if it is the operator's.
///
/// # Errors
///
/// When it is not TOML of the format; the message names the line.
pub(super) fn read(text: &str, own: bool) -> Result<Vec<Entry>> {
    let line = |offset: usize| 1 + text.get(..offset).unwrap_or(text).matches('\n').count();
    let file = DeTable::parse(text).map_err(|error| match error.span() {
        Some(span) => anyhow!("line {}: {}", line(span.start), error.message()),
        None => anyhow!("{}", error.message()),
    })?;
    let mut entries = Vec::new();
    for (key, value) in file.get_ref() {
        let place = line(key.span().start);
        let name = key.get_ref().as_ref();
        if name != SIGNATURE {
            let meant = meant(name, &[SIGNATURE]);
            return Err(anyhow!("line {place}: there is no table `{name}`{meant}"));
        }
        let list = match value.get_ref() {
            DeValue::Array(list) => list.iter(),
            _ => return Err(not_a_list(place)),
        };
        for (at, entry) in list.enumerate() {
            let stands = Place {
                line: line(entry.span().start),
                number: at + 1,
            };
            let DeValue::Table(table) = entry.get_ref() else {
                return Err(not_a_list(stands.line));
            };
            let keys = Keys::new(stands, table, line);
            let entry = keys.check(own).map_err(|Wrong { line, what }| {
                let place = Place { line, ..stands };
                anyhow!("{}: {what}", keys.name(place))
            })?;
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn not_a_list(line: usize) -> anyhow::Error {
    anyhow!("line {line}: `{SIGNATURE}` is a list: each entry begins with `[[{SIGNATURE}]]`")
}

/// The keys of an entry.
struct Keys<'a> {
    place: Place,
    /// Key, line and value, in the order of the file.
    values: Vec<(&'a str, usize, &'a DeValue<'a>)>,
}

impl<'a> Keys<'a> {
    fn new(place: Place, table: &'a DeTable<'a>, line: impl Fn(usize) -> usize) -> Self {
        let mut pairs: Vec<_> = table.iter().collect();
        pairs.sort_by_key(|(key, _)| key.span().start);
        let value = |(key, value): (&'a Spanned<_>, &'a Spanned<_>)| {
            let key: &Spanned<std::borrow::Cow<'a, str>> = key;
            (
                key.get_ref().as_ref(),
                line(key.span().start),
                value.get_ref(),
            )
        };
        Self {
            place,
            values: pairs.into_iter().map(value).collect(),
        }
    }

    /// What an error calls the entry.
    fn name(&self, place: Place) -> String {
        let text = |key| self.string(key).ok().flatten().map(|(_, text)| text);
        let mark = text(DETECTOR).map(|name| (DETECTOR, name));
        let mark = mark.or_else(|| text(PATTERN).map(|pattern| (PATTERN, pattern)));
        place.name(text(TOOL).unwrap_or_default(), mark)
    }

    fn check(&self, own: bool) -> Result<Entry, Wrong> {
        for (key, line, _) in &self.values {
            if !KEYS.contains(key) {
                let meant = meant(key, &KEYS);
                return wrong(*line, format!("there is no key `{key}`{meant}"));
            }
        }
        let Some((line, tool)) = self.string(TOOL)? else {
            return wrong(self.place.line, format!("it lacks `{TOOL}`"));
        };
        if tool.is_empty() || tool.len() > MAX_TOOL_NAME {
            let what = format!("a tool's name has 1 to {MAX_TOOL_NAME} bytes");
            return wrong(line, what);
        }
        // The name is printed in tables and lists, which join names with semicolons.
        if tool.contains(|c: char| c.is_control() || c == ';') {
            let what = "a tool's name holds neither control characters nor semicolons";
            return wrong(line, what);
        }
        let tool = tool.to_owned();
        match self.boolean(DISABLED, false)? {
            true => self.disabled(own, tool),
            false => self.signature(own, tool),
        }
    }

    fn disabled(&self, own: bool, tool: String) -> Result<Entry, Wrong> {
        if !own {
            let what = "`disabled` is for a file of one's own, beside the built-in signatures";
            return wrong(self.line(DISABLED), what);
        }
        if let Some(key) = self.first_of(&[KIND, MATCH, PATTERN, SURE]) {
            let what =
                format!("what is disabled has no `{key}`: `{FIELD}` or `{DETECTOR}` will do");
            return wrong(self.line(key), what);
        }
        let part = match (self.detector()?, self.field()?) {
            (Some(_), Some(_)) => return self.both(FIELD),
            (Some(detector), None) => Some(Part::Detector(detector)),
            (None, Some(field)) => Some(Part::Field(field)),
            (None, None) => None,
        };
        Ok(Entry::Disabled {
            place: self.place,
            tool,
            part,
        })
    }

    fn signature(&self, own: bool, tool: String) -> Result<Entry, Wrong> {
        let detector = self.detector()?;
        let needed: &[&str] = match detector {
            Some(_) => &[KIND],
            None => &[KIND, FIELD, MATCH, PATTERN],
        };
        let lacks = |key: &&&str| !self.values.iter().any(|(other, ..)| other == *key);
        if let Some(key) = needed.iter().find(lacks) {
            let or = match *key {
                FIELD => format!(", or a `{DETECTOR}`"),
                _ => String::new(),
            };
            return wrong(self.place.line, format!("it lacks `{key}`{or}"));
        }
        let kind = self.one_of(KIND, Kind::ALL, Kind::name)?;
        let field = self.field()?;
        let how = self.one_of(MATCH, Match::ALL, Match::name)?;
        let mark = match (detector, field, how, self.string(PATTERN)?) {
            (Some(detector), None, None, None) => Mark::Detector(detector),
            (Some(_), ..) => {
                return self.both(self.first_of(&[FIELD, MATCH, PATTERN]).unwrap_or(FIELD));
            }
            (None, Some(field), Some(how), Some((line, pattern))) => {
                if let Err(what) = possible(field, how, pattern) {
                    return wrong(line, what);
                }
                let pattern = pattern.to_owned();
                Mark::Pattern {
                    field,
                    how,
                    pattern,
                }
            }
            (None, ..) => return wrong(self.place.line, format!("it lacks `{PATTERN}`")),
        };
        let Some(kind) = kind else {
            return wrong(self.place.line, format!("it lacks `{KIND}`"));
        };
        let note = self.string(NOTE)?.map_or("", |(_, note)| note);
        Ok(Entry::Signature(Signature {
            place: self.place,
            tool,
            kind,
            mark,
            sure: self.boolean(SURE, true)?,
            note: note.to_owned(),
            own,
        }))
    }

    fn both<T>(&self, key: &str) -> Result<T, Wrong> {
        let what = format!("beside a `{DETECTOR}` there is no `{key}`");
        wrong(self.line(key), what)
    }

    fn field(&self) -> Result<Option<Field>, Wrong> {
        self.one_of(FIELD, Field::ALL, Field::name)
    }

    fn detector(&self) -> Result<Option<Detector>, Wrong> {
        self.one_of(DETECTOR, Detector::ALL, Detector::name)
    }

    /// The one of `all` that is named by a key.
    fn one_of<T: Copy, const N: usize>(
        &self,
        key: &str,
        all: [T; N],
        name: fn(T) -> &'static str,
    ) -> Result<Option<T>, Wrong> {
        let Some((line, written)) = self.string(key)? else {
            return Ok(None);
        };
        match all.into_iter().find(|one| name(*one) == written) {
            Some(one) => Ok(Some(one)),
            None => {
                let meant = meant(written, &all.map(name));
                wrong(line, format!("there is no {key} `{written}`{meant}"))
            }
        }
    }

    fn string(&self, key: &str) -> Result<Option<(usize, &'a str)>, Wrong> {
        match self.get(key) {
            None => Ok(None),
            Some((line, DeValue::String(text))) => Ok(Some((line, text.as_ref()))),
            Some((line, _)) => wrong(line, format!("`{key}` is a text: {key} = \"…\"")),
        }
    }

    fn boolean(&self, key: &str, default: bool) -> Result<bool, Wrong> {
        match self.get(key) {
            None => Ok(default),
            Some((_, DeValue::Boolean(value))) => Ok(*value),
            Some((line, _)) => wrong(line, format!("`{key}` is true or false, without quotes")),
        }
    }

    fn get(&self, key: &str) -> Option<(usize, &'a DeValue<'a>)> {
        let mut values = self.values.iter();
        let (_, line, value) = values.find(|(other, ..)| *other == key)?;
        Some((*line, value))
    }

    /// The line of a key, or the entry's.
    fn line(&self, key: &str) -> usize {
        self.get(key).map_or(self.place.line, |(line, _)| line)
    }

    /// The first key of the entry that is among these.
    fn first_of(&self, keys: &[&str]) -> Option<&'a str> {
        let mut values = self.values.iter().map(|(key, ..)| *key);
        values.find(|key| keys.contains(key))
    }
}

fn wrong<T>(line: usize, what: impl Into<String>) -> Result<T, Wrong> {
    let what = what.into();
    Err(Wrong { line, what })
}

/// Whether a pattern can meet what ordinary traffic does not hold; if not, why not.
fn possible(field: Field, how: Match, pattern: &str) -> Result<(), String> {
    let length = pattern.len();
    if length == 0 {
        return Err("the pattern is empty".to_owned());
    }
    if length > MAX_PATTERN {
        return Err(format!(
            "the pattern has {length} bytes; it may have {MAX_PATTERN}"
        ));
    }
    if let Some(control) = pattern.bytes().find(u8::is_ascii_control) {
        return Err(format!(
            "the pattern holds a control character, 0x{control:02x}"
        ));
    }
    let contains = how == Match::Contains;
    if matches!(field, Field::Body | Field::Any) && !contains {
        return Err(format!(
            "field `{}` has no beginning to compare with: use match `{}`",
            field.name(),
            Match::Contains.name()
        ));
    }
    if how == Match::Prefix && length < MIN_PREFIX {
        return Err(format!(
            "a prefix has at least {MIN_PREFIX} bytes: make it longer, or `{}`",
            Match::Exact.name()
        ));
    }
    if contains && length < MIN_CONTAINS {
        return Err(format!(
            "what a value contains has at least {MIN_CONTAINS} bytes, or it would be found in \
             ordinary traffic"
        ));
    }
    if !contains && pattern.starts_with(' ') {
        return Err("the pattern begins with a blank, and no value does".to_owned());
    }
    if how == Match::Exact && pattern.ends_with(' ') {
        return Err("the pattern ends with a blank, which is no part of a value".to_owned());
    }
    if contains && field == Field::RequestUri && pattern.contains(' ') {
        return Err("the pattern holds a blank, and no request URI does".to_owned());
    }
    Ok(())
}
