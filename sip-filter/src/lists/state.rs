//! The file that the lists are kept in: an SQLite database for each instance, which a crash at any
//! moment leaves as it was or as it was to be.
//!
//! Readers never wait for whoever writes, and those who write wait for each other. Nothing here
//! knows of maps.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow, bail};
use rusqlite::{
    Connection, ErrorCode, MAIN_DB, OpenFlags, OptionalExtension as _, Row, Statement, ffi, params,
};
use sip_filter_common::lists::{self as abi, Listed};

use super::{ConfigEntry, Entry, List, Lists, NewEntry, Origin, Rule, Size, now_ms};
use crate::config::prefix::Prefix;

/// The layout of the database (PRAGMA user_version).
const VERSION: i64 = 1;
/// How long to wait for another process that changes the lists: a million entries take seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many missing entries an error names.
const NAMED: usize = 10;

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

/// What adding came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// How many entries were not there.
    pub new: u64,
    /// How many were there already.
    pub known: u64,
}

/// Has SQLite leave its two files beside the database when nobody has it open: who may only read could
/// not make them, and so not read (SQLITE_FCNTL_PERSIST_WAL in sqlite.org/c3ref).
fn keep_files_beside(connection: &Connection) -> rusqlite::Result<()> {
    let mut keep = 1_i32;
    // SAFETY: the connection is open, the name ends in a zero byte, and this operation reads and writes
    // one C int.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_PERSIST_WAL,
            (&raw mut keep).cast(),
        )
    };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

/// The lists, held by this process alone to be changed. What is not committed has not happened.
pub struct Writing {
    connection: Connection,
    path: PathBuf,
    /// The generation when it was opened.
    before: u64,
    /// The generation once it is committed.
    after: u64,
    touched: Vec<abi::Prefix>,
    /// What had expired, with the bit of its list.
    purged: Vec<(u32, abi::Prefix)>,
}

