//! The configuration file: TOML, read over the defaults.
//!
//! Everything that is wrong with it is found at once, each with its line, its key, and what may have
//! been meant. A file with anything wrong is not used at all. Relative paths in it are relative to
//! its folder.

use std::{
    error, fmt, fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, anyhow};
use sip_filter_common::{
    rules::{Behaviour, Escalation},
    verdict::DropSet,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    configuration::{
        Action, BY, Configuration, Counted, Escalate, Lists, Origin, Rate, Set, Sizes, Watch,
        counted, limit_names,
    },
    drop::DropList,
    interface,
    meant::meant,
    ports::Ports,
    prefix::Prefix,
    signatures::Signatures,
    span::Span,
};
use crate::output::table::thousands;

/// Where the file is looked for unless the operator names another.
pub const DEFAULT: &str = "/etc/sip-filter/config.toml";

/// The fewest sources that can be remembered: the kernel spreads them over its CPUs, and
/// fewer would leave each with next to none.
pub const MIN_SOURCES: u32 = 1 << 10;
/// The most: at 392 bytes each, several gigabytes.
pub const MAX_SOURCES: u32 = 1 << 24;
/// The most entries of a list: a gigabyte and more.
const MAX_ENTRIES: u32 = 1 << 24;
/// The most sources that may be blocked for what they sent.
const MAX_BANS: u32 = 1 << 20;
/// More a second cannot be told apart: 100 ns between two.
const MAX_RATE: u64 = 10_000_000;
/// What is counted over a longer time than this says nothing of the present; and the kernel's units
/// of time are enough for 52 days.
const MAX_WINDOW: Span = Span::from_secs(7 * 86_400);
/// The kernel counts time in jiffies, of up to 10 ms.
const MIN_WINDOW: Span = Span::from_ms(100);
/// An address changes hands.
const MAX_BLOCKED: Span = Span::from_secs(365 * 86_400);
/// The most packets after which a source is blocked.
const MAX_OFFENCES: u32 = 1_000_000;

const ROOT: [&str; 10] = [
    "interfaces",
    "mode",
    "ports",
    "drop",
    "signatures",
    SIZES,
    LISTS,
    LIMIT,
    BEHAVIOUR,
    ESCALATE,
];
const SIZES: &str = "sizes";
const LISTS: &str = "lists";
const LIMIT: &str = "limit";
const BEHAVIOUR: &str = "behaviour";
const ESCALATE: &str = "escalate";
const SIZE_KEYS: [&str; 3] = ["sources", "lists", "bans"];
const LIST_KEYS: [&str; 5] = ["action", "allow", "block", "allow_files", "block_files"];
const LIMIT_KEYS: [&str; 4] = ["rate", "per", "burst", "action"];
const ESCALATE_KEYS: [&str; 5] = ["after", "within", "for", "by", "action"];
const ACTION: &str = "action";

/// Something that is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub file: PathBuf,
    /// The line.
    pub line: usize,
    /// The key, what is wrong with it and what was meant.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what } = self;
        write!(f, "{}:{line}: {what}", file.display())
    }
}

/// Everything that is wrong with the file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    /// A line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut end = "";
        for mistake in &self.0 {
            write!(f, "{end}{mistake}")?;
            end = "\n";
        }
        Ok(())
    }
}

impl error::Error for Mistakes {}

/// Reads a configuration file, and tries the files that it names.
///
/// # Errors
///
/// When it cannot be read; or [`Mistakes`], when anything in it is wrong.
pub fn read(path: &Path) -> Result<Configuration> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    let (configuration, mut mistakes) = parse(&text, path);
    mistakes.extend(unusable_files(&configuration, path));
    mistakes.sort_by_key(|mistake| mistake.line);
    match mistakes.is_empty() {
        true => Ok(configuration),
        false => Err(Mistakes(mistakes).into()),
    }
}

