//! What this member's own copy certainly was, and a directory that is below it: one that went back in time (R15).

use super::Node;
use crate::hard_state::Noted;
use crate::message::Reached;
use crate::mutant;
use crate::postgres::PgState;
use crate::reason::Reason;
use crate::record::{CopyId, Term};
use crate::time::Duration;

/// A position is made durable at most this often.
const NOTE_EVERY: Duration = Duration::secs(1);

impl Node {
    /// Which copy the directory holds, unless it was found not to be what its stamp says.
    pub(super) fn own_copy_id(&self) -> Option<CopyId> {
        self.pg.copy.filter(|id| self.disowned != Some(*id))
    }

    /// Whether the directory was looked at: before that nobody can say whether the state is older than the stamp (R12).
    pub(super) fn has_looked(&self) -> bool {
        !self.is_data() || self.pg.state != PgState::Unknown
    }

    /// How far the copy has come.
    pub(super) fn reached(&self) -> Option<Reached> {
        self.own_copy_id().map(|copy| Reached {
            copy,
            end: self.pg.end,
            promotion: self.pg.history.newest(),
        })
    }

    /// A peer says how far it saw this member's copy (R12).
    pub(super) fn is_told_of_copy(&mut self, reached: Reached) {
        self.told = match self.told {
            Some(told) if told.copy == reached.copy => Some(told.further(reached)),
            Some(told) if Some(told.copy) == self.pg.copy => Some(told),
            _ => Some(reached),
        };
        self.look_at_copy();
    }

    /// Compares the directory with what was noted of it, and notes what it is now.
    pub(super) fn look_at_copy(&mut self) {
        let Some(reached) = self.reached() else {
            if self.pg.copy.is_none()
                && matches!(self.pg.state, PgState::NoData | PgState::Rewriting { .. })
            {
                self.disowned = None;
            }
            return;
        };
        self.disowned = (self.noted)
            .filter(|n| n.is_beyond() && n.reached.copy == reached.copy)
            .map(|n| n.reached.copy);
        if self.disowned.is_some() {
            return;
        }
        // A standby's end is known once all that it has is replayed.
        let settled = matches!(self.pg_state(), PgState::Standby { drained: true, .. });
        let below = |known: &Reached| known.copy == reached.copy && !reached.covers(*known);
        let old_stamp = self.has_old_stamp();
        let fell = settled
            && (self.noted.is_some_and(|n| below(&n.reached))
                || self.told.is_some_and(|t| below(&t))
                || self.lacks_its_promotion());
        if (old_stamp || fell) && !mutant!(self.config, R15TrustsOldData) {
            self.explain(Reason::CopyFellBack {
                copy: reached.copy,
                end: reached.end,
            });
            self.disowned = Some(reached.copy);
            return;
        }
        if settled || matches!(self.pg_state(), PgState::Primary(_)) {
            self.checked = Some((self.pg.run, reached.copy));
        }
        self.note(reached);
    }

    fn note(&mut self, reached: Reached) {
        let stamp = self.pg.stamp.and_then(|s| s.record);
        let old = self.noted.filter(|n| n.reached.copy == reached.copy);
        let noted = Noted {
            stamp: old.and_then(|n| n.stamp).max(stamp),
            reached: old.map_or(reached, |n| n.reached.further(reached)),
        };
        if self.state.is_some() && old.map(|n| n.stamp) != Some(noted.stamp) {
            // R15: the state notes the stamp as written.
            self.dirty = true;
        }
        self.noted = Some(noted);
    }

    /// The stamp is older than the newest one seen written.
    fn has_old_stamp(&self) -> bool {
        let adopted = self.state.as_ref().map_or(Term(0), |s| s.adopted);
        let (Some(stamp), Some(noted)) = (self.pg.stamp, self.noted.and_then(|n| n.stamp)) else {
            return false;
        };
        stamp.record < Some(noted) && noted.term > adopted
    }

    /// The record's primary is this copy, and its history lacks the promotion that was recorded of it in the record's
    /// own term. (Before that a record holds its predecessor's promotions, R6.)
    fn lacks_its_promotion(&self) -> bool {
        self.record().is_some_and(|r| {
            r.primary == self.config.me
                && r.promotions.newest().0 == r.key.term
                && self.copy().is_some_and(|copy| r.names(copy))
                && !r.promotions.is_prefix_of(&self.pg.history)
        })
    }

    /// Whether the running database was seen to be the copy that it should be: before that it follows nobody.
    pub(super) fn is_checked(&self) -> bool {
        match self.own_copy_id() {
            Some(copy) => self.checked == Some((self.pg.run, copy)),
            None => self.disowned.is_none(),
        }
    }

    /// Makes the position durable: each second, and at each stop (R15).
    pub(super) fn decide_note(&mut self) {
        let Some(state) = &self.state else { return };
        let stopped = self.guard.run.is_none() && matches!(self.pg.state, PgState::Stopped { .. });
        if state.noted != self.noted && (stopped || self.now.since(self.noted_at) >= NOTE_EVERY) {
            self.dirty = true;
        }
    }
}
