//! Votes, and what is promised to a leader: R1 to R5, R12.

use super::{Heard, Judged, must};
use crate::world::World;
use std::sync::Arc;
use yoke_core::member::MemberId;
use yoke_core::message::{Body, Candidacy, HeartbeatReply, Message, VoteReply};
use yoke_core::record::{Copy, Term};
use yoke_core::{HardState, Instant};

impl World {
    /// R10: its own primary is down before it votes for another or takes up another's record.
    pub(super) fn is_down(&self, h: usize) -> Judged {
        let server = self.hosts[h].server.as_ref();
        let serves = server.is_some_and(|s| s.serving && !s.killed);
        must!(!serves, "R10: its own database still serves as primary");
        let now = self.hosts[h].clock.at(self.now);
        let said = &self.oracles.specification.members[h];
        let mut permissions = said.given.iter().chain(&said.holds);
        must!(
            permissions.all(|permission| permission.is_over(now)),
            "R10: its own database may still be promoted"
        );
        Ok(())
    }

    /// R5: neither silent, nor bound by a promise to another than `but`.
    pub(super) fn is_free(&self, h: usize, but: usize) -> Judged {
        let now = self.hosts[h].clock.at(self.now);
        let said = &self.oracles.specification.members[h];
        must!(
            now >= said.silent_until,
            "R5: it started too short a while ago"
        );
        if let Some((whom, term, until)) = said.promise {
            must!(
                whom == but || now >= until,
                "R5: its promise to m{whom}, leader of term {term}, is not over"
            );
        }
        Ok(())
    }

    pub(super) fn votes(
        &mut self,
        h: usize,
        candidate: usize,
        term: Term,
        s: &HardState,
    ) -> Judged {
        let on_disk =
            s.term > term || (s.term == term && s.voted_for == Some(MemberId(candidate as u8)));
        must!(on_disk, "R1: its vote in term {term} is on no disk");
        let spec = &mut self.oracles.specification;
        let said = &mut spec.members[h];
        must!(
            term >= said.term,
            "R2: a vote in term {term}, after {}",
            said.term
        );
        if let Some((of, whom)) = said.vote {
            must!(
                term > of || (term == of && whom == candidate),
                "R2: a vote for m{candidate} in term {term}, after one for m{whom} in {of}"
            );
        }
        must!(
            term > said.adopted,
            "R12: a vote in term {term}, after a loss, and it was told of term {}",
            said.adopted
        );
        said.term = term;
        said.vote = Some((term, candidate));
        if candidate != h {
            said.owed = Some((term, candidate));
        }
        spec.granted.entry(term).or_default()[candidate] |= 1 << h;
        Ok(())
    }

    /// It votes, or would.
    pub(super) fn grants(
        &mut self,
        h: usize,
        to: usize,
        m: &Message,
        r: &VoteReply,
        s: &HardState,
    ) -> Judged {
        self.is_down(h)?;
        self.is_free(h, to)?;
        let said = &self.oracles.specification.members[h];
        let mut asked = said.asked.iter().rev();
        let request =
            asked.find(|(from, pre, c, _)| (*from, *pre, c.round) == (to, r.pre, r.round));
        if let Some((.., c, flaw)) = request {
            flaw.judge()?;
            let key = c.record.as_ref().map(|r| r.key);
            let known = said.told.max(m.holds);
            must!(
                key >= known,
                "R3: a vote for record {key:?}, knowing {known:?}"
            );
            must!(
                is_named(to, c),
                "R4: a vote for a copy that the request's record does not name"
            );
        }
        if !r.pre {
            self.votes(h, to, m.term, s)?;
        }
        Ok(())
    }

    /// It asks for votes.
    pub(super) fn stands(&mut self, h: usize, m: &Message, c: &Candidacy, s: &HardState) -> Judged {
        self.is_free(h, h)?;
        let now = self.hosts[h].clock.at(self.now);
        let said = &self.oracles.specification.members[h];
        must!(
            now >= said.yields_until,
            "R19: it stands, and has just given way"
        );
        must!(
            is_named(h, c),
            "R4: it stands with a copy that its record does not name"
        );
        let (key, holds) = (c.record.as_ref().map(|r| r.key), m.holds);
        must!(
            key == holds,
            "R3: it stands with record {key:?}, holding {holds:?}"
        );
        let paused = c
            .record
            .as_ref()
            .filter(|r| r.paused && usize::from(r.primary.0) != h);
        must!(
            paused.is_none() || key == self.oracles.specification.members[h].may_stand,
            "it stands for election during a pause"
        );
        let storage = &self.hosts[h].storage;
        let stamp = storage
            .directory
            .as_ref()
            .and_then(|dir| dir.stamp.as_ref());
        let has = !storage.rewriting && stamp.is_none_or(|stamp| stamp.copy == c.copy);
        must!(
            has,
            "R4: it stands with a copy that it has not got, or discards"
        );
        self.judge_as_noted(h)?;
        self.oracles.specification.members[h].stood_with = c.record.clone();
        if matches!(m.body, Body::Vote(_)) {
            self.votes(h, h, m.term, s)?;
        }
        Ok(())
    }

    /// It acknowledges a heartbeat.
    pub(super) fn promises(
        &mut self,
        h: usize,
        to: usize,
        m: &Message,
        r: &HeartbeatReply,
        s: &HardState,
        heard: Option<Heard>,
    ) -> Judged {
        self.is_down(h)?;
        let term = m.term;
        let spec = &mut self.oracles.specification;
        let said = &mut spec.members[h];
        must!(
            term >= said.term,
            "R2: a promise in term {term}, after {}",
            said.term
        );
        said.term = term;
        said.owed = Some((term, to));
        if let Some(heard) = heard {
            must!(
                !heard.over,
                "R5: a promise in term {term}, which it had heard is over"
            );
            must!(
                s.longest_promise.0 >= heard.promise,
                "R1: its promise is on no disk"
            );
            let until = Instant(heard.at.0 + heard.promise);
            let until = match said.promise {
                Some((whom, _, older)) if whom == to => older.max(until),
                _ => until,
            };
            // An older one that comes late is covered by what a younger one was promised.
            let newer = (term, heard.round) > said.acknowledged;
            said.acknowledged = said.acknowledged.max((term, heard.round));
            if newer && term > said.over {
                said.promise = Some((to, term, until));
            }
        }
        let lead = &mut spec.members[to].lead;
        if let Some(key) = r.accepted {
            must!(key.term == term, "R2: it accepts {key} in term {term}");
            let held = s.record.as_ref();
            must!(
                held.is_some_and(|held| held.key >= key),
                "R1: the record {key} that it accepts is on no disk"
            );
            let same = match (held.filter(|held| held.key == key), spec.records.get(&key)) {
                (Some(held), Some(meant)) => Arc::ptr_eq(held, meant) || held == meant,
                _ => true,
            };
            must!(same, "R6: it accepts another record by the key {key}");
            if lead.term == term {
                lead.accepted[h] = lead.accepted[h].max(Some(key));
            }
        }
        let mut sent = lead.sent.iter().rev();
        if lead.term == term
            && let Some((_, at)) = sent.find(|(round, _)| *round == r.round)
        {
            lead.acked[h] = lead.acked[h].max(*at);
        }
        Ok(())
    }
}

/// R4: the request's record names the candidate's copy; before any record the configured primary stands.
fn is_named(candidate: usize, c: &Candidacy) -> bool {
    let member = MemberId(candidate as u8);
    match &c.record {
        Some(record) => record.names(Copy { member, id: c.copy }),
        None => candidate == 0,
    }
}