/// What a file's text says, and what is wrong with it; the files that it names are not looked for.
pub fn parse(text: &str, path: &Path) -> (Configuration, Vec<Mistake>) {
    let mut configuration = Configuration {
        file: Some(path.to_owned()),
        ..Configuration::default()
    };
    let mut reader = Reader {
        text,
        path,
        mistakes: Vec::new(),
    };
    let (file, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        reader.wrong(reader.line(at), error.message().to_owned());
    }
    // What follows from text that was not understood is no mistake of the operator's.
    if errors.is_empty() {
        let root = Table {
            name: String::new(),
            line: 1,
            values: reader.values(file.get_ref()),
        };
        reader.root(&root, &mut configuration);
    }
    reader.mistakes.sort_by_key(|mistake| mistake.line);
    (configuration, reader.mistakes)
}

/// Files that the configuration names and that cannot be used.
fn unusable_files(configuration: &Configuration, path: &Path) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut wrong = |origin, what| {
        if let Origin::Line(line) = origin {
            mistakes.push(Mistake {
                file: path.to_owned(),
                line,
                what,
            });
        }
    };
    let signatures = &configuration.signatures;
    if let Err(error) = Signatures::with_own(&signatures.value) {
        wrong(signatures.origin, format!("`signatures`: {error:#}"));
    }
    let lists = &configuration.lists;
    for (key, files) in [
        ("lists.allow_files", &lists.allow_files),
        ("lists.block_files", &lists.block_files),
    ] {
        for file in &files.value {
            if let Err(error) = fs::File::open(file) {
                let what = format!("`{key}`: cannot read {}: {error}", file.display());
                wrong(files.origin, what);
            }
        }
    }
    mistakes
}

/// A table of the file.
struct Table<'a> {
    /// As it is written between the brackets; empty for what stands before the first one.
    name: String,
    line: usize,
    /// Key, line and value, in the order of the file.
    values: Vec<(&'a str, usize, &'a Spanned<DeValue<'a>>)>,
}

impl<'a> Table<'a> {
    /// A key as errors name it.
    fn path(&self, key: &str) -> String {
        match self.name.as_str() {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        }
    }

    fn get(&self, key: &str) -> Option<(usize, &'a Spanned<DeValue<'a>>)> {
        let mut values = self.values.iter();
        let (_, line, value) = values.find(|(other, ..)| *other == key)?;
        Some((*line, value))
    }
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
    mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    fn line(&self, offset: usize) -> usize {
        1 + self
            .text
            .get(..offset)
            .unwrap_or(self.text)
            .matches('\n')
            .count()
    }

    fn wrong(&mut self, line: usize, what: String) {
        self.mistakes.push(Mistake {
            file: self.path.to_owned(),
            line,
            what,
        });
    }

