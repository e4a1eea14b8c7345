//! Lost memory: how a member learns that its state is lost or older than it should be, and how it joins again (R12).

use super::Node;
use super::asking::Asking;
use crate::hard_state::{HardState, Noted};
use crate::member::MemberId;
use crate::message::{Body, Presence, Reached, Sighting};
use crate::mutant;
use crate::reason::{Forgot, Reason};
use crate::record::{Copy, CopyId, Record, Term};
use crate::time::Duration;

/// What a member knows of its own memory.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Memory {
    /// A random number of this start, or of this member's last joining.
    start: u64,
    /// The count of state writes found then.
    found: u64,
    /// The highest count that anybody has seen of this member: what joins again counts on from there.
    told: u64,
    /// What is left of a state that was found to be too old: nothing is decided by it, but nothing adopted may be lower.
    left: Option<Box<HardState>>,
}

impl Memory {
    pub(super) fn new(nonce: u64, state: Option<&HardState>) -> Memory {
        Memory {
            start: nonce,
            found: state.map_or(0, |s| s.writes),
            told: 0,
            left: None,
        }
    }
}

impl Node {
    /// For the canonical form: no message carries the counts.
    pub(super) fn memory_counts_nothing(&mut self) {
        self.memory.start = 0;
        self.memory.found = 0;
        self.memory.told = 0;
    }

    // What others are told, and what is learnt of them.

    /// What this member says of its memory. The count is on disk before the message leaves: the outbox sees to it.
    pub(super) fn presence(&self) -> Option<Presence> {
        self.state.as_ref().map(|state| Presence {
            start: self.memory.start,
            found: self.memory.found,
            writes: state.writes,
        })
    }

    /// What was seen of every member, this one included: a leader passes it on, or a witness would never know (R12).
    pub(super) fn all_sightings(&self) -> Vec<Option<Sighting>> {
        let mut all = self.sightings.clone();
        all[usize::from(self.config.me.0)] = self
            .presence()
            .map(|presence| Sighting::of(presence, self.reached()));
        all
    }

    /// Takes in what a message says of its sender. False: a newer state of that member was seen before, so it has
    /// forgotten something, or the message is older than its present start.
    pub(super) fn sees(&mut self, from: MemberId, presence: Presence, body: &Body) -> bool {
        let reached = match body {
            Body::HeartbeatReply(reply) => reply.report.copy.map(|copy| Reached {
                copy,
                end: reply.report.end,
                promotion: reply.report.promotion,
            }),
            _ => None,
        };
        self.merge(from, Sighting::of(presence, reached))
    }

    /// Takes in what a leader has seen of all.
    pub(super) fn see_all(&mut self, from: MemberId, sightings: &[Option<Sighting>]) {
        let me = self.config.me;
        for (member, sighting) in self.config.ids().zip(sightings) {
            match sighting {
                Some(sighting) if member == me => self.is_told(sighting),
                // The sender's own word stands in the message.
                Some(sighting) if member != from || sighting.reached.is_some() => {
                    self.merge(member, *sighting);
                }
                _ => {}
            }
        }
    }

    /// Of two starts the later one found at least what the earlier one wrote. One that found less is of a state that
    /// went back in time: what was seen before it stands, whatever it counts by now.
    fn merge(&mut self, member: MemberId, new: Sighting) -> bool {
        let kept = &mut self.sightings[usize::from(member.0)];
        let Some(old) = kept else {
            *kept = Some(new);
            return true;
        };
        if old.presence.start != new.presence.start && new.presence.found < old.presence.writes {
            return false;
        }
        let stale_stands = mutant!(self.config, R12StaleWordStands);
        let said_at = |s: &Sighting| match stale_stands {
            true => s.presence.writes,
            false => s.reached_at,
        };
        let (before, now) = (said_at(old), said_at(&new));
        let unclear = now == before && !stale_stands;
        old.reached = match (old.reached, new.reached) {
            (Some(a), Some(b)) if a.copy == b.copy => Some(a.further(b)),
            (Some(a), Some(_)) if now < before => Some(a),
            // Nothing was written between two starts, and nobody can tell which came first: what has come further stands.
            (Some(a), Some(b))
                if unclear && a.is_beyond(b) && !mutant!(self.config, R12LateStartStands) =>
            {
                Some(a)
            }
            (a, b) => b.or(a),
        };
        old.reached_at = old.reached_at.max(new.reached_at);
        if new.presence.writes >= old.presence.writes {
            old.presence = new.presence;
        }
        true
    }