impl Writing {
    /// Opens the file, and makes it if it is not there. Entries that have expired are taken out.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, another version wrote it, or another process holds it for
    /// long.
    pub fn open(folder: &Path, instance: &str) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| {
            format!(
                "cannot create {}, where the lists are kept; run as root, or name another folder \
                 with --state",
                folder.display()
            )
        })?;
        let path = State::path(folder, instance);
        let open = || -> rusqlite::Result<(Connection, i64)> {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(PATIENCE)?;
            // With these two, what was committed survives a loss of power, too (sqlite.org/wal.html).
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            keep_files_beside(&connection)?;
            connection.pragma_update(None, "journal_size_limit", 0)?;
            // In kibibytes: a million entries are not written twice.
            connection.pragma_update(None, "cache_size", -(128 << 10))?;
            connection.execute_batch("BEGIN IMMEDIATE")?;
            let mut version = version(&connection)?;
            if version == 0 {
                connection.execute_batch(SCHEMA)?;
                connection.pragma_update(None, "user_version", VERSION)?;
                version = VERSION;
            }
            Ok((connection, version))
        };
        let (connection, version) = match open() {
            Ok(opened) => opened,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                bail!(
                    "another sip-filter has been changing {} for {} s; try again",
                    path.display(),
                    PATIENCE.as_secs()
                );
            }
            Err(error) => return Err(anyhow!(error).context(cannot_open(&path))),
        };
        check_version(version, &path)?;
        // Opened to be written, a file that may only be read is opened to be read.
        if connection
            .is_readonly(MAIN_DB)
            .with_context(|| cannot_open(&path))?
        {
            bail!(
                "{} may only be read; run as root (sudo sip-filter …), or name another folder with \
                 --state",
                path.display()
            );
        }
        let before: i64 = connection
            .query_row("SELECT number FROM generation", [], |row| row.get(0))
            .with_context(|| cannot_open(&path))?;
        let mut writing = Self {
            connection,
            path,
            before: before as u64,
            after: before as u64,
            touched: Vec::new(),
            purged: Vec::new(),
        };
        writing
            .purge()
            .context("cannot take out what has expired")?;
        Ok(writing)
    }

    /// The same where the file is there.
    ///
    /// # Errors
    ///
    /// As [`Writing::open`].
    pub fn open_existing(folder: &Path, instance: &str) -> Result<Option<Self>> {
        let path = State::path(folder, instance);
        match path.try_exists().with_context(|| cannot_open(&path))? {
            true => Self::open(folder, instance).map(Some),
            false => Ok(None),
        }
    }

    /// Adds entries of a command. Of those that are there already the expiry becomes the new
    /// one, and the reason too where one is given; of those that are given twice, the first counts.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, as for all that follow.
    pub fn add(&mut self, list: List, entries: &[NewEntry]) -> Result<Added> {
        // In the key's order, in which SQLite is fastest.
        let mut sorted: Vec<_> = entries
            .iter()
            .map(|entry| (entry.prefix.to_abi(), entry))
            .collect();
        // Stable, so that the first of those that are the same says why.
        sorted.sort_by_key(|(prefix, _)| (prefix.octets, prefix.length));
        sorted.dedup_by_key(|(prefix, _)| *prefix);
        let mut added = Added::default();
        let add = || -> rusqlite::Result<()> {
            let mut insert = self
                .connection
                .prepare("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?, ?, '', ?)")?;
            let mut renew = self.connection.prepare(
                "UPDATE entries SET until = ?5, reason = iif(?6 = '', reason, ?6)
                 WHERE address = ?1 AND length = ?2 AND list = ?3 AND origin = ?4
                 AND (until IS NOT ?5 OR ?6 <> '' AND reason <> ?6)",
            )?;
            let now = now_ms() as i64;
            for (prefix, NewEntry { until, reason, .. }) in sorted {
                let until = until.map(|until| until as i64);
                let abi::Prefix { octets, length } = prefix;
                let (list, origin) = (list.bit(), FROM_COMMAND);
                let new =
                    insert.execute(params![octets, length, list, origin, until, reason, now])?;
                added.new += new as u64;
                added.known += 1 - new as u64;
                if new == 1
                    || renew.execute(params![octets, length, list, origin, until, reason])? == 1
                {
                    self.touched.push(prefix);
                }
            }
            Ok(())
        };
        add().with_context(|| cannot_write(&self.path))?;
        self.note_change()?;
        Ok(added)
    }

    /// Takes out entries that a command has added.
    ///
    /// # Errors
    ///
    /// When one is not there, or comes from the configuration: the message names it.
    pub fn remove(&mut self, list: List, prefixes: &[Prefix]) -> Result<u64> {
        let mut missing = Vec::new();
        let mut configured = Vec::new();
        let mut taken_out = 0;
        // Named twice, it is taken out once; and what has expired was listed until now.
        let mut gone: HashSet<_> = self.purged.iter().copied().collect();
        for prefix in prefixes {
            let abi = prefix.to_abi();
            if !gone.insert((list.bit(), abi)) {
                continue;
            }
            let key = params![abi.octets, abi.length, list.bit(), FROM_COMMAND];
            let removed = self
                .connection
                .execute(
                    "DELETE FROM entries
                     WHERE address = ? AND length = ? AND list = ? AND origin = ?",
                    key,
                )
                .with_context(|| cannot_write(&self.path))?;
            if removed == 1 {
                taken_out += 1;
                self.touched.push(abi);
                continue;
            }
            match self.place(list, abi)? {
                Some(place) => configured.push(format!("{prefix} stands in {place}")),
                None => missing.push(prefix.to_string()),
            }
        }
        if !configured.is_empty() {
            bail!(
                "the {} list has this from the configuration: {}; take it out there, and reload",
                list.name(),
                some(&configured)
            );
        }
        if !missing.is_empty() {
            bail!(
                "not in the {} list: {}; `sip-filter {} list` shows what is, and nothing was changed",
                list.name(),
                some(&missing),
                list.name()
            );
        }
        self.note_change()?;
        Ok(taken_out)
    }

    /// Takes out of a list all that commands have added, but for these.
    pub fn retain(&mut self, list: List, kept: &[NewEntry]) -> Result<u64> {
        let kept: HashSet<_> = kept.iter().map(|entry| entry.prefix.to_abi()).collect();
        let mut remove = || -> rusqlite::Result<u64> {
            let mut select = self
                .connection
                .prepare("SELECT address, length FROM entries WHERE list = ? AND origin = ?")?;
            let gone: Vec<_> = select
                .query_map(params![list.bit(), FROM_COMMAND], prefix)?
                .filter(|prefix| !matches!(prefix, Ok(prefix) if kept.contains(prefix)))
                .collect::<rusqlite::Result<_>>()?;
            let mut delete = self.connection.prepare(
                "DELETE FROM entries WHERE address = ? AND length = ? AND list = ? AND origin = ?",
            )?;
            for abi::Prefix { octets, length } in &gone {
                delete.execute(params![octets, length, list.bit(), FROM_COMMAND])?;
            }
            let removed = gone.len() as u64;
            self.touched.extend(gone);
            Ok(removed)
        };
        let removed = remove().with_context(|| cannot_write(&self.path))?;
        self.note_change()?;
        Ok(removed)
    }

    /// Makes these all that the configuration says; whether anything changes by that. Of a prefix
    /// that stands there twice, the first says why, and it lasts as long as the longer one.
    pub fn set_config(&mut self, entries: &[ConfigEntry]) -> Result<bool> {
        let mut wanted = BTreeMap::new();
        for entry in entries {
            let prefix = entry.prefix.to_abi();
            let until = entry.until.map(|until| until as i64);
            let (_, _, known) = wanted
                .entry((prefix.octets, prefix.length, entry.list.bit()))
                .or_insert((&*entry.reason, &*entry.place, until));
            *known = known.zip(until).map(|(one, other)| one.max(other));
        }
        let touched = self.touched.len();
        let set = || -> rusqlite::Result<bool> {
            let mut differ = false;
            let mut select = self.connection.prepare(
                "SELECT address, length, list, reason, place, until FROM entries WHERE origin = ?",
            )?;
            let known = select
                .query_map([FROM_CONFIG], |row| {
                    let abi::Prefix { octets, length } = prefix(row)?;
                    let said: (String, String, Option<i64>) =
                        (row.get(3)?, row.get(4)?, row.get(5)?);
                    Ok(((octets, length, row.get::<_, u32>(2)?), said))
                })?
                .collect::<rusqlite::Result<BTreeMap<_, _>>>()?;
            let mut delete = self.connection.prepare(
                "DELETE FROM entries WHERE address = ? AND length = ? AND list = ? AND origin = ?",
            )?;
            for (octets, length, list) in known.keys() {
                if !wanted.contains_key(&(*octets, *length, *list)) {
                    delete.execute(params![octets, length, list, FROM_CONFIG])?;
                    let (octets, length) = (*octets, *length);
                    self.touched.push(abi::Prefix { length, octets });
                }
            }
            let mut put = self.connection.prepare(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET until = excluded.until, reason = excluded.reason,
                 place = excluded.place",
            )?;
            let now = now_ms() as i64;
            for ((octets, length, list), (reason, place, until)) in wanted {
                let before = known.get(&(octets, length, list));
                if before
                    .is_some_and(|(why, at, end)| why == reason && at == place && *end == until)
                {
                    continue;
                }
                put.execute(params![
                    octets,
                    length,
                    list,
                    FROM_CONFIG,
                    until,
                    reason,
                    place,
                    now
                ])?;
                differ = true;
                if before.is_none_or(|(_, _, end)| *end != until) {
                    self.touched.push(abi::Prefix { length, octets });
                }
            }
            Ok(differ)
        };
        let differ = set().with_context(|| cannot_write(&self.path))?;
        let differ = differ || self.touched.len() > touched;
        self.note_change()?;
        Ok(differ)
    }

    /// Whom what has changed is about, in no order and maybe twice.
    pub fn touched(&self) -> &[abi::Prefix] {
        &self.touched
    }

    /// The generation that was in force when this was opened.
    pub fn before(&self) -> u64 {
        self.before
    }

    /// The generation that will be in force.
    pub fn generation(&self) -> u64 {
        self.after
    }

    /// Both lists as they will be.
    pub fn lists(&self) -> Result<Lists> {
        let rules = self
            .rules("SELECT address, length, list, until FROM entries ORDER BY address, length")?;
        Ok(Lists {
            generation: self.after,
            rules,
        })
    }

    /// All that will be said of prefixes, as opposed to single addresses.
    pub fn prefixes(&self) -> Result<Vec<Rule>> {
        self.rules(
            "SELECT address, length, list, until FROM entries WHERE length < 128
             ORDER BY address, length",
        )
    }

    /// What will be said of a prefix, or nothing.
    pub fn rule(&self, prefix: &abi::Prefix) -> Result<Option<Rule>> {
        let read = || -> rusqlite::Result<Option<Rule>> {
            let mut select = self.connection.prepare_cached(
                "SELECT address, length, list, until FROM entries WHERE address = ? AND length = ?",
            )?;
            let rules = merged(&mut select, params![prefix.octets, prefix.length])?;
            Ok(rules.first().copied())
        };
        read().context("cannot read the lists")
    }

    /// How much they will hold.
    pub fn size(&self) -> Result<Size> {
        let mut size = Size::default();
        for rule in self.prefixes()? {
            size.add(&rule);
        }
        let addresses: i64 = self
            .connection
            .query_row(
                "SELECT count(*) FROM (SELECT DISTINCT address FROM entries WHERE length = 128)",
                [],
                |row| row.get(0),
            )
            .context("cannot read the lists")?;
        size.addresses = addresses as u64;
        Ok(size)
    }

    /// Makes it so.
    pub fn commit(&mut self) -> Result<()> {
        self.connection
            .execute_batch("COMMIT")
            .with_context(|| cannot_write(&self.path))
    }

    fn rules(&self, select: &str) -> Result<Vec<Rule>> {
        let read = || merged(&mut self.connection.prepare(select)?, []);
        read().context("cannot read the lists")
    }

    /// Where the configuration says something of a prefix.
    fn place(&self, list: List, prefix: abi::Prefix) -> Result<Option<String>> {
        self.connection
            .query_row(
                "SELECT place FROM entries
                 WHERE address = ? AND length = ? AND list = ? AND origin = ?",
                params![prefix.octets, prefix.length, list.bit(), FROM_CONFIG],
                |row| row.get(0),
            )
            .optional()
            .context("cannot read the lists")
    }

    fn purge(&mut self) -> Result<()> {
        let purge = || -> rusqlite::Result<Vec<(u32, abi::Prefix)>> {
            let mut delete = self
                .connection
                .prepare("DELETE FROM entries WHERE until <= ? RETURNING address, length, list")?;
            let gone =
                delete.query_map([now_ms() as i64], |row| Ok((row.get(2)?, prefix(row)?)))?;
            gone.collect()
        };
        self.purged = purge()?;
        self.touched = self.purged.iter().map(|(_, prefix)| *prefix).collect();
        self.note_change()
    }

    /// Gives what has changed a generation of its own.
    fn note_change(&mut self) -> Result<()> {
        if self.after != self.before || self.touched.is_empty() {
            return Ok(());
        }
        // The time, so that no other change has ever had it: not one that was never committed, nor
        // one in a file that is gone.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_nanos() as u64);
        self.after = now.max(self.before + 1);
        self.connection
            .execute("UPDATE generation SET number = ?", [self.after as i64])
            .with_context(|| cannot_write(&self.path))?;
        Ok(())
    }
}

