//! Writing what came into the file: each interval is one transaction, with the minute, hour, day and
//! month that it belongs to, and what the counters say now; so it is there whole or not at all, and
//! the next one knows where to go on.

use std::path::Path;

use anyhow::{Result, bail};
use jiff::tz::TimeZone;
use rusqlite::{
    Connection, OptionalExtension as _, Transaction, params, params_from_iter, types::ToSqlOutput,
};

use super::{
    By, Counts, Key,
    ledger::{Change, Followed, Identity, Ledger, Octets, Seen, SourcesOfDay},
    period::{Period, Unit},
    schema,
};
use crate::config::configuration::History;

/// A history that is open for writing.
pub struct Writer {
    pub(super) connection: Connection,
}

impl Writer {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    ///
    /// As [`schema::open`].
    pub fn open(path: &Path) -> Result<Self> {
        let connection = schema::open(path)?;
        Ok(Self { connection })
    }

    /// The same of a file whose every page was read, for whoever is to rely on it.
    ///
    /// # Errors
    ///
    /// As [`schema::open`]; a damaged page is found here, too.
    pub fn open_checked(path: &Path) -> Result<Self> {
        let writer = Self::open(path)?;
        schema::check(&writer.connection)?;
        Ok(writer)
    }

    /// What the counters of this filter said when they were written last; `None` where none were.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is another filter's.
    pub fn ledger(&self, instance: &str) -> Result<Option<Ledger>> {
        let select = "SELECT instance, boot, map, at, monotonic, day FROM counters";
        let head = self.connection.query_row(select, [], |row| {
            let identity = Identity {
                boot: row.get(1)?,
                map: row.get(2)?,
            };
            let ledger = Ledger {
                identity: Some(identity),
                at: row.get(3)?,
                monotonic: row.get::<_, i64>(4)? as u64,
                day: row.get(5)?,
                ..Ledger::default()
            };
            Ok((row.get::<_, String>(0)?, ledger))
        });
        let Some((owner, mut ledger)) = head.optional()? else {
            return Ok(None);
        };
        if owner != instance {
            bail!("it is the history of the filter {owner}; name another file");
        }
        let mut select = self.connection.prepare(
            "SELECT by, name, kind, packets, bytes, scanner, dropped, would_drop FROM counted",
        )?;
        let rows = select.query_map([], |row| {
            let number = row.get::<_, i64>(0)?;
            let by = By::ALL.into_iter().find(|by| by.number() == number);
            let key = Key {
                by: by.unwrap_or(By::Total),
                name: row.get(1)?,
                kind: row.get(2)?,
            };
            Ok((key, counts(row, 3)?))
        })?;
        ledger.counts = rows.collect::<rusqlite::Result<_>>()?;
        let mut select = self
            .connection
            .prepare("SELECT address, numbers FROM followed")?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, unpacked(&row.get(1)?))))?;
        ledger.sources = rows.collect::<rusqlite::Result<_>>()?;
        Ok(Some(ledger))
    }

    /// Writes what came, all of it or nothing.
    ///
    /// # Errors
    ///
    /// When it cannot be written, as for all that follow.
    pub fn write(
        &mut self,
        instance: &str,
        change: &Change,
        settings: &History,
        zone: &TimeZone,
    ) -> Result<()> {
        let transaction = self.connection.transaction()?;
        if change.is_anew {
            transaction.execute("DELETE FROM counted", [])?;
        }
        put_counted(&transaction, &change.counts)?;
        let minute = Period::of(Unit::Minute, change.moment, zone);
        add(&transaction, &minute.with_larger(zone), &change.came)?;
        if let Some((day, sources)) = &change.over {
            let named = settings.sources.value as usize;
            add_sources(&transaction, *day, sources.clone(), named)?;
        }
        put_followed(&transaction, change)?;
        transaction.execute(
            "INSERT OR REPLACE INTO counters VALUES (1, ?, ?, ?, ?, ?, ?)",
            params![
                instance,
                change.identity.boot,
                change.identity.map,
                change.at,
                change.monotonic as i64,
                change.day
            ],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Writes a whole ledger into a file that has none of it: what is in it came before, and was kept
    /// elsewhere.
    pub fn begin(&mut self, instance: &str, ledger: &Ledger) -> Result<()> {
        let Some(identity) = &ledger.identity else {
            return Ok(());
        };
        let transaction = self.connection.transaction()?;
        transaction.execute_batch("DELETE FROM counted; DELETE FROM followed")?;
        let counts = ledger
            .counts
            .iter()
            .map(|(key, counts)| (key.clone(), *counts));
        put_counted(&transaction, &counts.collect::<Vec<_>>())?;
        let mut put = transaction.prepare("INSERT INTO followed VALUES (?, ?)")?;
        for (address, followed) in &ledger.sources {
            put.execute(params![address, packed(followed)])?;
        }
        drop(put);
        transaction.execute(
            "INSERT OR REPLACE INTO counters VALUES (1, ?, ?, ?, ?, ?, ?)",
            params![
                instance,
                identity.boot,
                identity.map,
                ledger.at,
                ledger.monotonic as i64,
                ledger.day
            ],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Adds what came in these periods, all of it or nothing; sources with their days.
    pub fn add(
        &mut self,
        came: &[(Period, Vec<(Key, Counts)>)],
        sources: &[SourcesOfDay],
        named: usize,
    ) -> Result<()> {
        let transaction = self.connection.transaction()?;
        for (period, came) in came {
            add(&transaction, &[*period], came)?;
        }
        for (day, sources) in sources {
            add_sources(&transaction, *day, sources.clone(), named)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn put_counted(transaction: &Transaction<'_>, counted: &[(Key, Counts)]) -> Result<()> {
    let mut put = transaction
        .prepare_cached("INSERT OR REPLACE INTO counted VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
    for (key, counts) in counted {
        put.execute(columns(key, counts))?;
    }
    Ok(())
}

/// The columns from `by` to `would_drop`, in which `counted` and `counts` are alike.
fn columns<'a>(key: &'a Key, counts: &Counts) -> [ToSqlOutput<'a>; 8] {
    let Key { by, name, kind } = key;
    let [packets, bytes, scanner, dropped, would_drop] = numbers(counts).map(ToSqlOutput::from);
    let [name, kind] = [name.as_str(), kind].map(ToSqlOutput::from);
    [
        by.number().into(),
        name,
        kind,
        packets,
        bytes,
        scanner,
        dropped,
        would_drop,
    ]
}

fn put_followed(transaction: &Transaction<'_>, change: &Change) -> Result<()> {
    let mut delete = transaction.prepare_cached("DELETE FROM followed WHERE address = ?")?;
    for address in &change.gone {
        delete.execute([address])?;
    }
    // Thousands may have changed: each is looked for once, as nothing else of its row need stay, and in
    // the order of the file's pages.
    let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO followed VALUES (?, ?)")?;
    let mut sources: Vec<_> = change.sources.iter().collect();
    sources.sort_unstable_by_key(|(address, _)| *address);
    for (address, followed) in sources {
        put.execute(params![address, packed(followed)])?;
    }
    Ok(())
}

fn add(transaction: &Transaction<'_>, periods: &[Period], came: &[(Key, Counts)]) -> Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET packets = packets + excluded.packets,
         bytes = bytes + excluded.bytes, scanner = scanner + excluded.scanner,
         dropped = dropped + excluded.dropped, would_drop = would_drop + excluded.would_drop",
    )?;
    for Period { unit, number } in periods {
        for (key, counts) in came {
            let of_period = [unit.number(), *number].map(ToSqlOutput::from);
            let row = of_period.into_iter().chain(columns(key, counts));
            put.execute(params_from_iter(row))?;
        }
    }
    Ok(())
}

/// Adds sources to a day, of which those that sent most are named.
fn add_sources(
    transaction: &Transaction<'_>,
    day: i64,
    mut sources: Vec<(Octets, Counts)>,
    named: usize,
) -> Result<()> {
    let most = |(address, counts): &(Octets, Counts)| (std::cmp::Reverse(counts.packets), *address);
    if sources.len() > named && named > 0 {
        sources.select_nth_unstable_by_key(named, most);
    }
    sources.truncate(named);
    sources.sort_unstable_by_key(|(address, _)| *address);
    let mut put = transaction.prepare_cached(
        "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET packets = packets + excluded.packets,
         bytes = bytes + excluded.bytes, scanner = scanner + excluded.scanner,
         dropped = dropped + excluded.dropped, would_drop = would_drop + excluded.would_drop",
    )?;
    for (address, counts) in &sources {
        let [packets, bytes, scanner, dropped, would_drop] = numbers(counts);
        put.execute(params![
            day, address, packets, bytes, scanner, dropped, would_drop
        ])?;
    }
    // A day may be over twice, where the clock was set back.
    transaction.execute(
        "DELETE FROM sources WHERE day = ?1 AND address IN (
             SELECT address FROM sources WHERE day = ?1
             ORDER BY packets DESC, address LIMIT -1 OFFSET ?2)",
        params![day, named as i64],
    )?;
    Ok(())
}

/// In the order of the columns.
fn numbers(counts: &Counts) -> [i64; 5] {
    let Counts {
        packets,
        bytes,
        scanner,
        dropped,
        would_drop,
    } = *counts;
    [packets, bytes, scanner, dropped, would_drop]
        .map(|number| i64::try_from(number).unwrap_or(i64::MAX))
}

/// From five columns, of which this is the first.
pub(super) fn counts(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Counts> {
    let number = |at: usize| -> rusqlite::Result<u64> {
        let number: i64 = row.get(first + at)?;
        Ok(number as u64)
    };
    Ok(Counts {
        packets: number(0)?,
        bytes: number(1)?,
        scanner: number(2)?,
        dropped: number(3)?,
        would_drop: number(4)?,
    })
}

/// What sources have sent on the day that is not over, if counters were ever written.
pub(super) fn today(connection: &Connection) -> rusqlite::Result<Option<SourcesOfDay>> {
    let day = connection.query_row("SELECT day FROM counters", [], |row| row.get(0));
    let Some(day) = day.optional()? else {
        return Ok(None);
    };
    let mut select = connection.prepare("SELECT address, numbers FROM followed")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, unpacked(&row.get(1)?).today)))?;
    let sent = |row: &rusqlite::Result<(Octets, Counts)>| {
        row.as_ref().map_or(true, |(_, today)| !today.is_zero())
    };
    let sources = rows.filter(sent).collect::<rusqlite::Result<_>>()?;
    Ok(Some((day, sources)))
}

const NUMBERS: usize = 11;

/// Little-endian.
fn packed(followed: &Followed) -> [u8; NUMBERS * 8] {
    let Followed {
        seen: Seen { first, counts },
        today,
    } = followed;
    let mut packed = [0; NUMBERS * 8];
    let each = |counts: &Counts| numbers(counts).map(|number| number as u64);
    let all = [*first].into_iter().chain(each(counts)).chain(each(today));
    for (place, number) in packed.chunks_exact_mut(8).zip(all) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    packed
}

fn unpacked(packed: &[u8; NUMBERS * 8]) -> Followed {
    let mut numbers = [0; NUMBERS];
    for (number, place) in numbers.iter_mut().zip(packed.as_chunks::<8>().0) {
        *number = u64::from_le_bytes(*place);
    }
    let counts = |at: usize| Counts {
        packets: numbers[at],
        bytes: numbers[at + 1],
        scanner: numbers[at + 2],
        dropped: numbers[at + 3],
        would_drop: numbers[at + 4],
    };
    Followed {
        seen: Seen {
            first: numbers[0],
            counts: counts(1),
        },
        today: counts(6),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashMap;

    use jiff::Timestamp;

    use super::*;
    use crate::history::{ledger::Reading, read::Reader, tests::Folder};

    const INSTANCE: &str = "edge";

    pub(in crate::history) fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    pub(in crate::history) fn total(packets: u64) -> Vec<(Key, Counts)> {
        vec![(Key::new(By::Total, ""), Counts::of_packets(packets))]
    }

    fn source(last: u8, packets: u64) -> (Octets, Counts) {
        let mut address = [0; 16];
        address[15] = last;
        (address, Counts::of_packets(packets))
    }

    pub(in crate::history) fn totals(path: &Path, unit: Unit) -> Vec<(String, u64)> {
        let reader = Reader::open(path).unwrap();
        let kept = reader.kept(unit, i64::MIN..i64::MAX, By::Total).unwrap();
        kept.into_iter()
            .map(|kept| (kept.period.to_string(), kept.counts.packets))
            .collect()
    }

    fn reading(at: &str, packets: u64) -> Reading {
        Reading {
            identity: Identity {
                boot: "b".to_owned(),
                map: 7,
            },
            began: i64::MAX,
            at: moment(at),
            monotonic: 1,
            counts: HashMap::from_iter(total(packets)),
            sources: vec![(
                source(1, 0).0,
                Seen {
                    first: 0,
                    counts: Counts::of_packets(packets),
                },
            )],
        }
    }

    #[test]
    fn what_the_counters_said_is_known_to_whoever_opens_the_file_next() {
        let Folder(folder) = &Folder::new("ledger");
        let path = &folder.join("h.sqlite");
        let settings = History::default();
        let mut ledger = Ledger::default();
        // The clock is set back by a day, and forward again.
        for (at, packets) in [
            ("2026-11-30T23:59:10Z", 5),
            ("2026-12-01T00:00:10Z", 9),
            ("2026-11-30T23:59:30Z", 10),
            ("2026-12-01T00:02:10Z", 30),
        ] {
            // A process of its own each time.
            let mut writer = Writer::open_checked(path).unwrap();
            if let Some(kept) = writer.ledger(INSTANCE).unwrap() {
                assert_eq!(kept, ledger);
                ledger = kept;
            }
            let change = ledger.change(&reading(at, packets), &TimeZone::UTC, 10);
            let written = writer.write(INSTANCE, &change, &settings, &TimeZone::UTC);
            written.unwrap();
            ledger.apply(&change);
        }
        let month = |text: &str, packets| (text.to_owned(), packets);
        let months = [month("2026-11", 6), month("2026-12", 24)];
        assert_eq!(totals(path, Unit::Month), months);
        let days = [month("2026-11-30", 6), month("2026-12-01", 24)];
        assert_eq!(totals(path, Unit::Day), days);
        assert_eq!(totals(path, Unit::Minute).len(), 3);
        // The last day is not over; those before were over twice.
        let reader = Reader::open(path).unwrap();
        let sources = reader.sources_by_day(i64::MIN..i64::MAX).unwrap();
        let packets: HashMap<_, u64> = sources.iter().fold(HashMap::new(), |mut days, it| {
            *days.entry(it.0).or_default() += it.2.packets;
            days
        });
        let mut packets: Vec<_> = packets.into_iter().collect();
        packets.sort_unstable();
        let packets: Vec<_> = packets.into_iter().map(|(_, packets)| packets).collect();
        assert_eq!(packets, [6, 24]);
        let error = Writer::open(path).unwrap().ledger("other").unwrap_err();
        assert!(error.to_string().contains("the history of the filter edge"));
    }

    #[test]
    fn of_a_day_those_sources_are_named_that_sent_most() {
        let Folder(folder) = &Folder::new("sources");
        let path = &folder.join("h.sqlite");
        let mut writer = Writer::open(path).unwrap();
        let all: Vec<_> = (1..=9).map(|last| source(last, u64::from(last))).collect();
        writer.add(&[], &[(3, all)], 3).unwrap();
        writer.add(&[], &[(3, vec![source(1, 100)])], 3).unwrap();
        let reader = Reader::open(path).unwrap();
        let named = reader.sources_by_day(3..4).unwrap();
        let named: Vec<_> = named
            .iter()
            .map(|(_, address, counts)| (address[15], counts.packets))
            .collect();
        assert_eq!(named, [(1, 100), (8, 8), (9, 9)]);
    }
}
