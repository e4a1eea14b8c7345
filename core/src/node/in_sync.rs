//! Which copies are in sync: shrink first, grow last (R8, R9).

use super::Node;
use super::keeping_up::Track;
use super::leader::Flaps;
use crate::mutant;
use crate::postgres::{Gate, GateStatus, PrimaryStatus, Want};
use crate::reason::Reason;
use crate::record::{Copy, Record, RecordKey};
use crate::time::{Duration, Instant};

/// What does not stream this long after its new primary's record leaves `in_sync` (R8).
const RETURN_TIME: Duration = Duration::millis(300);
/// A copy's steady time doubles with each flap, so many times at most.
const FLAPS_COUNTED: u32 = 6;
/// A copy that was in sync for this long has no flaps any more.
const FORGIVEN_AFTER: Duration = Duration::secs(60);

impl Node {
    /// Proposes the next record, if there is a reason for one: the promotions of this copy, a shrink, a growth.
    pub(super) fn decide_record(&mut self) {
        let Some(leader) = self.leader.as_deref() else {
            return;
        };
        let undecided = leader.proposed.is_some() && !mutant!(self.config, R6TwoOutstanding);
        if undecided || leader.giving_way.is_some() || leader.hand_over.is_some() {
            return;
        }
        let Some(committed) = leader.committed.clone() else {
            return;
        };
        let Some(primary) = self.running_primary() else {
            return;
        };
        let gone: Vec<(Copy, Reason)> = committed
            .others()
            .filter_map(|copy| self.shrinks(primary, copy).map(|why| (copy, why)))
            .collect();
        let key = RecordKey {
            term: leader.term,
            version: committed.key.version + 1,
        };
        let now = self.now;
        if let Some(leader) = self.leader.as_deref_mut() {
            for (copy, _) in &gone {
                leader.flaps[usize::from(copy.member.0)].count_one(now);
            }
        }
        // R6: exactly those of this copy; earlier unrecorded ones added, those that it lacks dropped.
        let promotions = match mutant!(self.config, R6KeepsPromotions) {
            true => committed.promotions.merged(&self.pg.history),
            false => self.pg.history.clone(),
        };
        if promotions != committed.promotions || !gone.is_empty() {
            let mut next = Record {
                key,
                promotions,
                ..Record::clone(&committed)
            };
            for (copy, why) in gone {
                next.in_sync.retain(|other| *other != copy);
                self.explain(why);
            }
            self.propose(next);
            return;
        }
        self.decide_growth();
        if let Some(copy) = self.grown() {
            let mut next = Record {
                key,
                ..Record::clone(&committed)
            };
            next.in_sync.push(copy);
            next.in_sync.sort_unstable();
            // R17: whoever is not in sync yet may hold what an operator's word left out.
            let data = self.config.ids().filter(|m| self.config.is_data(*m));
            next.forced &= next.in_sync.len() < data.count();
            self.explain(Reason::Grows { copy });
            if let Some(leader) = self.leader.as_deref_mut() {
                leader.flaps[usize::from(copy.member.0)].grown_at = now;
            }
            self.propose(next);
        }
    }

    /// Why this copy has to leave `in_sync` now, if it has to (R8).
    fn shrinks(&self, primary: &PrimaryStatus, copy: Copy) -> Option<Reason> {
        let leader = self.leader.as_deref()?;
        let config = &self.config;
        let track = leader.tracks.iter().find(|t| t.copy == copy);
        // When the stream fell silent; R8 asks for a majority that answered since. Not what it was last good for: of that
        // moment even a leader that hears nobody any more may have had an answer.
        let silent_since = track.map_or(leader.silent_since, |t| t.heard.1);
        let fresh_at = track.map_or(leader.silent_since, |t| t.fresh_at);
        let report = leader.report_of(copy.member);
        let streams = primary
            .standbys
            .iter()
            .any(|s| s.copy == copy && s.streaming);
        let leaving = report.is_some_and(|r| r.leaving);
        let why = if leaving {
            Reason::ShrinksLeaving { copy }
        } else if report.is_some_and(|r| r.stopped || r.copy.is_some_and(|id| id != copy.id))
            && !streams
        {
            Reason::ShrinksStopped { copy }
        } else if self.fell_back(copy) && !mutant!(config, R8FellBack) {
            Reason::ShrinksFellBack { copy }
        } else if track.is_none()
            && self.now.since(self.last_from[usize::from(copy.member.0)]) > config.decision_timeout
        {
            Reason::ShrinksSilent {
                copy,
                silence: self.now.since(self.last_from[usize::from(copy.member.0)]),
            }
        } else if track.is_none()
            && leader
                .recorded_at
                .is_some_and(|at| self.now.since(at) > RETURN_TIME)
            && !mutant!(config, R8WaitsForReturn)
        {
            Reason::ShrinksNotStreaming { copy }
        } else if leader.status_at.since(fresh_at) > config.sync_timeout
            && track.is_some()
            && !mutant!(config, R8LagIgnored)
        {
            Reason::ShrinksLagging {
                copy,
                lag: leader.status_at.since(fresh_at),
            }
        } else {
            return None;
        };
        let heard = leader.majority_heard_at(config).is_some_and(|at| {
            // Who is leaving, or lags and comes further, streams on: there a majority has to be there, no more (on a slow
            // network each position that it confirms is younger than every answer).
            let streams_on = leaving || track.is_some_and(|t| t.heard.1 == leader.status_at);
            at >= silent_since
                || (streams_on && self.now.since(at) < config.decision_timeout.part(1, 5))
        });
        (heard || mutant!(config, R8ShrinksUnheard)).then_some(why)
    }

