//! `signatures`: what tools are told by, and whether a file of one's own can be used.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::Result;
use serde::Serialize;

use crate::{
    config::signatures::{Signature, Signatures},
    output::{
        self, Format, Terminal, csv, json,
        table::{self, Layout, thousands},
    },
    stats::{Cell, Column, Row, WallTime},
};

/// What tools are told by
///
/// A file of signatures is TOML:
///
///   [[signature]]
///   tool    = "sipvicious"        what reports call it
///   kind    = "scanner"           scanner, cracker, fuzzer, dialer: dropped by --drop scanners;
///                                 testtool, library: counted only
///   field   = "user-agent"
///   match   = "prefix"            exact or prefix; letters match in any case
///   pattern = "friendly-scanner"  1 to 64 bytes, a prefix at least 4
///   note    = "where this is known from"
///
/// For a tool and field that the file names, its signatures hold in place of the built-in ones.
/// An entry of tool, field and `disabled = true` alone takes the built-in ones away.
#[derive(Debug, clap::Subcommand)]
#[command(verbatim_doc_comment)]
#[command(after_help = "\
Examples:
  sip-filter signatures list                            the built-in ones
  sip-filter signatures list --signatures own.toml      with those of a file
  sip-filter signatures check own.toml                  whether the file can be used
  sip-filter attach -i eth0 --signatures own.toml       use it, from the next packet on")]
pub(super) enum Verb {
    /// List the signatures
    #[command(after_help = "\
Changes nothing.

Examples:
  sip-filter signatures list
  sip-filter signatures list --signatures own.toml --format csv")]
    List(List),
    /// Check a file of signatures
    ///
    /// What cannot be used is refused whole, with its line and the reason.
    #[command(after_help = "\
Changes nothing. The exit status is 0 when the file can be used, 1 when not.

Examples:
  sip-filter signatures check own.toml")]
    Check {
        /// The file
        file: PathBuf,
    },
}

/// Options of `signatures list`.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Signatures of your own, before the built-in ones
    #[arg(long, value_name = "FILE")]
    signatures: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub(super) fn run(verb: &Verb) -> Result<()> {
    match verb {
        Verb::List(options) => list(options),
        Verb::Check { file } => {
            let signatures = Signatures::with_own(file)?;
            let own = signatures.list.iter().filter(|one| one.own).count();
            let tools: BTreeSet<_> = signatures.list.iter().map(|one| &one.tool).collect();
            let line = format!(
                "{}: {} of its own; {} signatures of {} tools with the built-in ones",
                file.display(),
                thousands(own as u64),
                thousands(signatures.list.len() as u64),
                thousands(tools.len() as u64)
            );
            output::print(|out| writeln!(out, "{line}"))
        }
    }
}

fn list(options: &List) -> Result<()> {
    let signatures = match &options.signatures {
        Some(file) => Signatures::with_own(file)?,
        None => Signatures::built_in()?,
    };
    let rows: Vec<_> = signatures.list.iter().map(Listed::from).collect();
    match options.format {
        Format::Json => output::print(|out| json::document(out, &rows)),
        Format::Csv => output::print(|out| csv::rows(out, &rows)),
        Format::Table => {
            let layout = Layout {
                terminal: Terminal::stdout(),
                now: WallTime::from_ns(0),
                sorted_by: "tool",
            };
            let table = table::table(&rows, layout);
            output::print(|out| write!(out, "{table}"))
        }
    }
}

/// A signature as it is listed.
#[derive(Debug, Serialize)]
struct Listed {
    tool: String,
    kind: &'static str,
    field: &'static str,
    #[serde(rename = "match")]
    how: &'static str,
    pattern: String,
    /// `own` or `built-in`.
    from: &'static str,
    note: String,
}

impl From<&Signature> for Listed {
    fn from(signature: &Signature) -> Self {
        Self {
            tool: signature.tool.clone(),
            kind: signature.kind.name(),
            field: signature.field(),
            how: signature.how.name(),
            pattern: signature.pattern.clone(),
            from: if signature.own { "own" } else { "built-in" },
            note: signature.note.clone(),
        }
    }
}

impl Row for Listed {
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "tool",
            rank: 0,
            cell: |row| Cell::Text(row.tool.clone()),
        },
        Column {
            name: "kind",
            rank: 0,
            cell: |row| Cell::Text(row.kind.to_owned()),
        },
        Column {
            name: "field",
            rank: 3,
            cell: |row| Cell::Text(row.field.to_owned()),
        },
        Column {
            name: "match",
            rank: 1,
            cell: |row| Cell::Text(row.how.to_owned()),
        },
        Column {
            name: "pattern",
            rank: 0,
            cell: |row| Cell::Text(row.pattern.escape_debug().to_string()),
        },
        Column {
            name: "from",
            rank: 2,
            cell: |row| Cell::Text(row.from.to_owned()),
        },
        Column {
            name: "note",
            rank: 4,
            cell: |row| Cell::Text(row.note.escape_debug().to_string()),
        },
    ];
}
