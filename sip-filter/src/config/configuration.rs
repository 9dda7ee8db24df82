//! What the filter is to do: each value, and where it came from.
//!
//! It begins with the defaults; [`file`](super::file) writes what a configuration file says over
//! them, and the command line has the last word. [`Configuration::rules`] is what the kernel takes,
//! [`Configuration::rows`] what the operator is shown.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sip_filter_common::{
    abi,
    rules::{Behaviour, Escalation, LIMITS, Limit, Rules, Threshold},
    sender::{self, HOST_BITS, PORT_BITS, USER_BITS},
    sip::MessageClass,
    sketch::bits_of,
};
use toml::Value;

use super::{
    drop::DropList, keep::Keep, listen::Listen, mode::Mode, ports::Ports, prefix::Prefix,
    readers::Readers, size::Size, span::Span,
};

/// Where a value came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything else.
    #[default]
    Default,
    /// This line of the configuration file.
    Line(usize),
    /// The command line.
    CommandLine,
}

/// A value, and where it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

impl<T> Set<T> {
    /// Nobody said anything else.
    pub const fn default(value: T) -> Self {
        Self {
            value,
            origin: Origin::Default,
        }
    }

    /// The command line says so, if it says anything.
    pub fn command_line(&mut self, value: Option<T>) {
        if let Some(value) = value {
            *self = Self {
                value,
                origin: Origin::CommandLine,
            };
        }
    }
}

/// What is done with packets that a rule meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: they are not looked for.
    Off,
    /// They are counted as what would be dropped.
    Count,
    /// They are dropped.
    Drop,
}

impl Action {
    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Count => "count",
            Self::Drop => "drop",
        }
    }
}

/// For how many there is room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Sources that are remembered.
    pub sources: Set<u32>,
    /// Addresses, and prefixes of each list.
    pub lists: Set<u32>,
    /// Sources that are blocked at once for what they sent.
    pub bans: Set<u32>,
}

/// Where the history is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The file; no history is kept without one.
    pub file: Set<Option<PathBuf>>,
    /// The most that the file may take.
    pub max_size: Set<Size>,
    /// How many sources of a day are named.
    pub sources: Set<u32>,
    /// How long minutes are kept.
    pub minutes: Set<Keep>,
    /// How long hours are kept.
    pub hours: Set<Keep>,
    /// How long days are kept, and the sources of days.
    pub days: Set<Keep>,
    /// How long months are kept.
    pub months: Set<Keep>,
}

impl History {
    /// How long each unit is kept, with its key.
    pub fn keep(&self) -> [(&'static str, &Set<Keep>); 4] {
        [
            ("minutes", &self.minutes),
            ("hours", &self.hours),
            ("days", &self.days),
            ("months", &self.months),
        ]
    }
}

impl Default for History {
    fn default() -> Self {
        Self {
            file: Set::default(None),
            max_size: Set::default(Size::from_megabytes(500)),
            sources: Set::default(1_000),
            minutes: Set::default(Keep::days(2)),
            hours: Set::default(Keep::days(60)),
            days: Set::default(Keep::years(5)),
            months: Set::default(Keep::Forever),
        }
    }
}

/// An entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whom it is about.
    pub prefix: Prefix,
    /// The line in which it stands.
    pub line: usize,
}

/// The lists that the configuration names, beside those that commands change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists {
    /// Sources that are always allowed.
    pub allow: Set<Vec<Entry>>,
    /// Sources that are blocked.
    pub block: Set<Vec<Entry>>,
    /// Files of sources that are always allowed.
    pub allow_files: Set<Vec<PathBuf>>,
    /// Files of sources that are blocked.
    pub block_files: Set<Vec<PathBuf>>,
    /// What is done with packets of blocked sources: counted or dropped.
    pub action: Set<Action>,
}

/// How often a source may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many packets.
    pub rate: Set<u32>,
    /// In so much time.
    pub per: Set<Span>,
    /// So many may come at once.
    pub burst: Set<u32>,
    /// What is done with what is over it: counted or dropped.
    pub action: Set<Action>,
}

impl Rate {
    /// Nanoseconds between two packets at this rate.
    pub fn interval(&self) -> u64 {
        let rate = u64::from(self.rate.value.max(1));
        ((self.per.value.ns() + rate / 2) / rate).max(1)
    }

    /// How many come at once unless the operator says otherwise: those of a second, one at least.
    pub fn usual_burst(&self) -> u32 {
        let second = Span::from_secs(1).ns() / self.interval();
        u32::try_from(second).unwrap_or(u32::MAX).max(1)
    }

    /// In how much time a burst comes at this rate, in nanoseconds.
    pub fn tolerance(&self) -> u64 {
        u64::from(self.burst.value.saturating_sub(1)).saturating_mul(self.interval())
    }

