//! Counting by source, each packet exactly once: in the place that each CPU has for what a source
//! has sent lately, or in the map that all CPUs share. See [`Recent`] for how the two go together.

use aya_ebpf::bindings::BPF_NOEXIST;
use core::arch::asm;
use sip_filter_common::{
    abi::{Address, Counts, Event, Facts, MAX_TOOLS, Recent, SourceCount},
    sender::Sent,
    sip::MessageClass,
    verdict::Reason,
};

use crate::{
    count::counts,
    maps::{RECOGNISED, SOURCES},
};

/// How many reasons a source's packets are counted by.
const REASONS: usize = Reason::COUNT - 1;

/// What a new source begins with. A value this large has no room on the program's stack.
static NEW_SOURCE: SourceCount = SourceCount::ZERO;

/// Counts the datagram of which these are the facts.
#[inline(always)]
pub fn count(counts: &mut Counts, facts: Facts) {
    let Sent {
        source, length, at, ..
    } = counts.sent;
    let number = Recent::place(&source, facts);
    let place = &mut counts.recent[number];
    if place.at == at && place.facts == facts && place.source == source {
        place.packets += 1;
        place.bytes += length;
        return;
    }
    if facts.is_telling() {
        sip_filter_first(facts.0);
    }
    if place.at == at {
        // What has the place keeps it for this jiffy, or two floods would move each other on.
        put(&mut counts.recent[Recent::PASSING], &counts.sent, facts);
        sip_filter_list(Recent::PASSING as u64);
    } else {
        let begun = place.begun + 1;
        // SAFETY: a reference. Volatile, for readers on other CPUs rely on the order.
        unsafe { (&raw mut place.begun).write_volatile(begun) };
        sip_filter_list(number as u64);
        put(place, &counts.sent, facts);
        // SAFETY: as above.
        unsafe { (&raw mut place.ended).write_volatile(begun) };
    }
}

/// Writes one packet over what is in a place.
#[inline(always)]
fn put(place: &mut Recent, sent: &Sent, facts: Facts) {
    // SAFETY: references. Volatile, so that all is written before the place is marked as whole.
    unsafe {
        (&raw mut place.source).write_volatile(sent.source);
        (&raw mut place.facts).write_volatile(facts);
        (&raw mut place.at).write_volatile(sent.at);
        (&raw mut place.packets).write_volatile(1);
        (&raw mut place.bytes).write_volatile(sent.length);
    }
}

/// A function of numbers alone, which the verifier walks once and not at the end of each path
/// through the rest.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sip_filter_list(number: u64) -> u64 {
    if let Some(counts) = counts()
        && let Some(sent) = counts.recent.get(number as usize)
        && list(sent).is_none()
    {
        counts.totals.unlisted += sent.packets;
    }
    0
}

/// Where a source is counted whose packets have these facts; `None` where the map has no room for
/// another source.
#[inline(always)]
fn entry(source: &Address, facts: Facts) -> Option<*mut SourceCount> {
    let mut entry = RECOGNISED.get_ptr_mut(source);
    if entry.is_none() && (facts.hostile() != 0 || facts.behaviour() != 0) {
        // Another CPU may be first; then its entry is the one to count in. Where there is no room,
        // the source is one of many.
        let _ = RECOGNISED.insert(source, &NEW_SOURCE, BPF_NOEXIST as u64);
        entry = RECOGNISED.get_ptr_mut(source);
    }
    if entry.is_none() {
        entry = SOURCES.get_ptr_mut(source);
    }
    match entry {
        Some(entry) => Some(entry),
        None => {
            let _ = SOURCES.insert(source, &NEW_SOURCE, BPF_NOEXIST as u64);
            SOURCES.get_ptr_mut(source)
        }
    }
}

/// Whether a source is seen with a tool, or in a behaviour, for the first time is known here and now:
/// packets are added to its entry later.
///
/// A function of a number alone, as [`sip_filter_list`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sip_filter_first(facts: u64) -> u64 {
    let facts = Facts(facts);
    let (tool, behaviour) = (facts.tool(), facts.behaviour());
    let Some(counts) = counts() else {
        return 0;
    };
    let Some(source) = entry(&counts.sent.source, facts) else {
        return 0;
    };
    // SAFETY: as in `list`.
    unsafe {
        if (*source).first_seen == 0 {
            (*source).first_seen = counts.sent.at;
            (*source).last_seen = counts.sent.at;
        }
        if tool < MAX_TOOLS && (*source).tools[tool] == 0 {
            (*source).tools[tool] = 1;
            counts.event.what |= Event::TOOL;
        }
        if behaviour != 0 && (*source).behaviours[behaviour] == 0 {
            (*source).behaviours[behaviour] = 1;
            counts.event.what |= Event::BEHAVIOUR;
        }
    }
    0
}

/// Adds packets to the map; `None` where it has no room for another source.
#[inline(always)]
fn list(sent: &Recent) -> Option<()> {
    let (class, tool) = (sent.facts.class(), sent.facts.tool());
    // A place that was never taken holds none.
    if sent.packets == 0 || class >= MessageClass::COUNT {
        return Some(());
    }
    let behaviour = sent.facts.behaviour();
    let source = entry(&sent.source, sent.facts)?;
    // SAFETY: the value lives as long as the program runs. Other CPUs may write to it at the
    // same time: counters are added to atomically, and every other field is written whole,
    // with a value that is as good as the other CPU's.
    unsafe {
        add(&raw mut (*source).classes[class], sent.packets);
        if let Some(reason) = sent.facts.reason() {
            add(&raw mut (*source).reasons[reason % REASONS], sent.packets);
        }
        if sent.facts.hostile() != 0 {
            add(&raw mut (*source).scanner, sent.packets);
        }
        if sent.facts.dropped() != 0 {
            add(&raw mut (*source).dropped, sent.packets);
        }
        if sent.facts.would_drop() != 0 {
            add(&raw mut (*source).would_drop, sent.packets);
        }
        add(&raw mut (*source).bytes, sent.bytes);
        // What another CPU has moved earlier may have arrived later.
        let first_seen = (*source).first_seen;
        if first_seen == 0 || first_seen > sent.at {
            (*source).first_seen = sent.at;
        }
        if (*source).last_seen < sent.at {
            (*source).last_seen = sent.at;
        }
        (*source).ports[SourceCount::port(sent.facts.port())] = 1;
        if tool < MAX_TOOLS {
            (*source).tools[tool] = 1;
        }
        if behaviour != 0 {
            (*source).behaviours[behaviour] = 1;
        }
    }
    Some(())
}

/// Adds to a counter that other CPUs may add to.
///
/// # Safety
///
/// `counter` points to a live, aligned `u64`.
#[inline(always)]
pub unsafe fn add(counter: *mut u64, by: u64) {
    // SAFETY: as the caller promises. The one atomic instruction that kernels before 5.12
    // know; the target has no atomic type that compiles to it.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {by}", counter = in(reg) counter, by = in(reg) by);
    }
}
