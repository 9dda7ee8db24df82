//! Reading what was kept.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    ops::Range,
    path::Path,
};

use anyhow::{Context, Result};
use rusqlite::{Connection, params};

use super::{
    By, Counts, Key,
    ledger::{Octets, SourcesOfDay},
    period::{Period, Unit},
    schema,
    write::counts,
};

/// A history that is open for reading: one state of it, whatever is written meanwhile.
pub struct Reader {
    connection: Connection,
}

/// What was counted of one thing in one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// When.
    pub period: Period,
    /// Of what.
    pub key: Key,
    /// How much.
    pub counts: Counts,
}

impl Reader {
    /// Opens the file.
    ///
    /// # Errors
    ///
    /// As [`schema::open_to_read`].
    pub fn open(path: &Path) -> Result<Self> {
        let connection = schema::open_to_read(path)?;
        Ok(Self { connection })
    }

    /// What was counted by one thing in the periods of a unit from the first number to before the
    /// last, in the periods' order.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, as for all that follow.
    pub fn kept(&self, unit: Unit, numbers: Range<i64>, by: By) -> Result<Vec<Kept>> {
        let read = || -> rusqlite::Result<Vec<Kept>> {
            let mut select = self.connection.prepare_cached(
                "SELECT start, name, kind, packets, bytes, scanner, dropped, would_drop
                 FROM counts WHERE unit = ? AND start >= ? AND start < ? AND by = ?
                 ORDER BY start, name, kind",
            )?;
            let of = params![unit.number(), numbers.start, numbers.end, by.number()];
            let rows = select.query_map(of, |row| {
                Ok(Kept {
                    period: Period {
                        unit,
                        number: row.get(0)?,
                    },
                    key: Key {
                        by,
                        name: row.get(1)?,
                        kind: row.get(2)?,
                    },
                    counts: counts(row, 3)?,
                })
            })?;
            rows.collect()
        };
        read().context("cannot read the history")
    }

    /// The first period and the last one of which anything was kept.
    pub fn span(&self, unit: Unit) -> Result<Option<(Period, Period)>> {
        let select = "SELECT min(start), max(start) FROM counts WHERE unit = ?";
        let span = self.connection.query_row(select, [unit.number()], |row| {
            let period = |number: Option<i64>| number.map(|number| Period { unit, number });
            Ok((period(row.get(0)?), period(row.get(1)?)))
        });
        let (first, last) = span.context("cannot read the history")?;
        Ok(first.zip(last))
    }

    /// What sources sent on these days, those that were named, in no order.
    pub fn sources(&self, days: Range<i64>) -> Result<Vec<(IpAddr, Counts)>> {
        let mut sources: HashMap<Octets, Counts> = HashMap::new();
        for (_, address, counts) in self.sources_by_day(days)? {
            sources.entry(address).or_default().add(&counts);
        }
        let named = |(octets, counts)| (Ipv6Addr::from(octets).to_canonical(), counts);
        Ok(sources.into_iter().map(named).collect())
    }

    /// The same for each day, in the days' order; of the one that is not over all sources.
    pub fn sources_by_day(&self, days: Range<i64>) -> Result<Vec<(i64, Octets, Counts)>> {
        let read = || -> rusqlite::Result<Vec<(i64, Octets, Counts)>> {
            let mut select = self.connection.prepare(
                "SELECT day, address, packets, bytes, scanner, dropped, would_drop FROM sources
                 WHERE day >= ? AND day < ? ORDER BY day, address",
            )?;
            let rows = select.query_map(params![days.start, days.end], |row| {
                Ok((row.get(0)?, row.get(1)?, counts(row, 2)?))
            })?;
            rows.collect()
        };
        let mut sources = read().context("cannot read the history")?;
        if let Some((day, today)) = self.today()?
            && days.contains(&day)
        {
            sources.extend(today.into_iter().map(|(it, counts)| (day, it, counts)));
        }
        Ok(sources)
    }

    /// What sources have sent on the day that is not over.
    fn today(&self) -> Result<Option<SourcesOfDay>> {
        super::write::today(&self.connection).context("cannot read the history")
    }
}
