//! Attaching and detaching: links between the programs and interfaces, and their pins.

use std::{fs, io, os::fd::AsFd, path::Path};

use anyhow::{Context, Result, anyhow, bail};
use aya::programs::{links::PinnedLink, loaded_programs};

use sip_filter_common::abi::{self, map};

use super::{
    Hook, Instance, Interface, Load, Loaded, Logger, Mode, carry,
    hook::Program,
    instance::instances,
    interface::{self, AttachedMode, XdpProgram},
    link, lists, load, preflight, privileges, syscall,
};

/// What was attached.
pub struct Attached {
    /// The interfaces asked for.
    pub interfaces: Vec<Interface>,
    /// What the operator should know, a line each.
    pub notices: Vec<String>,
    /// The verdicts' log, where it was asked for.
    pub logger: Option<Logger>,
}

/// Loads the program, attaches it to the interfaces and pins everything.
///
/// Where the instance is attached already, its maps are adopted and the program is replaced in
/// place on all of its interfaces, at XDP and at tcx, without a packet passing unfiltered between the
/// two. Lists that have changed are in force with it, not before and not after.
///
/// # Errors
///
/// When anything cannot be done; nothing is attached then that was not before.
pub fn attach(
    instance: &Instance,
    interfaces: &[String],
    mode: Mode,
    with: &Load<'_>,
) -> Result<Attached> {
    preflight::attach(instance.bpffs())?;
    let hook = Hook::of(mode);
    if hook == Hook::Tcx {
        preflight::tcx()?;
    }
    let wanted = interfaces
        .iter()
        .map(|name| Ok((name.as_str(), interface::index_of(name)?)))
        .collect::<Result<Vec<_>>>()?;
    for (name, ifindex) in &wanted {
        check_place(instance, name, *ifindex, hook)?;
    }
    forget_dead_links(instance)?;
    if !instance.map(map::SETTINGS).exists() && instance.links()?.is_empty() {
        // What a detach that was killed has left: some maps of those that it had.
        instance.remove()?;
    }
    let mut notices = carry::settle(instance)?;
    let before = hooks(instance)?;
    instance.create()?;
    let mut undo = Undo {
        instance,
        links: Vec::new(),
        is_whole: before.is_empty(),
        is_armed: true,
    };

    let mut hooks = before;
    let is_new = |(_, ifindex): &(&str, u32)| !instance.link(*ifindex).exists();
    if wanted.iter().any(is_new) && !hooks.contains(&hook) {
        hooks.push(hook);
    }
    let mut loaded = Loaded::new(with, Some(instance), &hooks)?;
    let logger = match with.verbose {
        true => Some(Logger::new(&mut loaded.ebpf)?),
        false => None,
    };
    notices.append(&mut loaded.notices);
    for (name, ifindex) in &wanted {
        let pin = instance.link(*ifindex);
        if pin.exists() {
            notices.extend(stays(&attached_to(&pin)?, mode));
            continue;
        }
        notices.extend(attach_one(
            instance,
            loaded.program_at(hook)?,
            name,
            *ifindex,
            mode,
        )?);
        undo.links.push(*ifindex);
    }
    loaded.pin_beside(instance)?;
    if !loaded.has_new_layout() {
        carry::prepare(instance)?;
    }
    if loaded.has_new_lists() {
        lists::unsettle(instance)?;
    }
    for hook in &hooks {
        pin_beside(loaded.program_at(*hook)?, &instance.program_beside(*hook))?;
    }
    // Last, so that what fails before leaves the running program as it is.
    for path in instance.links()? {
        let hook = syscall::pinned_link(&path)?.hook;
        replace(loaded.program_at(hook)?, &path)?;
    }
    undo.is_armed = false;
    if !loaded.has_new_layout() {
        notices.extend(carry::finish(instance)?);
    }
    loaded.replace_pinned(instance)?;
    for hook in hooks {
        instance.replace(&instance.program_beside(hook), &instance.program(hook))?;
    }
    // Not before it is true, for another process may ask at any moment.
    loaded.write_settings(with)?;
    Ok(Attached {
        interfaces: wanted
            .iter()
            .map(|(_, ifindex)| attached_to(&instance.link(*ifindex)))
            .collect::<Result<_>>()?,
        notices,
        logger,
    })
}

/// Where the programs of an instance are: those of its links, and those that are pinned, for its
/// interfaces may be gone for now, while `run` waits for them.
fn hooks(instance: &Instance) -> Result<Vec<Hook>> {
    let links = instance.links()?;
    let links = links
        .iter()
        .map(|pin| Ok(syscall::pinned_link(pin)?.hook))
        .collect::<Result<Vec<_>>>()?;
    let is_used = |hook: &Hook| links.contains(hook) || instance.program(*hook).exists();
    Ok(Hook::ALL.into_iter().filter(is_used).collect())
}

