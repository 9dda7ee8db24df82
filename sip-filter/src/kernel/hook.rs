//! Where in the kernel a program sees packets, and what differs between these places: how a program
//! is attached there, and put in the place of another one.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode, links::FdLink,
    tc::SchedClassifierLink, tc::TcAttachOptions, xdp::XdpLink,
};
use aya_obj::programs::XdpAttachType;

use super::{Mode, preflight};

/// Where in the kernel a program sees packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// At the driver, or for it in the network stack (skb mode): one program on an interface.
    Xdp,
    /// Behind it, at ingress of the network stack: any number of programs on an interface, one after
    /// the other. Linux 6.6 and later.
    Tcx,
}

impl Hook {
    pub(super) const ALL: [Self; 2] = [Self::Xdp, Self::Tcx];

    /// Where a program is attached that was asked for in this mode.
    pub const fn of(mode: Mode) -> Self {
        match mode {
            Mode::Auto | Mode::Native | Mode::Skb | Mode::Hw => Self::Xdp,
            Mode::Tcx => Self::Tcx,
        }
    }

    /// The program that is pinned there.
    pub(super) fn pinned(self, pin: &Path) -> Result<Box<dyn Program>> {
        let open = || -> Result<Box<dyn Program>, ProgramError> {
            Ok(match self {
                Self::Xdp => Box::new(Xdp::from_pin(pin, XdpAttachType::Interface)?),
                Self::Tcx => Box::new(SchedClassifier::from_pin(pin)?),
            })
        };
        open().with_context(|| format!("cannot open the pin {}", pin.display()))
    }
}

/// A program that can be attached.
pub(super) trait Program {
    /// Attaches it to an interface; the link, and what the operator should know, if anything.
    fn attach(&mut self, name: &str, ifindex: u32, mode: Mode) -> Result<(FdLink, Option<String>)>;

    /// Puts it in the place of the program that a link leads to.
    fn replace(&mut self, link: FdLink) -> Result<()>;

    /// Pins it.
    fn pin(&mut self, at: &Path) -> Result<()>;
}

impl Program for Xdp {
    fn attach(&mut self, name: &str, ifindex: u32, mode: Mode) -> Result<(FdLink, Option<String>)> {
        let (link, notice) = match mode {
            Mode::Native => (one_mode(self, name, ifindex, XdpMode::Driver, mode)?, None),
            Mode::Skb => (one_mode(self, name, ifindex, XdpMode::Skb, mode)?, None),
            Mode::Hw => (
                one_mode(self, name, ifindex, XdpMode::Hardware, mode)?,
                None,
            ),
            Mode::Auto => auto(self, name, ifindex)?,
            Mode::Tcx => bail!("an XDP program cannot be attached at tcx"),
        };
        let link = link.try_into();
        let link = link.context("this kernel has no XDP links; 5.9 or later has")?;
        Ok((link, notice))
    }

    fn replace(&mut self, link: FdLink) -> Result<()> {
        let link: XdpLink = link.try_into().context("a pinned link is no XDP link")?;
        let id = self.attach_to_link(link)?;
        // Held by its pin, not by this process.
        drop(FdLink::try_from(self.take_link(id)?)?);
        Ok(())
    }

    fn pin(&mut self, at: &Path) -> Result<()> {
        Ok(Xdp::pin(self, at)?)
    }
}

fn link_to(program: &mut Xdp, ifindex: u32, mode: XdpMode) -> Result<XdpLink, ProgramError> {
    let id = program.attach_to_if_index(ifindex, mode)?;
    program.take_link(id)
}

/// Native where the driver can, and else skb.
fn auto(program: &mut Xdp, name: &str, ifindex: u32) -> Result<(XdpLink, Option<String>)> {
    let native = match link_to(program, ifindex, XdpMode::Driver) {
        Ok(link) => return Ok((link, None)),
        Err(native) => format!("{:#}", anyhow!(native)),
    };
    let link = link_to(program, ifindex, XdpMode::Skb).map_err(|skb| {
        let next = match preflight::has_tcx() {
            true => "; use --mode tcx",
            false => "",
        };
        anyhow!(skb).context(format!(
            "{name}: neither native ({native}) nor skb mode can be attached{next}"
        ))
    })?;
    let notice = format!(
        "{name}: the driver refuses native mode ({native}); attached in skb mode, which costs more \
         for each packet"
    );
    Ok((link, Some(notice)))
}

fn one_mode(
    program: &mut Xdp,
    name: &str,
    ifindex: u32,
    mode: XdpMode,
    asked: Mode,
) -> Result<XdpLink> {
    link_to(program, ifindex, mode).map_err(|error| {
        let next = match (asked, preflight::has_tcx()) {
            (Mode::Skb, false) => "",
            (Mode::Skb, true) => "; use --mode tcx",
            (_, false) => "; use --mode auto, or --mode skb",
            (_, true) => "; use --mode auto, or --mode skb, or --mode tcx",
        };
        anyhow!(error).context(format!("{name}: {asked} mode cannot be attached{next}"))
    })
}

impl Program for SchedClassifier {
    /// Before the programs that are there: one of them may end what follows for a packet (TCX_PASS).
    fn attach(&mut self, name: &str, _: u32, _: Mode) -> Result<(FdLink, Option<String>)> {
        let first = TcAttachOptions::TcxOrder(LinkOrder::first());
        let id = self
            .attach_with_options(name, TcAttachType::Ingress, first)
            .with_context(|| {
                format!("{name}: tcx mode cannot be attached; use --mode auto, or --mode skb")
            })?;
        Ok((self.take_link(id)?.try_into()?, None))
    }

    fn replace(&mut self, link: FdLink) -> Result<()> {
        let link: SchedClassifierLink = link.try_into().context("a pinned link is no tcx link")?;
        let id = self.attach_to_link(link)?;
        // Held by its pin, not by this process.
        drop(FdLink::try_from(self.take_link(id)?)?);
        Ok(())
    }

    fn pin(&mut self, at: &Path) -> Result<()> {
        Ok(SchedClassifier::pin(self, at)?)
    }
}
