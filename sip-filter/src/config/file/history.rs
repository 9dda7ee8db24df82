//! `[history]`: what is kept of each month.

use super::reader::{Reader, Table};
use crate::config::{
    configuration::{History, Origin, Set},
    size::Size,
};

pub(super) const KEYS: [&str; 4] = ["file", "max_size", "sources", KEEP];
const KEEP: &str = "keep";

/// What a history needs to follow as many sources as it does, and for its months.
const MIN_HISTORY: Size = Size::from_megabytes(64);
/// The most sources of a day that are named.
const MAX_NAMED: u32 = 100_000;

impl<'a> Reader<'a> {
    pub(super) fn history(&mut self, table: &Table<'a>, into: &mut History) {
        self.check_keys(table, &KEYS);
        let like = "\"/var/lib/sip-filter/history.sqlite\"";
        self.file(table, "file", like, &mut into.file);
        let mut size = Set::default(into.max_size.value);
        self.parsed(table, "max_size", "\"500M\"", &mut size);
        match size.origin {
            Origin::Line(line) if size.value < MIN_HISTORY => {
                let key = table.path("max_size");
                let what = format!("`{key}` is {MIN_HISTORY} at least, and not {}", size.value);
                self.wrong(line, what);
            }
            Origin::Line(_) => into.max_size = size,
            _ => {}
        }
        self.number(table, "sources", 0..=MAX_NAMED, &mut into.sources);
        if let Some(table) = self.table(table, KEEP) {
            let keys = into.keep().map(|(key, _)| key);
            self.check_keys(&table, &keys);
            let History {
                minutes,
                hours,
                days,
                months,
                ..
            } = into;
            for (key, keep) in keys.into_iter().zip([minutes, hours, days, months]) {
                self.parsed(&table, key, "\"60d\"", keep);
            }
        }
    }
}
