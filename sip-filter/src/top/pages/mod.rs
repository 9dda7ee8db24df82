//! How it is drawn: the head with rates and totals, one page below it, a line of what was said or is
//! asked, a line of keys.

mod detail;
mod foot;
mod head;
mod help;
mod table;

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

use crate::escape;
use crate::top::state::{Dialogue, Page, State};

/// Fewer lines than these leave no room for anything above the page, and none above that of one source.
const LOW: u16 = 14;
const LOW_DETAIL: u16 = 30;

/// What things are written in: colours only where they are wanted (no-color.org).
#[derive(Clone, Copy, Debug)]
pub(in crate::top) struct Palette {
    /// Whether they are.
    pub(in crate::top) colour: bool,
}

impl Palette {
    const PLAIN: Style = Style::new();
    const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
    const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);

    fn of(self, colour: Color) -> Style {
        match self.colour {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    /// What a number of the column with that name is written in: those that matter stand out, on dark
    /// terminals and on light ones.
    fn number(self, name: &str) -> Style {
        match name {
            "dropped" => self.of(Color::Red),
            "scanner" | "would_drop" => self.of(Color::Magenta),
            _ => Self::PLAIN,
        }
    }
}

/// Draws all of it.
pub(in crate::top) fn draw(frame: &mut Frame<'_>, state: &mut State, palette: Palette) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    if state.dialogue == Dialogue::Help {
        return help::draw(area, buffer);
    }
    let low = match state.detail {
        Some(_) => LOW_DETAIL,
        None => LOW,
    };
    let head = match area.height < low {
        true => head::SMALL.min(area.height),
        false => head::WHOLE,
    };
    let said = foot::said(state, area.width, palette);
    let foot = (said.lines.len() as u16 + 1).min(area.height - head);
    let [above, page, below] = parts(area, head, foot);
    head::draw(state, above, buffer, palette);
    state.rows = usize::from(page.height).saturating_sub(1);
    let now = state.time;
    let mut more = 0;
    match (state.detail, state.page) {
        (Some(source), _) => more = detail::draw(state, source, page, buffer, palette),
        (None, Page::Sources) => table::draw(&mut state.sources, now, page, buffer, palette),
        (None, Page::Methods) => table::draw(&mut state.methods, now, page, buffer, palette),
        (None, Page::Tools) => table::draw(&mut state.tools, now, page, buffer, palette),
        (None, Page::Ports) => table::draw(&mut state.ports, now, page, buffer, palette),
    }
    foot::draw(state, said, more, below, buffer);
}

/// An area cut into its uppermost lines, those between, and its lowest ones.
fn parts(area: Rect, upper: u16, lower: u16) -> [Rect; 3] {
    let part = |y, height| Rect { y, height, ..area };
    [
        part(area.y, upper),
        part(area.y + upper, area.height - upper - lower),
        part(area.bottom() - lower, lower),
    ]
}

/// Writes a text made harmless, as far as there is room for it; gives the column behind it.
fn put(buffer: &mut Buffer, area: Rect, x: u16, line: u16, text: &str, style: Style) -> u16 {
    let y = area.y.saturating_add(line);
    if y >= area.bottom() || x >= area.right() {
        return x;
    }
    let room = usize::from(area.right() - x);
    let text = escape::terminal(text);
    let (behind, _) = buffer.set_stringn(x, y, text, room, style);
    behind
}

#[cfg(test)]
mod tests;
