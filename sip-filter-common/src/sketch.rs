//! Counting what is different in little memory: each thing sets one bit of a few, and from how many
//! are set follows about how many things there were (Whang and others, "A linear-time probabilistic
//! counting algorithm", 1990).
//!
//! With `m` bits, `n` things set `m (1 - e^(-n/m))` of them, as a mean. What is read from the bits has
//! a standard error of `sqrt(m (e^t - t - 1)) / n`, where `t = n / m`: with 512 bits and 100 things
//! that is 3.2 %, with 256 bits and 20 things 4.6 %.

/// Bits of which each stands for some of all things.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sketch<const WORDS: usize> {
    bits: [u64; WORDS],
}

impl<const WORDS: usize> Sketch<WORDS> {
    /// Nothing was seen.
    pub const EMPTY: Self = Self { bits: [0; WORDS] };

    /// How many bits there are.
    pub const BITS: usize = 64 * WORDS;

    /// Notes a thing by its hash; 1 where none with this bit was seen before, otherwise 0.
    #[inline(always)]
    pub fn add(&mut self, hash: u64) -> u32 {
        const { assert!(WORDS.is_power_of_two()) };
        // The highest bits of a product are those that all others move.
        let place = (hash >> 48) as usize % Self::BITS;
        let word = &mut self.bits[place / 64];
        let shift = place % 64;
        let is_new = !(*word >> shift) & 1;
        *word |= 1 << shift;
        is_new as u32
    }

    /// Forgets everything.
    #[inline(always)]
    pub fn clear(&mut self) {
        for word in &mut self.bits {
            *word = 0;
        }
    }
}

/// How many of `bits` bits are set, as a mean, by so many different things; no more than all of them
/// but one, or it would never be reached.
#[cfg(any(feature = "user", test))]
pub fn bits_of(things: u32, bits: usize) -> u32 {
    // Each thing sets one of the bits that are clear with the probability of their share.
    let mut clear = bits as f64;
    for _ in 0..things {
        clear -= clear / bits as f64;
    }
    let set = bits as f64 - clear + 0.5;
    (set as u32).clamp(1, bits as u32 - 1)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::sender::hash;

    /// Bits set by so many things, under one seed.
    fn set<const WORDS: usize>(things: u32, seed: u64) -> u32 {
        let mut sketch = Sketch::<WORDS>::EMPTY;
        (0..things)
            .map(|thing| sketch.add(hash(u64::from(thing), seed)))
            .sum()
    }

    /// The mean and the standard error of what a thousand sketches say of so many things, as shares of
    /// their number: things that set a bit each until as many are set.
    fn error<const WORDS: usize>(things: u32) -> (f64, f64) {
        let bits = Sketch::<WORDS>::BITS as f64;
        let said = |seed| {
            let clear = bits - f64::from(set::<WORDS>(things, hash(seed, 7)));
            -bits * (clear / bits).ln() / f64::from(things) - 1.0
        };
        const SKETCHES: u64 = 1000;
        let errors: std::vec::Vec<f64> = (0..SKETCHES).map(said).collect();
        let mean = errors.iter().sum::<f64>() / SKETCHES as f64;
        let square = errors.iter().map(|error| error * error).sum::<f64>();
        (mean, (square / SKETCHES as f64).sqrt())
    }

    #[test]
    fn what_a_sketch_says_is_off_by_as_much_as_is_stated() {
        for (what, things, bits, (mean, error)) in [
            ("users", 20, 512, error::<8>(20)),
            ("users", 100, 512, error::<8>(100)),
            ("users", 1000, 512, error::<8>(1000)),
            ("ports", 5, 256, error::<4>(5)),
            ("hosts", 8, 256, error::<4>(8)),
            ("hosts", 200, 256, error::<4>(200)),
        ] {
            let t = f64::from(things) / f64::from(bits);
            let stated = (f64::from(bits) * (t.exp() - t - 1.0)).sqrt() / f64::from(things);
            std::println!("{things} {what}: {mean:+.4} {error:.4} of {stated:.4}");
            assert!(mean.abs() < 0.01, "{what}: {mean}");
            let ratio = error / stated;
            assert!((0.85..1.15).contains(&ratio), "{what}: {error} of {stated}");
        }
    }

    #[test]
    fn a_threshold_in_bits_is_reached_by_as_many_things() {
        for things in [5, 20, 100, 500, 1500] {
            let threshold = bits_of(things, Sketch::<8>::BITS);
            let needed = |seed: u64| {
                let mut sketch = Sketch::<8>::EMPTY;
                let mut bits = 0;
                (1..u32::MAX)
                    .find(|thing| {
                        bits += sketch.add(hash(u64::from(*thing), hash(seed, 11)));
                        bits >= threshold
                    })
                    .map_or(0.0, f64::from)
            };
            let mean = (0..300).map(needed).sum::<f64>() / 300.0;
            let ratio = mean / f64::from(things);
            std::println!("{things} things: {threshold} bits, reached by {mean:.1}");
            assert!((0.97..1.04).contains(&ratio), "{things}: {ratio}");
        }
    }
}
