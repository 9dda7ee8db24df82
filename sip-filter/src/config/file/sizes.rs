//! `[sizes]`: how much is remembered.

use super::reader::{Reader, Table};
use crate::config::configuration::Sizes;

pub(super) const KEYS: [&str; 3] = ["sources", "lists", "bans"];

/// The fewest sources that can be remembered: the kernel spreads them over its CPUs, and
/// fewer would leave each with next to none.
pub const MIN_SOURCES: u32 = 1 << 10;
/// The most: at some 500 bytes each, eight gigabytes.
pub const MAX_SOURCES: u32 = 1 << 24;
/// The most entries of a list: a gigabyte and more.
const MAX_ENTRIES: u32 = 1 << 24;
/// The most sources that may be blocked for what they sent.
const MAX_BANS: u32 = 1 << 20;

impl<'a> Reader<'a> {
    pub(super) fn sizes(&mut self, table: &Table<'a>, into: &mut Sizes) {
        self.check_keys(table, &KEYS);
        let sources = MIN_SOURCES..=MAX_SOURCES;
        self.number(table, "sources", sources, &mut into.sources);
        self.number(table, "lists", 1..=MAX_ENTRIES, &mut into.lists);
        self.number(table, "bans", 1..=MAX_BANS, &mut into.bans);
    }
}