    /// Whether the copy is known to have flushed more than up to `end` (R12).
    pub(super) fn is_known_beyond(
        &self,
        member: MemberId,
        copy: CopyId,
        end: crate::postgres::Lsn,
    ) -> bool {
        self.sightings[usize::from(member.0)]
            .and_then(|s| s.reached)
            .is_some_and(|r| r.copy == copy && end < r.end)
    }

    // What is learnt of oneself.

    /// A peer says what it has seen of this member.
    pub(super) fn is_told(&mut self, seen: &Sighting) {
        self.memory.told = self.memory.told.max(seen.presence.writes);
        if let Some(reached) = seen.reached {
            self.is_told_of_copy(reached);
        }
        let earlier = seen.presence.start != self.memory.start;
        let forgot = earlier && seen.presence.writes > self.memory.found;
        if forgot && self.state.is_some() && !mutant!(self.config, R12TrustsOldState) {
            self.forget(Forgot::OlderThanSeen {
                found: self.memory.found,
                seen: seen.presence.writes,
            });
        }
    }

    /// The state is written before the stamp (R15): one that is older than the stamp was lost and replaced by an old one.
    pub(super) fn judge_stamp(&mut self) {
        let (Some(state), Some(stamp)) = (&self.state, self.pg.stamp) else {
            return;
        };
        // After a loss, what the stamp names may never have reached anybody.
        let unknown = stamp.record.is_some_and(|key| {
            key.term > state.adopted && state.record.as_ref().is_none_or(|r| r.key < key)
        });
        if (unknown || stamp.term > state.term) && !mutant!(self.config, R12IgnoresStamp) {
            self.forget(Forgot::OlderThanStamp);
        }
    }

    /// From now on this member is one without state (R12).
    fn forget(&mut self, why: Forgot) {
        let Some(mut state) = self.state.take() else {
            return;
        };
        self.explain(Reason::Forgot { why });
        // Durable, or the writes of this very run would hide the loss from the next start.
        state.lost = true;
        state.writes += 1;
        if !mutant!(self.config, R12SaysWhatWaited) {
            self.outbox.drop_words();
        }
        self.outbox.persist(state.clone());
        self.dirty = false;
        self.memory.left = Some(Box::new(state));
        self.step_down(Reason::StopsLeadingWithoutState);
        self.leaving_failed();
        self.campaign = None;
        self.heard = None;
        self.retry_at = self.now;
        self.ask_at = self.now;
        self.asking = Asking::new(self.config.members.len());
    }

    /// A state that was marked as lost, at a daemon's start.
    pub(super) fn forget_what_is_marked(&mut self) {
        if let Some(state) = self.state.take_if(|s| s.lost) {
            self.memory.left = Some(Box::new(state));
        }
    }

    /// What is left of a state that counts for nothing; from now on there is another.
    pub(super) fn memory_left(&mut self) -> Option<Box<HardState>> {
        self.memory.left.take()
    }

    /// Whether a state was there, and counts for nothing.
    pub(super) fn has_forgotten(&self) -> bool {
        self.memory.left.is_some()
    }

    // Joining again.

    /// The highest count of state writes that anybody has seen of this member.
    pub(super) fn told_writes(&self) -> u64 {
        self.memory.told
    }

    /// Those whose answers are enough: all others, themselves with state; or the leader of a committed lone record with
    /// nothing proposed since, whom alone anybody could elect; those that do not may be vouched for (R12).
    pub(super) fn may_rejoin(&self) -> bool {
        let lone = self.answers().any(|a| a.lone && a.record.is_some());
        let all = self
            .config
            .peers()
            .all(|p| self.has_answered(p) || self.is_vouched_for(p))
            && self.answers().any(|a| a.record.is_some());
        lone || all
            || (mutant!(self.config, R12OneAnswer) && self.answers().any(|a| a.record.is_some()))
    }

