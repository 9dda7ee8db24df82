//! The numbers of a report, as JSON has them; figures and tables are made of nothing else.
//!
//! Accesses are packets to one port, 5060 unless the operator names another, as the bulletin's figures 1
//! and 3 count them. A method is not counted by port, nor a tool's packets by method, so figure 2 is of
//! all inspected ports. Packets of tools are those in which a scanner, cracker, fuzzer or dialer was
//! recognised.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use anyhow::Result;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::span::{Span, written};
use crate::{
    geoip::{Databases, Location},
    history::{
        By, Counts, OTHER,
        period::{Period, Unit},
        read::{Kept, Reader},
    },
};

/// How many ports the bulletin's table names.
const PORTS: usize = 10;

/// What a report is to say.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The port that accesses are counted to.
    pub port: u16,
    /// How many local addresses there are, by which accesses are divided.
    pub addresses: u32,
    /// How many sources and tools are named.
    pub top: usize,
}

/// A report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The unit of the figures.
    pub unit: &'static str,
    /// The first period.
    pub first: String,
    /// The last one.
    pub last: String,
    /// The port that accesses are counted to.
    pub port: u16,
    /// How many local addresses there are.
    pub addresses: u32,
    /// All inspected packets.
    pub total: Counts,
    /// Each period, those without packets too.
    pub periods: Vec<Numbers>,
    /// Requests by method, most first.
    pub methods: Vec<Named>,
    /// By tool, most packets first.
    pub tools: Vec<Named>,
    /// By kind of tool, most packets first.
    pub kinds: Vec<Named>,
    /// Packets of tools by destination port, most first: ten ports, and all others.
    pub tool_ports: Vec<PortShare>,
    /// By the rule that met them, most packets first.
    pub reasons: Vec<Named>,
    /// By the behaviour that they were a part of, most packets first.
    pub behaviours: Vec<Named>,
    /// By source, most packets first.
    pub sources: Vec<Source>,
    /// The same span a year before, where all of it was kept.
    pub year_before: Option<YearBefore>,
    /// What the reader should know.
    pub notes: Vec<String>,
}

/// What came in one period.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Numbers {
    /// The period; hours are UTC's.
    pub start: String,
    /// As people of the zone read it.
    #[serde(skip)]
    pub label: String,
    /// All inspected packets.
    pub packets: u64,
    /// Packets to the port.
    pub accesses: u64,
    /// These for each local address.
    pub accesses_per_address: f64,
    /// Of these, packets of tools.
    pub with_tool: u64,
    /// Of these, all others.
    pub without_tool: u64,
    /// Packets to the port in the same period a year before, where that is known.
    pub accesses_year_before: Option<u64>,
    /// Requests to all inspected ports, by method.
    pub methods: BTreeMap<String, u64>,
    /// Packets of tools, by destination port; the ports that the whole report names, and `other`.
    pub tool_ports: BTreeMap<String, u64>,
}

/// What was counted under a name.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    /// The name.
    pub name: String,
    /// A tool's kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// How much.
    #[serde(flatten)]
    pub counts: Counts,
}

/// A port's part of all packets of tools.
#[derive(Clone, Debug, Serialize)]
pub struct PortShare {
    /// The port, or `other`.
    pub port: String,
    /// Packets of tools.
    pub packets: u64,
    /// Of a hundred.
    pub share: f64,
}

/// What a source sent.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// Its address.
    pub source: IpAddr,
    /// Where it is, as far as that is known.
    #[serde(flatten)]
    pub location: Location,
    /// How much.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Two spans a year apart.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct YearBefore {
    /// All inspected packets.
    pub total: Counts,
    /// Packets to the port.
    pub accesses: u64,
    /// Of these, packets of tools.
    pub with_tool: u64,
}

impl Report {
    /// Has the sources say where they are, as far as the databases know today.
    pub fn locate(&mut self, databases: &Databases) {
        for source in &mut self.sources {
            source.location = databases.locate(source.source);
        }
    }

