//! Tables for people: aligned, with thousands separated, and no wider than they need be.
//!
//! A table that does not fit the terminal does without its least telling columns; CSV and
//! JSON always have all of them.

use std::{
    fmt::{self, Write as _},
    io::{self, Write},
};

use sip_filter_common::verdict::Reason;

use super::Terminal;
use crate::{
    escape,
    number::{thousands, write_thousands},
    stats::{Cell, Column, PACKETS, Row, Section, Snapshot, Totals, WallTime},
};

/// How many sources the overview shows unless the operator says otherwise.
pub const OVERVIEW_SOURCES: usize = 10;
/// How many ports the overview shows: those of the default, and some.
const OVERVIEW_PORTS: usize = 50;

/// Blanks between columns.
const GAP: usize = 2;

// SGR sequences (ECMA-48 section 8.3.117).
pub(crate) const PLAIN: &str = "";
pub(crate) const BOLD: &str = "\x1b[1m";
pub(crate) const CYAN: &str = "\x1b[36m";
const RED: &str = "\x1b[31m";
const MAGENTA: &str = "\x1b[35m";
const RESET: &str = "\x1b[0m";

/// How a listing is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    /// Where it goes.
    pub terminal: Terminal,
    /// The moment from which ages are counted.
    pub now: WallTime,
    /// The column that it is sorted by, which is shown whatever the width.
    pub sorted_by: &'a str,
}

/// Totals, then each section, of the sources the first `sources`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn overview(
    out: &mut dyn Write,
    snapshot: &Snapshot,
    sources: usize,
    layout: Layout<'_>,
) -> io::Result<()> {
    let others = Layout {
        sorted_by: PACKETS,
        ..layout
    };
    writeln!(out, "{}\n", heading(snapshot))?;
    write!(out, "{}", totals(&snapshot.totals, layout.terminal))?;
    listing(out, &snapshot.methods, usize::MAX, "method", others)?;
    listing(out, &snapshot.tools, usize::MAX, "tool", others)?;
    listing(out, &snapshot.ports, OVERVIEW_PORTS, "port", others)?;
    // Where nothing but names decided, the totals say it all.
    let said = [Reason::Passed.name(), Reason::Signature.name()];
    if (snapshot.reasons.iter()).any(|row| row.packets > 0 && !said.contains(&row.reason)) {
        listing(out, &snapshot.reasons, usize::MAX, "reason", others)?;
    }
    listing(out, &snapshot.behaviours, usize::MAX, "behaviour", others)?;
    listing(out, &snapshot.sources, sources, "source", layout)
}

/// The first rows as a table with an empty line before it, and how many more there are;
/// nothing at all without rows.
fn listing<R: Row>(
    out: &mut dyn Write,
    rows: &[R],
    limit: usize,
    by: &str,
    layout: Layout<'_>,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let shown = rows.len().min(limit);
    write!(out, "\n{}", table(&rows[..shown], layout))?;
    match rows.len() - shown {
        0 => Ok(()),
        more => writeln!(out, "and {} more: --by {by}", thousands(more as u64)),
    }
}

/// One section of a snapshot.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn section(
    out: &mut dyn Write,
    snapshot: &Snapshot,
    section: Section,
    layout: Layout<'_>,
) -> io::Result<()> {
    let table = match section {
        Section::Total => totals(&snapshot.totals, layout.terminal),
        Section::Method => table(&snapshot.methods, layout),
        Section::Tool => table(&snapshot.tools, layout),
        Section::Port => table(&snapshot.ports, layout),
        Section::Source => table(&snapshot.sources, layout),
        Section::Reason => table(&snapshot.reasons, layout),
        Section::Behaviour => table(&snapshot.behaviours, layout),
    };
    write!(out, "{table}")
}

/// Whose numbers these are: `default on eth0 (native), 2026-11-23T06:00:00.000Z`.
pub fn heading(snapshot: &Snapshot) -> String {
    let interfaces: Vec<_> = snapshot
        .interfaces
        .iter()
        .map(|interface| format!("{} ({})", interface.name, interface.mode))
        .collect();
    // A capture has none.
    let on = match interfaces.is_empty() {
        true => String::new(),
        false => format!(" on {}", interfaces.join(", ")),
    };
    format!("{}{on}, {}", snapshot.instance, snapshot.time)
}

