//! The rows of a page: sorted, filtered, one of them selected.

use crate::stats::{Cell, Method, PACKETS, Port, Row, Tool, sort};

use super::live::Live;

/// What has a page.
pub(super) trait Listed: Row + Clone {
    /// Whether a text, in lower case, stands in a name or an address of it, or in where that is.
    fn contains(&self, text: &str) -> bool;
}

impl Listed for Live {
    fn contains(&self, text: &str) -> bool {
        let source = &self.source;
        let methods = source.methods.iter().map(|(name, _)| *name);
        let reasons = source.reasons.iter().map(|(name, _)| *name);
        let mut names = (source.tools.iter().map(|name| &**name))
            .chain(source.behaviours.iter().copied())
            .chain(methods)
            .chain(reasons);
        names.any(|name| has(name, text))
            || has(&source.source.to_string(), text)
            || has(&source.location.to_string(), text)
    }
}

impl Listed for Method {
    fn contains(&self, text: &str) -> bool {
        has(self.method, text)
    }
}

impl Listed for Tool {
    fn contains(&self, text: &str) -> bool {
        has(&self.tool, text) || has(self.kind, text)
    }
}

impl Listed for Port {
    fn contains(&self, text: &str) -> bool {
        has(&self.port.to_string(), text)
    }
}

fn has(name: &str, text: &str) -> bool {
    name.to_lowercase().contains(text)
}

/// Rows, and what of them is shown.
#[derive(Debug)]
pub(super) struct Listing<R> {
    /// All of them, sorted.
    rows: Vec<R>,
    /// Where those stand that the filter lets through.
    shown: Vec<usize>,
    /// The column that they are sorted by.
    pub(super) sorted_by: &'static str,
    /// Whether the last one is first.
    pub(super) is_reversed: bool,
    /// Which row was chosen, as it was then; none as long as the cursor stays at the top.
    chosen: Option<R>,
    /// Where the cursor is among those shown.
    at: usize,
    /// How many of those shown are above the screen.
    above: usize,
}

impl<R> Default for Listing<R> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            shown: Vec::new(),
            sorted_by: PACKETS,
            is_reversed: false,
            chosen: None,
            at: 0,
            above: 0,
        }
    }
}

impl<R: Listed> Listing<R> {
    /// Other rows in place of those that were there.
    pub(super) fn replace(&mut self, rows: Vec<R>, filter: &str) {
        self.rows = rows;
        self.sort(filter);
    }

    /// Sorts by a column, and where it is sorted by that already the other way round.
    pub(super) fn sort_by(&mut self, column: &'static str, filter: &str) {
        self.is_reversed = self.sorted_by == column && !self.is_reversed;
        self.sorted_by = column;
        self.sort(filter);
    }

    fn sort(&mut self, filter: &str) {
        sort(&mut self.rows, self.sorted_by);
        if self.is_reversed {
            self.rows.reverse();
        }
        self.filter(filter);
    }

    /// Shows the rows that have this text, and keeps the cursor on the row that was chosen.
    pub(super) fn filter(&mut self, text: &str) {
        let text = text.to_lowercase();
        let has = |row: &R| text.is_empty() || row.contains(&text);
        let rows = self.rows.iter().enumerate();
        self.shown = rows.filter(|(_, row)| has(row)).map(|(at, _)| at).collect();
        let chosen = self.chosen.as_ref();
        let found = chosen.and_then(|chosen| {
            let mut shown = self.shown.iter();
            shown.position(|at| identity(&self.rows[*at]) == identity(chosen))
        });
        self.at = found.unwrap_or(self.at);
        self.at = self.at.min(self.shown.len().saturating_sub(1));
    }

    /// Moves the cursor so many rows down, or up. At the top it stays there, whichever row comes to be
    /// first; elsewhere it stays on its row.
    pub(super) fn move_by(&mut self, rows: isize) {
        let last = self.shown.len().saturating_sub(1);
        self.at = self.at.saturating_add_signed(rows).min(last);
        self.chosen = match self.at {
            0 => None,
            _ => self.selected().cloned(),
        };
    }