    fn values(&self, table: &'a DeTable<'a>) -> Vec<(&'a str, usize, &'a Spanned<DeValue<'a>>)> {
        let mut values: Vec<_> = table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), self.line(key.span().start), value))
            .collect();
        values.sort_by_key(|(_, line, _)| *line);
        values
    }

    fn root(&mut self, root: &Table<'a>, into: &mut Configuration) {
        self.check_keys(root, &ROOT);
        if let Some(interfaces) = self.list(root, "interfaces", interface::name) {
            let names = &interfaces.value;
            let twice = |(at, name): &(usize, &String)| names[..*at].contains(name);
            if let (Some((_, name)), Origin::Line(line)) =
                (names.iter().enumerate().find(twice), interfaces.origin)
            {
                self.wrong(line, format!("`interfaces` names {name} twice"));
            }
            into.interfaces = interfaces;
        }
        self.parsed(root, "mode", "\"auto\"", &mut into.mode);
        self.ports(root, &mut into.ports);
        if let Some(drop) = self.list(root, "drop", dropped) {
            into.drop = Set {
                value: DropList(
                    drop.value
                        .into_iter()
                        .fold(DropSet::NOTHING, DropSet::union),
                ),
                origin: drop.origin,
            };
        }
        self.files(root, "signatures", &mut into.signatures);
        if let Some(table) = self.table(root, SIZES) {
            self.sizes(&table, &mut into.sizes);
        }
        if let Some(table) = self.table(root, LISTS) {
            self.lists(&table, &mut into.lists);
        }
        if let Some(table) = self.table(root, LIMIT) {
            let names = limit_names();
            self.check_keys(&table, &names);
            for (name, limit) in names.into_iter().zip(&mut into.limits) {
                if let Some(table) = self.table(&table, name) {
                    *limit = self.limit(&table);
                }
            }
        }
        if let Some(table) = self.table(root, BEHAVIOUR) {
            self.behaviours(&table, &mut into.behaviours);
        }
        if let Some(table) = self.table(root, ESCALATE) {
            self.escalate(&table, &mut into.escalate);
            let escalate = &into.escalate;
            let is_watched = |watch: &Watch| watch.action.value != Action::Off;
            if let (Escalation::BY_BEHAVIOUR, Origin::Line(line)) =
                (escalate.by.value, escalate.by.origin)
                && !into.behaviours.iter().any(is_watched)
            {
                let what = "`escalate.by` is behaviour alone, and none is watched; \
                            set `behaviour.action` to \"count\" or \"drop\"";
                self.wrong(line, what.to_owned());
            }
        }
    }

    /// Ports as `--ports` takes them, or a list of numbers and of such texts.
    fn ports(&mut self, root: &Table<'a>, into: &mut Set<Ports>) {
        let Some((line, value)) = root.get("ports") else {
            return;
        };
        let part = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => Some(number.to_string()),
            _ => None,
        };
        let parts = match value.get_ref() {
            DeValue::Array(parts) => parts.iter().map(part).collect::<Option<Vec<_>>>(),
            _ => part(value).map(|part| vec![part]),
        };
        let Some(parts) = parts else {
            let what = "`ports` is a text, or a list of numbers and texts: \
                        ports = \"5060-5100,6060\"";
            return self.wrong(line, what.to_owned());
        };
        match parts.join(",").parse() {
            Ok(value) => {
                *into = Set {
                    value,
                    origin: Origin::Line(line),
                }
            }
            Err(error) => self.wrong(line, format!("`ports`: {error}")),
        }
    }

    fn sizes(&mut self, table: &Table<'a>, into: &mut Sizes) {
        self.check_keys(table, &SIZE_KEYS);
        let sources = MIN_SOURCES..=MAX_SOURCES;
        self.number(table, "sources", sources, &mut into.sources);
        self.number(table, "lists", 1..=MAX_ENTRIES, &mut into.lists);
        self.number(table, "bans", 1..=MAX_BANS, &mut into.bans);
    }

    fn lists(&mut self, table: &Table<'a>, into: &mut Lists) {
        self.check_keys(table, &LIST_KEYS);
        let actions = &[Action::Count, Action::Drop];
        self.action(table, actions, &mut into.action);
        for (key, list) in [("allow", &mut into.allow), ("block", &mut into.block)] {
            if let Some(prefixes) = self.list(table, key, Prefix::from_str) {
                *list = prefixes;
            }
        }
        self.files(table, "allow_files", &mut into.allow_files);
        self.files(table, "block_files", &mut into.block_files);
    }

    fn limit(&mut self, table: &Table<'a>) -> Option<Rate> {
        self.check_keys(table, &LIMIT_KEYS);
        let before = self.mistakes.len();
        let most = MAX_RATE as u32;
        let mut limit = Rate {
            rate: Set::default(0),
            per: Set::default(Span::from_secs(1)),
            burst: Set::default(1),
            action: Set::default(Action::Drop),
        };
        if table.get("rate").is_none() {
            let what = format!(
                "`{}` lacks `rate`: how many packets a source may send in a second, or `per` more",
                table.name
            );
            self.wrong(table.line, what);
        }
        self.number(table, "rate", 1..=most, &mut limit.rate);
        let longest = Span::from_secs(86_400);
        self.span(table, "per", MIN_WINDOW..=longest, &mut limit.per);
        self.action(table, &[Action::Count, Action::Drop], &mut limit.action);
        limit.burst.value = limit.usual_burst();
        self.number(table, "burst", 1..=most, &mut limit.burst);
        if self.mistakes.len() > before {
            return None;
        }
        let line = |origin| match origin {
            Origin::Line(line) => line,
            _ => table.line,
        };
        let a_second = Span::from_secs(1).ns() / limit.interval();
        if a_second > MAX_RATE {
            let what = format!(
                "`{}` is more than {} a second, which cannot be told apart",
                table.path("rate"),
                thousands(MAX_RATE)
            );
            self.wrong(line(limit.rate.origin), what);
        }
        if limit.tolerance() > MAX_WINDOW.ns() {
            let what = format!(
                "`{}`: at this rate so many take more than {MAX_WINDOW}; \
                 make it less, or the rate more",
                table.path("burst"),
            );
            self.wrong(line(limit.burst.origin), what);
        }
        Some(limit)
    }

    fn behaviours(&mut self, table: &Table<'a>, into: &mut [Watch; Behaviour::COUNT]) {
        let names = Behaviour::ALL.map(Behaviour::name);
        let mut keys = vec![ACTION];
        keys.extend(names);
        self.check_keys(table, &keys);
        let actions = &[Action::Off, Action::Count, Action::Drop];
        let mut of_all = Set::default(Action::Off);
        self.action(table, actions, &mut of_all);
        for (behaviour, watch) in Behaviour::ALL.into_iter().zip(into) {
            watch.action = of_all.clone();
            let Some(table) = self.table(table, behaviour.name()) else {
                continue;
            };
            let Counted { key, most, .. } = counted(behaviour);
            self.check_keys(&table, &[ACTION, key, "within"]);
            // Who writes of a behaviour wants to see it.
            if of_all.origin == Origin::Default {
                watch.action.value = Action::Count;
            }
            self.action(&table, actions, &mut watch.action);
            self.number(&table, key, 2..=most, &mut watch.count);
            let windows = MIN_WINDOW..=MAX_WINDOW;
            self.span(&table, "within", windows, &mut watch.within);
        }
    }

    fn escalate(&mut self, table: &Table<'a>, into: &mut Escalate) {
        self.check_keys(table, &ESCALATE_KEYS);
        if table.get("after").is_none() {
            let what = "`escalate` lacks `after`: after how many packets a source is blocked, or 0 \
                        for never";
            self.wrong(table.line, what.to_owned());
        }
        self.number(table, "after", 0..=MAX_OFFENCES, &mut into.after);
        let windows = MIN_WINDOW..=MAX_WINDOW;
        self.span(table, "within", windows, &mut into.within);
        self.span(table, "for", MIN_WINDOW..=MAX_BLOCKED, &mut into.length);
        self.action(table, &[Action::Count, Action::Drop], &mut into.action);
        if let Some(by) = self.list(table, "by", counts_for_escalation) {
            into.by = Set {
                value: by.value.into_iter().fold(0, |by, bit| by | bit),
                origin: by.origin,
            };
            if let (0, Origin::Line(line)) = (into.by.value, by.origin) {
                let what = "`escalate.by` is empty: nothing would count; \
                            to switch escalation off, set `escalate.after` to 0";
                self.wrong(line, what.to_owned());
            }
        }
    }

    /// Every key is one of these.
    fn check_keys(&mut self, table: &Table<'a>, keys: &[&str]) {
        for (key, line, _) in &table.values {
            if keys.contains(key) {
                continue;
            }
            let meant = match ROOT.contains(key) && !table.name.is_empty() {
                true => format!("; `{key}` stands before the first [table]"),
                false => meant(key, keys),
            };
            let what = format!("there is no key `{}`{meant}", table.path(key));
            self.wrong(*line, what);
        }
    }

    fn table(&mut self, table: &Table<'a>, key: &str) -> Option<Table<'a>> {
        let (line, value) = table.get(key)?;
        let name = table.path(key);
        let DeValue::Table(values) = value.get_ref() else {
            let what = format!("`{name}` is a table: write [{name}], and its keys below");
            self.wrong(line, what);
            return None;
        };
        Some(Table {
            values: self.values(values),
            line,
            name,
        })
    }

    fn number(
        &mut self,
        table: &Table<'a>,
        key: &str,
        allowed: RangeInclusive<u32>,
        into: &mut Set<u32>,
    ) {
        let Some((line, value)) = table.get(key) else {
            return;
        };
        let number = match value.get_ref() {
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let number = number.and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| allowed.contains(number)) {
            Some(value) => {
                *into = Set {
                    value,
                    origin: Origin::Line(line),
                }
            }
            None => {
                let what = format!(
                    "`{}` is a whole number from {} to {}, without quotes",
                    table.path(key),
                    thousands((*allowed.start()).into()),
                    thousands((*allowed.end()).into())
                );
                self.wrong(line, what);
            }
        }
    }

    fn span(
        &mut self,
        table: &Table<'a>,
        key: &str,
        allowed: RangeInclusive<Span>,
        into: &mut Set<Span>,
    ) {
        let mut span = Set::default(into.value);
        self.parsed(table, key, "\"10s\"", &mut span);
        let Origin::Line(line) = span.origin else {
            return;
        };
        if allowed.contains(&span.value) {
            *into = span;
            return;
        }
        let what = format!(
            "`{}` is from {} to {}, and not {}",
            table.path(key),
            allowed.start(),
            allowed.end(),
            span.value
        );
        self.wrong(line, what);
    }

    fn action(&mut self, table: &Table<'a>, allowed: &[Action], into: &mut Set<Action>) {
        let Some((line, written)) = self.text(table, ACTION, "\"count\"") else {
            return;
        };
        match allowed.iter().find(|action| action.name() == written) {
            Some(value) => {
                *into = Set {
                    value: *value,
                    origin: Origin::Line(line),
                }
            }
            None => {
                let names: Vec<_> = allowed.iter().map(|action| action.name()).collect();
                let meant = meant(written, &names);
                let key = table.path(ACTION);
                self.wrong(line, format!("`{key}` cannot be `{written}`{meant}"));
            }
        }
    }

    fn parsed<T: FromStr<Err = anyhow::Error>>(
        &mut self,
        table: &Table<'a>,
        key: &str,
        example: &str,
        into: &mut Set<T>,
    ) {
        let Some((line, text)) = self.text(table, key, example) else {
            return;
        };
        match text.parse() {
            Ok(value) => {
                *into = Set {
                    value,
                    origin: Origin::Line(line),
                }
            }
            Err(error) => self.wrong(line, format!("`{}`: {error}", table.path(key))),
        }
    }

    fn text(&mut self, table: &Table<'a>, key: &str, example: &str) -> Option<(usize, &'a str)> {
        let (line, value) = table.get(key)?;
        if let DeValue::String(text) = value.get_ref() {
            return Some((line, text.as_ref()));
        }
        let path = table.path(key);
        self.wrong(line, format!("`{path}` is a text: {key} = {example}"));
        None
    }

    /// A list of texts, each of which is parsed; a text alone is a list of one.
    fn list<T>(
        &mut self,
        table: &Table<'a>,
        key: &str,
        parse: impl Fn(&str) -> Result<T>,
    ) -> Option<Set<Vec<T>>> {
        let (line, value) = table.get(key)?;
        let values: Vec<_> = match value.get_ref() {
            DeValue::Array(values) => values.iter().collect(),
            _ => vec![value],
        };
        let mut parsed = Vec::new();
        for value in values {
            let line = self.line(value.span().start);
            let path = table.path(key);
            match value.get_ref() {
                DeValue::String(text) => match parse(text) {
                    Ok(value) => parsed.push(value),
                    Err(error) => self.wrong(line, format!("`{path}`: {error}")),
                },
                _ => self.wrong(
                    line,
                    format!("`{path}` is a list of texts: {key} = [\"…\"]"),
                ),
            }
        }
        Some(Set {
            value: parsed,
            origin: Origin::Line(line),
        })
    }

    fn files(&mut self, table: &Table<'a>, key: &str, into: &mut Set<Vec<PathBuf>>) {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let file = |name: &str| match name {
            "" => Err(anyhow!("a file has a name")),
            name => Ok(folder.join(name)),
        };
        if let Some(files) = self.list(table, key, file) {
            *into = files;
        }
    }
}

fn dropped(name: &str) -> Result<DropSet> {
    let names = DropSet::NAMES;
    let found = names.into_iter().find(|(other, _)| *other == name);
    found.map(|(_, set)| set).ok_or_else(|| {
        let meant = meant(name, &names.map(|(name, _)| name));
        anyhow!("`{name}` cannot be dropped{meant}")
    })
}

fn counts_for_escalation(name: &str) -> Result<u32> {
    let found = BY.into_iter().find(|(other, _)| *other == name);
    found.map(|(_, bit)| bit).ok_or_else(|| {
        let meant = meant(name, &BY.map(|(name, _)| name));
        anyhow!("`{name}` does not count{meant}")
    })
}