    /// Decides which copies the gate names besides those in sync: those that may be grown (R9).
    fn decide_growth(&mut self) {
        let Some(leader) = self.leader.as_deref() else {
            return;
        };
        let Some(committed) = &leader.committed else {
            return;
        };
        let heard = || {
            let heard_at = leader.majority_heard_at(&self.config);
            heard_at.is_some_and(|at| self.now.since(at) < self.config.decision_timeout.part(1, 5))
        };
        let ready = |track: &&Track| {
            let flaps = leader.flaps[usize::from(track.copy.member.0)].count;
            let steady = self.config.decision_timeout.part(1, 10).times(1 << flaps);
            track
                .steady_since
                .is_some_and(|since| self.now.since(since) >= steady)
                && !committed.names(track.copy)
                && self.seems_to_run(track.copy)
                && self.config.is_data(track.copy.member)
        };
        let wanted: Vec<Copy> = if leader.doors_open && leader.recorded_at.is_some() && heard() {
            let mut copies: Vec<Copy> =
                leader.tracks.iter().filter(ready).map(|t| t.copy).collect();
            copies.sort_unstable();
            copies
        } else {
            Vec::new()
        };
        let stalled = !leader.growing.is_empty()
            && self.now.since(leader.growing_since) > self.config.sync_timeout;
        let now = self.now;
        let Some(leader) = self.leader.as_deref_mut() else {
            return;
        };
        if stalled {
            // The gate made writes wait for a copy that does not come: it has to be steady for longer next time.
            for copy in std::mem::take(&mut leader.growing) {
                leader.flaps[usize::from(copy.member.0)].count_one(now);
                if let Some(track) = leader.tracks.iter_mut().find(|t| t.copy == copy) {
                    track.steady_since = None;
                }
            }
            return;
        }
        if leader.growing != wanted {
            leader.growing = wanted;
            leader.growing_since = now;
        }
    }

    /// A copy that may enter the record: the proven gate names it, and it has flushed a position taken after the proof,
    /// in one unbroken run; no gate order is under way; a majority was just heard; the guard holds a lease (R9, R10). An
    /// order that leaves it out may have been given a moment ago, and the next one wait for the disk with this record.
    fn grown(&self) -> Option<Copy> {
        let leader = self.leader.as_deref().filter(|l| !l.growing.is_empty())?;
        if mutant!(self.config, R9NotNamed) {
            return leader.growing.first().copied();
        }
        let target = self.target.as_ref()?;
        let primary = self.running_primary()?;
        let Want::Primary { gate, .. } = &target.want else {
            return None;
        };
        let GateStatus::Open { names, since } = &primary.gate else {
            return None;
        };
        let settled = self.pg.target == target.seq
            && *gate == Gate::Open(names.clone())
            && *gate == leader.gate(&self.config);
        let settled = settled || mutant!(self.config, R9OrderUnderWay);
        let confirmed = self.lease_is_confirmed() || mutant!(self.config, R10GrowsUnconfirmed);
        if !settled || !confirmed {
            return None;
        }
        let unflushed = mutant!(self.config, R9NotFlushed);
        leader
            .growing
            .iter()
            .copied()
            .find(|copy| {
                names.contains(copy)
                    && primary.standbys.iter().any(|s| {
                        s.copy == *copy && s.streaming && (s.flushed >= *since || unflushed)
                    })
            })
            .filter(|copy| self.seems_to_run(*copy))
    }
}

impl Flaps {
    fn count_one(&mut self, now: Instant) {
        if now.since(self.grown_at) > FORGIVEN_AFTER {
            self.count = 0;
        }
        self.count = (self.count + 1).min(FLAPS_COUNTED);
    }
}
