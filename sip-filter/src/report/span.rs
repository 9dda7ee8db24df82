//! What time a report is of, and in which units.

use std::ops::Range;

use anyhow::{Result, bail};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use crate::{
    config::keep::Keep,
    history::period::{Period, Unit},
};

const SECONDS_OF_A_DAY: i64 = 86_400;
/// Up to so many days are shown by hour, and up to so many by day: what a figure has room for.
const BY_HOUR: i64 = 2;
const BY_DAY: i64 = 92;
/// How many months are shown where nothing is asked for: a year.
const USUAL_MONTHS: i64 = 12;

/// What the operator asked for; nothing asks for the last twelve months.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// From the beginning of this.
    pub since: Option<Period>,
    /// To the end of this; to now where it is missing.
    pub until: Option<Period>,
    /// The last of so much time; for ever asks for all since `since`.
    pub last: Option<Keep>,
    /// A whole year, or what there is of it.
    pub year: Option<i16>,
    /// Shown in these units, and not in those that fit.
    pub unit: Option<Unit>,
}

/// Whole periods of one unit, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The unit that the figures are in.
    pub unit: Unit,
    /// From the first to before the last.
    pub numbers: Range<i64>,
    /// The days that it has a part of, in the same way.
    pub days: Range<i64>,
    /// Whether the last period is not over.
    pub is_open: bool,
}

impl Span {
    /// The periods in which all that was asked for is, at this moment.
    ///
    /// # Errors
    ///
    /// When there is no such time.
    pub fn new(asked: &Asked, now: Timestamp, zone: &TimeZone) -> Result<Self> {
        let usual = || {
            let month = Period::of(Unit::Month, now, zone);
            begin(month.after(1 - USUAL_MONTHS), zone)
        };
        let until = asked.until.map(|until| begin(until.after(1), zone));
        let (from, to) = match (asked.year, asked.last, asked.since) {
            (Some(year), ..) => {
                let Ok(first) = Date::new(year, 1, 1) else {
                    bail!("there is no year {year}");
                };
                let first = Period::month(first);
                (begin(first, zone)?, begin(first.after(12), zone)?.min(now))
            }
            (_, Some(Keep::For(last)), _) => {
                let seconds = i64::try_from(last.ns() / 1_000_000_000).unwrap_or(i64::MAX);
                let to = until.transpose()?.unwrap_or(now);
                let from = to.checked_sub(SignedDuration::from_secs(seconds));
                (from.unwrap_or(Timestamp::MIN), to)
            }
            (_, _, since) => {
                let from = since.map_or_else(usual, |since| begin(since, zone))?;
                (from, until.transpose()?.unwrap_or(now))
            }
        };
        if from >= to {
            let moment = |moment: Timestamp| {
                let zoned = moment.to_zoned(zone.clone());
                zoned.strftime("%Y-%m-%d %H:%M").to_string()
            };
            bail!(
                "nothing lies between the beginning, {}, and the end, {}; name an earlier --since, or a \
                 later --until",
                moment(from),
                moment(to)
            );
        }
        let days = (to.as_second() - from.as_second()).div_euclid(SECONDS_OF_A_DAY);
        let unit = asked.unit.unwrap_or(match days {
            days if days <= BY_HOUR => Unit::Hour,
            days if days <= BY_DAY => Unit::Day,
            _ => Unit::Month,
        });
        // What ends at midnight has nothing of the day that begins then.
        let last = Timestamp::from_nanosecond(to.as_nanosecond() - 1)?;
        let number = |unit, moment| Period::of(unit, moment, zone).number;
        let numbers = number(unit, from)..number(unit, last) + 1;
        let days = match unit {
            Unit::Month => {
                let day = |number| Period::day(Period { unit, number }.date()).number;
                day(numbers.start)..day(numbers.end)
            }
            _ => number(Unit::Day, from)..number(Unit::Day, last) + 1,
        };
        let end = Period {
            unit,
            number: numbers.end,
        };
        Ok(Self {
            unit,
            is_open: begin(end, zone)? > now,
            numbers,
            days,
        })
    }

    /// The same in units that are still kept, unless some were asked for: hours go before days do, so of
    /// what is long ago they would say nothing. `first` says which period of a unit is the first one kept.
    ///
    /// # Errors
    ///
    /// As [`Span::new`], or when `first` does not know.
    pub fn kept(
        asked: &Asked,
        now: Timestamp,
        zone: &TimeZone,
        first: impl Fn(Unit) -> Result<Option<Period>>,
    ) -> Result<Self> {
        let mut span = Self::new(asked, now, zone)?;
        if asked.unit.is_some() {
            return Ok(span);
        }
        let fits = span.unit;
        for unit in Unit::ALL.into_iter().filter(|unit| *unit > fits) {
            let in_unit = Asked {
                unit: Some(unit),
                ..*asked
            };
            let larger = Self::new(&in_unit, now, zone)?;
            let Some(kept) = first(unit)? else {
                continue;
            };
            // Before this one the smaller ones say nothing.
            let begins = match first(span.unit)? {
                Some(kept) => Period::of(unit, begin(kept, zone)?, zone).number,
                None => larger.numbers.end,
            };
            let silent = larger.numbers.start..larger.numbers.end.min(begins);
            if !silent.is_empty() && kept.number < silent.end {
                span = larger;
            }
        }
        Ok(span)
    }

    /// The first period and the last one.
    pub fn ends(&self) -> (Period, Period) {
        let period = |number| Period {
            unit: self.unit,
            number,
        };
        (period(self.numbers.start), period(self.numbers.end - 1))
    }