/// What came of attaching the program in force to one more interface.
#[derive(Clone, Debug)]
pub struct Again {
    /// The interface.
    pub interface: Interface,
    /// What the operator should know, if anything.
    pub notice: Option<String>,
}

/// Attaches the program in force to an interface that has come back: nothing else changes.
///
/// # Errors
///
/// When it cannot be attached there, or nothing of the instance is left.
pub fn attach_again(instance: &Instance, name: &str, mode: Mode) -> Result<Again> {
    let ifindex = interface::index_of(name)?;
    let pin = instance.link(ifindex);
    if pin.exists() {
        let (interface, notice) = (attached_to(&pin)?, None);
        return Ok(Again { interface, notice });
    }
    let hook = Hook::of(mode);
    check_place(instance, name, ifindex, hook)?;
    let mut program = hook.pinned(&instance.program(hook))?;
    let notice = attach_one(instance, &mut *program, name, ifindex, mode)?;
    Ok(Again {
        interface: attached_to(&pin)?,
        notice,
    })
}

/// Pins the program beside the one whose place it will take.
fn pin_beside(program: &mut dyn Program, pin: &Path) -> Result<()> {
    remove_pin(pin)?;
    program
        .pin(pin)
        .with_context(|| format!("cannot pin {}", pin.display()))
}

/// Removes a pin, if it is there.
fn remove_pin(pin: &Path) -> Result<()> {
    match fs::remove_file(pin) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", pin.display()))
        }
        _ => Ok(()),
    }
}

/// Detaches the filter from the interfaces, or from all of them, and gives those it was
/// detached from. With the last one the maps go too, and with them the counters.
///
/// # Errors
///
/// When one of the interfaces has no such filter, or a pin cannot be removed.
pub fn detach(instance: &Instance, interfaces: Option<&[String]>) -> Result<Vec<Interface>> {
    preflight::bpffs(instance.bpffs())?;
    if !instance.pins()?.is_empty() {
        privileges::check()?;
        forget_dead_links(instance)?;
    }
    let mut links = instance
        .links()?
        .into_iter()
        .map(|path| Ok((attached_to(&path)?, path)))
        .collect::<Result<Vec<_>>>()?;
    if let Some(names) = interfaces {
        for name in names {
            if !links.iter().any(|(interface, _)| &interface.name == name) {
                bail!(
                    "{name}: the filter {} is not attached there; `sip-filter status` lists where it is",
                    instance.name()
                );
            }
        }
        links.retain(|(interface, _)| names.contains(&interface.name));
    }
    let mut detached = Vec::new();
    for (interface, path) in links {
        unpin_link(&path)?;
        detached.push(interface);
    }
    if instance.links()?.is_empty() {
        instance.remove()?;
    }
    Ok(detached)
}

/// The interface that a pinned link is attached to.
pub(super) fn attached_to(pin: &Path) -> Result<Interface> {
    Ok(Interface::of(&link::look(pin)?))
}

/// Detaches a pinned link and removes its pin.
fn unpin_link(pin: &Path) -> Result<()> {
    let link = syscall::open_pin(pin)?;
    // An interface that is gone has taken its link's attachment with it.
    let detached = syscall::detach_link(link.as_fd());
    fs::remove_file(pin).with_context(|| format!("cannot remove {}", pin.display()))?;
    match detached {
        Err(error) if error.raw_os_error() != Some(libc::ENOLINK) => {
            Err(error).with_context(|| format!("cannot detach {}", pin.display()))
        }
        _ => Ok(()),
    }
}

/// The indices of the interfaces that have a link of the instance, dead or not.
///
/// # Errors
///
/// When the pins cannot be listed.
pub fn links(instance: &Instance) -> Result<Vec<u32>> {
    let links = instance.links()?;
    Ok(links
        .iter()
        .filter_map(|pin| Instance::ifindex_of(pin))
        .collect())
}

/// Removes the pins of links whose interface is gone, for nothing can be done with them any more,
/// and gives the indices that these interfaces had, and where the filter was there.
///
/// # Errors
///
/// When a pin cannot be opened or removed.
pub fn forget_dead_links(instance: &Instance) -> Result<Vec<(u32, Hook)>> {
    let mut gone = Vec::new();
    for pin in instance.links()? {
        let link = syscall::pinned_link(&pin)?;
        if link.ifindex == 0 {
            remove_pin(&pin)?;
            gone.extend(Instance::ifindex_of(&pin).map(|ifindex| (ifindex, link.hook)));
        }
    }
    Ok(gone)
}

/// Whether the interface of a pinned link is still there.
pub(super) fn is_alive(pin: &Path) -> Result<bool> {
    Ok(link::look(pin)?.ifindex != 0)
}

