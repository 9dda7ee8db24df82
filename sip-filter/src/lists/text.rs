//! Lists as text: one address or prefix a line, as published lists have it.
//!
//! `#` and `;` begin a comment, at the beginning of a line or behind a blank; one behind an entry
//! says why it is listed. [`write()`] marks an entry that expires with `until` and a time, and
//! [`read`] understands that.

use std::io::{self, Write};

use anyhow::{Result, bail};
use jiff::Timestamp;

use super::{Entry, List, NewEntry};
use crate::{config::prefix::Prefix, escape, stats::WallTime};

/// What a comment begins with that says when an entry expires.
const UNTIL: &str = "until ";

/// Entries of a list. `name` is what errors call the text.
///
/// # Errors
///
/// When a line is no entry, with its number; of several, the first one.
pub fn read(name: &str, text: &[u8], list: List) -> Result<Vec<NewEntry>> {
    // Comments are in whatever encoding; entries are ASCII.
    let text = String::from_utf8_lossy(text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut entries = Vec::new();
    let mut wrong = 0;
    let mut first = None;
    for (number, line) in (1..).zip(text.lines()) {
        let (entry, comment) = match line.find(['#', ';']) {
            Some(at) => (
                &line[..at],
                line[at..].trim_matches(['#', ';', ' ', '\t', '\r']),
            ),
            None => (line, ""),
        };
        let entry = entry.trim();
        if entry.is_empty() {
            continue;
        }
        match entry.parse::<Prefix>() {
            Ok(prefix) => {
                let (until, reason) = match list {
                    List::Block => expiry(comment),
                    List::Allow => (None, comment),
                };
                let reason = reason.to_owned();
                entries.push(NewEntry {
                    prefix,
                    until,
                    reason,
                });
            }
            Err(error) => {
                wrong += 1;
                first.get_or_insert((number, error));
            }
        }
    }
    let Some((number, error)) = first else {
        return Ok(entries);
    };
    match wrong - 1 {
        0 => bail!("{name}:{number}: {error:#}"),
        others => bail!(
            "{name}:{number}: {error:#}; {others} more {} cannot be used",
            if others == 1 { "line" } else { "lines" }
        ),
    }
}

/// When a comment says that an entry expires, and what else it says.
fn expiry(comment: &str) -> (Option<u64>, &str) {
    let marked = comment.strip_prefix(UNTIL).and_then(|rest| {
        let (time, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let time: Timestamp = time.strip_suffix(':').unwrap_or(time).parse().ok()?;
        let until = u64::try_from(time.as_millisecond()).ok()?;
        Some((Some(until), reason.trim()))
    });
    marked.unwrap_or((None, comment))
}

/// Writes the entries that have not expired at a time (milliseconds since 1970), each prefix once.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn write(out: &mut dyn Write, entries: &[Entry], now: u64) -> io::Result<()> {
    let mut last = None;
    for entry in entries {
        let prefix = entry.prefix;
        if entry.until.is_some_and(|until| until <= now) || last == Some(prefix) {
            continue;
        }
        last = Some(prefix);
        let reason = escape::terminal(&entry.reason);
        match (entry.until, &*reason) {
            (None, "") => writeln!(out, "{prefix}")?,
            (None, reason) => writeln!(out, "{prefix}  # {reason}")?,
            (Some(until), reason) => {
                let until = WallTime::from_ns(until.saturating_mul(1_000_000));
                let line = format!("{prefix}  # {UNTIL}{until}: {reason}");
                writeln!(out, "{}", line.trim_end())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::Origin;

    fn new(prefix: &str, until: Option<u64>, reason: &str) -> NewEntry {
        NewEntry {
            prefix: prefix.parse().unwrap(),
            until,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn published_lists_are_read() {
        let text = "\u{feff}# VoIP scanners\r\n\r\n192.0.2.7\r\n  198.51.100.0/24 ; SBL1\n\
            2001:db8::/32\t# a; b\n192.0.2.7 # again\n; end\n203.0.113.9#why";
        assert_eq!(
            read("list", text.as_bytes(), List::Block).unwrap(),
            [
                new("192.0.2.7", None, ""),
                new("198.51.100.0/24", None, "SBL1"),
                new("2001:db8::/32", None, "a; b"),
                new("192.0.2.7", None, "again"),
                new("203.0.113.9", None, "why"),
            ]
        );
        assert_eq!(read("list", b"", List::Allow).unwrap(), []);
        let latin = read("list", b"192.0.2.7 # Stra\xdfe\n", List::Allow).unwrap();
        assert_eq!(latin.len(), 1);
    }

    #[test]
    fn a_line_that_is_no_entry_is_named() {
        for (text, said) in [
            ("192.0.2.7\n\nfoo\n", "list:3: `foo` is no address"),
            (
                "192.0.2.7/24\nx\ny\n",
                "list:1: `192.0.2.7/24` has bits set",
            ),
            ("a\nb\n", "1 more line cannot"),
            ("a\nb\nc", "2 more lines cannot"),
            ("192.0.2.7 192.0.2.8", "list:1:"),
        ] {
            let error = read("list", text.as_bytes(), List::Block).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let entry = |prefix: &str, until, reason: &str| Entry {
            prefix: prefix.parse().unwrap(),
            origin: Origin::Command,
            until,
            reason: reason.to_owned(),
            added: 1,
        };
        let entries = [
            entry("192.0.2.7", None, ""),
            entry("192.0.2.8", None, "trunk"),
            entry("192.0.2.9", Some(1_795_413_600_123), "abuse: much"),
            entry("192.0.2.10", Some(1_795_413_600_000), ""),
            entry("192.0.2.11", Some(5), "expired"),
            entry("192.0.2.12", None, "twice"),
            entry("192.0.2.12", None, "in the configuration too"),
        ];
        let mut text = Vec::new();
        write(&mut text, &entries, 5).unwrap();
        let expected: Vec<_> = [0, 1, 2, 3, 5]
            .map(|at| {
                let Entry {
                    prefix,
                    until,
                    ref reason,
                    ..
                } = entries[at];
                let reason = reason.clone();
                NewEntry {
                    prefix,
                    until,
                    reason,
                }
            })
            .into();
        assert_eq!(read("list", &text, List::Block).unwrap(), expected);
    }
}
