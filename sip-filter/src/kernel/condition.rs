//! The condition that an attached filter is in, as the kernel tells it: what is attached where and what
//! sits beside it, how full the maps are, and what the program takes.

use std::{
    fs,
    os::fd::AsFd,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use aya::{
    maps::{MapData, MapType},
    programs::{ProgramInfo, loaded_programs},
};
use sip_filter_common::abi::map;

use super::{
    AttachedMode, Hook, Instance,
    interface::{mode_of, name_of, xdp},
    link, lists,
    preflight::is_denied,
    syscall,
};

/// A link of the filter to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The interface's name, where it is to be seen from this network namespace.
    pub name: Option<String>,
    /// Its index; that which it had, where it is gone.
    pub ifindex: u32,
    /// Whether the kernel says that the link's program is on the interface. `None` where it cannot be
    /// asked from this network namespace.
    pub is_attached: Option<bool>,
    /// The program that the link leads to.
    pub program: u32,
    /// How it is attached.
    pub mode: AttachedMode,
    /// Since when.
    pub since: Option<SystemTime>,
    /// What else sees packets that arrive there.
    pub others: Vec<Other>,
}

/// A program that is not the filter's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Where it is: `xdp` or `tcx ingress`.
    pub hook: &'static str,
    /// Its number.
    pub program: u32,
    /// Its name, where the kernel says it.
    pub name: String,
}

/// A map, and how full it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Its name.
    pub map: &'static str,
    /// How many entries it has; `None` for one that always has all.
    pub entries: Option<u64>,
    /// How many it has room for.
    pub at_most: u32,
    /// The memory that it takes, in bytes, as the kernel counts it.
    pub bytes: u64,
}

/// What the kernel knows of the program in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its number.
    pub id: u32,
    /// When it was loaded.
    pub loaded_at: Option<SystemTime>,
    /// How often it has run and how long that took in all, as far as the kernel has measured it.
    pub runs: Option<(u64, Duration)>,
    /// Whether the kernel measures it now.
    pub is_measured: bool,
}

/// What the kernel says of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its links.
    pub attachments: Vec<Attachment>,
    /// Its maps.
    pub maps: Vec<Fill>,
    /// Its program, for whoever may open it.
    pub program: Option<Program>,
}

impl Condition {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// When a pin cannot be opened, or the kernel does not say.
    pub fn read(instance: &Instance) -> Result<Self> {
        let links = instance.links()?;
        Ok(Self {
            attachments: links
                .iter()
                .map(|pin| attachment(pin))
                .collect::<Result<_>>()?,
            maps: map::PINNED
                .into_iter()
                .map(|name| fill(instance, name))
                .collect::<Result<_>>()?,
            program: program(instance)?,
        })
    }
}

fn attachment(pin: &std::path::Path) -> Result<Attachment> {
    let link = link::look(pin)?;
    // A pin is made when its link is.
    let since = fs::metadata(pin).and_then(|pin| pin.modified()).ok();
    let ifindex = match link.ifindex {
        0 => Instance::ifindex_of(pin).unwrap_or(0),
        ifindex => ifindex,
    };
    let name = match link.ifindex {
        0 => None,
        ifindex => name_of(ifindex),
    };
    let mut mode = None;
    let mut others = Vec::new();
    if name.is_some() {
        mode = mode_of(&link)?;
        let is_other = |(_, program): &(&str, u32)| *program != link.program;
        let xdp = xdp(ifindex)?.map(|found| ("xdp", found.program));
        let tcx = syscall::at_tcx_ingress(ifindex)?.into_iter().flatten();
        let tcx = tcx.map(|program| ("tcx ingress", program));
        let programs = xdp.into_iter().chain(tcx).filter(is_other);
        others.extend(programs.map(|(hook, program)| Other {
            hook,
            program,
            name: name_of_program(program),
        }));
    }
    Ok(Attachment {
        is_attached: match link.ifindex {
            0 => Some(false),
            // Who may not ask for the link knows no number.
            _ if link.program == 0 => None,
            _ => name.as_ref().map(|_| mode.is_some()),
        },
        name,
        ifindex,
        program: link.program,
        mode: mode.unwrap_or(AttachedMode::Unknown),
        since,
        others,
    })
}

fn name_of_program(id: u32) -> String {
    let mut programs = loaded_programs().filter_map(Result::ok);
    let program = programs.find(|program| program.id() == id);
    program
        .and_then(|program| program.name_as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn fill(instance: &Instance, name: &'static str) -> Result<Fill> {
    let pin = instance.map(name);
    let map = MapData::from_fd(syscall::open_pin_to_read(&pin)?)?;
    let info = map.info()?;
    let at_most = info.max_entries();
    let (fd, key) = (map.fd().as_fd(), info.key_size() as usize);
    let entries = match info.map_type() {
        Ok(MapType::Hash | MapType::LruHash) => {
            Some(syscall::count_entries(fd, key, info.value_size() as usize))
        }
        Ok(MapType::PerCpuHash | MapType::LpmTrie) => Some(syscall::count_keys(fd, key, at_most)),
        _ => None,
    };
    let entries = entries.transpose();
    let entries = entries.with_context(|| format!("cannot read the map {name}"))?;
    Ok(Fill {
        map: name,
        entries,
        at_most,
        bytes: lists::memory(map.fd().as_fd())?,
    })
}

/// The XDP program, or where there is none, that for tcx.
fn program(instance: &Instance) -> Result<Option<Program>> {
    let mut pins = Hook::ALL.map(|hook| instance.program(hook)).into_iter();
    let Some(pin) = pins.find(|pin| pin.exists()) else {
        return Ok(None);
    };
    let opened = match syscall::open_pin(&pin) {
        // Whoever may read the maps may not have the program.
        Err(error) if is_denied(&error) => return Ok(None),
        opened => opened?,
    };
    let info = ProgramInfo::from_pin(&pin)
        .with_context(|| format!("cannot open the pin {}", pin.display()))?;
    let (nanoseconds, count) = syscall::run_time(opened.as_fd())?;
    let enabled = fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled");
    Ok(Some(Program {
        id: info.id(),
        loaded_at: info.loaded_at(),
        runs: (count > 0).then(|| (count, Duration::from_nanos(nanoseconds))),
        is_measured: enabled.is_ok_and(|enabled| enabled.trim() != "0"),
    }))
}
