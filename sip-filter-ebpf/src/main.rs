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
mod report;
mod source;
mod step;
mod watch;

use aya_ebpf::{
    bindings::{xdp_action, xdp_md},
    macros::xdp,
    programs::XdpContext,
};
use sip_filter_common::{
    classify::{self, Classification},
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
    let (Some(work), Some(counts)) = (maps::work(), count::counts()) else {
        return count::unreadable();
    };
    let now = count::now(counts);
    let sent = &mut counts.sent;
    sent.note(&datagram, now);
    let payload = datagram.payload;
    report::note(counts, &payload);
    let sent = &mut counts.sent;
    lists::ask(sent, &mut counts.event);
    let class = classify::class(&payload, work);
    let mut found = Classification {
        class,
        hit: Hit::NONE,
    };
    let sent = opaque::anew(sent);
    if !sent.has_met(Met::BLOCKED.and(Met::ESCALATED)) {
        let payload = &payload.apart();
        let destination = sent.destination();
        found = classify::recognise(payload, class, &destination, policy::signatures(), work);
        if !sent.has_met(Met::ALLOWED) {
            watch::judge(payload, &found, work, sent);
        }
    }
    let counts = opaque::anew(counts);
    let tally = Tally::new(&payload, &found, &counts.sent);
    count::datagram(counts, &tally);
    report::event(&ctx, counts, &tally);
    log::verdict(&ctx, &counts.sent, &tally);
    tally.action()
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
