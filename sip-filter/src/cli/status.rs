//! `status`: what is attached, and what is in force there.

use anyhow::Result;
use serde::Serialize;

use super::{Global, complain};
use crate::{
    kernel::{self, Filter},
    output::{self, Format, csv, json, status},
    stats::{Condition, Status},
};

/// Show what is attached where, and what is in force
///
/// What is attached, how full the maps are and how long the program takes is asked of the kernel, not
/// remembered. How long it takes is known while the kernel measures it: sysctl
/// kernel.bpf_stats_enabled=1, which costs some nanoseconds a packet.
///
/// Fails when the filter is not attached.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Changes nothing.

Examples:
  sip-filter status                the filter named `default`
  sip-filter status --name edge    the filter named `edge`
  sip-filter status --rate         with the packets a second
  sip-filter status --format json  for programs")]
pub(super) struct Args {
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Also count for half a second how many packets come a second
    #[arg(long)]
    rate: bool,
}

/// All of it as one object.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    status: &'a Status,
    #[serde(flatten)]
    condition: &'a Condition,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let instance = global.instance()?;
    let filter = Filter::open(&instance)?;
    let status = Status::read(&instance, &filter, &global.state)?;
    let condition = Condition::read(&instance, &filter, args.rate)?;
    if condition.program.is_none() {
        complain(
            "note: root alone is told how long the program takes, and what else sees packets at tcx",
        );
    }
    match args.format {
        Format::Table => {
            let mut others = kernel::instances(&global.bpffs)?;
            others.retain(|name| name != instance.name());
            output::print(|out| status::lines(out, &status, &condition, &others))
        }
        Format::Json => output::print(|out| {
            let (status, condition) = (&status, &condition);
            json::document(out, &Document { status, condition })
        }),
        Format::Csv => output::print(|out| csv::status(out, &status)),
    }
}
