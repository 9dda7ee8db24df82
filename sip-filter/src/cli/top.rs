//! `top`: a running filter on the whole terminal.

use anyhow::Result;

use super::{Global, geoip::GeoipOptions, lists};
use crate::{
    config::span::Span,
    top::{self, Order},
};

/// The reason of entries that are made here.
const REASON: &str = "sip-filter top";

/// The shortest interval, in milliseconds: more often nobody can read.
const SHORTEST: u64 = 100;

/// Watch a running filter on the whole terminal
///
/// Rates and totals, and below them the sources, methods, tools or ports, sorted by any column and
/// filtered by any text; a page for each source; keys to allow and to block one. `?` shows all keys.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Changes nothing unless a source is allowed or blocked by a key, which asks first.

Keys:
  1 2 3 4, Tab       sources, methods, tools, ports
  capital letters    sort by the column with that capital letter; again turns the order round
  /                  show only what contains a text; Esc shows all again
  Enter              everything about one source
  a, b               allow or block it
  p                  pause
  q, Esc, Ctrl-C     end

Examples:
  sip-filter top                 the filter named `default`
  sip-filter top --interval 5s   read every five seconds
  sip-filter top --name edge     the filter named `edge`")]
pub(super) struct Args {
    /// How often to read the counters, as in 500ms, 1s or 1m
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Span,
    #[command(flatten)]
    geoip: GeoipOptions,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let instance = global.instance()?;
    let databases = args.geoip.databases(global)?;
    top::run(
        &instance,
        &databases,
        args.interval,
        &mut |order: &Order| {
            let Order { list, source, ttl } = *order;
            lists::add_one(global, list, source.into(), ttl, REASON)
        },
    )
}

fn interval(text: &str) -> Result<Span> {
    let span: Span = text.parse()?;
    match span < Span::from_ms(SHORTEST) {
        true => anyhow::bail!("{span} is too short; at least {SHORTEST}ms"),
        false => Ok(span),
    }
}
