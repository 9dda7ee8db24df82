//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::{config::span::Span, lists::List};

use super::state::{Dialogue, Order, Page, State};

/// For how long a source is blocked unless it is for ever.
pub(super) const BLOCK: Span = Span::from_secs(60 * 60);

/// What is to be done that is no matter of what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Nothing,
    /// End.
    Quit,
    /// Draw everything anew.
    Redraw,
    /// Put a source into a list.
    Order(Order),
}

/// Takes a key.
pub(super) fn press(state: &mut State, key: KeyEvent) -> Task {
    if key.kind == KeyEventKind::Release {
        return Task::Nothing;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Task::Quit,
            KeyCode::Char('l') => Task::Redraw,
            _ => Task::Nothing,
        };
    }
    match state.dialogue.clone() {
        Dialogue::None => in_page(state, key.code),
        Dialogue::Filter(before) => in_filter(state, key.code, before),
        Dialogue::Confirm(list, source) => {
            state.dialogue = Dialogue::None;
            let order = |ttl| Task::Order(Order { list, source, ttl });
            match (list, key.code) {
                (List::Allow, KeyCode::Enter | KeyCode::Char('y')) => order(None),
                (List::Block, KeyCode::Enter | KeyCode::Char('y')) => order(Some(BLOCK)),
                (List::Block, KeyCode::Char('e')) => order(None),
                _ => Task::Nothing,
            }
        }
        Dialogue::Help => {
            state.dialogue = Dialogue::None;
            Task::Nothing
        }
    }
}

fn in_page(state: &mut State, key: KeyCode) -> Task {
    state.message = None;
    let page = isize::try_from(state.rows).unwrap_or(1).max(1);
    match key {
        KeyCode::Char('q') => return Task::Quit,
        // First it closes what is open.
        KeyCode::Esc if state.detail.is_some() => state.detail = None,
        KeyCode::Esc if !state.filter.is_empty() => {
            state.filter.clear();
            state.apply_filter();
        }
        KeyCode::Esc => return Task::Quit,
        KeyCode::Char('?') => state.dialogue = Dialogue::Help,
        KeyCode::Char('p') => state.is_paused = !state.is_paused,
        KeyCode::Char('/') => {
            state.detail = None;
            state.dialogue = Dialogue::Filter(state.filter.clone());
        }
        KeyCode::Char('a') => ask(state, List::Allow),
        KeyCode::Char('b') => ask(state, List::Block),
        KeyCode::Up | KeyCode::Char('k') => state.move_by(-1),
        KeyCode::Down | KeyCode::Char('j') => state.move_by(1),
        KeyCode::PageUp => state.move_by(-page),
        KeyCode::PageDown => state.move_by(page),
        KeyCode::Home => state.move_by(isize::MIN),
        KeyCode::End => state.move_by(isize::MAX),
        KeyCode::Enter if state.detail.is_some() => state.detail = None,
        KeyCode::Enter => {
            state.detail = state.source();
            state.above = 0;
        }
        KeyCode::Tab | KeyCode::Right => turn(state, 1),
        KeyCode::BackTab | KeyCode::Left => turn(state, Page::ALL.len() - 1),
        KeyCode::Char(digit @ '1'..='4') => {
            state.detail = None;
            state.page = Page::ALL[usize::from(digit as u8 - b'1')];
        }
        KeyCode::Char(letter) if letter.is_ascii_uppercase() => state.sort_by(letter),
        _ => {}
    }
    Task::Nothing
}

/// Shows the page so many behind this one.
fn turn(state: &mut State, pages: usize) {
    state.detail = None;
    let at = state.page as usize + pages;
    state.page = Page::ALL[at % Page::ALL.len()];
}

fn ask(state: &mut State, list: List) {
    if let Some(source) = state.source() {
        state.dialogue = Dialogue::Confirm(list, source);
    }
}