/// Totals as lines of names and numbers, as many side by side as fit.
pub fn totals(totals: &Totals, terminal: Terminal) -> String {
    // Totals have no age, so any moment is as good.
    let now = WallTime::from_ns(0);
    let fields: Vec<_> = Totals::COLUMNS
        .iter()
        .map(|column| {
            let cell = (column.cell)(totals);
            let style = style(column.name, &cell, terminal);
            (title(column.name), text(&cell, now), style)
        })
        .collect();
    let side_by_side = |across: usize| {
        let lines = fields.len().div_ceil(across);
        let pairs = fields.chunks(lines).flat_map(|fields| {
            let mut names = Rendered::new(false);
            let mut numbers = Rendered::new(true);
            for (name, number, style) in fields {
                names.push(name, PLAIN);
                numbers.push(number, style);
            }
            [names, numbers]
        });
        pairs.collect::<Vec<_>>()
    };
    let fitting = [3, 2]
        .into_iter()
        .map(side_by_side)
        .find(|columns| width(columns) <= terminal.width);
    lay_out(&fitting.unwrap_or_else(|| side_by_side(1)))
}

/// Rows under a header.
pub fn table<R: Row>(rows: &[R], layout: Layout<'_>) -> String {
    // The first column names the row and the one sorted by explains the order: both stay, and then
    // others as far as there is room. What has none is not written at all.
    let stays = |column: &Column<R>| column.rank == 0 || column.name == layout.sorted_by;
    let mut by_rank: Vec<_> = R::COLUMNS.iter().enumerate().collect();
    by_rank.sort_by_key(|(_, column)| (!stays(column), column.rank));
    let mut columns: Vec<(usize, Rendered)> = Vec::new();
    let mut width = 0;
    for (place, column) in by_rank {
        let rendered = render(column, rows, layout);
        if !rows.is_empty() && !rendered.says_something() {
            continue;
        }
        let gap = if columns.is_empty() { 0 } else { GAP };
        width += gap + rendered.width;
        if width > layout.terminal.width && !stays(column) {
            break;
        }
        columns.push((place, rendered));
    }
    columns.sort_by_key(|(place, _)| *place);
    let columns: Vec<_> = columns.into_iter().map(|(_, column)| column).collect();
    lay_out(&columns)
}

fn render<R>(column: &Column<R>, rows: &[R], layout: Layout<'_>) -> Rendered {
    let is_left =
        |cell: &Cell<'_>| matches!(cell, Cell::Text(_) | Cell::List(_) | Cell::Address(_));
    // What is not known stands as an empty text among numbers too.
    let mut known = rows
        .iter()
        .map(column.cell)
        .filter(|cell| *cell != Cell::NONE);
    let right = !known.next().is_some_and(|cell| is_left(&cell));
    let mut rendered = Rendered::new(right);
    let header = if layout.terminal.colour { BOLD } else { PLAIN };
    rendered.push(&title(column.name), header);
    for cell in rows.iter().map(column.cell) {
        rendered.push_cell(
            &cell,
            layout.now,
            style(column.name, &cell, layout.terminal),
        );
    }
    rendered
}

/// A column as text.
pub(crate) struct Rendered {
    right: bool,
    /// Its texts from the top down, its header among them, without anything between.
    text: String,
    /// Where each of them ends, in bytes, and its style.
    ends: Vec<(usize, &'static str)>,
    /// Of the longest text, in characters.
    width: usize,
}

impl Rendered {
    pub(crate) fn new(right: bool) -> Self {
        Self {
            right,
            text: String::new(),
            ends: Vec::new(),
            width: 0,
        }
    }

    pub(crate) fn push(&mut self, text: &str, style: &'static str) {
        self.text.push_str(text);
        self.end(style);
    }

    fn push_cell(&mut self, cell: &Cell<'_>, now: WallTime, style: &'static str) {
        write_cell(&mut self.text, cell, now);
        self.end(style);
    }

