//! Single frames handed to the program in the kernel (BPF_PROG_TEST_RUN, which needs root):
//! what becomes of each, and that it is counted once and in the right place.
//!
//! Tables of frames say what the program reads and what it does not; the classifier itself has
//! its tables in `sip-filter-common`, and here both are asked about the same payloads.

/// A test for each hook, of what both programs do alike.
macro_rules! at_each_hook {
    ($($test:ident)*) => {
        mod at_xdp {
            $(#[test] fn $test() { super::$test(sip_filter::kernel::Hook::Xdp) })*
        }
        mod at_tcx {
            $(#[test] fn $test() { super::$test(sip_filter::kernel::Hook::Tcx) })*
        }
    };
}

mod datagrams;
mod headers;
mod kernel_and_host;
mod loading;
mod rows;
mod verdicts;

use sip_filter::kernel::Hook;
use sip_filter_tests::{
    kernel::{Policy, Program},
    messages,
    packet::Frame,
};

/// The default of `--ports`.
const PORTS: &str = "5060-5100,6060";
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: usize = 8;

/// Where [`ipv4`] comes from.
const FROM_IPV4: &str = "198.51.100.7";
/// Where [`ipv6`] comes from.
const FROM_IPV6: &str = "2001:db8::7";

/// svmap's probe, which `--drop scanners` drops.
fn ipv4() -> Frame {
    Frame::to("192.0.2.10")
        .from(FROM_IPV4)
        .payload(messages::SVMAP)
}

/// The same over IPv6.
fn ipv6() -> Frame {
    Frame::to("2001:db8::10")
        .from(FROM_IPV6)
        .payload(messages::SVMAP_IPV6)
}
/// So many random frames; fewer at tcx, where the same code was only compiled again.
const fn many(hook: Hook, frames: usize) -> usize {
    match hook {
        Hook::Xdp => frames,
        Hook::Tcx => frames / 5,
    }
}

/// The program at this hook, with what `--drop` and `--ports` take.
fn program(hook: Hook, drop: &str, ports: &str) -> Program {
    Program::load_as(Policy::new(drop, ports).at(hook), false)
}