    fn limit(&self) -> Limit {
        Limit {
            interval: self.interval(),
            tolerance: self.tolerance(),
            drops: u64::from(self.action.value == Action::Drop),
        }
    }
}

/// When a behaviour is recognised, and what is done then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// What is done with packets that are a part of it.
    pub action: Set<Action>,
    /// How many there must be, of what [`counted`] says.
    pub count: Set<u32>,
    /// In how much time.
    pub within: Set<Span>,
}

/// What is counted of a behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The key of the threshold.
    pub key: &'static str,
    /// The threshold unless the operator says otherwise.
    pub usual: u32,
    /// The highest threshold that can be told from more: sketches of so many bits know no more.
    pub most: u32,
    /// In how much time, unless the operator says otherwise.
    pub within: Span,
}

/// What is counted of each behaviour.
pub const fn counted(behaviour: Behaviour) -> Counted {
    let (key, usual, most, within) = match behaviour {
        Behaviour::PasswordGuessing => ("attempts", 20, sender::MAX_GUESSES, 60),
        Behaviour::Enumeration => ("users", 100, 1_500, 300),
        Behaviour::PortSweep => ("ports", 5, 200, 60),
        Behaviour::AddressSweep => ("addresses", 8, 400, 60),
        Behaviour::Flood => ("requests", 1_000, 10_000_000, 10),
    };
    Counted {
        key,
        usual,
        most,
        within: Span::from_secs(within),
    }
}

/// When a source is blocked for what it sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalate {
    /// After so many packets; 0 for never.
    pub after: Set<u32>,
    /// Within so much time.
    pub within: Set<Span>,
    /// For so long.
    pub length: Set<Span>,
    /// Which packets count: [`Escalation::BY_SIGNATURE`] and [`Escalation::BY_BEHAVIOUR`].
    pub by: Set<u32>,
    /// What is done with such a source's packets: counted or dropped.
    pub action: Set<Action>,
}

/// Where `run` answers HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// The address; nowhere without one.
    pub listen: Set<Option<Listen>>,
    /// The file with the token that is asked for.
    pub token_file: Set<Option<PathBuf>>,
}

/// The names of what counts for an escalation.
pub const BY: [(&str, u32); 2] = [
    ("signature", Escalation::BY_SIGNATURE),
    ("behaviour", Escalation::BY_BEHAVIOUR),
];

/// The name of the limit that holds for requests and responses together.
pub const ALL_SIP: &str = "sip";

/// The names of the limits, in the order of [`Rules::limits`].
pub fn limit_names() -> [&'static str; LIMITS] {
    let mut names = [ALL_SIP; LIMITS];
    for (name, class) in names[1..].iter_mut().zip(MessageClass::ALL) {
        *name = class.name();
    }
    names
}

/// What the filter is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// What it is attached to.
    pub interfaces: Set<Vec<String>>,
    /// How it is attached.
    pub mode: Set<Mode>,
    /// Who may read what it counts.
    pub group: Set<Readers>,
    /// What is inspected.
    pub ports: Set<Ports>,
    /// What is dropped.
    pub drop: Set<DropList>,
    /// Files of signatures, before the built-in ones.
    pub signatures: Set<Vec<PathBuf>>,
    /// Databases that know where sources are.
    pub geoip: Set<Vec<PathBuf>>,
    /// The file that `run` writes events to.
    pub events: Set<Option<PathBuf>>,
    /// For how many there is room.
    pub sizes: Sizes,
    /// Who is always allowed, and who is blocked.
    pub lists: Lists,
    /// In the order of [`limit_names`].
    pub limits: [Option<Rate>; LIMITS],
    /// In the order of [`Behaviour::ALL`].
    pub behaviours: [Watch; Behaviour::COUNT],
    /// When a source is blocked for what it sends.
    pub escalate: Escalate,
    /// What is kept of what was counted.
    pub history: History,
    /// Where `run` answers HTTP.
    pub http: Http,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            file: None,
            interfaces: Set::default(Vec::new()),
            mode: Set::default(Mode::Auto),
            group: Set::default(Readers::default()),
            ports: Set::default(Ports::usual()),
            drop: Set::default(DropList::default()),
            signatures: Set::default(Vec::new()),
            geoip: Set::default(Vec::new()),
            events: Set::default(None),
            sizes: Sizes {
                sources: Set::default(abi::DEFAULT_SOURCES),
                lists: Set::default(abi::DEFAULT_ENTRIES),
                bans: Set::default(abi::DEFAULT_BANS),
            },
            lists: Lists {
                allow: Set::default(Vec::new()),
                block: Set::default(Vec::new()),
                allow_files: Set::default(Vec::new()),
                block_files: Set::default(Vec::new()),
                action: Set::default(Action::Drop),
            },
            limits: [const { None }; LIMITS],
            behaviours: Behaviour::ALL.map(|behaviour| {
                let Counted { usual, within, .. } = counted(behaviour);
                Watch {
                    action: Set::default(Action::Off),
                    count: Set::default(usual),
                    within: Set::default(within),
                }
            }),
            escalate: Escalate {
                after: Set::default(0),
                within: Set::default(Span::from_secs(600)),
                length: Set::default(Span::from_secs(3_600)),
                by: Set::default(Escalation::BY_SIGNATURE | Escalation::BY_BEHAVIOUR),
                action: Set::default(Action::Drop),
            },
            history: History::default(),
            http: Http::default(),
        }
    }
}

