//! What `allow` and `block` have in common: everything but what their options are.

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
};

use anyhow::{Context, Result};
use serde::{Serialize, Serializer};
use sip_filter_common::{
    abi::Address,
    lists::{self as abi, Ban},
    rules::Behaviour,
};

use super::{Global, complain};
use crate::{
    config::{prefix::Prefix, span::Span},
    kernel::{self, Filter, Held, Instance, RunningLists},
    lists::{self, Added, Entry, InForce, List, NewEntry, State, Writing, now_ms, text},
    number::thousands,
    output::{
        self, Format, Terminal, csv, json,
        table::{self, Layout},
    },
    stats::{Cell, Clock, Column, Row, WallTime},
};

/// Who is added or taken out.
#[derive(Debug, clap::Args)]
pub(super) struct Addresses {
    /// An address or a prefix
    #[arg(required = true, value_name = "ADDR[/LEN]")]
    addresses: Vec<Prefix>,
}

/// What is imported.
#[derive(Debug, clap::Args)]
pub(super) struct FileOptions {
    /// The file; - is standard input
    file: PathBuf,
    /// Why, for entries without a comment
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Take out what other commands have added
    #[arg(long)]
    replace: bool,
}

pub(super) fn add(
    global: &Global,
    list: List,
    addresses: &Addresses,
    ttl: Option<Span>,
    reason: Option<&str>,
) -> Result<()> {
    let entry = |prefix: &Prefix| entry(*prefix, ttl, reason.unwrap_or_default());
    let entries: Vec<_> = addresses.addresses.iter().map(entry).collect();
    change(global, list, |state| {
        let added = state.add(list, &entries)?;
        Ok(said(list, added))
    })
}

/// Adds one without printing anything, and gives what there is to say.
pub(super) fn add_one(
    global: &Global,
    list: List,
    prefix: Prefix,
    ttl: Option<Span>,
    reason: &str,
) -> Result<String> {
    let entries = [entry(prefix, ttl, reason)];
    let instance = global.instance()?;
    let (said, InForce { held, .. }) = put_in_force(global, &instance, |state| {
        Ok(said(list, state.add(list, &entries)?))
    })?;
    let end = ttl.map_or("for ever".to_owned(), |ttl| format!("for {ttl}"));
    Ok(match held {
        Some(_) => format!("{said}, {end}"),
        None => format!("{said}, {end}; the filter is not attached"),
    })
}

pub(super) fn remove(global: &Global, list: List, addresses: &Addresses) -> Result<()> {
    let mut prefixes = addresses.addresses.clone();
    if list == List::Block {
        let instance = global.instance()?;
        let state = State::open(&global.state, instance.name())?;
        let lifted = lift_bans(&instance, &prefixes)?;
        for prefix in &lifted {
            output::print(|out| writeln!(out, "{prefix}: not blocked any more for what it sent"))?;
        }
        // The rest must be in the list; these may be there too.
        let mut stays = Vec::new();
        for prefix in prefixes {
            let is_listed = || state.as_ref().map(|state| state.holds(list, &prefix));
            if !lifted.contains(&prefix) || is_listed().transpose()?.unwrap_or(false) {
                stays.push(prefix);
            }
        }
        prefixes = stays;
        if prefixes.is_empty() {
            return Ok(());
        }
    }
    let prefixes = &prefixes;
    change(global, list, |state| {
        let removed = state.remove(list, prefixes)?;
        Ok(format!(
            "{} list: {} taken out",
            list.name(),
            thousands(removed)
        ))
    })
}

pub(super) fn import(
    global: &Global,
    list: List,
    options: &FileOptions,
    ttl: Option<Span>,
) -> Result<()> {
    let FileOptions {
        file,
        reason,
        replace,
    } = options;
    let name = file.display().to_string();
    let (name, bytes) = if name == "-" {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        ("standard input".to_owned(), read.map(|_| bytes))
    } else {
        (name, fs::read(file))
    };
    let bytes = bytes.with_context(|| format!("cannot read {name}"))?;
    let mut entries = text::read(&name, &bytes, list).context("nothing was changed")?;
    let now = now_ms();
    // An exported list may hold what has expired since.
    entries.retain(|entry| entry.until.is_none_or(|until| until > now));
    let until = ttl.map(ends);
    for entry in &mut entries {
        entry.until = entry.until.or(until);
        entry.reason = match reason {
            Some(reason) if entry.reason.is_empty() => on_one_line(reason),
            _ => on_one_line(&entry.reason),
        };
    }
    change(global, list, |state| {
        let gone = match replace {
            true => state.retain(list, &entries)?,
            false => 0,
        };
        let said = said(list, state.add(list, &entries)?);
        Ok(match gone {
            0 => said,
            gone => format!("{said}, {} taken out", thousands(gone)),
        })
    })
}

