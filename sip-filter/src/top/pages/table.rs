//! A listing as a table: the header with the keys to sort by, and the rows, one of them under the
//! cursor. Columns that do not fit go, those in which nothing stands first, then those that tell least.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{Palette, put};
use crate::{
    escape,
    output::{
        fit::{self, width},
        table::text,
    },
    stats::{Cell, Column, Row, WallTime},
    top::{
        keys,
        listing::{Listed, Listing},
    },
};

/// Blanks between columns.
const GAP: u16 = 2;
/// The widest text behind the first column, as a part of the screen.
const TEXT: u16 = 4;

pub(super) fn draw<R: Listed>(
    listing: &mut Listing<R>,
    now: WallTime,
    area: Rect,
    buffer: &mut Buffer,
    palette: Palette,
) {
    let (sorted_by, is_reversed) = (listing.sorted_by, listing.is_reversed);
    let is_filtered = !listing.all().is_empty();
    let (rows, cursor) = listing.window(usize::from(area.height).saturating_sub(1));
    let mark = if is_reversed { '▲' } else { '▼' };
    let columns = R::COLUMNS.iter().map(|column| {
        let mark = (column.name == sorted_by).then_some(mark);
        Drawn::new(column, &rows, mark, now, area.width)
    });
    let columns = fitting(columns.collect(), area.width);
    if !rows.is_empty() {
        let line = Rect {
            y: area.y + 1 + cursor as u16,
            height: 1,
            ..area
        };
        buffer.set_style(line, Palette::REVERSED);
    }
    let mut x = area.x;
    for column in columns {
        for (line, text) in (0..).zip(&column.texts) {
            let blanks = match column.is_right {
                true => column.width - width(text).min(column.width),
                false => 0,
            };
            let room = Rect {
                width: (x + column.width).min(area.right()).saturating_sub(area.x),
                ..area
            };
            let style = match line {
                0 if column.is_sorted => Palette::BOLD.patch(Palette::REVERSED),
                0 => Palette::BOLD,
                _ if text == "0" => Style::new(),
                _ => palette.number(column.name),
            };
            put(buffer, room, x + blanks, line, text, style);
        }
        x = x.saturating_add(column.width + GAP);
    }
    if rows.is_empty() {
        let text = match is_filtered {
            true => "none has this text; Esc shows all",
            false => "nothing was seen yet",
        };
        put(buffer, area, area.x, 1, text, Palette::PLAIN);
    }
}

/// A column with its texts, the title first.
struct Drawn {
    name: &'static str,
    rank: u8,
    is_sorted: bool,
    is_right: bool,
    texts: Vec<String>,
    width: u16,
}

impl Drawn {
    fn new<R: Row>(
        column: &Column<R>,
        rows: &[&R],
        mark: Option<char>,
        now: WallTime,
        screen: u16,
    ) -> Self {
        let cells: Vec<_> = rows.iter().map(|row| (column.cell)(row)).collect();
        let is_right = matches!(
            cells.first(),
            Some(Cell::Number(_) | Cell::Identifier(_) | Cell::Time(_))
        );
        let is_text = matches!(cells.first(), Some(Cell::Text(_) | Cell::List(_)));
        let mut title = keys::title(column.name).to_owned();
        title.extend(mark);
        let title_width = width(&title);
        let text = |cell: &Cell<'_>| escape::terminal(&text(cell, now)).into_owned();
        let mut texts: Vec<_> = std::iter::once(title)
            .chain(cells.iter().map(text))
            .collect();
        let widest = texts.iter().map(|text| width(text)).max().unwrap_or(0);
        let columns = match is_text && column.rank > 0 {
            true => widest.min(screen / TEXT).max(title_width),
            false => widest,
        };
        for text in texts.iter_mut().filter(|text| width(text) > columns) {
            *text = fit::beginning(text, columns).into_owned();
        }
        let is_empty = texts.iter().skip(1).all(String::is_empty);
        Self {
            name: column.name,
            rank: match is_empty && column.rank > 0 {
                true => u8::MAX,
                false => column.rank,
            },
            is_sorted: mark.is_some(),
            is_right,
            width: columns,
            texts,
        }
    }
}

/// As many columns as there is room for, those that tell most first; the first one and the one sorted by
/// stay.
fn fitting(mut columns: Vec<Drawn>, room: u16) -> Vec<Drawn> {
    let stays = |column: &Drawn| column.rank == 0 || column.is_sorted;
    let mut order: Vec<_> = (0..columns.len()).collect();
    order.sort_by_key(|at| (!stays(&columns[*at]), columns[*at].rank));
    let mut left = room.saturating_add(GAP);
    let mut kept = vec![false; columns.len()];
    for at in order {
        let taken = columns[at].width.saturating_add(GAP);
        if stays(&columns[at]) || taken <= left {
            left = left.saturating_sub(taken);
            kept[at] = true;
        }
    }
    let mut kept = kept.into_iter();
    columns.retain(|_| kept.next().unwrap_or_default());
    columns
}
