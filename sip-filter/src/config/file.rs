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
        Action, BY, Configuration, Counted, Entry, Escalate, History, Http, Lists, Origin, Rate,
        Set, Sizes, Watch, counted, limit_names,
    },
    drop::DropList,
    interface,
    listen::Listen,
    meant::meant,
    ports::Ports,
    prefix::Prefix,
    signatures::Signatures,
    size::Size,
    span::Span,
};
use crate::{
    geoip::Databases,
    lists::{self, List},
    output::table::thousands,
};

/// Where the file is looked for unless the operator names another.
pub const DEFAULT: &str = "/etc/sip-filter/config.toml";

/// The fewest sources that can be remembered: the kernel spreads them over its CPUs, and
/// fewer would leave each with next to none.
pub const MIN_SOURCES: u32 = 1 << 10;
/// The most: at some 500 bytes each, eight gigabytes.
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
/// What a history needs to follow as many sources as it does, and for its months.
const MIN_HISTORY: Size = Size::from_megabytes(64);
/// The most sources of a day that are named.
const MAX_NAMED: u32 = 100_000;
/// The most packets after which a source is blocked.
const MAX_OFFENCES: u32 = 1_000_000;

const ROOT: [&str; 15] = [
    "interfaces",
    "mode",
    "group",
    "ports",
    "drop",
    "signatures",
    "events",
    "geoip",
    SIZES,
    LISTS,
    LIMIT,
    BEHAVIOUR,
    ESCALATE,
    HISTORY,
    HTTP,
];
const SIZES: &str = "sizes";
const LISTS: &str = "lists";
const LIMIT: &str = "limit";
const BEHAVIOUR: &str = "behaviour";
const ESCALATE: &str = "escalate";
const HISTORY: &str = "history";
const HTTP: &str = "http";
const SIZE_KEYS: [&str; 3] = ["sources", "lists", "bans"];
const LIST_KEYS: [&str; 5] = ["action", "allow", "block", "allow_files", "block_files"];
const LIMIT_KEYS: [&str; 4] = ["rate", "per", "burst", "action"];
const ESCALATE_KEYS: [&str; 5] = ["after", "within", "for", "by", "action"];
const HISTORY_KEYS: [&str; 4] = ["file", "max_size", "sources", KEEP];
const KEEP: &str = "keep";
const HTTP_KEYS: [&str; 2] = ["listen", "token_file"];
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
        let span = error.span().unwrap_or(0..0);
        let line = reader.line(span.start);
        // One line, one mistake: others follow from it.
        if reader.mistakes.iter().any(|mistake| mistake.line == line) {
            continue;
        }
        let at = match text.get(span).map(str::trim) {
            Some(at) if !at.is_empty() && !at.contains('\n') => format!(": `{at}`"),
            _ => String::new(),
        };
        reader.wrong(line, format!("{}{at}", error.message()));
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
    for (key, list, files) in [
        ("lists.allow_files", List::Allow, &lists.allow_files),
        ("lists.block_files", List::Block, &lists.block_files),
    ] {
        for file in &files.value {
            if let Err(error) = lists::listed(file, list) {
                wrong(files.origin, format!("`{key}`: {error:#}"));
            }
        }
    }
    mistakes
}

