//! Carrying over what maps hold to those that take their place, where there is to be room for more or
//! fewer: what was counted, who is blocked for what was sent, what is known of senders.
//!
//! New maps are pinned beside the old ones. What a packet may ask for is copied before the program that
//! has them is in force ([`prepare`]). What was counted is final once no CPU is in the program before
//! it any more: then it is summed up, put into maps that nobody else writes, and added by whoever reads
//! ([`finish`]). Until their pins are replaced, readers see the old maps, which stand still: so no
//! counter goes backwards, and each packet is in one of the two. Where a process is killed in between,
//! whoever attaches next finishes it ([`settle`]).

use std::{
    cmp::Reverse,
    collections::HashMap,
    os::fd::{AsFd, OwnedFd},
};

use anyhow::{Context, Result};
use aya::{Pod, maps::MapInfo, programs::ProgramInfo};
use sip_filter_common::{
    abi::{self, Address, Carried, SourceCount, map},
    lists::Ban,
    sender::Sender,
};

use super::{Filter, Instance, pinned, syscall};

/// Fills the maps that are pinned beside others with what a packet may ask for.
pub(super) fn prepare(instance: &Instance) -> Result<()> {
    if instance.beside(map::SENDERS).exists() {
        let senders: Vec<(Address, Sender)> = read(instance, map::SENDERS)?;
        write(instance, map::SENDERS, &senders)?;
    }
    if instance.beside(map::BANS).exists() {
        carry_bans(instance)?;
    }
    if instance.beside(map::SOURCES).exists() {
        let (known, _) = fitting(instance, Filter::pinned(instance)?.sources()?)?;
        // Not counted yet, but known: what was reported of a source is not reported again, and no flood
        // evicts one that was recognised.
        let (recognised, others): (Vec<_>, Vec<_>) = known
            .into_iter()
            .partition(|(_, count)| count.is_recognised());
        write(instance, map::RECOGNISED, &uncounted(recognised))?;
        write(instance, map::SOURCES, &uncounted(others))?;
    }
    Ok(())
}

/// Carries over what the program has counted that was in force until now, and what the operator should
/// know of it.
pub(super) fn finish(instance: &Instance) -> Result<Vec<String>> {
    let counts = instance.beside(map::CARRIED).exists();
    let bans = instance.beside(map::BANS).exists();
    let mut notices = Vec::new();
    if counts || bans {
        syscall::wait_for_programs();
    }
    if bans {
        let forgotten = carry_bans(instance)?;
        notices.extend(lost(
            forgotten,
            "sources that are blocked for what they sent",
            "bans",
        ));
    }
    if counts {
        let forgotten = carry_counts(instance)?;
        notices.extend(lost(forgotten, "sources", "sources"));
    }
    Ok(notices)
}

/// Finishes what a process has begun that was killed: programs in force have maps that are still pinned
/// beside those that they replace.
pub(super) fn settle(instance: &Instance) -> Result<Vec<String>> {
    let is_beside = |name: &str| instance.beside(name).exists();
    if pinned::version(instance)? != Some(abi::VERSION) || is_beside(map::SETTINGS) {
        return Ok(Vec::new());
    }
    let in_force = in_force(instance)?;
    let is_asked = |name: &str| -> Result<bool> {
        Ok(is_beside(name) && in_force.contains(&number(instance, name)?))
    };
    let replace = |name: &str| instance.replace(&instance.beside(name), &instance.map(name));
    let (counts, bans) = (is_asked(map::COUNTS)?, is_asked(map::BANS)?);
    let mut notices = Vec::new();
    if counts || bans {
        notices = finish(instance)?;
    }
    if counts && is_beside(map::CARRIED) {
        replace(map::CARRIED)?;
    }
    if instance.map(map::CARRIED).exists() {
        let carried = syscall::open_pin(&instance.map(map::CARRIED))?;
        let carried: Option<Carried> = syscall::lookup(carried.as_fd(), &0_u32)
            .context("cannot read what was counted before")?;
        for (name, id) in map::COUNTERS[1..]
            .iter()
            .zip(carried.unwrap_or(Carried::NOTHING).maps)
        {
            if is_beside(name) && u64::from(number(instance, name)?) == id {
                replace(name)?;
            }
        }
    }
    for name in [map::SENDERS, map::BANS] {
        if is_asked(name)? {
            replace(name)?;
        }
    }
    Ok(notices)
}

/// The numbers of the maps that attached programs have.
fn in_force(instance: &Instance) -> Result<Vec<u32>> {
    let pinned = instance.programs()?;
    let pinned = pinned.iter().map(ProgramInfo::from_pin);
    let pinned = pinned
        .collect::<Result<Vec<_>, _>>()
        .context("cannot open the pinned programs")?;
    let mut maps = Vec::new();
    for pin in instance.links()? {
        let attached = syscall::pinned_link(&pin)?;
        // Not asked by its number, which takes CAP_SYS_ADMIN.
        let mut programs = pinned.iter();
        let program = programs.find(|program| program.id() == attached.program);
        maps.extend(
            program
                .and_then(|program| program.map_ids().ok().flatten())
                .unwrap_or_default(),
        );
    }
    Ok(maps)
}