/// Rows of address, length, list and expiry, in the order of address and length, as rules.
fn merged(select: &mut Statement<'_>, of: impl rusqlite::Params) -> rusqlite::Result<Vec<Rule>> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut rows = select.query(of)?;
    while let Some(row) = rows.next()? {
        let rule = Rule {
            prefix: prefix(row)?,
            lists: row.get(2)?,
            until: time(row.get(3)?),
        };
        match rules.last_mut() {
            Some(last) if last.prefix == rule.prefix => {
                last.until = match (last.lists & rule.lists & Listed::BLOCKED != 0, rule.lists) {
                    // Both block it: until the later end.
                    (true, _) => last
                        .until
                        .zip(rule.until)
                        .map(|(one, other)| one.max(other)),
                    (false, Listed::BLOCKED) => rule.until,
                    _ => last.until,
                };
                last.lists |= rule.lists;
            }
            _ => rules.push(rule),
        }
    }
    Ok(rules)
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

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}; nothing was changed", path.display())
}

/// The first few, and how many more.
fn some(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    /// A folder that is gone when this is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = env::temp_dir().join(format!("sip-filter-{name}-{}", process::id()));
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    fn new(text: &str, until: Option<u64>, reason: &str) -> NewEntry {
        NewEntry {
            prefix: prefix(text),
            until,
            reason: reason.to_owned(),
        }
    }

    fn configured(list: List, text: &str, place: &str) -> ConfigEntry {
        ConfigEntry {
            list,
            prefix: prefix(text),
            until: None,
            reason: String::new(),
            place: place.to_owned(),
        }
    }

    /// What is said of a prefix: bits of the lists, and the expiry.
    fn said(writing: &Writing, text: &str) -> Option<(u32, Option<u64>)> {
        let rule = writing.rule(&prefix(text).to_abi()).unwrap();
        rule.map(|rule| (rule.lists, rule.until))
    }

    #[test]
    fn what_the_configuration_says_ends_when_it_says_so() {
        let Folder(folder) = &Folder::new("until");
        let later = now_ms() + 3_600_000;
        let entry = |until| ConfigEntry {
            until,
            ..configured(List::Block, "192.0.2.7", "a")
        };
        for (untils, expected) in [
            (&[Some(later)][..], Some(later)),
            (&[Some(later), Some(later + 1)], Some(later + 1)),
            (&[Some(later), None], None),
            (&[Some(later)], Some(later)),
        ] {
            let entries: Vec<_> = untils.iter().copied().map(entry).collect();
            let mut writing = Writing::open(folder, "test").unwrap();
            assert!(writing.set_config(&entries).unwrap());
            assert_eq!(writing.touched(), [prefix("192.0.2.7").to_abi()]);
            assert_eq!(said(&writing, "192.0.2.7"), Some((2, expected)));
            assert_eq!(Lists::of_configuration(&entries).rules[0].until, expected);
            writing.commit().unwrap();
            let mut writing = Writing::open(folder, "test").unwrap();
            assert!(!writing.set_config(&entries).unwrap());
        }
    }

    #[test]
    fn what_is_not_committed_has_not_happened() {
        let Folder(folder) = &Folder::new("commit");
        assert!(State::open(folder, "test").unwrap().is_none());
        assert!(Writing::open_existing(folder, "test").unwrap().is_none());
        let mut writing = Writing::open(folder, "test").unwrap();
        let added = writing.add(List::Block, &[new("192.0.2.7", None, "")]);
        assert_eq!(added.unwrap(), Added { new: 1, known: 0 });
        drop(writing);
        let mut writing = Writing::open(folder, "test").unwrap();
        assert_eq!(writing.lists().unwrap().rules, []);
        assert_eq!(writing.generation(), writing.before());
        let entries = [new("192.0.2.7", None, "one"), new("192.0.2.7", None, "two")];
        writing.add(List::Block, &entries).unwrap();
        let generation = writing.generation();
        assert_ne!(generation, writing.before());
        writing.commit().unwrap();
        // Readers and the next one see it.
        let state = State::open(folder, "test").unwrap().unwrap();
        let listed = state.entries(List::Block).unwrap();
        assert_eq!((listed.len(), &*listed[0].reason), (1, "one"));
        assert_eq!(state.entries(List::Allow).unwrap(), []);
        drop(writing);
        let mut writing = Writing::open(folder, "test").unwrap();
        assert_eq!(writing.before(), generation);
        // What is there already changes nothing.
        let added = writing.add(List::Block, &entries).unwrap();
        assert_eq!(added, Added { new: 0, known: 1 });
        assert_eq!(
            (writing.generation(), writing.touched().len()),
            (generation, 0)
        );
    }

    #[test]
    fn what_both_lists_and_all_origins_say_is_one_rule() {
        let Folder(folder) = &Folder::new("merge");
        let mut writing = Writing::open(folder, "test").unwrap();
        let soon = now_ms() + 60_000;
        writing
            .add(List::Block, &[new("192.0.2.7", Some(soon), "")])
            .unwrap();
        assert_eq!(
            said(&writing, "192.0.2.7"),
            Some((Listed::BLOCKED, Some(soon)))
        );
        writing
            .add(List::Allow, &[new("192.0.2.7", None, "")])
            .unwrap();
        let both = Listed::ALLOWED | Listed::BLOCKED;
        assert_eq!(said(&writing, "192.0.2.7"), Some((both, Some(soon))));
        // Of two that block, the later end counts.
        let block = configured(List::Block, "192.0.2.7", "a:1");
        assert!(writing.set_config(std::slice::from_ref(&block)).unwrap());
        assert_eq!(said(&writing, "192.0.2.7"), Some((both, None)));
        assert!(!writing.set_config(std::slice::from_ref(&block)).unwrap());
        assert_eq!(
            writing.remove(List::Block, &[prefix("192.0.2.7")]).unwrap(),
            1
        );
        assert_eq!(said(&writing, "192.0.2.7"), Some((both, None)));
        // Not the same as a prefix that covers it.
        assert_eq!(said(&writing, "192.0.2.0/24"), None);
        let error = writing
            .remove(List::Block, &[prefix("192.0.2.7")])
            .unwrap_err();
        assert!(
            error.to_string().contains("192.0.2.7 stands in a:1"),
            "{error}"
        );
        assert!(writing.set_config(&[]).unwrap());
        assert_eq!(said(&writing, "192.0.2.7"), Some((Listed::ALLOWED, None)));
        let size = writing.size().unwrap();
        assert_eq!(size, writing.lists().unwrap().size());
        assert_eq!(size.addresses, 1);
    }

    #[test]
    fn what_has_expired_goes_with_the_next_change() {
        let Folder(folder) = &Folder::new("expiry");
        let mut writing = Writing::open(folder, "test").unwrap();
        let entries = [
            new("192.0.2.7", Some(now_ms() - 1), ""),
            new("192.0.2.0/24", Some(now_ms() + 60_000), ""),
        ];
        writing.add(List::Block, &entries).unwrap();
        let generation = writing.generation();
        writing.commit().unwrap();
        let state = State::open(folder, "test").unwrap().unwrap();
        assert_eq!(state.entries(List::Block).unwrap().len(), 2);
        drop((state, writing));
        let mut writing = Writing::open(folder, "test").unwrap();
        assert_eq!(writing.touched(), [prefix("192.0.2.7").to_abi()]);
        assert_ne!(writing.generation(), generation);
        assert_eq!(writing.lists().unwrap().rules.len(), 1);
        // It was listed until now, in this list.
        assert!(writing.remove(List::Block, &[prefix("192.0.2.7")]).is_ok());
        assert!(writing.remove(List::Allow, &[prefix("192.0.2.7")]).is_err());
        writing.commit().unwrap();
    }

    #[test]
    fn a_file_of_another_version_or_none_of_ours_is_refused() {
        let Folder(folder) = &Folder::new("version");
        drop(Writing::open(folder, "test").unwrap());
        let path = State::path(folder, "test");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 7).unwrap();
        drop(connection);
        for error in [
            Writing::open(folder, "test").err().unwrap(),
            State::open(folder, "test").err().unwrap(),
        ] {
            assert!(error.to_string().contains("layout 7, not 1"), "{error}");
        }
        fs::write(
            &path,
            "no database, but a text that is long enough to be looked at".repeat(20),
        )
        .unwrap();
        for error in [
            Writing::open(folder, "test").err().unwrap(),
            State::open(folder, "test").err().unwrap(),
        ] {
            let error = format!("{error:#}");
            assert!(
                error.contains("test.db") && error.contains("not a database"),
                "{error}"
            );
        }
    }
}
