//! A slot of its own for each of a few numbers known at compile time: one multiplication and one
//! look instead of a comparison for each.

/// The slot of a number, below `SLOTS`, a power of two of at most 64.
#[inline(always)]
pub const fn slot<const SLOTS: usize>(number: u32, multiplier: u32) -> usize {
    (number.wrapping_mul(multiplier) >> (32 - SLOTS.ilog2())) as usize
}

/// From one multiplier to the next: even, and large, so that small numbers change places too.
const STEP: u32 = 0x61c8_8646;

/// The first odd multiplier that sends each of the numbers to a slot of its own. There is one
/// soon where the slots are twice as many as the numbers; without one the build does not end.
pub const fn multiplier<const SLOTS: usize>(numbers: &[u32]) -> u32 {
    let mut multiplier = 0x9e37_79b1_u32;
    'search: loop {
        let mut taken = 0_u64;
        let mut at = 0;
        while at < numbers.len() {
            let bit = 1 << slot::<SLOTS>(numbers[at], multiplier);
            if taken & bit != 0 {
                multiplier = multiplier.wrapping_add(STEP);
                continue 'search;
            }
            taken |= bit;
            at += 1;
        }
        return multiplier;
    }
}
