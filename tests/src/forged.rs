//! Datagrams that carry another's source address, as whoever sends UDP can have them do.

use std::{
    io,
    net::UdpSocket,
    os::fd::{FromRawFd as _, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use crate::{
    namespace::{Link, Namespace, SCANNER_IPV6, SERVER_IPV6},
    packet::Frame,
};

/// The length of an Ethernet header, in bytes.
const ETHERNET: usize = 14;

/// A port that the filter does not look at.
const UNINSPECTED: u16 = 9;
const PATIENCE: Duration = Duration::from_secs(60);

/// A link across which IPv6 packets go at once: until the neighbour is known, few of them wait for it.
///
/// # Panics
///
/// Without root, or if nobody answers.
pub fn link() -> Link {
    let link = Link::new();
    let socket = link.outside.udp_socket(SCANNER_IPV6);
    let end = Instant::now() + PATIENCE;
    while !link.outside.ip("-6 neigh").contains("lladdr") {
        assert!(Instant::now() < end, "nobody is at {SERVER_IPV6}");
        let sent = socket.send_to(b"", (SERVER_IPV6, UNINSPECTED));
        sent.unwrap_or_else(|error| panic!("{error}"));
        thread::sleep(Duration::from_millis(10));
    }
    link
}

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
