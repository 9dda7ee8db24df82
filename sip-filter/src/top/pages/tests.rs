//! Screens, drawn where no terminal is.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use ratatui::{Terminal, backend::TestBackend};

use super::*;
use crate::{
    config::span::Span,
    events::{Event, What},
    geoip::Location,
    lists::List,
    stats::{Snapshot, Source, tests::snapshot},
    top::state::Message,
};

const PALETTE: Palette = Palette { colour: false };

fn state(snapshot: Snapshot) -> State {
    let start = Instant::now();
    let mut state = State::new(Span::from_secs(1), snapshot.clone(), start);
    let mut later = snapshot;
    later.totals.packets += 1_500;
    later.totals.scanner += 40;
    state.take(later, start + Duration::from_secs(1));
    state
}

/// A flood from addresses that are as long as addresses can be.
fn crowd(sources: u16) -> Snapshot {
    let mut snapshot = snapshot();
    let one = snapshot.sources[0].clone();
    snapshot.sources = (0..sources)
        .map(|n| Source {
            source: Ipv6Addr::new(0x2001, 0xdb8, 0xaaaa, 0xbbbb, 0xcccc, 0xdddd, 0xeeee, n).into(),
            packets: 4_000_000_000 + u64::from(n),
            bytes: u64::MAX,
            tools: vec!["a-tool-with-a-name-of-31-letters".into(); 9].into(),
            ..one.clone()
        })
        .collect();
    snapshot
}

fn screen(state: &mut State, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, PALETTE)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| {
        let cells = (0..width).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..height).map(line).collect()
}

#[test]
fn the_sources_have_a_screen_of_80_by_24() {
    let screen = screen(&mut state(snapshot()), 80, 24);
    let expected = [
        "sip-filter default on eth0 (native), 2026-11-23T06:00:00.000Z           every 1s",
        "packets/s          1,500                         █          1,237,064 in all",
        "scanner/s             40                         █          1,234,650 in all",
        "dropped/s              0                                    1,234,570 in all",
    ];
    assert_eq!(screen[0], expected[0]);
    for (line, shown) in screen[1..4].iter().zip(&expected[1..]) {
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(line), words(shown));
    }
    assert_eq!(
        screen[4],
        "requests 1,234,622  responses 40  keepalives 900  malformed 2  would drop 40"
    );
    assert_eq!(
        screen[5],
        "passed 994  fragments 5  unreadable 1  unlisted 3"
    );
    assert_eq!(screen[6], " 1 Sources  2 Methods  3 Tools  4 Ports   4");
    let header: Vec<_> = screen[7].split_whitespace().collect();
    assert_eq!(header[..3], ["Source", "Rate/s", "Packets▼"], "{screen:#?}");
    let first: Vec<_> = screen[8].split_whitespace().collect();
    assert_eq!(first[..3], ["192.0.2.7", "0", "1,234,570"], "{screen:#?}");
    assert!(screen[23].contains("q quit"), "{screen:#?}");
}

#[test]
fn long_addresses_and_many_sources_fit() {
    let mut state = state(crowd(10_000));
    state.sources.move_by(5_000);
    let screen = screen(&mut state, 80, 24);
    let header: Vec<_> = screen[7].split_whitespace().collect();
    assert!(
        header.contains(&"Packets▼") && header.contains(&"Dropped"),
        "{screen:#?}"
    );
    for line in &screen[8..22] {
        assert!(
            line.starts_with("2001:db8:aaaa:bbbb:cccc:dddd:eeee:"),
            "{screen:#?}"
        );
    }
    let last = &screen[21];
    assert!(last.contains("4,000,004,999"), "{screen:#?}");
    assert!(screen[6].ends_with("10,000"), "{screen:#?}");
}

#[test]
fn wide_screens_have_every_column_and_any_size_is_drawn() {
    let screen_of = |width, height| screen(&mut state(snapshot()), width, height);
    let wide = screen_of(200, 40);
    for title in ["Bytes", "pOrts", "reasoNs", "First seen", "bEhaviours"] {
        assert!(wide[7].contains(title), "{title}: {wide:#?}");
    }
    for width in [1, 2, 7, 20, 39, 80, 300] {
        for height in 1..30 {
            for mut state in [state(snapshot()), state(crowd(40))] {
                screen(&mut state, width, height);
                state.detail = state.source();
                screen(&mut state, width, height);
                state.dialogue = Dialogue::Help;
                screen(&mut state, width, height);
            }
        }
    }
    let low = screen_of(80, 10).join("\n");
    for shown in [
        "sip-filter default",
        "1 Sources",
        "Packets▼",
        "192.0.2.7",
        "q quit",
    ] {
        assert!(low.contains(shown), "{shown}: {low}");
    }
}

