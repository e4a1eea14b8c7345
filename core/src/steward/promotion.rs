//! From a running standby to a primary, and what became of a promotion that was ordered.

use super::facts::Holding;
use super::plan::{Pace, Plan};
use super::{Steward, StewardReason};
use crate::mutant;
use crate::postgres::{Doors, Lsn};
use crate::record::{Copy, History, Promotion, Term};
use crate::rule;
use crate::step::{DataDirectory, Server, Stamp, Step};
use crate::time::Instant;

impl Steward {
    /// The way to the promotion: doors closed, sessions ended, the order stamped (R6, R15, R18).
    pub(super) fn plan_promotion(&self, now: Instant, server: &Server) -> Plan {
        let stuck = |why: &str| Plan::look(Pace::Slow).but(why.to_owned());
        let (data, copy, stamp) = match self.holding() {
            Holding::Own { data, copy, stamp } => (data, copy, stamp),
            // R14, R11
            Holding::Untouchable(why) | Holding::Undecided(why) | Holding::Replaceable(why) => {
                return stuck(&format!("it is not promoted: {why}"));
            }
            _ => return stuck("it is not promoted: its data directory is not whole"),
        };
        let own = Copy {
            member: self.config.me,
            id: copy,
        };
        let Some(record) = self.record().filter(|r| r.names(own)) else {
            return stuck(&format!(
                "it is not promoted: the record does not name its copy {copy} as in sync"
            ));
        };
        if self.own_copy() != Some(own) {
            // R15: by now it is known to have gone back in time, or is being given up.
            return stuck(&format!(
                "it is not promoted: its copy {copy} is to get a name of its own first"
            ));
        }
        if server.replay_paused {
            return stuck(
                "it is not promoted: replay is paused; say pg_wal_replay_resume(), or raise the settings that its log names",
            );
        }
        let Some(stamp) = stamp else {
            return Plan::step(Step::WriteStamp(self.new_stamp(data, copy, record)));
        };
        let closed = self.closed_gate();
        // R15: what the stamp names may not have come here yet, and this promotion may then make the same number. It follows
        // nobody first, so that none comes from elsewhere any more.
        let named = stamp.history.last().map(|p| p.timeline);
        let may_come = named > Some(data.newest_timeline.0);
        match &self.facts.written {
            // R18, R7: doors and gate closed. Whom it follows is left: a promotion keeps all that was flushed.
            Some(w)
                if w.gate == closed
                    && !(may_come && w.follow.is_some())
                    && (w.doors == Doors::Closed || mutant!(self.config, R18DoorsOpen)) =>
            {
                if let Some(plan) = self.reload(now, server) {
                    return plan;
                }
                if w.follow.is_none() && !server.drained {
                    return Plan::look(Pace::Fast);
                }
            }
            written => {
                let follow = written.as_ref().and_then(|w| w.follow);
                let follow = follow.filter(|_| !may_come);
                return Plan::because(
                    Step::WriteSettings(self.settings(closed, follow, Doors::Closed)),
                    StewardReason::Doors { open: false },
                );
            }
        }
        let ended = match self.facts.run.sessions_ended {
            Some((generation, number)) if generation == server.settings => number,
            _ if mutant!(self.config, R18SessionsStay) => 0,
            _ => return Plan::step(Step::EndSessions),
        };
        let term = self.term();
        match unsettled(stamp) {
            Some((of, n)) if of == term => {
                Plan::because(Step::Promote, StewardReason::Promotes { term, n })
            }
            _ if mutant!(self.config, R6PromotesUnstamped) => Plan::step(Step::Promote),
            // The newest timeline now: a higher one later is this promotion (R15).
            _ if self.facts.run.inspected < ended => Plan::step(Step::Inspect),
            _ => {
                let n = stamp.history.promotions().iter().map(|p| p.n).max();
                let n = n.max(stamp.ordered.map(|(_, n)| n)).unwrap_or(0) + 1;
                Plan::step(Step::WriteStamp(Stamp {
                    record: stamp.record.max(Some(record.key)),
                    ordered: Some((term, n)),
                    ordered_on: data.newest_timeline.0,
                    ..stamp.clone()
                }))
            }
        }
    }

    /// What no promotion may lack.
    pub(super) fn assert_may_promote(&self) {
        let in_force = self.facts.run.in_force.as_ref();
        let stamp = self.facts.data().and_then(|d| d.stamp.as_ref());
        rule!(
            self.config,
            "R6",
            stamp
                .and_then(unsettled)
                .is_some_and(|(term, _)| term == self.term()),
            "a promotion that the stamp does not name"
        );
        rule!(
            self.config,
            "R7",
            in_force.is_some_and(|w| w.gate.is_none()),
            "a promotion with an open gate"
        );
        rule!(
            self.config,
            "R18",
            in_force.is_some_and(|w| w.doors == Doors::Closed)
                && self
                    .facts
                    .run
                    .sessions_ended
                    .map(|(generation, _)| generation)
                    == in_force.map(|w| w.generation),
            "a promotion with doors open or sessions left"
        );
        rule!(
            self.config,
            "R4",
            self.own_copy()
                .is_some_and(|copy| self.record().is_some_and(|r| r.names(copy))),
            "a promotion of a copy that is not in sync"
        );
    }