/// What to say where an interface is attached in another mode than the one asked for.
fn stays(interface: &Interface, mode: Mode) -> Option<String> {
    let wanted = match mode {
        Mode::Auto => return None,
        Mode::Native => AttachedMode::Native,
        Mode::Skb => AttachedMode::Skb,
        Mode::Tcx => AttachedMode::Tcx,
        Mode::Hw => AttachedMode::Hw,
    };
    let Interface { name, mode, .. } = interface;
    (*mode != wanted).then(|| {
        format!("{name}: stays in {mode} mode; detach it first to attach it in {wanted} mode")
    })
}

/// There is a place for this instance's program on the interface: it has one there, or nobody's is
/// in the way.
fn check_place(instance: &Instance, name: &str, ifindex: u32, hook: Hook) -> Result<()> {
    let pin = instance.link(ifindex);
    if pin.exists() && syscall::pinned_link(&pin)?.ifindex == ifindex {
        return Ok(());
    }
    match hook {
        Hook::Xdp => match interface::xdp(ifindex)? {
            Some(found) => Err(busy(instance, name, found)),
            None => Ok(()),
        },
        Hook::Tcx if interface::is_ethernet(ifindex)? => Ok(()),
        Hook::Tcx => bail!(
            "{name}: what arrives there has no Ethernet header, so that tcx mode cannot read it; \
             use the interface below it"
        ),
    }
}

fn busy(instance: &Instance, name: &str, found: XdpProgram) -> anyhow::Error {
    let XdpProgram { program, mode } = found;
    let program_name = loaded_programs()
        .filter_map(Result::ok)
        .find(|info| info.id() == program)
        .and_then(|info| info.name_as_str().map(str::to_owned))
        .unwrap_or_default();
    let off = if mode == AttachedMode::Skb {
        "xdpgeneric"
    } else {
        "xdp"
    };
    let beside = match preflight::has_tcx() {
        true => "use --mode tcx, which runs beside it",
        false => "use another interface",
    };
    if program_name.starts_with(abi::PROGRAM) {
        let runs = format!("{name} already runs XDP program {program} '{program_name}'");
        return match whose(instance, program) {
            Some(other) => anyhow!(
                "{runs} of the filter {other}; change that with --name {other}, take it off \
                 (sip-filter detach --name {other}), or {beside}"
            ),
            None => anyhow!(
                "{runs} of a filter with pins elsewhere than in {}; name the BPF file system that \
                 has them with --bpffs, or {beside}",
                instance.bpffs().display()
            ),
        };
    }
    anyhow!(
        "{name} already runs XDP program {program} '{program_name}'; detach that first \
         (ip link set dev {name} {off} off, or stop what attached it), or {beside}"
    )
}

/// The filter whose links lead to the program, if its pins are beside those of the instance.
fn whose(instance: &Instance, program: u32) -> Option<String> {
    let is_its = |name: &String| -> Result<bool> {
        let pins = Instance::new(instance.bpffs(), name)?.links()?;
        Ok(pins
            .iter()
            .any(|pin| link::look(pin).is_ok_and(|link| link.program == program)))
    };
    let names = instances(instance.bpffs()).ok()?;
    names.into_iter().find(|name| is_its(name).unwrap_or(false))
}

/// Attaches to one interface and pins the link; what the operator should know, if anything.
fn attach_one(
    instance: &Instance,
    program: &mut dyn Program,
    name: &str,
    ifindex: u32,
    mode: Mode,
) -> Result<Option<String>> {
    let (link, notice) = program.attach(name, ifindex, mode)?;
    let pin = instance.link(ifindex);
    link.pin(&pin)
        .with_context(|| format!("cannot pin {}", pin.display()))?;
    Ok(notice)
}

/// Puts the program in the place of the one that a pinned link leads to.
fn replace(program: &mut dyn Program, pin: &Path) -> Result<()> {
    let link = PinnedLink::from_pin(pin)
        .with_context(|| format!("cannot open the pin {}", pin.display()))?;
    program
        .replace(link.into())
        .with_context(|| format!("cannot replace the program of {}", pin.display()))
}

/// Takes back a half-finished attach: the links made, and everything where nothing was before.
struct Undo<'a> {
    instance: &'a Instance,
    links: Vec<u32>,
    /// Nothing was attached before.
    is_whole: bool,
    is_armed: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.is_armed {
            return;
        }
        if let Err(error) = load::forget_beside(self.instance) {
            log::error!("{error:#}");
        }
        for hook in Hook::ALL {
            if let Err(error) = remove_pin(&self.instance.program_beside(hook)) {
                log::error!("{error:#}");
            }
        }
        for ifindex in &self.links {
            if let Err(error) = unpin_link(&self.instance.link(*ifindex)) {
                log::error!("{error:#}");
            }
        }
        if self.is_whole
            && let Err(error) = self.instance.remove()
        {
            log::error!("{error:#}");
        }
    }
}
