//! What really is on a link: every UDP datagram that passes an interface, counted without
//! the filter's help.

use std::{
    ffi::CString,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::SystemTime,
};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use crate::namespace::Namespace;

/// A UDP datagram that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Whether it left through the interface, or arrived.
    pub sent: bool,
    /// Where it is from.
    pub source: SocketAddr,
    /// Where it is to.
    pub destination: SocketAddr,
    /// Whether it carries an 802.1Q or 802.1ad tag.
    pub tagged: bool,
    /// When it was seen.
    pub at: SystemTime,
    /// The whole frame, without the frame check sequence.
    pub frame: Vec<u8>,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// A packet socket that takes note of what passes an interface, until it is finished.
#[derive(Debug)]
pub struct Watch {
    socket: Arc<OwnedFd>,
    finished: Arc<AtomicBool>,
    reader: JoinHandle<Vec<Datagram>>,
}

impl Watch {
    /// Begins to watch.
    ///
    /// # Panics
    ///
    /// If there is no such interface.
    pub fn on(namespace: &Namespace, interface: &str) -> Self {
        let socket = Arc::new(namespace.inside(|| packet_socket(interface)));
        let finished = Arc::new(AtomicBool::new(false));
        let reader = thread::spawn({
            let (socket, finished) = (Arc::clone(&socket), Arc::clone(&finished));
            move || read(&socket, &finished)
        });
        Self {
            socket,
            finished,
            reader,
        }
    }

    /// Ends it and gives every datagram in the order in which they passed.
    ///
    /// # Panics
    ///
    /// If the socket had no room for all of them: then they cannot be counted.
    pub fn finish(self) -> Vec<Datagram> {
        let Self {
            socket,
            finished,
            reader,
        } = self;
        finished.store(true, Ordering::Relaxed);
        let Ok(datagrams) = reader.join() else {
            panic!("the watch has panicked")
        };
        assert_eq!(lost(&socket), 0, "packets that the watch had no room for");
        datagrams
    }
}

fn packet_socket(interface: &str) -> OwnedFd {
    let Ok(name) = CString::new(interface) else {
        panic!("{interface:?} is no interface")
    };
    // SAFETY: the name ends in a zero byte.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    assert_ne!(
        index,
        0,
        "no interface {interface}: {}",
        io::Error::last_os_error()
    );
    let every_protocol = (libc::ETH_P_ALL as u16).to_be();
    // Without a protocol it gets nothing until it is bound to the interface.
    // SAFETY: a system call without pointers.
    let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    assert!(
        socket >= 0,
        "cannot make a packet socket: {}",
        io::Error::last_os_error()
    );
    // SAFETY: a descriptor that the kernel has just given.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let buffer: libc::c_int = 16 << 20;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &buffer);
    // So that the reader sees now and then whether it is to end.
    let patience = libc::timeval {
        tv_sec: 0,
        tv_usec: 200_000,
    };
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &patience);
    let with_tags: libc::c_int = 1;
    set_option(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, &with_tags);
    // SAFETY: an all-zero address is valid.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = every_protocol;
    address.sll_ifindex = index as i32;
    // SAFETY: an address of the size that is given.
    let bound = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    assert_eq!(
        bound,
        0,
        "cannot watch {interface}: {}",
        io::Error::last_os_error()
    );
    socket
}

fn set_option<T>(socket: &OwnedFd, level: i32, option: i32, value: &T) {
    // SAFETY: a value of the size that is given.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    assert_eq!(
        set,
        0,
        "socket option {option}: {}",
        io::Error::last_os_error()
    );
}

fn lost(socket: &OwnedFd) -> u32 {
    let mut statistics = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut length = size_of_val(&statistics) as libc::socklen_t;
    // SAFETY: a value of the size that is given.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &mut length,
        )
    };
    assert_eq!(got, 0, "packet statistics: {}", io::Error::last_os_error());
    statistics.tp_drops
}

fn read(socket: &OwnedFd, finished: &AtomicBool) -> Vec<Datagram> {
    let mut datagrams = Vec::new();
    let mut frame = vec![0; 65_536];
    loop {
        // What passed before the end was asked for is still read.
        let ending = finished.load(Ordering::Relaxed);
        match receive(socket, &mut frame) {
            Some(Arrival {
                length,
                sent,
                tag_beside,
            }) => {
                datagrams.extend(datagram(&frame[..length], sent, tag_beside));
            }
            None if ending => return datagrams,
            None => {}
        }
    }
}

struct Arrival {
    length: usize,
    sent: bool,
    /// The kernel has taken the tag out of the frame.
    tag_beside: bool,
}

/// The next frame; none for a while, or the socket is closed.
fn receive(socket: &OwnedFd, frame: &mut [u8]) -> Option<Arrival> {
    const CONTROL: usize = 64;
    // SAFETY: an all-zero address is valid.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut place = libc::iovec {
        iov_base: frame.as_mut_ptr().cast(),
        iov_len: frame.len(),
    };
    // Aligned as the control messages in it are.
    let mut control = [0_u64; CONTROL / 8];
    // SAFETY: an all-zero message is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut address).cast();
    message.msg_namelen = size_of_val(&address) as libc::socklen_t;
    message.msg_iov = &mut place;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL;
    // SAFETY: every pointer is to memory of the size that is given.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, 0) };
    let length = usize::try_from(length).ok()?;
    // SAFETY: the kernel has filled in a message whose control part is valid.
    let first = unsafe { libc::CMSG_FIRSTHDR(&message) };
    let tag_beside = !first.is_null() && {
        // SAFETY: PACKET_AUXDATA, which is the only control message asked for.
        let auxiliary = unsafe {
            libc::CMSG_DATA(first)
                .cast::<libc::tpacket_auxdata>()
                .read_unaligned()
        };
        auxiliary.tp_status & libc::TP_STATUS_VLAN_VALID != 0
    };
    let sent = address.sll_pkttype == libc::PACKET_OUTGOING;
    Some(Arrival {
        length,
        sent,
        tag_beside,
    })
}

fn datagram(frame: &[u8], sent: bool, tag_beside: bool) -> Option<Datagram> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let (source, destination): (IpAddr, IpAddr) = match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        NetSlice::Ipv6(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        NetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Udp(udp)) = &packet.transport else {
        return None;
    };
    Some(Datagram {
        sent,
        source: SocketAddr::new(source, udp.source_port()),
        destination: SocketAddr::new(destination, udp.destination_port()),
        tagged: tag_beside || packet.vlan().is_some(),
        at: SystemTime::now(),
        frame: frame.to_vec(),
        payload: udp.payload().to_vec(),
    })
}
