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
mod lists;
mod log;
mod maps;
mod opaque;
mod payload;
mod policy;
mod source;
mod step;
mod watch;

use aya_ebpf::{
    bindings::{xdp_action, xdp_md},
    macros::xdp,
    programs::XdpContext,
};
use sip_filter_common::{
    classify::{self, Classification, Destination},
    packet::{self, Packet},
    payload::Payload,
    signature::Hit,
    verdict::Met,
};

use crate::{count::Tally, frame::PacketFrame};

/// Inspects one frame at ingress.
#[xdp]
pub fn sip_filter(ctx: XdpContext) -> u32 {
    if let Some(frame) = PacketFrame::new(ctx.data(), ctx.data_end())
        && let Some(port) = packet::plain_port(&frame)
        && !policy::may_inspect(port)
    {
        return xdp_action::XDP_PASS;
    }
    inspect(ctx.ctx)
}

/// The whole path.
///
/// A function of its own, so that what leaves at once saves no registers: that cost it more than
/// the look at its port.
#[inline(never)]
fn inspect(ctx: *mut xdp_md) -> u32 {
    // Opaque, so that the frame is found anew: else the verifier would walk all that follows once
    // for each thing that the look at the port has taught it of the frame.
    let ctx = XdpContext::new(opaque::constant(ctx as usize) as *mut xdp_md);
    let Some(frame) = PacketFrame::new(ctx.data(), ctx.data_end()) else {
        return count::unreadable();
    };
    let udp = match packet::parse(&frame) {
        Packet::Udp(udp) => udp,
        Packet::LaterFragment => return count::fragment(),
        Packet::Unreadable => return count::unreadable(),
        Packet::Other => return xdp_action::XDP_PASS,
    };
    if !policy::may_inspect(udp.port) {
        return xdp_action::XDP_PASS;
    }
    let Some(datagram) = udp.datagram(&frame) else {
        return count::unreadable();
    };
    let datagram = payload::forget(datagram);
    if !policy::inspects(&datagram) {
        return xdp_action::XDP_PASS;
    }
    let Some(work) = maps::work() else {
        return count::unreadable();
    };
    let destination = Destination {
        address: datagram.destination,
        port: datagram.port,
    };
    let now = count::now();
    let mut met = lists::find(&datagram.source, now);
    let class = classify::class(&datagram.payload, work);
    let mut found = Classification {
        class,
        hit: Hit::NONE,
    };
    let mut behaviour = 0;
    if !met.contains(Met::BLOCKED.and(Met::ESCALATED)) {
        let payload = &datagram.payload.apart();
        found = classify::recognise(payload, class, &destination, policy::signatures(), work);
        if !met.contains(Met::ALLOWED) {
            let judgement = watch::judge(&datagram, &found, work, now);
            met = met.and(judgement.met());
            behaviour = judgement.behaviour();
        }
    }
    let outcome = policy::decide(&found, met);
    let tally = Tally::new(&datagram, &found, outcome, behaviour);
    count::datagram(&datagram, &tally, now);
    log::verdict(&ctx, &datagram, &tally);
    tally.action()
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
