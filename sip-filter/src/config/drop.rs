//! What is dropped, as `--drop` takes it: `scanners,options,malformed`.

use std::{fmt, str::FromStr};

use anyhow::{Result, anyhow};
use sip_filter_common::verdict::DropSet;

/// The word for an empty list, which is monitoring.
const NOTHING: &str = "nothing";

/// A [`DropSet`] that an operator can write and read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropList(pub DropSet);

impl DropList {
    /// Whether nothing is dropped: monitoring.
    pub fn is_empty(self) -> bool {
        self.0 == DropSet::NOTHING
    }

    /// The names of what is dropped, in the order in which the options are documented.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        DropSet::NAMES
            .into_iter()
            .filter(move |(_, member)| self.0.contains(*member))
            .map(|(name, _)| name)
    }
}

impl FromStr for DropList {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim() == NOTHING {
            return Ok(Self::default());
        }
        text.split(',')
            .map(str::trim)
            .try_fold(DropSet::NOTHING, |set, part| {
                DropSet::NAMES
                    .into_iter()
                    .find(|(name, _)| *name == part)
                    .map(|(_, member)| set.union(member))
                    .ok_or_else(|| unknown(part))
            })
            .map(Self)
    }
}

fn unknown(part: &str) -> anyhow::Error {
    let what = match part {
        "" => "a name is missing".to_owned(),
        NOTHING => format!("`{NOTHING}` stands alone"),
        part => format!("`{part}` cannot be dropped"),
    };
    let names = DropSet::NAMES.map(|(name, _)| name).join(", ");
    anyhow!("{what}; allowed are {names}, separated by commas, or {NOTHING}")
}

impl fmt::Display for DropList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str(NOTHING);
        }
        let mut comma = "";
        for name in self.names() {
            write!(f, "{comma}{name}")?;
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_print_in_canonical_form() {
        for (written, canonical) in [
            ("nothing", "nothing"),
            ("scanners", "scanners"),
            ("options,scanners", "scanners,options"),
            ("malformed, options ,scanners", "scanners,options,malformed"),
            ("options,options", "options"),
        ] {
            let list: DropList = written.parse().unwrap();
            assert_eq!(list.to_string(), canonical, "written {written}");
        }
    }

    #[test]
    fn errors_name_the_part_and_what_is_allowed() {
        for (written, named) in [
            ("", "a name is missing"),
            ("scanners,", "a name is missing"),
            ("nothing-known", "`nothing-known` cannot be dropped"),
            ("scanners,Options", "`Options` cannot be dropped"),
            ("scanners,nothing", "`nothing` stands alone"),
        ] {
            let error = written.parse::<DropList>().unwrap_err().to_string();
            assert!(error.contains(named), "{written}: {error}");
            assert!(
                error.contains("scanners, options, malformed"),
                "{written}: {error}"
            );
        }
    }
}
