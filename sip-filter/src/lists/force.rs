//! From the file to a filter that is running: what was changed there takes effect in the kernel's
//! maps, or in neither.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Size, Writing};
use crate::kernel::{Held, Instance, RunningLists};

/// What came of putting lists in force.
#[derive(Clone, Copy, Debug)]
pub struct InForce {
    /// How much they hold.
    pub size: Size,
    /// What the kernel's maps take; `None` where the instance is not attached, and only the file has
    /// changed.
    pub held: Option<Held>,
}

/// Commits what has changed, and puts it in force where the instance is attached.
///
/// # Errors
///
/// When there is no room for so much, or something cannot be written; nothing has changed then.
pub fn in_force(mut state: Writing, folder: &Path, instance: &Instance) -> Result<InForce> {
    let size = state.size()?;
    let Some(mut maps) = RunningLists::open(instance)? else {
        state.commit()?;
        return Ok(InForce { size, held: None });
    };
    let holding = |maps: &RunningLists| {
        maps.held().map(|held| InForce {
            size,
            held: Some(held),
        })
    };
    size.fits(maps.capacity()).context("nothing was changed")?;
    if maps.generation() == state.generation() {
        return holding(&maps);
    }
    // Read before anything is written, so that a file that cannot be read changes nothing.
    let change = Change::of(&state, &maps, size)?;
    maps.unsettle()?;
    match change.make(&maps).and_then(|()| state.commit()) {
        Ok(()) => {
            maps.settle(state.generation())?;
            holding(&maps)
        }
        Err(error) => {
            // Releases the lock and rolls back.
            drop(state);
            match catch_up(folder, instance) {
                Ok(()) => Err(error.context("nothing was changed")),
                Err(second) => Err(error.context(format!(
                    "the filter has a part of the change, and it cannot be taken back ({second:#}); \
                     attach it again"
                ))),
            }
        }
    }
}

/// What the maps are to be told.
enum Change {
    /// All, since nobody knows what they hold, or since so much has changed.
    Whole(super::Lists),
    /// What is said now of those that something has changed for.
    Some {
        touched: Vec<sip_filter_common::lists::Prefix>,
        rules: Vec<super::Rule>,
        prefixes: Vec<super::Rule>,
        addresses: u64,
    },
}

impl Change {
    fn of(state: &Writing, maps: &RunningLists, size: Size) -> Result<Self> {
        // From so many on it is quicker to compare all that is listed.
        let many = (size.addresses + size.allowed + size.blocked) / 2;
        if maps.generation() != state.before() || state.touched().len() as u64 > many {
            return Ok(Self::Whole(state.lists()?));
        }
        let touched = state.touched().to_vec();
        let rules = touched
            .iter()
            .filter_map(|prefix| state.rule(prefix).transpose())
            .collect::<Result<_>>()?;
        Ok(Self::Some {
            touched,
            rules,
            prefixes: state.prefixes()?,
            addresses: size.addresses,
        })
    }

    fn make(&self, maps: &RunningLists) -> Result<()> {
        match self {
            Self::Whole(lists) => maps.replace(lists),
            Self::Some {
                touched,
                rules,
                prefixes,
                addresses,
            } => maps.change(touched, rules, prefixes, *addresses),
        }
    }
}

/// Makes a running filter hold what the file does, if it does not.
///
/// # Errors
///
/// When one of the two cannot be read, or the maps cannot be written.
pub fn catch_up(folder: &Path, instance: &Instance) -> Result<()> {
    match Writing::open_existing(folder, instance.name())? {
        Some(state) => in_force_once(state, instance),
        None => Ok(()),
    }
}

fn in_force_once(mut state: Writing, instance: &Instance) -> Result<()> {
    if let Some(mut maps) = RunningLists::open(instance)?
        && maps.generation() != state.generation()
    {
        let lists = state.lists()?;
        lists.size().fits(maps.capacity())?;
        maps.unsettle()?;
        maps.replace(&lists)?;
        state.commit()?;
        return maps.settle(state.generation());
    }
    state.commit()
}
