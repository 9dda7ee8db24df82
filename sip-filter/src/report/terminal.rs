//! A report on a terminal: its figures as tables with bars, and its tables.

use std::io::{self, Write};

use super::{
    layout::{self, Figure, Table},
    numbers::Report,
};
use crate::{
    escape,
    output::{
        Terminal, fit,
        table::{self, BOLD, CYAN, PLAIN, Rendered},
    },
};

/// The fewest and the most columns that bars take.
const BARS: std::ops::RangeInclusive<usize> = 10..=40;
/// How much is shown of a name, in characters; of what stands beside one, a part of the terminal, so that
/// there is room for numbers.
const LONGEST: usize = 40;
const BESIDE: usize = 4;
/// Eighths of a column, from one to eight.
const BLOCKS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// Writes a report. A table that does not fit the terminal does without its last columns.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn write(out: &mut dyn Write, report: &Report, terminal: Terminal) -> io::Result<()> {
    heading(out, &layout::title(report), terminal)?;
    for line in layout::summary(report).iter().chain(&report.notes) {
        lines(out, line, terminal)?;
    }
    for figure in layout::figures(report) {
        writeln!(out)?;
        heading(out, &figure.title, terminal)?;
        lines(out, &figure.note, terminal)?;
        write!(out, "{}", bars(&figure, terminal))?;
    }
    for table in layout::tables(report) {
        writeln!(out)?;
        heading(out, &table.title, terminal)?;
        lines(out, &table.note, terminal)?;
        write!(out, "{}", rows(&table, terminal))?;
    }
    Ok(())
}

fn heading(out: &mut dyn Write, text: &str, terminal: Terminal) -> io::Result<()> {
    let (bold, end) = match terminal.colour {
        true => (BOLD, "\x1b[0m"),
        false => (PLAIN, PLAIN),
    };
    writeln!(out, "{bold}{text}{end}")
}

/// A text in as many lines as it takes.
fn lines(out: &mut dyn Write, text: &str, terminal: Terminal) -> io::Result<()> {
    let width = u16::try_from(terminal.width).unwrap_or(u16::MAX);
    for line in fit::wrapped(text, width) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Columns of text, the first `texts` of them aligned to the left.
fn columns<'a>(
    head: impl Iterator<Item = &'a str>,
    rows: &[Vec<String>],
    texts: usize,
    terminal: Terminal,
) -> Vec<Rendered> {
    let bold = if terminal.colour { BOLD } else { PLAIN };
    let column = |(place, name): (usize, &str)| {
        let mut column = Rendered::new(place >= texts);
        column.push(&escape::terminal(name), bold);
        let longest = match place {
            0 => LONGEST,
            _ => LONGEST.min(terminal.width / BESIDE),
        };
        let longest = u16::try_from(longest).unwrap_or(u16::MAX);
        for row in rows {
            let cell = row.get(place).map_or("", String::as_str);
            column.push(&fit::beginning(&escape::terminal(cell), longest), PLAIN);
        }
        column
    };
    head.enumerate().map(column).collect()
}

/// Leaves the columns that fit; the first one names the rows, and the second says most.
fn keep_fitting(columns: &mut Vec<Rendered>, width: usize) {
    while columns.len() > 2 && table::width(columns) > width {
        columns.pop();
    }
}

fn rows(table: &Table, terminal: Terminal) -> String {
    let head = table.head.iter().copied();
    let mut columns = columns(head, &table.rows, table.texts, terminal);
    keep_fitting(&mut columns, terminal.width);
    table::lay_out(&columns)
}

fn bars(figure: &Figure, terminal: Terminal) -> String {
    let heights = figure.heights();
    if heights.iter().all(|height| *height == 0.0) {
        return "none\n".to_owned();
    }
    let head = figure.head();
    let head = head.iter().map(String::as_str);
    let mut columns = columns(head, &figure.rows(), 1, terminal);
    keep_fitting(
        &mut columns,
        terminal.width.saturating_sub(BARS.start() + 2),
    );
    let room = terminal.width.saturating_sub(table::width(&columns) + 2);
    let room = room.clamp(*BARS.start(), *BARS.end());
    let most = heights.iter().copied().fold(0.0, f64::max);
    let mut bars = Rendered::new(false);
    bars.push("", PLAIN);
    let colour = if terminal.colour { CYAN } else { PLAIN };
    for height in heights {
        bars.push(&bar(height, most, room), colour);
    }
    columns.push(bars);
    table::lay_out(&columns)
}

/// As long as the height is of the most, `room` columns at most; what is not nothing is seen.
fn bar(height: f64, most: f64, room: usize) -> String {
    if height <= 0.0 || most <= 0.0 {
        return String::new();
    }
    let eighths = ((height / most * room as f64 * 8.0).round() as usize).max(1);
    let mut bar: String = std::iter::repeat_n(BLOCKS[7], eighths / 8).collect();
    if let Some(rest) = (eighths % 8).checked_sub(1) {
        bar.push(BLOCKS[rest]);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_they_are_high() {
        for (height, expected) in [
            (0.0, ""),
            (0.001, "▏"),
            (5.0, "█████"),
            (5.5, "█████▌"),
            (10.0, "██████████"),
        ] {
            assert_eq!(bar(height, 10.0, 10), expected, "{height}");
        }
        assert_eq!(bar(1.0, 0.0, 10), "");
    }
}