    /// Reads what the report says.
    ///
    /// # Errors
    ///
    /// When the history cannot be read.
    pub fn read(reader: &Reader, span: &Span, wanted: Wanted, zone: &TimeZone) -> Result<Self> {
        let kept = |by| reader.kept(span.unit, span.numbers.clone(), by);
        let totals = kept(By::Total)?;
        let ports = kept(By::Port)?;
        let methods = kept(By::Method)?;
        let tool_ports = shares(&ports);
        let port = wanted.port.to_string();

        let mut periods: Vec<_> = (span.numbers.clone())
            .map(|number| Period {
                unit: span.unit,
                number,
            })
            .map(|period| Numbers {
                start: period.to_string(),
                label: written(period, zone),
                ..Numbers::default()
            })
            .collect();
        let at = |kept: &Kept| (kept.period.number - span.numbers.start) as usize;
        for kept in &totals {
            periods[at(kept)].packets = kept.counts.packets;
        }
        for kept in &ports {
            let numbers = &mut periods[at(kept)];
            let Counts {
                packets, scanner, ..
            } = kept.counts;
            if kept.key.name == port {
                numbers.accesses = packets;
                numbers.accesses_per_address = packets as f64 / f64::from(wanted.addresses);
                numbers.with_tool = scanner;
                numbers.without_tool = packets.saturating_sub(scanner);
            }
            if scanner > 0 {
                let named = tool_ports.iter().any(|share| share.port == kept.key.name);
                let name = if named { &kept.key.name } else { OTHER };
                *numbers.tool_ports.entry(name.to_owned()).or_default() += scanner;
            }
        }
        for kept in &methods {
            let methods = &mut periods[at(kept)].methods;
            *methods.entry(kept.key.name.clone()).or_default() += kept.counts.packets;
        }

        let year_before = span.year_before();
        if let (Some(before), Unit::Month) = (&year_before, span.unit) {
            let ports = reader.kept(span.unit, before.clone(), By::Port)?;
            for kept in ports.iter().filter(|kept| kept.key.name == port) {
                let place = (kept.period.number - before.start) as usize;
                if let Some(numbers) = periods.get_mut(place) {
                    numbers.accesses_year_before = Some(kept.counts.packets);
                }
            }
        }
        let kept_from = reader.span(span.unit)?.map(|(first, _)| first.number);
        let year_before = match year_before {
            // A part of a year is no year to compare with.
            Some(before) if kept_from.is_some_and(|first| first <= before.start) => {
                let totals = reader.kept(span.unit, before.clone(), By::Total)?;
                let ports = reader.kept(span.unit, before, By::Port)?;
                compared(&totals, &ports, &port)
            }
            _ => None,
        };
        let mut tools = named(kept(By::Tool)?);
        let kinds = kinds(&tools);
        tools.truncate(wanted.top);
        let mut sources: Vec<_> = (reader.sources(span.days.clone())?.into_iter())
            .map(|(source, counts)| Source {
                source,
                location: Location::default(),
                counts,
            })
            .collect();
        sources.sort_unstable_by_key(|it| (Reverse(it.counts.packets), it.source));
        sources.truncate(wanted.top);
        let (first, last) = span.ends();
        Ok(Self {
            unit: span.unit.name(),
            first: first.to_string(),
            last: last.to_string(),
            port: wanted.port,
            addresses: wanted.addresses,
            total: sum(totals.iter()),
            periods,
            methods: named(methods),
            tools,
            kinds,
            tool_ports,
            reasons: named(kept(By::Reason)?),
            behaviours: named(kept(By::Behaviour)?),
            sources,
            year_before,
            notes: notes(reader, span, zone)?,
        })
    }
}

fn sum<'a>(kept: impl Iterator<Item = &'a Kept>) -> Counts {
    kept.fold(Counts::default(), |mut sum, kept| {
        sum.add(&kept.counts);
        sum
    })
}

/// Over all periods, most packets first.
fn named(kept: Vec<Kept>) -> Vec<Named> {
    let mut sums: HashMap<(String, String), Counts> = HashMap::new();
    for kept in kept {
        let sum = sums.entry((kept.key.name, kept.key.kind)).or_default();
        sum.add(&kept.counts);
    }
    let mut named: Vec<_> = sums
        .into_iter()
        .map(|((name, kind), counts)| Named { name, kind, counts })
        .collect();
    named.sort_unstable_by(|one, other| {
        let most = other.counts.packets.cmp(&one.counts.packets);
        most.then_with(|| (&one.name, &one.kind).cmp(&(&other.name, &other.kind)))
    });
    named
}

/// Tools of one kind together, most packets first.
fn kinds(tools: &[Named]) -> Vec<Named> {
    let mut kinds: Vec<Named> = Vec::new();
    for Named { kind, counts, .. } in tools {
        match kinds.iter_mut().find(|it| it.name == *kind) {
            Some(known) => known.counts.add(counts),
            None => kinds.push(Named {
                name: kind.clone(),
                kind: String::new(),
                counts: *counts,
            }),
        }
    }
    kinds.sort_by_key(|it| Reverse(it.counts.packets));
    kinds
}

/// The ten ports that tools sent most to, and all others.
fn shares(ports: &[Kept]) -> Vec<PortShare> {
    let mut sums: HashMap<&str, u64> = HashMap::new();
    for kept in ports {
        *sums.entry(&kept.key.name).or_default() += kept.counts.scanner;
    }
    let all: u64 = sums.values().sum();
    let mut other = sums.remove(OTHER).unwrap_or_default();
    let mut sums: Vec<_> = sums
        .into_iter()
        .filter(|(_, packets)| *packets > 0)
        .collect();
    let number = |port: &str| port.parse::<u16>().unwrap_or(u16::MAX);
    sums.sort_unstable_by_key(|(port, packets)| (Reverse(*packets), number(port)));
    other += sums
        .iter()
        .skip(PORTS)
        .map(|(_, packets)| packets)
        .sum::<u64>();
    sums.truncate(PORTS);
    if other > 0 {
        sums.push((OTHER, other));
    }
    let share = |(port, packets): (&str, u64)| PortShare {
        port: port.to_owned(),
        packets,
        share: packets as f64 * 100.0 / all as f64,
    };
    sums.into_iter().map(share).collect()
}

fn compared(totals: &[Kept], ports: &[Kept], port: &str) -> Option<YearBefore> {
    let of_port = sum(ports.iter().filter(|kept| kept.key.name == port));
    (!totals.is_empty() || !ports.is_empty()).then(|| YearBefore {
        total: sum(totals.iter()),
        accesses: of_port.packets,
        with_tool: of_port.scanner,
    })
}

/// That not all of the span was kept in its unit, or is not over, if so.
fn notes(reader: &Reader, span: &Span, zone: &TimeZone) -> Result<Vec<String>> {
    let unit = span.unit.name();
    let (first, last) = span.ends();
    let mut notes = match reader.span(span.unit)? {
        None => vec![format!("no {unit} was kept yet")],
        Some((kept, _)) if kept > last => {
            let kept = written(kept, zone);
            vec![format!(
                "nothing is kept of this span; the first {unit} is {kept}"
            )]
        }
        Some((kept, _)) if kept > first => {
            let kept = written(kept, zone);
            vec![format!("the first {unit} that is kept is {kept}")]
        }
        Some(_) => Vec::new(),
    };
    if span.is_open {
        notes.push(format!(
            "the last {unit}, {}, is not over",
            written(last, zone)
        ));
    }
    Ok(notes)
}
