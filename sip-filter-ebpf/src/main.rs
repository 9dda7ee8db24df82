//! The programs of sip-filter: one for XDP, and one for tcx, where XDP is not to be had.
//!
//! One direction, one pass: each step takes what the one before gives and nothing else, and
//! every inspected datagram leaves through [`count::datagram`]. Both programs are an entry to the
//! same path.

#![no_std]
#![no_main]
#![expect(
    missing_docs,
    reason = "the macros of programs make items without documentation"
)]
#![expect(
    unstable_features,
    reason = "BPF assembly is how `opaque` hides values"
)]
#![feature(asm_experimental_arch)]

mod count;
mod frame;
mod ingress;
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
    bindings::{
        tcx_action_base::{TCX_DROP, TCX_NEXT},
        xdp_action,
    },
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use sip_filter_common::{
    classify::{self, Classification},
    packet::{self, Packet},
    payload::Payload,
    signature::Hit,
    verdict::Met,
};

use crate::{count::Tally, ingress::Ingress};

/// Inspects one frame as the driver delivers it, in one piece or in several.
#[xdp(frags)]
pub fn sip_filter(ctx: XdpContext) -> u32 {
    filter(ctx)
}

/// The same for kernels that do not take such a program.
#[xdp]
pub fn sip_filter_one(ctx: XdpContext) -> u32 {
    filter(ctx)
}

#[inline(always)]
fn filter(ctx: XdpContext) -> u32 {
    if leaves_at_once(&ctx) {
        return xdp_action::XDP_PASS;
    }
    inspect(ctx)
}

/// Inspects one packet at ingress of the network stack.
///
/// What is not dropped goes on to whatever else is attached there: TCX_PASS would end the look at it.
#[classifier]
pub fn sip_filter_tcx(ctx: TcContext) -> i32 {
    if leaves_at_once(&ctx) {
        return TCX_NEXT;
    }
    ingress::gather(&ctx);
    match inspect(ctx) {
        xdp_action::XDP_DROP => TCX_DROP,
        _ => TCX_NEXT,
    }
}

/// Whether it is plain to see that the port is not inspected.
#[inline(always)]
fn leaves_at_once(ctx: &impl Ingress) -> bool {
    let port = ctx.frame().and_then(|frame| packet::plain_port(&frame));
    matches!(port, Some(port) if !policy::may_inspect(port))
}

/// The whole path; gives what XDP would be told.
///
/// A function of its own, so that what leaves at once saves no registers: that cost it more than
/// the look at its port.
#[inline(never)]
fn inspect<C: Ingress>(ctx: C) -> u32 {
    // Anew, so that the frame is found anew: else the verifier would walk all that follows once
    // for each thing that the look at the port has taught it of the frame.
    let ctx = ctx.anew();
    let Some(frame) = ctx.frame() else {
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
    let frame = match udp.is_whole(&frame) {
        true => frame,
        false => frame.longer(ctx.length()),
    };
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
