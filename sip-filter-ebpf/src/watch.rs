//! Judging a source by what it has done lately: limits, behaviours, escalation.

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use sip_filter_common::{
    abi::{Counts, Event},
    classify::{self, Classification, Work},
    lists::BanFilter,
    rules::Rules,
    sender::{Add, Sender, Sent},
};

use crate::{
    count::{clock, counts},
    maps::{BAN_FILTER, BANS, SENDERS},
    payload::PacketPayload,
    policy,
    source::add,
};

/// What a new source begins with. A value this large has no room on the program's stack.
static NEW_SENDER: Sender = Sender::NEW;

/// Judges the source of a datagram in which this was found, and notes what it has met.
#[inline(always)]
pub fn judge(payload: &PacketPayload, found: &Classification, work: &mut Work, sent: &mut Sent) {
    let uses = policy::uses();
    let is_hostile = found.hit.is_hostile();
    let is_dropped = policy::drops_for_its_tool(found);
    if !Sender::must_judge(found.class, is_hostile, is_dropped, uses) {
        return;
    }
    sent.class = found.class as u64;
    sent.clock = sent.at;
    if uses & Rules::FINE_CLOCK != 0 && uses & Rules::SET_CLOCK == 0 {
        sent.clock = clock();
    }
    sent.user = 0;
    sent.note_tool(is_hostile, is_dropped);
    if uses & Rules::BEHAVIOURS != 0 && found.class.is_request() && !is_dropped {
        let (table, seed) = (policy::signatures(), policy::rules().seed);
        classify::note_dialogue(payload, found.class, work, table, seed, sent);
    }
    sip_filter_judge();
}

/// A function of nothing, which the verifier walks once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sip_filter_judge() -> u64 {
    let Some(counts) = counts() else {
        return 0;
    };
    let sent = &mut counts.sent;
    let sender = match SENDERS.get_ptr_mut(&sent.source) {
        Some(sender) => sender,
        None => {
            let _ = SENDERS.insert(&sent.source, &NEW_SENDER, BPF_NOEXIST as u64);
            match SENDERS.get_ptr_mut(&sent.source) {
                Some(sender) => sender,
                // No memory for another source, which then is not judged.
                None => return 0,
            }
        }
    };
    let rules = policy::rules();
    // SAFETY: the value lives as long as the program runs. Other CPUs may write to it at the same time:
    // see `Sender`.
    let judgement = unsafe { &mut *sender }.judge(sent, rules, policy::uses(), AddShared);
    sent.met |= judgement.met().0 as u64;
    sent.behaviour = judgement.behaviour();
    if judgement.escalates() {
        block(counts);
    }
    0
}

/// Blocks the source of the packet that is being judged, and notes that this is to be reported.
#[inline(always)]
fn block(counts: &mut Counts) {
    let (sent, ban) = (&counts.sent, &mut counts.ban);
    ban.until = sent.clock + policy::rules().escalation.length;
    ban.since = sent.clock;
    ban.dropped = 1;
    ban.cause = sent.behaviour;
    if BANS.insert(&sent.source, &*ban, BPF_ANY as u64).is_err() {
        return;
    }
    if let Some(filter) = BAN_FILTER.get_ptr_mut(0) {
        // SAFETY: there is a byte for each place; whoever writes it writes the same.
        unsafe { (*filter).places[BanFilter::place(&sent.source)] = 1 };
    }
    counts.escalations += 1;
    let event = &mut counts.event;
    event.what |= Event::BLOCKED;
    event.cause = ban.cause;
    event.until = ban.until;
}

/// Adds to what other CPUs may add to.
struct AddShared;

impl Add for AddShared {
    #[inline(always)]
    fn add(&self, to: &mut u64, number: u64) {
        // SAFETY: a reference.
        unsafe { add(to, number) };
    }
}
