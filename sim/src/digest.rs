//! A number that stands for everything that happened in a run: equal runs, equal digests.

use std::hash::{Hash, Hasher};

use crate::choices::mix;

/// Takes in what happened, in order.
#[derive(Clone, Debug)]
pub(crate) struct Digest(u64);

impl Digest {
    /// Nothing happened yet.
    pub(crate) fn new() -> Self {
        Digest(0x0DDB_1A5E_5BAD_5EED)
    }

    /// Something happened.
    pub(crate) fn note(&mut self, what: impl Hash) {
        what.hash(self);
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = mix(self.0, u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.0 = mix(self.0, u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.0 = mix(self.0, u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = mix(self.0, n);
    }

    fn write_usize(&mut self, n: usize) {
        self.0 = mix(self.0, n as u64);
    }

    fn write_isize(&mut self, n: isize) {
        self.0 = mix(self.0, n as u64);
    }
}