impl Configuration {
    /// What of it the kernel takes, with this seed for its hashes.
    pub fn rules(&self, seed: u64) -> Rules {
        let mut rules = Rules {
            block_drops: u32::from(self.lists.action.value == Action::Drop),
            seed,
            ..Rules::NONE
        };
        for (limit, rate) in rules.limits.iter_mut().zip(&self.limits) {
            *limit = rate.as_ref().map_or(Limit::NONE, Rate::limit);
        }
        for (behaviour, watch) in Behaviour::ALL.into_iter().zip(&self.behaviours) {
            if watch.action.value != Action::Off {
                rules.watched |= behaviour.bit();
            }
            if watch.action.value == Action::Drop {
                rules.dropped |= behaviour.bit();
            }
            let count = watch.count.value;
            rules.thresholds[behaviour as usize] = Threshold {
                window: watch.within.value.ticks(),
                count: match behaviour {
                    Behaviour::PasswordGuessing | Behaviour::Flood => count,
                    Behaviour::Enumeration => bits_of(count, USER_BITS),
                    Behaviour::PortSweep => bits_of(count, PORT_BITS),
                    Behaviour::AddressSweep => bits_of(count, HOST_BITS),
                },
            };
        }
        let escalate = &self.escalate;
        if escalate.after.value != 0 {
            rules.escalation = Escalation {
                after: escalate.after.value,
                within: escalate.within.value.ticks(),
                length: escalate.length.value.ns(),
                by: escalate.by.value,
                drops: u32::from(escalate.action.value == Action::Drop),
            };
        }
        rules.with_uses()
    }

    /// Each value under its key, in the order of the file.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Rows {
            file: self.file.as_ref().map(|file| file.display().to_string()),
            rows: Vec::new(),
        };
        rows.add("", "interfaces", &self.interfaces, |names| texts(names));
        rows.add("", "mode", &self.mode, text);
        // Nothing that can be written stands for nobody.
        if self.group.value.group().is_some() {
            rows.add("", "group", &self.group, text);
        }
        rows.add("", "ports", &self.ports, text);
        rows.add("", "drop", &self.drop, |drop| texts(drop.names()));
        rows.add("", "signatures", &self.signatures, |files| paths(files));
        rows.add("", "geoip", &self.geoip, |files| paths(files));
        if let Some(file) = &self.events.value {
            rows.add("", "events", &self.events, |_| text(&file.display()));
        }
        let Sizes {
            sources,
            lists,
            bans,
        } = &self.sizes;
        for (key, size) in [("sources", sources), ("lists", lists), ("bans", bans)] {
            rows.add("sizes", key, size, number);
        }
        let lists = &self.lists;
        rows.add("lists", "action", &lists.action, action);
        for (key, list) in [("allow", &lists.allow), ("block", &lists.block)] {
            rows.add("lists", key, list, |list| {
                texts(list.iter().map(|entry| entry.prefix))
            });
        }
        for (key, files) in [
            ("allow_files", &lists.allow_files),
            ("block_files", &lists.block_files),
        ] {
            rows.add("lists", key, files, |files| paths(files));
        }
        for (name, rate) in limit_names().into_iter().zip(&self.limits) {
            let Some(rate) = rate else { continue };
            let table = format!("limit.{name}");
            rows.add(&table, "rate", &rate.rate, number);
            rows.add(&table, "per", &rate.per, text);
            rows.add(&table, "burst", &rate.burst, number);
            rows.add(&table, "action", &rate.action, action);
        }
        for (behaviour, watch) in Behaviour::ALL.into_iter().zip(&self.behaviours) {
            let table = format!("behaviour.{}", behaviour.name());
            rows.add(&table, "action", &watch.action, action);
            rows.add(&table, counted(behaviour).key, &watch.count, number);
            rows.add(&table, "within", &watch.within, text);
        }
        let escalate = &self.escalate;
        rows.add("escalate", "after", &escalate.after, number);
        rows.add("escalate", "within", &escalate.within, text);
        rows.add("escalate", "for", &escalate.length, text);
        rows.add("escalate", "by", &escalate.by, |by| {
            let counts = BY.into_iter().filter(|(_, bit)| by & bit != 0);
            texts(counts.map(|(name, _)| name))
        });
        rows.add("escalate", "action", &escalate.action, action);
        let history = &self.history;
        // Nothing that can be written stands for no file.
        if let Some(file) = &history.file.value {
            rows.add("history", "file", &history.file, |_| text(&file.display()));
        }
        rows.add("history", "max_size", &history.max_size, text);
        rows.add("history", "sources", &history.sources, number);
        for (key, keep) in history.keep() {
            rows.add("history.keep", key, keep, text);
        }
        let Http { listen, token_file } = &self.http;
        if let Some(address) = listen.value {
            rows.add("http", "listen", listen, |_| text(&address));
        }
        if let Some(file) = &token_file.value {
            rows.add("http", "token_file", token_file, |_| text(&file.display()));
        }
        rows.rows
    }
}

