//! The XDP program of sip-filter.
//!
//! One direction, one pass: each step takes what the one before gives and nothing else, and
//! every inspected datagram leaves through [`count::datagram`].

#![no_std]
#![no_main]
#![expect(
    missing_docs,
    reason = "the `xdp` macro makes an item without documentation"
)]
#![expect(
    unstable_features,
    reason = "BPF assembly is how `opaque` hides values"
)]
#![feature(asm_experimental_arch)]

mod count;
mod frame;
mod log;
mod maps;
mod opaque;
mod packet;
mod payload;
mod policy;

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use sip_filter_common::classify;

use crate::{count::Tally, frame::Frame, packet::Packet};

/// Inspects one frame at ingress.
#[xdp]
pub fn sip_filter(ctx: XdpContext) -> u32 {
    let Some(frame) = Frame::new(ctx.data(), ctx.data_end()) else {
        return count::unreadable();
    };
    match packet::parse(&frame) {
        Packet::Datagram(datagram) => {
            if !policy::inspects(&datagram) {
                return xdp_action::XDP_PASS;
            }
            let found = classify::classify(&datagram.payload, policy::signatures());
            let outcome = policy::decide(&found);
            let tally = Tally::new(&datagram, &found, outcome);
            count::datagram(&datagram, &tally);
            log::verdict(&ctx, &datagram, &tally);
            tally.action()
        }
        Packet::LaterFragment => count::fragment(),
        Packet::Unreadable => count::unreadable(),
        Packet::Other => xdp_action::XDP_PASS,
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
