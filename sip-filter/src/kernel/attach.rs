//! Attaching and detaching: links between the program and interfaces, and their pins.

use std::{fs, io, mem, os::fd::AsFd, path::Path};

use anyhow::{Context, Result, anyhow, bail};
use aya::programs::{
    ProgramError, Xdp, XdpMode,
    links::{FdLink, PinnedLink},
    loaded_programs,
    xdp::XdpLink,
};
use aya_obj::programs::XdpAttachType;

use super::{
    Instance, Interface, Load, Loaded, Logger, Mode,
    interface::{self, AttachedMode, XdpProgram},
    lists, load, preflight, syscall,
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
/// place on all of its interfaces, without a packet passing unfiltered between the two. Lists that
/// have changed are in force with it, not before and not after.
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
    let wanted = interfaces
        .iter()
        .map(|name| Ok((name.as_str(), interface::index_of(name)?)))
        .collect::<Result<Vec<_>>>()?;
    for (name, ifindex) in &wanted {
        check_free(instance, name, *ifindex)?;
    }
    forget_dead_links(instance)?;
    // Its interfaces may be gone for now, while `run` waits for them.
    let was_attached = !instance.links()?.is_empty() || instance.program().exists();
    instance.create()?;
    let mut undo = Undo {
        instance,
        links: Vec::new(),
        is_whole: !was_attached,
        is_armed: true,
    };

    let mut loaded = Loaded::new(with, Some(instance))?;
    let logger = match with.verbose {
        true => Some(Logger::new(&mut loaded.ebpf)?),
        false => None,
    };
    let mut notices = mem::take(&mut loaded.notices);
    let program = loaded.program_mut()?;
    for (name, ifindex) in &wanted {
        let pin = instance.link(*ifindex);
        if pin.exists() {
            notices.extend(stays(&attached_to(&pin)?, mode));
            continue;
        }
        if let Some(notice) = attach_one(instance, program, name, *ifindex, mode)? {
            notices.push(notice);
        }
        undo.links.push(*ifindex);
    }
    loaded.pin_beside(instance)?;
    if loaded.has_new_lists() {
        lists::unsettle(instance)?;
    }
    pin_beside(loaded.program_mut()?, instance)?;
    // Last, so that what fails before leaves the running program as it is.
    let program = loaded.program_mut()?;
    for path in instance.links()? {
        replace(program, &path)?;
    }
    undo.is_armed = false;
    let id = program.info()?.id();
    loaded.replace_pinned(instance)?;
    let (from, to) = (instance.program_beside(), instance.program());
    fs::rename(&from, &to)
        .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))?;
    // Not before it is true, for another process may ask at any moment.
    loaded.write_settings(with)?;
    Ok(Attached {
        interfaces: wanted
            .iter()
            .map(|(_, ifindex)| Interface::with_program(*ifindex, id))
            .collect(),
        notices,
        logger,
    })
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
    check_free(instance, name, ifindex)?;
    let path = instance.program();
    let mut program = Xdp::from_pin(&path, XdpAttachType::Interface)
        .with_context(|| format!("cannot open the pin {}", path.display()))?;
    let notice = attach_one(instance, &mut program, name, ifindex, mode)?;
    Ok(Again {
        interface: attached_to(&pin)?,
        notice,
    })
}

