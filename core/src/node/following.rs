//! A member that does not lead: hearing a leader, taking up records, and what its database should be (R3, R11, R20).

use super::Node;
use crate::member::MemberId;
use crate::message::{Body, Heartbeat, HeartbeatReply, Report};
use crate::mutant;
use crate::postgres::{PgState, StopMode, Upstream, Want};
use crate::reason::Reason;
use crate::record::{Record, RecordKey, Term};
use crate::rule;
use crate::time::Instant;
use std::sync::Arc;

/// The leader last heard.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Heard {
    pub(super) leader: MemberId,
    pub(super) term: Term,
    /// The newest heartbeat; an older one that comes late changes nothing, and renews no promise.
    round: u64,
    /// Counts as heard until then.
    pub(super) until: Instant,
    /// Its database may be followed.
    follow: bool,
    /// It knows that this member's copy leaves.
    leaving: bool,
}

impl Heard {
    /// For the canonical form: whatever heartbeat comes next counts as newer.
    pub(super) fn forget_round(&mut self) {
        self.round = 0;
    }
}

impl Node {
    pub(super) fn hears_leader(&self) -> bool {
        self.heard
            .as_ref()
            .is_some_and(|h| h.term == self.term() && self.now < h.until)
    }

    pub(super) fn on_heartbeat(&mut self, from: MemberId, term: Term, heartbeat: Heartbeat) {
        let stale = term < self.term() && !mutant!(self.config, R2AcceptsLowerTerm);
        let round = heartbeat.round;
        let over = term <= self.released && !mutant!(self.config, R5HearsReleased);
        if stale || over {
            // R2: refused; the answer's term says why.
            self.reply_heartbeat(from, round, false, None);
            return;
        }
        self.meet_term(term);
        if self.leader.is_some() {
            // One leader a term (R2): whoever claims ours is not answered.
            return;
        }
        // R10: a member stops its primary database before it takes up another's record.
        if !self.primary_is_down() && !mutant!(self.config, R10HearsWhileServing) {
            self.stop_for(from, term);
            self.reply_heartbeat(from, round, false, None);
            return;
        }
        let accepted = self.accept(term, heartbeat.record);
        // R5: what a younger heartbeat was promised covers an older one that comes late: its lease began before.
        let covered = self
            .heard
            .as_ref()
            .is_some_and(|h| h.term == term && round <= h.round);
        let length = match mutant!(self.config, R5OwnLength) {
            true => self.config.decision_timeout,
            false => heartbeat.promise,
        };
        if !covered {
            self.promise(from, term, length);
        }
        let says = (heartbeat.follow, heartbeat.leaving);
        self.hear(from, term, &heartbeat.committed, round, says);
        self.reply_heartbeat(from, round, true, accepted);
    }

    /// Takes up the leader's record as an acceptance, and says which record of this term is held (R2, R6).
    fn accept(&mut self, term: Term, brought: Option<Arc<Record>>) -> Option<RecordKey> {
        if let Some(record) = brought {
            if mutant!(self.config, R2AcceptsLowerTerm)
                && self
                    .record_key()
                    .is_none_or(|k| k < record.key || k.term > term)
                && let Some(state) = &mut self.state
            {
                let key = record.key;
                state.record = Some(record);
                self.dirty = true;
                return Some(key);
            }
            // Equal keys are acknowledged again only for equal contents.
            if self
                .record()
                .is_some_and(|r| r.key == record.key && *r != record)
            {
                return None;
            }
            self.take_up(record);
        }
        self.record_key().filter(|key| key.term == term)
    }

    /// Takes up a newer record, from anybody and whatever one's own term (R3). It gives no promise, and ends one's
    /// candidacy. Not before one's own primary database is stopped (R10).
    pub(super) fn take_up(&mut self, record: Arc<Record>) {
        if self.state.is_none() || self.record_key() >= Some(record.key) {
            return;
        }
        self.meet_term(record.key.term);
        if self.leader.is_some() {
            // Our own term's records are ours alone.
            return;
        }
        if record.primary != self.config.me
            && !self.primary_is_down()
            && !mutant!(self.config, R10TakesUpWhileServing)
        {
            self.stop_for(record.primary, record.key.term);
            return;
        }
        if !mutant!(self.config, R3KeepsCandidacy) {
            self.campaign = None;
        }
        self.explain(Reason::TookUp {
            record: record.clone(),
        });
        if let Some(state) = &mut self.state {
            rule!(
                self.config,
                "R3",
                state.record.as_ref().is_none_or(|r| r.key < record.key),
                "record {} would replace a newer one",
                record.key
            );
            state.record = Some(record);
            self.dirty = true;
        }
    }

