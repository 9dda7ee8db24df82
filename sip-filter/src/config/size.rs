//! Sizes of files as an operator writes them: `64M`, `500M`, `2G`.

use std::{fmt, str::FromStr};

use anyhow::{Result, bail};

use super::unit::{self, Unit, Wrong};

/// The units, in bytes, from the largest on.
const UNITS: [Unit; 3] = [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];

/// A size of whole kilobytes of 1024 bytes, larger than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    bytes: u64,
}

impl Size {
    /// So many megabytes of 1024 × 1024 bytes.
    pub const fn from_megabytes(megabytes: u64) -> Self {
        Self {
            bytes: megabytes << 20,
        }
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }
}

impl FromStr for Size {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        const ALLOWED: &str = "write a whole number and its unit, as in 512K, 500M or 2G";
        match unit::counted(text, &UNITS) {
            Ok(bytes) => Ok(Self { bytes }),
            Err(Wrong::Form) => bail!("`{text}` is no size; {ALLOWED}"),
            Err(Wrong::Nothing) => bail!("`{text}` is no room at all; {ALLOWED}"),
            Err(Wrong::TooMuch) => bail!("`{text}` is more than can be counted"),
        }
    }
}

impl fmt::Display for Size {
    /// In the largest unit of which it has a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&unit::written(self.bytes, &UNITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_print_in_canonical_form() {
        for (written, canonical, bytes) in [
            ("512K", "512K", 524_288),
            ("1024K", "1M", 1_048_576),
            ("500M", "500M", 524_288_000),
            ("2G", "2G", 2_147_483_648),
        ] {
            let size: Size = written.parse().unwrap();
            assert_eq!(size.bytes(), bytes, "{written}");
            assert_eq!(size.to_string(), canonical, "{written}");
        }
    }

    #[test]
    fn errors_name_the_size_and_what_is_allowed() {
        for (written, said) in [
            ("", "`` is no size; write a whole number"),
            ("500", "`500` is no size"),
            ("500MB", "`500MB` is no size"),
            ("0M", "`0M` is no room at all"),
            ("99999999999G", "is more than can be counted"),
        ] {
            let error = written.parse::<Size>().unwrap_err().to_string();
            assert!(error.contains(said), "{written}: {error}");
        }
    }
}
