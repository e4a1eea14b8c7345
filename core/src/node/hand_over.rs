//! A planned move of the role, the release that ends a leadership, and the daemon's orderly end.

use super::Node;
use crate::action::Action;
use crate::member::MemberId;
use crate::message::Body;
use crate::operator::CommandOutcome;
use crate::postgres::{Lsn, PgState, StopMode, Want};
use crate::reason::Reason;
use crate::record::{Copy, Term};
use crate::time::{Duration, Instant};

/// A hand-over under way, before its release.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct HandOver {
    /// The operator's; none: the daemon was told to stop.
    pub(super) request: Option<u64>,
    /// Who is to take over; none: nobody can, the database just stops (the daemon was told to).
    successor: Option<Copy>,
    since: Instant,
    /// When the clean stop was first seen under way.
    stopping_since: Option<Instant>,
    /// The clean stop takes too long (a walsender that waits for a dead standby): it is made a short one. The
    /// successor's copy is in sync, so it lacks nothing that was acknowledged.
    hurried: bool,
    /// The database was stopped: where its shutdown checkpoint begins.
    shutdown_checkpoint: Option<Lsn>,
    /// The database was seen stopped, or is to be: its permission is on the way out.
    pub(super) stopped: bool,
}

/// After a release, until another leads or the patience ends.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Leaving {
    request: Option<u64>,
    term: Term,
    successor: Option<MemberId>,
    until: Instant,
    next_release: Instant,
}

impl HandOver {
    pub(super) fn want(&self) -> Want {
        if self.hurried {
            Want::Stopped(StopMode::Now)
        } else if self.stopped {
            Want::Stopped(StopMode::Clean)
        } else {
            Want::Draining
        }
    }
}

impl Node {
    /// Begins a hand-over, for an operator (`request`) or for the daemon's own end.
    pub(super) fn begin_hand_over(&mut self, request: Option<u64>) -> Result<(), CommandOutcome> {
        let Some(leader) = self.leader.as_deref() else {
            let leader = self
                .heard
                .as_ref()
                .filter(|_| self.hears_leader())
                .map(|h| h.leader);
            return Err(CommandOutcome::NotLeader { leader });
        };
        if leader.hand_over.is_some() || leader.giving_way.is_some() {
            return Err(CommandOutcome::Busy);
        }
        if leader.proposed.is_some() && request.is_some() {
            // A record is being decided, for some milliseconds.
            return Err(CommandOutcome::Busy);
        }
        let successor = self.successor();
        if successor.is_none() && self.stopping.is_none() {
            return Err(CommandOutcome::NoSuccessor);
        }
        self.explain(Reason::HandsOver { to: successor });
        let since = self.now;
        if let Some(leader) = self.leader.as_deref_mut() {
            leader.growing.clear();
            leader.hand_over = Some(HandOver {
                request,
                successor,
                since,
                stopping_since: None,
                hurried: false,
                shutdown_checkpoint: None,
                stopped: false,
            });
        }
        Ok(())
    }

    /// The copy that may take over: in sync, its database seen running and streaming from ours.
    fn successor(&self) -> Option<Copy> {
        let leader = self.leader.as_deref()?;
        let primary = self.running_primary()?;
        if leader.proposed.is_some() {
            return None;
        }
        let copies: Vec<Copy> = leader.committed.as_ref()?.others().collect();
        copies.into_iter().find(|copy| {
            self.seems_to_run(*copy)
                && primary
                    .standbys
                    .iter()
                    .any(|s| s.copy == *copy && s.streaming)
        })
    }

    pub(super) fn decide_hand_over(&mut self) {
        let Some(leader) = self.leader.as_deref() else {
            return;
        };
        let Some(hand_over) = leader.hand_over.clone() else {
            if self.stopping.is_some()
                && leader.giving_way.is_none()
                && (leader.proposed.is_none()
                    || self.stopping.is_some_and(|at| {
                        self.now.since(at) > self.config.decision_timeout.part(1, 5)
                    }))
            {
                // Nothing to hand over from before its record is committed: then it just stops.
                let _ = self.begin_hand_over(None);
            }
            return;
        };
        let seen_stopped = match self.pg_state() {
            PgState::Stopped {
                shutdown_checkpoint,
            } if self.guard.run.is_none() => Some(*shutdown_checkpoint),
            PgState::NoData => Some(None),
            _ => None,
        };
        let waited = self.now.since(hand_over.since);
        if let Some(checkpoint) = seen_stopped
            && !hand_over.stopped
        {
            if let Some(h) = self
                .leader
                .as_deref_mut()
                .and_then(|l| l.hand_over.as_mut())
            {
                h.shutdown_checkpoint = checkpoint;
                h.stopped = true;
                h.since = self.now;
            }
            return self.decide_hand_over();
        }
        if !hand_over.stopped {
            let stopping = *self.pg_state() == PgState::Stopping;
            // R19: what is asked for its checkpoint and writes nothing any more hangs as well.
            let hangs = self.now.since(leader.progress_at) > self.config.health_timeout;
            let (now, patience) = (self.now, self.config.decision_timeout.part(1, 2));
            if let Some(h) = self
                .leader
                .as_deref_mut()
                .and_then(|l| l.hand_over.as_mut())
                && (stopping || hangs)
            {
                let since = *h.stopping_since.get_or_insert(now);
                h.hurried |= hangs || now.since(since) > patience;
            }
            if !stopping && waited > self.config.decision_timeout.times(4) {
                self.take_back();
            }
            return;
        }
        // The target shows the shutdown checkpoint in its own WAL: it lacks nothing (no rewind, no lost write).
        let arrived = hand_over.successor.is_none_or(|copy| {
            leader.report_of(copy.member).is_some_and(|r| {
                r.copy == Some(copy.id)
                    && r.drained
                    && hand_over.shutdown_checkpoint.is_some_and(|at| r.end > at)
            })
        });
        let crashed = hand_over.shutdown_checkpoint.is_none();
        let late = waited > self.config.decision_timeout.part(1, 5);
        if !(arrived || crashed || (late && self.stopping.is_some())) {
            if late {
                self.take_back();
            }
            return;
        }
        self.withdraw_permission();
        if self.primary_is_down() {
            let successor = hand_over.successor.map(|c| c.member);
            let patience = self.config.decision_timeout.part(1, 5);
            let patience = if self.stopping.is_some() {
                self.config.decision_timeout
            } else {
                patience
            };
            self.release(hand_over.request, successor, patience);
        }
    }