    /// The same a year before; hours have none that says anything.
    pub fn year_before(&self) -> Option<Range<i64>> {
        let moved = |number: i64| match self.unit {
            Unit::Month => Some(number - 12),
            Unit::Day => {
                let date = Period {
                    unit: Unit::Day,
                    number,
                };
                let date = date.date().checked_sub(jiff::Span::new().years(1)).ok()?;
                Some(Period::day(date).number)
            }
            Unit::Hour | Unit::Minute => None,
        };
        Some(moved(self.numbers.start)?..moved(self.numbers.end)?)
    }
}

/// When a period begins in this zone.
fn begin(period: Period, zone: &TimeZone) -> Result<Timestamp> {
    match period.moment() {
        Some(moment) => Ok(moment),
        None => Ok(period.date().to_zoned(zone.clone())?.timestamp()),
    }
}

/// A period as people read it in this zone.
pub fn written(period: Period, zone: &TimeZone) -> String {
    match period.moment() {
        Some(moment) => {
            let zoned = moment.to_zoned(zone.clone());
            zoned.strftime("%Y-%m-%d %H:%M").to_string()
        }
        None => period.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits_the_length_and_all_that_was_asked_for_is_in_whole_units() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let now: Timestamp = "2026-11-26T22:15:30Z".parse().unwrap();
        let period = |text: &str| Period::parse(text).unwrap();
        for (asked, unit, first, last, days) in [
            (Asked::default(), Unit::Month, "2025-12", "2026-11", 365),
            (
                Asked {
                    year: Some(2024),
                    ..Asked::default()
                },
                Unit::Month,
                "2024-01",
                "2024-12",
                366,
            ),
            // Of a year that is not over, no month is shown that has not begun.
            (
                Asked {
                    year: Some(2026),
                    ..Asked::default()
                },
                Unit::Month,
                "2026-01",
                "2026-11",
                334,
            ),
            (
                Asked {
                    last: Some("30d".parse().unwrap()),
                    ..Asked::default()
                },
                Unit::Day,
                "2026-10-27",
                "2026-11-26",
                31,
            ),
            (
                Asked {
                    last: Some("24h".parse().unwrap()),
                    ..Asked::default()
                },
                Unit::Hour,
                "2026-11-25T22Z",
                "2026-11-26T22Z",
                2,
            ),
            (
                Asked {
                    since: Some(period("2026-10")),
                    until: Some(period("2026-10")),
                    ..Asked::default()
                },
                Unit::Day,
                "2026-10-01",
                "2026-10-31",
                31,
            ),
            (
                Asked {
                    since: Some(period("2026-10-25")),
                    until: Some(period("2026-10-25")),
                    ..Asked::default()
                },
                Unit::Hour,
                // 25 hours: the clocks are set back.
                "2026-10-24T22Z",
                "2026-10-25T22Z",
                1,
            ),
            (
                Asked {
                    since: Some(period("2026-01-15")),
                    unit: Some(Unit::Month),
                    ..Asked::default()
                },
                Unit::Month,
                "2026-01",
                "2026-11",
                334,
            ),
        ] {
            let span = Span::new(&asked, now, &zone).unwrap();
            let (begins, ends) = span.ends();
            let found = (span.unit, begins.to_string(), ends.to_string());
            assert_eq!(
                found,
                (unit, first.to_owned(), last.to_owned()),
                "{asked:?}"
            );
            assert_eq!(span.days.end - span.days.start, days, "{asked:?}");
            let is_over = asked.year == Some(2024) || asked.until.is_some();
            assert_eq!(span.is_open, !is_over, "{asked:?}");
        }
        let asked = Asked {
            since: Some(period("2026-12")),
            ..Asked::default()
        };
        let error = Span::new(&asked, now, &zone).unwrap_err();
        assert!(
            error.to_string().contains("nothing lies between"),
            "{error}"
        );
    }

    #[test]
    fn where_the_unit_that_fits_is_not_kept_any_more_a_larger_one_is_shown() {
        let zone = TimeZone::UTC;
        let now: Timestamp = "2026-11-26T22:15:30Z".parse().unwrap();
        let period = |text: &str| Period::parse(text).unwrap();
        let kept = [("2026-09-27T00Z", "2021-11-26", "2019-03")];
        let new = [("2026-11-20T12Z", "2026-11-20", "2026-11")];
        for (kept, since, until, unit) in [
            (kept, "2026-10-01", "2026-10-01", Unit::Hour),
            (kept, "2026-09-26", "2026-09-27", Unit::Day),
            (kept, "2026-09-01", "2026-09-01", Unit::Day),
            (kept, "2021-06-01", "2021-06-02", Unit::Month),
            (kept, "2021-06", "2021-07", Unit::Month),
            // What was never kept is in no unit.
            (kept, "2019-02-01", "2019-02-01", Unit::Hour),
            (new, "2026-11-20", "2026-11-20", Unit::Hour),
            (new, "2026-11-19", "2026-11-20", Unit::Hour),
            (new, "2026-10", "2026-11", Unit::Day),
        ] {
            let [(hour, day, month)] = kept;
            let first = |unit| {
                Ok(match unit {
                    Unit::Minute => None,
                    Unit::Hour => Some(period(hour)),
                    Unit::Day => Some(period(day)),
                    Unit::Month => Some(period(month)),
                })
            };
            let asked = Asked {
                since: Some(period(since)),
                until: Some(period(until)),
                ..Asked::default()
            };
            let span = Span::kept(&asked, now, &zone, first).unwrap();
            assert_eq!(span.unit, unit, "{since} to {until}");
            let asked = Asked {
                unit: Some(Unit::Hour),
                ..asked
            };
            let span = Span::kept(&asked, now, &zone, first).unwrap();
            assert_eq!(span.unit, Unit::Hour, "{since} to {until}");
        }
    }
}
