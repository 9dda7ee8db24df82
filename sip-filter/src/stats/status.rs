//! What an attached instance is set to do.

use anyhow::Result;
use serde::Serialize;
use sip_filter_common::verdict::DropSet;

use super::{Interface, WallTime};
use crate::{
    config::{drop::DropList, ports::Ports},
    kernel,
};

/// What is attached, and what is in force there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
}

impl Status {
    /// Reads what the instance was attached with.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn read(instance: &kernel::Instance, filter: &kernel::Filter) -> Result<Self> {
        let settings = filter.settings()?;
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
            drop: DropList(DropSet(settings.drop_set)).names().collect(),
            ports: ports.to_string(),
            sources: settings.sources,
        })
    }

    /// What is dropped, in words.
    pub fn policy(&self) -> String {
        policy(&self.drop)
    }
}

/// What is dropped, in words: `dropping scanners, options`, or that nothing is.
pub fn policy(drop: &[&str]) -> String {
    match drop {
        [] => "monitoring, nothing is dropped".to_owned(),
        names => format!("dropping {}", names.join(", ")),
    }
}
