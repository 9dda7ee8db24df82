//! The yardstick of the kernel benchmark: an XDP program that drops every packet unseen.

#![no_std]
#![no_main]
#![expect(
    missing_docs,
    reason = "the `xdp` macro makes an item without documentation"
)]

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};

/// Drops the packet.
#[xdp]
pub fn empty(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
