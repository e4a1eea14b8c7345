//! What a leader's database should be: promoted, its gate, its doors (R6, R7, R18).

use super::Node;
use crate::mutant;
use crate::postgres::{Doors, Gate, GateStatus, PgState, PrimaryStatus, RunId, StopMode, Want};
use crate::reason::Reason;
use crate::time::Duration;

impl Node {
    /// What is seen of this member's primary, in the run that the guard sees.
    pub(super) fn running_primary(&self) -> Option<&PrimaryStatus> {
        match self.pg_state() {
            PgState::Primary(primary) => Some(primary),
            _ => None,
        }
    }

    /// The committed record holds exactly the promotions of the primary that runs: it may be followed (R6, R20).
    pub(super) fn may_be_followed(&self) -> bool {
        let Some(leader) = self.leader.as_deref() else {
            return false;
        };
        self.running_primary().is_some()
            && leader.hand_over.is_none()
            && leader.giving_way.is_none()
            && leader.committed.as_ref().is_some_and(|r| {
                r.promotions == self.pg.history || mutant!(self.config, R6FollowedUnrecorded)
            })
    }

    /// Notes what concerns one run of the primary, and forgets what was seen of an older one.
    pub(super) fn decide_run(&mut self) {
        let run = self.running_primary().map(|_| self.pg.run);
        let follow = self.may_be_followed();
        let found_open = self
            .running_primary()
            .is_some_and(|p| p.doors == Doors::Open);
        let now = self.now;
        let Some(leader) = self.leader.as_deref_mut() else {
            return;
        };
        match run {
            Some(run) if run != leader.run => {
                leader.run = run;
                leader.primary_since = now;
                leader.recorded_at = None;
                leader.tracks.clear();
                leader.growing.clear();
                // A re-elected or resumed leader's primary serves already.
                leader.doors_open = found_open;
            }
            Some(_) => {}
            None => {
                if leader.run != RunId(0) {
                    leader.silent_since = now;
                }
                leader.doors_open = false;
                leader.growing.clear();
                leader.recorded_at = None;
            }
        }
        if follow && leader.recorded_at.is_none() {
            leader.recorded_at = Some(now);
            leader.next_heartbeat = now;
        }
        self.track_standbys_at_first_sight();
    }

    fn track_standbys_at_first_sight(&mut self) {
        let untracked = self
            .leader
            .as_deref()
            .is_some_and(|l| l.run == self.pg.run && l.tracks.is_empty());
        if untracked {
            self.track_standbys();
        }
    }

    /// Tells the steward what a leader's database should be.
    pub(super) fn decide_serving(&mut self) {
        if let Some(want) = self.leaders_want() {
            self.want(want);
        }
    }

    fn leaders_want(&mut self) -> Option<Want> {
        let leader = self.leader.as_deref()?;
        if leader.giving_way.is_some() || leader.restarting {
            return Some(Want::Stopped(StopMode::Now));
        }
        if let Some(hand_over) = &leader.hand_over {
            return Some(hand_over.want());
        }
        if leader.committed.is_none() {
            // Left as it is until the record is committed (R6): what serves goes on, what stands by stays.
            let serves = self.guard.serving.is_some();
            return serves.then_some(Want::AS_FOUND);
        }
        let unseen = self.pg.state == PgState::Unknown || self.guard.run != Some(self.pg.run);
        if unseen && self.guard.serving.is_some() {
            // A resumed leader's primary serves, but has not been looked at yet: nothing of it is closed meanwhile.
            return Some(Want::AS_FOUND);
        }
        let gate = if self.may_be_followed() {
            leader.gate(&self.config)
        } else {
            Gate::Closed
        };
        let doors = self.doors(&gate);
        Some(Want::Primary { gate, doors })
    }

    /// R18: clients come in only once the gate is proven open and every copy that it names has flushed the end of
    /// recovery: nobody reads what may yet be lost. Once open they stay open for this run.
    fn doors(&mut self, gate: &Gate) -> Doors {
        let Some(primary) = self.running_primary() else {
            return Doors::Closed;
        };
        let ready = match (&primary.gate, gate) {
            (GateStatus::Open { names, .. }, Gate::Open(wanted)) => {
                names == wanted
                    && wanted.iter().all(|copy| {
                        primary
                            .standbys
                            .iter()
                            .any(|s| s.copy == *copy && s.flushed >= primary.recovery_end)
                            || mutant!(self.config, R18OpensEarly)
                    })
            }
            _ => mutant!(self.config, R18DoorsBeforeGate),
        };
        let mut opened_after = None;
        let now = self.now;
        let Some(leader) = self.leader.as_deref_mut() else {
            return Doors::Closed;
        };
        if ready && !leader.doors_open {
            leader.doors_open = true;
            opened_after = Some(now.since(leader.since));
        }
        let open = leader.doors_open;
        if let Some(after) = opened_after {
            self.explain_serves(after);
        }
        if open { Doors::Open } else { Doors::Closed }
    }

    fn explain_serves(&mut self, after: Duration) {
        let waits_for = self
            .leader
            .as_deref()
            .and_then(|l| l.committed.as_ref())
            .map_or(0, |r| r.others().count());
        self.explain(Reason::Serves { after, waits_for });
    }
}
