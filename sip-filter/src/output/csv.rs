//! CSV (RFC 4180): one table with a header line. Names in a list are joined by semicolons, and what is no
//! more than seen in them is written out as in tables. No name is a formula where the file is opened as a
//! spreadsheet.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    io::{self, Write},
};

use crate::escape;
use crate::stats::{Cell, Row, Section, Snapshot, Status};

/// One section of a snapshot.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn section(out: &mut dyn Write, snapshot: &Snapshot, section: Section) -> io::Result<()> {
    match section {
        Section::Total => rows(out, &[snapshot.totals]),
        Section::Method => rows(out, &snapshot.methods),
        Section::Tool => rows(out, &snapshot.tools),
        Section::Port => rows(out, &snapshot.ports),
        Section::Source => rows(out, &snapshot.sources),
        Section::Reason => rows(out, &snapshot.reasons),
        Section::Behaviour => rows(out, &snapshot.behaviours),
    }
}

/// Rows under a header.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn rows<R: Row>(out: &mut dyn Write, rows: &[R]) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(R::COLUMNS.iter().map(|column| column.name))?;
    // A million cells: one place for the text of each.
    let mut text = String::new();
    for row in rows {
        for column in R::COLUMNS {
            text.clear();
            write_cell(&mut text, &(column.cell)(row)).map_err(io::Error::other)?;
            csv.write_field(&text)?;
        }
        // The end of the line.
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()
}

/// Writes a cell into an empty place.
fn write_cell(out: &mut String, cell: &Cell<'_>) -> fmt::Result {
    match cell {
        Cell::Number(number) | Cell::Identifier(number) => {
            out.push_str(itoa::Buffer::new().format(*number));
        }
        Cell::Text(text) => out.push_str(&escape::cell(text)),
        Cell::List(names) => {
            names.write(out, ";", |out, name| out.write_str(name))?;
            if let Cow::Owned(text) = escape::cell(out) {
                *out = text;
            }
        }
        Cell::Address(address) => write!(out, "{address}")?,
        Cell::Time(time) => write!(out, "{time}")?,
    }
    Ok(())
}

/// A line for each interface, with what is in force.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn status(out: &mut dyn Write, status: &Status) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record([
        "instance",
        "interface",
        "ifindex",
        "mode",
        "program_id",
        "attached_at",
        "drop",
        "ports",
        "sources",
    ])?;
    for interface in &status.interfaces {
        csv.write_record([
            &*escape::cell(&status.instance),
            &escape::cell(&interface.name),
            &interface.ifindex.to_string(),
            &interface.mode,
            &status.program_id.to_string(),
            &status.attached_at.to_string(),
            &status.drop.join(";"),
            &status.ports,
            &status.sources.to_string(),
        ])?;
    }
    csv.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats;

    #[test]
    fn sections_are_tables_with_a_header() {
        for (by, expected) in [
            (
                Section::Total,
                "packets,bytes,sip,requests,responses,keepalives,malformed,scanner,dropped,\
                 would_drop,passed,fragments,unreadable,unlisted\n\
                 1235564,500084700,1234662,1234622,40,900,2,1234610,1234570,40,994,5,1,3\n",
            ),
            (
                Section::Method,
                "method,packets,bytes,scanner,dropped,would_drop\n\
                 REGISTER,15,7200,3,3,0\n\
                 OPTIONS,1234607,500016000,1234607,1234567,40\n",
            ),
            (
                Section::Tool,
                "tool,kind,packets,dropped,would_drop\n\
                 sipvicious,scanner,1234570,1234570,0\n\
                 nmap,scanner,40,0,40\n",
            ),
            (
                Section::Port,
                "port,packets,scanner,dropped\n\
                 5061,1234610,1234610,1234570\n\
                 5060,954,0,0\n",
            ),
        ] {
            let mut out = Vec::new();
            section(&mut out, &stats::tests::snapshot(), by).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{by:?}");
        }
    }

    #[test]
    fn lists_are_joined_and_times_are_rfc_3339() {
        let mut out = Vec::new();
        section(&mut out, &stats::tests::snapshot(), Section::Source).unwrap();
        let out = String::from_utf8(out).unwrap();
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(
            lines[1],
            "192.0.2.7,1234570,500001200,1234570,1234570,0,REGISTER=3;OPTIONS=1234567,\
             sipvicious,,signature=1234570,4,2026-11-23T05:55:00.000Z,2026-11-23T05:59:58.500Z,,,"
        );
        assert!(lines[3].contains(",nmap;sipvicious,"), "{}", lines[3]);
    }
}
