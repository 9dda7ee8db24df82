//! What of a history goes: what is older than it is to be kept, and the oldest where there is no room.

use anyhow::Result;
use jiff::{Timestamp, tz::TimeZone};
use rusqlite::params;

use super::{
    period::{Period, Unit},
    write::Writer,
};
use crate::config::configuration::History;

/// How full a file may get before the oldest goes, of a hundred parts of what it may take, and how full
/// it is then.
const FULL: u64 = 90;
const ENOUGH: u64 = 75;
/// In so many parts the oldest goes.
const PARTS: i64 = 8;

/// In what order rows go where there is no room: what is kept for longest last.
const EXPENDABLE: [Expendable; 4] = [
    Expendable::Counts(Unit::Minute),
    Expendable::Counts(Unit::Hour),
    Expendable::Sources,
    Expendable::Counts(Unit::Day),
];

#[derive(Clone, Copy)]
enum Expendable {
    Counts(Unit),
    Sources,
}

impl Writer {
    /// Removes what is older than it is to be kept, at this moment.
    pub fn forget(&mut self, settings: &History, now: Timestamp, zone: &TimeZone) -> Result<()> {
        let transaction = self.connection.transaction()?;
        for (unit, (_, keep)) in Unit::ALL.into_iter().zip(settings.keep()) {
            let Some(seconds) = keep.value.seconds() else {
                continue;
            };
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            let first = now.as_second().saturating_sub(seconds);
            let Ok(first) = Timestamp::from_second(first) else {
                continue;
            };
            let start = Period::of(unit, first, zone).number;
            transaction.execute(
                "DELETE FROM counts WHERE unit = ? AND start < ?",
                params![unit.number(), start],
            )?;
            if unit == Unit::Day {
                transaction.execute("DELETE FROM sources WHERE day < ?", [start])?;
            }
        }
        transaction.commit()?;
        self.shrink()
    }

    /// Makes room where the file takes nearly as much as it may; what went, in words. Months stay.
    pub fn make_room(&mut self, settings: &History) -> Result<Option<String>> {
        let at_most = settings.max_size.value.bytes();
        if self.size()? * 100 <= at_most * FULL {
            return Ok(None);
        }
        let mut gone = Vec::new();
        for what in EXPENDABLE {
            let (name, table, unit, column) = match what {
                Expendable::Counts(unit) => (
                    format!("{}s", unit.name()),
                    "counts",
                    format!("unit = {}", unit.number()),
                    "start",
                ),
                Expendable::Sources => ("sources".to_owned(), "sources", "TRUE".to_owned(), "day"),
            };
            let span = format!("SELECT min({column}), max({column}) FROM {table} WHERE {unit}");
            for part in 1..=PARTS {
                if self.size()? * 100 <= at_most * ENOUGH {
                    break;
                }
                let span = self.connection.query_row(&span, [], |row| {
                    Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
                })?;
                let (Some(first), Some(last)) = span else {
                    break;
                };
                let until = match part {
                    PARTS => last + 1,
                    _ => first + (last - first) / (PARTS + 1 - part) + 1,
                };
                let delete = format!("DELETE FROM {table} WHERE {unit} AND {column} < ?");
                self.connection.execute(&delete, [until])?;
                if !gone.contains(&name) {
                    gone.push(name.clone());
                }
                self.shrink()?;
            }
        }
        Ok((!gone.is_empty()).then(|| gone.join(", ")))
    }

    /// What the file takes, in bytes, without the log beside it.
    pub fn size(&self) -> Result<u64> {
        let number = |pragma: &str| -> Result<u64> {
            let number: i64 =
                self.connection
                    .query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?;
            Ok(number as u64)
        };
        Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
    }

    /// Gives what is free back to the file system.
    fn shrink(&self) -> Result<()> {
        let mut vacuum = self.connection.prepare("PRAGMA incremental_vacuum")?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{configuration::Set, keep::Keep, size::Size},
        history::{
            tests::Folder,
            write::tests::{moment, total, totals},
        },
    };

    /// Adds so many packets to a moment, and to all that it belongs to.
    fn add(writer: &mut Writer, at: &str, packets: u64) {
        let minute = Period::of(Unit::Minute, moment(at), &TimeZone::UTC);
        let periods = minute.with_larger(&TimeZone::UTC).into_iter();
        let came: Vec<_> = periods.map(|period| (period, total(packets))).collect();
        writer.add(&came, &[], 0).unwrap();
    }

    #[test]
    fn each_unit_is_kept_for_its_own_time() {
        let Folder(folder) = &Folder::new("forget");
        let path = &folder.join("h.sqlite");
        let mut writer = Writer::open(path).unwrap();
        for at in [
            "2019-01-01T00:00Z",
            "2026-09-01T00:00Z",
            "2026-11-24T12:00Z",
        ] {
            add(&mut writer, &at.replace('Z', ":00Z"), 1);
        }
        let now = moment("2026-11-26T12:00:00Z");
        writer
            .forget(&History::default(), now, &TimeZone::UTC)
            .unwrap();
        let kept = Unit::ALL.map(|unit| totals(path, unit).len());
        assert_eq!(kept, [1, 1, 2, 3]);
        let settings = History {
            months: Set::default(Keep::years(1)),
            ..History::default()
        };
        writer.forget(&settings, now, &TimeZone::UTC).unwrap();
        assert_eq!(totals(path, Unit::Month).len(), 2);
    }

    #[test]
    fn a_file_that_takes_too_much_loses_the_oldest_minutes_first_and_no_month() {
        let Folder(folder) = &Folder::new("room");
        let path = &folder.join("h.sqlite");
        let settings = History {
            max_size: Set::default("512K".parse::<Size>().unwrap()),
            ..History::default()
        };
        let mut writer = Writer::open(path).unwrap();
        let minutes = 25_000;
        let first = Period::parse("2026-11-01T00:00Z").unwrap();
        let came: Vec<_> = (0..minutes)
            .flat_map(|number| first.after(number).with_larger(&TimeZone::UTC))
            .map(|period| (period, total(1)))
            .collect();
        writer.add(&came, &[], 0).unwrap();
        assert!(writer.size().unwrap() > 512 << 10);
        let gone = writer.make_room(&settings).unwrap();
        assert_eq!(gone.as_deref(), Some("minutes"));
        assert!(writer.size().unwrap() < 512 << 10);
        let kept = totals(path, Unit::Minute);
        assert!(kept.len() > 5_000, "{}", kept.len());
        let last = first.after(minutes - 1).to_string();
        assert_eq!(kept.last().map(|(minute, _)| minute), Some(&last));
        assert_eq!(totals(path, Unit::Hour).len(), 417);
        assert_eq!(writer.make_room(&settings).unwrap(), None);
        // The file itself is smaller, not only what is in it.
        drop(writer);
        let bytes = std::fs::metadata(path).unwrap().len();
        assert!(bytes < 512 << 10, "{bytes}");
        assert_eq!(totals(path, Unit::Month), [("2026-11".to_owned(), 25_000)]);
    }
}