    /// What was written behind the last text is one.
    fn end(&mut self, style: &'static str) {
        let start = self.ends.last().map_or(0, |(end, _)| *end);
        self.width = self.width.max(characters(&self.text[start..]));
        self.ends.push((self.text.len(), style));
    }

    /// The text of a line, and its style; an empty one behind the last.
    fn line(&self, line: usize) -> (&str, &'static str) {
        let Some(&(end, style)) = self.ends.get(line) else {
            return ("", PLAIN);
        };
        let start = line.checked_sub(1).map_or(0, |before| self.ends[before].0);
        (&self.text[start..end], style)
    }

    /// Whether anything stands below the header.
    fn says_something(&self) -> bool {
        (self.ends.first()).is_some_and(|(header, _)| self.text.len() > *header)
    }
}

/// How many characters a text has.
fn characters(text: &str) -> usize {
    match text.is_ascii() {
        true => text.len(),
        false => text.chars().count(),
    }
}

pub(crate) fn width(columns: &[Rendered]) -> usize {
    let texts: usize = columns.iter().map(|column| column.width).sum();
    texts + GAP * columns.len().saturating_sub(1)
}

/// Columns side by side, each line with its end and without blanks before it.
pub(crate) fn lay_out(columns: &[Rendered]) -> String {
    let lines = columns
        .iter()
        .map(|column| column.ends.len())
        .max()
        .unwrap_or(0);
    let mut out = String::with_capacity(lines * (width(columns) + 1));
    for line in 0..lines {
        // Blanks are written when something follows them.
        let mut blanks = 0;
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                blanks += GAP;
            }
            let (text, style) = column.line(line);
            let padding = column.width - characters(text);
            if text.is_empty() {
                blanks += padding;
                continue;
            }
            if column.right {
                blanks += padding;
            }
            push_blanks(&mut out, blanks);
            out.push_str(style);
            out.push_str(text);
            if style != PLAIN {
                out.push_str(RESET);
            }
            blanks = if column.right { 0 } else { padding };
        }
        out.push('\n');
    }
    out
}

fn push_blanks(out: &mut String, mut blanks: usize) {
    const SOME: &str = "                                ";
    while blanks > 0 {
        let some = blanks.min(SOME.len());
        out.push_str(&SOME[..some]);
        blanks -= some;
    }
}

/// A cell as people read it; times as how long ago they were at `now`.
pub(crate) fn text(cell: &Cell<'_>, now: WallTime) -> String {
    let mut text = String::new();
    write_cell(&mut text, cell, now);
    text
}

fn write_cell(out: &mut String, cell: &Cell<'_>, now: WallTime) {
    let written = match cell {
        Cell::Number(number) => write_thousands(out, *number),
        Cell::Identifier(number) => write!(out, "{number}"),
        Cell::Text(text) => out.write_str(&escape::terminal(text)),
        Cell::List(names) => names.write(out, ", ", |out, name| {
            out.write_str(&escape::terminal(name))
        }),
        Cell::Address(address) => write!(out, "{address}"),
        Cell::Time(time) => write_age(out, now.seconds_since(*time)),
    };
    // A string takes whatever is written.
    debug_assert!(written.is_ok());
}

/// A column's name as people read it.
fn title(name: &str) -> String {
    name.replace('_', " ")
}

