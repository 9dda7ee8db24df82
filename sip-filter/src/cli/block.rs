//! `block`: who may not call.

use anyhow::Result;

use super::{
    Global,
    lists::{self, Addresses, FileOptions},
};
use crate::{config::span::Span, lists::List, output::Format};

/// Say who may not call
///
/// What an address in the block list sends is dropped, unless it is in the allow list too. An address
/// or a prefix is IPv4 or IPv6; --ttl ends a block after a time, whether or not anything runs then.
/// The list is kept in the folder of --state and outlives the filter and reboots; a filter that is
/// attached has every change from the next packet on.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  sip-filter block add 203.0.113.9 --ttl 1h --reason abuse  for an hour
  sip-filter block add 203.0.113.0/24 2001:db8::/32         until they are taken out
  sip-filter block list                                     who is in it, why, and what it dropped
  sip-filter block del 203.0.113.9                          take it out again
  sip-filter block import voipbl.txt --ttl 7d               a published list, one a line")]
pub(super) enum Verb {
    /// Add addresses and prefixes
    ///
    /// Those that are there already end when it is said now, and have a new reason if one is given.
    #[command(after_help = "\
Examples:
  sip-filter block add 203.0.113.9 --ttl 1h --reason abuse")]
    Add {
        #[command(flatten)]
        addresses: Addresses,
        /// For how long, as in 90s, 5m, 1h or 7d; for ever if it is not given
        #[arg(long, value_name = "TIME")]
        ttl: Option<Span>,
        /// Why, for those who read the list
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Take addresses and prefixes out, as they were added
    ///
    /// An address that was blocked for what it sent (`[escalate]` in the configuration) is not any more
    /// either, until it crosses the line again.
    #[command(after_help = "\
Examples:
  sip-filter block del 203.0.113.9 203.0.113.0/24")]
    Del {
        #[command(flatten)]
        addresses: Addresses,
    },
    /// Show who is in the list
    ///
    /// `dropped` counts the packets that an entry has dropped, or would have where the configuration
    /// has the list count only. What has expired drops nothing, and is shown until the list is changed.
    /// Sources that are blocked for what they sent are listed too, with origin `escalated`.
    #[command(after_help = "\
Changes nothing. Without an attached filter there is no `dropped`.

Examples:
  sip-filter block list --format csv")]
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
  sip-filter block import voipbl.txt --ttl 7d --reason voipbl
  curl -s https://example.org/list.txt | sip-filter block import --replace -")]
    Import {
        #[command(flatten)]
        options: FileOptions,
        /// For how long, for entries that the file says nothing of
        #[arg(long, value_name = "TIME")]
        ttl: Option<Span>,
    },
    /// Print the list as `import` reads it
    #[command(after_help = "\
Changes nothing, and needs no filter.

Examples:
  sip-filter block export > blocked.txt")]
    Export,
}

pub(super) fn run(verb: &Verb, global: &Global) -> Result<()> {
    match verb {
        Verb::Add {
            addresses,
            ttl,
            reason,
        } => lists::add(global, List::Block, addresses, *ttl, reason.as_deref()),
        Verb::Del { addresses } => lists::remove(global, List::Block, addresses),
        Verb::List { format } => lists::list(global, List::Block, *format),
        Verb::Import { options, ttl } => lists::import(global, List::Block, options, *ttl),
        Verb::Export => lists::export(global, List::Block),
    }
}
