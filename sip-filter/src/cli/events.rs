//! `events`: what the filter reports as it happens.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Global, geoip::GeoipOptions};
use crate::{
    events::{Event, socket},
    geoip::Databases,
    kernel::{Filter, Instance},
    output,
};

/// Each process converts the kernel's time by itself: so near each other are those of one event.
const SAME: SignedDuration = SignedDuration::from_millis(20);
/// How long two that give events may overlap.
const OVERLAP: SignedDuration = SignedDuration::from_secs(10);
/// How many events are remembered at least.
const REMEMBERED: usize = 8192;
/// What tells two events of one moment apart: a source may be seen with two tools in it.
const KEYS: [&str; 6] = [
    "source",
    "event",
    "tool",
    "behaviour",
    "cause",
    "start_line",
];
/// How often to look whether the filter is still there, and whether a `run` has begun to read.
const LOOKED_EVERY: Duration = Duration::from_secs(1);

/// Show what the filter reports: sources seen with a tool or in a behaviour for the first time, blocked
/// ones, and such as are not blocked any more
///
/// One JSON object a line: when, what, who sent it to whom, and of the packet that it happened with the
/// method, the tool, the first line and the User-Agent. What could do harm where it is shown is
/// written out, as \u{1b}.
///
/// Where a `run` watches the filter, its last 1,024 events, otherwise the last one of each source, for
/// 4,096 sources.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Changes nothing. Where no `run` watches the filter, of several events of one source in one second
the last one is followed.

A CPU reports at most 32 events a second, and 1,024 of blocked sources: `status` says how many there
were, and how many more there would have been.

Examples:
  sip-filter events                         the last ones
  sip-filter events --follow                and those that come
  sip-filter events --follow | jq -r .source
                                            addresses alone")]
pub(super) struct Args {
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    geoip: GeoipOptions,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let instance = global.instance()?;
    let databases = args.geoip.databases(global)?;
    let mut printer = Printer::default();
    loop {
        let goes_on = match socket::connect(&global.state, instance.name())? {
            Some(stream) => printer.of_run(stream, args.follow)?,
            None => printer.of_kernel(&instance, &global.state, &databases, args.follow)?,
        };
        if !args.follow || !goes_on {
            return Ok(());
        }
        if !instance.dir().exists() {
            bail!(
                "the filter {} was detached; nothing more is reported",
                instance.name()
            );
        }
    }
}

/// Prints events, each once, whoever gives them.
#[derive(Default)]
struct Printer {
    /// By what has happened to whom ([`KEYS`]), when that was last.
    printed: HashMap<[String; KEYS.len()], Timestamp>,
    /// When the newest one was.
    newest: Option<Timestamp>,
}

impl Printer {
    /// Prints what a `run` gives: the last ones, and if that is asked for those that come until it ends.
    /// Whether there is anybody to print for.
    fn of_run(&mut self, stream: UnixStream, follow: bool) -> Result<bool> {
        for line in BufReader::new(stream).lines() {
            // A `run` that was killed leaves half a line, or none.
            let Ok(line) = line else {
                break;
            };
            if line.is_empty() {
                if !follow {
                    break;
                }
            } else if let Ok(event) = serde_json::from_str(&line)
                && self.is_new(&event)
                && !output::goes_on(|out| writeln!(out, "{line}"))?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Prints what the kernel remembers, and if that is asked for what it remembers anew until a `run`
    /// reads its reports. Whether there is anybody to print for.
    ///
    /// It takes nothing away from a `run`, which may begin at any moment.
    fn of_kernel(
        &mut self,
        instance: &Instance,
        state: &Path,
        databases: &Databases,
        follow: bool,
    ) -> Result<bool> {
        let filter = Filter::open(instance)?;
        let mut known = HashMap::new();
        loop {
            let mut reports = filter.last_reports()?;
            reports.retain(|it| {
                let report = Some((it.at, it.what));
                known.insert(it.source, (it.at, it.what)) != report
            });
            let mut lines = Vec::new();
            for event in Event::in_words(&filter, databases, &reports)? {
                let line = serde_json::to_string(&event)?;
                if self.is_new(&serde_json::from_str(&line)?) {
                    lines.push(line);
                }
            }
            let print = |out: &mut dyn Write| lines.iter().try_for_each(|it| writeln!(out, "{it}"));
            if !output::goes_on(print)? {
                return Ok(false);
            }
            if !follow {
                return Ok(true);
            }
            thread::sleep(LOOKED_EVERY);
            if !instance.dir().exists() || socket::connect(state, instance.name())?.is_some() {
                return Ok(true);
            }
        }
    }

    /// Whether an event was not printed yet.
    fn is_new(&mut self, event: &Value) -> bool {
        let word = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let Ok(time) = word("time").parse::<Timestamp>() else {
            // Not an event, but what is said of events.
            return true;
        };
        // What is older than what was printed was there before, and is not what comes.
        if self.newest.is_some_and(|newest| time + OVERLAP < newest) {
            return false;
        }
        self.newest = self.newest.max(Some(time));
        let before = self.printed.insert(KEYS.map(word), time);
        if self.printed.len() > REMEMBERED {
            let newest = self.newest;
            self.printed
                .retain(|_, time| newest.is_none_or(|newest| *time + OVERLAP >= newest));
        }
        before.is_none_or(|before| time.duration_since(before).abs() > SAME)
    }
}
