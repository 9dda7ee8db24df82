//! Counting: totals, tools, ports and sources, each packet exactly once.
//!
//! Totals, tools and ports are per CPU and need no atomic operation: an XDP program is not
//! interrupted by another one on its CPU. Sources are shared by all CPUs and added to
//! atomically.

use aya_ebpf::{
    Global,
    bindings::{BPF_NOEXIST, xdp_action},
    helpers::{bpf_jiffies64, bpf_ktime_get_coarse_ns, bpf_ktime_get_ns},
};
use core::arch::asm;
use sip_filter_common::{
    abi::{Counts, MAX_TOOLS, PortCount, PortPlace, SourceCount, Totals},
    classify::Classification,
    payload::Payload,
    sip::MessageClass,
    verdict::Outcome,
};

use crate::{
    maps::{COUNTS, PORTS, SOURCES},
    payload::Datagram,
};

// Named in `sip_filter_common::abi::global`.
#[unsafe(no_mangle)]
static COARSE_CLOCK: Global<u32> = Global::new(0);

/// What a new source and a new port begin with. A value this large has no room on the
/// program's stack.
static NEW_SOURCE: SourceCount = SourceCount::ZERO;
static NEW_PORT: PortCount = PortCount {
    packets: 0,
    scanner: 0,
    dropped: 0,
};

/// Counts a later fragment, which passes.
#[inline(always)]
pub fn fragment() -> u32 {
    if let Some(counts) = counts() {
        counts.totals.fragments += 1;
    }
    xdp_action::XDP_PASS
}

/// Counts a frame that cannot be read below SIP, which passes.
#[inline(always)]
pub fn unreadable() -> u32 {
    if let Some(counts) = counts() {
        counts.totals.unreadable += 1;
    }
    xdp_action::XDP_PASS
}

/// What is counted of a datagram, as numbers of which the verifier knows their bounds alone:
/// else it would walk all that follows once for each class, outcome and tool.
pub struct Tally {
    /// A [`MessageClass`], or more than any.
    class: usize,
    /// Where [`SourceCount::outcomes`] counts it, or more than any.
    place: usize,
    /// Where [`Totals::cells`] counts it, or more than any.
    cell: usize,
    /// The tool's number, [`NO_TOOL`] where none was recognised.
    tool: usize,
    /// 1 for a recognised tool of a dropping kind.
    hostile: u64,
    /// 1 when the packet is dropped.
    dropped: u64,
    /// 1 when it passes although a counting rule met it.
    would_drop: u64,
}

const NO_TOOL: usize = 0xff;
const _: () = assert!(MAX_TOOLS <= NO_TOOL && Totals::CELLS <= 0xff);

impl Tally {
    /// Of a datagram in which this was found.
    #[inline(always)]
    pub fn new(datagram: &Datagram, found: &Classification, outcome: Outcome) -> Self {
        let unbounded = |number: usize| datagram.payload.forget(number);
        let hostile = matches!(found.tool(), Some(tool) if tool.is_hostile());
        let tool = match found.tool() {
            Some(tool) => tool.tool() as usize,
            None => NO_TOOL,
        };
        Self {
            class: unbounded(found.class as usize) & 0xff,
            place: unbounded(SourceCount::outcome(hostile, outcome)) & 0xff,
            cell: unbounded(Totals::cell(found.class, hostile, outcome)) & 0xff,
            tool: unbounded(tool) & 0xff,
            hostile: unbounded(hostile as usize) as u64 & 1,
            dropped: unbounded(outcome.is_drop() as usize) as u64 & 1,
            would_drop: unbounded(outcome.is_would_drop() as usize) as u64 & 1,
        }
    }

    /// The message class.
    #[inline(always)]
    pub fn class(&self) -> u8 {
        self.class as u8
    }

    /// The outcome.
    #[inline(always)]
    pub fn outcome(&self) -> u8 {
        (self.place % Outcome::COUNT) as u8
    }

    /// The tool's number, or more than any.
    #[inline(always)]
    pub fn tool(&self) -> u8 {
        self.tool as u8
    }

    /// What the driver is to do with the packet.
    #[inline(always)]
    pub fn action(&self) -> u32 {
        const _: () = assert!(xdp_action::XDP_DROP + 1 == xdp_action::XDP_PASS);
        xdp_action::XDP_PASS - self.dropped as u32
    }
}

