//! Putting a configuration in force: for `attach`, for `run`, and for either again.

use anyhow::{Context, Result};

use super::{
    Global,
    filter_options::{FilterOptions, Ready},
    given::Given,
    turn::Turn,
};
use crate::{
    access,
    config::configuration::{Configuration, History, Origin},
    events::socket,
    geoip::Databases,
    kernel::{self, Attached, Filter, Instance, Interface, Load},
    lists::{self, Lists, State, Writing},
};

/// What was put in force.
pub(super) struct Applied {
    /// What was attached; its notices say all that the operator should know.
    pub attached: Attached,
    /// What it was taken off, since the configuration file does not name it any more.
    pub detached: Vec<Interface>,
    /// How it was attached.
    pub mode: kernel::Mode,
    /// The group that may read what it counts.
    pub group: Option<u32>,
    /// What is in force, in words.
    pub policy: String,
    /// What is kept of what is counted.
    pub history: History,
}

/// What the interfaces that only the file before named have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// They stay: this is another command that adds to what is there.
    Stays,
    /// The filter is taken off them: the file is what counts.
    Goes,
}

/// Attaches the filter as the file and the options say, pins it, and keeps what it was given.
///
/// # Errors
///
/// When anything is wrong; what was in force stays then.
pub(super) fn apply(
    options: &FilterOptions,
    global: &Global,
    verbose: bool,
    before: Before,
) -> Result<Applied> {
    // Before the file is read, so that who reads it last is in force last.
    let turn = Turn::wait(&global.state)?;
    apply_in_turn(options, global, verbose, before, &turn)
}

/// The same for whoever has a turn already.
pub(super) fn apply_in_turn(
    options: &FilterOptions,
    global: &Global,
    verbose: bool,
    before: Before,
    _: &Turn,
) -> Result<Applied> {
    let instance = global.instance()?;
    // What is kept of them is read in other folders.
    let options = &options.with_absolute_paths()?;
    let configuration = options.configuration()?;
    let running = Filter::open(&instance).ok();
    let known = match &running {
        // What cannot be read is written anew.
        Some(_) => Given::read(&global.state, instance.name()).unwrap_or(None),
        None => None,
    };
    let ready = Ready::new(configuration, seed(running.as_ref())?)?;
    let configuration = &ready.configuration;
    let interfaces = &configuration.interfaces;
    let group = configuration.group.value.group();
    // Nobody changes the lists until they are in force; where nothing was ever listed, nothing is
    // kept, and whoever lists something meanwhile is asked afterwards. What a group may read is made
    // now, or it would be whoever's that lists something first.
    let mut writing = match ready.entries.is_empty() && group.is_none() {
        true => Writing::open_existing(&global.state, instance.name())?,
        false => Some(Writing::open(&global.state, instance.name())?),
    };
    if let Some(writing) = &mut writing {
        writing.set_config(&ready.entries)?;
    }
    let lists = writing.as_ref().map(Writing::lists).transpose()?;
    let load = Load {
        lists: lists.as_ref().unwrap_or(Lists::EMPTY),
        ..ready.load(verbose)
    };
    let mut attached = kernel::attach(&instance, &interfaces.value, ready.mode(), &load)?;
    match &mut writing {
        Some(writing) => writing.commit()?,
        None => lists::catch_up(&global.state, &instance)?,
    }
    attached.notices.extend(options.note(&ready));
    // No reason not to filter.
    if let Err(error) = Databases::open(&configuration.geoip.value) {
        attached.notices.push(format!(
            "{error:#}; where sources are is said as before, if it was known"
        ));
    }

    let mut from_file = known.map_or_else(Vec::new, |known| known.from_file);
    let mut detached = Vec::new();
    if before == Before::Goes {
        from_file.retain(|name| !interfaces.value.contains(name));
        match take_off(&instance, &from_file) {
            Ok(interfaces) => detached = interfaces,
            Err(error) => attached.notices.push(format!("{error:#}")),
        }
        from_file.clear();
    }
    if matches!(interfaces.origin, Origin::Line(_)) {
        for name in &interfaces.value {
            if !from_file.contains(name) {
                from_file.push(name.clone());
            }
        }
    }
    if let Err(error) = keep(options, global, &instance, configuration, from_file) {
        attached.notices.push(format!(
            "{error:#}; `config show` and `reload` will not know what the filter was given: name \
             another folder with --state"
        ));
    }
    match share(global, &instance, group) {
        Ok(notice) => attached.notices.extend(notice),
        Err(error) => attached.notices.push(format!("{error:#}")),
    }
    Ok(Applied {
        attached,
        detached,
        mode: ready.mode(),
        group,
        policy: ready.policy(load.lists),
        history: configuration.history.clone(),
    })
}

/// What makes the program's hashes unpredictable. A filter that runs keeps its own, so that what it
/// has counted by them stays valid.
fn seed(running: Option<&Filter>) -> Result<u64> {
    let settings = running.and_then(|filter| filter.settings().ok());
    match settings.map(|settings| settings.rules.seed) {
        Some(seed) if seed != 0 => Ok(seed),
        _ => kernel::random().context("the kernel has no random number"),
    }
}

/// Those of the interfaces to which the filter is attached.
pub(super) fn attached_of(instance: &Instance, names: &[String]) -> Result<Vec<String>> {
    let attached = Filter::open(instance)?.interfaces()?;
    let attached = attached.into_iter().map(|interface| interface.name);
    Ok(attached.filter(|name| names.contains(name)).collect())
}

/// Detaches the filter from those of the interfaces to which it is attached, and removes what is left
/// of it where that was all.
pub(super) fn take_off(instance: &Instance, names: &[String]) -> Result<Vec<Interface>> {
    // Where none is attached any more, what is pinned goes all the same.
    kernel::detach(instance, Some(&attached_of(instance, names)?))
}

/// Has a group read what the filter counts and what is kept of it, or nobody but root; what the operator
/// should know, if anything.
fn share(global: &Global, instance: &Instance, group: Option<u32>) -> Result<Option<String>> {
    let notice = kernel::share(instance, group)?;
    let (folder, name) = (&global.state, instance.name());
    for file in State::files(folder, name) {
        access::let_read(&file, group)?;
    }
    access::let_read(&Given::path(folder, name), group)?;
    access::let_connect(&socket::path(folder, name), group)?;
    if group.is_some() {
        access::let_pass(folder)?;
    }
    Ok(notice)
}

fn keep(
    options: &FilterOptions,
    global: &Global,
    instance: &Instance,
    configuration: &Configuration,
    from_file: Vec<String>,
) -> Result<()> {
    let given = Given {
        program: Filter::open(instance)?.program_id()?,
        from_file,
        options: options.clone(),
        in_force: configuration.rows(),
    };
    given.write(&global.state, instance.name())
}