    /// Adopts the highest term as one it has voted in, the highest record, the longest promise, and a count above all
    /// that was ever seen of it (R12).
    pub(super) fn rejoin(&mut self) {
        let told = self.answers().filter_map(|a| a.record.clone());
        let held = self.memory.left.as_ref().and_then(|s| s.record.clone());
        let record = told.chain(held).max_by_key(|r| r.key);
        // R10: its guard may have let its primary serve on. That ends before another's record is taken up.
        if let Some(record) = record.as_ref().filter(|r| r.primary != self.config.me)
            && !self.primary_is_down()
            && !mutant!(self.config, R10JoinsWhileServing)
        {
            return self.stop_for(record.primary, record.key.term);
        }
        let doubted = record.as_deref().and_then(|r| self.doubted_copy(r));
        if let Some(copy) = doubted {
            // Its guard may have let it serve on: not under a name that is given up.
            if !self.primary_is_down() {
                return;
            }
            self.explain(Reason::CopyDoubted { copy });
            self.noted = Some(Noted::beyond(copy));
            self.look_at_copy();
        }
        let left = self.memory.left.take();
        let left = left.as_deref();
        let term = record
            .as_ref()
            .map_or(Term(0), |r| r.key.term)
            .max(self.highest_term(left));
        let step = self.vouched_step();
        let mut state = self.state_after_loss(left, step);
        state.term = Term(term.0 + step);
        if !mutant!(self.config, R12VotesAgain) {
            state.adopted = state.term;
        }
        state.record = record.filter(|_| !mutant!(self.config, R12AdoptsNoRecord));
        state.stamped = step > 0
            || !self.nothing_was_promoted(state.record.as_deref())
            || mutant!(self.config, R20NoneAfterLoss);
        let term = state.term;
        self.explain(Reason::Rejoined {
            term,
            record: state.record.as_ref().map(|r| r.key),
        });
        self.begin_with(state);
        self.word_is_kept(term);
    }

    /// A disk that took the state back may have taken the copy back with it, by less than anybody has seen. As long as
    /// another copy that the record names is there, this one counts no more, and is to get a name of its own.
    fn doubted_copy(&self, record: &Record) -> Option<CopyId> {
        // Of a torn state nothing is left. One that could be read was older than it should be.
        let went_back = self.memory.left.as_ref().is_some_and(|s| s.writes > 0);
        let id = self.own_copy_id()?;
        let mine = Copy {
            member: self.config.me,
            id,
        };
        let is_there = |copy: &Copy| {
            let answer = self.answer_of(copy.member);
            answer.and_then(|a| a.reached).map(|r| r.copy) == Some(copy.id)
        };
        let mut others = record.in_sync.iter().filter(|copy| **copy != mine);
        let spare = others.any(is_there) && self.vouched_step() == 0;
        (went_back && spare && record.names(mine) && !mutant!(self.config, R12KeepsItsName))
            .then_some(id)
    }

    /// R20: the cluster's first directory may still be without its stamp, and holds all that there is: this member's word
    /// began the cluster, and nobody knows of a promotion, before which no gate opens (R6).
    fn nothing_was_promoted(&self, record: Option<&Record>) -> bool {
        record.is_some_and(|r| r.primary == self.config.me && r.promoted_nobody())
    }

    /// The highest term that anything here or in the answers shows.
    pub(super) fn highest_term(&self, left: Option<&HardState>) -> Term {
        // R16: its guard refuses whatever is of a lower term than it has seen.
        let guard = Some(self.guard.term).filter(|_| !mutant!(self.config, R12BelowItsGuard));
        self.answers()
            .map(|a| a.term)
            .chain(left.map(|s| s.term))
            .chain(self.pg.stamp.map(|s| s.term))
            .chain(guard)
            .fold(self.term(), Term::max)
    }

    /// A state to go on with, whose count lies above all that was ever seen. What was promised before the loss is
    /// forgotten: silent as after any start (R5). `step`: so much more may have been seen by those that did not answer.
    pub(super) fn state_after_loss(&mut self, left: Option<&HardState>, step: u64) -> HardState {
        let promise = self
            .answers()
            .map(|a| a.promise)
            .chain(left.map(|s| s.longest_promise))
            .fold(self.config.decision_timeout, Duration::max);
        if !mutant!(self.config, R12JoinsUnsilent) {
            self.silent_until = self.silent_until.max(self.started + promise);
        }
        HardState {
            longest_promise: promise,
            // R20: whatever directory is here, it is not the cluster's first one, as far as can be told.
            stamped: true,
            writes: self.memory.told.max(left.map_or(0, |s| s.writes)) + step + 1,
            ..HardState::empty(&self.config)
        }
    }

    /// State that was made just now: another start, as it were, whose count is above every one seen before.
    pub(super) fn begin_with(&mut self, state: HardState) {
        self.memory.start = self.fresh();
        self.memory.found = state.writes;
        self.state = Some(state);
        self.save();
    }
}