pub(super) fn export(global: &Global, list: List) -> Result<()> {
    let instance = global.instance()?;
    let entries = entries(global, &instance, list)?;
    output::print(|out| text::write(out, &entries, now_ms()))
}

pub(super) fn list(global: &Global, list: List, format: Format) -> Result<()> {
    let instance = global.instance()?;
    let entries = entries(global, &instance, list)?;
    match list {
        List::Allow => print(
            &entries.into_iter().map(Allowed::new).collect::<Vec<_>>(),
            format,
        ),
        List::Block => {
            let running = RunningLists::open_to_read(&instance)
                .and_then(|maps| maps.map(|maps| maps.dropped(list)).transpose());
            let dropped = running.unwrap_or_else(|error| {
                complain(&format!("what they dropped is not listed: {error:#}"));
                None
            });
            let dropped = |entry: &Entry| {
                let dropped = dropped.as_ref()?;
                Some(dropped.get(&entry.prefix.to_abi()).copied().unwrap_or(0))
            };
            let rows = entries.into_iter().map(|entry| {
                let dropped = dropped(&entry);
                Blocked::new(entry, dropped)
            });
            let mut rows: Vec<_> = rows.collect();
            rows.extend(escalated(&instance)?);
            print(&rows, format)
        }
    }
}

/// Ends that those of the addresses are blocked for what they sent which are; gives these.
fn lift_bans(instance: &Instance, prefixes: &[Prefix]) -> Result<Vec<Prefix>> {
    // Where no filter is attached, nobody is.
    let Ok(filter) = Filter::open(instance) else {
        return Ok(Vec::new());
    };
    let mut lifted = Vec::new();
    for prefix in prefixes.iter().filter(|prefix| prefix.is_host()) {
        if filter.lift_ban(&Address::from_octets(prefix.to_abi().octets))? {
            lifted.push(*prefix);
        }
    }
    Ok(lifted)
}

/// The sources that are blocked for what they sent, as they are listed.
fn escalated(instance: &Instance) -> Result<Vec<Blocked>> {
    let Ok(filter) = Filter::open(instance) else {
        return Ok(Vec::new());
    };
    if filter.settings()?.rules.escalation.after == 0 {
        return Ok(Vec::new());
    }
    let mut bans = filter.bans()?;
    let (now, clock) = (kernel::monotonic_ns(), Clock::now());
    bans.retain(|(_, ban)| now < ban.until);
    bans.sort_by_key(|(source, _)| source.octets());
    let row = |(source, ban): (Address, Ban)| {
        let behaviour = (ban.cause as usize).checked_sub(1);
        let behaviour = behaviour.and_then(|number| Behaviour::ALL.get(number));
        let ends = (now_ms() * 1_000_000).saturating_add(ban.until - now);
        Blocked {
            address: Prefix::from(abi::Prefix {
                length: 128,
                octets: source.octets(),
            }),
            expires: Some(WallTime::from_ns(ends)),
            expired: false,
            dropped: Some(ban.dropped),
            reason: behaviour
                .map_or("signature", |behaviour| behaviour.name())
                .to_owned(),
            origin: "escalated",
            added: clock.at(ban.since),
        }
    };
    Ok(bans.into_iter().map(row).collect())
}

/// Changes the lists and puts them in force; gives what `work` says of it, too.
fn put_in_force(
    global: &Global,
    instance: &Instance,
    work: impl FnOnce(&mut Writing) -> Result<String>,
) -> Result<(String, InForce)> {
    let mut state = Writing::open(&global.state, instance.name())?;
    let said = work(&mut state)?;
    Ok((said, lists::in_force(state, &global.state, instance)?))
}

/// Changes the lists, puts them in force, and says so.
fn change(
    global: &Global,
    list: List,
    work: impl FnOnce(&mut Writing) -> Result<String>,
) -> Result<()> {
    let instance = global.instance()?;
    let (said, InForce { size, held }) = put_in_force(global, &instance, work)?;
    let prefixes = match list {
        List::Allow => size.allowed,
        List::Block => size.blocked,
    };
    output::print(|out| {
        writeln!(out, "{said}")?;
        if let Some(Held { bytes }) = held {
            writeln!(
                out,
                "{}: in force; {} in both lists, {} in this one; {} kB of the kernel's memory",
                instance.name(),
                counted(size.addresses, "address", "addresses"),
                counted(prefixes, "prefix", "prefixes"),
                thousands(bytes.div_ceil(1000))
            )?;
        }
        Ok(())
    })?;
    if held.is_none() {
        complain(&format!(
            "note: the filter {} is not attached; this takes effect when it is",
            instance.name()
        ));
    }
    Ok(())
}

