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

/// A copy that has to leave `in_sync` (R8).
struct Due {
    why: Reason,
    /// A heartbeat was sent since it has to.
    asked: bool,
    /// A majority answered that one, or has to be there only.
    heard: bool,
}

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
        let due: Vec<(Copy, Due)> = committed
            .others()
            .filter_map(|copy| self.shrinks(primary, copy).map(|due| (copy, due)))
            .collect();
        let asks = due.iter().any(|(_, due)| !due.asked);
        let gone: Vec<(Copy, Reason)> = due
            .into_iter()
            .filter(|(_, due)| due.heard || mutant!(self.config, R8ShrinksUnheard))
            .map(|(copy, due)| (copy, due.why))
            .collect();
        let key = RecordKey {
            term: leader.term,
            version: committed.key.version + 1,
        };
        let now = self.now;
        if let Some(leader) = self.leader.as_deref_mut() {
            if asks {
                leader.next_heartbeat = now;
            }
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
    fn shrinks(&self, primary: &PrimaryStatus, copy: Copy) -> Option<Due> {
        let leader = self.leader.as_deref()?;
        let config = &self.config;
        let track = leader.tracks.iter().find(|t| t.copy == copy);
        // When the stream fell silent. Not what it was last good for: of that moment even a leader that hears nobody any
        // more may have had an answer.
        let silent_since = track.map_or(leader.silent_since, |t| t.heard.1);
        let last_from = self.last_from[usize::from(copy.member.0)];
        let report = leader.report_of(copy.member);
        let streams = primary
            .standbys
            .iter()
            .any(|s| s.copy == copy && s.streaming);
        let leaving = report.is_some_and(|r| r.leaving);
        let (why, since) = if leaving {
            (Reason::ShrinksLeaving { copy }, silent_since)
        } else if report.is_some_and(|r| r.stopped || r.copy.is_some_and(|id| id != copy.id))
            && !streams
        {
            (Reason::ShrinksStopped { copy }, silent_since)
        } else if self.fell_back(copy) && !mutant!(config, R8FellBack) {
            (Reason::ShrinksFellBack { copy }, silent_since)
        } else if track.is_none() && self.now.since(last_from) > config.decision_timeout {
            let silence = self.now.since(last_from);
            let why = Reason::ShrinksSilent { copy, silence };
            (why, last_from + config.decision_timeout)
        } else if track.is_none()
            && let Some(recorded_at) = leader.recorded_at
            && self.now.since(recorded_at) > RETURN_TIME
            && !mutant!(config, R8WaitsForReturn)
        {
            let why = Reason::ShrinksNotStreaming { copy };
            (why, recorded_at + RETURN_TIME)
        } else if let Some(track) = track
            && let Some(late_since) = track.late_since
            && !mutant!(config, R8LagIgnored)
        {
            let lag = leader.status_at.since(track.fresh_at);
            let why = Reason::ShrinksLagging { copy, lag };
            (why, late_since)
        } else {
            return None;
        };
        // Who proposes it, and is not heard any more, leaves nobody who may be elected: a majority has to have answered
        // since then.
        let since = match mutant!(config, R8AskedBefore) {
            true => silent_since,
            false => since.max(silent_since),
        };
        let heard = leader.majority_heard_at(config).is_some_and(|at| {
            // Who is leaving, or lags and comes further, streams on: there a majority has to be there, no more (on a slow
            // network each position that it confirms is younger than every answer).
            let streams_on = leaving || track.is_some_and(|t| t.heard.1 == leader.status_at);
            at >= since || (streams_on && self.now.since(at) < config.decision_timeout.part(1, 5))
        });
        let asked = leader.sent.back().is_some_and(|(_, at)| *at >= since);
        Some(Due { why, asked, heard })
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
