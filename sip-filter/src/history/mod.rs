//! What was counted by minute, hour, day and month, kept in an SQLite file.
//!
//! The filter's counters only ever grow; what is kept are differences. [`ledger`] tells them from what
//! was read before, [`write`] puts them into the file, [`retention`] takes the oldest out of it, and
//! [`recorder`] does all that for `run`, once a minute and on a thread of its own. [`schema`] says what the file looks like, [`period`] which minute, hour,
//! day and month a moment belongs to. [`read`] gives back what was kept, and [`exchange`] takes and
//! gives it as text.

pub mod exchange;
pub mod ledger;
pub mod period;
pub mod read;
pub mod recorder;
pub mod retention;
pub mod schema;
pub mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

/// What packets are counted by.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Nothing: all of them.
    Total,
    /// What they are: request, response, keepalive, malformed.
    Class,
    /// A request's method.
    Method,
    /// The tool that was recognised, with its kind.
    Tool,
    /// The destination port.
    Port,
    /// The rule that met them.
    Reason,
    /// The source's address; by day alone.
    Source,
    /// The behaviour that they were a part of.
    Behaviour,
}

impl By {
    /// All, in the order of their numbers in the file.
    pub const ALL: [Self; 8] = [
        Self::Total,
        Self::Class,
        Self::Method,
        Self::Tool,
        Self::Port,
        Self::Reason,
        Self::Source,
        Self::Behaviour,
    ];

    /// The number in the file, which never changes.
    pub const fn number(self) -> i64 {
        self as i64
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Total => "total",
            Self::Class => "class",
            Self::Method => "method",
            Self::Tool => "tool",
            Self::Port => "port",
            Self::Reason => "reason",
            Self::Source => "source",
            Self::Behaviour => "behaviour",
        })
    }
}

/// What stands for all ports that were not told apart.
pub const OTHER: &str = "other";

/// One thing that is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What kind of thing.
    pub by: By,
    /// Its name; empty for the total.
    pub name: String,
    /// The kind of a tool; empty for all else.
    pub kind: String,
}

impl Key {
    /// A thing that has no kind.
    pub fn new(by: By, name: impl Into<String>) -> Self {
        Self {
            by,
            name: name.into(),
            kind: String::new(),
        }
    }
}

/// Packets, and what came of them; 0 where it is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Their bytes, from the Ethernet header on.
    pub bytes: u64,
    /// Packets in which a tool of a dropping kind was recognised.
    pub scanner: u64,
    /// Packets that were dropped.
    pub dropped: u64,
    /// Packets that passed although a counting rule met them.
    pub would_drop: u64,
}

impl Counts {
    /// So many packets, and nothing else known of them.
    pub const fn of_packets(packets: u64) -> Self {
        Self {
            packets,
            bytes: 0,
            scanner: 0,
            dropped: 0,
            would_drop: 0,
        }
    }

    /// Whether nothing was counted.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Adds other packets.
    pub fn add(&mut self, other: &Self) {
        let sum = |one: u64, more: u64| one.saturating_add(more);
        *self = self.with(other, sum);
    }

    /// What was counted since `before`; nothing of what has become less.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    fn with(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            packets: combine(self.packets, other.packets),
            bytes: combine(self.bytes, other.bytes),
            scanner: combine(self.scanner, other.scanner),
            dropped: combine(self.dropped, other.dropped),
            would_drop: combine(self.would_drop, other.would_drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf, process};

    /// A folder that is there, and is gone when this is dropped.
    pub(crate) struct Folder(pub(crate) PathBuf);

    impl Folder {
        pub(crate) fn new(name: &str) -> Self {
            let name = format!("sip-filter-history-{name}-{}", process::id());
            let path = env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