fn entries(global: &Global, instance: &Instance, list: List) -> Result<Vec<Entry>> {
    match State::open(&global.state, instance.name())? {
        Some(state) => state.entries(list),
        None => Ok(Vec::new()),
    }
}

fn said(list: List, Added { new, known }: Added) -> String {
    let there = match known {
        0 => String::new(),
        1 => ", 1 was there already".to_owned(),
        known => format!(", {} were there already", thousands(known)),
    };
    format!("{} list: {} added{there}", list.name(), thousands(new))
}

fn counted(count: u64, one: &str, several: &str) -> String {
    let noun = if count == 1 { one } else { several };
    format!("{} {noun}", thousands(count))
}

fn entry(prefix: Prefix, ttl: Option<Span>, reason: &str) -> NewEntry {
    NewEntry {
        prefix,
        until: ttl.map(ends),
        reason: on_one_line(reason),
    }
}

/// When a time that begins now ends.
fn ends(span: Span) -> u64 {
    now_ms().saturating_add(span.ns() / 1_000_000)
}

/// A reason that stands in a line of a file.
fn on_one_line(reason: &str) -> String {
    reason.replace(char::is_control, " ").trim().to_owned()
}

fn print<R: Row + Serialize>(rows: &[R], format: Format) -> Result<()> {
    match format {
        Format::Json => output::print(|out| json::document(out, &rows)),
        Format::Csv => output::print(|out| csv::rows(out, rows)),
        Format::Table => {
            let layout = Layout {
                terminal: Terminal::stdout(),
                now: WallTime::from_ns(now_ms() * 1_000_000),
                sorted_by: "address",
            };
            let table = table::table(rows, layout);
            output::print(|out| write!(out, "{table}"))
        }
    }
}

/// An entry of the allow list, as it is listed.
#[derive(Debug, Serialize)]
struct Allowed {
    #[serde(serialize_with = "as_text")]
    address: Prefix,
    reason: String,
    origin: &'static str,
    added: WallTime,
}

impl Allowed {
    fn new(entry: Entry) -> Self {
        Self {
            address: entry.prefix,
            reason: entry.reason,
            origin: entry.origin.name(),
            added: WallTime::from_ns(entry.added.saturating_mul(1_000_000)),
        }
    }
}

/// An entry of the block list, as it is listed.
#[derive(Debug, Serialize)]
struct Blocked {
    #[serde(serialize_with = "as_text")]
    address: Prefix,
    /// `null` where it does not.
    expires: Option<WallTime>,
    expired: bool,
    /// `null` where the filter is not attached.
    dropped: Option<u64>,
    reason: String,
    origin: &'static str,
    added: WallTime,
}

impl Blocked {
    fn new(entry: Entry, dropped: Option<u64>) -> Self {
        let expires = entry.until;
        Self {
            address: entry.prefix,
            expires: expires.map(|until| WallTime::from_ns(until.saturating_mul(1_000_000))),
            expired: expires.is_some_and(|until| until <= now_ms()),
            dropped,
            reason: entry.reason,
            origin: entry.origin.name(),
            added: WallTime::from_ns(entry.added.saturating_mul(1_000_000)),
        }
    }
}

fn as_text<S: Serializer>(prefix: &Prefix, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(prefix)
}

/// A column of texts.
macro_rules! text {
    ($name:ident, $rank:literal) => {
        Column {
            name: stringify!($name),
            rank: $rank,
            cell: |row| row.$name.to_string().into(),
        }
    };
}

impl Row for Allowed {
    const COLUMNS: &'static [Column<Self>] = &[
        text!(address, 0),
        text!(reason, 0),
        text!(origin, 2),
        text!(added, 1),
    ];
}

impl Row for Blocked {
    const COLUMNS: &'static [Column<Self>] = &[
        text!(address, 0),
        Column {
            name: "expires",
            rank: 0,
            cell: |row| match (row.expires, row.expired) {
                (None, _) => Cell::NONE,
                (Some(expires), true) => format!("{expires} (expired)").into(),
                (Some(expires), false) => expires.to_string().into(),
            },
        },
        Column {
            name: "dropped",
            rank: 0,
            cell: |row| row.dropped.map_or(Cell::NONE, Cell::Number),
        },
        text!(reason, 0),
        text!(origin, 3),
        text!(added, 2),
    ];
}
