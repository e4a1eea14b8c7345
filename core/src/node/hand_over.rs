//! A planned move of the role.

use super::Node;
use crate::mutant;
use crate::operator::CommandOutcome;
use crate::postgres::{Lsn, PgState, StopMode, Want};
use crate::reason::Reason;
use crate::record::Copy;
use crate::time::Instant;

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
    /// When the database was first seen gone.
    gone_since: Option<Instant>,
    /// The database was stopped: where its shutdown checkpoint begins.
    shutdown_checkpoint: Option<Lsn>,
    /// The database was seen stopped, or is to be: its permission is on the way out.
    pub(super) stopped: bool,
}

/// A hand-over that was asked for and has not begun.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Wish {
    /// The operator's; none: the daemon was told to stop.
    pub(super) request: Option<u64>,
    since: Instant,
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
    /// An operator asks for a hand-over.
    pub(super) fn wish_hand_over(&mut self, request: u64) -> Result<(), CommandOutcome> {
        let heard = self.heard.as_ref().filter(|_| self.hears_leader());
        let leader = heard.map(|h| h.leader);
        let since = self.now;
        match self.leader.as_deref_mut() {
            None => Err(CommandOutcome::NotLeader { leader }),
            Some(l) if l.hand_over.is_some() || l.giving_way.is_some() || l.wish.is_some() => {
                Err(CommandOutcome::Busy)
            }
            Some(l) if l.newest().is_some_and(|record| record.paused) => {
                Err(CommandOutcome::Refused(
                    "the cluster is paused, so nobody would take over: `yokeadm resume` first"
                        .to_owned(),
                ))
            }
            Some(l) => {
                l.wish = Some(Wish {
                    request: Some(request),
                    since,
                });
                Ok(())
            }
        }
    }

    /// Begins the hand-over that was asked for, once somebody can take over. Somebody who will be able to within D is
    /// waited for, serving.
    fn decide_wish(&mut self) {
        let Some(leader) = self.leader.as_deref() else {
            return;
        };
        let stop = self.stopping.map(|since| Wish {
            request: None,
            since,
        });
        let Some(wish) = leader.wish.clone().or(stop) else {
            #[cfg(feature = "mutants")]
            self.hands_back();
            return;
        };
        if leader.giving_way.is_some() {
            return;
        }
        let successor = self.successor();
        // An operator may have seen a copy run that this leader has not heard of again; one that is gone soon leaves the
        // record, and then the answer is given.
        let asked = wish.request.is_some();
        let paused = leader.newest().is_some_and(|record| record.paused);
        let soon = leader.proposed.is_some()
            || !paused
                && leader.newest().is_some_and(|record| {
                    let mut others = record.others();
                    others.any(|copy| asked || self.seems_to_run(copy))
                });
        let waited = self.now.since(wish.since);
        if successor.is_none() && soon && waited <= self.config.decision_timeout {
            return;
        }
        if let Some(leader) = self.leader.as_deref_mut() {
            leader.wish = None;
        }
        match (successor, wish.request) {
            (None, Some(request)) => self.reply(request, CommandOutcome::NoSuccessor),
            (successor, request) => self.begin_hand_over(successor, request),
        }
    }

    /// What nobody wants: the role goes back to where it was once.
    #[cfg(feature = "mutants")]
    fn hands_back(&mut self) {
        let home = self.config.configured_primary;
        if crate::mutant!(self.config, HandsBack)
            && let Some(copy) = self.successor().filter(|copy| copy.member == home)
        {
            self.begin_hand_over(Some(copy), None);
        }
    }

    fn begin_hand_over(&mut self, successor: Option<Copy>, request: Option<u64>) {
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
                gone_since: None,
                stopped: false,
            });
        }
    }

    /// The copy that may take over: in sync, streaming from ours, its member able to be elected.
    fn successor(&self) -> Option<Copy> {
        let leader = self.leader.as_deref()?;
        let primary = self.running_primary()?;
        if leader.proposed.is_some() || leader.is_alone() {
            return None;
        }
        let copies: Vec<Copy> = leader.committed.as_ref()?.others().collect();
        copies.into_iter().find(|copy| {
            self.may_take_over(*copy)
                && primary
                    .standbys
                    .iter()
                    .any(|s| s.copy == *copy && s.streaming)
        })
    }

    /// Since when the database is seen gone, in a hand-over.
    fn gone_since(&mut self) -> Option<Instant> {
        let (now, gone) = (self.now, self.guard.run.is_none());
        let hand_over = self.leader.as_deref_mut()?.hand_over.as_mut()?;
        hand_over.gone_since = hand_over.gone_since.or(Some(now)).filter(|_| gone);
        hand_over.gone_since
    }

    pub(super) fn decide_hand_over(&mut self) {
        let gone_since = self.gone_since();
        let unread = self.config.decision_timeout.part(1, 5);
        let Some(leader) = self.leader.as_deref() else {
            return;
        };
        let Some(hand_over) = leader.hand_over.clone() else {
            self.decide_wish();
            return;
        };
        // The steward's own word: the guard's, that it is gone, says nothing of its shutdown checkpoint.
        let seen_stopped = match &self.pg.state {
            PgState::Stopped {
                shutdown_checkpoint,
            } if gone_since.is_some() => Some(*shutdown_checkpoint),
            PgState::NoData => Some(None),
            // A disk that does not say.
            _ if gone_since.is_some_and(|at| self.now.since(at) > unread) => Some(None),
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
        let arrived = mutant!(self.config, R19ReleasesUnarrived)
            || hand_over.successor.is_none_or(|copy| {
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
}