/// Tries the databases of addresses. It is no part of [`read`]: that it is not known where sources are is no
/// reason not to filter.
///
/// # Errors
///
/// [`Mistakes`], when one cannot be read.
pub fn try_databases(configuration: &Configuration, path: &Path) -> Result<()> {
    let geoip = &configuration.geoip;
    match (Databases::open(&geoip.value), geoip.origin) {
        (Err(error), Origin::Line(line)) => Err(Mistakes(vec![Mistake {
            file: path.to_owned(),
            line,
            what: format!("`geoip`: {error:#}"),
        }])
        .into()),
        _ => Ok(()),
    }
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
        self.parsed(root, "group", "\"adm\"", &mut into.group);
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
        self.files(root, "geoip", &mut into.geoip);
        self.file(
            root,
            "events",
            "\"/var/lib/sip-filter/events.json\"",
            &mut into.events,
        );
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
        if let Some(table) = self.table(root, HISTORY) {
            self.history(&table, &mut into.history);
        }
        if let Some(table) = self.table(root, HTTP) {
            self.http(&table, &mut into.http);
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
            let entry = |(prefix, line)| Entry { prefix, line };
            if let Some(Set { value, origin }) = self.lines(table, key, Prefix::from_str) {
                *list = Set {
                    value: value.into_iter().map(entry).collect(),
                    origin,
                };
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

    fn history(&mut self, table: &Table<'a>, into: &mut History) {
        self.check_keys(table, &HISTORY_KEYS);
        let like = "\"/var/lib/sip-filter/history.sqlite\"";
        self.file(table, "file", like, &mut into.file);
        let mut size = Set::default(into.max_size.value);
        self.parsed(table, "max_size", "\"500M\"", &mut size);
        match size.origin {
            Origin::Line(line) if size.value < MIN_HISTORY => {
                let key = table.path("max_size");
                let what = format!("`{key}` is {MIN_HISTORY} at least, and not {}", size.value);
                self.wrong(line, what);
            }
            Origin::Line(_) => into.max_size = size,
            _ => {}
        }
        self.number(table, "sources", 0..=MAX_NAMED, &mut into.sources);
        if let Some(table) = self.table(table, KEEP) {
            let keys = into.keep().map(|(key, _)| key);
            self.check_keys(&table, &keys);
            let History {
                minutes,
                hours,
                days,
                months,
                ..
            } = into;
            for (key, keep) in keys.into_iter().zip([minutes, hours, days, months]) {
                self.parsed(&table, key, "\"60d\"", keep);
            }
        }
    }

    fn http(&mut self, table: &Table<'a>, into: &mut Http) {
        self.check_keys(table, &HTTP_KEYS);
        let mut listen = Set::default(Listen::LOOPBACK);
        self.parsed(table, "listen", "\"127.0.0.1:9060\"", &mut listen);
        if let Origin::Line(line) = listen.origin {
            if !listen.value.is_loopback() && table.get("token_file").is_none() {
                let what = "`http.listen` is reached by others than this machine, and nothing is \
                            asked of them; set `http.token_file`, or listen on 127.0.0.1";
                self.wrong(line, what.to_owned());
            }
            into.listen = Set {
                value: Some(listen.value),
                origin: listen.origin,
            };
        }
        self.file(table, "token_file", "\"http-token\"", &mut into.token_file);
    }

    /// Every key is one of these.
    fn check_keys(&mut self, table: &Table<'a>, keys: &[&str]) {
        for (key, line, _) in &table.values {
            if keys.contains(key) {
                continue;
            }
            // `ports` is a threshold too.
            let is_lost =
                ROOT.contains(key) && !table.name.is_empty() && !table.name.starts_with(BEHAVIOUR);
            let meant = match is_lost {
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
                    "`{}` is a whole number from {} to {}, and not {}",
                    table.path(key),
                    thousands((*allowed.start()).into()),
                    thousands((*allowed.end()).into()),
                    self.text.get(value.span()).unwrap_or_default()
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
        let Set { value, origin } = self.lines(table, key, parse)?;
        let value = value.into_iter().map(|(value, _)| value).collect();
        Some(Set { value, origin })
    }

    /// [`Reader::list`] with the line of each.
    fn lines<T>(
        &mut self,
        table: &Table<'a>,
        key: &str,
        parse: impl Fn(&str) -> Result<T>,
    ) -> Option<Set<Vec<(T, usize)>>> {
        let (line, value) = table.get(key)?;
        let values: Vec<_> = match value.get_ref() {
            DeValue::Array(values) => values.iter().collect(),
            _ => vec![value],
        };
        let written = values.len();
        let mut parsed = Vec::new();
        for value in values {
            let line = self.line(value.span().start);
            let path = table.path(key);
            match value.get_ref() {
                DeValue::String(text) => match parse(text) {
                    Ok(value) => parsed.push((value, line)),
                    Err(error) => self.wrong(line, format!("`{path}`: {error}")),
                },
                _ => self.wrong(
                    line,
                    format!("`{path}` is a list of texts: {key} = [\"…\"]"),
                ),
            }
        }
        (parsed.len() == written).then_some(Set {
            value: parsed,
            origin: Origin::Line(line),
        })
    }

    /// A file beside the configuration file, if no other folder is named; `like` is an example.
    fn file(&mut self, table: &Table<'a>, key: &str, like: &str, into: &mut Set<Option<PathBuf>>) {
        match self.text(table, key, like) {
            Some((line, "")) => {
                self.wrong(line, format!("`{}`: a file has a name", table.path(key)));
            }
            Some((line, name)) => {
                let folder = self.path.parent().unwrap_or(Path::new(""));
                *into = Set {
                    value: Some(folder.join(name)),
                    origin: Origin::Line(line),
                };
            }
            None => {}
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::configuration::as_toml;
    use sip_filter_common::{
        rules::{Limit, Rules, Threshold},
        sender::{HOST_BITS, USER_BITS},
        sip::MessageClass,
        sketch::bits_of,
    };

    /// The example that comes with the source.
    const EXAMPLE: &str = include_str!("../../config.toml");

    fn parsed(text: &str) -> Configuration {
        let (configuration, mistakes) = parse(text, Path::new("/etc/x/config.toml"));
        assert!(mistakes.is_empty(), "{}", Mistakes(mistakes));
        configuration
    }

    /// The example with all that is switched off in it.
    fn whole_example() -> String {
        let is_setting =
            |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
        let line = |line: &str| match line.strip_prefix('#') {
            Some(setting) if is_setting(setting) => format!("{setting}\n"),
            _ => format!("{line}\n"),
        };
        EXAMPLE.lines().map(line).collect()
    }

    #[test]
    fn the_example_is_what_it_says() {
        let configuration = parsed(EXAMPLE);
        assert_eq!(configuration.interfaces.value, ["eth0"]);
        let rules = configuration.rules(0);
        assert_eq!(rules.uses, Rules::BEHAVIOURS);
        assert_eq!([rules.watched, rules.dropped], [0b11111, 0]);
        // Whatever is said to be a default is one.
        let default = Configuration::default();
        assert_eq!(rules.thresholds, default.rules(0).thresholds);
        assert_eq!(configuration.ports.value, default.ports.value);
        assert_eq!(configuration.sizes.bans.value, default.sizes.bans.value);
    }

    #[test]
    fn every_key_is_in_the_example() {
        let example = whole_example();
        let rows = parsed(&example).rows();
        for row in &rows {
            let key = format!("{}.{}", row.table, row.key);
            assert!(row.origin.starts_with("/etc/x/config.toml:"), "{key}");
        }
        let of = |table: &str| rows.iter().filter(|row| row.table == table).count();
        assert_eq!(of(""), ROOT.len() - 7, "the tables are keys too");
        assert_eq!(of(SIZES), SIZE_KEYS.len());
        assert_eq!(of(LISTS), LIST_KEYS.len());
        assert_eq!(of("limit.sip"), LIMIT_KEYS.len());
        assert_eq!(of("limit.REGISTER"), LIMIT_KEYS.len());
        assert_eq!(of(ESCALATE), ESCALATE_KEYS.len());
        assert_eq!(of(HISTORY), HISTORY_KEYS.len() - 1, "a table is a key too");
        assert_eq!(of("history.keep"), 4);
        assert_eq!(of(HTTP), HTTP_KEYS.len());
        for behaviour in Behaviour::ALL {
            assert_eq!(of(&format!("behaviour.{}", behaviour.name())), 3);
        }
        for name in limit_names() {
            assert!(EXAMPLE.contains(name), "{name}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for text in ["", EXAMPLE, &whole_example()] {
            let mut configuration = parsed(text);
            let shown = as_toml(&configuration.rows());
            let mut again = parsed(&shown);
            assert_eq!(again.rules(0), configuration.rules(0), "{shown}");
            for configuration in [&mut configuration, &mut again] {
                for row in configuration.rows() {
                    assert!(shown.contains(&format!("{} = {}", row.key, row.value)));
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_what_the_kernel_gets() {
        let second = 1_000_000_000;
        let configuration = parsed(
            "ports = [5060, \"5070-5080\"]\n\
             drop = \"scanners\"\n\
             signatures = [\"own.toml\", \"/srv/more.toml\"]\n\
             lists = { action = \"count\", allow = \"192.0.2.0/24\", block_files = [\"b.txt\"] }\n\
             [limit.sip]\nrate = 1000\n\
             [limit.REGISTER]\nrate = 10\nburst = 20\naction = \"count\"\n\
             [limit.OTHER]\nrate = 1\nper = \"1m\"\n\
             [behaviour.enumeration]\nusers = 50\n\
             [behaviour.address-sweep]\naddresses = 0x10\naction = \"drop\"\n\
             [escalate]\nafter = 5\nwithin = \"1m\"\nfor = \"2h\"\nby = \"signature\"\n\
             [history]\nfile = \"h.sqlite\"\nmax_size = \"96M\"\nsources = 50\n\
             keep = { minutes = \"12h\", days = \"forever\", months = \"3y\" }\n",
        );
        assert_eq!(configuration.ports.value.to_string(), "5060,5070-5080");
        assert_eq!(configuration.drop.value.to_string(), "scanners");
        let files = ["/etc/x/own.toml", "/srv/more.toml"].map(PathBuf::from);
        assert_eq!(configuration.signatures.value, files);
        let lists = &configuration.lists;
        let prefix = "192.0.2.0/24".parse().unwrap();
        assert_eq!(lists.allow.value, [Entry { prefix, line: 4 }]);
        assert_eq!(lists.block_files.value, [PathBuf::from("/etc/x/b.txt")]);

        let rules = configuration.rules(9);
        assert_eq!(rules.seed, 9);
        assert_eq!(rules.block_drops, 0);
        let limit = |interval, burst: u64, drops| Limit {
            interval,
            tolerance: (burst - 1) * interval,
            drops,
        };
        assert_eq!(rules.limits[0], limit(second / 1_000, 1_000, 1));
        let of = |class: MessageClass| rules.limits[1 + class as usize];
        assert_eq!(of(MessageClass::Register), limit(second / 10, 20, 0));
        assert_eq!(of(MessageClass::Other), limit(60 * second, 1, 1));
        assert_eq!(of(MessageClass::Invite), Limit::NONE);

        let [enumeration, sweep] = [Behaviour::Enumeration, Behaviour::AddressSweep];
        assert_eq!(rules.watched, enumeration.bit() | sweep.bit());
        assert_eq!(rules.dropped, sweep.bit());
        let threshold = |behaviour: Behaviour| rules.thresholds[behaviour as usize];
        let window = |seconds: u64| ((seconds * second) >> 20) as u32;
        let expected = |seconds, count| Threshold {
            window: window(seconds),
            count,
        };
        assert_eq!(
            threshold(enumeration),
            expected(300, bits_of(50, USER_BITS))
        );
        assert_eq!(threshold(sweep), expected(60, bits_of(16, HOST_BITS)));
        assert_eq!(threshold(Behaviour::Flood), expected(10, 1_000));
        let history = &configuration.history;
        let file = PathBuf::from("/etc/x/h.sqlite");
        assert_eq!(history.file.value, Some(file));
        assert_eq!(history.max_size.value.bytes(), 96 << 20);
        assert_eq!(history.sources.value, 50);
        let kept = history.keep().map(|(_, keep)| keep.value.to_string());
        assert_eq!(kept, ["12h", "60d", "forever", "3y"]);
        let escalation = Escalation {
            after: 5,
            within: window(60),
            length: 7_200 * second,
            by: Escalation::BY_SIGNATURE,
            drops: 1,
        };
        assert_eq!(rules.escalation, escalation);
    }

    #[test]
    fn the_token_lies_beside_the_file() {
        let http = parsed("[http]\nlisten = \"192.0.2.10:9060\"\ntoken_file = \"token\"").http;
        let listen = http.listen.value.map(|listen| listen.to_string());
        assert_eq!(listen.as_deref(), Some("192.0.2.10:9060"));
        let file = http.token_file.value;
        assert_eq!(file.as_deref(), Some(Path::new("/etc/x/token")));
    }

    #[test]
    fn a_behaviour_does_what_is_said_nearest_to_it() {
        let all = 0b11111;
        let flood = Behaviour::Flood.bit();
        for (text, watched, dropped) in [
            ("", 0, 0),
            ("[behaviour]", 0, 0),
            ("[behaviour]\naction = \"count\"", all, 0),
            ("[behaviour]\naction = \"drop\"", all, all),
            ("[behaviour.flood]", flood, 0),
            ("[behaviour.flood]\naction = \"drop\"", flood, flood),
            ("[behaviour.flood]\naction = \"off\"", 0, 0),
            ("[behaviour]\naction = \"off\"\n[behaviour.flood]", 0, 0),
            (
                "[behaviour]\naction = \"drop\"\nflood.action = \"count\"",
                all,
                all & !flood,
            ),
            (
                "[behaviour]\naction = \"drop\"\nflood.action = \"off\"",
                all & !flood,
                all & !flood,
            ),
        ] {
            let rules = parsed(text).rules(0);
            assert_eq!([rules.watched, rules.dropped], [watched, dropped], "{text}");
        }
    }

    #[test]
    fn mistakes_name_file_line_key_and_what_was_meant() {
        for (text, line, said) in [
            (
                "\ninterface = [\"eth0\"]",
                2,
                "no key `interface`; do you mean `interfaces`?",
            ),
            (
                "interfaces = [\"a\", \"a\"]",
                1,
                "`interfaces` names a twice",
            ),
            (
                "interfaces = [\"a\",\n\"b/c\"]",
                2,
                "`interfaces`: an interface's name has",
            ),
            (
                "interfaces = 1",
                1,
                "`interfaces` is a list of texts: interfaces = [",
            ),
            (
                "mode = \"navite\"",
                1,
                "`mode`: there is no mode `navite`; do you mean `native`?",
            ),
            ("mode = 1", 1, "`mode` is a text: mode = \"auto\""),
            (
                "group = \"no-such\"",
                1,
                "`group`: there is no group `no-such`; `groupadd",
            ),
            ("ports = 70000", 1, "`ports`: there is no port 70000"),
            (
                "ports = 5060.5",
                1,
                "`ports` is a text, or a list of numbers",
            ),
            (
                "drop = [\"scaners\"]",
                1,
                "`drop`: `scaners` cannot be dropped; do you mean `scanners`?",
            ),
            (
                "sources = 1024",
                1,
                "no key `sources`; there are interfaces, mode",
            ),
            ("[sises]", 1, "no key `sises`; do you mean `sizes`?"),
            ("sizes = 3", 1, "`sizes` is a table: write [sizes]"),
            (
                "[sizes]\nsource = 4096",
                2,
                "no key `sizes.source`; do you mean `sources`?",
            ),
            (
                "[sizes]\nsources = 1",
                2,
                "`sizes.sources` is a whole number from 1,024 to 16,777,216, and not 1",
            ),
            (
                "[sizes]\nlists = \"1\"",
                2,
                "`sizes.lists` is a whole number from 1 to 16,777,216, and not \"1\"",
            ),
            ("[sizes]\nbans = -1", 2, "`sizes.bans` is a whole number"),
            (
                "[sizes]\ndrop = []",
                2,
                "no key `sizes.drop`; `drop` stands before the first [table]",
            ),
            (
                "[lists]\nallow = [\"192.0.2.7/24\"]",
                2,
                "`lists.allow`: `192.0.2.7/24` has bits set",
            ),
            (
                "[lists]\naction = \"off\"",
                2,
                "`lists.action` cannot be `off`; there are count, drop",
            ),
            (
                "[lists]\nallow_files = \"\"",
                2,
                "`lists.allow_files`: a file has a name",
            ),
            (
                "[limit.register]\nrate = 1",
                1,
                "no key `limit.register`; do you mean `REGISTER`?",
            ),
            (
                "[limit.INVIET]\nrate = 1",
                1,
                "no key `limit.INVIET`; do you mean `INVITE`?",
            ),
            (
                "[limit]\nrate = 1",
                2,
                "no key `limit.rate`; there are sip, REGISTER",
            ),
            ("[limit.sip]\nburst = 1", 1, "`limit.sip` lacks `rate`"),
            (
                "[limit.sip]\nrate = 0",
                2,
                "`limit.sip.rate` is a whole number from 1 to 10,000,000, and not 0",
            ),
            (
                "[limit.sip]\nrate = 10\nper = \"0s\"",
                3,
                "`limit.sip.per`: `0s` is no time at all",
            ),
            (
                "[limit.sip]\nrate = 10\nper = \"2d\"",
                3,
                "`limit.sip.per` is from 100ms to 1d, and not 2d",
            ),
            (
                "[limit.sip]\nrate = 9000000\nper = \"100ms\"",
                2,
                "more than 10,000,000 a second",
            ),
            (
                "[limit.sip]\nrate = 1\nper = \"1h\"\nburst = 200",
                4,
                "`limit.sip.burst`: at this rate so many take more than 7d",
            ),
            (
                "[limit.sip]\nrate = 1\nbrust = 2",
                3,
                "no key `limit.sip.brust`; do you mean `burst`?",
            ),
            (
                "[behaviour.portsweep]",
                1,
                "no key `behaviour.portsweep`; do you mean `port-sweep`?",
            ),
            (
                "[behaviour]\naction = \"block\"",
                2,
                "`behaviour.action` cannot be `block`; there are off, count, drop",
            ),
            (
                "[behaviour.flood]\nports = 5",
                2,
                "no key `behaviour.flood.ports`; there are action, requests, within",
            ),
            (
                "[behaviour.enumeration]\nusers = 5000",
                2,
                "from 2 to 1,500, and not 5000",
            ),
            (
                "[behaviour.password-guessing]\nattempts = 255",
                2,
                "from 2 to 254, and not 255",
            ),
            (
                "[behaviour.flood]\nwithin = \"8d\"",
                2,
                "`behaviour.flood.within` is from 100ms to 7d, and not 8d",
            ),
            (
                "[behaviour.flood]\nwithin = 10",
                2,
                "`behaviour.flood.within` is a text: within = \"10s\"",
            ),
            ("[escalate]\nfor = \"1h\"", 1, "`escalate` lacks `after`"),
            (
                "[escalate]\nafter = 5\nby = []",
                3,
                "`escalate.by` is empty",
            ),
            (
                "[escalate]\nafter = 5\nby = [\"limit\"]",
                3,
                "`escalate.by`: `limit` does not count; there are signature, behaviour",
            ),
            (
                "[escalate]\nafter = 5\nby = [\"behaviour\"]",
                3,
                "none is watched; set `behaviour.action`",
            ),
            (
                "[history]\nfiel = \"h\"",
                2,
                "no key `history.fiel`; do you mean `file`?",
            ),
            (
                "[history]\nfile = \"\"",
                2,
                "`history.file`: a file has a name",
            ),
            (
                "[history]\nmax_size = \"1M\"",
                2,
                "`history.max_size` is 64M at least, and not 1M",
            ),
            (
                "[history]\nmax_size = 500",
                2,
                "`history.max_size` is a text",
            ),
            (
                "[history]\nsources = 200000",
                2,
                "`history.sources` is a whole number from 0 to 100,000",
            ),
            (
                "[history]\nkeep.days = \"long\"",
                2,
                "`history.keep.days`: `long` does not say how long",
            ),
            (
                "[history.keep]\nweeks = \"1y\"",
                2,
                "no key `history.keep.weeks`",
            ),
            (
                "mode = \"auto\"\nmode = \"skb\"",
                2,
                "duplicate key: `mode`",
            ),
            ("mode = auto", 1, "must be quoted"),
            (
                "[http]\nlisten = \"example.org:80\"",
                2,
                "`http.listen`: `example.org:80` is no address",
            ),
            (
                "[http]\nlisten = 9060",
                2,
                "`http.listen` is a text: listen = \"127.0.0.1:9060\"",
            ),
            (
                "[http]\nlisten = \"0.0.0.0:9060\"",
                2,
                "set `http.token_file`",
            ),
            (
                "[http]\ntoken = \"a\"",
                2,
                "no key `http.token`; there are listen, token_file",
            ),
            ("[sizes\n", 1, "expected"),
        ] {
            let (_, mistakes) = parse(text, Path::new("/etc/x/config.toml"));
            let all = Mistakes(mistakes.clone()).to_string();
            assert!(
                all.starts_with(&format!("/etc/x/config.toml:{line}: ")),
                "{text}: {all}"
            );
            assert!(all.contains(said), "{text}: {all}");
            assert_eq!(mistakes.len(), 1, "{text}: {all}");
        }
    }

    #[test]
    fn all_mistakes_are_told_in_the_order_of_lines() {
        let text = "mod = 1\n[limit.sip]\nrat = 1\n[escalate]\nafter = -1\n[sizes]\nbans = 0\n";
        let (_, mistakes) = parse(text, Path::new("c.toml"));
        let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.line).collect();
        assert_eq!(lines, [1, 2, 3, 5, 7]);
    }
}
