//! What members ask each other when they hear no leader (R3), and genesis (R12).

use super::Node;
use crate::hard_state::HardState;
use crate::member::MemberId;
use crate::message::{Body, HeartbeatReply, Refusal, RefusedBecause, VoteReply};
use crate::postgres::PgState;
use crate::reason::Reason;
use crate::record::{Record, RecordKey, Term};
use crate::time::Duration;
use std::sync::Arc;

/// The question under way, and what was answered.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Asking {
    /// The newest question's; an answer to an older one does not count.
    nonce: u64,
    /// By member: the newest answer that counts.
    answers: Vec<Option<Answered>>,
}

/// One member's answer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Answered {
    term: Term,
    has_state: bool,
    stamped: bool,
    has_record: bool,
}

impl Asking {
    pub(super) fn new(members: usize) -> Self {
        Asking {
            nonce: 0,
            answers: vec![None; members],
        }
    }
}

impl Node {
    /// Asks all others what they hold. One question serves a daemon's whole run without state: its nonce is younger
    /// than the loss (R12).
    pub(super) fn ask(&mut self) {
        if self.asking.nonce == 0 {
            self.asking.nonce = self.fresh();
        }
        let nonce = self.asking.nonce;
        for peer in self.config.peers() {
            self.send(peer, Body::Ask { nonce });
        }
    }

    /// Says what it holds; the record itself only if it is newer than the asker's (R3).
    pub(super) fn on_ask(
        &mut self,
        from: MemberId,
        term: Term,
        holds: Option<RecordKey>,
        nonce: u64,
    ) {
        // A higher term met is taken, or a leader would never learn why it is refused (R2).
        self.meet_term(term);
        let record = self.record().filter(|r| Some(r.key) > holds).cloned();
        let answer = Body::Answer {
            nonce,
            has_state: self.state.is_some(),
            stamped: self.pg.stamped || (self.is_data() && self.pg.state == PgState::Unknown),
            record,
        };
        self.send(from, answer);
    }

    pub(super) fn on_answer(
        &mut self,
        from: MemberId,
        term: Term,
        nonce: u64,
        has_state: bool,
        stamped: bool,
        record: Option<Arc<Record>>,
    ) {
        if nonce == self.asking.nonce {
            self.asking.answers[usize::from(from.0)] = Some(Answered {
                term,
                has_state,
                stamped,
                has_record: record.is_some(),
            });
        }
        self.meet_term(term);
        if let Some(record) = record {
            self.take_up(record);
        }
    }

    /// Genesis: without state, with fresh answers from all others that none holds a record, and no stamped data
    /// anywhere, a member joins with the empty record, the highest term taken as voted in (R12).
    pub(super) fn decide_state(&mut self) {
        if self.state.is_some() || !self.may_join_at_genesis() {
            return;
        }
        let term = self.answers().map(|a| a.term).max().unwrap_or_default();
        self.state = Some(HardState {
            members: self.config.members.iter().map(|m| m.name.clone()).collect(),
            term,
            // Nobody was voted for in truth; naming ourselves forbids a vote for another in this term.
            voted_for: Some(self.config.me),
            record: None,
            longest_promise: Duration::ZERO,
            stamped: false,
        });
        self.dirty = true;
        self.explain(Reason::Genesis);
    }

    fn may_join_at_genesis(&self) -> bool {
        let looked = !self.is_data() || self.pg.state != PgState::Unknown;
        looked
            && !self.pg.stamped
            && self.config.peers().all(|peer| {
                self.asking.answers[usize::from(peer.0)]
                    .as_ref()
                    .is_some_and(|a| !a.has_record && !a.stamped)
            })
    }

    /// The configured primary begins the cluster only when all others have joined: a later one would find a record,
    /// and no genesis any more (R12).
    pub(super) fn all_have_joined(&self) -> bool {
        self.config.peers().all(|peer| {
            self.asking.answers[usize::from(peer.0)]
                .as_ref()
                .is_some_and(|a| a.has_state)
        })
    }

    fn answers(&self) -> impl Iterator<Item = &Answered> {
        self.asking.answers.iter().flatten()
    }

    /// Tells whoever counts on this member that it cannot be counted on (R12).
    pub(super) fn refuse_without_state(&mut self, from: MemberId, body: &Body) {
        let reply = match body {
            Body::PreVote(c) | Body::Vote(c) => Body::VoteReply(VoteReply {
                round: c.round,
                pre: matches!(body, Body::PreVote(_)),
                refusal: Some(Refusal {
                    why: RefusedBecause::NoState,
                    wait: Duration::ZERO,
                    record: None,
                }),
            }),
            Body::Heartbeat(h) => Body::HeartbeatReply(HeartbeatReply {
                round: h.round,
                promised: false,
                accepted: None,
                report: self.report(),
            }),
            _ => return,
        };
        self.send(from, reply);
    }

    /// Why this member stays out, for people.
    pub(super) fn stays_out(&self) -> Option<String> {
        if self.state.is_some() {
            return None;
        }
        let silent: Vec<&str> = self
            .config
            .peers()
            .filter(|p| self.asking.answers[usize::from(p.0)].is_none())
            .map(|p| self.config.name(p))
            .collect();
        if !silent.is_empty() {
            return Some(format!(
                "no state file: a first start needs an answer from every member; none yet from {}: start yoke there",
                silent.join(", ")
            ));
        }
        if self.answers().any(|a| a.has_record) {
            return Some(
                "its state file is lost, but the cluster exists: it neither votes nor accepts; restore its status \
                 directory"
                    .to_owned(),
            );
        }
        if self.is_data() && self.pg.state == PgState::Unknown {
            return Some("no state file: it looks at its data directory first".to_owned());
        }
        if !self.pg.stamped && self.answers().all(|a| !a.stamped) {
            return Some("no state file: a first start is under way".to_owned());
        }
        Some(
            "no state file, but stamped data is there: this is no first start; restore the status directory"
                .to_owned(),
        )
    }
}
