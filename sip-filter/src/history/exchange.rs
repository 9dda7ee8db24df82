//! A history as text: CSV with a header, or a JSON object a line, both with the same fields.
//!
//! Each packet stands once in such text: what is said of a minute is not said again of its hour. So
//! what is taken is added to the period that it names and to all larger ones.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, BufRead, Write},
    net::IpAddr,
};

use anyhow::{Context, Result, anyhow, bail};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{
    By, Counts, Key, OTHER,
    ledger::Octets,
    period::{Period, Unit},
    read::Reader,
    write::Writer,
};
use crate::{escape, output::json};

/// The longest name, in bytes.
const MAX_NAME: usize = 100;

/// What was counted of one thing in one period, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The period: 2026-11-26T22:15Z, 2026-11-26T22Z, 2026-11-26 or 2026-11.
    pub start: String,
    /// What packets are counted by.
    pub by: By,
    /// The name of what was counted; nothing for the total.
    #[serde(default)]
    pub name: String,
    /// The kind of a tool.
    #[serde(default)]
    pub kind: String,
    /// Packets.
    pub packets: u64,
    /// Their bytes, from the Ethernet header on.
    #[serde(default)]
    pub bytes: u64,
    /// Packets in which a tool of a dropping kind was recognised.
    #[serde(default)]
    pub scanner: u64,
    /// Packets that were dropped.
    #[serde(default)]
    pub dropped: u64,
    /// Packets that passed although a counting rule met them.
    #[serde(default)]
    pub would_drop: u64,
}

/// What was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Lines.
    pub lines: u64,
    /// The packets of those that say a total.
    pub packets: u64,
}

/// What a text adds to a history.
#[derive(Debug, Default)]
struct Addition {
    counts: BTreeMap<Period, BTreeMap<Key, Counts>>,
    sources: BTreeMap<i64, BTreeMap<Octets, Counts>>,
}

impl Addition {
    fn add(&mut self, line: Line, zone: &TimeZone) -> Result<()> {
        let period = Period::parse(&line.start)?;
        let counts = Counts {
            packets: line.packets,
            bytes: line.bytes,
            scanner: line.scanner,
            dropped: line.dropped,
            would_drop: line.would_drop,
        };
        for (name, count) in [
            ("scanner", line.scanner),
            ("dropped", line.dropped),
            ("would_drop", line.would_drop),
        ] {
            // Of a rule, would_drop counts what it was not asked for, too.
            if count > line.packets && line.by != By::Reason {
                bail!("`{name}` is more than `packets`");
            }
        }
        if [line.packets, line.bytes, line.would_drop]
            .iter()
            .any(|count| *count > i64::MAX as u64)
        {
            bail!("a count is more than can be kept");
        }
        let name = line.name;
        if name.len() > MAX_NAME || line.kind.len() > MAX_NAME {
            bail!("a name is longer than {MAX_NAME} bytes");
        }
        let periods = period.with_larger(zone);
        if line.by == By::Source {
            let source: IpAddr = name
                .parse()
                .map_err(|_| anyhow!("`{name}` is no address"))?;
            let octets = match source {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            let day = periods.iter().find(|period| period.unit == Unit::Day);
            let Some(day) = day else {
                bail!("sources are kept by day, and `{period}` is none");
            };
            let day = self.sources.entry(day.number).or_default();
            day.entry(octets).or_default().add(&counts);
            return Ok(());
        }
        match line.by {
            By::Total if !name.is_empty() => bail!("a total has no name, and not `{name}`"),
            By::Total => {}
            _ if name.is_empty() => bail!("a {} has a name", line.by),
            By::Port if name != OTHER && name.parse::<u16>().is_err() => {
                bail!("`{name}` is no port; write its number, or `{OTHER}`");
            }
            _ => {}
        }
        let key = Key {
            by: line.by,
            name,
            kind: line.kind,
        };
        for period in periods {
            let counted = self.counts.entry(period).or_default();
            counted.entry(key.clone()).or_default().add(&counts);
        }
        Ok(())
    }
}

/// Adds what a text says to a history, all of it or nothing.
///
/// # Errors
///
/// When a line cannot be understood, which is named, or the file cannot be written.
pub fn import(
    text: impl BufRead,
    writer: &mut Writer,
    zone: &TimeZone,
    named: usize,
) -> Result<Taken> {
    let mut addition = Addition::default();
    let mut taken = Taken {
        lines: 0,
        packets: 0,
    };
    read(text, |line| {
        taken.lines += 1;
        if line.by == By::Total {
            taken.packets = taken.packets.saturating_add(line.packets);
        }
        addition.add(line, zone)
    })?;
    let Addition { counts, sources } = addition;
    let counts: Vec<_> = counts
        .into_iter()
        .map(|(period, counted)| (period, counted.into_iter().collect()))
        .collect();
    let sources: Vec<_> = sources
        .into_iter()
        .map(|(day, sources)| (day, sources.into_iter().collect()))
        .collect();
    writer.add(&counts, &sources, named)?;
    Ok(taken)
}

/// Reads the lines of a text, which begins with `{` where it is JSON.
fn read(mut text: impl BufRead, mut each: impl FnMut(Line) -> Result<()>) -> Result<()> {
    let first = text.fill_buf().context("cannot read it")?;
    if first.first() == Some(&b'{') {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.context("cannot read it")?;
            if line.trim().is_empty() {
                continue;
            }
            let line = serde_json::from_str(&line).map_err(anyhow::Error::from);
            line.and_then(&mut each)
                .with_context(|| format!("line {number}"))?;
        }
        return Ok(());
    }
    let mut csv = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text);
    for line in csv.deserialize::<Line>() {
        // What is wrong says its own line.
        let mut line = line.context("cannot read it")?;
        for name in [&mut line.name, &mut line.kind] {
            *name = escape::from_cell(name);
        }
        let start = line.start.clone();
        each(line).with_context(|| format!("the line of {start}"))?;
    }
    Ok(())
}