fn in_filter(state: &mut State, key: KeyCode, before: String) -> Task {
    match key {
        KeyCode::Enter => state.dialogue = Dialogue::None,
        KeyCode::Esc => {
            state.filter = before;
            state.dialogue = Dialogue::None;
        }
        KeyCode::Backspace => drop(state.filter.pop()),
        KeyCode::Char(letter) => state.filter.push(letter),
        _ => return Task::Nothing,
    }
    state.apply_filter();
    Task::Nothing
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Instant};

    use super::*;
    use crate::stats::tests::snapshot;

    fn state() -> State {
        State::new(Span::from_secs(1), snapshot(), Instant::now())
    }

    fn type_in(state: &mut State, keys: &str) -> Task {
        let code = |letter| match letter {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            'v' => KeyCode::Down,
            '^' => KeyCode::Up,
            other => KeyCode::Char(other),
        };
        let press = |state: &mut State, letter| press(state, code(letter).into());
        keys.chars()
            .map(|letter| press(state, letter))
            .last()
            .unwrap()
    }

    fn first(state: &mut State) -> String {
        let (rows, _) = state.sources.window(9);
        rows[0].source.source.to_string()
    }

    #[test]
    fn a_source_is_listed_only_after_a_yes() {
        let source = IpAddr::from([192, 0, 2, 7]);
        let order = |list, ttl| Task::Order(Order { list, source, ttl });
        for (keys, expected) in [
            ("b", Task::Nothing),
            ("bn", Task::Nothing),
            ("bq", Task::Nothing),
            ("b\x1b", Task::Nothing),
            ("b\n", order(List::Block, Some(BLOCK))),
            ("by", order(List::Block, Some(BLOCK))),
            ("be", order(List::Block, None)),
            ("ae", Task::Nothing),
            ("a\n", order(List::Allow, None)),
            ("\nb\n", order(List::Block, Some(BLOCK))),
            ("2b\n", Task::Nothing),
        ] {
            assert_eq!(type_in(&mut state(), keys), expected, "{keys:?}");
        }
    }

    #[test]
    fn escape_closes_what_is_open_and_ends_it_then() {
        let mut state = state();
        type_in(&mut state, "/sip\n\n?");
        assert!(state.detail.is_some());
        for expected in [Task::Nothing, Task::Nothing, Task::Nothing, Task::Quit] {
            assert_eq!(type_in(&mut state, "\x1b"), expected);
        }
        assert!(state.filter.is_empty() && state.detail.is_none());
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        type_in(&mut state, "/");
        assert_eq!(press(&mut state, control_c), Task::Quit);
    }

    #[test]
    fn capital_letters_sort_and_the_same_one_again_turns_the_order_round() {
        let mut state = state();
        for (key, expected) in [
            ("W", "2001:db8::5060"),
            ("W", "203.0.113.9"),
            ("S", "192.0.2.7"),
            ("T", "2001:db8::5060"),
            ("X", "2001:db8::5060"),
            ("P", "192.0.2.7"),
        ] {
            type_in(&mut state, key);
            assert_eq!(first(&mut state), expected, "{key}");
        }
    }

    #[test]
    fn the_filter_finds_addresses_tools_and_methods_while_it_is_written() {
        for (text, count) in [
            ("192.0.2", 1),
            ("SIPVICIOUS", 2),
            ("register", 2),
            ("db8", 1),
            ("nothing", 0),
            ("q", 0),
        ] {
            let mut state = state();
            type_in(&mut state, &format!("/{text}"));
            assert_eq!(state.counts(), (count, 4), "{text}");
            type_in(&mut state, "\x1b");
            assert_eq!(state.counts(), (4, 4), "{text}");
        }
    }

    #[test]
    fn pages_follow_each_other_and_have_numbers() {
        let mut state = state();
        for (keys, expected) in [
            ("\t", Page::Methods),
            ("\t\t", Page::Ports),
            ("\t", Page::Sources),
            ("3", Page::Tools),
            ("1", Page::Sources),
        ] {
            type_in(&mut state, keys);
            assert_eq!(state.page, expected, "{keys:?}");
        }
    }
}
