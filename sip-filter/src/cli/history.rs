//! `history`: what was counted over months, taken from text and given as text; and the options with
//! which `run` keeps it.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use jiff::{Timestamp, tz::TimeZone};

use super::{
    Global, Usage,
    filter_options::{FilterOptions, configuration},
    given::Given,
};
use crate::{
    config::{
        configuration::{History, Set},
        span::Span,
    },
    history::{
        exchange::{self, Taken, Written},
        period::Unit,
        read::Reader,
        recorder::{INTERVAL, Recorder},
        write::Writer,
    },
    kernel::Instance,
    number::thousands,
    output,
};

/// What was counted over months
///
/// `run --history FILE`, or [history] in the configuration file, keeps by minute, hour, day and month
/// what was counted: in all, by what it was, method, tool, port, reason and behaviour, and by source and
/// day. The file is an SQLite database; `sip-filter report` shows what is in it.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  sip-filter history export                      the days, for a spreadsheet
  sip-filter history export --unit month --format json
  sip-filter history import old.csv              add what was counted elsewhere")]
pub(super) enum Verb {
    /// Add what was counted elsewhere
    ///
    /// CSV with a header line, or a JSON object a line, with the fields start, by, name, kind,
    /// packets, bytes, scanner, dropped, would_drop; the last four may be missing. `start` is a minute
    /// or an hour of UTC, a day or a month: 2026-11-26T22:15Z, 2026-11-26T22Z, 2026-11-26, 2026-11.
    /// `by` is total, class, method, tool, port, reason, behaviour or source; `kind` is a tool's.
    #[command(after_help = "\
Changes the history: all lines are added, or none where one is wrong. Each line is added to the
period that it names, and to all larger ones: say each packet once. What is imported twice counts
twice.

Examples:
  sip-filter history import old.csv
  sip-filter history import - --history /srv/h.sqlite < old.jsonl")]
    Import(Import),
    /// Write what was kept of one unit as text
    ///
    /// The fields are those that `import` takes. Sources are among the days; the day that is not over
    /// has all of them.
    #[command(after_help = "\
Changes nothing.

Examples:
  sip-filter history export > days.csv
  sip-filter history export --unit hour --format json")]
    Export(Export),
}

/// Which history a command is about.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The history [default: that of the running filter, or of the configuration file]
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// The configuration file that names it
    #[arg(long, value_name = "FILE", conflicts_with = "history")]
    config: Option<PathBuf>,
}

impl Which {
    /// The file.
    pub(super) fn file(&self, global: &Global) -> Result<PathBuf> {
        match self.settings(global)?.file.value {
            Some(file) => Ok(file),
            None => bail!(Usage(
                "no history is configured; name it with --history, as in --history h.sqlite"
                    .to_owned()
            )),
        }
    }

    /// What is kept.
    fn settings(&self, global: &Global) -> Result<History> {
        if let Some(file) = &self.history {
            return Ok(History {
                file: Set::default(Some(file.clone())),
                ..History::default()
            });
        }
        if self.config.is_none() {
            let instance = global.instance()?;
            let given = Given::history(&global.state, instance.name());
            if let Some(given) = given.filter(|history| history.file.value.is_some()) {
                return Ok(given);
            }
        }
        Ok(configuration(self.config.as_deref())?.history)
    }
}

/// Options of `history import`.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The text; - is standard input
    file: PathBuf,
    #[command(flatten)]
    which: Which,
}

/// Options of `history export`.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// Of which unit
    #[arg(long, value_enum, default_value = "day")]
    unit: Unit,
    /// How to write it
    #[arg(long, value_enum, default_value = "csv")]
    format: Written,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Verb, global: &Global) -> Result<()> {
    match verb {
        Verb::Import(options) => import(options, global),
        Verb::Export(options) => export(options, global),
    }
}

fn import(options: &Import, global: &Global) -> Result<()> {
    let path = options.which.file(global)?;
    let settings = options.which.settings(global)?;
    let text: Box<dyn Read> = match options.file.as_os_str().as_encoded_bytes() {
        b"-" => Box::new(io::stdin().lock()),
        _ => Box::new(
            File::open(&options.file)
                .with_context(|| format!("cannot read {}", options.file.display()))?,
        ),
    };
    let mut writer = Writer::open(&path)?;
    let named = settings.sources.value as usize;
    let text = BufReader::new(text);
    let Taken { lines, packets } = exchange::import(text, &mut writer, &TimeZone::system(), named)
        .with_context(|| {
            let file = options.file.display();
            format!("nothing of {file} was added to {}", path.display())
        })?;
    let (lines, packets) = (thousands(lines), thousands(packets));
    output::print(|out| {
        writeln!(
            out,
            "{}: added {lines} lines, {packets} packets in total",
            path.display()
        )
    })
}

fn export(options: &Export, global: &Global) -> Result<()> {
    let reader = Reader::open(&options.which.file(global)?)?;
    let lines = exchange::lines(&reader, options.unit)?;
    output::print(|out| exchange::write(out, &lines, options.format))
}

/// What `run` keeps.
#[derive(Debug, clap::Args)]
pub(super) struct Keeping {
    /// Keep a history of what is counted in this file [default: as the configuration file says]
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// How often, for tests
    #[arg(long, value_name = "SPAN", hide = true)]
    history_interval: Option<Span>,
}

impl Keeping {
    /// What the filter is given, with this.
    pub(super) fn with(&self, options: &FilterOptions) -> FilterOptions {
        let mut options = options.clone();
        options.history.clone_from(&self.history);
        options
    }

    /// Begins to keep it, from `since` on: as `first` says, and as reloads say after that. A history
    /// that cannot be kept is no reason not to filter.
    pub(super) fn start(
        &self,
        instance: &Instance,
        global: &Global,
        since: Timestamp,
        first: History,
    ) -> Option<Recorder> {
        let (state, name) = (global.state.clone(), instance.name().to_owned());
        let of_command_line = self.history.as_ref().map(|_| first.file.clone());
        let mut last = first;
        let settings = move || {
            // Of a filter that was detached nothing is known: what held until then still does.
            if let Some(given) = Given::history(&state, &name) {
                last = given;
            }
            // Another command may have changed all but what the command line says.
            if let Some(file) = &of_command_line {
                last.file.clone_from(file);
            }
            last.clone()
        };
        let interval = self
            .history_interval
            .map_or(INTERVAL, |interval| Duration::from_nanos(interval.ns()));
        let started = Recorder::start(instance.clone(), since, interval, Box::new(settings));
        match started {
            Ok(recorder) => Some(recorder),
            Err(error) => {
                log::error!("{}: no history is kept: {error:#}", instance.name());
                None
            }
        }
    }
}

/// The moment, before anything is attached.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
