//! The maps, as `sip_filter_common::abi` lays them out. The loader sets their sizes where
//! they are an option, and pins them.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf},
};
use sip_filter_common::{
    abi::{
        self, Address, Carried, Counts, Event, PortCount, Settings, SignatureNumber, SourceCount,
        ToolName,
    },
    classify::Work,
    lists::{Ban, BanFilter, ListFilter, Listed},
    sender::Sender,
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

/// Not allocated beforehand, since it may never hold much.
#[map]
pub static RECOGNISED: HashMap<Address, SourceCount> =
    HashMap::with_max_entries(abi::DEFAULT_SOURCES, BPF_F_NO_PREALLOC);

/// Written by whatever changes the lists.
#[map]
pub static LISTED: HashMap<Address, Listed> =
    HashMap::with_max_entries(abi::DEFAULT_ENTRIES, BPF_F_NO_PREALLOC);

/// Written by whatever changes the lists.
#[map]
pub static ALLOWED: LpmTrie<[u8; 16], Listed> =
    LpmTrie::with_max_entries(abi::DEFAULT_ENTRIES, BPF_F_NO_PREALLOC);

/// Written by whatever changes the lists.
#[map]
pub static BLOCKED: LpmTrie<[u8; 16], Listed> =
    LpmTrie::with_max_entries(abi::DEFAULT_ENTRIES, BPF_F_NO_PREALLOC);

/// Written by whatever changes the lists.
#[map]
pub static LIST_FILTER: Array<ListFilter> = Array::with_max_entries(1, 0);

/// One for all CPUs. The loader makes it small where nothing is looked for in it.
#[map]
pub static SENDERS: LruHashMap<Address, Sender> =
    LruHashMap::with_max_entries(abi::DEFAULT_SOURCES, 0);

/// Full, it forgets those that have been quiet for longest.
#[map]
pub static BANS: LruHashMap<Address, Ban> = LruHashMap::with_max_entries(abi::DEFAULT_BANS, 0);

#[map]
pub static BAN_FILTER: Array<BanFilter> = Array::with_max_entries(1, 0);

/// The loader's clock, where it sets one.
#[map]
pub static CLOCK: Array<u64> = Array::with_max_entries(1, 0);

#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(abi::EVENT_BYTES, 0);

/// Full, it forgets those of whom nothing was reported for longest.
#[map]
pub static REPORTED: LruHashMap<Address, Event> =
    LruHashMap::with_max_entries(abi::REPORTED_SOURCES, 0);

/// The loader's alone, as the two that follow.
#[map]
pub static CARRIED: Array<Carried> = Array::with_max_entries(1, 0);

/// Of this size where nothing is carried.
#[map]
pub static CARRIED_PORTS: HashMap<u32, PortCount> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// As above.
#[map]
pub static CARRIED_SOURCES: HashMap<Address, SourceCount> =
    HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

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