#[test]
fn the_column_sorted_by_is_shown_however_narrow_the_screen_is() {
    let mut state = state(snapshot());
    assert!(!screen(&mut state, 40, 24)[7].contains("First seen"));
    state.sort_by('F');
    assert!(screen(&mut state, 40, 24)[7].contains("First seen▼"));
    state.sort_by('F');
    assert!(screen(&mut state, 40, 24)[7].contains("First seen▲"));
}

#[test]
fn the_other_pages_list_what_they_are_named_after() {
    let mut state = state(snapshot());
    for (page, header, first) in [
        (
            Page::Methods,
            ["Method", "Packets▼"],
            ["OPTIONS", "1,234,607"],
        ),
        (Page::Tools, ["Tool", "Kind"], ["sipvicious", "scanner"]),
        (Page::Ports, ["pOrt", "Packets▼"], ["5061", "1,234,610"]),
    ] {
        state.page = page;
        let screen = screen(&mut state, 80, 24);
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .take(2)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&screen[7]), header);
        assert_eq!(words(&screen[8]), first);
    }
}

/// What was captured of a source with much to say.
fn captured() -> Event {
    let snapshot = snapshot();
    Event {
        time: snapshot.time,
        what: What::Tool,
        source: snapshot.sources[0].source,
        location: Location::default(),
        destination: IpAddr::from([192, 0, 2, 10]),
        port: 5060,
        method: "OPTIONS",
        tool: None,
        start_line: format!("OPTIONS sip:{}@192.0.2.10 SIP/2.0", "9".repeat(70)),
        user_agent: Some("friendly-scanner".to_owned()),
    }
}

#[test]
fn where_nothing_is_listed_it_is_said_why() {
    let mut state = state(snapshot());
    state.filter = "no such text".to_owned();
    state.apply_filter();
    let line = |state: &mut State| screen(state, 80, 24)[8].clone();
    assert_eq!(line(&mut state), "none has this text; Esc shows all");
    let mut none = snapshot();
    none.sources.clear();
    state.take(none, Instant::now());
    assert_eq!(line(&mut state), "nothing was seen yet");
}

#[test]
fn a_source_has_a_page_with_all_that_is_known_of_it() {
    let mut one = snapshot();
    one.sources[0].location = Location {
        country: Some("NL".to_owned()),
        asn: Some(64_500),
        as_name: Some("Example".to_owned()),
    };
    let mut state = state(one);
    state.detail = state.source();
    let text = screen(&mut state, 80, 24).join("\n");
    assert!(text.contains("captured    nothing: "), "{text}");
    state.captured = Some(captured());
    let page = screen(&mut state, 80, 24);
    let text = page.join("\n");
    for shown in [
        "source      192.0.2.7",
        "location    NL, AS64500 Example",
        "packets     1,234,570, 0 a second",
        "dropped     1,234,570",
        "last seen   2026-11-23T05:59:58.500Z, 2s ago",
        "methods     REGISTER 3, OPTIONS 1,234,567",
        "tools       sipvicious",
        "behaviours  none",
        "reasons     signature 1,234,570",
        "ports       4 tried",
        "captured    2026-11-23T06:00:00.000Z, 0s ago",
        "start line  OPTIONS\n            sip:999",
        "\n            999999@192.0.2.10 SIP/2.0\nUser-Agent  friendly-scanner",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }

    // Of a lower screen the rest can be had, and is said to be there.
    let low = screen(&mut state, 80, 15);
    assert_eq!(low[13], "Down: 8 more lines", "{low:#?}");
    state.move_by(7);
    let low = screen(&mut state, 80, 15);
    assert_eq!(low[13], "Down: 1 more line", "{low:#?}");
    state.move_by(99);
    let low = screen(&mut state, 80, 15);
    assert_eq!(low[13], "", "{low:#?}");
    assert_eq!(low[12], "User-Agent  friendly-scanner", "{low:#?}");
    state.move_by(-1);
    let low = screen(&mut state, 80, 15);
    assert_eq!(low[13], "Down: 1 more line", "{low:#?}");

    state.detail = Some(IpAddr::from([192, 0, 2, 99]));
    let text = screen(&mut state, 80, 24).join("\n");
    assert!(
        text.contains("192.0.2.99") && text.contains("not remembered"),
        "{text}"
    );
}

