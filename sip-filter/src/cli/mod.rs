//! The command line: one file a verb, each with its arguments, its help and the call into the
//! library.
//!
//! A verb returns an error or nothing. How errors are shown and which exit status they give
//! is decided here alone: 1 when something failed, 2 when the command was used wrongly.

mod allow;
mod apply;
mod attach;
mod block;
mod config;
mod detach;
mod events;
mod filter_options;
mod follow;
mod generate;
mod geoip;
mod given;
mod history;
mod hold;
mod http_options;
mod listing;
mod lists;
mod reload;
mod replay;
mod report;
mod run;
mod service;
mod signatures;
mod stats;
mod status;
mod top;
mod turn;

use std::{
    fmt,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Result, bail};
use clap::{Parser, Subcommand, error::ErrorKind};

use crate::{config::file::Mistakes, escape, kernel::Instance};

/// Exit status of a command that was used as it cannot be.
const WRONG_USAGE: u8 = 2;

/// The instance that commands are about unless they name one.
const DEFAULT_INSTANCE: &str = "default";
/// The longest name of an instance, in bytes.
const MAX_INSTANCE_NAME: usize = 64;

/// Sees SIP scanners at the network driver, names them, counts them and drops them.
#[derive(Debug, Parser)]
#[command(name = "sip-filter", version, max_term_width = 100)]
#[command(after_help = "\
Examples:
  sip-filter run -i eth0                    watch what scanners send, drop nothing
  sip-filter attach -i eth0 --drop scanners drop what known scanners send, and exit
  sip-filter stats                          what was seen so far
  sip-filter top                            the same on the whole terminal, live
  sip-filter detach                         leave nothing behind
  sip-filter replay calls.pcap              what it would have seen in a capture
  sip-filter report                         what a history says of the last twelve months")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Which filter a command is about.
#[derive(Debug, clap::Args)]
struct Global {
    /// The filter's name, where there are several [default: default]
    #[arg(long, global = true, value_name = "INSTANCE", value_parser = instance_name)]
    name: Option<String>,
    /// Where the BPF file system is mounted, which holds what outlives the command
    #[arg(long, global = true, value_name = "DIR", default_value = "/sys/fs/bpf")]
    bpffs: PathBuf,
    /// Where that is kept which outlives a reboot
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/var/lib/sip-filter"
    )]
    state: PathBuf,
}

impl Global {
    fn instance(&self) -> Result<Instance> {
        let name = self.name.as_deref().unwrap_or(DEFAULT_INSTANCE);
        Instance::new(&self.bpffs, name)
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Args),
    Attach(attach::Args),
    Detach(detach::Args),
    Reload(reload::Args),
    Status(status::Args),
    Stats(stats::Args),
    Events(events::Args),
    Top(top::Args),
    Replay(replay::Args),
    Report(report::Args),
    #[command(subcommand)]
    History(history::Verb),
    #[command(subcommand)]
    Allow(allow::Verb),
    #[command(subcommand)]
    Block(block::Verb),
    #[command(subcommand)]
    Signatures(signatures::Verb),
    #[command(subcommand)]
    Config(config::Verb),
    #[command(hide = true)]
    Generate(generate::Args),
}

/// Options that cannot stand together, found after the command line was read.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let done = match cli.verb {
        Verb::Run(args) => run::run(&args, &cli.global),
        Verb::Attach(args) => attach::run(&args, &cli.global),
        Verb::Detach(args) => detach::run(&args, &cli.global),
        Verb::Reload(args) => reload::run(&args, &cli.global),
        Verb::Status(args) => status::run(&args, &cli.global),
        Verb::Stats(args) => stats::run(&args, &cli.global),
        Verb::Events(args) => events::run(&args, &cli.global),
        Verb::Top(args) => top::run(&args, &cli.global),
        Verb::Replay(args) => replay::run(&args, &cli.global),
        Verb::Report(args) => report::run(&args, &cli.global),
        Verb::History(verb) => history::run(&verb, &cli.global),
        Verb::Allow(verb) => allow::run(&verb, &cli.global),
        Verb::Block(verb) => block::run(&verb, &cli.global),
        Verb::Signatures(verb) => signatures::run(&verb, &cli.global),
        Verb::Config(verb) => config::run(&verb, &cli.global),
        Verb::Generate(args) => generate::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in lines(&error) {
                complain(&format!("error: {line}"));
            }
            match error.is::<Usage>() {
                true => ExitCode::from(WRONG_USAGE),
                false => ExitCode::FAILURE,
            }
        }
    }
}

