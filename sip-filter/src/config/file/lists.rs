//! `[lists]`: who may always call and who may not.

use std::str::FromStr;

use super::reader::{Reader, Table};
use crate::config::{
    configuration::{Action, Entry, Lists, Set},
    prefix::Prefix,
};

pub(super) const KEYS: [&str; 5] = ["action", "allow", "block", "allow_files", "block_files"];

impl<'a> Reader<'a> {
    pub(super) fn lists(&mut self, table: &Table<'a>, into: &mut Lists) {
        self.check_keys(table, &KEYS);
        let actions = &[Action::Count, Action::Drop];
        self.action(table, actions, &mut into.action);
        for (key, list) in [("allow", &mut into.allow), ("block", &mut into.block)] {
            let entry = |(prefix, line)| Entry { prefix, line };
            if let Some(Set { value, origin }) = self.lines(table, key, Prefix::from_str) {
                *list = Set {
                    value: value.into_iter().map(entry).collect(),
                    origin,
                };
            }
        }
        self.files(table, "allow_files", &mut into.allow_files);
        self.files(table, "block_files", &mut into.block_files);
    }
}
