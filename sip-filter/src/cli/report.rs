//! `report`: what came over months, in a terminal, as a page, or as numbers.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use jiff::{Timestamp, tz::TimeZone};

use super::{Global, Usage, geoip::GeoipOptions, history::Which};
use crate::{
    config::keep::Keep,
    escape,
    history::{
        period::{Period, Unit},
        read::Reader,
    },
    output::{self, Format, Terminal, json},
    report::{
        html,
        numbers::{Report, Wanted},
        span::{Asked, Span},
        terminal,
    },
};

/// Show what came over months
///
/// Draws, from the history that `run` keeps, what the bulletin of the Japanese National Police Agency
/// of 10 March 2016 shows of probes for SIP servers: accesses to 5060/UDP per local address, requests
/// by method, accesses by tool used or not, accesses of tools by destination port, and the table of
/// ports; and tools, behaviours, sources, reasons, and the year before.
///
/// Without options, the last twelve months. Up to two days are shown by hour, up to 92 by day, all else
/// by whole months.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Changes nothing, but for the file that --html names.

A time is a month, a day, or an hour or minute of UTC: 2026-11, 2026-11-26, 2026-11-26T22Z. Days and
months are those of the machine's time zone.

Accesses are packets to the port, calls of your own phones among them: on an address where nobody has
a phone they are probes alone. Methods are not counted by port: figure 2 is of all inspected ports.

Examples:
  sip-filter report                              the last twelve months
  sip-filter report --last 30d --html month.html
  sip-filter report --since 2025-04 --until 2026-03 --addresses 64
  sip-filter report --year 2026 --format json    the numbers, for programs")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// From the beginning of this time
    #[arg(long, value_name = "TIME", value_parser = Period::parse)]
    since: Option<Period>,
    /// To the end of this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = Period::parse)]
    until: Option<Period>,
    /// The last of so much time, as in 24h, 30d, 2y or forever
    #[arg(long, value_name = "SPAN", conflicts_with = "since")]
    last: Option<Keep>,
    /// A whole year, or what there is of it
    #[arg(long, value_name = "YEAR", conflicts_with_all = ["since", "until", "last"])]
    #[arg(value_parser = clap::value_parser!(i16).range(1970..=9999))]
    year: Option<i16>,
    /// The unit of the figures [default: what fits the span]
    #[arg(long, value_enum)]
    unit: Option<Unit>,
    /// How many local addresses the filter sees packets for: accesses are divided by it
    #[arg(long, value_name = "N", default_value = "1")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    addresses: u32,
    /// The port that accesses are counted to
    #[arg(long, value_name = "PORT", default_value = "5060")]
    port: u16,
    /// How many tools and sources to name
    #[arg(long, value_name = "N", default_value = "20")]
    top: usize,
    /// Write a page to this file, which needs no other; - is standard output
    #[arg(
        long,
        visible_alias = "out",
        value_name = "FILE",
        conflicts_with = "format"
    )]
    html: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    geoip: GeoipOptions,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let file = args.which.file(global)?;
    let zone = TimeZone::system();
    let now = Timestamp::now();
    let reader = Reader::open(&file)?;
    let since = match args.last {
        Some(Keep::Forever) => reader.span(Unit::Month)?.map(|(first, _)| first),
        _ => args.since,
    };
    let asked = Asked {
        since,
        until: args.until,
        last: args.last,
        year: args.year,
        unit: args.unit,
    };
    let usage = |error: anyhow::Error| Usage(error.to_string());
    Span::new(&asked, now, &zone).map_err(usage)?;
    let first = |unit| Ok(reader.span(unit)?.map(|(first, _)| first));
    let span = Span::kept(&asked, now, &zone, first)?;
    if span.numbers.end - span.numbers.start > MAX_PERIODS {
        bail!(Usage(format!(
            "a report has up to {MAX_PERIODS} periods; take a larger --unit, or a shorter span"
        )));
    }
    let wanted = Wanted {
        port: args.port,
        addresses: args.addresses,
        top: args.top,
    };
    let mut report = Report::read(&reader, &span, wanted, &zone)?;
    report.locate(&args.geoip.databases(global)?);
    if let Some(path) = &args.html {
        let made = now.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string();
        let page = html::page(&report, &made)?;
        if path.as_os_str() == "-" {
            return output::print(|out| out.write_all(page.as_bytes()));
        }
        return fs::write(path, page).with_context(|| format!("cannot write {}", path.display()));
    }
    output::print(|out| match args.format {
        Format::Table => terminal::write(out, &report, Terminal::stdout()),
        Format::Json => json::document(out, &report),
        Format::Csv => csv(out, &report),
    })
}

/// More than anybody can see.
const MAX_PERIODS: i64 = 5_000;

/// A number a line: which, of which period, under which name.
fn csv(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    let mut line = |figure: &str, start: &str, name: &str, value: String| {
        csv.write_record([figure, start, &escape::cell(name), &value])
    };
    line("number", "start", "name", "value".to_owned())?;
    for it in &report.periods {
        let start = it.start.as_str();
        for (number, value) in [
            ("packets", it.packets),
            ("accesses", it.accesses),
            ("with_tool", it.with_tool),
            ("without_tool", it.without_tool),
        ] {
            line(number, start, "", value.to_string())?;
        }
        let per_address = it.accesses_per_address.to_string();
        line("accesses_per_address", start, "", per_address)?;
        for (number, named) in [("method", &it.methods), ("tool_port", &it.tool_ports)] {
            for (name, value) in named {
                line(number, start, name, value.to_string())?;
            }
        }
    }
    for it in &report.tool_ports {
        line("tool_port_share", "", &it.port, it.share.to_string())?;
    }
    for (number, named) in [
        ("tool", &report.tools),
        ("behaviour", &report.behaviours),
        ("reason", &report.reasons),
    ] {
        for it in named {
            line(number, "", &it.name, it.counts.packets.to_string())?;
        }
    }
    for it in &report.sources {
        let source = it.source.to_string();
        line("source", "", &source, it.counts.packets.to_string())?;
    }
    csv.flush()
}
