//! What becomes of network interfaces, as rtnetlink tells whoever listens: created, changed, deleted.

use std::{io, os::fd::AsRawFd as _};

use anyhow::{Context, Result};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkFlags, LinkMessage},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use tokio::io::{Interest, unix::AsyncFd};

/// The group of messages about interfaces (`RTNLGRP_LINK` in linux/rtnetlink.h).
const RTNLGRP_LINK: u32 = 1;

/// What the kernel has told of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceChange {
    /// Its index.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// What it is now.
    pub state: InterfaceState,
}

/// What an interface has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterfaceState {
    /// It is there, and taken up.
    Up,
    /// It is there, and taken down, or not up yet.
    Down,
    /// It is deleted, or in another network namespace.
    Gone,
}

/// Listens to what becomes of the interfaces of a network namespace.
pub struct InterfaceWatch {
    socket: AsyncFd<Socket>,
}

impl InterfaceWatch {
    /// Listens from now on, in the network namespace of this thread.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it, or outside a runtime.
    pub fn new() -> Result<Self> {
        let listen = || -> io::Result<AsyncFd<Socket>> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            socket.add_membership(RTNLGRP_LINK)?;
            socket.set_non_blocking(true)?;
            // SAFETY: the socket owns its descriptor, gives the same one each time, and lives as long
            // as the registration.
            let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
            Ok(socket?)
        };
        Ok(Self {
            socket: listen().context("cannot watch the interfaces")?,
        })
    }

    /// Waits until something has changed, and gives what the kernel has told of it, in its order;
    /// nothing where that is not known, since there was too much of it to keep.
    ///
    /// # Errors
    ///
    /// When the kernel tells nothing any more.
    pub async fn changes(&mut self) -> Result<Vec<InterfaceChange>> {
        loop {
            let mut ready = self.socket.readable_mut().await?;
            let mut changes = Vec::new();
            let mut missed = false;
            loop {
                match receive(ready.get_inner_mut()) {
                    Ok(message) => match change(&message) {
                        Some(change) => changes.extend(change),
                        None => missed = true,
                    },
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => missed = true,
                    Err(error) => return Err(error).context("interfaces are not watched any more"),
                }
            }
            ready.clear_ready();
            if missed {
                return Ok(Vec::new());
            }
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }
}

/// The next message, whole.
fn receive(socket: &Socket) -> io::Result<Vec<u8>> {
    let ask = |room: &mut [u8], flags: i32| {
        // SAFETY: the kernel writes at most as many bytes as there is room for.
        let length = unsafe {
            libc::recv(
                socket.as_raw_fd(),
                room.as_mut_ptr().cast(),
                room.len(),
                flags,
            )
        };
        usize::try_from(length).map_err(|_| io::Error::last_os_error())
    };
    let length = ask(&mut [], libc::MSG_PEEK | libc::MSG_TRUNC)?;
    let mut message = vec![0; length];
    let length = ask(&mut message, 0)?;
    message.truncate(length);
    Ok(message)
}

/// What a message tells, if it is of that; `None` where it cannot be read.
fn change(message: &[u8]) -> Option<Option<InterfaceChange>> {
    let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message).ok()?;
    let NetlinkPayload::InnerMessage(message) = message.payload else {
        return Some(None);
    };
    let (link, is_gone) = match message {
        RouteNetlinkMessage::NewLink(link) => (link, false),
        RouteNetlinkMessage::DelLink(link) => (link, true),
        _ => return Some(None),
    };
    let state = match link.header.flags.contains(LinkFlags::Up) {
        _ if is_gone => InterfaceState::Gone,
        true => InterfaceState::Up,
        false => InterfaceState::Down,
    };
    Some(name(&link).map(|name| InterfaceChange {
        ifindex: link.header.index,
        name,
        state,
    }))
}

fn name(link: &LinkMessage) -> Option<String> {
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        })
}
