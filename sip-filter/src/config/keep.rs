//! How long something is kept, as an operator writes it: a span of time, years too, or `forever`.

use std::{fmt, str::FromStr};

use anyhow::{Result, bail};

use super::span::Span;

/// What keeps all.
const FOREVER: &str = "forever";
/// Of a year, since a retention need not know of leap years.
const DAYS: u64 = 365;
const SECONDS_OF_A_DAY: u64 = 86_400;
/// The longest that can be told apart from for ever.
const MAX_YEARS: u64 = 100;

/// How long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// For so long.
    For(Span),
    /// Until somebody removes it.
    Forever,
}

impl Keep {
    /// So many days.
    pub const fn days(days: u64) -> Self {
        Self::For(Span::from_secs(days * SECONDS_OF_A_DAY))
    }

    /// So many years.
    pub const fn years(years: u64) -> Self {
        Self::days(years * DAYS)
    }

    /// In whole seconds; `None` for ever.
    pub const fn seconds(self) -> Option<u64> {
        match self {
            Self::For(span) => Some(span.ns() / 1_000_000_000),
            Self::Forever => None,
        }
    }
}

impl FromStr for Keep {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == FOREVER {
            return Ok(Self::Forever);
        }
        let years = text.strip_suffix('y').map(str::parse::<u64>);
        if let Some(Ok(years @ 1..=MAX_YEARS)) = years {
            return Ok(Self::years(years));
        }
        match text.parse::<Span>() {
            Ok(span) => Ok(Self::For(span)),
            Err(_) => bail!(
                "`{text}` does not say how long; write a whole number and its unit, as in 36h, 60d \
                 or 5y, or \"{FOREVER}\""
            ),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(seconds) = self.seconds() else {
            return f.write_str(FOREVER);
        };
        let year = DAYS * SECONDS_OF_A_DAY;
        match self {
            Self::For(_) if seconds > 0 && seconds.is_multiple_of(year) => {
                write!(f, "{}y", seconds / year)
            }
            Self::For(span) => span.fmt(f),
            Self::Forever => f.write_str(FOREVER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_said_in_canonical_form() {
        for (written, canonical, seconds) in [
            ("forever", "forever", None),
            ("5y", "5y", Some(157_680_000)),
            ("730d", "2y", Some(63_072_000)),
            ("60d", "60d", Some(5_184_000)),
            ("36h", "36h", Some(129_600)),
        ] {
            let keep: Keep = written.parse().unwrap();
            assert_eq!(keep.seconds(), seconds, "{written}");
            assert_eq!(keep.to_string(), canonical, "{written}");
        }
        for written in ["", "5", "0y", "101y", "for ever", "1.5y", "-1d"] {
            let error = written.parse::<Keep>().unwrap_err().to_string();
            assert!(error.contains("does not say how long"), "{error}");
        }
    }
}
