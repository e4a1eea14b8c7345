//! R12, as the specification judges it: what each member has seen of the others' memory, whose memory is lost in truth,
//! what was answered to it since, and when it may take part again. Part of [`super::specification`], and as suspicious: it
//! knows of a loss by the disk, never by what the node says of itself.
//!
//! A state is handed to the disk in the moment in which it is decided on, so a decision to join again, and what is noted
//! of others, is judged there; messages may have waited.

use crate::oracle::sightings::{MOST, Sightings, covers};
use crate::oracle::specification::{Judged, must};
use crate::world::World;
use std::collections::BTreeSet;
use yoke_core::member::MemberId;
use yoke_core::message::{Body, Message, Reached, Sighting};
use yoke_core::operator::Command;
use yoke_core::record::{RecordKey, Term};
use yoke_core::{HardState, Instant};

/// One member's memory in truth, and what it heard that concerns it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    sightings: Sightings,
    /// It acts as one with state.
    has_state: bool,
    /// It was told that it has forgotten something.
    told: bool,
    /// What was on disk before anybody heard of what this member wrote since: if others have seen more, that is lost.
    found: Option<u64>,
    /// It has heard somebody since its start.
    heard: bool,
    /// How it calls its present start.
    start: Option<u64>,
    started: Instant,
    /// What it has asked since the loss, in order, and who has answered that to its present daemon.
    asked: Vec<u64>,
    answers: [Option<Answer>; MOST],
    /// Whom an operator vouched for, how many questions had been asked by then, and whether one had its copy adopted.
    vouched: BTreeSet<MemberId>,
    asked_before_word: usize,
    adopts: bool,
}

/// An answer to a question asked after the loss.
#[derive(Clone, Copy, Debug)]
struct Answer {
    /// To which question, by its place.
    to: usize,
    term: Term,
    holds: Option<RecordKey>,
    has_state: bool,
    stamped: bool,
    lone: bool,
    promise: u64,
    /// The count of the asker's writes that the other has seen.
    seen: u64,
}

/// What was wrong with a request for a vote when it came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flaw {
    /// Its sender had forgotten something, and the voter had seen it.
    forgot: bool,
    /// Its copy ends below what the voter had seen of it.
    short: bool,
}

impl Flaw {
    /// R12: neither is voted for.
    pub(crate) fn judge(self) -> Judged {
        must!(
            !self.forgot,
            "R12: a vote for one whose newer state it has seen"
        );
        must!(
            !self.short,
            "R12: a vote for a copy that ends below what it has seen of it"
        );
        Ok(())
    }
}

impl Memory {
    /// A daemon starts with what is on disk.
    pub(super) fn starts(&mut self, now: Instant, state: Option<&HardState>) {
        let writes = state.map_or(0, |s| s.writes);
        // Nobody knows of what was written before anybody was heard.
        let found = match self.found.filter(|_| !self.heard) {
            Some(found) => found.min(writes),
            None => writes,
        };
        *self = Memory {
            sightings: Sightings::kept_by(state),
            has_state: state.is_some_and(|s| !s.lost),
            found: Some(found),
            started: now,
            asked: std::mem::take(&mut self.asked),
            ..Memory::default()
        };
    }

    /// What it has seen of a member.
    pub(crate) fn seen_of(&self, member: usize) -> Option<Sighting> {
        self.sightings.of(member)
    }

    /// An operator gives his word.
    pub(super) fn word(&mut self, command: &Command) {
        match command {
            Command::Vouch { members, .. } => {
                self.vouched.extend(members.iter().copied());
                self.asked_before_word = self.asked.len();
            }
            Command::Adopt { .. } => self.adopts = true,
            Command::Demote | Command::Pause | Command::Resume | Command::Reinit => {}
        }
    }

