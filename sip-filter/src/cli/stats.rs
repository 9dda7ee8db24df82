//! `stats`: what the filter counted so far.

use anyhow::Result;

use super::{Global, geoip::GeoipOptions, listing::Listing};
use crate::{kernel::Filter, stats::Snapshot};

/// Show what was counted so far
///
/// Without --by: totals, methods, tools, ports, and the ten sources with the most packets;
/// in JSON, every source. Listings have the most packets first, methods the order of their
/// RFCs, unless --sort says otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Changes nothing.

`scanner` counts packets in which a scanner, cracker, fuzzer or dialer was recognised;
`would drop` those that passed and that a rule would have dropped which only counts. A table
leaves out columns that do not fit the terminal, csv and json never do. --by reason says which
rule met how many packets.

Examples:
  sip-filter stats                                       an overview
  sip-filter stats --by source --top 20                  the busiest sources
  sip-filter stats --by source --sort last_seen --top 5  the latest ones
  sip-filter stats --by reason                           which rules met packets
  sip-filter stats --by tool --format csv                one table, for a spreadsheet
  sip-filter stats --format json                         everything, for programs")]
pub(super) struct Args {
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    geoip: GeoipOptions,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    args.listing.check()?;
    let instance = global.instance()?;
    let filter = Filter::open(&instance)?;
    let mut snapshot = match args.listing.top_sources() {
        Some(top) => Snapshot::read_top(&instance, &filter, top)?.0,
        None => Snapshot::read(&instance, &filter)?,
    };
    snapshot.locate(&args.geoip.databases(global)?);
    args.listing.print(&mut snapshot)?;
    // The process ends here, and gives back at once what it would else give back source by source.
    std::mem::forget(snapshot);
    Ok(())
}
