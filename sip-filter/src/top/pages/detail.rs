//! The page of one source: everything that was counted of it.

use std::net::IpAddr;

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{Palette, put};
use crate::{
    escape,
    events::Event,
    number::thousands,
    output::{fit, table::text},
    stats::{Cell, WallTime},
    top::{live::Live, state::State},
};

/// Columns of a line's name.
const NAME: u16 = 12;

/// Of a source without an event.
const NOTHING: &str = "nothing: that is done where a tool or a behaviour is new, or a block";

/// One thing that is known: its name, and what it is.
type Known = (String, String, Style);

/// Draws it; gives how many lines of it are below the screen.
pub(super) fn draw(
    state: &mut State,
    source: IpAddr,
    area: Rect,
    buffer: &mut Buffer,
    palette: Palette,
) -> usize {
    let known = match state.live(source) {
        Some(live) => known(live, state.captured.as_ref(), state.time, palette),
        None => {
            let gone = "not remembered any more: others have been seen later".to_owned();
            vec![
                ("source".to_owned(), source.to_string(), Palette::PLAIN),
                (String::new(), gone, Palette::PLAIN),
            ]
        }
    };
    let room = area.width.saturating_sub(NAME);
    let mut lines = Vec::new();
    for (name, text, style) in known {
        let mut name = Some(name);
        for text in fit::wrapped(&escape::terminal(&text), room) {
            lines.push((name.take().unwrap_or_default(), text, style));
        }
    }
    let highest = lines.len().saturating_sub(usize::from(area.height));
    let highest = u16::try_from(highest).unwrap_or(u16::MAX);
    state.above = state.above.min(highest);
    let shown = lines.iter().skip(usize::from(state.above));
    for (line, (name, text, style)) in (0..area.height).zip(shown) {
        put(buffer, area, area.x, line, name, Palette::BOLD);
        put(buffer, area, area.x + NAME, line, text, *style);
    }
    usize::from(highest - state.above)
}

fn known(
    Live { source, rate }: &Live,
    captured: Option<&Event>,
    now: WallTime,
    palette: Palette,
) -> Vec<Known> {
    let plain = |name: &str, text| (name.to_owned(), text, Palette::PLAIN);
    let number = |name: &str, number| {
        let style = match number {
            0 => Palette::PLAIN,
            _ => palette.number(name),
        };
        (name.replace('_', " "), thousands(number), style)
    };
    let counts = |counts: &[(&str, u64)]| {
        let counts = counts.iter();
        let texts = counts.map(|(name, packets)| format!("{name} {}", thousands(*packets)));
        or_none(&texts.collect::<Vec<_>>())
    };
    let moment = |time: WallTime| format!("{time}, {}", text(&Cell::Time(time), now));
    let packets = format!(
        "{}, {} a second",
        thousands(source.packets),
        thousands(*rate)
    );
    let mut known = vec![
        plain("source", source.source.to_string()),
        plain("packets", packets),
        number("bytes", source.bytes),
        number("scanner", source.scanner),
        number("dropped", source.dropped),
        number("would_drop", source.would_drop),
        plain("first seen", moment(source.first_seen)),
        plain("last seen", moment(source.last_seen)),
        plain("methods", counts(&source.methods)),
        plain("tools", or_none(&source.tools)),
        plain("behaviours", or_none(&source.behaviours)),
        plain("reasons", counts(&source.reasons)),
        plain("ports", format!("{} tried", source.ports)),
    ];
    let location = source.location.to_string();
    if !location.is_empty() {
        known.insert(1, plain("location", location));
    }
    match captured {
        Some(event) => {
            let user_agent = event.user_agent.as_deref();
            known.extend([
                plain("captured", moment(event.time)),
                plain("start line", event.start_line.clone()),
                plain("User-Agent", user_agent.unwrap_or("none").to_owned()),
            ]);
        }
        None => known.push(plain("captured", NOTHING.to_owned())),
    }
    known
}

fn or_none(texts: &[impl AsRef<str>]) -> String {
    match texts {
        [] => "none".to_owned(),
        texts => {
            let texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
            texts.join(", ")
        }
    }
}
