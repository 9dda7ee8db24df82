//! The foot of the screen: what was said or is asked, and the keys.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Style},
};

use super::{Palette, put};
use crate::{
    escape,
    lists::List,
    output::fit::{self, width},
    top::{
        input::BLOCK,
        state::{Dialogue, Page, State},
    },
};

/// The most lines of what was said: errors say the next step, too.
const LINES: usize = 4;

/// What was said or is asked, in one line at least.
pub(super) struct Said {
    pub(super) lines: Vec<String>,
    style: Style,
}

/// What stands there, on a screen of so many columns.
pub(super) fn said(state: &State, columns: u16, palette: Palette) -> Said {
    let (text, style) = match (&state.dialogue, &state.message) {
        (Dialogue::Filter(_), _) => {
            // Where it is being written is seen.
            let text = format!("/{}_", escape::terminal(&state.filter));
            let lines = vec![fit::end(&text, columns).into_owned()];
            let style = Palette::BOLD;
            return Said { lines, style };
        }
        (Dialogue::Confirm(List::Allow, source), _) => {
            (format!("Allow {source} for ever?"), Palette::REVERSED)
        }
        (Dialogue::Confirm(List::Block, source), _) => {
            (format!("Block {source} for {BLOCK}?"), Palette::REVERSED)
        }
        (_, Some(message)) => {
            let style = match message.is_error {
                true => palette.of(Color::Red).patch(Palette::BOLD),
                false => Palette::BOLD,
            };
            (escape::terminal(&message.text).into_owned(), style)
        }
        (_, None) => (String::new(), Palette::PLAIN),
    };
    let mut lines = fit::wrapped(&text, columns);
    lines.truncate(LINES);
    Said { lines, style }
}

/// Draws it, and the keys below. Where nothing was said, it says how many lines of the page are below the
/// screen.
pub(super) fn draw(state: &State, said: Said, more: usize, area: Rect, buffer: &mut Buffer) {
    let Said { mut lines, style } = said;
    if let ([line], 1..) = (lines.as_mut_slice(), more)
        && line.is_empty()
    {
        *line = match more {
            1 => "Down: 1 more line".to_owned(),
            more => format!("Down: {more} more lines"),
        };
    }
    // Of a screen that is too low the keys are left.
    let above = usize::from(area.height).saturating_sub(1);
    for (line, text) in (0..).zip(lines.iter().take(above)) {
        put(buffer, area, area.x, line, text, style);
    }
    let line = area.height.saturating_sub(1);
    let mut x = area.x;
    for (key, what) in keys(state) {
        let what = format!(" {what}");
        // Whole, or not at all.
        if x + width(key) + width(&what) > area.right() {
            break;
        }
        x = put(buffer, area, x, line, key, Palette::BOLD);
        x = put(buffer, area, x, line, &what, Palette::PLAIN) + 2;
    }
}

/// The keys that do something now, and what they do.
fn keys(state: &State) -> &'static [(&'static str, &'static str)] {
    match (&state.dialogue, state.detail, state.page) {
        (Dialogue::Filter(_), ..) => &[("Enter", "keep"), ("Esc", "as it was")],
        (Dialogue::Confirm(List::Allow, _), ..) => &[("Enter", "allow"), ("Esc", "no")],
        (Dialogue::Confirm(List::Block, _), ..) => {
            &[("Enter", "block"), ("e", "block for ever"), ("Esc", "no")]
        }
        (_, Some(_), _) => &[
            ("Esc", "back"),
            ("a", "allow"),
            ("b", "block"),
            ("p", "pause"),
            ("?", "help"),
            ("q", "quit"),
        ],
        (_, None, Page::Sources) => &[
            ("?", "help"),
            ("q", "quit"),
            ("/", "filter"),
            ("Enter", "detail"),
            ("a", "allow"),
            ("b", "block"),
            ("p", "pause"),
            ("A-Z", "sort"),
        ],
        (_, None, Page::Methods | Page::Tools | Page::Ports) => &[
            ("?", "help"),
            ("q", "quit"),
            ("/", "filter"),
            ("p", "pause"),
            ("A-Z", "sort"),
        ],
    }
}
