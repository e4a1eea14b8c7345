//! The replicated register: propose, count acceptances, commit (R6).

use super::Node;
use crate::member::{MemberId, MemberSet};
use crate::mutant;
use crate::reason::Reason;
use crate::record::{History, Record, RecordKey};
use crate::rule;
use std::sync::Arc;

impl Node {
    /// A new leader's first record: itself, everything else unchanged. Only once it is committed may its database be
    /// promoted or its gate open (R6).
    pub(super) fn take_over(&mut self) {
        let record = match (self.record(), self.copy(), self.pg.system_id) {
            (Some(old), ..) => Record {
                key: RecordKey {
                    term: self.term(),
                    version: old.key.version + 1,
                },
                primary: self.config.me,
                in_sync: match (mutant!(self.config, R6TakesOverAlone), self.copy()) {
                    (true, Some(copy)) => vec![copy],
                    _ => old.in_sync.clone(),
                },
                // An operator's word ends the pause with the election that it allowed.
                paused: old.paused && self.despite_pause != Some(old.key),
                ..Record::clone(old)
            },
            // Genesis: the first record names the leader's copy and its database (R12, R14).
            (None, Some(copy), Some(system_id)) => Record {
                key: RecordKey {
                    term: self.term(),
                    version: 1,
                },
                primary: self.config.me,
                in_sync: vec![copy],
                promotions: History::default(),
                system_id,
                forced: false,
                paused: false,
            },
            // The database went away between vote and election: `decide_leader` tries again.
            _ => return,
        };
        self.propose(record);
    }

    /// Sends a record to all, and accepts it as the first. At most one is outstanding (R6).
    pub(super) fn propose(&mut self, record: Record) {
        let record = Arc::new(record);
        self.explain(Reason::Proposed {
            record: record.clone(),
        });
        let Some(state) = &mut self.state else { return };
        let Some(leader) = self.leader.as_deref_mut() else {
            return;
        };
        rule!(
            self.config,
            "R6",
            leader.proposed.is_none(),
            "a second record while one is outstanding"
        );
        state.record = Some(record.clone());
        self.dirty = true;
        leader.proposed = Some(record);
        leader.accepted = MemberSet::EMPTY;
        leader.accepted.insert(self.config.me);
        self.beat();
    }

    /// Committed: a majority, the leader included, accepted exactly this, or a later one, of this leader's own term. An
    /// order that rests on it waits in the outbox until our own acceptance is on disk (R1).
    pub(super) fn count_acceptances(&mut self) {
        let majority = self.config.majority();
        let own_counts = mutant!(self.config, R6OwnRecordCommitted);
        let any = mutant!(self.config, R6AnyAcceptance);
        let Some(leader) = self.leader.as_deref_mut() else {
            return;
        };
        let Some(proposed) = &leader.proposed else {
            return;
        };
        for (i, peer) in leader.peers.iter().enumerate() {
            if peer.accepted >= Some(proposed.key) || (any && peer.accepted.is_some()) {
                leader.accepted.insert(MemberId(i as u8));
            }
        }
        if leader.accepted.len() < majority && !own_counts {
            return;
        }
        let Some(record) = leader.proposed.take() else {
            return;
        };
        leader.committed = Some(record.clone());
        // What has just been committed is what the others wait for: to follow, to exit, to discard.
        leader.next_heartbeat = self.now;
        self.committed = self.committed.max(Some(record.key));
        self.explain(Reason::Committed { record });
    }
}
