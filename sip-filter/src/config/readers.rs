//! Who may read what the filter counts and keeps, besides root: a group of users, or nobody.

use std::{fmt, str::FromStr};

use anyhow::{Context, Error, Result, anyhow};
use nix::unistd::{Gid, Group};

/// The group, if there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readers(Option<(String, u32)>);

impl Readers {
    /// The group's number.
    pub fn group(&self) -> Option<u32> {
        self.0.as_ref().map(|(_, number)| *number)
    }
}

impl FromStr for Readers {
    type Err = Error;

    /// From the name of a group that there is, or its number.
    fn from_str(text: &str) -> Result<Self> {
        let group = match text.parse() {
            Ok(number) => Group::from_gid(Gid::from_raw(number)),
            Err(_) => Group::from_name(text),
        };
        let group = group.context("the groups cannot be looked up")?;
        let group = group.ok_or_else(|| {
            anyhow!("there is no group `{text}`; `groupadd --system {text}` makes one")
        })?;
        Ok(Self(Some((text.to_owned(), group.gid.as_raw()))))
    }
}

impl fmt::Display for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or("", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_or_numbered() {
        for text in ["root", "0"] {
            let readers: Readers = text.parse().unwrap();
            assert_eq!(
                (readers.group(), readers.to_string()),
                (Some(0), text.to_owned())
            );
        }
        let error = "no-such-group".parse::<Readers>().unwrap_err().to_string();
        assert!(error.contains("groupadd --system no-such-group"), "{error}");
        assert_eq!(Readers::default().group(), None);
    }
}
