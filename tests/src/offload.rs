//! What an interface leaves to its hardware, or to nobody: turned off, so that a frame is whole
//! where it is watched.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

// The kernel's `ethtool_value` is a command and its value (linux/ethtool.h).
const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// Turns VLAN offload off: with it a tag travels beside the frame, where XDP does not see it.
/// For the thread's own network namespace.
///
/// # Panics
///
/// If there is no such interface.
pub(crate) fn keep_tags_in_frames(interface: &str) {
    const GET_FLAGS: u32 = 0x25;
    const SET_FLAGS: u32 = 0x26;
    const TX_VLAN: u32 = 1 << 7;
    const RX_VLAN: u32 = 1 << 8;
    let flags = ethtool(interface, GET_FLAGS, 0);
    ethtool(interface, SET_FLAGS, flags & !(TX_VLAN | RX_VLAN));
}

/// Turns checksum offload off: with it a virtual link carries checksums that nobody completes.
/// For the thread's own network namespace.
///
/// # Panics
///
/// If there is no such interface.
pub fn complete_checksums(interface: &str) {
    const SET_TX_CHECKSUM: u32 = 0x17;
    ethtool(interface, SET_TX_CHECKSUM, 0);
}

/// Carries the command out and returns the value that the kernel has left there.
fn ethtool(interface: &str, command: u32, value: u32) -> u32 {
    // SAFETY: a system call without pointers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    assert!(
        socket >= 0,
        "cannot make a socket: {}",
        io::Error::last_os_error()
    );
    // SAFETY: a descriptor that the kernel has just given.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let mut command_and_value = [command, value];
    // SAFETY: an all-zero `ifreq` is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *place = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_data = command_and_value.as_mut_ptr().cast();
    // SAFETY: the request points to a value of the command's size.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &mut request) };
    assert_eq!(
        result,
        0,
        "{interface}: offload: {}",
        io::Error::last_os_error()
    );
    command_and_value[1]
}
