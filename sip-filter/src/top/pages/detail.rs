//! The page of one source: everything that was counted of it.

use std::net::IpAddr;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::{Paragraph, Widget as _, Wrap},
};

use super::Palette;
use crate::{
    events::Event,
    number::thousands,
    output::{escape, table::text},
    stats::{Cell, WallTime},
    top::{live::Live, state::State},
};

/// Columns of a line's name.
const NAME: usize = 12;

pub(super) fn draw(
    state: &mut State,
    source: IpAddr,
    area: Rect,
    buffer: &mut Buffer,
    palette: Palette,
) {
    let lines = match state.live(source) {
        Some(live) => lines(live, state.captured.as_ref(), state.time, palette),
        None => vec![
            Line::styled(source.to_string(), Palette::BOLD),
            Line::raw("is not remembered any more: others have been seen later"),
        ],
    };
    state.above = state.above.min(lines.len() as u16 - 1);
    Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .scroll((state.above, 0))
        .render(area, buffer);
}

fn lines(
    Live { source, rate }: &Live,
    captured: Option<&Event>,
    now: WallTime,
    palette: Palette,
) -> Vec<Line<'static>> {
    let named = |name: &str, text: String, style| {
        let name = Span::styled(format!("{name:NAME$}"), Palette::BOLD);
        let text = escape::terminal(&text).into_owned();
        Line::from(vec![name, Span::styled(text, style)])
    };
    let plain = |name, text| named(name, text, Palette::PLAIN);
    let number = |name: &'static str, number| {
        let style = match number {
            0 => Palette::PLAIN,
            _ => palette.number(name),
        };
        named(&name.replace('_', " "), thousands(number), style)
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
    let mut lines = vec![
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
        lines.insert(1, plain("location", location));
    }
    if let Some(event) = captured {
        let user_agent = event.user_agent.as_deref();
        lines.extend([
            plain("captured", moment(event.time)),
            plain("start line", event.start_line.clone()),
            plain("User-Agent", user_agent.unwrap_or("none").to_owned()),
        ]);
    }
    lines
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
