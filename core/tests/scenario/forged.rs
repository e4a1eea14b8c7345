//! Messages that a test hands in by itself, and the answers to them.

use super::Cluster;
use std::sync::Arc;
use yoke_core::member::MemberId;
use yoke_core::message::{
    Body, Candidacy, Heartbeat, HeartbeatReply, Message, RefusedBecause, VoteReply,
};
use yoke_core::record::{CopyId, Record, RecordKey, Term};
use yoke_core::{Duration, Event};

pub(crate) fn key(term: u64, version: u64) -> RecordKey {
    RecordKey {
        term: Term(term),
        version,
    }
}

/// Nothing new to tell in a heartbeat.
pub(crate) fn heartbeat(round: u64, record: Option<Arc<Record>>) -> Body {
    Body::Heartbeat(Heartbeat {
        round,
        promise: super::D,
        record,
        committed: None,
        follow: false,
        leaving: false,
        sightings: Vec::new(),
    })
}

impl Cluster {
    /// Hands a message to a node, as if the network had kept it for long.
    pub(crate) fn inject(&mut self, from: MemberId, to: MemberId, term: u64, body: Body) {
        let message = Message {
            term: Term(term),
            holds: None,
            presence: None,
            seen: None,
            body,
        };
        self.hand_in(from, to, message);
    }

    /// The same with all that a message says of its sender.
    pub(crate) fn hand_in(&mut self, from: MemberId, to: MemberId, message: Message) {
        let message = Box::new(message);
        self.handle(to, Event::Received { from, message });
    }

    /// Asks `voter` for its vote in `term`, and returns the answer, given it leaves within 3 ms.
    pub(crate) fn asks_vote(
        &mut self,
        candidate: MemberId,
        voter: MemberId,
        term: u64,
        record: Option<Arc<Record>>,
        copy: CopyId,
    ) -> Option<VoteReply> {
        let round = 1_000_000 + self.now.0;
        let candidacy = Candidacy {
            round,
            record,
            copy,
            end: yoke_core::postgres::Lsn(u64::MAX),
        };
        self.inject(candidate, voter, term, Body::Vote(candidacy));
        self.run_for(Duration::millis(3));
        self.sent.iter().rev().find_map(|s| match &s.message.body {
            Body::VoteReply(reply) if s.from == voter && reply.round == round => {
                Some(reply.clone())
            }
            _ => None,
        })
    }

    /// The same of a copy that ends there; why it is refused.
    pub(crate) fn asks_vote_at(
        &mut self,
        candidate: MemberId,
        voter: MemberId,
        term: u64,
        record: Arc<Record>,
        copy: CopyId,
        end: yoke_core::postgres::Lsn,
    ) -> Option<RefusedBecause> {
        let round = 1_000_000 + self.now.0;
        let candidacy = Candidacy {
            round,
            record: Some(record),
            copy,
            end,
        };
        self.inject(candidate, voter, term, Body::PreVote(candidacy));
        self.run_for(Duration::millis(3));
        let reply = self.sent.iter().rev().find_map(|s| match &s.message.body {
            Body::VoteReply(reply) if s.from == voter && reply.round == round => {
                Some(reply.clone())
            }
            _ => None,
        });
        reply.expect("an answer").refusal.map(|r| r.why)
    }

    /// The same with the record that the voter holds itself; why it is refused.
    pub(crate) fn refusal(
        &mut self,
        candidate: MemberId,
        voter: MemberId,
        term: u64,
    ) -> Option<RefusedBecause> {
        let record = self.record(voter).expect("a record");
        let copy = record.copy_of(candidate).map_or(CopyId(0xdead), |c| c.id);
        let reply = self.asks_vote(candidate, voter, term, Some(record), copy);
        reply.expect("an answer").refusal.map(|r| r.why)
    }

    /// Sends a heartbeat to `to` and returns the answer, given it leaves within 3 ms.
    pub(crate) fn beats(
        &mut self,
        leader: MemberId,
        to: MemberId,
        term: u64,
        record: Option<Arc<Record>>,
    ) -> Option<HeartbeatReply> {
        let round = u64::MAX / 2 + self.now.0;
        self.inject(leader, to, term, heartbeat(round, record));
        self.run_for(Duration::millis(3));
        self.sent.iter().rev().find_map(|s| match &s.message.body {
            Body::HeartbeatReply(reply) if s.from == to && reply.round == round => {
                Some(reply.clone())
            }
            _ => None,
        })
    }

    /// `m` passes `record` on, as the answer to a question.
    pub(crate) fn passes_on(&mut self, from: MemberId, to: MemberId, term: u64, record: &Record) {
        let body = Body::Answer {
            nonce: 1,
            has_state: true,
            stamped: false,
            lone: false,
            hears: false,
            reached: None,
            made_newest: false,
            promise: super::D,
            record: Some(Arc::new(record.clone())),
        };
        self.inject(from, to, term, body);
    }

    /// What `m` asked for since `mark`: pre-votes and votes.
    pub(crate) fn campaigned(&self, m: MemberId) -> bool {
        self.sent_by(m)
            .any(|s| matches!(s.message.body, Body::PreVote(_) | Body::Vote(_)))
    }
}
