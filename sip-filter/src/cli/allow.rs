//! `allow`: who may always call.

use anyhow::Result;

use super::{
    Global,
    lists::{self, Addresses, FileOptions},
};
use crate::{lists::List, output::Format};

/// Say who may always call
///
/// What an address in the allow list sends always passes, whatever else is in force; it is counted.
/// An address or a prefix is IPv4 or IPv6. The list is kept in the folder of --state and outlives the
/// filter and reboots; a filter that is attached has every change from the next packet on.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  sip-filter allow add 198.51.100.7 --reason trunk   an address
  sip-filter allow add 203.0.113.0/24 2001:db8::/32  two prefixes
  sip-filter allow list                              who is in it, and why
  sip-filter allow del 198.51.100.7                  take it out again
  sip-filter allow import trunks.txt                 what stands in a file, one a line")]
pub(super) enum Verb {
    /// Add addresses and prefixes
    ///
    /// Those that are there already stay, with a new reason if one is given.
    #[command(after_help = "\
Examples:
  sip-filter allow add 198.51.100.7 --reason trunk")]
    Add {
        #[command(flatten)]
        addresses: Addresses,
        /// Why, for those who read the list
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Take addresses and prefixes out, as they were added
    #[command(after_help = "\
Examples:
  sip-filter allow del 198.51.100.7 203.0.113.0/24")]
    Del {
        #[command(flatten)]
        addresses: Addresses,
    },
    /// Show who is in the list
    #[command(after_help = "\
Changes nothing, and needs no filter.

Examples:
  sip-filter allow list --format csv")]
    List {
        /// How to print it
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Add what stands in a file
    ///
    /// One address or prefix a line; `#` and `;` begin a comment, and one behind an entry is its
    /// reason. Where a line cannot be used, nothing is changed.
    #[command(after_help = "\
Examples:
  sip-filter allow import trunks.txt
  sip-filter allow import --replace - < trunks.txt")]
    Import(FileOptions),
    /// Print the list as `import` reads it
    #[command(after_help = "\
Changes nothing, and needs no filter.

Examples:
  sip-filter allow export > trunks.txt")]
    Export,
}

pub(super) fn run(verb: &Verb, global: &Global) -> Result<()> {
    match verb {
        Verb::Add { addresses, reason } => {
            lists::add(global, List::Allow, addresses, None, reason.as_deref())
        }
        Verb::Del { addresses } => lists::remove(global, List::Allow, addresses),
        Verb::List { format } => lists::list(global, List::Allow, *format),
        Verb::Import(options) => lists::import(global, List::Allow, options, None),
        Verb::Export => lists::export(global, List::Allow),
    }
}
