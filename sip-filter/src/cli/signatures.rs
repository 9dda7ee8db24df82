//! `signatures`: what tools are told by, whether a file of one's own can be used, and why a packet
//! is what it is.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs,
    io::{self, Write},
    num::NonZeroUsize,
    path::PathBuf,
};

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;

use super::{
    Global, Usage, complain,
    filter_options::{PolicyOptions, configuration},
    given::Given,
};
use crate::{
    capture::Capture,
    config::{
        configuration::Configuration,
        signatures::{Signature, Signatures},
    },
    escape,
    explain::{Explainer, Explanation, Matched, Part},
    kernel::Filter,
    number::thousands,
    output::{
        self, Format, Terminal, csv, json,
        table::{self, Layout},
    },
    replay,
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
///   field   = "user-agent"        user-agent, from, to, contact, via, call-id, cseq: what the
///                                 header field holds, in its compact form too; request-uri;
///                                 with match contains alone: body, and any for all of it
///   match   = "prefix"            exact, prefix, contains; letters match in any case
///   pattern = "friendly-scanner"  1 to 64 bytes; a prefix has at least 3, what is contained 7
///   sure    = true                the default; false: named and counted, but never dropped
///   note    = "where this is known from"
///
/// In place of field, match and pattern, a shape that the program knows:
///
///   detector = "sipvicious-target"  or sipvicious-shape, sipvicious-tag, svcrack-tag, sippts-branch,
///                                   metasploit-tag, metasploit-branch, zmap-template, zmap-bare,
///                                   nmap-script
///
/// For a tool and field that the file names, its signatures hold in place of the built-in ones, and
/// so does the kind; each detector is a field of its own. An entry of tool, field or detector, and
/// `disabled = true` takes the built-in ones away; without field and detector, all of the tool's.
#[derive(Debug, clap::Subcommand)]
#[command(verbatim_doc_comment)]
#[command(after_help = "\
Examples:
  sip-filter signatures list                            those in force, or that would be
  sip-filter signatures list --signatures own.toml      with those of a file
  sip-filter signatures list --name edge                with the hits of the filter named `edge`
  sip-filter signatures check own.toml                  whether the file can be used
  sip-filter signatures explain monday.pcap             why its packets are what they are
  sip-filter attach -i eth0 --signatures own.toml       use it, from the next packet on")]
pub(super) enum Verb {
    /// List the signatures, and how often each one has hit
    ///
    /// Those of the running filter; where none runs, those that `run` and `attach` would use. Hits are packets that a signature has named, since the filter was attached or the signature
    /// was new to it. They stay when others are replaced. Where several meet a packet, one names
    /// it and has the hit. There are none for what is not in force.
    #[command(after_help = "\
Changes nothing. Without an attached filter there are no hits.

Examples:
  sip-filter signatures list
  sip-filter signatures list --name edge
  sip-filter signatures list --config new.toml
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
    /// Say of packets, part by part, what they are and why
    ///
    /// The file is a capture, or the payload of one UDP datagram. Text from packets is escaped
    /// where it is not printable.
    #[command(after_help = "\
Changes nothing, and needs no privileges.

Examples:
  sip-filter signatures explain monday.pcap
  sip-filter signatures explain monday.pcap --packets 5 --drop scanners
  sip-filter signatures explain payload.bin --format json")]
    Explain(Explain),
}

/// Options of `signatures explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// A capture, or a payload
    file: PathBuf,
    /// How many UDP packets of a capture to explain
    #[arg(long, value_name = "N", default_value = "1")]
    packets: NonZeroUsize,
    #[command(flatten)]
    policy: PolicyOptions,
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Options of `signatures list`.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Those that would be in force with this configuration file, whatever runs
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Those of your own in this file, before the built-in ones, whatever runs
    #[arg(long, value_name = "FILE")]
    signatures: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub(super) fn run(verb: &Verb, global: &Global) -> Result<()> {
    match verb {
        Verb::List(options) => list(options, global),
        Verb::Explain(options) => explain(options),
        Verb::Check { file } => {
            let signatures = Signatures::with_own(&[file])?;
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

fn explain(options: &Explain) -> Result<()> {
    if options.format == Format::Csv {
        bail!(Usage(
            "explain prints a table or json: csv is for lists".to_owned()
        ));
    }
    let ready = options.policy.ready()?;
    if let Some(note) = options.policy.note(&ready) {
        complain(&format!("note: {note}"));
    }
    let load = ready.load(false);
    let mut explainer = Explainer::new(&load, options.packets.get())?;
    let file = options.file.display();
    let bytes = fs::read(&options.file).with_context(|| format!("cannot read {file}"))?;
    let damage = match Capture::new(bytes.as_slice()) {
        Ok(mut capture) => replay::replay(&mut capture, &mut explainer)?.damage,
        Err(_) => {
            let explanation = explainer.payload(&bytes);
            explainer.explanations.push(explanation);
            None
        }
    };
    let explanations = &explainer.explanations;
    match options.format {
        Format::Json => output::print(|out| json::document(out, explanations))?,
        _ => output::print(|out| {
            explanations
                .iter()
                .try_for_each(|explanation| describe(out, explanation))
        })?,
    }
    match damage {
        None => Ok(()),
        Some(damage) => Err(anyhow!(damage).context(format!("the capture {file} is damaged"))),
    }
}

/// An explanation for people.
fn describe(out: &mut dyn Write, explanation: &Explanation) -> io::Result<()> {
    let Explanation {
        packet,
        source,
        port,
        length,
        class,
        parts,
        signature,
        verdict,
    } = explanation;
    let from = source
        .as_ref()
        .map_or_else(String::new, |source| format!(" from {source}"));
    let to = port.map_or_else(String::new, |port| format!(" to port {port}"));
    writeln!(
        out,
        "packet {packet}{from}{to}: {class}, {length} bytes of payload"
    )?;
    for Part { at, what, text } in parts {
        writeln!(out, "  {at:>5}  {what:16}  {text}")?;
    }
    match signature {
        Some(found) => {
            let Matched {
                tool,
                kind,
                field,
                pattern,
                ..
            } = found;
            let tool = escape::terminal(tool);
            write!(out, "  signature: {tool} ({kind}) by {field}")?;
            match (found.at, found.length) {
                (Some(at), Some(length)) => {
                    let (how, last) = (found.how, at + length - 1);
                    writeln!(out, ", {how} {pattern:?}, in bytes {at} to {last}")?;
                }
                _ => writeln!(out, " {}", escape::terminal(pattern))?,
            }
        }
        None => writeln!(out, "  signature: none")?,
    }
    writeln!(out, "  verdict: it {}", escape::terminal(verdict))
}

fn list(options: &List, global: &Global) -> Result<()> {
    let signatures = Signatures::with_own(&files(options, global)?)?;
    let hits = hits(global)?;
    if options.config.is_none() && options.signatures.is_none() {
        say_what_has_changed(&signatures, &hits);
    }
    let rows = signatures.list.iter();
    let rows: Vec<_> = rows.map(|one| Listed::new(one, &hits)).collect();
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

/// The files of one's own: those that were asked for as `run` takes them, else the running filter's,
/// else those that it would have.
fn files(options: &List, global: &Global) -> Result<Vec<PathBuf>> {
    let List {
        config, signatures, ..
    } = options;
    if config.is_some() || signatures.is_some() {
        let mut configuration = match config {
            Some(_) => configuration(config.as_deref())?,
            None => Configuration::default(),
        };
        let file = signatures.clone().map(|file| vec![file]);
        configuration.signatures.command_line(file);
        return Ok(configuration.signatures.value);
    }
    let instance = global.instance()?;
    if matches!(instance.dir().try_exists(), Ok(false)) {
        return Ok(configuration(None)?.signatures.value);
    }
    let name = instance.name();
    let Some(given) = Given::configuration(&global.state, name) else {
        complain(&format!(
            "note: {} does not say which files the filter {name} was given; these are the built-in \
             signatures, or name the files with --config or --signatures",
            Given::path(&global.state, name).display()
        ));
        return Ok(Vec::new());
    };
    Ok(given.signatures.value)
}

/// Says so where the files are not any more what the running filter has read in them.
fn say_what_has_changed(listed: &Signatures, in_force: &HashMap<u64, u64>) {
    let listed: HashSet<_> = listed.list.iter().map(Signature::fingerprint).collect();
    let new = listed.iter().filter(|one| !in_force.contains_key(one));
    let gone = in_force.keys().filter(|one| !listed.contains(one));
    let (new, gone) = (new.count(), gone.count());
    if !in_force.is_empty() && new + gone > 0 {
        complain(&format!(
            "note: the files have changed since the filter read them: {new} of the signatures here \
             are not in force, and {gone} that are do not stand here; `sip-filter reload` puts the \
             files in force"
        ));
    }
}

/// The hits of each signature that is in force, by its fingerprint; nothing where no filter is
/// attached, unless one is asked for by its name.
fn hits(global: &Global) -> Result<HashMap<u64, u64>> {
    let instance = global.instance()?;
    match Filter::open(&instance).and_then(|filter| filter.hits()) {
        Err(error) if global.name.is_none() => {
            // The list needs no privileges and no filter; but hits that are there are not left out
            // without a word.
            if !matches!(instance.dir().try_exists(), Ok(false)) {
                complain(&format!("the hits are not listed: {error:#}"));
            }
            Ok(HashMap::new())
        }
        hits => hits,
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
    /// A detector's name stands here too.
    pattern: String,
    sure: bool,
    /// How many packets it has named; nothing where it is not in force.
    hits: Option<u64>,
    /// `own` or `built-in`.
    from: &'static str,
    note: String,
}

impl Listed {
    fn new(signature: &Signature, hits: &HashMap<u64, u64>) -> Self {
        Self {
            tool: signature.tool.clone(),
            kind: signature.kind.name(),
            field: signature.field(),
            how: signature.how(),
            pattern: signature.pattern().to_owned(),
            sure: signature.sure,
            hits: hits.get(&signature.fingerprint()).copied(),
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
            cell: |row| row.tool.as_str().into(),
        },
        Column {
            name: "kind",
            rank: 0,
            cell: |row| row.kind.into(),
        },
        Column {
            name: "field",
            rank: 1,
            cell: |row| row.field.into(),
        },
        Column {
            name: "match",
            rank: 1,
            cell: |row| row.how.into(),
        },
        Column {
            name: "pattern",
            rank: 0,
            cell: |row| row.pattern.as_str().into(),
        },
        Column {
            name: "sure",
            rank: 2,
            cell: |row| row.sure.to_string().into(),
        },
        Column {
            name: "hits",
            rank: 0,
            cell: |row| row.hits.map_or(Cell::NONE, Cell::Number),
        },
        Column {
            name: "from",
            rank: 3,
            cell: |row| row.from.into(),
        },
        Column {
            name: "note",
            rank: 4,
            cell: |row| row.note.as_str().into(),
        },
    ];
}