/// Pins the program beside the one whose place it will take.
fn pin_beside(program: &mut Xdp, instance: &Instance) -> Result<()> {
    let pin = instance.program_beside();
    remove_pin(&pin)?;
    program
        .pin(&pin)
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
        preflight::privileges()?;
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
    let link = syscall::xdp_link(syscall::open_pin(pin)?.as_fd())?;
    Ok(Interface::with_program(link.ifindex, link.program))
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
/// and gives the indices that these interfaces had.
///
/// # Errors
///
/// When a pin cannot be opened or removed.
pub fn forget_dead_links(instance: &Instance) -> Result<Vec<u32>> {
    let mut gone = Vec::new();
    for pin in instance.links()? {
        if !is_alive(&pin)? {
            remove_pin(&pin)?;
            gone.extend(Instance::ifindex_of(&pin));
        }
    }
    Ok(gone)
}

/// Whether the interface of a pinned link is still there.
pub(super) fn is_alive(pin: &Path) -> Result<bool> {
    Ok(syscall::xdp_link(syscall::open_pin(pin)?.as_fd())?.ifindex != 0)
}

/// What to say where an interface is attached in another mode than the one asked for.
fn stays(interface: &Interface, mode: Mode) -> Option<String> {
    let wanted = match mode {
        Mode::Auto => return None,
        Mode::Native => AttachedMode::Native,
        Mode::Skb => AttachedMode::Skb,
        Mode::Hw => AttachedMode::Hw,
    };
    let Interface { name, mode, .. } = interface;
    (*mode != wanted).then(|| {
        format!("{name}: stays in {mode} mode; detach it first to attach it in {wanted} mode")
    })
}

/// No XDP program but this instance's is on the interface.
fn check_free(instance: &Instance, name: &str, ifindex: u32) -> Result<()> {
    let Some(found) = interface::xdp(ifindex)? else {
        return Ok(());
    };
    let pin = instance.link(ifindex);
    if pin.exists() && syscall::xdp_link(syscall::open_pin(&pin)?.as_fd())?.program == found.program
    {
        return Ok(());
    }
    Err(busy(name, found))
}

fn busy(name: &str, XdpProgram { program, mode }: XdpProgram) -> anyhow::Error {
    let program_name = loaded_programs()
        .filter_map(Result::ok)
        .find(|info| info.id() == program)
        .and_then(|info| info.name_as_str().map(str::to_owned))
        .unwrap_or_default();
    if program_name == sip_filter_common::abi::PROGRAM {
        return anyhow!(
            "{name} already runs XDP program {program} '{program_name}' of another instance; \
             take it off with `sip-filter detach --all`, or name that instance with --name"
        );
    }
    let off = if mode == AttachedMode::Skb {
        "xdpgeneric"
    } else {
        "xdp"
    };
    anyhow!(
        "{name} already runs XDP program {program} '{program_name}'; detach that first \
         (ip link set dev {name} {off} off, or stop what attached it), or use another interface"
    )
}

/// Attaches to one interface and pins the link; what the operator should know, if anything.
fn attach_one(
    instance: &Instance,
    program: &mut Xdp,
    name: &str,
    ifindex: u32,
    mode: Mode,
) -> Result<Option<String>> {
    let (link, notice) = match mode {
        Mode::Auto => match link_to(program, ifindex, XdpMode::Driver) {
            Ok(link) => (link, None),
            Err(native) => {
                let native = format!("{:#}", anyhow!(native));
                let link = link_to(program, ifindex, XdpMode::Skb).map_err(|skb| {
                    anyhow!(skb).context(format!(
                        "{name}: neither native ({native}) nor skb mode can be attached"
                    ))
                })?;
                let notice = format!(
                    "{name}: the driver refuses native mode ({native}); attached in skb mode, \
                     which costs more for each packet"
                );
                (link, Some(notice))
            }
        },
        Mode::Native => (
            one_mode(program, name, ifindex, XdpMode::Driver, "native")?,
            None,
        ),
        Mode::Skb => (one_mode(program, name, ifindex, XdpMode::Skb, "skb")?, None),
        Mode::Hw => (
            one_mode(program, name, ifindex, XdpMode::Hardware, "hw")?,
            None,
        ),
    };
    let link: FdLink = link
        .try_into()
        .context("this kernel has no XDP links; 5.9 or later has")?;
    let pin = instance.link(ifindex);
    link.pin(&pin)
        .with_context(|| format!("cannot pin {}", pin.display()))?;
    Ok(notice)
}

fn link_to(program: &mut Xdp, ifindex: u32, mode: XdpMode) -> Result<XdpLink, ProgramError> {
    let id = program.attach_to_if_index(ifindex, mode)?;
    program.take_link(id)
}

fn one_mode(
    program: &mut Xdp,
    name: &str,
    ifindex: u32,
    mode: XdpMode,
    word: &str,
) -> Result<XdpLink> {
    link_to(program, ifindex, mode).map_err(|error| {
        let next = match mode {
            XdpMode::Skb => "",
            _ => "; use --mode auto, or --mode skb",
        };
        anyhow!(error).context(format!("{name}: {word} mode cannot be attached{next}"))
    })
}

/// Puts the program in the place of the one that a pinned link leads to.
fn replace(program: &mut Xdp, pin: &Path) -> Result<()> {
    let link: FdLink = PinnedLink::from_pin(pin)
        .with_context(|| format!("cannot open the pin {}", pin.display()))?
        .into();
    let link: XdpLink = link.try_into().context("a pinned link is no XDP link")?;
    let id = program
        .attach_to_link(link)
        .with_context(|| format!("cannot replace the program of {}", pin.display()))?;
    // Held by its pin, not by this process.
    drop(FdLink::try_from(program.take_link(id)?)?);
    Ok(())
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
        if let Err(error) = remove_pin(&self.instance.program_beside()) {
            log::error!("{error:#}");
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
