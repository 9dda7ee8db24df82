//! Steps of the classifier that need the text alone: functions of their own in the program, of a
//! number alone, which the verifier walks once and not at the end of each path that leads to them.

use core::ops::Range;

use sip_filter_common::{
    classify::{Step, Work},
    payload::Payload,
    signature::SignatureTable,
};

use crate::{maps, opaque, policy};

/// Takes a step.
#[inline(always)]
pub fn take(step: Step) -> bool {
    let taken = match step {
        Step::NmapScript => sip_filter_nmap(),
        Step::EndsBehind => sip_filter_ends(),
        Step::Dialogue => sip_filter_dialogue(),
        Step::Contains => sip_filter_contains(),
        Step::Window => sip_filter_window(),
        Step::Place => sip_filter_place(),
        _ => sip_filter_step(step.number()),
    };
    taken != 0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sip_filter_step(number: u64) -> u64 {
    match maps::work() {
        // Not before: the compiler would have all that follows once for each step.
        Some(work) => Step::from_number(number).take(&NoPayload, work, policy::signatures()) as u64,
        None => 1,
    }
}

// Whatever their number is, these do the same.

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sip_filter_nmap() -> u64 {
    take_here(Step::NmapScript)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sip_filter_ends() -> u64 {
    take_here(Step::EndsBehind)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sip_filter_dialogue() -> u64 {
    take_here(Step::Dialogue)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sip_filter_contains() -> u64 {
    take_here(Step::Contains)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sip_filter_window() -> u64 {
    take_here(Step::Window)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sip_filter_place() -> u64 {
    take_here(Step::Place)
}

/// Takes a step in the function that is the step's own.
#[inline(always)]
fn take_here(step: Step) -> u64 {
    match maps::work() {
        Some(work) => step.take(&NoPayload, work, policy::signatures()) as u64,
        None => 1,
    }
}

/// What a step is given for a payload: it reads none.
struct NoPayload;

impl Payload for NoPayload {
    fn len(&self) -> usize {
        0
    }

    fn u8_at(&self, _: usize) -> Option<u8> {
        None
    }

    fn u32_at(&self, _: usize) -> Option<u32> {
        None
    }

    fn u64_at(&self, _: usize) -> Option<u64> {
        None
    }

    unsafe fn copy_chunks<const N: usize>(&self, _: usize, _: *mut u8) -> Option<[u64; N]> {
        None
    }

    fn behind(&self, _: usize) -> Self {
        Self
    }

    fn forget(&self, offset: usize) -> usize {
        offset
    }

    fn apart(&self) -> Self {
        Self
    }

    #[inline(always)]
    fn opaque(&self, number: u64) -> u64 {
        opaque::constant(number as usize) as u64
    }

    #[inline(always)]
    fn take(&self, step: Step, _work: &mut Work, _table: &SignatureTable) -> bool {
        take(step)
    }

    #[inline(always)]
    fn rolled(&self, steps: usize) -> Range<usize> {
        0..opaque::constant(steps)
    }
}