    /// The row with the cursor.
    pub(super) fn selected(&self) -> Option<&R> {
        self.shown.get(self.at).map(|at| &self.rows[*at])
    }

    /// All rows, in no matter which order.
    pub(super) fn all(&self) -> &[R] {
        &self.rows
    }

    /// How many rows the filter lets through.
    pub(super) fn count(&self) -> usize {
        self.shown.len()
    }

    /// As many rows as there is room for, the selected one among them, and where among them it is.
    pub(super) fn window(&mut self, room: usize) -> (Vec<&R>, usize) {
        let highest = self.shown.len().saturating_sub(room);
        let lowest = (self.at + 1).saturating_sub(room);
        self.above = self.above.max(lowest).min(self.at).min(highest);
        let shown = self.shown.iter().skip(self.above).take(room);
        let rows = shown.map(|at| &self.rows[*at]).collect();
        (rows, self.at - self.above)
    }
}

/// What tells a row from others: what stands in its first column.
fn identity<R: Row>(row: &R) -> Cell<'_> {
    (R::COLUMNS[0].cell)(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(port: u16, packets: u64) -> Port {
        Port {
            port,
            packets,
            scanner: 0,
            dropped: 0,
        }
    }

    fn shown(listing: &mut Listing<Port>, room: usize) -> (Vec<u16>, usize) {
        let (rows, at) = listing.window(room);
        (rows.iter().map(|row| row.port).collect(), at)
    }

    #[test]
    fn the_cursor_stays_on_its_row_and_at_the_top_on_whichever_is_first() {
        let mut listing = Listing::default();
        listing.replace(vec![port(1, 30), port(2, 20), port(3, 10)], "");
        assert_eq!(shown(&mut listing, 9), (vec![1, 2, 3], 0));
        listing.replace(vec![port(1, 30), port(2, 40), port(3, 10)], "");
        assert_eq!(shown(&mut listing, 9), (vec![2, 1, 3], 0));
        listing.move_by(1);
        listing.replace(vec![port(1, 5), port(2, 40), port(3, 10)], "");
        assert_eq!(shown(&mut listing, 9), (vec![2, 3, 1], 2));
        listing.sort_by("port", "");
        assert_eq!(shown(&mut listing, 9), (vec![1, 2, 3], 0));
        listing.sort_by("port", "");
        assert_eq!(shown(&mut listing, 9), (vec![3, 2, 1], 2));
    }

    #[test]
    fn the_window_follows_the_cursor() {
        let mut listing = Listing::default();
        listing.replace((1..=9).map(|n| port(n, 0)).collect(), "");
        for (by, room, expected) in [
            (0, 3, (vec![1, 2, 3], 0)),
            (4, 3, (vec![3, 4, 5], 2)),
            (-1, 3, (vec![3, 4, 5], 1)),
            (99, 3, (vec![7, 8, 9], 2)),
            (0, 5, (vec![5, 6, 7, 8, 9], 4)),
            (-99, 2, (vec![1, 2], 0)),
        ] {
            listing.move_by(by);
            assert_eq!(shown(&mut listing, room), expected, "{by}");
        }
        assert_eq!(shown(&mut listing, 0), (vec![], 0));
    }

    #[test]
    fn a_filter_shows_what_has_its_text() {
        let mut listing = Listing::default();
        listing.replace(vec![port(5060, 3), port(5070, 2), port(6060, 1)], "");
        listing.move_by(2);
        listing.filter("60");
        assert_eq!(shown(&mut listing, 9), (vec![5060, 6060], 1));
        listing.filter("x");
        assert!(listing.selected().is_none());
        listing.move_by(1);
        listing.filter("");
        assert_eq!(listing.count(), 3);
    }
}
