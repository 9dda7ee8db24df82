//! What an attached instance is set to do.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use sip_filter_common::verdict::DropSet;

use super::{
    Interface, WallTime,
    in_force::{self, InForceBehaviour, InForceEscalation, InForceLimit, policy},
};
use crate::{
    config::{drop::DropList, ports::Ports},
    kernel,
    lists::{List, State},
};

/// What is attached, and what is in force there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The instance's name.
    pub instance: String,
    /// What it is attached to.
    pub interfaces: Vec<Interface>,
    /// The kernel's number of the XDP program.
    pub program_id: u32,
    /// When the instance was first attached.
    pub attached_at: WallTime,
    /// The names of what is dropped; none while monitoring.
    pub drop: Vec<&'static str>,
    /// The inspected ports, as `--ports` takes them.
    pub ports: String,
    /// How many sources are remembered.
    pub sources: u32,
    /// What is dropped, in words.
    pub policy: String,
    /// Limits.
    pub limits: Vec<InForceLimit>,
    /// Behaviours that are looked for.
    pub behaviours: Vec<InForceBehaviour>,
    /// Escalation, where it is on.
    pub escalation: Option<InForceEscalation>,
    /// The allow and the block list.
    pub lists: ListsInForce,
}

/// How much is in the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ListsInForce {
    /// Entries in the allow list.
    pub allowed: u64,
    /// Entries in the block list, those that have expired too.
    pub blocked: u64,
    /// How many single addresses there is room for, and how many prefixes of each list.
    pub at_most: u32,
    /// What is done with packets of blocked sources: `drop` or `count`.
    pub action: &'static str,
}

impl Status {
    /// Reads what the instance was attached with, and from the `state` folder how much is in the
    /// lists.
    ///
    /// # Errors
    ///
    /// When the kernel does not say, or the lists cannot be read.
    pub fn read(
        instance: &kernel::Instance,
        filter: &kernel::Filter,
        state: &Path,
    ) -> Result<Self> {
        let settings = filter.settings()?;
        let rules = &settings.rules;
        let listed = match State::open(state, instance.name())? {
            Some(state) => [state.count(List::Allow)?, state.count(List::Block)?],
            None => [0, 0],
        };
        let now = kernel::monotonic_ns();
        let blocked = match rules.escalation.after {
            0 => 0,
            _ => {
                let bans = filter.bans()?;
                bans.iter().filter(|(_, ban)| now < ban.until).count()
            }
        };
        let drop: Vec<_> = DropList(DropSet(settings.drop_set)).names().collect();
        let ports = Ports {
            set: Box::new(settings.ports),
            any: settings.any_port != 0,
        };
        let interfaces = filter.interfaces()?;
        Ok(Self {
            instance: instance.name().to_owned(),
            interfaces: interfaces.into_iter().map(Interface::from).collect(),
            program_id: filter.program_id()?,
            attached_at: WallTime::from_ns(settings.attached_at),
            ports: ports.to_string(),
            sources: settings.sources,
            policy: policy(&drop, rules, listed[1] > 0),
            limits: in_force::limits(rules),
            behaviours: in_force::behaviours(rules),
            escalation: in_force::escalation(
                rules,
                blocked as u64,
                settings.bans,
                filter.escalations()?,
            ),
            lists: ListsInForce {
                allowed: listed[0],
                blocked: listed[1],
                at_most: settings.entries,
                action: if rules.block_drops != 0 {
                    "drop"
                } else {
                    "count"
                },
            },
            drop,
        })
    }
}
