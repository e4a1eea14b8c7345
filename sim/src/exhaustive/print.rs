//! What stands for a state.

use crate::digest::hashes_words;

/// 128 bits of all that is hashed.
pub(super) struct Print(pub(super) u128);

impl Print {
    fn word(&mut self, word: u64) {
        const FACTOR: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
        let mixed = (self.0 ^ u128::from(word)).wrapping_mul(FACTOR);
        self.0 = mixed ^ (mixed >> 67);
    }

    fn count(&mut self, count: u64) {
        self.word(count);
    }
}

hashes_words!(Print, |print: &Print| print.0 as u64);
