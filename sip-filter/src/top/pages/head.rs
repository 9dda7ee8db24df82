//! The head of the screen: whose numbers these are, what comes a second and came in all, and which page
//! is below.

use std::collections::VecDeque;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    widgets::{Sparkline, Widget as _},
};

use super::{Palette, put};
use crate::{
    number::thousands,
    output::fit::{self, width},
    stats::{Row as _, Totals},
    top::state::{Page, State},
};

/// Lines of all of it: the title, three rates, two lines of totals, the pages.
pub(super) const WHOLE: u16 = 7;
/// Lines where there is no room: the title and the pages.
pub(super) const SMALL: u16 = 2;

/// Columns of a rate's name, and of a number.
const NAME: u16 = 12;
const NUMBER: u16 = 12;
/// Columns of what came in all.
const TOTAL: u16 = 27;

/// What the rates do not say of the totals.
const OTHERS: [&str; 9] = [
    "requests",
    "responses",
    "keepalives",
    "malformed",
    "would_drop",
    "passed",
    "fragments",
    "unreadable",
    "unlisted",
];

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer, palette: Palette) {
    title(state, area, buffer);
    if area.height >= WHOLE {
        let rates = [
            ("packets", &state.rates.packets, state.totals.packets),
            ("scanner", &state.rates.scanner, state.totals.scanner),
            ("dropped", &state.rates.dropped, state.totals.dropped),
        ];
        for (line, (name, rates, total)) in (1..).zip(rates) {
            rate(name, rates, total, area, line, buffer, palette);
        }
        totals(&state.totals, area, 4, buffer, palette);
    }
    if area.height >= SMALL {
        pages(state, area, area.height - 1, buffer);
    }
}

fn title(state: &State, area: Rect, buffer: &mut Buffer) {
    let interfaces: Vec<_> = state
        .interfaces
        .iter()
        .map(|interface| format!("{} ({})", interface.name, interface.mode))
        .collect();
    let on = match interfaces.is_empty() {
        true => "no interface".to_owned(),
        false => interfaces.join(", "),
    };
    let every = match state.is_paused {
        true => "PAUSED".to_owned(),
        false => format!("every {}", state.interval),
    };
    // What matters more than the end of a long list of interfaces.
    let style = match state.is_paused {
        true => Palette::REVERSED,
        false => Palette::PLAIN,
    };
    let x = area.right().saturating_sub(width(&every)).max(area.x);
    put(buffer, area, x, 0, &every, style);
    let room = Rect {
        width: (x - area.x).saturating_sub(1),
        ..area
    };
    let behind = put(buffer, room, area.x, 0, "sip-filter ", Palette::BOLD);
    let left = room.right().saturating_sub(behind);
    let whose = format!("{} on {on}", state.instance);
    // The time whole, or not at all.
    let text = format!("{whose}, {}", state.time);
    let text = match width(&text) <= left {
        true => text.into(),
        false => fit::beginning(&whose, left),
    };
    put(buffer, room, behind, 0, &text, Palette::PLAIN);
}

fn rate(
    name: &str,
    rates: &VecDeque<u64>,
    total: u64,
    area: Rect,
    line: u16,
    buffer: &mut Buffer,
    palette: Palette,
) {
    let style = palette.number(name);
    put(
        buffer,
        area,
        area.x,
        line,
        &format!("{name}/s"),
        Palette::BOLD,
    );
    let number = rates.back().map_or("-".to_owned(), |rate| thousands(*rate));
    let x = right(area.x + NAME, NUMBER, &number);
    put(buffer, area, x, line, &number, style);
    let total = format!("{} in all", thousands(total));
    let x = right(area.right().saturating_sub(TOTAL), TOTAL, &total);
    put(buffer, area, x, line, &total, style);
    let from = area.x + NAME + NUMBER + 2;
    let to = area.right().saturating_sub(TOTAL + 1);
    if from < to {
        let room = Rect {
            x: from,
            y: area.y + line,
            width: to - from,
            height: 1,
        };
        let skip = rates.len().saturating_sub(usize::from(room.width));
        let shown: Vec<_> = rates.iter().skip(skip).copied().collect();
        // The newest stands at the right.
        let blank = room.width - u16::try_from(shown.len()).unwrap_or(room.width);
        let room = Rect {
            x: room.x + blank,
            width: room.width - blank,
            ..room
        };
        Sparkline::default()
            .data(&shown)
            .style(style)
            .render(room, buffer);
    }
}

/// The totals that are not 0, in two lines.
fn totals(totals: &Totals, area: Rect, first: u16, buffer: &mut Buffer, palette: Palette) {
    let (mut x, mut line) = (area.x, first);
    for column in Totals::COLUMNS {
        if !OTHERS.contains(&column.name) {
            continue;
        }
        let crate::stats::Cell::Number(number @ 1..) = (column.cell)(totals) else {
            continue;
        };
        let name = column.name.replace('_', " ");
        let text = format!("{name} {}  ", thousands(number));
        if x > area.x && x.saturating_add(width(text.trim_end())) > area.right() {
            (x, line) = (area.x, line + 1);
        }
        if line > first + 1 {
            break;
        }
        x = put(buffer, area, x, line, &text, palette.number(column.name));
    }
}

fn pages(state: &State, area: Rect, line: u16, buffer: &mut Buffer) {
    let mut x = area.x;
    for (key, page) in (1..).zip(Page::ALL) {
        let is_shown = page == state.page && state.detail.is_none();
        let style = match is_shown {
            true => Palette::REVERSED,
            false => Palette::PLAIN,
        };
        x = put(
            buffer,
            area,
            x,
            line,
            &format!(" {key} {} ", page.name()),
            style,
        );
    }
    let (shown, all) = state.counts();
    let [shown, all] = [shown as u64, all as u64].map(thousands);
    let text = match state.filter.is_empty() {
        true => format!("  {all}"),
        false => format!("  {shown} of {all} with \"{}\"", state.filter),
    };
    put(buffer, area, x, line, &text, Palette::PLAIN);
}

/// Where a text begins that ends so many columns behind `x`.
fn right(x: u16, columns: u16, text: &str) -> u16 {
    x + columns.saturating_sub(width(text))
}
