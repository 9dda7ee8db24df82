//! Changing the lists: one transaction for each change, and only one process at a time.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow, bail};
use rusqlite::{Connection, ErrorCode, MAIN_DB, OptionalExtension as _, Statement, ffi, params};
use sip_filter_common::lists::{self as abi, Listed};

use super::{
    super::{ConfigEntry, List, Lists, NewEntry, Rule, Size, now_ms},
    FROM_COMMAND, FROM_CONFIG, PATIENCE, SCHEMA, State, VERSION, cannot_open, check_version,
    prefix, time, version,
};
use crate::config::prefix::Prefix;

/// How many missing entries an error names.
const NAMED: usize = 10;

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