/// Writes what was counted beside; how many sources are forgotten for want of room.
fn carry_counts(instance: &Instance) -> Result<usize> {
    let before = Filter::pinned(instance)?;
    let ports = before.ports()?;
    let ports: Vec<_> = ports
        .into_iter()
        .map(|(port, count)| (u32::from(port), count))
        .collect();
    write(instance, map::CARRIED_PORTS, &ports)?;
    let (sources, forgotten) = fitting(instance, before.sources()?)?;
    write(instance, map::CARRIED_SOURCES, &sources)?;
    let mut carried = before.counted()?;
    carried.counters = u64::from(before.counters_id());
    for (id, name) in carried.maps.iter_mut().zip(&map::COUNTERS[1..]) {
        *id = u64::from(number(instance, name)?);
    }
    write(instance, map::CARRIED, &[(0_u32, *carried)])?;
    Ok(forgotten)
}

/// Copies who is blocked for what was sent, those whose time ends first being forgotten where there is
/// no room; how many those are. What the new map says already stays.
fn carry_bans(instance: &Instance) -> Result<usize> {
    let mut bans: Vec<(Address, Ban)> = read(instance, map::BANS)?;
    let now = syscall::monotonic_ns();
    bans.retain(|(_, ban)| now < ban.until);
    bans.sort_unstable_by_key(|(_, ban)| Reverse(ban.until));
    let room = room(instance, map::BANS)?;
    let forgotten = bans.len().saturating_sub(room);
    bans.truncate(room);
    // Those that were written last are forgotten last.
    bans.reverse();
    let known = open_beside(instance, map::BANS)?;
    let known: Vec<(Address, Ban)> = syscall::lookup_all(known.as_fd())
        .context("cannot read which sources are blocked for what they sent")?;
    let known: HashMap<_, _> = known.into_iter().collect();
    bans.retain(|(source, ban)| {
        known
            .get(source)
            .is_none_or(|known| known.until < ban.until)
    });
    write(instance, map::BANS, &bans)?;
    Ok(forgotten)
}

/// Those of the sources for which the new maps have room, the last seen last, and how many are
/// forgotten: those that are recognised have a map of their own.
fn fitting(
    instance: &Instance,
    mut sources: Vec<(Address, SourceCount)>,
) -> Result<(Vec<(Address, SourceCount)>, usize)> {
    let room = room(instance, map::SOURCES)?;
    let found = sources.len();
    sources.sort_unstable_by_key(|(_, count)| Reverse(count.last_seen));
    let mut left = [room; 2];
    sources.retain(|(_, count)| {
        let left = &mut left[usize::from(count.is_recognised())];
        let fits = *left > 0;
        *left = left.saturating_sub(1);
        fits
    });
    sources.reverse();
    let forgotten = found - sources.len();
    Ok((sources, forgotten))
}

/// The same sources, of which nothing is counted.
fn uncounted(sources: Vec<(Address, SourceCount)>) -> Vec<(Address, SourceCount)> {
    let uncounted = |(source, count): (Address, SourceCount)| {
        let SourceCount {
            first_seen,
            last_seen,
            ports,
            tools,
            behaviours,
            ..
        } = count;
        let known = SourceCount {
            first_seen,
            last_seen,
            ports,
            tools,
            behaviours,
            ..SourceCount::ZERO
        };
        (source, known)
    };
    sources.into_iter().map(uncounted).collect()
}

/// What to say where not everything has found room.
fn lost(forgotten: usize, what: &str, key: &str) -> Option<String> {
    (forgotten > 0).then(|| {
        format!(
            "{forgotten} {what} are forgotten, for which there is no room any more: see {key} under [sizes]"
        )
    })
}

/// How many entries a map that is pinned beside has room for.
fn room(instance: &Instance, name: &str) -> Result<usize> {
    Ok(info_beside(instance, name)?.max_entries() as usize)
}

/// The kernel's number of a map that is pinned beside.
fn number(instance: &Instance, name: &str) -> Result<u32> {
    Ok(info_beside(instance, name)?.id())
}

fn info_beside(instance: &Instance, name: &str) -> Result<MapInfo> {
    let pin = instance.beside(name);
    MapInfo::from_pin(&pin).with_context(|| format!("cannot open the pin {}", pin.display()))
}

fn open_beside(instance: &Instance, name: &str) -> Result<OwnedFd> {
    syscall::open_pin(&instance.beside(name))
}

/// All entries of a pinned map.
fn read<K: Pod, V: Pod>(instance: &Instance, name: &str) -> Result<Vec<(K, V)>> {
    let map = syscall::open_pin(&instance.map(name))?;
    syscall::lookup_all(map.as_fd()).with_context(|| format!("cannot read the map {name}"))
}

/// Writes entries of a map that is pinned beside.
fn write<K: Pod, V: Pod>(instance: &Instance, name: &str, entries: &[(K, V)]) -> Result<()> {
    let map = open_beside(instance, name)?;
    syscall::update_all(map.as_fd(), entries)
        .with_context(|| format!("cannot write the map {name}"))
}
