//! `events`: what the filter reports as it happens.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::net::UnixStream,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use sip_filter_common::abi;
use tokio::{runtime, time};

use super::Global;
use crate::{
    events::{Event, socket},
    kernel::{Filter, Instance, ReportStream, Reports},
    output,
};

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
Changes nothing. Two that follow a filter which no `run` watches share its events between them.

A CPU reports at most 32 events a second, and twice as many of blocked sources: `status` says how many
there were, and how many more there would have been.

Examples:
  sip-filter events                         the last ones
  sip-filter events --follow                and those that come
  sip-filter events --follow | jq -r .source
                                            addresses alone")]
pub(super) struct Args {
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let instance = global.instance()?;
    let mut is_first = true;
    loop {
        let goes_on = match socket::connect(&global.state, instance.name())? {
            Some(stream) => of_run(stream, args.follow, is_first)?,
            None => of_kernel(&instance, global, args.follow, is_first)?,
        };
        if !args.follow || !goes_on {
            return Ok(());
        }
        is_first = false;
        if !instance.dir().exists() {
            bail!(
                "the filter {} was detached; nothing more is reported",
                instance.name()
            );
        }
    }
}

/// Prints what a `run` gives: the last ones, where it is the first time, and if that is asked for those
/// that come until it ends. Whether there is anybody to print for.
fn of_run(stream: UnixStream, follow: bool, is_first: bool) -> Result<bool> {
    let mut is_past = true;
    for line in BufReader::new(stream).lines() {
        // A `run` that was killed leaves half a line, or none.
        let Ok(line) = line else {
            break;
        };
        if line.is_empty() {
            if !follow {
                break;
            }
            is_past = false;
        } else if (is_first || !is_past) && !output::goes_on(|out| writeln!(out, "{line}"))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Prints what the kernel has for whoever reads it: the last ones, where it is the first time, and if
/// that is asked for those that come until a `run` reads them. Whether there is anybody to print for.
fn of_kernel(instance: &Instance, global: &Global, follow: bool, is_first: bool) -> Result<bool> {
    let filter = Filter::open(instance)?;
    let mut past = 0;
    if is_first {
        let reports = filter.last_reports()?;
        past = reports.last().map_or(0, |report| report.at);
        if !print(&Event::in_words(&filter, &reports)?)? {
            return Ok(false);
        }
    }
    if !follow {
        return Ok(true);
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot wait for events")?;
    runtime.block_on(async {
        let mut stream = Reports::open(instance)?.into_stream()?;
        while let Some(mut reports) = next(&mut stream, instance, global).await? {
            reports.retain(|report| report.at > past);
            if !print(&Event::in_words(&filter, &reports)?)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// What comes next; none where somebody else reads from now on, or the filter is gone.
async fn next(
    stream: &mut ReportStream,
    instance: &Instance,
    global: &Global,
) -> Result<Option<Vec<abi::Event>>> {
    loop {
        if let Ok(reports) = time::timeout(LOOKED_EVERY, stream.next()).await {
            return reports.map(Some);
        }
        if !instance.dir().exists() || socket::connect(&global.state, instance.name())?.is_some() {
            return Ok(None);
        }
    }
}

/// Prints events; whether there is anybody to print for.
fn print(events: &[Event]) -> Result<bool> {
    output::goes_on(|out| {
        for event in events {
            serde_json::to_writer(&mut *out, event)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    })
}
