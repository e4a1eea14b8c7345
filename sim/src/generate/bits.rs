//! What a seed is made into: integers and ratios out of `rand_chacha`'s bits.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Integers and ratios out of `rand_chacha`'s bits.
#[derive(Debug)]
pub(crate) struct Bits(ChaCha8Rng);

impl Bits {
    /// Those of a seed.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Bits(ChaCha8Rng::seed_from_u64(seed))
    }

    /// One of `low..=high`.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.next_u64() % (high - low + 1)
    }
    /// Whether one of `of` happens.
    pub(crate) fn one_in(&mut self, of: u64) -> bool {
        self.within(1, of) == 1
    }
    /// One of them.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.within(0, from.len() as u64 - 1) as usize]
    }
    /// A length of time between two, short ones as likely as long ones.
    pub(crate) fn time(&mut self, low: u64, high: u64) -> u64 {
        let mut top = low;
        for _ in 0..self.within(1, 16) {
            top = (top * 2).min(high);
        }
        self.within(low, top)
    }
}
