//! All keys.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Palette, put};
use crate::{
    output::fit,
    stats::Row as _,
    top::{keys, live::Live},
};

/// What they are, and what words on the screen mean. All of it can be read on a screen of 60 columns
/// and 15 lines.
const KEYS: [(&str, &str); 14] = [
    ("1 2 3 4", "sources, methods, tools, ports"),
    ("Tab, Left, Right", "the next of them, the one before"),
    ("Up, Down, k, j", "move; PageUp, PageDown, Home, End too"),
    ("A to Z", "sort by the column with that capital;"),
    ("", "the same again turns the order round"),
    ("/", "only rows with a text: address, tool, rule"),
    ("Enter", "all about the source under the cursor"),
    ("a", "allow list: it always passes; asks first"),
    ("b", "block list: it is dropped; asks first"),
    ("p, Ctrl-L", "pause or go on; draw everything anew"),
    ("Esc", "close what is open; show all rows; end"),
    ("q, Ctrl-C", "end; the filter goes on"),
    ("Rate/s", "packets a second since the last reading"),
    ("Would drop", "passed, but a rule that counts met them"),
];

/// Columns of the keys.
const WIDTH: u16 = 18;

pub(super) fn draw(area: Rect, buffer: &mut Buffer) {
    let title = "sip-filter top: keys";
    let behind = put(buffer, area, area.x, 0, title, Palette::BOLD);
    put(buffer, area, behind, 0, "; any key: back", Palette::PLAIN);
    // An empty line where there is room.
    let first = 1 + u16::from(usize::from(area.height) > KEYS.len() + 1);
    for (line, (key, what)) in (first..).zip(KEYS) {
        put(buffer, area, area.x, line, key, Palette::BOLD);
        put(buffer, area, area.x + WIDTH, line, what, Palette::PLAIN);
    }
    // There are more than a screen has room for.
    let columns = first + KEYS.len() as u16 + 1;
    put(buffer, area, area.x, columns, "Sources by", Palette::BOLD);
    let titles: Vec<_> = (Live::COLUMNS.iter())
        .map(|column| keys::title(column.name))
        .collect();
    let titles = fit::wrapped(&titles.join(", "), area.width.saturating_sub(WIDTH));
    for (line, text) in (columns..).zip(titles) {
        put(buffer, area, area.x + WIDTH, line, &text, Palette::PLAIN);
    }
}
