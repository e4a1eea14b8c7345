//! A leader whose database cannot serve gives way (R19).

use super::Node;
use super::leader::Leader;
use crate::mutant;
use crate::postgres::{GateStatus, PgState};
use crate::reason::Reason;
use crate::record::Copy;
use crate::time::Instant;

/// A gate may be on its way for so many D.
const GATE_PATIENCE: u64 = 4;

impl Node {
    pub(super) fn decide_give_way(&mut self) {
        self.note_progress();
        let Some(leader) = self.leader.as_deref() else {
            return;
        };
        if let Some(since) = leader.giving_way {
            self.finish_giving_way(since);
            return;
        }
        if leader.hand_over.is_some() || leader.committed.is_none() {
            return;
        }
        let gone = self.guard.run.is_none();
        if leader.restarting {
            if gone && let Some(leader) = self.leader.as_deref_mut() {
                leader.restarting = false;
                leader.begins_anew(self.now);
            }
            return;
        }
        // Another run than the one seen is a death as well: it was started again before anybody could tell.
        let dead = leader.ran.is_some_and(|run| self.guard.run != Some(run));
        let mut stuck_for = self.now.since(leader.progress_at);
        let mut hangs = stuck_for > self.config.decision_timeout;
        // It answers, and lets nobody write: a checkpointer or a walsender that hangs. A checkpoint that is made at once
        // may take long, too, and to begin it anew helps nobody.
        let unproven_for = leader.unproven_since.map(|at| self.now.since(at));
        if let Some(unproven_for) = unproven_for
            && unproven_for > self.config.decision_timeout.times(GATE_PATIENCE)
        {
            stuck_for = unproven_for;
            hangs = true;
        }
        let unwell = !mutant!(self.config, R19WaitsForHealth)
            && stuck_for > self.config.health_timeout
            && matches!(
                self.pg_state(),
                PgState::Primary(_) | PgState::Silent { primary: true, .. }
            );
        if !(dead || hangs || unwell) || mutant!(self.config, R19NeverGivesWay) {
            return;
        }
        let others: Vec<Copy> = leader
            .committed
            .iter()
            .flat_map(|r| r.others().collect::<Vec<_>>())
            .collect();
        let alone = leader.is_alone();
        // An outstanding shrink may have been accepted: then the other is not eligible any more.
        let seen_running =
            leader.proposed.is_none() && !alone && others.iter().any(|c| self.may_take_over(*c));
        // Nobody else is seen: a database that is slow to answer at all, or to be promoted, gets more time with each try.
        if hangs && !dead && !seen_running && stuck_for <= self.hang_patience() {
            return;
        }
        let blind = hangs && !alone && !mutant!(self.config, R19WaitsToSee);
        if (seen_running || blind) && leader.giving_way.is_none() {
            self.explain(Reason::GivesWay { dead, stuck_for });
            if !dead {
                self.note_hang();
            }
            self.withdraw_permission();
            let now = self.now;
            if let Some(leader) = self.leader.as_deref_mut() {
                leader.giving_way = Some(now);
            }
        } else if dead || hangs && !mutant!(self.config, R19LoneWaits) {
            self.explain(Reason::RestartsDatabase { dead, stuck_for });
            if !dead {
                self.note_hang();
            }
            let now = self.now;
            if let Some(leader) = self.leader.as_deref_mut() {
                // A dead one is started by the steward; a hanging one has to be stopped first.
                leader.restarting = !dead;
                leader.ran = None;
                if alone {
                    leader.begins_anew(now);
                }
                // Else what has been waited counts: a database that dies at each start hangs in the end (F3), and the
                // copy that is not seen has its chance.
            }
        }
    }

    /// Releases once the database is seen stopped and its permission gone; where the end cannot be seen, just stops
    /// leading (R5, R19).
    fn finish_giving_way(&mut self, since: Instant) {
        if self.guard.run.is_none() && self.primary_is_down()
            || mutant!(self.config, R5ReleasesEarly)
        {
            let patience = self.config.decision_timeout;
            self.release(None, None, patience);
        } else if self.now.since(since) > self.config.decision_timeout.part(1, 5) {
            if !mutant!(self.config, R19CampaignsAtOnce) {
                self.yields_until = self.now + self.config.decision_timeout;
            }
            self.step_down(Reason::StopsLeading);
        }
    }

    /// Progress is a health write that came back, or a step further on the way to serving. Waiting for a standby is not
    /// hanging, nor is a lone primary's recovery: to end it would only begin it anew.
    fn note_progress(&mut self) {
        let now = self.now;
        let wrote_at = self.running_primary().map(|p| p.wrote_at);
        let stage = match self.pg_state() {
            PgState::Primary(_) | PgState::Silent { primary: true, .. } => 3,
            PgState::Promoting => 2,
            PgState::Standby { .. } => 1,
            _ => 0,
        };
        let unproven = self
            .running_primary()
            .is_some_and(|p| p.gate == GateStatus::Unproven);
        let recovers = matches!(self.pg_state(), PgState::Starting);
        let run = self.guard.run;
        let Some(leader) = self.leader.as_deref_mut() else {
            return;
        };
        if leader.ran.is_none() && !leader.restarting {
            leader.ran = run;
        }
        // Until its record is committed a resumed leader leaves the gate as it is, and proves nothing (R6).
        leader.unproven_since = match unproven && leader.committed.is_some() {
            true => leader.unproven_since.or(Some(now)),
            false => None,
        };
        if let Some(wrote_at) = wrote_at {
            leader.progress_at = leader.progress_at.max(wrote_at.min(now));
        }
        let alone = leader.is_alone();
        let committed = leader.committed.as_ref();
        if recovers && alone {
            leader.progress_at = now;
        }
        // Only what was not reached before: a database that dies again and again comes no further.
        let progress = stage + committed.map_or(0, |r| r.key.version) * 4;
        if progress > leader.progress {
            leader.progress = progress;
            leader.progress_at = now;
        }
    }
}

impl Leader {
    /// Its database is to be started again: it has its time once more.
    pub(super) fn begins_anew(&mut self, now: Instant) {
        self.ran = None;
        self.progress = 0;
        self.progress_at = now;
        self.unproven_since = None;
    }
}
