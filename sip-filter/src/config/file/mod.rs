//! The configuration file: TOML, read over the defaults.
//!
//! Everything that is wrong with it is found at once, each with its line, its key, and what may have
//! been meant. A file with anything wrong is not used at all. Relative paths in it are relative to
//! its folder. A file here for each table; `reader` is what all of them are read with.

mod behaviour;
mod escalate;
mod history;
mod http;
mod limit;
mod lists;
mod reader;
mod root;
mod sizes;
#[cfg(test)]
mod tests;

use std::{
    error, fmt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use toml::de::DeTable;

use self::reader::{Reader, Table};
use super::{
    configuration::{Configuration, Origin},
    signatures::Signatures,
    span::Span,
    text,
};
use crate::{
    geoip::Databases,
    lists::{List, listed},
};

pub use sizes::{MAX_SOURCES, MIN_SOURCES};

/// Where the file is looked for unless the operator names another.
pub const DEFAULT: &str = "/etc/sip-filter/config.toml";

/// What is counted over a longer time than this says nothing of the present; and the kernel's units
/// of time are enough for 52 days.
const MAX_WINDOW: Span = Span::from_secs(7 * 86_400);
/// The kernel counts time in jiffies, of up to 10 ms.
const MIN_WINDOW: Span = Span::from_ms(100);

const ROOT: [&str; 15] = [
    "interfaces",
    "mode",
    "group",
    "ports",
    "drop",
    "signatures",
    "events",
    "geoip",
    SIZES,
    LISTS,
    LIMIT,
    BEHAVIOUR,
    ESCALATE,
    HISTORY,
    HTTP,
];
const SIZES: &str = "sizes";
const LISTS: &str = "lists";
const LIMIT: &str = "limit";
const BEHAVIOUR: &str = "behaviour";
const ESCALATE: &str = "escalate";
const HISTORY: &str = "history";
const HTTP: &str = "http";

/// Something that is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub file: PathBuf,
    /// The line.
    pub line: usize,
    /// The key, what is wrong with it and what was meant.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what } = self;
        write!(f, "{}:{line}: {what}", file.display())
    }
}

/// Everything that is wrong with the file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    /// A line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut end = "";
        for mistake in &self.0 {
            write!(f, "{end}{mistake}")?;
            end = "\n";
        }
        Ok(())
    }
}

impl error::Error for Mistakes {}

/// Reads a configuration file, and tries the files that it names.
///
/// # Errors
///
/// When it cannot be read; or [`Mistakes`], when anything in it is wrong.
pub fn read(path: &Path) -> Result<Configuration> {
    let text = text::read(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    let (configuration, mut mistakes) = parse(&text, path);
    mistakes.extend(unusable_files(&configuration, path));
    mistakes.sort_by_key(|mistake| mistake.line);
    match mistakes.is_empty() {
        true => Ok(configuration),
        false => Err(Mistakes(mistakes).into()),
    }
}

/// What a file's text says, and what is wrong with it; the files that it names are not looked for.
pub fn parse(text: &str, path: &Path) -> (Configuration, Vec<Mistake>) {
    let mut configuration = Configuration {
        file: Some(path.to_owned()),
        ..Configuration::default()
    };
    let mut reader = Reader {
        text,
        path,
        mistakes: Vec::new(),
    };
    let (file, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let line = reader.line(span.start);
        // One line, one mistake: others follow from it.
        if reader.mistakes.iter().any(|mistake| mistake.line == line) {
            continue;
        }
        let at = match text.get(span).map(str::trim) {
            Some(at) if !at.is_empty() && !at.contains('\n') => format!(": `{at}`"),
            _ => String::new(),
        };
        reader.wrong(line, format!("{}{at}", error.message()));
    }
    // What follows from text that was not understood is no mistake of the operator's.
    if errors.is_empty() {
        let root = Table {
            name: String::new(),
            line: 1,
            values: reader.values(file.get_ref()),
        };
        reader.root(&root, &mut configuration);
    }
    reader.mistakes.sort_by_key(|mistake| mistake.line);
    (configuration, reader.mistakes)
}

/// Files that the configuration names and that cannot be used.
fn unusable_files(configuration: &Configuration, path: &Path) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut wrong = |origin, what| {
        if let Origin::Line(line) = origin {
            mistakes.push(Mistake {
                file: path.to_owned(),
                line,
                what,
            });
        }
    };
    let signatures = &configuration.signatures;
    if let Err(error) = Signatures::with_own(&signatures.value) {
        wrong(signatures.origin, format!("`signatures`: {error:#}"));
    }
    let lists = &configuration.lists;
    for (key, list, files) in [
        ("lists.allow_files", List::Allow, &lists.allow_files),
        ("lists.block_files", List::Block, &lists.block_files),
    ] {
        for file in &files.value {
            if let Err(error) = listed(file, list) {
                wrong(files.origin, format!("`{key}`: {error:#}"));
            }
        }
    }
    mistakes
}

/// Tries the databases of addresses. It is no part of [`read`]: that it is not known where sources are is no
/// reason not to filter.
///
/// # Errors
///
/// [`Mistakes`], when one cannot be read.
pub fn try_databases(configuration: &Configuration, path: &Path) -> Result<()> {
    let geoip = &configuration.geoip;
    match (Databases::open(&geoip.value), geoip.origin) {
        (Err(error), Origin::Line(line)) => Err(Mistakes(vec![Mistake {
            file: path.to_owned(),
            line,
            what: format!("`geoip`: {error:#}"),
        }])
        .into()),
        _ => Ok(()),
    }
}
