//! What is shown: the last reading, and where in it the operator is. Nothing here reads the kernel or
//! draws.

use std::{net::IpAddr, time::Instant};

use crate::{
    config::span::Span,
    events::Event,
    lists::List,
    stats::{Interface, Method, Port, Snapshot, Tool, Totals, WallTime},
};

use super::{
    keys,
    listing::{Listed, Listing},
    live::Live,
    rates::Rates,
};

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Sources,
    Methods,
    Tools,
    Ports,
}

impl Page {
    /// In the order of their keys, which are 1 and so on.
    pub(super) const ALL: [Self; 4] = [Self::Sources, Self::Methods, Self::Tools, Self::Ports];

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sources => "Sources",
            Self::Methods => "Methods",
            Self::Tools => "Tools",
            Self::Ports => "Ports",
        }
    }
}

/// What keys are for, apart from the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dialogue {
    /// For the page.
    None,
    /// They write the filter; this is what it was before.
    Filter(String),
    /// They say whether a source is to be listed.
    Confirm(List, IpAddr),
    /// They end the help.
    Help,
}

/// What is to be put into a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which list.
    pub list: List,
    /// Who.
    pub source: IpAddr,
    /// For how long; for ever where there is none.
    pub ttl: Option<Span>,
}

/// What came of the last order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// What is shown.
pub(super) struct State {
    /// How often it is read, as it is shown.
    pub(super) interval: Span,
    /// When it was read last.
    pub(super) time: WallTime,
    pub(super) instance: String,
    pub(super) interfaces: Vec<Interface>,
    pub(super) totals: Totals,
    pub(super) rates: Rates,
    pub(super) page: Page,
    pub(super) sources: Listing<Live>,
    pub(super) methods: Listing<Method>,
    pub(super) tools: Listing<Tool>,
    pub(super) ports: Listing<Port>,
    /// The source whose page is shown in place of the list.
    pub(super) detail: Option<IpAddr>,
    /// The packet of its last event.
    pub(super) captured: Option<Event>,
    /// How many lines of that page are above the screen.
    pub(super) above: u16,
    pub(super) filter: String,
    pub(super) dialogue: Dialogue,
    pub(super) message: Option<Message>,
    pub(super) is_paused: bool,
    /// How many rows were on the screen last: what a page up or down is.
    pub(super) rows: usize,
}

impl State {
    /// With a first reading.
    pub(super) fn new(interval: Span, snapshot: Snapshot, at: Instant) -> Self {
        let mut state = Self {
            interval,
            time: snapshot.time,
            instance: String::new(),
            interfaces: Vec::new(),
            totals: Totals::default(),
            rates: Rates::default(),
            page: Page::Sources,
            sources: Listing::default(),
            methods: Listing::default(),
            tools: Listing::default(),
            ports: Listing::default(),
            detail: None,
            captured: None,
            above: 0,
            filter: String::new(),
            dialogue: Dialogue::None,
            message: None,
            is_paused: false,
            rows: 1,
        };
        state.take(snapshot, at);
        state
    }

    /// Takes another reading.
    pub(super) fn take(&mut self, snapshot: Snapshot, at: Instant) {
        let rates = self.rates.take(at, &snapshot.totals, &snapshot.sources);
        let sources = snapshot.sources.into_iter().zip(rates);
        let sources = sources.map(|(source, rate)| Live { source, rate });
        self.sources.replace(sources.collect(), &self.filter);
        self.methods.replace(snapshot.methods, &self.filter);
        self.tools.replace(snapshot.tools, &self.filter);
        self.ports.replace(snapshot.ports, &self.filter);
        self.time = snapshot.time;
        self.instance = snapshot.instance;
        self.interfaces = snapshot.interfaces;
        self.totals = snapshot.totals;
    }

    /// Has the rows shown that the filter lets through.
    pub(super) fn apply_filter(&mut self) {
        self.sources.filter(&self.filter);
        self.methods.filter(&self.filter);
        self.tools.filter(&self.filter);
        self.ports.filter(&self.filter);
    }

    /// Sorts the page by the column with this key, if it has one.
    pub(super) fn sort_by(&mut self, key: char) {
        fn sort<R: Listed>(listing: &mut Listing<R>, key: char, filter: &str) {
            let mut columns = R::COLUMNS.iter().map(|column| column.name);
            if let Some(name) = columns.find(|name| keys::of(name) == Some(key)) {
                listing.sort_by(name, filter);
            }
        }
        let filter = &self.filter;
        match self.page {
            Page::Sources => sort(&mut self.sources, key, filter),
            Page::Methods => sort(&mut self.methods, key, filter),
            Page::Tools => sort(&mut self.tools, key, filter),
            Page::Ports => sort(&mut self.ports, key, filter),
        }
    }

    /// Moves the cursor, or the page of a source.
    pub(super) fn move_by(&mut self, rows: isize) {
        if self.detail.is_some() {
            let rows = rows.clamp(-1000, 1000) as i16;
            self.above = self.above.saturating_add_signed(rows);
            return;
        }
        match self.page {
            Page::Sources => self.sources.move_by(rows),
            Page::Methods => self.methods.move_by(rows),
            Page::Tools => self.tools.move_by(rows),
            Page::Ports => self.ports.move_by(rows),
        }
    }

    /// How many rows the page has with the filter, and how many there are.
    pub(super) fn counts(&self) -> (usize, usize) {
        fn counts<R: Listed>(listing: &Listing<R>) -> (usize, usize) {
            (listing.count(), listing.all().len())
        }
        match self.page {
            Page::Sources => counts(&self.sources),
            Page::Methods => counts(&self.methods),
            Page::Tools => counts(&self.tools),
            Page::Ports => counts(&self.ports),
        }
    }

    /// The source that keys are about: the one whose page is shown, or that with the cursor.
    pub(super) fn source(&self) -> Option<IpAddr> {
        let selected = || match self.page {
            Page::Sources => self.sources.selected().map(|live| live.source.source),
            _ => None,
        };
        self.detail.or_else(selected)
    }

    /// What was counted of a source, if it is still remembered.
    pub(super) fn live(&self, source: IpAddr) -> Option<&Live> {
        let mut all = self.sources.all().iter();
        all.find(|live| live.source.source == source)
    }
}