    /// Another leads, or led, and this member's database may still serve: that has to end first (R10).
    pub(super) fn stop_for(&mut self, other: MemberId, term: Term) {
        let stopping = self.is_stopping_at_once();
        if self.guard.serving.is_none() {
            // Nothing serves yet: without a permission nothing will.
            self.withdraw_permission();
        } else if !stopping {
            self.explain(Reason::StopsForAnother { other, term });
            self.withdraw_permission();
            self.want(Want::Stopped(StopMode::Now));
        }
    }

    fn hear(
        &mut self,
        leader: MemberId,
        term: Term,
        committed: &Option<RecordKey>,
        round: u64,
        (follow, leaving): (bool, bool),
    ) {
        let until = self.promise.as_ref().map_or(self.now, |p| p.until);
        let new = self.heard.as_ref().is_none_or(|h| h.term != term);
        if new {
            self.explain(Reason::Follows { leader, term });
            self.campaign = None;
            // Another has led: what we yielded for has come (R19).
            self.yields_until = self.now;
        }
        self.committed = self.committed.max(*committed);
        match &mut self.heard {
            Some(heard) if heard.term == term => {
                heard.until = until;
                if round > heard.round {
                    heard.round = round;
                    heard.follow = follow;
                    heard.leaving = leaving;
                }
            }
            _ => {
                self.heard = Some(Heard {
                    leader,
                    term,
                    round,
                    until,
                    follow,
                    leaving,
                });
            }
        }
    }

    fn reply_heartbeat(
        &mut self,
        to: MemberId,
        round: u64,
        promised: bool,
        accepted: Option<RecordKey>,
    ) {
        let report = self.report();
        self.send(
            to,
            Body::HeartbeatReply(HeartbeatReply {
                round,
                promised,
                accepted,
                report,
            }),
        );
    }

    /// What this member tells a leader of its database.
    pub(super) fn report(&self) -> Report {
        let (running, drained) = match self.pg_state() {
            PgState::Standby {
                replay_paused,
                drained,
                ..
            } => (!replay_paused, *drained),
            _ => (false, false),
        };
        Report {
            copy: self.own_copy_id(),
            system_id: self.pg.system_id,
            running,
            stopped: self.guard.run.is_none(),
            end: self.pg.end,
            promotion: self.pg.history.newest(),
            drained,
            silent: self.now < self.silent_until,
            leaving: self.stopping.is_some()
                || self.hangs_since().is_some()
                || self.is_leaving_for_reinit(),
        }
    }

    // What the database should be.

    pub(super) fn decide_follower(&mut self) {
        self.decide_campaign();
        if self.leader.is_some() {
            return;
        }
        if !self.hears_leader() && self.campaign.is_none() && self.now >= self.ask_at {
            // As often as a leader would be heard.
            self.ask_at = self.now + self.config.heartbeat();
            self.ask();
        }
        self.decide_leaving();
        self.decide_follower_target();
    }

    /// Whether its database was told to stop.
    fn is_stopping(&self) -> bool {
        matches!(
            self.target.as_ref().map(|t| &t.want),
            Some(Want::Stopped(_))
        )
    }

    /// Whether it was told to stop at once.
    pub(super) fn is_stopping_at_once(&self) -> bool {
        (self.target.as_ref()).is_some_and(|t| t.want == Want::Stopped(StopMode::Now))
    }

