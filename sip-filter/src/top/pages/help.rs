//! All keys.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Palette, put};

const KEYS: [(&str, &str); 16] = [
    ("1 2 3 4", "sources, methods, tools, ports"),
    (
        "Tab, Right",
        "the next of them; Shift-Tab and Left the one before",
    ),
    (
        "Up, Down, k, j",
        "move the cursor; PageUp, PageDown, Home, End too",
    ),
    (
        "capital letters",
        "sort by the column that has it as a capital letter",
    ),
    ("", "the same again turns the order round"),
    (
        "/",
        "show only rows with a text: an address, a tool, a method, a rule",
    ),
    ("Enter", "everything about the source under the cursor"),
    ("a", "put it into the allow list: it always passes"),
    (
        "b",
        "put it into the block list: it is dropped, for an hour or for ever",
    ),
    ("p", "pause, go on"),
    ("Esc", "close what is open, show all rows again, end"),
    ("q, Ctrl-C", "end; the filter goes on"),
    ("Ctrl-L", "draw everything anew"),
    ("", ""),
    (
        "Rate/s",
        "packets a second since the counters were read before",
    ),
    ("Would drop", "passed, and met by a rule that only counts"),
];

/// Columns of the keys.
const WIDTH: u16 = 17;

pub(super) fn draw(area: Rect, buffer: &mut Buffer) {
    let title = "sip-filter top: keys";
    put(buffer, area, area.x, 0, title, Palette::BOLD);
    for (line, (key, what)) in (2..).zip(KEYS) {
        put(buffer, area, area.x, line, key, Palette::BOLD);
        put(buffer, area, area.x + WIDTH, line, what, Palette::PLAIN);
    }
    let end = KEYS.len() as u16 + 3;
    put(buffer, area, area.x, end, "Any key: back", Palette::PLAIN);
}
