//! What an instance has pinned: whose it is, and what it says of itself.

use std::os::fd::AsFd;

use anyhow::{Context, Result, bail};
use aya::{
    Pod,
    maps::{Array, Map, MapData, MapInfo},
};
use sip_filter_common::abi::{self, Settings, map};

use super::{Instance, attach::attached_to, preflight, syscall};

/// A running filter's maps have the layout that this loader reads. Where attaching is not done, they say
/// none yet.
pub(super) fn check_version(instance: &Instance, settings: &Settings) -> Result<()> {
    if settings.version == 0 {
        let interfaces = instance.links()?;
        let names = interfaces.iter().map(|pin| Ok(attached_to(pin)?.name));
        let names = names.collect::<Result<Vec<_>>>()?;
        let state = match names.is_empty() {
            true => "nothing is filtered".to_owned(),
            false => format!("it is on {}", names.join(", ")),
        };
        bail!(
            "attaching the filter {} is not done, or was interrupted: {state}; attach it again, or \
             take it off: `sip-filter detach`",
            instance.name()
        );
    }
    if settings.version != abi::VERSION {
        bail!(
            "the filter {} was attached by another version of sip-filter (layout {}, not {}); \
             attach it again with this one, or detach it: `sip-filter detach`",
            instance.name(),
            settings.version,
            abi::VERSION
        );
    }
    Ok(())
}

/// The settings of a running filter, if there is one.
pub(super) fn settings(instance: &Instance) -> Result<Option<Settings>> {
    let path = instance.map(map::SETTINGS);
    if !path.exists() {
        return Ok(None);
    }
    let settings = || -> Result<Settings> {
        let map = MapData::from_fd(syscall::open_pin_to_read(&path)?)?;
        let array = Array::<_, Settings>::try_from(Map::Array(map))?;
        Ok(array.get(&0, 0)?)
    };
    settings().map(Some).map_err(|error| {
        if preflight::is_denied(&error) {
            return error;
        }
        error.context(format!(
            "the filter {} was attached by another version of sip-filter; \
             attach it again with this one, or detach it: sip-filter detach --name {}",
            instance.name(),
            instance.name()
        ))
    })
}

/// Maps that another version of sip-filter has pinned, and that this one cannot read.
pub(super) struct Foreign {
    /// Their layout's number, if they say it.
    version: Option<u32>,
}

impl Foreign {
    /// What is lost of them.
    pub(super) fn lost(&self) -> String {
        let layout = match self.version {
            Some(version) if version != abi::VERSION => format!("layout {version}"),
            _ => "another layout".to_owned(),
        };
        format!(
            "the running filter was attached by another version of sip-filter: counters of {layout} \
             cannot be read and begin anew, and who was blocked for what was sent is forgotten; the \
             lists are kept"
        )
    }
}

/// Whether what an instance has pinned has another layout than the maps of this sip-filter's object.
pub(super) fn foreign(instance: &Instance, object: &[u8]) -> Result<Option<Foreign>> {
    if !instance.map(map::SETTINGS).exists() {
        return Ok(None);
    }
    let object = aya_obj::Object::parse(object).context("the object cannot be read")?;
    let mut is_foreign = false;
    for name in map::PINNED {
        let pin = instance.map(name);
        if !pin.exists() {
            // One that has come with this version is made; one that was taken away, too.
            continue;
        }
        let wanted = object.maps.get(name);
        let wanted = wanted.with_context(|| format!("the object holds no map {name}"))?;
        let held = MapData::from_pin(&pin).and_then(|map| map.info());
        let held = held.map_err(anyhow::Error::new).map_err(|error| {
            let next = preflight::denied(&error).map(|next| format!(": {next}"));
            let next = next.unwrap_or_default();
            error.context(format!("cannot open the pin {}{next}", pin.display()))
        })?;
        let kind = held.map_type().map(|kind| kind as u32);
        is_foreign |= kind.is_ok_and(|kind| kind != wanted.map_type())
            || held.key_size() != wanted.key_size()
            || held.value_size() != wanted.value_size();
    }
    let version = version(instance)?;
    // A loader that was killed before it wrote its settings leaves version 0.
    is_foreign |= !matches!(version, None | Some(0 | abi::VERSION));
    Ok(is_foreign.then_some(Foreign { version }))
}

/// The layout's number, which every version's settings begin with; nothing where none are pinned.
pub(super) fn version(instance: &Instance) -> Result<Option<u32>> {
    let settings = instance.map(map::SETTINGS);
    if !settings.exists() {
        return Ok(None);
    }
    let fd = syscall::open_pin(&settings)?;
    let mut bytes = vec![0; MapData::from_pin(&settings)?.info()?.value_size() as usize];
    syscall::lookup_bytes(fd.as_fd(), &0_u32, &mut bytes).context("cannot read the settings")?;
    let version = bytes.first_chunk::<4>().copied();
    Ok(version.map(u32::from_ne_bytes))
}

/// For how many entries a pinned map has room; nothing where it is not pinned.
pub(super) fn size_of(instance: &Instance, name: &str) -> Result<Option<u32>> {
    let pin = instance.map(name);
    if !pin.exists() {
        return Ok(None);
    }
    let info = MapInfo::from_pin(&pin);
    let info = info.with_context(|| format!("cannot open the pin {}", pin.display()))?;
    Ok(Some(info.max_entries()))
}

/// What a running filter's array holds.
pub(super) fn array<T: Pod>(instance: &Instance, name: &str) -> Result<Vec<T>> {
    let path = instance.map(name);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let map = MapData::from_pin(&path)
        .with_context(|| format!("cannot open the pin {}", path.display()))?;
    let array = Array::<_, T>::try_from(Map::Array(map))?;
    Ok(array.iter().collect::<Result<_, _>>()?)
}
