//! `[escalate]`: who is blocked for what was sent.

use anyhow::{Result, anyhow};

use super::{
    MAX_WINDOW, MIN_WINDOW,
    reader::{Reader, Table},
};
use crate::config::{
    configuration::{Action, BY, Escalate, Origin, Set},
    meant::meant,
    span::Span,
};

pub(super) const KEYS: [&str; 5] = ["after", "within", "for", "by", "action"];

/// An address changes hands.
const MAX_BLOCKED: Span = Span::from_secs(365 * 86_400);
/// The most packets after which a source is blocked.
const MAX_OFFENCES: u32 = 1_000_000;

impl<'a> Reader<'a> {
    pub(super) fn escalate(&mut self, table: &Table<'a>, into: &mut Escalate) {
        self.check_keys(table, &KEYS);
        if table.get("after").is_none() {
            let what = "`escalate` lacks `after`: after how many packets a source is blocked, or 0 \
                        for never";
            self.wrong(table.line, what.to_owned());
        }
        self.number(table, "after", 0..=MAX_OFFENCES, &mut into.after);
        let windows = MIN_WINDOW..=MAX_WINDOW;
        self.span(table, "within", windows, &mut into.within);
        self.span(table, "for", MIN_WINDOW..=MAX_BLOCKED, &mut into.length);
        self.action(table, &[Action::Count, Action::Drop], &mut into.action);
        if let Some(by) = self.list(table, "by", counts_for_escalation) {
            into.by = Set {
                value: by.value.into_iter().fold(0, |by, bit| by | bit),
                origin: by.origin,
            };
            if let (0, Origin::Line(line)) = (into.by.value, by.origin) {
                let what = "`escalate.by` is empty: nothing would count; \
                            to switch escalation off, set `escalate.after` to 0";
                self.wrong(line, what.to_owned());
            }
        }
    }
}

fn counts_for_escalation(name: &str) -> Result<u32> {
    let found = BY.into_iter().find(|(other, _)| *other == name);
    found.map(|(_, bit)| bit).ok_or_else(|| {
        let meant = meant(name, &BY.map(|(name, _)| name));
        anyhow!("`{name}` does not count{meant}")
    })
}
