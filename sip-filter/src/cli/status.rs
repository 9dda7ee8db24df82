//! `status`: what is attached, and what is in force there.

use anyhow::Result;

use super::Global;
use crate::{
    kernel::{self, Filter},
    output::{self, Format, csv, json, table},
    stats::Status,
};

/// Show what is attached where, and what is in force
///
/// Fails when the filter is not attached.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Changes nothing.

Examples:
  sip-filter status                the filter named `default`
  sip-filter status --name edge    the filter named `edge`
  sip-filter status --format json  for programs")]
pub(super) struct Args {
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let instance = global.instance()?;
    let status = Status::read(&instance, &Filter::open(&instance)?, &global.state)?;
    match args.format {
        Format::Table => {
            let mut others = kernel::instances(&global.bpffs)?;
            others.retain(|name| name != instance.name());
            output::print(|out| table::status(out, &status, &others))
        }
        Format::Json => output::print(|out| json::document(out, &status)),
        Format::Csv => output::print(|out| csv::status(out, &status)),
    }
}