    fn decide_follower_target(&mut self) {
        if !self.is_data() {
            return;
        }
        if self.state.is_none() {
            if self.stopping.is_some() {
                self.withdraw_permission();
                self.want(Want::Stopped(self.stop_mode()));
            } else if self.primary_is_down() || !self.is_stopping() {
                self.want(Want::Nothing);
            }
            return;
        }
        if !self.primary_is_down() {
            // Deposed, or found so at the start: it serves on under what permission it has, and its guard ends that;
            // hearing another leader stops it (`stop_for`). A permission that nothing serves on is given back.
            let serves = self.guard.serving.is_some();
            if !serves {
                self.withdraw_permission();
            }
            let stopping = self.is_stopping();
            if self.stopping.is_some() || self.hangs_since().is_some() {
                self.withdraw_permission();
                self.want(Want::Stopped(self.stop_mode()));
            } else if !stopping {
                // Looked after all the same: it may be elected again as the primary that it still is (R4).
                self.want(if serves {
                    Want::AS_FOUND
                } else {
                    Want::Nothing
                });
            }
            return;
        }
        if self.stops_now() {
            self.want(Want::Stopped(self.stop_mode()));
            return;
        }
        if self.rests_until_followed() {
            // Whoever handed over or gave way stays down until the new primary can be followed: it is then shrunk out
            // at once (R8), and writes go on without waiting for it.
            self.want(Want::Stopped(StopMode::Clean));
            return;
        }
        let want = self.standby_want();
        self.want(want);
    }

    fn standby_want(&self) -> Want {
        let following = match self.pg_state() {
            PgState::Standby { of, .. } => *of,
            _ => None,
        };
        let heard = self.heard.as_ref().filter(|_| self.hears_leader());
        let Some(heard) = heard else {
            // R20: left as found until a leader is heard or D has passed.
            let since = self.heard.as_ref().map_or(self.started, |h| h.until);
            let patience = since + self.config.decision_timeout;
            let of = if self.now < patience && !mutant!(self.config, R20LeavesAtOnce) {
                Upstream::AsFound
            } else {
                Upstream::Nobody
            };
            return Want::Standby {
                of,
                may_discard: false,
            };
        };
        let record = self.record();
        let of = match record {
            // R20: only once the record of the leader that it hears holds its promotion.
            // R15: not before it was seen that this is the copy that it should be.
            _ if !self.is_checked() => Upstream::AsFound,
            Some(r)
                if (heard.follow || mutant!(self.config, R20FollowsUnheld))
                    && r.primary == heard.leader
                    && r.key.term == heard.term =>
            {
                Upstream::Member(heard.leader)
            }
            _ if following.is_some_and(|f| f != heard.leader) => Upstream::Nobody,
            _ => Upstream::AsFound,
        };
        // R11: known committed, by a heartbeat of its leader or of a later one, and leaving this copy out.
        let looked = self.pg.state != PgState::Unknown && self.disowned.is_none();
        let may_discard = looked
            && record.is_some_and(|r| {
                let committed =
                    self.is_known_committed(r) || mutant!(self.config, R11DiscardsEarly);
                let left_out = self.copy().is_none_or(|copy| !r.names(copy))
                    || mutant!(self.config, R11DiscardsNamed);
                committed && left_out
            });
        Want::Standby { of, may_discard }
    }

    /// A heartbeat of the record's own leader named it, or a later one of that leader, as committed.
    fn is_known_committed(&self, record: &Record) -> bool {
        self.committed.is_some_and(|c| {
            (c.term == record.key.term || mutant!(self.config, R11AnyLaterTerm)) && c >= record.key
        })
    }

    /// Whether the leader heard knows that this member's copy leaves: no record of it will name that copy again.
    pub(super) fn is_known_to_leave(&self) -> bool {
        self.hears_leader() && self.heard.as_ref().is_some_and(|heard| heard.leaving)
    }

    /// Whether the leader heard leaves this member's copy out for good, or its database may be followed. Who is about
    /// to stop waits for the first: its vote may be needed for that record.
    pub(super) fn may_return(&self) -> bool {
        let Some(heard) = self.heard.as_ref().filter(|_| self.hears_leader()) else {
            return false;
        };
        let left_out = self.record().is_some_and(|r| {
            r.key.term == heard.term
                && self.is_known_committed(r)
                && r.copy_of(self.config.me).is_none()
        });
        (heard.follow && self.stopping.is_none()) || left_out
    }
}
