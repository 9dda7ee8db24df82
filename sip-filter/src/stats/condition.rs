//! The condition that an attached filter is in, for people and for programs.

use std::{
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Result;
use serde::Serialize;
use sip_filter_common::abi::EventCounts;

use super::{Totals, WallTime};
use crate::kernel;

/// For how long packets are counted to say how many come a second.
const RATED_FOR: Duration = Duration::from_millis(500);

/// What the kernel says of a filter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// Where it is attached.
    pub attachments: Vec<Attachment>,
    /// Its maps.
    pub maps: Vec<Fill>,
    /// Its program.
    pub program: Option<Program>,
    /// What became of events.
    pub events: Events,
    /// What arrives, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// A link to an interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attachment {
    /// The interface's name, if it is to be seen from here.
    pub name: Option<String>,
    /// Its index.
    pub ifindex: u32,
    /// Whether the kernel says that the filter is there; null where it cannot be asked from this
    /// network namespace.
    pub attached: Option<bool>,
    /// The number of the program there.
    pub program_id: u32,
    /// How it is attached: native, skb, hw or unknown.
    pub mode: String,
    /// Since when.
    pub since: Option<WallTime>,
    /// Programs that are not the filter's and see arriving packets.
    pub others: Vec<Other>,
}

/// A program that is not the filter's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Other {
    /// Where it is: `xdp` or `tcx ingress`.
    pub hook: &'static str,
    /// Its number.
    pub program_id: u32,
    /// Its name.
    pub name: String,
}

/// How full a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fill {
    /// Its name.
    pub map: &'static str,
    /// Its entries; null for an array, which always has all.
    pub entries: Option<u64>,
    /// How many it has room for.
    pub at_most: u32,
    /// Its memory.
    pub bytes: u64,
}

/// The program in force.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Program {
    /// Its number.
    pub id: u32,
    /// When it was loaded.
    pub loaded_at: Option<WallTime>,
    /// Whether the kernel measures how long it runs.
    pub measured: bool,
    /// How often it has run while that was measured.
    pub runs: u64,
    /// How long it takes for a packet on average, in nanoseconds, as far as that was measured.
    pub mean_run_ns: Option<f64>,
}

/// How many events there were, and what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Events {
    /// Put where a `run` reads them.
    pub reported: u64,
    /// Not reported, for there were too many in that second.
    pub suppressed: u64,
    /// For which there was no room there, since no `run` reads them, or not fast enough. The last one of
    /// each source is known all the same.
    pub lost: u64,
}

/// Packets a second, over half a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// Inspected.
    pub packets: f64,
    /// Dropped.
    pub dropped: f64,
}

impl Condition {
    /// Asks the kernel; with `rate`, for half a second.
    ///
    /// # Errors
    ///
    /// When it does not say.
    pub fn read(instance: &kernel::Instance, filter: &kernel::Filter, rate: bool) -> Result<Self> {
        let kernel::Condition {
            attachments,
            maps,
            program,
        } = kernel::Condition::read(instance)?;
        Ok(Self {
            attachments: attachments.into_iter().map(Attachment::from).collect(),
            maps: maps.into_iter().map(Fill::from).collect(),
            program: program.map(Program::from),
            events: filter.event_counts()?.into(),
            rate: rate.then(|| Rate::measure(filter)).transpose()?,
        })
    }
}

impl Rate {
    fn measure(filter: &kernel::Filter) -> Result<Self> {
        let begun = Instant::now();
        let before = Totals::new(&filter.totals()?);
        thread::sleep(RATED_FOR);
        let since = Totals::new(&filter.totals()?).since(&before);
        let seconds = begun.elapsed().as_secs_f64();
        Ok(Self {
            packets: (since.packets as f64 / seconds).round(),
            dropped: (since.dropped as f64 / seconds).round(),
        })
    }
}

impl From<kernel::Attachment> for Attachment {
    fn from(attachment: kernel::Attachment) -> Self {
        let others = attachment.others.into_iter().map(|other| Other {
            hook: other.hook,
            program_id: other.program,
            name: other.name,
        });
        Self {
            name: attachment.name,
            ifindex: attachment.ifindex,
            attached: attachment.is_attached,
            program_id: attachment.program,
            mode: attachment.mode.to_string(),
            since: attachment.since.map(wall),
            others: others.collect(),
        }
    }
}

impl From<EventCounts> for Events {
    fn from(counts: EventCounts) -> Self {
        let EventCounts {
            reported,
            suppressed,
            lost,
        } = counts;
        Self {
            reported,
            suppressed,
            lost,
        }
    }
}

impl From<kernel::Fill> for Fill {
    fn from(fill: kernel::Fill) -> Self {
        let kernel::Fill {
            map,
            entries,
            at_most,
            bytes,
        } = fill;
        Self {
            map,
            entries,
            at_most,
            bytes,
        }
    }
}

impl From<kernel::Program> for Program {
    fn from(program: kernel::Program) -> Self {
        let mean = |(runs, took): (u64, Duration)| took.as_nanos() as f64 / runs as f64;
        Self {
            id: program.id,
            loaded_at: program.loaded_at.map(wall),
            measured: program.is_measured,
            runs: program.runs.map_or(0, |(runs, _)| runs),
            mean_run_ns: program.runs.map(mean),
        }
    }
}

fn wall(time: SystemTime) -> WallTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    WallTime::from_ns(since.map_or(0, |since| since.as_nanos() as u64))
}
