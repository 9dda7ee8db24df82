//! The file that the lists are kept in: an SQLite database for each instance, which a crash at any
//! moment leaves as it was or as it was to be.
//!
//! Readers never wait for whoever writes, and those who write wait for each other. Nothing here
//! knows of maps.

mod writing;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OpenFlags, Row, params};
use sip_filter_common::lists as abi;

use super::{Entry, List, Origin};
use crate::config::prefix::Prefix;

pub use writing::{Added, Writing};

/// The layout of the database (PRAGMA user_version).
const VERSION: i64 = 1;
/// How long to wait for another process that changes the lists: a million entries take seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// `list` is a bit of [`Listed::lists`], `address` has 16 bytes and `length` counts from their
/// first, as in the kernel's maps; times are milliseconds since 1970. In the key's order all that is
/// said of a prefix stands together, and prefixes stand in the order that they are listed in.
const SCHEMA: &str = "
    CREATE TABLE entries (
        address BLOB NOT NULL,
        length INTEGER NOT NULL,
        list INTEGER NOT NULL,
        origin INTEGER NOT NULL,
        until INTEGER,
        reason TEXT NOT NULL,
        place TEXT NOT NULL,
        added INTEGER NOT NULL,
        PRIMARY KEY (address, length, list, origin)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX expiring ON entries (until) WHERE until IS NOT NULL;
    CREATE INDEX prefixes ON entries (length) WHERE length < 128;
    CREATE TABLE generation (number INTEGER NOT NULL) STRICT;
    INSERT INTO generation VALUES (0);
";

const FROM_COMMAND: i64 = 1;
const FROM_CONFIG: i64 = 2;

/// The lists as they were last put in force, to be read.
pub struct State {
    connection: Connection,
}

impl State {
    /// Where the lists of an instance are kept.
    pub fn path(folder: &Path, instance: &str) -> PathBuf {
        folder.join(format!("{instance}.db"))
    }

    /// The files that they are kept in: SQLite keeps two more beside its own (sqlite.org/wal.html).
    pub fn files(folder: &Path, instance: &str) -> [PathBuf; 3] {
        ["db", "db-wal", "db-shm"].map(|kind| folder.join(format!("{instance}.{kind}")))
    }

    /// Opens the file to read it; `None` where there is none, since nothing was ever listed.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or another version wrote it.
    pub fn open(folder: &Path, instance: &str) -> Result<Option<Self>> {
        let path = Self::path(folder, instance);
        let cannot = || cannot_open(&path);
        if !path.try_exists().with_context(cannot)? {
            return Ok(None);
        }
        let open = || -> rusqlite::Result<Connection> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&path, flags)?;
            connection.busy_timeout(PATIENCE)?;
            Ok(connection)
        };
        let connection = open().with_context(cannot)?;
        // One state for all that is read.
        connection.execute_batch("BEGIN").with_context(cannot)?;
        let version = version(&connection).with_context(cannot)?;
        if version == 0 {
            // Another process is about to write the first entries.
            return Ok(None);
        }
        check_version(version, &path)?;
        Ok(Some(Self { connection }))
    }

    /// Whether a list holds a prefix.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn holds(&self, list: List, prefix: &Prefix) -> Result<bool> {
        let abi::Prefix { octets, length } = prefix.to_abi();
        let held = self.connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM entries WHERE address = ? AND length = ? AND list = ?)",
            params![octets, length, list.bit()],
            |row| row.get::<_, bool>(0),
        );
        held.context("cannot read the lists")
    }

    /// How many prefixes a list holds; those that have expired too.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn count(&self, list: List) -> Result<u64> {
        let counted = self.connection.query_row(
            "SELECT count(*) FROM (SELECT DISTINCT address, length FROM entries WHERE list = ?)",
            [list.bit()],
            |row| row.get::<_, i64>(0),
        );
        Ok(counted.context("cannot read the lists")? as u64)
    }

    /// What a list holds, in the addresses' order; those that have expired too.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn entries(&self, list: List) -> Result<Vec<Entry>> {
        let read = || -> rusqlite::Result<Vec<Entry>> {
            let mut select = self.connection.prepare(
                "SELECT address, length, until, origin, reason, added FROM entries
                 WHERE list = ? ORDER BY address, length, origin",
            )?;
            let rows = select.query_map([list.bit()], |row| {
                Ok(Entry {
                    prefix: prefix(row)?.into(),
                    until: time(row.get(2)?),
                    origin: match row.get(3)? {
                        FROM_CONFIG => Origin::Config,
                        _ => Origin::Command,
                    },
                    reason: row.get(4)?,
                    added: row.get::<_, i64>(5)? as u64,
                })
            })?;
            rows.collect()
        };
        read().context("cannot read the lists")
    }
}

/// The first two columns.
fn prefix(row: &Row<'_>) -> rusqlite::Result<abi::Prefix> {
    Ok(abi::Prefix {
        octets: row.get(0)?,
        length: row.get(1)?,
    })
}

fn time(column: Option<i64>) -> Option<u64> {
    column.map(|ms| u64::try_from(ms).unwrap_or(0))
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn check_version(version: i64, path: &Path) -> Result<()> {
    if version != VERSION {
        bail!(
            "{} was written by another version of sip-filter (layout {version}, not {VERSION}); \
             use that version, or another folder with --state",
            path.display()
        );
    }
    Ok(())
}

fn cannot_open(path: &Path) -> String {
    format!(
        "cannot open {}, where the lists are kept; run as root, or name another folder with --state",
        path.display()
    )
}

#[cfg(test)]
mod tests;
