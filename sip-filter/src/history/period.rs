//! Minutes, hours, days and months: which ones a moment belongs to, and how they are written.
//!
//! Minutes and hours are those of UTC, so that each has a number of its own also where clocks are set
//! back in autumn. Days and months are those of the machine's time zone, as its operator counts them:
//! a day is called by its date, whatever number of hours it has, and keeps its name wherever the file
//! is read.

use std::fmt;

use anyhow::{Result, anyhow, bail};
use jiff::{Timestamp, Unit as Rounded, civil::Date, tz::TimeZone};

/// The date that days are counted from.
const EPOCH: Date = Date::constant(1970, 1, 1);
const MONTHS: i64 = 12;
const SECONDS_OF_A_MINUTE: i64 = 60;
const SECONDS_OF_AN_HOUR: i64 = 3_600;

/// A unit of time that counts are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Unit {
    /// A minute of UTC.
    Minute,
    /// An hour of UTC.
    Hour,
    /// A day of the machine's time zone.
    Day,
    /// A month of the machine's time zone.
    Month,
}

impl Unit {
    /// All, from the smallest on.
    pub const ALL: [Self; 4] = [Self::Minute, Self::Hour, Self::Day, Self::Month];

    /// The number in the file, which never changes.
    pub const fn number(self) -> i64 {
        self as i64
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// One minute, hour, day or month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// Of what length.
    pub unit: Unit,
    /// Which one, counted from the beginning of 1970; months from that of the year 0.
    pub number: i64,
}

impl Period {
    /// The one that a moment belongs to.
    pub fn of(unit: Unit, moment: Timestamp, zone: &TimeZone) -> Self {
        let date = || moment.to_zoned(zone.clone()).date();
        let number = match unit {
            Unit::Minute => moment.as_second().div_euclid(SECONDS_OF_A_MINUTE),
            Unit::Hour => moment.as_second().div_euclid(SECONDS_OF_AN_HOUR),
            Unit::Day => return Self::day(date()),
            Unit::Month => return Self::month(date()),
        };
        Self { unit, number }
    }

    /// A day.
    pub fn day(date: Date) -> Self {
        let days = date.since((Rounded::Day, EPOCH));
        Self {
            unit: Unit::Day,
            number: days.map_or(0, |span| i64::from(span.get_days())),
        }
    }

    /// The month in which a date is.
    pub fn month(date: Date) -> Self {
        Self {
            unit: Unit::Month,
            number: i64::from(date.year()) * MONTHS + i64::from(date.month()) - 1,
        }
    }

    /// The larger ones that a whole one belongs to, and itself.
    pub fn with_larger(self, zone: &TimeZone) -> Vec<Self> {
        let own = [self];
        let larger: Vec<_> = match self.moment() {
            Some(moment) => Unit::ALL
                .into_iter()
                .filter(|unit| *unit > self.unit)
                .map(|unit| Self::of(unit, moment, zone))
                .collect(),
            None if self.unit == Unit::Day => vec![Self::month(self.date())],
            None => Vec::new(),
        };
        own.into_iter().chain(larger).collect()
    }

    /// When a minute or an hour begins.
    pub fn moment(self) -> Option<Timestamp> {
        let seconds = match self.unit {
            Unit::Minute => self.number.checked_mul(SECONDS_OF_A_MINUTE)?,
            Unit::Hour => self.number.checked_mul(SECONDS_OF_AN_HOUR)?,
            Unit::Day | Unit::Month => return None,
        };
        Timestamp::from_second(seconds).ok()
    }

    /// The first date of a day or a month; of what is shorter, that in UTC.
    pub fn date(self) -> Date {
        match self.unit {
            Unit::Minute | Unit::Hour => self
                .moment()
                .map_or(EPOCH, |moment| moment.to_zoned(TimeZone::UTC).date()),
            Unit::Day => {
                let days = jiff::Span::new().try_days(self.number);
                days.and_then(|days| EPOCH.checked_add(days))
                    .unwrap_or(Date::MAX)
            }
            Unit::Month => {
                let year = i16::try_from(self.number.div_euclid(MONTHS));
                let month = self.number.rem_euclid(MONTHS) as i8 + 1;
                year.ok()
                    .and_then(|year| Date::new(year, month, 1).ok())
                    .unwrap_or(Date::MAX)
            }
        }
    }

    /// The one that follows, or one further away.
    #[must_use]
    pub const fn after(self, number: i64) -> Self {
        Self {
            unit: self.unit,
            number: self.number.saturating_add(number),
        }
    }