/// What a cell of the column with that name is written in: numbers that matter stand out.
fn style(name: &str, cell: &Cell<'_>, terminal: Terminal) -> &'static str {
    match name {
        _ if !terminal.colour || *cell == Cell::Number(0) => PLAIN,
        "dropped" => RED,
        "scanner" | "would_drop" => MAGENTA,
        _ => PLAIN,
    }
}

/// How long ago, in the largest unit of which there are at least two: `90s ago`, `3h ago`.
fn write_age(out: &mut String, seconds: u64) -> fmt::Result {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let (number, unit) = match seconds {
        0..120 => (seconds, "s ago"),
        120..7200 => (seconds / MINUTE, "m ago"),
        7200..172_800 => (seconds / HOUR, "h ago"),
        _ => (seconds / DAY, "d ago"),
    };
    out.write_str(itoa::Buffer::new().format(number))?;
    out.write_str(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats;

    fn printed(by: Option<Section>, terminal: Terminal, sorted_by: &str) -> String {
        let snapshot = stats::tests::snapshot();
        let layout = Layout {
            terminal,
            now: snapshot.time,
            sorted_by,
        };
        let mut out = Vec::new();
        match by {
            Some(by) => section(&mut out, &snapshot, by, layout),
            None => overview(&mut out, &snapshot, 3, layout),
        }
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tables_are_aligned() {
        let tools = printed(Some(Section::Tool), Terminal::NONE, PACKETS);
        let expected = [
            "tool        kind       packets    dropped  would drop",
            "sipvicious  scanner  1,234,570  1,234,570           0",
            "nmap        scanner         40          0          40",
        ];
        assert_eq!(tools.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_overview_fits_eighty_columns() {
        let overview = printed(None, Terminal::NONE, PACKETS);
        for line in overview.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        for shown in [
            "sipvicious",
            "OPTIONS",
            "5061",
            "192.0.2.7",
            "unreadable",
            "1,235,564",
            "and 1 more: --by source",
        ] {
            assert!(overview.contains(shown), "{shown} is missing:\n{overview}");
        }
    }

    #[test]
    fn a_narrow_table_keeps_its_first_column_and_the_one_sorted_by() {
        let narrow = Terminal {
            width: 30,
            ..Terminal::NONE
        };
        let header = |text: String| text.lines().next().unwrap_or_default().to_owned();
        let by_packets = header(printed(Some(Section::Source), narrow, PACKETS));
        assert_eq!(
            by_packets.split_whitespace().collect::<Vec<_>>(),
            ["source", "packets"]
        );
        let by_bytes = header(printed(Some(Section::Source), narrow, "bytes"));
        assert_eq!(
            by_bytes.split_whitespace().collect::<Vec<_>>(),
            ["source", "packets", "bytes"]
        );
    }

    #[test]
    fn a_wide_table_has_every_column_that_says_something() {
        let wide = Terminal {
            width: 200,
            ..Terminal::NONE
        };
        let table = printed(Some(Section::Source), wide, PACKETS);
        let header = table.lines().next().unwrap_or_default();
        for name in [
            "bytes",
            "methods",
            "tools",
            "ports",
            "first seen",
            "last seen",
        ] {
            assert!(header.contains(name), "{name} is missing: {header}");
        }
        assert!(!header.contains("behaviours"), "{header}");
    }

    #[test]
    fn colour_is_only_where_it_is_wanted() {
        let coloured = Terminal {
            colour: true,
            ..Terminal::NONE
        };
        assert!(!printed(None, Terminal::NONE, PACKETS).contains('\x1b'));
        let colours = printed(None, coloured, PACKETS);
        assert!(colours.contains('\x1b'));
        // Without its colours it is the same table.
        let mut plain = String::new();
        for (at, part) in colours.split('\x1b').enumerate() {
            plain += if at == 0 {
                part
            } else {
                part.split_once('m').unwrap().1
            };
        }
        assert_eq!(plain, printed(None, Terminal::NONE, PACKETS));
    }

    #[test]
    fn a_tools_name_does_nothing_to_the_terminal() {
        let mut snapshot = stats::tests::snapshot();
        for tool in &mut snapshot.tools {
            tool.tool = "\u{1b}[2J\u{202e}".to_owned();
        }
        let layout = Layout {
            terminal: Terminal::NONE,
            now: snapshot.time,
            sorted_by: PACKETS,
        };
        let table = table(&snapshot.tools, layout);
        assert!(table.contains("\\u{1b}[2J\\u{202e}  scanner"), "{table}");
        assert!(!table.contains(['\u{1b}', '\u{202e}']), "{table}");
    }

    #[test]
    fn ages_are_written_for_people() {
        for (seconds, text) in [
            (0, "0s ago"),
            (119, "119s ago"),
            (120, "2m ago"),
            (7_199, "119m ago"),
            (7_200, "2h ago"),
            (172_799, "47h ago"),
            (172_800, "2d ago"),
            (86_400 * 400, "400d ago"),
        ] {
            let mut written = String::new();
            write_age(&mut written, seconds).unwrap();
            assert_eq!(written, text);
        }
    }
}
