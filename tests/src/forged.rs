//! Datagrams that carry another's source address, as whoever sends UDP can have them do.

use std::{
    io,
    net::UdpSocket,
    os::fd::{FromRawFd as _, OwnedFd},
};

use crate::{namespace::Namespace, packet::Frame};

/// The length of an Ethernet header, in bytes.
const ETHERNET: usize = 14;

/// Sends IP packets as they are, whatever source they name (`IPPROTO_RAW` in raw(7)).
#[derive(Debug)]
pub struct Forger {
    // The system calls of a raw socket are those of a UDP socket.
    socket: UdpSocket,
}

impl Forger {
    /// One of IPv4 packets, inside.
    ///
    /// # Panics
    ///
    /// Without root.
    pub fn new(namespace: &Namespace) -> Self {
        Self::of(namespace, libc::AF_INET)
    }

    /// One of IPv6 packets, inside.
    ///
    /// # Panics
    ///
    /// Without root.
    pub fn ipv6(namespace: &Namespace) -> Self {
        Self::of(namespace, libc::AF_INET6)
    }

    fn of(namespace: &Namespace, family: i32) -> Self {
        let socket = namespace.inside(|| {
            let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
            // SAFETY: a system call without pointers.
            unsafe { libc::socket(family, kind, libc::IPPROTO_RAW) }
        });
        assert!(
            socket >= 0,
            "cannot make a raw socket: {}",
            io::Error::last_os_error()
        );
        // SAFETY: a descriptor that the kernel has just given.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        Self {
            socket: socket.into(),
        }
    }

    /// Sends what an untagged frame carries to the address that it names.
    ///
    /// # Panics
    ///
    /// If the kernel refuses it.
    pub fn send(&self, frame: &Frame, to: &str) {
        let packet = &frame.bytes()[ETHERNET..];
        if let Err(error) = self.socket.send_to(packet, (to, 0)) {
            panic!("cannot send a packet to {to}: {error}");
        }
    }
}
