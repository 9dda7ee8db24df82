//! `generate`: the manual and the shells' completions, for packages. They are made of the command
//! line's own definition, so that they say what `--help` says.
//!
//! `after_help` is kept as it stands, line by line: examples are no text to be filled.

use std::{
    env,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::{Arg, Command, CommandFactory, ValueHint};
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use jiff::Timestamp;

use super::Cli;

/// Commands for those who administer a system: man-pages(7).
const SECTION: &str = "8";

/// The name of the program that the completions are for.
const PROGRAM: &str = "sip-filter";

/// Write the manual and the shells' completions into a folder
///
/// A page for each command below `man8`, and a file for each of bash, zsh and fish below
/// `completions`, of the names that these look for.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Changes nothing else, and needs no privileges.

Examples:
  sip-filter generate share
  man share/man8/sip-filter-run.8")]
pub(super) struct Args {
    /// The folder; it is created where it is not there
    dir: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    // Verbs that are hidden from the help are hidden here, too; `help` needs no page.
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let man = created(&args.dir.join("man8"))?;
    pages(&command, &man)?;
    let folder = created(&args.dir.join("completions"))?;
    for (shell, name) in [
        (Shell::Bash, "sip-filter.bash"),
        (Shell::Zsh, "_sip-filter"),
        (Shell::Fish, "sip-filter.fish"),
    ] {
        let path = folder.join(name);
        fs::write(&path, completions(shell)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// What a shell reads to complete words.
fn completions(shell: Shell) -> Result<String> {
    let mut visible = without_hidden(Cli::command()).mut_subcommands(without_files);
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut visible, PROGRAM, &mut text);
    let text = String::from_utf8(text).context("completions that are no text")?;
    // For bash, clap_complete calls a verb by one name where it is found and by another where its options
    // stand, if the program's name has a hyphen (clap-rs/clap issue 6421).
    let [found, listed] = ["__", "__subcmd__"].map(|hyphen| PROGRAM.replace('-', hyphen));
    Ok(text.replace(&format!("{listed}__"), &format!("{found}__")))
}

/// The command, of whose options those alone are completed by names of files that are about files.
fn without_files(command: Command) -> Command {
    let hint = |argument: Arg| {
        let takes_any =
            argument.get_action().takes_values() && argument.get_possible_values().is_empty();
        match argument.get_value_hint() {
            ValueHint::Unknown if takes_any => argument.value_hint(ValueHint::Other),
            _ => argument,
        }
    };
    command.mut_args(hint).mut_subcommands(without_files)
}

fn created(dir: &Path) -> Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir.to_owned())
}

/// Writes the page of the command, and of each below it.
fn pages(command: &Command, dir: &Path) -> Result<()> {
    let path = dir.join(file_name(command));
    let write = || {
        let mut file = BufWriter::new(File::create(&path)?);
        page(command, &mut file)?;
        file.flush()
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    visible(command).try_for_each(|verb| pages(verb, dir))
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set())
}

fn file_name(command: &Command) -> String {
    let name = command.get_display_name().unwrap_or(command.get_name());
    format!("{name}.{SECTION}")
}

fn page(command: &Command, out: &mut dyn Write) -> std::io::Result<()> {
    let source = format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone());
    let man = man.section(SECTION).date(date()).source(source);
    man.render_title(out)?;
    man.render_name_section(out)?;
    synopsis(command, out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if visible(command).next().is_some() {
        man.render_subcommands_section(out)?;
    }
    if let Some(help) = command.get_after_help() {
        notes(&help.to_string(), out)?;
    }
    if command.get_name() != PROGRAM {
        let mut roff = Roff::default();
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold(PROGRAM), roman(format!("({SECTION})"))]);
        roff.to_writer(out)?;
    }
    Ok(())
}

/// What is typed, as the help says it.
fn synopsis(command: &Command, out: &mut dyn Write) -> std::io::Result<()> {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let mut roff = Roff::default();
    roff.control("SH", ["SYNOPSIS"]).control("nf", []);
    for line in usage.lines() {
        roff.text([roman(line.trim())]);
    }
    roff.control("fi", []);
    roff.to_writer(out)
}

/// Today, or the day that SOURCE_DATE_EPOCH names (reproducible-builds.org), for packages.
fn date() -> String {
    let epoch = env::var("SOURCE_DATE_EPOCH").ok();
    let epoch = epoch.and_then(|seconds| Timestamp::from_second(seconds.parse().ok()?).ok());
    let date = epoch.unwrap_or_else(Timestamp::now);
    date.strftime("%Y-%m-%d").to_string()
}

/// What stands below the options: notes, and examples under a heading of their own.
fn notes(help: &str, out: &mut dyn Write) -> std::io::Result<()> {
    let mut roff = Roff::default();
    let (notes, examples) = match help.split_once("Examples:\n") {
        Some((notes, examples)) => (notes, examples),
        None => (help, ""),
    };
    for (heading, text) in [("NOTES", notes), ("EXAMPLES", examples)] {
        let text = text.trim_end();
        if text.is_empty() {
            continue;
        }
        roff.control("SH", [heading]).control("nf", []);
        for line in text.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff.to_writer(out)
}

/// The command without what its help does not show: completions would offer it.
fn without_hidden(command: Command) -> Command {
    let shown: Vec<_> = visible(&command).cloned().collect();
    let mut bare = Command::new(PROGRAM).version(env!("CARGO_PKG_VERSION"));
    for argument in command.get_arguments() {
        bare = bare.arg(argument.clone());
    }
    bare.subcommands(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated() -> Vec<(String, String)> {
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let mut pages = Vec::new();
        collect(&command, &mut pages);
        pages
    }

    fn collect(command: &Command, pages: &mut Vec<(String, String)>) {
        let mut text = Vec::new();
        page(command, &mut text).unwrap();
        pages.push((file_name(command), String::from_utf8(text).unwrap()));
        for verb in visible(command) {
            collect(verb, pages);
        }
    }

    #[test]
    fn every_command_has_a_page_with_its_examples_line_by_line() {
        let pages = generated();
        let names: Vec<_> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["sip-filter.8", "sip-filter-run.8", "sip-filter-block-add.8"] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        assert!(!names.contains(&"sip-filter-generate.8"), "{names:?}");
        for (name, page) in &pages {
            for part in [".SH NAME", ".SH SYNOPSIS", ".SH EXAMPLES\n.nf\n"] {
                assert!(page.contains(part), "{name}: {part}: {page}");
            }
        }
    }

    #[test]
    fn completions_offer_what_the_help_shows() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = completions(shell).unwrap();
            for word in ["attach", "bpffs"] {
                assert!(text.contains(word), "{shell}: {word}");
            }
            assert!(!text.contains("generate"), "{shell}");
        }
    }
}
