//! What of a snapshot is printed, and how: the same for whatever makes one.

use std::num::NonZeroUsize;

use anyhow::{Result, bail};

use super::Usage;
use crate::{
    output::{
        self, Format, Terminal, csv, json,
        table::{self, Layout},
    },
    stats::{
        ByBehaviour, ByReason, Method, PACKETS, Port, Section, Snapshot, Source, Tool,
        check_column, sort,
    },
};

/// What of a snapshot is printed, and how.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output options")]
pub(super) struct Listing {
    /// Show one section alone
    #[arg(long, value_enum, value_name = "SECTION")]
    by: Option<Section>,
    /// Show no more than so many lines of the section; without --by, of the sources
    #[arg(long, value_name = "N")]
    top: Option<NonZeroUsize>,
    /// Sort the section, or without --by the sources, by a column named as in csv: counts
    /// and times descending, names ascending
    #[arg(long, value_name = "COLUMN")]
    sort: Option<String>,
    /// How to print it; csv needs --by, since it is one table
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Listing {
    /// Whether the options make sense together. Asked before anything is read, so that wrong usage
    /// is told apart from what cannot be read.
    pub(super) fn check(&self) -> Result<()> {
        if self.format == Format::Csv && self.by.is_none() {
            bail!(Usage(
                "csv is one table: choose it with --by total, method, tool, port, source, \
                 reason or behaviour"
                    .to_owned()
            ));
        }
        if let Some(column) = &self.sort {
            let known = match self.by {
                Some(Section::Total) => {
                    bail!(Usage("--by total is one line: leave out --sort".to_owned()))
                }
                Some(Section::Method) => check_column::<Method>(column),
                Some(Section::Tool) => check_column::<Tool>(column),
                Some(Section::Port) => check_column::<Port>(column),
                Some(Section::Source) | None => check_column::<Source>(column),
                Some(Section::Reason) => check_column::<ByReason>(column),
                Some(Section::Behaviour) => check_column::<ByBehaviour>(column),
            };
            known.map_err(|error| Usage(error.to_string()))?;
        }
        Ok(())
    }

    /// How many of the sources with the most packets are shown at most, where it is no other ones.
    pub(super) fn top_sources(&self) -> Option<usize> {
        let is_by_packets = self.sort.as_deref().is_none_or(|column| column == PACKETS);
        match (self.by, self.top) {
            (None, _) if self.format == Format::Table => None,
            (None | Some(Section::Source), top) if is_by_packets => top.map(NonZeroUsize::get),
            (None | Some(Section::Source), _) => None,
            _ => Some(0),
        }
    }

    /// Prints the snapshot.
    pub(super) fn print(&self, snapshot: &mut Snapshot) -> Result<()> {
        self.arrange(snapshot);
        match (self.format, self.by) {
            (Format::Json, by) => output::print(|out| json::snapshot(out, snapshot, by)),
            (Format::Csv, Some(by)) => output::print(|out| csv::section(out, snapshot, by)),
            (Format::Table | Format::Csv, by) => {
                let layout = Layout {
                    terminal: Terminal::stdout(),
                    now: snapshot.time,
                    sorted_by: self.sort.as_deref().unwrap_or(PACKETS),
                };
                let sources = self.top.map_or(table::OVERVIEW_SOURCES, NonZeroUsize::get);
                output::print(|out| match by {
                    Some(by) => table::section(out, snapshot, by, layout),
                    None => table::overview(out, snapshot, sources, layout),
                })
            }
        }
    }

    /// Sorts and shortens what is to be shown.
    fn arrange(&self, snapshot: &mut Snapshot) {
        if let Some(column) = &self.sort {
            match self.by {
                Some(Section::Total) => {}
                Some(Section::Method) => sort(&mut snapshot.methods, column),
                Some(Section::Tool) => sort(&mut snapshot.tools, column),
                Some(Section::Port) => sort(&mut snapshot.ports, column),
                Some(Section::Source) | None => sort(&mut snapshot.sources, column),
                Some(Section::Reason) => sort(&mut snapshot.reasons, column),
                Some(Section::Behaviour) => sort(&mut snapshot.behaviours, column),
            }
        }
        if let Some(top) = self.top {
            match self.by {
                Some(Section::Total) => {}
                Some(Section::Method) => snapshot.methods.truncate(top.get()),
                Some(Section::Tool) => snapshot.tools.truncate(top.get()),
                Some(Section::Port) => snapshot.ports.truncate(top.get()),
                Some(Section::Source) => snapshot.sources.truncate(top.get()),
                Some(Section::Reason) => snapshot.reasons.truncate(top.get()),
                Some(Section::Behaviour) => snapshot.behaviours.truncate(top.get()),
                // A table says how many more there are.
                None if self.format == Format::Table => {}
                None => snapshot.sources.truncate(top.get()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(by: Option<Section>, sort: Option<&str>, format: Format) -> Listing {
        Listing {
            by,
            top: None,
            sort: sort.map(str::to_owned),
            format,
        }
    }

    #[test]
    fn no_more_sources_are_put_into_words_than_are_shown() {
        let by = |by, sort, format, top| {
            let listing = Listing {
                top: NonZeroUsize::new(top),
                ..listing(by, sort, format)
            };
            listing.top_sources()
        };
        let source = Some(Section::Source);
        assert_eq!(by(source, None, Format::Csv, 20), Some(20));
        assert_eq!(by(source, Some("packets"), Format::Table, 20), Some(20));
        assert_eq!(by(source, Some("bytes"), Format::Table, 20), None);
        assert_eq!(by(source, None, Format::Table, 0), None);
        assert_eq!(by(None, None, Format::Json, 20), Some(20));
        // It says how many there are beside.
        assert_eq!(by(None, None, Format::Table, 20), None);
        assert_eq!(by(Some(Section::Method), None, Format::Json, 20), Some(0));
    }

    #[test]
    fn options_that_make_no_sense_are_wrong_usage() {
        for (by, sort, format, named) in [
            (
                None,
                None,
                Format::Csv,
                "--by total, method, tool, port, source, reason or behaviour",
            ),
            (
                Some(Section::Total),
                Some("packets"),
                Format::Table,
                "leave out --sort",
            ),
            (None, Some("colour"), Format::Json, "first_seen, last_seen"),
            (
                Some(Section::Port),
                Some("source"),
                Format::Table,
                "port, packets, scanner, dropped",
            ),
        ] {
            let error = listing(by, sort, format).check().unwrap_err();
            assert!(error.is::<Usage>(), "{error}");
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
