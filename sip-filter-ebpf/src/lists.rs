//! What the lists say of a source, and what was decided of it before.

use core::{borrow::Borrow, mem::offset_of};

use aya_ebpf::maps::lpm_trie::Key;
use sip_filter_common::{
    abi::{Address, Event},
    lists::{BanFilter, ListFilter, Listed, MAPPED, NESTED},
    sender::Sent,
    verdict::Met,
};

use crate::{
    maps::{ALLOWED, BAN_FILTER, BANS, BLOCKED, LIST_FILTER, LISTED},
    policy,
    source::add,
};

/// The length of an address, in bits.
const BITS: u32 = 128;

/// Notes what is known of the source before its packet is looked at.
#[inline(always)]
pub fn ask(sent: &mut Sent, event: &mut Event) {
    let is_in_use = matches!(LIST_FILTER.get(0), Some(filter) if filter.in_use != 0);
    if is_in_use || policy::escalates() {
        sent.met = met(sent, event).0 as u64;
    }
}

#[inline(always)]
fn met(sent: &Sent, event: &mut Event) -> Met {
    let met = listed(&sent.source, sent.at);
    if !policy::escalates() || met.contains(Met::ALLOWED.and(Met::BLOCKED)) {
        return met;
    }
    met.and(banned(&sent.source, sent.at, event))
}

/// What the lists say.
#[inline(always)]
fn listed(source: &Address, now: u64) -> Met {
    let Some(filter) = LIST_FILTER.get(0) else {
        return Met::NOTHING;
    };
    let mut blocks = None;
    if filter.in_use & ListFilter::ADDRESSES != 0
        && let Some(listed) = LISTED.get_ptr_mut(source)
    {
        // SAFETY: the value lives as long as the program runs.
        let known = unsafe { &*listed };
        if known.allows() {
            return Met::ALLOWED;
        }
        if known.blocks(now) {
            blocks = Some(listed);
        }
    }
    if filter.in_use & ListFilter::ALLOWED_PREFIXES != 0
        && ListFilter::may_cover(&filter.allowed, source)
        && let Some(prefix) = ALLOWED.get(PrefixKey::new(source, BITS))
        && covers(prefix, source)
    {
        return Met::ALLOWED;
    }
    if blocks.is_none()
        && filter.in_use & ListFilter::BLOCKED_PREFIXES != 0
        && ListFilter::may_cover(&filter.blocked, source)
    {
        let mut length = BITS;
        for _ in 0..NESTED {
            let Some(prefix) = BLOCKED.get(PrefixKey::new(source, length)) else {
                break;
            };
            if !covers(prefix, source) {
                break;
            }
            if prefix.blocks(now) {
                blocks = Some(core::ptr::from_ref(prefix).cast_mut());
                break;
            }
            if prefix.length == 0 {
                break;
            }
            length = prefix.length - 1;
        }
    }
    let Some(listed) = blocks else {
        return Met::NOTHING;
    };
    // SAFETY: as above; other CPUs add to it too.
    unsafe { add(&raw mut (*listed).dropped, 1) };
    policy::rules().met_by_block()
}

/// A [`Key`] on the stack, where the verifier wants each access aligned.
#[repr(C)]
struct PrefixKey {
    _free: u32,
    length: u32,
    words: [u64; 2],
}

impl PrefixKey {
    /// Of what covers an address with at most so many bits.
    #[inline(always)]
    fn new(source: &Address, length: u32) -> Self {
        Self {
            _free: 0,
            length,
            words: source.words,
        }
    }
}

impl Borrow<Key<[u8; 16]>> for PrefixKey {
    #[inline(always)]
    fn borrow(&self) -> &Key<[u8; 16]> {
        const _: () = assert!(offset_of!(PrefixKey, words) - offset_of!(PrefixKey, length) == 4);
        // SAFETY: the length and the words stand side by side, and the key has no alignment.
        unsafe { &*(&raw const self.length).cast() }
    }
}

/// Whether the prefix is of the address's family: `::/0` covers mapped addresses too.
#[inline(always)]
fn covers(prefix: &Listed, source: &Address) -> bool {
    prefix.length >= MAPPED || !source.is_ipv4()
}

/// Whether a source was blocked for what it sent.
#[inline(always)]
fn banned(source: &Address, now: u64, event: &mut Event) -> Met {
    let may_be = |filter: &BanFilter| filter.places[BanFilter::place(source)] != 0;
    if !BAN_FILTER.get(0).is_some_and(may_be) {
        return Met::NOTHING;
    }
    let Some(ban) = BANS.get_ptr_mut(source) else {
        return Met::NOTHING;
    };
    // SAFETY: the value lives as long as the program runs; other CPUs add to `dropped` too.
    unsafe {
        if now >= (*ban).until {
            if (*ban).until != 0 {
                (*ban).until = 0;
                event.what |= Event::UNBLOCKED;
            }
            return Met::NOTHING;
        }
        add(&raw mut (*ban).dropped, 1);
    }
    policy::rules().escalation.met()
}
