//! Who may always call, and who may not: what operators and the configuration say, kept in a file
//! that outlives reboots, and what follows from it for the kernel's maps.
//!
//! [`Writing`] is the lock among processes: who changes the lists, or attaches a filter with them,
//! holds it from the first look at them until they are in force. [`in_force()`] changes a running
//! filter along with the file; the maps themselves are [`kernel`](crate::kernel)'s.

mod configured;
mod force;
pub(crate) mod nested;
mod state;
pub mod text;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use sip_filter_common::lists::{self as abi, Listed};

pub use configured::{configured, listed};
pub use force::{InForce, catch_up, in_force};
pub use state::{Added, State, Writing};

use crate::{config::prefix::Prefix, number::thousands};

/// The key of the configuration that says how much there is room for.
pub const SIZE_KEY: &str = "sizes.lists";

/// Which of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// Those who are in it may always call.
    Allow,
    /// Those who are in it may not, unless they are in the other one too.
    Block,
}

impl List {
    /// The command that changes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
        }
    }

    /// Its bit in [`Listed::lists`].
    pub const fn bit(self) -> u32 {
        match self {
            Self::Allow => Listed::ALLOWED,
            Self::Block => Listed::BLOCKED,
        }
    }
}

/// Who has put an entry into a list. Each has entries of its own: the same prefix may be there
/// twice, and stays until both have taken it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An operator, by `add` or `import`.
    Command,
    /// The configuration.
    Config,
}

impl Origin {
    /// As it is listed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Config => "config",
        }
    }
}

/// What the configuration says of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The list.
    pub list: List,
    /// Whom it is about.
    pub prefix: Prefix,
    /// When it ends: milliseconds of the wall clock since 1970; `None` where it does not.
    pub until: Option<u64>,
    /// Why; may be empty.
    pub reason: String,
    /// Where it stands, as in `/etc/sip-filter/config.toml:12`.
    pub place: String,
}

/// An entry that a command adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Whom it is about.
    pub prefix: Prefix,
    /// When it ends: milliseconds of the wall clock since 1970; `None` where it does not.
    pub until: Option<u64>,
    /// Why; may be empty.
    pub reason: String,
}

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whom it is about.
    pub prefix: Prefix,
    /// Who has put it there.
    pub origin: Origin,
    /// When it ends: milliseconds of the wall clock since 1970; `None` where it does not.
    pub until: Option<u64>,
    /// Why; may be empty.
    pub reason: String,
    /// When it was added, by the same clock.
    pub added: u64,
}

/// What both lists and all origins together say of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whom it is about.
    pub prefix: abi::Prefix,
    /// Bits of [`Listed::lists`].
    pub lists: u32,
    /// When the block ends: milliseconds of the wall clock since 1970; `None` where it does not.
    pub until: Option<u64>,
}

impl Rule {
    /// Whether it is in this list.
    pub const fn is_in(&self, list: List) -> bool {
        self.lists & list.bit() != 0
    }

    /// Whether it is about one address alone.
    pub const fn is_host(&self) -> bool {
        self.prefix.length == 128
    }
}

/// Both lists, as they are to be in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists {
    /// Tells these from what was there before, and from what will be: see
    /// [`Settings::lists`](sip_filter_common::abi::Settings).
    pub generation: u64,
    /// Each prefix once.
    pub rules: Vec<Rule>,
}

impl Lists {
    /// Nothing in either.
    pub const EMPTY: &'static Self = &Self {
        generation: 0,
        rules: Vec::new(),
    };

    /// How much they hold.
    pub fn size(&self) -> Size {
        let mut size = Size::default();
        for rule in &self.rules {
            size.add(rule);
        }
        size
    }
}

/// How many entries each of the kernel's maps holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Single addresses, of both lists.
    pub addresses: u64,
    /// Prefixes in the allow list.
    pub allowed: u64,
    /// Prefixes in the block list.
    pub blocked: u64,
}

impl Size {
    fn add(&mut self, rule: &Rule) {
        if rule.is_host() {
            self.addresses += 1;
            return;
        }
        self.allowed += u64::from(rule.is_in(List::Allow));
        self.blocked += u64::from(rule.is_in(List::Block));
    }

    /// Whether there is room for so much.
    ///
    /// # Errors
    ///
    /// When there is not: the message says what is too much, and how to make more room.
    pub fn fits(&self, capacity: u32) -> Result<()> {
        for (count, what) in [
            (self.addresses, "addresses"),
            (self.allowed, "allowed prefixes"),
            (self.blocked, "blocked prefixes"),
        ] {
            if count > u64::from(capacity) {
                bail!(
                    "{} {what} are more than the {} that there is room for; \
                     raise {SIZE_KEY} in the configuration to {count} and reload it, \
                     or list prefixes in place of addresses",
                    thousands(count),
                    thousands(capacity.into())
                );
            }
        }
        Ok(())
    }
}

/// Milliseconds of the wall clock since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_said_with_the_numbers_and_the_key() {
        let size = Size {
            addresses: 10,
            allowed: 11,
            blocked: 1_234_567,
        };
        assert!(size.fits(1_234_567).is_ok());
        let error = size.fits(1_234_566).unwrap_err().to_string();
        for said in ["1,234,567 blocked", "1,234,566", SIZE_KEY] {
            assert!(error.contains(said), "{said}: {error}");
        }
        assert!(
            size.fits(10)
                .unwrap_err()
                .to_string()
                .contains("11 allowed")
        );
        assert!(size.fits(9).unwrap_err().to_string().contains("addresses"));
    }
}
