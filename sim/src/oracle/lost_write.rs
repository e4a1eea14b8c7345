//! S1: no acknowledged write is ever lost, and no database acknowledges a write that the database of a later term lacks.

use crate::postgres::directory::DataDir;
use crate::world::World;
use yoke_core::record::Term;

/// One write that a client was told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acked {
    pub(crate) write: u64,
    /// Where it is in the log of whoever acknowledged it, and so of everybody who has that history.
    pub(crate) index: usize,
    pub(crate) by: usize,
    /// The term of the promotion that it was written under.
    pub(crate) term: Term,
}

/// What was acknowledged, and by which database the newest term is served.
#[derive(Clone, Debug, Default)]
pub(crate) struct LostWrite {
    pub(crate) acked: Vec<Acked>,
    /// The newest write that each read saw.
    pub(crate) read: Vec<Acked>,
    newest: Option<(Term, usize, u64)>,
}

/// The first acknowledged write that a directory lacks.
pub(crate) fn first_missing(acked: &[Acked], dir: &mut DataDir) -> Option<Acked> {
    for one in &acked[dir.verified.min(acked.len())..] {
        if !dir.wal.holds(one.write, one.index) {
            return Some(*one);
        }
        dir.verified += 1;
    }
    None
}

impl World {
    /// A database says COMMIT.
    pub(crate) fn on_acknowledged(&mut self, h: usize, write: u64, index: usize) {
        self.say(h, || format!("ACKNOWLEDGES w{write}"));
        self.observe_acknowledged(h);
        self.digest.note((self.now, "ack", h, write));
        self.trace.acknowledged(self.now, h, write);
        let term = self.hosts[h].server.as_ref().map_or(Term(0), |s| s.term);
        self.oracles.lost_write.acked.push(Acked {
            write,
            index,
            by: h,
            term,
        });
        self.coverage
            .acknowledged(h, self.oracles.newest_record.committed.as_deref());
        self.check_holds_all(h, term, "acknowledges");
        // The write of a deposed primary is in the newer one's log.
        if let Some((newest, other, uid)) = self.oracles.lost_write.newest
            && term < newest
            && other != h
            && let Some(dir) = self.hosts[other]
                .storage
                .directory
                .as_ref()
                .filter(|d| d.uid == uid)
            && !dir.wal.holds(write, index)
        {
            self.violated(
                "lost_write",
                format!("m{h}, primary of term {term}, acknowledges w{write}, which m{other}, primary of term {newest}, lacks"),
            );
        }
        self.note_branch(h, term, write, index);
        self.check_gate(h, write, index);
        self.serves(h);
        self.acknowledged_for_liveness();
    }

    /// The database of the highest term holds everything acknowledged so far.
    pub(crate) fn check_holds_all(&mut self, h: usize, term: Term, does: &str) {
        let lost_write = &mut self.oracles.lost_write;
        if term < self.oracles.one_leader.highest()
            || lost_write.newest.is_some_and(|(newest, ..)| term < newest)
        {
            return;
        }
        let Some(dir) = &mut self.hosts[h].storage.directory else {
            return;
        };
        let changed = lost_write.newest.is_none_or(|(_, _, uid)| uid != dir.uid);
        lost_write.newest = Some((term, h, dir.uid));
        if let Some(lost) = first_missing(&lost_write.acked, dir) {
            self.violated(
                "lost_write",
                format!(
                    "m{h}, primary of term {term}, {does} without w{}, which m{} acknowledged",
                    lost.write, lost.by
                ),
            );
        }
        if changed {
            self.check_read(h);
        }
    }

    /// A promotion has ended.
    pub(crate) fn on_promoted(&mut self, h: usize) {
        let term = self.hosts[h].server.as_ref().map_or(Term(0), |s| s.term);
        let by_hand = self.now < self.oracles.handing_over_until;
        self.coverage.promoted(h, by_hand);
        self.oracles.specification.members[h].promoted_at = self.now;
        self.check_holds_all(h, term, "is promoted");
        self.check_move(h);
        if self.hosts[h].server.as_ref().is_some_and(|s| !s.flag) {
            self.on_gate_opened(h);
        }
    }

    /// From now on commits wait for nobody.
    pub(crate) fn on_gate_opened(&mut self, h: usize) {
        let term = self.hosts[h].server.as_ref().map_or(Term(0), |s| s.term);
        self.check_holds_all(h, term, "opens its gate");
        self.check_branches(h, term, "opens its gate");
    }

    /// Nothing acknowledged is missing in the last primary, nor in all databases together.
    pub(crate) fn at_the_end(&mut self) {
        let primary = (0..self.hosts.len())
            .filter(|h| self.hosts[*h].server.as_ref().is_some_and(|s| s.writable()))
            .max_by_key(|h| self.hosts[*h].server.as_ref().map(|s| s.term));
        if let Some(h) = primary {
            let term = self.hosts[h].server.as_ref().map_or(Term(0), |s| s.term);
            self.check_holds_all(h, term, "is the last primary");
        }
        self.check_vanished();
        self.check_left_out();
    }
}
