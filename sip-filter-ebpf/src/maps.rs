//! The maps, as `sip_filter_common::abi` lays them out. The loader sets their sizes where
//! they are an option, and pins them.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, PerCpuHashMap},
};
use sip_filter_common::{
    abi::{self, Address, Counts, PortCount, Settings, SignatureNumber, SourceCount, ToolName},
    classify::Work,
    signature::MAX_SIGNATURES,
};

#[map]
pub static COUNTS: PerCpuArray<Counts> = PerCpuArray::with_max_entries(1, 0);

/// Not allocated beforehand: with `--ports any` every port may get a count, and seldom more
/// than a few do.
#[map]
pub static PORTS: PerCpuHashMap<u32, PortCount> =
    PerCpuHashMap::with_max_entries(abi::MAX_PORTS, BPF_F_NO_PREALLOC);

/// One for all CPUs, so that its memory does not grow with their number.
#[map]
pub static SOURCES: LruHashMap<Address, SourceCount> =
    LruHashMap::with_max_entries(abi::DEFAULT_SOURCES, 0);

/// The loader's alone.
#[map]
pub static TOOLS: Array<ToolName> = Array::with_max_entries(abi::MAX_TOOLS as u32, 0);

/// The loader's alone.
#[map]
pub static NUMBERS: Array<SignatureNumber> = Array::with_max_entries(MAX_SIGNATURES as u32, 0);

/// The loader's alone.
#[map]
pub static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);

/// Room to work on one packet.
#[map]
pub static WORK: PerCpuArray<Work> = PerCpuArray::with_max_entries(1, 0);

/// The room to work in; there is always some.
#[inline(always)]
pub fn work() -> Option<&'static mut Work> {
    let work = WORK.get_ptr_mut(0)?;
    // SAFETY: a per-CPU value, which only the program on this CPU uses.
    Some(unsafe { &mut *work })
}
