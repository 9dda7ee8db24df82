//! `[limit.NAME]`: how much a source may send, in all or by a method.

use super::{
    MAX_WINDOW, MIN_WINDOW,
    reader::{Reader, Table},
};
use crate::{
    config::{
        configuration::{Action, Origin, Rate, Set},
        span::Span,
    },
    number::thousands,
};

pub(super) const KEYS: [&str; 4] = ["rate", "per", "burst", "action"];

/// More a second cannot be told apart: 100 ns between two.
const MAX_RATE: u64 = 10_000_000;

impl<'a> Reader<'a> {
    pub(super) fn limit(&mut self, table: &Table<'a>) -> Option<Rate> {
        self.check_keys(table, &KEYS);
        let before = self.mistakes.len();
        let most = MAX_RATE as u32;
        let mut limit = Rate {
            rate: Set::default(0),
            per: Set::default(Span::from_secs(1)),
            burst: Set::default(1),
            action: Set::default(Action::Drop),
        };
        if table.get("rate").is_none() {
            let what = format!(
                "`{}` lacks `rate`: how many packets a source may send in a second, or `per` more",
                table.name
            );
            self.wrong(table.line, what);
        }
        self.number(table, "rate", 1..=most, &mut limit.rate);
        let longest = Span::from_secs(86_400);
        self.span(table, "per", MIN_WINDOW..=longest, &mut limit.per);
        self.action(table, &[Action::Count, Action::Drop], &mut limit.action);
        limit.burst.value = limit.usual_burst();
        self.number(table, "burst", 1..=most, &mut limit.burst);
        if self.mistakes.len() > before {
            return None;
        }
        let line = |origin| match origin {
            Origin::Line(line) => line,
            _ => table.line,
        };
        let a_second = Span::from_secs(1).ns() / limit.interval();
        if a_second > MAX_RATE {
            let what = format!(
                "`{}` is more than {} a second, which cannot be told apart",
                table.path("rate"),
                thousands(MAX_RATE)
            );
            self.wrong(line(limit.rate.origin), what);
        }
        if limit.tolerance() > MAX_WINDOW.ns() {
            let what = format!(
                "`{}`: at this rate so many take more than {MAX_WINDOW}; \
                 make it less, or the rate more",
                table.path("burst"),
            );
            self.wrong(line(limit.burst.origin), what);
        }
        Some(limit)
    }
}