/// How a history is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Written {
    /// Comma-separated values with a header line.
    Csv,
    /// A JSON object a line.
    Json,
}

/// Writes what was kept of one unit; sources with days.
///
/// # Errors
///
/// When the history cannot be read.
pub fn lines(reader: &Reader, unit: Unit) -> Result<Vec<Line>> {
    let all = i64::MIN..i64::MAX;
    let mut lines = Vec::new();
    let line = |period: Period, key: Key, counts: Counts| Line {
        start: period.to_string(),
        by: key.by,
        name: key.name,
        kind: key.kind,
        packets: counts.packets,
        bytes: counts.bytes,
        scanner: counts.scanner,
        dropped: counts.dropped,
        would_drop: counts.would_drop,
    };
    for by in By::ALL.into_iter().filter(|by| *by != By::Source) {
        let kept = reader.kept(unit, all.clone(), by)?;
        lines.extend(
            kept.into_iter()
                .map(|kept| line(kept.period, kept.key, kept.counts)),
        );
    }
    if unit == Unit::Day {
        for (number, octets, counts) in reader.sources_by_day(all)? {
            let address = std::net::Ipv6Addr::from(octets).to_canonical();
            let period = Period { unit, number };
            let key = Key::new(By::Source, address.to_string());
            lines.push(line(period, key, counts));
        }
    }
    Ok(lines)
}

/// Writes lines as text.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn write(out: &mut dyn Write, lines: &[Line], written: Written) -> io::Result<()> {
    match written {
        Written::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            for line in lines {
                let mut line = line.clone();
                for name in [&mut line.name, &mut line.kind] {
                    if let Cow::Owned(written) = escape::cell(name) {
                        *name = written;
                    }
                }
                csv.serialize(line)?;
            }
            csv.flush()
        }
        Written::Json => {
            for line in lines {
                json::document(out, line)?;
            }
            Ok(())
        }
    }
}
