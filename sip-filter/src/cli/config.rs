//! `config`: whether a configuration file can be used, and what is in force with where each value
//! came from.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{
    Global, complain,
    filter_options::{Ready, configuration},
    given::Given,
    turn::Turn,
};
use crate::{
    config::{
        configuration::{Row, as_toml},
        file,
    },
    kernel::Filter,
    output::{self, Format, csv, json},
    stats,
};

/// The configuration file
///
/// TOML, /etc/sip-filter/config.toml unless --config names another: what `run`, `attach`, `replay`
/// and `signatures explain` do unless their options say otherwise. The example that comes with the
/// source, sip-filter/config.toml, explains every key.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  sip-filter config check                    whether /etc/sip-filter/config.toml can be used
  sip-filter config check new.toml           whether another file can
  sip-filter config show                     what is in force, and where each value came from
  sip-filter config show --config new.toml   what would be in force with that file")]
pub(super) enum Verb {
    /// Check a configuration file, and the files that it names
    ///
    /// Says everything that is wrong with it: file, line, key, why, and what may have been meant.
    #[command(after_help = "\
Changes nothing, and needs no privileges. The exit status is 0 when the file can be used, 1 when
not.

Examples:
  sip-filter config check
  sip-filter config check new.toml")]
    Check {
        /// The file
        #[arg(default_value = file::DEFAULT)]
        file: PathBuf,
    },
    /// Show what is in force, and where each value came from
    ///
    /// Of the running filter, what it was attached or reloaded with; where none runs, what `run` and
    /// `attach` would use. It is printed as a configuration file: what a comment calls `default`
    /// need not be written.
    #[command(after_help = "\
Changes nothing. With --config it needs no privileges.

Examples:
  sip-filter config show
  sip-filter config show --name edge --format json
  sip-filter config show --config new.toml")]
    Show(Show),
}

/// Options of `config show`.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// What would be in force with this file, whatever runs
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print it; as a table, it is a configuration file
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub(super) fn run(verb: &Verb, global: &Global) -> Result<()> {
    match verb {
        Verb::Check { file } => check(file),
        Verb::Show(options) => show(options, global),
    }
}

fn check(file: &Path) -> Result<()> {
    let configuration = file::read(file)?;
    file::try_databases(&configuration, file)?;
    let ready = Ready::new(configuration, 0)?;
    let line = format!(
        "{}: can be used; {}",
        file.display(),
        ready.policy(&ready.lists)
    );
    output::print(|out| writeln!(out, "{line}"))
}

fn show(options: &Show, global: &Global) -> Result<()> {
    let rows = match &options.config {
        Some(file) => file::read(file)?.rows(),
        None => in_force(global)?,
    };
    match options.format {
        Format::Table => output::print(|out| write!(out, "{}", as_toml(&rows))),
        Format::Json => output::print(|out| json::document(out, &rows)),
        Format::Csv => output::print(|out| csv::rows(out, &rows)),
    }
}

/// What the running filter was given, or what it would be given.
fn in_force(global: &Global) -> Result<Vec<Row>> {
    let instance = global.instance()?;
    let name = instance.name();
    if matches!(instance.dir().try_exists(), Ok(false)) {
        complain(&format!(
            "note: the filter {name} is not attached; this is what it would be attached with"
        ));
        return Ok(configuration(None)?.rows());
    }
    let _turn = Turn::wait(&global.state)?;
    let running = Filter::open(&instance)?.program_id()?;
    match Given::read(&global.state, name)? {
        Some(given) if given.program == running => Ok(given.in_force),
        _ => bail!(
            "{} does not hold what the filter {name} was given; is --state what it was attached \
             with? `sip-filter status` shows what the kernel knows of it",
            global.state.display()
        ),
    }
}

impl stats::Row for Row {
    const COLUMNS: &'static [stats::Column<Self>] = &[
        stats::Column {
            name: "table",
            rank: 0,
            cell: |row| row.table.as_str().into(),
        },
        stats::Column {
            name: "key",
            rank: 0,
            cell: |row| row.key.as_str().into(),
        },
        stats::Column {
            name: "value",
            rank: 0,
            cell: |row| row.value.to_string().into(),
        },
        stats::Column {
            name: "origin",
            rank: 0,
            cell: |row| row.origin.as_str().into(),
        },
    ];
}
