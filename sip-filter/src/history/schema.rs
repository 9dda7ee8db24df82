//! The file: an SQLite database with a write-ahead log, its layout, and what becomes of one that is
//! damaged.
//!
//! A layout has a number (PRAGMA user_version). An older one is brought up to date step by step, each
//! step whole or not at all; a newer one is refused.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use jiff::{Timestamp, tz::TimeZone};
use rusqlite::{Connection, ErrorCode, OpenFlags, backup::Backup};

/// Marks the databases that are histories (PRAGMA application_id): `SIPh`.
const APPLICATION: i64 = 0x5349_5068;
/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is left of the write-ahead log between two writes, in bytes.
const LOG_LIMIT: u64 = 1 << 20;
/// What the names of files end with that SQLite keeps beside the database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// From each layout to the next; the first one makes an empty database.
///
/// `unit` and `start` are a [`Period`](super::period::Period), `by` is a
/// [`By`](super::By)'s number. In the keys' order a report's rows stand together. `counters` and
/// `counted` are what the filter's counters said last, `followed` the same of sources: nine numbers of
/// eight bytes and a few more in one value, since ten thousand may change in an interval.
///
/// Layout 2 counts by behaviour, too. What the filter had counted of these before is of no known time: as
/// if more had been counted than there can be, so that nothing has come since when they are read first.
const STEPS: &[&str] = &[
    "
    CREATE TABLE counts (
        unit INTEGER NOT NULL,
        start INTEGER NOT NULL,
        by INTEGER NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        packets INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        scanner INTEGER NOT NULL,
        dropped INTEGER NOT NULL,
        would_drop INTEGER NOT NULL,
        PRIMARY KEY (unit, start, by, name, kind)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sources (
        day INTEGER NOT NULL,
        address BLOB NOT NULL,
        packets INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        scanner INTEGER NOT NULL,
        dropped INTEGER NOT NULL,
        would_drop INTEGER NOT NULL,
        PRIMARY KEY (day, address)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE counters (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        instance TEXT NOT NULL,
        boot TEXT NOT NULL,
        map INTEGER NOT NULL,
        at INTEGER NOT NULL,
        monotonic INTEGER NOT NULL,
        day INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE counted (
        by INTEGER NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        packets INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        scanner INTEGER NOT NULL,
        dropped INTEGER NOT NULL,
        would_drop INTEGER NOT NULL,
        PRIMARY KEY (by, name, kind)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE followed (
        address BLOB PRIMARY KEY,
        numbers BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    ",
    "
    INSERT INTO counted
        SELECT 7, column1, '', max, max, max, max, max FROM counters,
            (SELECT 9223372036854775807 AS max),
            (VALUES ('password-guessing'), ('enumeration'), ('port-sweep'), ('address-sweep'), ('flood'));
    ",
];

/// Opens a history to write it, and makes it where there is none.
///
/// # Errors
///
/// When it cannot be opened, is damaged ([`is_damaged`]), another program's, or a newer version's.
pub fn open(path: &Path) -> Result<Connection> {
    opened(path, STEPS).with_context(|| cannot_open(path))
}

/// Opens a history to read it.
///
/// # Errors
///
/// As [`open`]; and when there is none.
pub fn open_to_read(path: &Path) -> Result<Connection> {
    let open = || -> Result<Connection> {
        // Who may not write beside the file reads it all the same, as long as nobody else has it open.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        // One state for all that is read.
        connection.execute_batch("BEGIN")?;
        match version(&connection)? {
            0 => bail!("nothing was kept in it yet"),
            it if it < STEPS.len() => copy_up_to_date(&connection, it),
            _ => Ok(connection),
        }
    };
    if !path.try_exists().with_context(|| cannot_open(path))? {
        bail!(
            "there is no history {}; `sip-filter run --history {0}` keeps one",
            path.display()
        );
    }
    open().with_context(|| cannot_open(path))
}

fn cannot_open(path: &Path) -> String {
    format!("cannot use the history {}", path.display())
}

fn opened(path: &Path, steps: &[&str]) -> Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    let found = version_of(&connection, steps)?;
    if found == 0 {
        // Before anything is written, or it has no effect: what is deleted makes the file smaller.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Each interval is on the disk when it is said to be.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", LOG_LIMIT)?;
    bring_up_to_date(&mut connection, steps, found)?;
    Ok(connection)
}

/// Takes the steps from the layout `found` on.
fn bring_up_to_date(connection: &mut Connection, steps: &[&str], found: usize) -> Result<()> {
    for (at, step) in steps.iter().enumerate().skip(found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", at as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// A copy in memory of what an older version has written, brought up to date: who reads leaves the file
/// as it is.
fn copy_up_to_date(older: &Connection, found: usize) -> Result<Connection> {
    let mut copy = Connection::open_in_memory()?;
    Backup::new(older, &mut copy)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
    bring_up_to_date(&mut copy, STEPS, found)?;
    Ok(copy)
}

fn version(connection: &Connection) -> Result<usize> {
    version_of(connection, STEPS)
}

/// The layout, one of ours; 0 for an empty database.
fn version_of(connection: &Connection, steps: &[&str]) -> Result<usize> {
    let number = |pragma: &str| -> rusqlite::Result<i64> {
        connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
    };
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && application != APPLICATION {
        bail!("it is a database of another program; name another file");
    }
    match usize::try_from(version) {
        Ok(version) if version <= steps.len() => Ok(version),
        _ => bail!(
            "it was written by a newer version of sip-filter (layout {version}, and this one knows \
             up to {}); use that version, or name another file",
            steps.len()
        ),
    }
}

/// Reads all of it.
///
/// # Errors
///
/// When it is damaged, as [`is_damaged`] says, or cannot be read.
pub fn check(connection: &Connection) -> Result<()> {
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match said.as_str() {
        "ok" => Ok(()),
        said => {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            Err(rusqlite::Error::SqliteFailure(code, Some(said.to_owned())).into())
        }
    }
}

/// Whether the cause of an error is that the file is no database, or not a whole one.
pub fn is_damaged(error: &anyhow::Error) -> bool {
    let damaged = |code| {
        matches!(
            code,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        )
    };
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<rusqlite::Error>())
        .any(|cause| damaged(cause.sqlite_error_code()))
}

/// Whether the cause of an error is that there is no room.
pub fn is_full(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<rusqlite::Error>())
        .any(|cause| cause.sqlite_error_code() == Some(ErrorCode::DiskFull))
}

/// Gives a damaged file, and what SQLite keeps beside it, a name that says so: its own with
/// `.damaged-20261126T221500Z`. No file that is there already is written over.
///
/// # Errors
///
/// When it cannot be renamed.
pub fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf> {
    let stamp = now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ");
    let with = |path: &Path, end: &str| {
        let mut name = OsString::from(path);
        name.push(end);
        PathBuf::from(name)
    };
    let names = (0..).map(|number| match number {
        0 => with(path, &format!(".damaged-{stamp}")),
        number => with(path, &format!(".damaged-{stamp}-{number}")),
    });
    let mut free = names.filter(|name| matches!(name.try_exists(), Ok(false)));
    let Some(aside) = free.by_ref().take(1).next() else {
        bail!("no name is free for {}", path.display());
    };
    // What is beside it belongs to it: a new file must not find it.
    for end in BESIDE {
        match fs::rename(with(path, end), with(&aside, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("cannot rename {}{end}", path.display()));
            }
            _ => {}
        }
    }
    fs::rename(path, &aside)
        .with_context(|| format!("cannot rename {} to {}", path.display(), aside.display()))?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use sip_filter_common::rules::Behaviour;

    use super::*;
    use crate::{
        config::configuration::Configuration,
        history::{
            By, Counts, Key, ledger::Reading, period::Unit, read::Reader, tests::Folder,
            write::Writer,
        },
    };

    /// What a later version may add.
    const NEXT: &str = "ALTER TABLE counts ADD COLUMN colour TEXT NOT NULL DEFAULT 'none'";

    fn steps<'a>(more: &[&'a str]) -> Vec<&'a str> {
        STEPS.iter().chain(more).copied().collect()
    }

    #[test]
    fn an_older_layout_is_brought_up_to_date_step_by_step_or_stays() {
        let Folder(folder) = &Folder::new("migrate");
        let path = &folder.join("h.sqlite");
        let row = "INSERT INTO counts VALUES (3, 24322, 0, '', '', 7, 0, 0, 0, 0)";
        open(path).unwrap().execute_batch(row).unwrap();
        // A step that fails has not happened, and those before it have.
        let broken = steps(&[NEXT, "CREATE TABLE more (x); DROP TABLE nothing"]);
        opened(path, &broken).unwrap_err();
        let next = STEPS.len() + 1;
        let connection = opened(path, &broken[..next]).unwrap();
        assert_eq!(version_of(&connection, &broken).unwrap(), next);
        let found = connection.query_row("SELECT packets, colour FROM counts", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        });
        assert_eq!(found.unwrap(), (7, "none".to_owned()));
        let tables = connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'more'",
            [],
            |row| row.get::<_, i64>(0),
        );
        assert_eq!(tables.unwrap(), 0);
        drop(connection);
        // For a version that knows fewer, it is a newer one.
        for error in [open(path).unwrap_err(), open_to_read(path).unwrap_err()] {
            let said = format!("{error:#}");
            assert!(
                said.contains(&format!("newer version of sip-filter (layout {next},")),
                "{said}"
            );
            assert!(!is_damaged(&error), "{said}");
        }
    }

    #[test]
    fn a_file_that_knew_no_behaviours_counts_them_from_now_on() {
        let Folder(folder) = &Folder::new("behaviours");
        let path = &folder.join("h.sqlite");
        let older = opened(path, &STEPS[..1]).unwrap();
        let rows = "INSERT INTO counters VALUES (1, 'edge', 'boot', 7, 1, 1, 0);
            INSERT INTO counted VALUES (0, '', '', 100, 0, 0, 0, 0);
            INSERT INTO counts VALUES (3, 24322, 0, '', '', 100, 0, 0, 0, 0)";
        older.execute_batch(rows).unwrap();
        drop(older);
        let before = fs::read(path).unwrap();
        let copy = open_to_read(path).unwrap();
        let behaviours: i64 = copy
            .query_row("SELECT count(*) FROM counted WHERE by = 7", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(behaviours, Behaviour::COUNT as i64);
        assert_eq!(fs::read(path).unwrap(), before, "reading has changed it");

        let mut writer = Writer::open(path).unwrap();
        let mut ledger = writer.ledger("edge").unwrap().unwrap();
        let of = |behaviour: Behaviour| Key::new(By::Behaviour, behaviour.name());
        // What came in three intervals: the first one says what was there before, too.
        let mut came = |number: i64, swept: u64, flooded: u64| {
            let counts = [
                (Key::new(By::Total, ""), 100 + number as u64),
                (of(Behaviour::PortSweep), swept),
                (of(Behaviour::Flood), flooded),
            ];
            let reading = Reading {
                identity: ledger.identity.clone().unwrap(),
                began: 0,
                at: Timestamp::from_second(1_795_000_000 + number).unwrap(),
                monotonic: number as u64,
                counts: HashMap::from(counts.map(|(key, it)| (key, Counts::of_packets(it)))),
                sources: Vec::new(),
            };
            let change = ledger.change(&reading, &TimeZone::UTC, 0);
            let settings = Configuration::default().history;
            writer
                .write("edge", &change, &settings, &TimeZone::UTC)
                .unwrap();
            ledger.apply(&change);
            let behaviours = change.came.iter();
            let behaviours = behaviours.filter(|(key, _)| key.by == By::Behaviour);
            behaviours
                .map(|(key, counts)| (key.name.clone(), counts.packets))
                .collect::<Vec<_>>()
        };
        assert_eq!(came(1, 500, 0), []);
        let both = [("flood".to_owned(), 2), ("port-sweep".to_owned(), 10)];
        assert_eq!(came(2, 510, 2), both);
        assert_eq!(came(3, 510, 2), []);
        drop(writer);

        let reader = Reader::open(path).unwrap();
        let kept = reader.kept(Unit::Month, 0..i64::MAX, By::Behaviour);
        let kept = kept.unwrap().into_iter();
        let kept: Vec<_> = kept.map(|it| (it.key.name, it.counts.packets)).collect();
        assert_eq!(kept, both);
        // And what was there stays, with the three that came.
        let total = reader.kept(Unit::Month, 24_322..24_323, By::Total).unwrap();
        assert_eq!(total[0].counts.packets, 103);
    }

    #[test]
    fn what_is_no_history_is_told_apart_from_what_is_damaged() {
        let Folder(folder) = &Folder::new("foreign");
        let path = &folder.join("h.sqlite");
        let foreign = Connection::open(path).unwrap();
        foreign.execute_batch("CREATE TABLE theirs (x)").unwrap();
        drop(foreign);
        let error = open(path).unwrap_err();
        assert!(!is_damaged(&error) && format!("{error:#}").contains("another program"));
        fs::write(path, "Dear diary, today nobody has called.\n".repeat(100)).unwrap();
        assert!(is_damaged(&open(path).unwrap_err()));
        fs::remove_file(path).unwrap();
        assert!(format!("{:#}", open_to_read(path).unwrap_err()).contains("there is no history"));
    }

    #[test]
    fn what_is_damaged_is_set_aside_under_a_name_of_its_own() {
        let Folder(folder) = &Folder::new("aside");
        let path = &folder.join("h.sqlite");
        let now: Timestamp = "2026-11-26T22:15:00Z".parse().unwrap();
        let mut names = Vec::new();
        for text in ["one", "two"] {
            fs::write(path, text).unwrap();
            fs::write(folder.join("h.sqlite-wal"), text).unwrap();
            let aside = set_aside(path, now).unwrap();
            assert_eq!(fs::read_to_string(&aside).unwrap(), text);
            names.push(aside.file_name().unwrap().to_str().unwrap().to_owned());
        }
        let name = "h.sqlite.damaged-20261126T221500Z";
        assert_eq!(names, [name.to_owned(), format!("{name}-1")]);
        assert_eq!(fs::read_dir(folder).unwrap().count(), 4);
    }
}
