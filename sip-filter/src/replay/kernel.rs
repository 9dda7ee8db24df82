//! The program in the kernel, which is handed frame after frame (BPF_PROG_TEST_RUN).
//!
//! It stamps sources with the time at which it ran, so their packets' times are noted here. What
//! the kernel does not take in one piece is run on the host, and counted with the rest.

use std::collections::{HashMap, hash_map::Entry};

use anyhow::Result;
use sip_filter_common::rules::Rules;

use super::{
    Address, Engine, Host, Seen,
    host::{Frame, Ports},
};
use crate::{
    kernel::{Filter, Load, Loaded, TEST_RUN_LENGTHS},
    stats::Counters,
};

/// The program in the kernel, attached to nothing.
pub struct Kernel {
    loaded: Loaded,
    filter: Filter,
    ports: Ports,
    seen: HashMap<Address, Seen>,
    /// For frames that the kernel does not take.
    host: Host,
    /// Whether the program is told each packet's time.
    is_timed: bool,
    not_taken: u64,
}

impl Kernel {
    /// Loads the program.
    ///
    /// # Errors
    ///
    /// Without the privileges, or when the kernel refuses it.
    pub fn new(load: &Load<'_>) -> Result<Self> {
        // Limits and windows are those of the capture's time.
        let is_timed = load.rules.uses != 0;
        let mut rules = *load.rules;
        if is_timed {
            rules.uses |= Rules::SET_CLOCK;
        }
        // The entries of a list hold for the whole capture, whenever that was.
        let mut lists = load.lists.clone();
        for rule in &mut lists.rules {
            rule.until = None;
        }
        let mut loaded = Loaded::unpinned(&Load {
            lists: &lists,
            rules: &rules,
            ..*load
        })?;
        let filter = Filter::of(&mut loaded)?;
        Ok(Self {
            loaded,
            filter,
            ports: Ports::new(load),
            seen: HashMap::new(),
            host: Host::new(load)?,
            is_timed,
            not_taken: 0,
        })
    }

    /// How many frames the kernel does not take: they were run on the host.
    pub fn not_taken(&self) -> u64 {
        self.not_taken
    }
}

impl Engine for Kernel {
    fn observe(&mut self, frame: &[u8], time: u64) -> Result<()> {
        if !TEST_RUN_LENGTHS.contains(&frame.len()) {
            self.not_taken += 1;
            return self.host.observe(frame, time);
        }
        if self.is_timed {
            self.loaded.set_clock(time)?;
        }
        self.loaded.test_run(frame)?;
        if let Frame::Inspected(datagram) = self.ports.read(frame) {
            match self.seen.entry(datagram.source) {
                Entry::Occupied(mut seen) => seen.get_mut().again(time),
                Entry::Vacant(new) => {
                    new.insert(Seen::at(time));
                }
            }
        }
        Ok(())
    }

    fn counters(&self) -> Result<Counters> {
        let mut counters = Counters::read(&self.filter)?;
        for (source, count) in &mut counters.sources {
            if let Some(seen) = self.seen.get(source) {
                (count.first_seen, count.last_seen) = (seen.first, seen.last);
            }
        }
        counters.add(self.host.counters()?);
        Ok(counters)
    }
}
