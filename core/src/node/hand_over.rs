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
    stage: Stage,
    /// The clean stop takes too long (a walsender that waits for a dead standby): it is made a short one. The
    /// successor's copy is in sync, so it lacks nothing that was acknowledged.
    hurried: bool,
}

/// How far a hand-over is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Stage {
    /// The database is asked for a checkpoint, then to stop cleanly.
    Stopping {
        since: Instant,
        /// When the clean stop was first seen under way.
        under_way_since: Option<Instant>,
        /// When the database was first seen gone; what it left is still to be read.
        gone_since: Option<Instant>,
    },
    /// It has ended, and its permission is on the way out.
    Ended {
        since: Instant,
        /// Where its shutdown checkpoint begins; none: it wrote none, or the disk does not say.
        shutdown_checkpoint: Option<Lsn>,
    },
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
        } else if self.has_ended() {
            Want::Stopped(StopMode::Clean)
        } else {
            Want::Draining
        }
    }

    /// The database has ended.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended { .. })
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
                stage: Stage::Stopping {
                    since,
                    under_way_since: None,
                    gone_since: None,
                },
                hurried: false,
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

    pub(super) fn decide_hand_over(&mut self) {
        let leader = self.leader.as_deref();
        match leader.and_then(|l| l.hand_over.as_ref()) {
            None => self.decide_wish(),
            Some(hand_over) if hand_over.has_ended() => self.await_arrival(),
            Some(_) => self.await_end(),
        }
    }

    /// The database is on its way to its end; the role is taken back if it does not come there.
    fn await_end(&mut self) {
        let (now, gone) = (self.now, self.guard.run.is_none());
        let (d, health_timeout) = (self.config.decision_timeout, self.config.health_timeout);
        let under_way = *self.pg_state() == PgState::Stopping;
        let Some(leader) = self.leader.as_deref_mut() else {
            return;
        };
        // R19: what is asked for its checkpoint and writes nothing any more hangs as well.
        let hangs = now.since(leader.progress_at) > health_timeout;
        let Some(hand_over) = &mut leader.hand_over else {
            return;
        };
        let Stage::Stopping {
            since,
            under_way_since,
            gone_since,
        } = &mut hand_over.stage
        else {
            return;
        };
        *gone_since = gone_since.or(Some(now)).filter(|_| gone);
        // The steward's own word: the guard's, that it is gone, says nothing of its shutdown checkpoint.
        let ended = match &self.pg.state {
            PgState::Stopped {
                shutdown_checkpoint,
            } if gone => Some(*shutdown_checkpoint),
            PgState::NoData => Some(None),
            // A disk that does not say.
            _ if gone_since.is_some_and(|at| now.since(at) > d.part(1, 5)) => Some(None),
            _ => None,
        };
        if let Some(shutdown_checkpoint) = ended {
            hand_over.stage = Stage::Ended {
                since: now,
                shutdown_checkpoint,
            };
            return self.await_arrival();
        }
        if under_way || hangs {
            let since = *under_way_since.get_or_insert(now);
            hand_over.hurried |= hangs || now.since(since) > d.part(1, 2);
        }
        if !under_way && now.since(*since) > d.times(4) {
            self.take_back();
        }
    }

    /// The database has ended: once the target shows the shutdown checkpoint in its own WAL, it lacks nothing (no rewind,
    /// no lost write), and the term is released.
    fn await_arrival(&mut self) {
        let Some(leader) = self.leader.as_deref() else {
            return;
        };
        let Some(HandOver {
            request,
            successor,
            stage:
                Stage::Ended {
                    since,
                    shutdown_checkpoint,
                },
            ..
        }) = leader.hand_over
        else {
            return;
        };
        let arrived = mutant!(self.config, R19ReleasesUnarrived)
            || successor.is_none_or(|copy| {
                leader.report_of(copy.member).is_some_and(|r| {
                    r.copy == Some(copy.id)
                        && r.drained
                        && shutdown_checkpoint.is_some_and(|at| r.end > at)
                })
            });
        let patience = self.config.decision_timeout.part(1, 5);
        let late = self.now.since(since) > patience;
        if !(arrived || shutdown_checkpoint.is_none() || (late && self.stopping.is_some())) {
            if late {
                self.take_back();
            }
            return;
        }
        self.withdraw_permission();
        if self.primary_is_down() {
            let patience = match self.stopping {
                Some(_) => self.config.decision_timeout,
                None => patience,
            };
            self.release(request, successor.map(|c| c.member), patience);
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