/// Counts an inspected datagram.
#[inline(always)]
pub fn datagram(datagram: &Datagram, tally: &Tally) {
    let Some(counts) = counts() else {
        return;
    };
    if let Some(cell) = counts.totals.cells.get_mut(tally.cell) {
        cell.packets += 1;
        cell.bytes += datagram.length as u64;
    }
    if let Some(count) = counts.tools.tools.get_mut(tally.tool) {
        count.packets += 1;
        count.dropped += tally.dropped;
        count.would_drop += tally.would_drop;
    }
    count_port(counts, datagram.port, tally);
    let now = now(counts);
    if count_source(datagram, tally, now).is_none() {
        counts.totals.unlisted += 1;
    }
}

#[inline(always)]
fn counts() -> Option<&'static mut Counts> {
    let counts = COUNTS.get_ptr_mut(0)?;
    // SAFETY: a per-CPU value, which only the program on this CPU uses.
    Some(unsafe { &mut *counts })
}

#[inline(always)]
fn count_port(counts: &mut Counts, port: u16, tally: &Tally) {
    let place = &mut counts.ports[PortPlace::of(port)];
    let mark = u64::from(port) + 1;
    let count = if place.taken_by == mark {
        &mut place.count
    } else if place.taken_by == 0 {
        place.taken_by = mark;
        &mut place.count
    } else {
        match placeless_port(u32::from(port)) {
            Some(count) => count,
            None => {
                counts.totals.unlisted += 1;
                return;
            }
        }
    };
    count.packets += 1;
    count.scanner += tally.hostile;
    count.dropped += tally.dropped;
}

/// The count of a port whose place another port has taken.
#[inline(always)]
fn placeless_port(port: u32) -> Option<&'static mut PortCount> {
    let count = match PORTS.get_ptr_mut(port) {
        Some(count) => count,
        None => {
            // Another CPU may be first; then its entry is the one to count in.
            let _ = PORTS.insert(port, NEW_PORT, BPF_NOEXIST as u64);
            PORTS.get_ptr_mut(port)?
        }
    };
    // SAFETY: a per-CPU value, which only the program on this CPU uses.
    Some(unsafe { &mut *count })
}

#[inline(always)]
fn count_source(datagram: &Datagram, tally: &Tally, now: u64) -> Option<()> {
    let source = match SOURCES.get_ptr_mut(datagram.source) {
        Some(source) => source,
        None => {
            // Another CPU may be first; then its entry is the one to count in.
            let _ = SOURCES.insert(datagram.source, &NEW_SOURCE, BPF_NOEXIST as u64);
            SOURCES.get_ptr_mut(datagram.source)?
        }
    };
    if tally.class >= MessageClass::COUNT || tally.place >= 2 * Outcome::COUNT {
        return Some(());
    }
    // SAFETY: the value lives as long as the program runs. Other CPUs may write to it at the
    // same time: counters are added to atomically, and every other field is written whole,
    // with a value that is as good as the other CPU's.
    unsafe {
        add(&raw mut (*source).classes[tally.class], 1);
        if tally.place != SourceCount::PLAIN {
            add(&raw mut (*source).outcomes[tally.place], 1);
        }
        add(&raw mut (*source).bytes, datagram.length as u64);
        if (*source).first_seen == 0 {
            (*source).first_seen = now;
        }
        (*source).last_seen = now;
        (*source).ports[SourceCount::port(datagram.port)] = 1;
        if tally.tool < MAX_TOOLS {
            (*source).tools[tally.tool] = 1;
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
unsafe fn add(counter: *mut u64, by: u64) {
    // SAFETY: as the caller promises. The one atomic instruction that kernels before 5.12
    // know; the target has no atomic type that compiles to it.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {by}", counter = in(reg) counter, by = in(reg) by);
    }
}

/// Nanoseconds of the monotonic clock, to a jiffy.
///
/// The kernel replaces the question for its jiffies by a load.
#[inline(always)]
fn now(counts: &mut Counts) -> u64 {
    // SAFETY: a helper without arguments.
    let jiffies = unsafe { bpf_jiffies64() };
    if counts.jiffies != jiffies {
        counts.jiffies = jiffies;
        counts.now = clock();
    }
    counts.now
}

#[inline(always)]
fn clock() -> u64 {
    if COARSE_CLOCK.load() != 0 {
        // SAFETY: a helper without arguments.
        unsafe { bpf_ktime_get_coarse_ns() }
    } else {
        // SAFETY: a helper without arguments.
        unsafe { bpf_ktime_get_ns() }
    }
}
