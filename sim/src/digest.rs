//! A number that stands for everything that happened in a run: equal runs, equal digests.
//!
//! At each step it takes in the time, the event (by its sort and place: what it holds was an action's, and taken in with
//! that), every action, and the state of what the event met: of a daemon what it shows and when it is due again, and each
//! thirty-second time all that it is; of a guard and a database what it holds and does, and where the log ends. What an event
//! does not meet does not change.

use crate::host::Daemon;
use crate::world::World;
use std::hash::Hash;
use yoke_core::Instant;
use yoke_core::view::Glance;

/// Takes in what happened, in order. What only counts or chooses goes one way, what names or measures another: neither
/// has to wait for the other.
#[derive(Clone, Debug)]
pub(crate) struct Digest {
    words: u64,
    counts: u64,
}

/// An odd number without pattern.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

impl Digest {
    /// Nothing happened yet.
    pub(crate) fn new() -> Self {
        Digest {
            words: 0x0DDB_1A5E_5BAD_5EED,
            counts: 1,
        }
    }

    /// Something happened.
    pub(crate) fn note(&mut self, what: impl Hash) {
        what.hash(self);
    }

    fn word(&mut self, word: u64) {
        self.words = folded(self.words.rotate_left(29) ^ word);
    }

    fn count(&mut self, count: u64) {
        self.counts = (self.counts ^ count).wrapping_mul(FACTOR);
    }

    fn sum(&self) -> u64 {
        folded(self.words ^ folded(self.counts))
    }
}

/// Both halves of the product: each bit of the word moves about half of the result's.
fn folded(word: u64) -> u64 {
    let product = u128::from(word) * u128::from(FACTOR);
    product as u64 ^ (product >> 64) as u64
}

/// Makes a hasher of what takes in a word at a time by its `word`, and what is mostly small by its `count`.
macro_rules! hashes_words {
    ($type:ty, $finish:expr) => {
        impl std::hash::Hasher for $type {
            fn finish(&self) -> u64 {
                $finish(self)
            }

            fn write(&mut self, bytes: &[u8]) {
                for chunk in bytes.chunks(8) {
                    let mut word = [0; 8];
                    word[..chunk.len()].copy_from_slice(chunk);
                    self.word(u64::from_le_bytes(word));
                }
            }

            fn write_u8(&mut self, n: u8) {
                self.count(u64::from(n));
            }

            fn write_u32(&mut self, n: u32) {
                self.word(u64::from(n));
            }

            fn write_u64(&mut self, n: u64) {
                self.word(n);
            }

            fn write_usize(&mut self, n: usize) {
                self.count(n as u64);
            }

            fn write_isize(&mut self, n: isize) {
                self.count(n as u64);
            }
        }
    };
}
pub(crate) use hashes_words;
hashes_words!(Digest, Digest::sum);

/// How often a daemon's whole state is taken in: as seldom as this keeps the digest cheap, and a difference that shows in
/// nothing else is found a few steps late. [`crate::twin`] compares all of it at each step.
const WHOLE: u64 = 32;

impl World {
    /// The state of a daemon after it handled something.
    pub(crate) fn note_daemon(&mut self, daemon: &Daemon, view: &Glance<'_>, due: Option<Instant>) {
        let postgres = view.postgres;
        self.digest.note((
            (view.me, view.role, view.term, view.leader, view.committed),
            (view.record.map(|record| record.key), due),
            (postgres.target, postgres.run, postgres.copy, postgres.end),
        ));
        self.daemon_steps += 1;
        if self.daemon_steps.is_multiple_of(WHOLE) {
            self.digest.note((&daemon.node, &daemon.steward));
        }
    }

    /// The state of the database that the step met, or of all.
    pub(crate) fn note_databases(&mut self) {
        let all = 0..self.hosts.len();
        for h in self.met.map_or(all, |h| h..h + 1) {
            let host = &self.hosts[h];
            if let Some(server) = &host.server {
                let names = server
                    .walsenders
                    .iter()
                    .map(|w| (w.conn, w.flushed, w.priority));
                self.digest.note((
                    (
                        server.run,
                        server.phase,
                        server.killed,
                        server.serving,
                        server.term,
                    ),
                    (
                        server.flag,
                        server.hung,
                        server.stalled,
                        server.sessions.len(),
                    ),
                    (server.waiting.len(), server.replayed, server.receiver.link),
                ));
                names.for_each(|walsender| self.digest.note(walsender));
            }
            if let Some(dir) = &host.storage.directory {
                let log = &dir.wal.entries;
                self.digest
                    .note((dir.uid, log.len(), log.last(), dir.lineage.last()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hasher;

    #[test]
    fn a_count_a_word_and_the_order_of_either_all_tell() {
        let digest = |what: [(usize, u64); 2]| {
            let mut digest = Digest::new();
            digest.note(what);
            digest.finish()
        };
        let all = [
            digest([(1, 2), (3, 4)]),
            digest([(1, 2), (4, 4)]),
            digest([(1, 2), (3, 3)]),
            digest([(3, 2), (1, 4)]),
            digest([(1, 4), (3, 2)]),
        ];
        let different: std::collections::BTreeSet<u64> = all.into_iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
