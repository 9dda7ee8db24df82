//! A link on which every frame carries a VLAN tag, whatever the kernel was built with.
//!
//! Many small kernels have no VLAN interfaces. So two BPF programs of a few instructions do
//! what one does: at each end the one puts the tag on as a frame leaves, the other takes it
//! off as one arrives, behind XDP. What is on the wire is the same.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    path::Path,
};

use crate::{
    namespace::{Bpffs, Namespace, c_path},
    offload,
    packet::ETHER_VLAN,
    process::set_up,
};

/// Tags what leaves through the interface, and untags what arrives.
///
/// # Panics
///
/// If the kernel does not let it.
pub(crate) fn tag(namespace: &Namespace, interface: &str, id: u16, bpffs: &Bpffs) {
    namespace.inside(|| offload::keep_tags_in_frames(interface));
    let name = namespace.name();
    set_up(&format!("tc -n {name} qdisc add dev {interface} clsact"));
    for (direction, program) in [("egress", push(id).as_slice()), ("ingress", &pop())] {
        let pin = bpffs.path().join(format!("{name}-{direction}"));
        load_and_pin(program, &pin);
        set_up(&format!(
            "tc -n {name} filter add dev {interface} {direction} bpf direct-action object-pinned {}",
            pin.display()
        ));
        // The filter holds the program from here on.
        if let Err(error) = std::fs::remove_file(&pin) {
            panic!("cannot remove {pin:?}: {error}");
        }
    }
}

/// `bpf_skb_vlan_push(skb, protocol, id); return TC_ACT_OK`
fn push(id: u16) -> [u64; 5] {
    const PUSH: u32 = 18;
    [
        MOVE | into(2) | immediate(u32::from(ETHER_VLAN.to_be())),
        MOVE | into(3) | immediate(u32::from(id)),
        CALL | immediate(PUSH),
        MOVE | into(0) | immediate(TC_ACT_OK),
        EXIT,
    ]
}

/// `bpf_skb_vlan_pop(skb); return TC_ACT_OK`
fn pop() -> [u64; 3] {
    const POP: u32 = 19;
    [
        CALL | immediate(POP),
        MOVE | into(0) | immediate(TC_ACT_OK),
        EXIT,
    ]
}

// Instructions as RFC 9669 section 4 encodes them.
const MOVE: u64 = 0xb7;
const CALL: u64 = 0x85;
const EXIT: u64 = 0x95;
const TC_ACT_OK: u32 = 0;

const fn into(register: u64) -> u64 {
    register << 8
}

const fn immediate(value: u32) -> u64 {
    (value as u64) << 32
}

/// The part of the kernel's `bpf_attr` that loading a program needs.
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The part of `bpf_attr` that pinning an object needs.
#[repr(C)]
struct Pin {
    path: u64,
    object: u32,
    flags: u32,
}

/// Every pointer in an attribute is to memory that lives through the call.
fn bpf<T>(command: u32, attribute: &T, what: &str) -> i32 {
    // SAFETY: the attribute is valid for its size, and so are the pointers in it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attribute),
            size_of::<T>(),
        )
    };
    assert!(result >= 0, "cannot {what}: {}", io::Error::last_os_error());
    result as i32
}

fn load_and_pin(instructions: &[u64], pin: &Path) {
    const PROG_LOAD: u32 = 5;
    const OBJ_PIN: u32 = 6;
    const SCHED_CLS: u32 = 3;
    let load = Load {
        program_type: SCHED_CLS,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    let program = bpf(PROG_LOAD, &load, "load the program that tags frames");
    // SAFETY: a descriptor that the kernel has just given.
    let program = unsafe { OwnedFd::from_raw_fd(program) };
    let path = c_path(pin);
    let attribute = Pin {
        path: path.as_ptr() as u64,
        object: program.as_raw_fd() as u32,
        flags: 0,
    };
    bpf(OBJ_PIN, &attribute, "pin the program that tags frames");
}