/// Prints help where it was asked for, and otherwise why the command line is wrong.
fn refuse(error: &clap::Error) -> ExitCode {
    if error.kind() == ErrorKind::ValueValidation {
        // The first paragraph says it all; the rest would only point to the help.
        let message = error.render().to_string();
        complain(message.split("\n\n").next().unwrap_or(&message));
    } else {
        // A closed standard output is no reason to fail.
        let _ = error.print();
    }
    match error.use_stderr() {
        true => ExitCode::from(WRONG_USAGE),
        false => ExitCode::SUCCESS,
    }
}

/// What an error says: a line with its whole cause; of a configuration file, one for each mistake.
fn lines(error: &anyhow::Error) -> Vec<String> {
    match error.downcast_ref::<Mistakes>() {
        Some(Mistakes(mistakes)) => mistakes.iter().map(ToString::to_string).collect(),
        None => vec![format!("{error:#}")],
    }
}

/// A line on standard error, or some. Where that is closed, there is nobody to tell. What it quotes does
/// nothing to the terminal.
fn complain(text: &str) {
    for line in text.trim_end().lines() {
        let _ = writeln!(io::stderr(), "{}", escape::terminal(line));
    }
}

fn instance_name(text: &str) -> Result<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.is_empty() || text.len() > MAX_INSTANCE_NAME || !text.bytes().all(allowed) {
        bail!("a name has 1 to {MAX_INSTANCE_NAME} letters, digits, - and _");
    }
    Ok(text.to_owned())
}

