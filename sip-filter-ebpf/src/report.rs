//! Reporting what happens for the first time, with the packet that it happened with.
//!
//! What is to be reported is noted in [`Counts::event`] along the way, and sent when all is known of the
//! packet. A flood reports no more than [`Event::MOST`] in a while; the rest is counted.

use aya_ebpf::{
    bindings::{__sk_buff, BPF_ANY, xdp_md},
    programs::{TcContext, XdpContext},
};
use sip_filter_common::{
    abi::{Counts, Event},
    payload::Payload,
};

use crate::{
    count::{Tally, counts},
    ingress::Ingress,
    maps::{EVENTS, REPORTED},
    opaque,
    payload::PacketPayload,
};

/// Notes where the payload is. It is found anew where something is reported: were it kept until then,
/// the verifier would walk all that follows once for each way to the end.
#[inline(always)]
pub fn note(counts: &mut Counts, payload: &PacketPayload) {
    counts.reporting.offset = payload.offset() as u64;
    counts.reporting.length = payload.len() as u64;
}

/// Reports what was noted of a datagram, if anything was.
#[inline(always)]
pub fn event(ctx: &impl Ingress, counts: &mut Counts, tally: &Tally) {
    if counts.event.what == 0 {
        return;
    }
    let facts = tally.facts_at(counts.sent.port as u16);
    counts.event.facts = facts.with_behaviour(counts.sent.behaviour);
    ctx.report();
}

/// Reports what was noted of a frame from the driver.
///
/// A function of the context alone, which the verifier walks once and not at the end of each path
/// through the rest.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn sip_filter_report(ctx: *mut xdp_md) -> u64 {
    noted(&XdpContext::new(ctx))
}

/// The same of a socket buffer.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn sip_filter_report_tcx(skb: *mut __sk_buff) -> u64 {
    noted(&TcContext::new(skb))
}

#[inline(always)]
fn noted(ctx: &impl Ingress) -> u64 {
    let (Some(counts), Some(frame)) = (counts(), ctx.frame()) else {
        return 0;
    };
    if may_report(counts) {
        let (offset, length) = (counts.reporting.offset, counts.reporting.length);
        let payload = PacketPayload::new(&frame, offset as usize, length as usize);
        copy(&payload.apart(), &mut counts.event);
        send(counts);
    }
    counts.event.what = 0;
    0
}

/// Whether there may be another event now.
#[inline(always)]
fn may_report(counts: &mut Counts) -> bool {
    let span = counts.sent.at >> Event::SPAN;
    if counts.reporting.span != span {
        counts.reporting.span = span;
        counts.reporting.events = 0;
    }
    let most = match counts.event.what & Event::BLOCKED {
        0 => Event::MOST,
        _ => Event::MOST_BLOCKED,
    };
    if counts.reporting.events >= most {
        counts.events.suppressed += 1;
        return false;
    }
    counts.reporting.events += 1;
    true
}

/// Copies what the datagram carries, as far as there is room: word by word, and the last word once
/// more up to its end.
#[inline(always)]
fn copy(payload: &PacketPayload, event: &mut Event) {
    let length = payload.len().min(Event::TEXT);
    event.length = length as u64;
    let text = (&raw mut event.text).cast::<u8>();
    if length < 8 {
        for at in payload.rolled(8) {
            let Some(byte) = payload.u8_at(at) else {
                return;
            };
            // SAFETY: inside the text.
            unsafe { text.add(at % 8).write(byte) };
        }
        return;
    }
    let words = payload.apart();
    for number in payload.rolled(Event::TEXT / 8) {
        let Some(word) = words.u64_at(number * 8) else {
            break;
        };
        event.text[number % (Event::TEXT / 8)] = word;
    }
    let last = payload.forget(length - 8) & (Event::TEXT - 1);
    if last <= Event::TEXT - 8
        && let Some(word) = payload.apart().u64_at(last)
    {
        // SAFETY: as above.
        unsafe { text.add(last).cast::<u64>().write_unaligned(word) };
    }
}

#[inline(always)]
fn send(counts: &mut Counts) {
    let (sent, event) = (&counts.sent, &mut counts.event);
    event.at = sent.at;
    event.source = sent.source;
    event.destination = sent.destination;
    let event = opaque::anew(event);
    // Where there is no room for another one, the one that is forgotten is the oldest.
    let _ = REPORTED.insert(&event.source, &*event, BPF_ANY as u64);
    match EVENTS.output::<Event>(&*event, 0) {
        Ok(()) => counts.events.reported += 1,
        Err(_) => counts.events.lost += 1,
    }
}