    /// The stamp with the promotion that the running primary shows, if it lacks that.
    pub(super) fn stamp_with_promotion(&self, server: &Server) -> Option<Stamp> {
        let stamp = self.facts.data()?.stamp.as_ref()?;
        let (term, n) = unsettled(stamp)?;
        let (timeline, start) = server.timeline;
        Some(self.joined(
            stamp,
            Promotion {
                timeline,
                start,
                term,
                n,
            },
        ))
    }

    /// A promotion that nobody ordered is part of the history all the same: what it wrote fits nobody else (R15).
    pub(super) fn stamp_with_promotion_by_hand(&self, server: &Server) -> Option<Stamp> {
        let stamp = self.facts.data()?.stamp.as_ref()?;
        let (timeline, start) = server.timeline;
        let known = stamp.history.last().is_some_and(|p| p.timeline == timeline);
        let failed = self.hold.as_ref().is_some_and(|hold| {
            hold.kind == std::mem::discriminant(&Step::WriteStamp(stamp.clone()))
        });
        // Stopping does not wait for a disk that is full.
        if known || failed {
            return None;
        }
        Some(self.joined(
            stamp,
            Promotion {
                timeline,
                start,
                term: Term(0),
                // Two copies that were promoted by hand are never taken for one.
                n: (stamp.copy.0 & 0x3FFF_FFFF) as u32,
            },
        ))
    }

    /// R15: the stamp once it is known what became of the promotion that it orders; nothing runs, so it can no longer
    /// happen. None: nothing is open.
    pub(super) fn settled(&self, data: &DataDirectory, stamp: &Stamp) -> Option<Stamp> {
        let (term, n) = unsettled(stamp).filter(|_| !mutant!(self.config, R15NeverSettled))?;
        let (mut timeline, start) = data.newest_timeline;
        if mutant!(self.config, R15StrikesByControlFile) {
            timeline = data.checkpoint_timeline;
        }
        Some(if timeline > stamp.ordered_on {
            self.joined(
                stamp,
                Promotion {
                    timeline,
                    start,
                    term,
                    n,
                },
            )
        } else {
            Stamp {
                ordered: None,
                ..stamp.clone()
            }
        })
    }

    fn joined(&self, stamp: &Stamp, promotion: Promotion) -> Stamp {
        // One that started at the same place stays: what has followed it holds nothing that this copy lacks.
        let reached = Lsn(promotion.start.0.saturating_add(1));
        Stamp {
            record: self.record().map(|r| r.key).max(stamp.record),
            history: match mutant!(self.config, R6JoinsUnentered) {
                true => stamp.history.with(promotion),
                false => entered(&stamp.history, reached).with(promotion),
            },
            follows: stamp
                .follows
                .filter(|_| mutant!(self.config, R15FollowsStays)),
            rewritten: false,
            ..stamp.clone()
        }
    }

    /// The promotions of this copy, as stamped and as seen.
    pub(super) fn history(&self) -> History {
        let Some((data, stamp)) = self
            .facts
            .data()
            .and_then(|data| Some((data, data.stamp.as_ref()?)))
        else {
            return History::default();
        };
        if mutant!(self.config, R15NewestHistory)
            && let Some(record) = self.record().filter(|_| self.guard.serving.is_none())
        {
            return record.promotions.clone();
        }
        let seen = match (self.guard.run, self.facts.server()) {
            (Some(_), Some(server)) if !server.in_recovery => self.stamp_with_promotion(server),
            (None, _) if !self.facts.look => self.settled(data, stamp),
            _ => None,
        };
        seen.map_or_else(|| stamp.history.clone(), |stamp| stamp.history)
    }

    fn term(&self) -> Term {
        self.target.as_ref().map_or(Term(0), |t| t.term)
    }
}

/// The promotion that the stamp orders and of which it does not say that it happened.
pub(super) fn unsettled(stamp: &Stamp) -> Option<(Term, u32)> {
    stamp.ordered.filter(|&(term, n)| {
        !stamp
            .history
            .promotions()
            .iter()
            .any(|p| (p.term, p.n) == (term, n))
    })
}

/// The part of a history that a copy which ends at `end` has entered. A stamp is written before its standby is pointed
/// anywhere, so its last promotions may be of timelines of which the copy holds nothing (R6: those are dropped).
pub(super) fn entered(history: &History, end: Lsn) -> History {
    let promotions = history.promotions();
    let count = promotions
        .iter()
        .rposition(|p| p.start < end)
        .map_or(0, |last| last + 1);
    if count == promotions.len() {
        return history.clone();
    }
    History::from(promotions[..count].to_vec())
}
