//! `top`: a running filter on the whole terminal, read by another process than the one that attached
//! it.
//!
//! `state` is what is shown, `input` what keys do to it, `pages` how it is drawn; `terminal`
//! gives the terminal back. Here they take turns: the maps are read at an interval, keys are taken as
//! they come.

mod input;
mod keys;
mod listing;
mod live;
mod pages;
mod rates;
mod state;
mod terminal;

use std::{
    io::{self, IsTerminal as _},
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use crossterm::event::{self, Event};
use sip_filter_common::abi::Address;

use crate::{
    config::span::Span,
    events,
    geoip::Databases,
    kernel::{Filter, Instance},
    output::Terminal,
    stats::Snapshot,
};

pub use state::Order;

use input::Task;
use pages::Palette;
use state::{Message, State};
use terminal::{End, Screen, Wait};

/// How long a signal that asks for an end may have to wait.
const STEP: Duration = Duration::from_millis(200);

const UNREADABLE: &str = "the terminal cannot be read";

/// Shows the filter until a key or a signal ends it, with where its sources are. `list` puts a source into a list, and gives what
/// there is to say of it.
///
/// # Errors
///
/// When this is no terminal, when the filter cannot be read, or not any more. The terminal is as it was
/// before then.
pub fn run(
    instance: &Instance,
    databases: &Databases,
    interval: Span,
    list: &mut dyn FnMut(&Order) -> Result<String>,
) -> Result<()> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        bail!(
            "top needs a terminal for its screen and its keys; \
             `sip-filter stats` prints the same counters anywhere"
        );
    }
    let mut snapshot = Snapshot::read(instance, &Filter::open(instance)?)?;
    snapshot.locate(databases);
    let mut state = State::new(interval, snapshot, Instant::now());
    let palette = Palette {
        colour: Terminal::stdout().colour,
    };
    let end = End::listen()?;
    let mut screen = Screen::take()?;
    let interval = Duration::from_nanos(interval.ns());
    let mut next = Instant::now() + interval;
    let mut has_changed = true;
    while !end.is_asked() {
        if Instant::now() >= next {
            if !state.is_paused {
                let mut snapshot = read(instance)?;
                snapshot.locate(databases);
                state.take(snapshot, Instant::now());
                has_changed = true;
            }
            // Counted from the end of the reading, so that there is always time for keys.
            next = Instant::now() + interval;
        }
        if has_changed {
            state.captured = state
                .detail
                .and_then(|source| captured(instance, databases, source));
            screen.draw(|frame| pages::draw(frame, &mut state, palette))?;
            has_changed = false;
        }
        let room = next.saturating_duration_since(Instant::now());
        if terminal::wait(STEP.min(room)).context(UNREADABLE)? == Wait::HungUp {
            break;
        }
        while event::poll(Duration::ZERO).context(UNREADABLE)? {
            has_changed = true;
            let Event::Key(key) = event::read().context(UNREADABLE)? else {
                continue;
            };
            match input::press(&mut state, key) {
                Task::Nothing => {}
                Task::Quit => return Ok(()),
                Task::Redraw => screen.clear()?,
                Task::Order(order) => state.message = Some(said(&order, list(&order))),
            }
        }
    }
    Ok(())
}

/// Reads the filter that is there now: maps that are open could still be read after it was detached.
fn read(instance: &Instance) -> Result<Snapshot> {
    let snapshot = Filter::open(instance).and_then(|filter| Snapshot::read(instance, &filter));
    snapshot.map_err(|error| match instance.dir().exists() {
        true => error,
        false => anyhow!(
            "the filter {} was detached meanwhile; `sip-filter attach -i IFACE` attaches it again",
            instance.name()
        ),
    })
}

/// The packet of a source's last event, if there is one. The screen does without it where it cannot be
/// read.
fn captured(instance: &Instance, databases: &Databases, source: IpAddr) -> Option<events::Event> {
    let filter = Filter::open(instance).ok()?;
    let report = filter.last_report(&address(source)).ok()??;
    events::Event::in_words(&filter, databases, &[report])
        .ok()?
        .pop()
}

/// As the maps have it.
fn address(source: IpAddr) -> Address {
    let source = match source {
        IpAddr::V4(source) => source.to_ipv6_mapped(),
        IpAddr::V6(source) => source,
    };
    Address::from_octets(source.octets())
}

/// What is said of an order.
fn said(order: &Order, done: Result<String>) -> Message {
    match done {
        Ok(said) => Message {
            text: format!("{}: {said}", order.source),
            is_error: false,
        },
        Err(error) => Message {
            text: format!("error: {error:#}"),
            is_error: true,
        },
    }
}
