//! Network interfaces and the programs on them, as the kernel tells through rtnetlink and bpf(2).

use std::{
    ffi::{CStr, CString},
    fmt, io,
};

use anyhow::{Context, Result, anyhow, bail};
use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage, LinkXdp, XdpAttached},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::{
    Hook,
    syscall::{self, Link},
};

/// How a program is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttachedMode {
    /// In the driver.
    Native,
    /// In the network stack, for the driver.
    Skb,
    /// In the network stack, at tcx ingress.
    Tcx,
    /// On the network card.
    Hw,
    /// Not to be told from here: the interface is in another network namespace, or gone.
    Unknown,
}

impl fmt::Display for AttachedMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Skb => "skb",
            Self::Tcx => "tcx",
            Self::Hw => "hw",
            Self::Unknown => "unknown",
        })
    }
}

/// An interface that a filter is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name in the network namespace of this process.
    pub name: String,
    /// Its index.
    pub ifindex: u32,
    /// How the filter is attached.
    pub mode: AttachedMode,
}

impl Interface {
    /// The interface that a link leads to.
    ///
    /// Where it is not to be seen from this network namespace, its index stands for its name.
    pub(super) fn of(link: &Link) -> Self {
        let ifindex = link.ifindex;
        let seen = name_of(ifindex).zip(mode_of(link).ok().flatten());
        let (name, mode) =
            seen.unwrap_or_else(|| (format!("interface {ifindex}"), AttachedMode::Unknown));
        Self {
            name,
            ifindex,
            mode,
        }
    }
}

/// How the program of a link is attached to the interface that has its index here; `None` where it
/// is not there.
pub(super) fn mode_of(link: &Link) -> Result<Option<AttachedMode>> {
    match link.hook {
        Hook::Xdp => {
            let found = xdp(link.ifindex)?;
            let ours = found.filter(|found| found.program == link.program);
            Ok(ours.map(|ours| ours.mode))
        }
        Hook::Tcx => {
            // Who may not ask sees the pin, and is told no more.
            let programs = syscall::at_tcx_ingress(link.ifindex)?;
            let is_there = programs.is_none_or(|programs| programs.contains(&link.program));
            Ok(is_there.then_some(AttachedMode::Tcx))
        }
    }
}

/// An XDP program on an interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct XdpProgram {
    pub(super) program: u32,
    pub(super) mode: AttachedMode,
}

/// The index of the interface with this name in the network namespace of this thread.
///
/// # Errors
///
/// When there is none.
pub fn index_of(name: &str) -> Result<u32> {
    let c_name = CString::new(name).with_context(|| format!("{name:?} cannot be an interface"))?;
    // SAFETY: the name ends in a zero byte.
    match unsafe { libc::if_nametoindex(c_name.as_ptr()) } {
        0 => {
            let error = io::Error::last_os_error();
            if error.raw_os_error() == Some(libc::ENODEV) {
                bail!("there is no interface {name}; `ip link` lists those there are");
            }
            Err(error).with_context(|| format!("cannot look up the interface {name}"))
        }
        index => Ok(index),
    }
}

/// The name of the interface with this index in the network namespace of this thread.
pub fn name_of(ifindex: u32) -> Option<String> {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the size that the function asks for.
    let found = unsafe { libc::if_indextoname(ifindex, name.as_mut_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: the function has written a string that ends in a zero byte.
    unsafe { CStr::from_ptr(name.as_ptr()) }
        .to_str()
        .ok()
        .map(str::to_owned)
}

/// Whether the interface with this index is up, where that can be asked for.
pub fn is_up(ifindex: u32) -> Option<bool> {
    let link = link(ifindex).ok()?;
    Some(link.header.flags.contains(LinkFlags::Up))
}

/// Whether what arrives at the interface with this index has an Ethernet header.
pub(super) fn is_ethernet(ifindex: u32) -> Result<bool> {
    let link = link(ifindex).with_context(|| format!("cannot ask for interface {ifindex}"))?;
    let kind = link.header.link_layer_type;
    Ok(matches!(
        kind,
        LinkLayerType::Ether | LinkLayerType::Loopback
    ))
}

/// The XDP program on the interface with this index.
pub(super) fn xdp(ifindex: u32) -> Result<Option<XdpProgram>> {
    let link = link(ifindex).with_context(|| format!("cannot ask for interface {ifindex}"))?;
    let attributes = link
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Xdp(attributes) => Some(attributes),
            _ => None,
        });
    let mut mode = None;
    let mut program = None;
    for attribute in attributes.into_iter().flatten() {
        match attribute {
            LinkXdp::Attached(XdpAttached::Driver) => mode = Some(AttachedMode::Native),
            LinkXdp::Attached(XdpAttached::SocketBuffer) => mode = Some(AttachedMode::Skb),
            LinkXdp::Attached(XdpAttached::Hardware) => mode = Some(AttachedMode::Hw),
            LinkXdp::Attached(XdpAttached::Multiple) => mode = Some(AttachedMode::Unknown),
            LinkXdp::ProgId(id)
            | LinkXdp::DrvProgId(id)
            | LinkXdp::SkbProgId(id)
            | LinkXdp::HwProgId(id) => program = program.or(Some(*id)),
            _ => {}
        }
    }
    Ok(mode
        .zip(program)
        .map(|(mode, program)| XdpProgram { program, mode }))
}

/// One interface's whole description (RTM_GETLINK).
fn link(ifindex: u32) -> Result<LinkMessage> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;

    let mut message = LinkMessage::default();
    message.header.index = ifindex;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut request = NetlinkMessage::new(
        header,
        NetlinkPayload::from(RouteNetlinkMessage::GetLink(message)),
    );
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;

    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
        .map_err(|error| anyhow!("the kernel's answer cannot be read: {error}"))?;
    match answer.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => Ok(link),
        NetlinkPayload::Error(error) => Err(error.to_io().into()),
        other => bail!("the kernel answered {other:?}"),
    }
}
