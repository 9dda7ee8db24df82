//! Following the interfaces of a `run`: one that is deleted and created again gets the filter again,
//! with what is in force, as soon as the kernel tells of it.
//!
//! What counts is the name that an interface had when it was attached. One that is renamed keeps the
//! filter, which is attached to an interface and not to a name; whoever gets its old name once it is
//! gone is attached.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use anyhow::Result;

use super::{Global, turn::Turn};
use crate::kernel::{
    self, Again, Hook, Instance, InterfaceChange, InterfaceState, InterfaceWatch, Mode,
};

/// The interfaces of a `run`.
pub(super) struct Follow {
    watch: InterfaceWatch,
    mode: Mode,
    /// What it is attached to, by index.
    links: BTreeMap<u32, Followed>,
    /// Those that are gone, by name.
    lost: BTreeMap<String, Lost>,
}

/// An interface that is gone.
struct Lost {
    /// Where the filter was there, and is to be again.
    hook: Hook,
    /// Why one of that name could not be attached.
    failed: Option<String>,
}

/// An interface that the filter is attached to.
struct Followed {
    /// The name that it had then.
    wanted: String,
    /// The name that it has now.
    name: String,
    is_up: bool,
}

impl Followed {
    fn new(ifindex: u32, name: String) -> Self {
        Self {
            wanted: name.clone(),
            name,
            is_up: kernel::is_up(ifindex).unwrap_or(false),
        }
    }
}

impl Follow {
    /// Listens from now on.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            watch: InterfaceWatch::new()?,
            mode: Mode::Auto,
            links: BTreeMap::new(),
            lost: BTreeMap::new(),
        })
    }

    /// Everything that is wanted was attached, in this mode.
    pub(super) fn applied(&mut self, instance: &Instance, mode: Mode) -> Result<()> {
        self.mode = mode;
        self.lost.clear();
        self.know(instance)
    }

    /// The names of interfaces that are gone.
    pub(super) fn lost(&self) -> Vec<String> {
        self.lost.keys().cloned().collect()
    }

    /// Waits until interfaces have changed.
    pub(super) async fn changes(&mut self) -> Result<Vec<InterfaceChange>> {
        self.watch.changes().await
    }

    /// Attaches what has come back, and logs what has become of the filter's interfaces; gives the
    /// names that it is attached to by now and was not before.
    pub(super) fn settle(
        &mut self,
        instance: &Instance,
        global: &Global,
        changes: Vec<InterfaceChange>,
    ) -> Result<Vec<String>> {
        let concerns = |change: &InterfaceChange| {
            self.links.contains_key(&change.ifindex) || self.lost.contains_key(&change.name)
        };
        // Another process may have attached some since.
        let is_ours = match changes.is_empty() || changes.iter().any(concerns) {
            true => true,
            false => {
                let links = kernel::links(instance)?;
                changes.iter().any(|change| links.contains(&change.ifindex))
            }
        };
        if !is_ours || !instance.dir().exists() {
            return Ok(Vec::new());
        }
        // So that nobody replaces the program meanwhile, or takes it off.
        let _turn = Turn::wait(&global.state)?;
        let mut names = self.note(&changes);
        self.lose(instance, &changes)?;
        names.extend(self.find(instance));
        self.know(instance)?;
        Ok(names)
    }

    /// Notes names and states; gives new names.
    fn note(&mut self, changes: &[InterfaceChange]) -> Vec<String> {
        let mut renamed = Vec::new();
        for change in changes {
            let Some(followed) = self.links.get_mut(&change.ifindex) else {
                continue;
            };
            let InterfaceChange { name, state, .. } = change;
            if *state == InterfaceState::Gone {
                continue;
            }
            if followed.name != *name {
                let before = &followed.name;
                log::info!("{before}: is called {name} now, and keeps the filter");
                followed.name.clone_from(name);
                renamed.push(name.clone());
            }
            let is_up = *state == InterfaceState::Up;
            match (mem::replace(&mut followed.is_up, is_up), is_up) {
                (true, false) => log::info!("{name}: was taken down, and keeps the filter"),
                (false, true) => log::info!("{name}: is up, with the filter"),
                _ => {}
            }
        }
        renamed
    }

    /// Finds out which interfaces are gone.
    fn lose(&mut self, instance: &Instance, changes: &[InterfaceChange]) -> Result<()> {
        let told: HashMap<u32, &String> = changes
            .iter()
            .map(|change| (change.ifindex, &change.name))
            .collect();
        let gone = kernel::forget_dead_links(instance)?;
        for (ifindex, hook) in &gone {
            let followed = self.links.remove(ifindex).map(|followed| followed.wanted);
            let Some(name) = followed.or_else(|| told.get(ifindex).map(|name| (*name).clone()))
            else {
                log::warn!("interface {ifindex}: is gone, and nobody told its name");
                continue;
            };
            log::warn!("{name}: is gone; it is attached again when there is one of that name");
            let (hook, failed) = (*hook, None);
            self.lost.insert(name, Lost { hook, failed });
        }
        if !gone.is_empty() && kernel::links(instance)?.is_empty() {
            log::warn!(
                "{}: attached to no interface; nothing is filtered until one comes back",
                instance.name()
            );
        }
        Ok(())
    }

    /// Attaches those that are there again; gives their names.
    fn find(&mut self, instance: &Instance) -> Vec<String> {
        let mut found = Vec::new();
        let asked = self.mode;
        self.lost.retain(|name, Lost { hook, failed }| {
            if kernel::index_of(name).is_err() {
                return true;
            }
            // Another command may have attached it elsewhere than `run` does.
            let mode = match hook {
                _ if Hook::of(asked) == *hook => asked,
                Hook::Xdp => Mode::Auto,
                Hook::Tcx => Mode::Tcx,
            };
            match kernel::attach_again(instance, name, mode) {
                Ok(Again { interface, notice }) => {
                    if let Some(notice) = notice {
                        log::warn!("{notice}");
                    }
                    log::info!("{name}: is back; attached in {} mode", interface.mode);
                    found.push(name.clone());
                    false
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    // Once, not with each change of an interface.
                    if failed.as_ref() != Some(&error) {
                        log::error!("{name}: is back, but not attached: {error}");
                    }
                    *failed = Some(error);
                    true
                }
            }
        });
        found
    }

    /// Learns what it is attached to by now.
    fn know(&mut self, instance: &Instance) -> Result<()> {
        let links = kernel::links(instance)?;
        self.links.retain(|ifindex, _| links.contains(ifindex));
        for ifindex in links {
            if let Some(name) = kernel::name_of(ifindex) {
                self.links
                    .entry(ifindex)
                    .or_insert_with(|| Followed::new(ifindex, name));
            }
        }
        Ok(())
    }
}