/// A value as the operator is shown it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The table that its key stands in; empty for none.
    pub table: String,
    /// Its key there.
    pub key: String,
    /// Where it came from: `default`, a file and its line, or `command line`.
    pub origin: String,
    /// The value.
    pub value: Value,
}

struct Rows {
    file: Option<String>,
    rows: Vec<Row>,
}

impl Rows {
    fn add<T>(&mut self, table: &str, key: &str, set: &Set<T>, value: impl Fn(&T) -> Value) {
        let origin = match (set.origin, &self.file) {
            (Origin::Default, _) => "default".to_owned(),
            (Origin::CommandLine, _) => "command line".to_owned(),
            (Origin::Line(line), Some(file)) => format!("{file}:{line}"),
            (Origin::Line(line), None) => format!("line {line}"),
        };
        self.rows.push(Row {
            table: table.to_owned(),
            key: key.to_owned(),
            origin,
            value: value(&set.value),
        });
    }
}

fn text(value: &impl ToString) -> Value {
    Value::String(value.to_string())
}

fn texts<T: ToString>(values: impl IntoIterator<Item = T>) -> Value {
    Value::Array(values.into_iter().map(|value| text(&value)).collect())
}

fn paths(paths: &[PathBuf]) -> Value {
    texts(paths.iter().map(|path| path.display()))
}

fn number(number: &u32) -> Value {
    Value::Integer(i64::from(*number))
}

fn action(action: &Action) -> Value {
    Value::String(action.name().to_owned())
}

/// The rows as a configuration file, each value with a comment that says where it came from.
pub fn as_toml(rows: &[Row]) -> String {
    let line = |row: &Row| format!("{} = {}", row.key, row.value);
    let mut text = String::new();
    for rows in rows.chunk_by(|one, other| one.table == other.table) {
        if !rows[0].table.is_empty() {
            text += &format!("\n[{}]\n", rows[0].table);
        }
        let lines: Vec<_> = rows.iter().map(line).collect();
        // Long lists do not move the comments of all others.
        let width = lines.iter().map(|line| line.chars().count());
        let width = width.filter(|width| *width <= 40).max().unwrap_or(0);
        for (line, row) in lines.iter().zip(rows) {
            text += &format!("{line:width$}  # {}\n", row.origin);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_unless_it_is_wanted() {
        let rules = Configuration::default().rules(7);
        assert_eq!([rules.uses, rules.watched, rules.dropped], [0; 3]);
        assert_eq!(rules.limits, Rules::NONE.limits);
        assert_eq!(rules.escalation, Escalation::OFF);
        assert_eq!(rules.block_drops, 1);
    }

    #[test]
    fn every_limit_has_the_name_of_its_class() {
        let names = limit_names();
        assert_eq!(names[0], "sip");
        assert_eq!(names[1 + MessageClass::Register as usize], "REGISTER");
        assert_eq!(names[1 + MessageClass::Other as usize], "OTHER");
    }

    #[test]
    fn the_most_of_each_threshold_can_be_reached() {
        for (behaviour, bits) in [
            (Behaviour::Enumeration, USER_BITS),
            (Behaviour::PortSweep, PORT_BITS),
            (Behaviour::AddressSweep, HOST_BITS),
        ] {
            let most = bits_of(counted(behaviour).most, bits);
            assert!((most as usize) < bits - bits / 32, "{behaviour:?}: {most}");
        }
    }

    #[test]
    fn the_usual_ports_are_the_default() {
        assert_eq!(Ports::usual().to_string(), crate::config::ports::DEFAULT);
    }

    #[test]
    fn no_seed_is_shown() {
        assert!(!as_toml(&Configuration::default().rows()).contains("seed"));
    }
}