    /// The one that is written so.
    ///
    /// # Errors
    ///
    /// When it is not written as one of the four.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            anyhow!(
                "`{text}` is no minute, hour, day or month; write 2026-11-26T22:15Z, \
                 2026-11-26T22Z (UTC), 2026-11-26 or 2026-11"
            )
        };
        if let Some(utc) = text.strip_suffix('Z') {
            let (unit, whole) = match utc.len() {
                16 => (Unit::Minute, format!("{utc}:00Z")),
                13 => (Unit::Hour, format!("{utc}:00:00Z")),
                _ => bail!(wrong()),
            };
            let moment: Timestamp = whole.parse().map_err(|_| wrong())?;
            return Ok(Self::of(unit, moment, &TimeZone::UTC));
        }
        match text.len() {
            10 => Ok(Self::day(text.parse().map_err(|_| wrong())?)),
            7 => Ok(Self::month(
                format!("{text}-01").parse().map_err(|_| wrong())?,
            )),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Period {
    /// As in ISO 8601: `2026-11-26T22:15Z`, `2026-11-26T22Z`, `2026-11-26`, `2026-11`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        match (self.unit, self.moment()) {
            (Unit::Month, _) => write!(f, "{:04}-{:02}", date.year(), date.month()),
            (Unit::Minute, Some(moment)) => {
                let time = moment.to_zoned(TimeZone::UTC).time();
                write!(f, "{date}T{:02}:{:02}Z", time.hour(), time.minute())
            }
            (Unit::Hour, Some(moment)) => {
                let time = moment.to_zoned(TimeZone::UTC).time();
                write!(f, "{date}T{:02}Z", time.hour())
            }
            _ => write!(f, "{date}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        // Without a database of zones: as POSIX writes them.
        TimeZone::posix(name).unwrap()
    }

    #[test]
    fn a_moment_belongs_to_a_day_of_the_zone_and_to_an_hour_of_utc() {
        let tokyo = zone("JST-9");
        let moment: Timestamp = "2026-11-30T22:15:59Z".parse().unwrap();
        for (unit, zone, expected) in [
            (Unit::Minute, &tokyo, "2026-11-30T22:15Z"),
            (Unit::Hour, &tokyo, "2026-11-30T22Z"),
            (Unit::Day, &tokyo, "2026-12-01"),
            (Unit::Month, &tokyo, "2026-12"),
            (Unit::Day, &TimeZone::UTC, "2026-11-30"),
            (Unit::Month, &TimeZone::UTC, "2026-11"),
        ] {
            let period = Period::of(unit, moment, zone);
            assert_eq!(period.to_string(), expected);
            assert_eq!(Period::parse(expected).unwrap(), period);
        }
    }

    #[test]
    fn what_is_small_belongs_to_what_is_larger() {
        let berlin = zone("CET-1CEST,M3.5.0,M10.5.0/3");
        let written = |text: &str| {
            let periods = Period::parse(text).unwrap().with_larger(&berlin);
            periods.iter().map(Period::to_string).collect::<Vec<_>>()
        };
        // The hour from two to three comes twice, and is two hours.
        assert_eq!(
            written("2026-10-25T00:30Z"),
            [
                "2026-10-25T00:30Z",
                "2026-10-25T00Z",
                "2026-10-25",
                "2026-10"
            ]
        );
        assert_eq!(
            written("2026-10-25T01Z"),
            ["2026-10-25T01Z", "2026-10-25", "2026-10"]
        );
        assert_eq!(
            written("2026-10-31T23Z"),
            ["2026-10-31T23Z", "2026-11-01", "2026-11"]
        );
        assert_eq!(written("2026-10-25"), ["2026-10-25", "2026-10"]);
        assert_eq!(written("2026-10"), ["2026-10"]);
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13",
            "2026-02-30",
            "2026-11-26T22",
            "2026-11-26T25Z",
            "yesterday",
        ] {
            let error = Period::parse(text).unwrap_err().to_string();
            assert!(error.contains("is no minute"), "{text}: {error}");
        }
    }

    #[test]
    fn periods_before_1970_and_far_away_have_names() {
        for text in ["1969-12-31", "1969-12", "1969-12-31T23Z", "9999-12-31"] {
            assert_eq!(Period::parse(text).unwrap().to_string(), text);
        }
        let day = Period::parse("2024-02-28").unwrap();
        assert_eq!(day.after(2).to_string(), "2024-03-01");
    }
}
