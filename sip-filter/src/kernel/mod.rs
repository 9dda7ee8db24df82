//! Loads, attaches and pins the XDP program, and reads its maps.
#![allow(
    missing_docs,
    unused_variables,
    reason = "a stand-in until the real one is here"
)]

use std::{fmt, path::Path};

use anyhow::Result;
use sip_filter_common::{
    abi::{PortCount, PortSet, Settings, Source, SourceCount, ToolCounts, ToolName, Totals},
    verdict::DropSet,
};

use crate::config::signatures::Signatures;

pub struct Instance;

impl Instance {
    pub fn new(bpffs: &Path, name: &str) -> Result<Self> {
        todo!()
    }
    pub fn name(&self) -> &str {
        todo!()
    }
    pub fn dir(&self) -> &Path {
        todo!()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Auto,
    Native,
    Skb,
    Hw,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttachedMode {
    Native,
    Skb,
    Hw,
}

impl fmt::Display for AttachedMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Skb => "skb",
            Self::Hw => "hw",
        })
    }
}

pub struct Interface {
    pub name: String,
    pub ifindex: u32,
    pub mode: AttachedMode,
}

pub struct Load<'a> {
    pub drop: DropSet,
    pub any_port: bool,
    pub ports: &'a PortSet,
    pub sources: u32,
    pub signatures: &'a Signatures,
    pub verbose: bool,
}

pub struct Attached {
    pub interfaces: Vec<Interface>,
    pub notices: Vec<String>,
    pub logger: Option<Logger>,
}

pub fn attach(
    instance: &Instance,
    interfaces: &[String],
    mode: Mode,
    load: &Load,
) -> Result<Attached> {
    todo!()
}

pub fn detach(instance: &Instance, interfaces: Option<&[String]>) -> Result<Vec<Interface>> {
    todo!()
}

pub fn instances(bpffs: &Path) -> Result<Vec<String>> {
    todo!()
}

pub struct Filter;

impl Filter {
    pub fn open(instance: &Instance) -> Result<Self> {
        todo!()
    }
    pub fn settings(&self) -> Result<Settings> {
        todo!()
    }
    pub fn interfaces(&self) -> Result<Vec<Interface>> {
        todo!()
    }
    pub fn program_id(&self) -> Result<u32> {
        todo!()
    }
    pub fn totals(&self) -> Result<Totals> {
        todo!()
    }
    pub fn tool_counts(&self) -> Result<ToolCounts> {
        todo!()
    }
    pub fn tools(&self) -> Result<Vec<ToolName>> {
        todo!()
    }
    pub fn ports(&self) -> Result<Vec<(u16, PortCount)>> {
        todo!()
    }
    pub fn sources(&self) -> Result<Vec<(Source, SourceCount)>> {
        todo!()
    }
}

pub struct Logger;

impl Logger {
    pub async fn forward(self) -> Result<()> {
        todo!()
    }
}

pub fn monotonic_ns() -> u64 {
    todo!()
}