    /// A message comes; what is wrong with it if it asks for a vote.
    pub(super) fn hears(&mut self, me: usize, from: usize, m: &Message) -> Flaw {
        self.heard = true;
        let relayed = match &m.body {
            Body::Heartbeat(beat) => beat.sightings.as_slice(),
            _ => &[],
        };
        let of_me = m.seen.iter().chain(relayed.get(me).into_iter().flatten());
        let newest = of_me
            .filter(|s| Some(s.presence.start) != self.start)
            .map(|s| s.presence.writes)
            .max();
        self.told |= self.has_state && newest > self.found;
        for (member, sighting) in relayed.iter().enumerate() {
            // The sender's own word on its count stands in the message.
            if let Some(sighting) = sighting.filter(|_| member != me)
                && (member != from || sighting.reached.is_some())
            {
                self.sightings.sees(member, sighting);
            }
        }
        let reached = match &m.body {
            Body::HeartbeatReply(r) => r.report.copy.map(|copy| Reached {
                copy,
                end: r.report.end,
                promotion: r.report.promotion,
            }),
            _ => None,
        };
        let whole = m
            .presence
            .is_none_or(|p| self.sightings.sees(from, Sighting::of(p, reached)));
        if let Body::Answer {
            nonce,
            has_state,
            stamped,
            lone,
            promise,
            ..
        } = &m.body
            && let Some(to) = self.asked.iter().position(|asked| asked == nonce)
            // One that was held up on its way takes back nothing.
            && self.answers[from].is_none_or(|newest| whole && newest.to <= to)
        {
            self.answers[from] = Some(Answer {
                to,
                term: m.term,
                holds: m.holds,
                has_state: *has_state && whole,
                stamped: *stamped,
                lone: *lone && whole,
                promise: promise.0,
                seen: m.seen.map_or(0, |s| s.presence.writes),
            });
        }
        match &m.body {
            Body::PreVote(c) | Body::Vote(c) => {
                let known = self.sightings.of(from).and_then(|s| s.reached);
                Flaw {
                    forgot: !whole,
                    short: known.is_some_and(|k| k.copy == c.copy && c.end < k.end),
                }
            }
            _ => Flaw::default(),
        }
    }

    /// The answers that count beside an operator's word: those to what was asked after it.
    fn latest_answers(&self) -> impl Iterator<Item = &Answer> {
        let answers = self.answers.iter().flatten();
        answers.filter(|a| a.to >= self.asked_before_word)
    }

    /// Who has answered, itself with state.
    fn has_answered(&self, member: usize) -> bool {
        self.answers[member].is_some_and(|a| a.has_state)
    }

    /// R12: every other member, itself with state, has answered what was asked after the loss, or an operator vouched for
    /// it; or the leader of a committed lone record has; or, at genesis, nobody knows of a record or of data.
    fn may_join(
        &self,
        me: usize,
        members: usize,
        stamped: bool,
        holds: Option<RecordKey>,
    ) -> Judged {
        let answers = || self.answers.iter().flatten();
        if self.adopts || answers().any(|a| a.lone && a.holds.is_some()) {
            return Ok(());
        }
        let mut others = (0..members).filter(|m| *m != me);
        if holds.is_none() && !stamped {
            let knows_nothing = |a: Answer| a.holds.is_none() && !a.stamped;
            let other = others.find(|m| !self.answers[*m].is_some_and(knows_nothing));
            return match other {
                Some(other) => Err(format!(
                    "R12: it joins as if at genesis, and m{other} has not answered that it knows of nothing"
                )),
                None => Ok(()),
            };
        }
        let vouched = |m: &usize| self.vouched.contains(&MemberId(*m as u8));
        if let Some(silent) = others.find(|m| !self.has_answered(*m) && !vouched(m)) {
            return Err(format!(
                "R12: it joins, and m{silent} has not answered with its state what was asked after the loss"
            ));
        }
        must!(
            answers().any(|a| a.holds.is_some()),
            "R12: it joins, and nobody has told it of a record"
        );
        Ok(())
    }

    /// R12: what it adopts.
    fn adopts_all(&self, state: &HardState) -> Judged {
        let answers = || self.latest_answers();
        let term = answers().map(|a| a.term).max().unwrap_or_default();
        must!(
            state.term >= term,
            "R12: it joins in term {}, and was told of {term}",
            state.term
        );
        must!(
            state.adopted >= term || state.voted_for.is_some(),
            "R12: it adopts term {term}, and not as one that it has voted in"
        );
        let newest = answers().filter_map(|a| a.holds).max();
        let record = state.record.as_ref().map(|r| r.key);
        must!(
            record >= newest,
            "R12: it joins with record {record:?}, and was told of {newest:?}"
        );
        let seen = answers().map(|a| a.seen).max().unwrap_or(0);
        must!(
            state.writes > seen,
            "R12: it counts its writes on from {}, and {seen} were seen before",
            state.writes
        );
        Ok(())
    }
}