/// An error when an interface is named twice.
fn named_once(interfaces: &[String]) -> Result<()> {
    for (at, name) in interfaces.iter().enumerate() {
        if interfaces[..at].contains(name) {
            bail!(Usage(format!(
                "interface {name} is named twice; name it once"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_examples() {
        let mut command = Cli::command();
        // Hands the global options down.
        command.build();
        for verb in command
            .get_subcommands_mut()
            .filter(|verb| verb.get_name() != "help")
        {
            let help = verb.render_long_help().to_string();
            assert!(help.contains("Examples:"), "{help}");
        }
    }

    #[test]
    fn the_help_of_signatures_names_all_that_can_be_said() {
        use sip_filter_common::{
            field::{Detector, Field, Match},
            tool::Kind,
        };
        let mut command = Cli::command();
        let verb = command.find_subcommand_mut("signatures").unwrap();
        let help = verb.render_long_help().to_string();
        let names = Kind::ALL.into_iter().map(Kind::name);
        let names = names.chain(Field::ALL.into_iter().map(Field::name));
        let names = names.chain(Match::ALL.into_iter().map(Match::name));
        for name in names.chain(Detector::ALL.into_iter().map(Detector::name)) {
            assert!(help.contains(name), "{name}: {help}");
        }
    }

    #[test]
    fn wrong_command_lines_are_refused() {
        for line in [
            "",
            "attach -i",
            "attach -i eth0 --ports 70000",
            "attach -i eth0 --ports 5060-5050",
            "attach -i eth0 --ports=",
            "attach -i eth0 --drop nothing-known",
            "attach -i eth0 --drop=",
            "attach -i eth0 --mode fast",
            "attach -i eth0 --sources 0",
            "attach -i eth0 --sources 100000000",
            "attach -i eth0 --keep",
            "attach -i eth0 -v",
            "attach -i eth0 --http 9060",
            "run -i eth0 --http",
            "run -i eth0 --http example.org",
            "run -i eth0 --http 70000",
            "attach -i a-name-that-is-too-long",
            "attach -i ../etc",
            "attach -i eth0 --name ../x",
            "attach -i eth0 --name=",
            "detach -i eth0 --all",
            "stats --by colour",
            "stats --top 0",
            "stats --format xml",
            "replay",
            "replay a.pcap b.pcap",
            "replay a.pcap --engine gpu",
            "replay a.pcap --mode skb",
            "replay a.pcap -i eth0",
            "replay a.pcap --by colour",
            "replay a.pcap --ports 70000",
            "top --interval 10ms",
            "top --interval soon",
            "top eth0",
            "signatures",
            "signatures check",
            "signatures check a.toml b.toml",
            "signatures list --format xml",
            "signatures explain",
            "signatures explain a.pcap --packets 0",
            "config",
            "config check a.toml b.toml",
            "config show a.toml",
            "config show --format xml",
            "reload -i eth0",
            "allow",
            "allow add",
            "allow add 192.0.2",
            "allow add 192.0.2.7/24",
            "allow add 192.0.2.7 --ttl 1h",
            "block add 192.0.2.7 --ttl 0s",
            "block add 192.0.2.7 --ttl soon",
            "block del",
            "block list --format xml",
            "block import",
            "generate",
            "run -i eth0 --history",
            "attach -i eth0 --history h.sqlite",
            "history",
            "history import",
            "history import a.csv b.csv",
            "history export --unit week",
            "history export --format xml",
            "report --since yesterday",
            "report --since 2026-11 --last 30d",
            "report --last soon",
            "report --year 26000",
            "report --year 2026 --until 2026-11",
            "report --unit week",
            "report --addresses 0",
            "report --port 70000",
            "report --html a.html --format json",
        ] {
            let words = ["sip-filter"].into_iter().chain(line.split(' '));
            let error = match Cli::try_parse_from(words) {
                Ok(cli) => panic!("`{line}` is taken for {cli:?}"),
                Err(error) => error,
            };
            assert!(error.use_stderr(), "{line}");
        }
    }

    #[test]
    fn right_command_lines_are_taken() {
        for line in [
            "run",
            "attach --config edge.toml --state /tmp/state",
            "config check",
            "config check edge.toml",
            "config show --config edge.toml --format json",
            "generate share",
            "reload --name edge",
            "replay a.pcap --config edge.toml",
            "run -i eth0",
            "run -i eth0 -i eth1 --keep -v",
            "run -i eth0 --http 9060",
            "run -i eth0 --http [2001:db8::10]:9060 --http-token-file token",
            "attach -i eth0 --mode skb --ports 5060,any --drop scanners,options --sources 1024",
            "attach -i eth0 --ports any --name Edge_2-a --bpffs /tmp/bpf",
            "--name edge attach -i eth0",
            "detach",
            "detach -i eth0 -i eth1",
            "detach --all",
            "detach --all --bpffs /tmp/bpf",
            "status --format json",
            "attach -i eth0 --signatures own.toml",
            "signatures list",
            "signatures list --signatures own.toml --format csv",
            "signatures list --name edge --bpffs /tmp/bpf",
            "signatures check own.toml",
            "allow add 192.0.2.7 2001:db8::/32 --reason trunk",
            "allow del 192.0.2.7",
            "allow list --format json",
            "allow import trunks.txt --reason trunks --replace",
            "allow export",
            "block add 192.0.2.0/24 --ttl 7d --reason abuse --state /tmp/state",
            "block import - --ttl 1h",
            "block list --format csv",
            "block export --name edge",
            "signatures explain a.pcap --packets 3 --drop scanners --format json",
            "stats",
            "stats --by source --top 5 --sort last_seen --format csv",
            "top",
            "top --interval 500ms --name edge",
            "replay a.pcap",
            "replay a.pcapng --engine host --ports any --drop scanners --sources 1024 --by tool",
            "run -i eth0 --history h.sqlite",
            "report",
            "report --last 30d --html a.html",
            "report --since 2025-04 --until 2026-03-31 --out a.html --addresses 64 --top 5",
            "report --year 2026 --unit day --format csv --history h.sqlite",
            "history import a.csv",
            "history import - --history h.sqlite",
            "history export --unit month --format json --name edge",
            "replay --engine kernel --name monday --format json /dev/stdin",
        ] {
            let words = ["sip-filter"].into_iter().chain(line.split(' '));
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn an_interface_is_named_once() {
        let named = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            named_once(&names)
        };
        assert!(named(&["eth0", "eth1"]).is_ok());
        let error = named(&["eth0", "eth1", "eth0"]).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("eth0"));
    }
}
