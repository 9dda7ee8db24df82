//! Spans of time as an operator writes them: `500ms`, `10s`, `5m`, `1h`, `7d`.

use std::{fmt, str::FromStr};

use anyhow::{Result, bail};
use sip_filter_common::rules::TICK_BITS;

use super::unit::{self, Unit, Wrong};

/// The units, in nanoseconds, from the largest on.
const UNITS: [Unit; 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// A span of whole milliseconds, longer than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    ns: u64,
}

impl Span {
    /// So many milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self { ns: ms * 1_000_000 }
    }

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_ms(seconds * 1_000)
    }

    /// In nanoseconds.
    pub const fn ns(self) -> u64 {
        self.ns
    }

    /// In the units in which the kernel counts windows; those of more than 52 days are cut there.
    pub fn ticks(self) -> u32 {
        u32::try_from(self.ns >> TICK_BITS).unwrap_or(u32::MAX)
    }
}

impl FromStr for Span {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        const ALLOWED: &str = "write a whole number and its unit, as in 500ms, 10s, 5m, 1h or 7d";
        match unit::counted(text, &UNITS) {
            Ok(ns) => Ok(Self { ns }),
            Err(Wrong::Form) => bail!("`{text}` is no span of time; {ALLOWED}"),
            Err(Wrong::Nothing) => bail!("`{text}` is no time at all; {ALLOWED}"),
            Err(Wrong::TooMuch) => bail!("`{text}` is longer than can be counted"),
        }
    }
}

impl fmt::Display for Span {
    /// In the largest unit of which it has a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&unit::written(self.ns, &UNITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_in_canonical_form() {
        for (written, canonical, ms) in [
            ("500ms", "500ms", 500),
            ("1000ms", "1s", 1_000),
            ("60s", "1m", 60_000),
            ("90s", "90s", 90_000),
            ("24h", "1d", 86_400_000),
            ("7d", "7d", 604_800_000),
        ] {
            let span: Span = written.parse().unwrap();
            assert_eq!(span, Span::from_ms(ms), "{written}");
            assert_eq!(span.to_string(), canonical, "{written}");
        }
    }

    #[test]
    fn errors_name_the_span_and_what_is_allowed() {
        for (written, said) in [
            ("", "`` is no span of time; write a whole number"),
            ("10", "`10` is no span of time"),
            ("10 s", "`10 s` is no span of time"),
            ("1.5h", "`1.5h` is no span of time"),
            ("-1s", "`-1s` is no span of time"),
            ("1y", "`1y` is no span of time"),
            ("0s", "`0s` is no time at all"),
            ("999999999999d", "longer than can be counted"),
            ("99999999999999999999s", "is no span of time"),
        ] {
            let error = written.parse::<Span>().unwrap_err().to_string();
            assert!(error.contains(said), "{written}: {error}");
        }
    }
}