/// What a member knows that has joined again.
pub(super) struct Joined {
    /// It was told of this term.
    pub(super) adopted: Term,
    /// So long after its start it is silent.
    pub(super) silent_until: Instant,
    /// As bits: who has answered.
    pub(super) answered: u64,
}

impl World {
    /// A node hands its state to the disk.
    pub(crate) fn check_writes(&mut self, h: usize, state: &HardState) {
        if let Err(why) = self.judge_write(h, state) {
            self.violated("specification", format!("m{h} writes its state: {why}"));
        }
    }

    fn judge_write(&mut self, h: usize, state: &HardState) -> Judged {
        let host = &self.hosts[h];
        let (members, config) = (self.hosts.len(), &host.config);
        let directory = host.storage.directory.as_ref();
        let stamped = directory.is_some_and(|dir| dir.stamp.is_some());
        let spec = &mut self.oracles.specification;
        let memory = &mut spec.members[h].memory;
        if state.lost {
            (memory.has_state, memory.told) = (false, false);
            return Ok(());
        }
        must!(
            !memory.told,
            "R12: it goes on, and was told that others have seen a newer state of it"
        );
        if !memory.has_state {
            let record = state.record.as_ref().map(|r| r.key);
            memory.may_join(h, members, stamped, record)?;
            let word = memory.adopts;
            if !word {
                memory.adopts_all(state)?;
            }
            let answers = || memory.latest_answers();
            let promise = answers()
                .map(|a| a.promise)
                .fold(config.decision_timeout.0, u64::max);
            let silence = if record.is_some() { promise } else { 0 };
            let adopted = answers().map(|a| a.term).max().unwrap_or_default();
            let answered = (0..members).filter(|m| memory.has_answered(*m));
            let joined = Joined {
                adopted: if word { Term(0) } else { adopted },
                silent_until: Instant(memory.started.0 + silence),
                answered: answered.fold(0, |bits, m| bits | 1 << m),
            };
            *memory = Memory {
                sightings: memory.sightings.of_new_state(),
                has_state: true,
                found: Some(state.writes),
                heard: true,
                started: memory.started,
                ..Memory::default()
            };
            spec.joins(h, &joined);
        }
        let memory = &mut spec.members[h].memory;
        memory.sightings.written(h, state)?;
        Ok(())
    }

    /// What a message says of its sender's memory, and passes on of what that has seen (R12).
    pub(super) fn judge_memory(&mut self, h: usize, to: usize, m: &Message) -> Judged {
        let host = &self.hosts[h];
        let on_disk = host.disk.durable.as_deref().is_some_and(|s| !s.lost);
        let directory = host.storage.directory.as_ref();
        let stamped = directory.is_some_and(|dir| dir.stamp.is_some());
        let majority = host.config.majority();
        let spec = &mut self.oracles.specification;
        let said = &mut spec.members[h];
        match &m.body {
            Body::Ask { nonce } if m.presence.is_none() && !said.memory.asked.contains(nonce) => {
                said.memory.asked.push(*nonce);
            }
            Body::Answer {
                has_state,
                stamped: says,
                lone,
                ..
            } => {
                must!(
                    !has_state || on_disk,
                    "R12: it answers as one with state, and has none"
                );
                must!(
                    *says || !stamped || m.holds.is_some(),
                    "R12: it answers that it has no stamped data"
                );
                let lead = &said.lead;
                let is_lone = |key| spec.records.get(&key).is_some_and(|r| r.is_lone());
                let alone = lead.term == m.term
                    && lead
                        .newest
                        .is_some_and(|key| is_lone(key) && lead.is_committed(h, key, majority));
                must!(
                    !lone || alone,
                    "R12: it answers as the leader of a committed lone record, and is not"
                );
            }
            _ => {}
        }
        let memory = &mut spec.members[h].memory;
        let Some(presence) = m.presence else {
            return Ok(());
        };
        memory.start = Some(presence.start);
        let seen = memory.sightings.at(presence.writes);
        must!(
            covers(m.seen, seen[to]),
            "R12: it says less of m{to} than it has seen: {:?}, not {:?}",
            m.seen,
            seen[to]
        );
        if let Body::Heartbeat(beat) = &m.body {
            for (member, seen) in seen.iter().enumerate().filter(|(m, _)| *m != h) {
                let told = beat.sightings.get(member).copied().flatten();
                must!(
                    covers(told, *seen),
                    "R12: it passes on less of m{member} than it has seen: {told:?}, not {seen:?}"
                );
            }
        }
        Ok(())
    }
}
