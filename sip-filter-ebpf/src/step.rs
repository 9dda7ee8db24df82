//! Steps of the classifier that need the text alone: a function of its own in the program.

use core::ops::Range;

use sip_filter_common::{classify::Step, payload::Payload};

use crate::{maps, opaque, policy};

/// Takes a step; 0 where more of the text must be read first.
///
/// A function of a number alone, which the verifier walks once and not at the end of each path that
/// leads to it.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn sip_filter_step(number: u64) -> u64 {
    match maps::work() {
        Some(work) => Step::from_number(number).take(&NoPayload, work, policy::signatures()) as u64,
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
    fn rolled(&self, steps: usize) -> Range<usize> {
        0..opaque::constant(steps)
    }
}