    /// The hand-over came to nothing: the same leader serves on, in the same term: nothing was released.
    fn take_back(&mut self) {
        self.explain(Reason::TakesBack);
        let now = self.now;
        let request = self.leader.as_deref_mut().and_then(|leader| {
            leader.begins_anew(now);
            leader.hand_over.take().and_then(|h| h.request)
        });
        if let Some(request) = request {
            self.reply(request, CommandOutcome::TakenBack);
        }
    }

    /// Ends this term for good: the database is seen stopped and its permission gone (R5). It serves again only after
    /// winning a higher term, and does not campaign before another has led or `patience` has passed (R19).
    pub(super) fn release(
        &mut self,
        request: Option<u64>,
        successor: Option<MemberId>,
        patience: Duration,
    ) {
        let term = self.term();
        if let Some(leader) = self.leader.as_deref_mut() {
            leader.hand_over = None;
        }
        self.step_down(Reason::Releases { successor });
        self.released = self.released.max(term);
        if let Some(promise) = self.promise.as_mut().filter(|p| p.term <= term) {
            promise.until = self.now;
        }
        self.yields_until = self.now + patience;
        self.leaving = Some(Leaving {
            request,
            term,
            successor,
            until: self.now + patience,
            next_release: self.now,
        });
        self.decide_leaving();
    }

    /// Repeats the release until another leads, and tells the operator who does.
    pub(super) fn decide_leaving(&mut self) {
        let Some(leaving) = self.leaving.clone() else {
            return;
        };
        let over = self.now >= leaving.until;
        let heard = self.heard.as_ref().filter(|h| h.term > leaving.term);
        if let Some(heard) = heard {
            let to = heard.leader;
            let takes_over = self.committed.is_some_and(|c| c.term == heard.term);
            if takes_over && let Some(request) = leaving.request {
                if let Some(l) = &mut self.leaving {
                    l.request = None;
                }
                self.reply(request, CommandOutcome::HandedOver { to });
            }
            // Whoever took over may fail too: we wait for it no longer than the patience, or nobody would be left.
            if over || (takes_over && self.may_return()) {
                self.leaving_failed();
            }
            return;
        }
        if over {
            self.leaving_failed();
            return;
        }
        if self.now >= leaving.next_release {
            if let Some(l) = &mut self.leaving {
                l.next_release = self.now + self.config.retry();
            }
            for peer in self.config.peers() {
                self.send(
                    peer,
                    Body::Release {
                        term: leaving.term,
                        successor: leaving.successor,
                    },
                );
            }
        }
    }

    /// The patience has ended, or this member leads again: whom it was left to has not taken over.
    pub(super) fn leaving_failed(&mut self) {
        if let Some(request) = self.leaving.take().and_then(|l| l.request) {
            self.reply(request, CommandOutcome::TakenBack);
        }
    }

    /// After a release: stays down until the new primary can be followed, or the patience ends.
    pub(super) fn rests_until_followed(&self) -> bool {
        self.leaving.is_some()
    }

    /// A member told to stop asks to be shrunk out first, and stops after `sync_timeout` anyway (R8).
    pub(super) fn stops_now(&self) -> bool {
        let Some(since) = self.stopping else {
            return false;
        };
        let left_out = self.record().is_none_or(|r| {
            self.copy().is_none_or(|copy| !r.names(copy)) && self.committed >= Some(r.key)
        });
        left_out || self.leaving.is_some() || self.now.since(since) > self.config.sync_timeout
    }

    /// A clean stop that has not ended long after it was due hangs.
    pub(super) fn stop_mode(&self) -> StopMode {
        let patience = self.config.sync_timeout + self.config.decision_timeout;
        match self.stopping {
            Some(since) if self.now.since(since) > patience => StopMode::Now,
            _ => StopMode::Clean,
        }
    }

    /// Ends the daemon when it was told to stop and nothing of it serves or is needed any more.
    pub(super) fn decide_exit(&mut self) {
        if self.stopping.is_none() || self.leader.is_some() {
            return;
        }
        if self.is_data() && (self.guard.run.is_some() || !self.primary_is_down()) {
            return;
        }
        // Stays as a voter until the new leader's record without its copy is committed, at most D; where nobody else
        // may be elected there is nothing to stay for.
        let others = self
            .record()
            .is_some_and(|r| r.in_sync.iter().any(|c| c.member != self.config.me));
        if self.leaving.is_some() && others {
            return;
        }
        self.exited = true;
        self.push(Action::Exit);
    }
}
