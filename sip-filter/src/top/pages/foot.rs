//! The foot of the screen: what was said or is asked, and the keys.

use ratatui::{buffer::Buffer, layout::Rect, style::Color};

use super::{Palette, put};
use crate::{
    lists::List,
    top::{
        input::BLOCK,
        state::{Dialogue, State},
    },
};

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer, palette: Palette) {
    let (text, style) = match (&state.dialogue, &state.message) {
        (Dialogue::Filter(_), _) => (format!("/{}_", state.filter), Palette::BOLD),
        (Dialogue::Confirm(List::Allow, source), _) => {
            (format!("Allow {source} for ever?"), Palette::REVERSED)
        }
        (Dialogue::Confirm(List::Block, source), _) => {
            (format!("Block {source} for {BLOCK}?"), Palette::REVERSED)
        }
        (_, Some(message)) => {
            let style = match message.is_error {
                true => palette.of(Color::Red).patch(Palette::BOLD),
                false => palette.of(Color::Green),
            };
            (message.text.clone(), style)
        }
        (_, None) => (String::new(), Palette::PLAIN),
    };
    put(buffer, area, area.x, 0, &text, style);
    let keys: &[(&str, &str)] = match (&state.dialogue, state.detail) {
        (Dialogue::Filter(_), _) => &[("Enter", "keep"), ("Esc", "as it was")],
        (Dialogue::Confirm(List::Allow, _), _) => &[("Enter", "allow"), ("Esc", "no")],
        (Dialogue::Confirm(List::Block, _), _) => {
            &[("Enter", "block"), ("e", "block for ever"), ("Esc", "no")]
        }
        (_, Some(_)) => &[
            ("Esc", "back"),
            ("a", "allow"),
            ("b", "block"),
            ("p", "pause"),
            ("?", "help"),
            ("q", "quit"),
        ],
        (_, None) => &[
            ("?", "help"),
            ("q", "quit"),
            ("/", "filter"),
            ("Enter", "detail"),
            ("a", "allow"),
            ("b", "block"),
            ("p", "pause"),
            ("A-Z", "sort"),
        ],
    };
    let mut x = area.x;
    for (key, what) in keys {
        x = put(buffer, area, x, 1, key, Palette::BOLD);
        x = put(buffer, area, x, 1, &format!(" {what}  "), Palette::PLAIN);
    }
}