#[test]
fn a_small_screen_has_nothing_that_is_cut_off_without_a_mark() {
    let mut many = snapshot();
    many.interfaces = vec![many.interfaces[0].clone(); 9];
    let mut state = state(many);
    let narrow = screen(&mut state, 60, 15);
    assert!(narrow[0].ends_with("… every 1s"), "{narrow:#?}");
    assert!(narrow[14].ends_with("b block"), "{narrow:#?}");
    state.dialogue = Dialogue::Help;
    let help = screen(&mut state, 60, 15);
    assert!(help[0].ends_with("any key: back"), "{help:#?}");
    let wide = screen(&mut state, 200, 40);
    let words = |lines: &[String]| {
        let words = lines.iter().flat_map(|line| line.split_whitespace());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let (help, wide) = (words(&help), words(&wide));
    assert_eq!(help, wide[..help.len()]);
    assert_eq!(wide[help.len()..][..3], ["Sources", "by", "Source,"]);
    state.dialogue = Dialogue::Filter(String::new());
    state.filter = "a text that is longer than the screen is wide, and is being written".to_owned();
    let filter = screen(&mut state, 60, 15);
    assert!(filter[13].starts_with('…') && filter[13].ends_with("written_"));
    state.dialogue = Dialogue::None;
    state.filter.clear();
    state.apply_filter();
    let text = "error: nothing was changed: 3 addresses are more than the 2 that there is room for; \
                raise `lists` under `[sizes]`";
    state.message = Some(Message {
        text: text.to_owned(),
        is_error: true,
    });
    let said = screen(&mut state, 60, 15);
    assert_eq!(said[12..14].join(" "), text, "{said:#?}");
}

#[test]
fn columns_in_which_nothing_stands_make_room_and_long_names_are_cut_off_with_a_mark() {
    let mut state = state(snapshot());
    let header = |state: &mut State| screen(state, 110, 24)[7].clone();
    assert!(!header(&mut state).contains("countrY"));
    let mut located = snapshot();
    for source in &mut located.sources {
        source.location.country = Some("NL".to_owned());
        source.location.as_name = Some("Example Hosting of many, many words".to_owned());
    }
    state.take(located, Instant::now());
    let now = header(&mut state);
    assert!(now.contains("countrY"), "{now}");
    state.sort_by('A');
    assert!(header(&mut state).contains("Autonomous system▼"));
    let page = screen(&mut state, 100, 24);
    assert!(page[8].contains("Example Hosting of many,…"), "{page:#?}");
}

#[test]
fn what_is_asked_and_what_was_said_stand_above_the_keys() {
    let mut state = state(snapshot());
    state.dialogue = Dialogue::Confirm(List::Block, IpAddr::from([192, 0, 2, 7]));
    let asked = screen(&mut state, 80, 24);
    assert_eq!(asked[22], "Block 192.0.2.7 for 1h?");
    assert_eq!(asked[23], "Enter block  e block for ever  Esc no");
    state.dialogue = Dialogue::None;
    state.message = Some(Message {
        text: "error: there is no room\x1b[2J".to_owned(),
        is_error: true,
    });
    let said = screen(&mut state, 80, 24);
    assert_eq!(said[22], "error: there is no room\\u{1b}[2J");
    state.is_paused = true;
    assert!(screen(&mut state, 80, 24)[0].ends_with("PAUSED"));
}

#[test]
fn names_that_would_do_something_to_the_terminal_are_written_out() {
    let mut snapshot = snapshot();
    let hostile = "x\x1b[31m\u{9b}\u{202e}\u{200b}";
    let written = r"x\u{1b}[31m\u{9b}\u{202e}\u{200b}";
    snapshot.tools[0].tool = hostile.to_owned();
    snapshot.sources[0].tools = [hostile.into()].into();
    let mut state = state(snapshot);
    state.page = Page::Tools;
    let text = screen(&mut state, 80, 24).join("\n");
    assert!(text.contains(written), "{text}");
    state.page = Page::Sources;
    let text = screen(&mut state, 200, 24).join("\n");
    assert!(text.contains(written), "{text}");
    state.detail = state.source();
    let text = screen(&mut state, 80, 24).join("\n");
    assert!(text.contains(written), "{text}");
}
