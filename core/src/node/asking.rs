//! What members ask each other when they hear no leader (R3), and genesis (R12).

use super::Node;
use crate::hard_state::HardState;
use crate::member::MemberId;
use crate::message::Reached;
use crate::message::{Body, HeartbeatReply, Refusal, RefusedBecause, VoteReply};
use crate::mutant;
use crate::reason::Reason;
use crate::record::{Record, RecordKey, Term};
use crate::time::{Duration, Instant};
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
pub(super) struct Answered {
    pub(super) at: Instant,
    pub(super) term: Term,
    pub(super) has_state: bool,
    pub(super) stamped: bool,
    pub(super) lone: bool,
    pub(super) hears: bool,
    pub(super) reached: Option<Reached>,
    pub(super) made_newest: bool,
    pub(super) promise: Duration,
    pub(super) record: Option<Arc<Record>>,
}

impl Asking {
    pub(super) fn new(members: usize) -> Self {
        Asking {
            nonce: 0,
            answers: vec![None; members],
        }
    }

    /// For the canonical form.
    pub(super) fn instants(&mut self) -> impl Iterator<Item = &mut Instant> {
        self.answers.iter_mut().flatten().map(|a| &mut a.at)
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
        if !mutant!(self.config, R2LeaderLearnsNothing) && self.may_learn() {
            self.meet_term(term);
        }
        let record = self.record().filter(|r| Some(r.key) > holds).cloned();
        let answer = Body::Answer {
            nonce,
            // A state older than its stamp is none (R12): nobody knows before the directory was looked at.
            has_state: self.state.is_some()
                && (self.has_looked() || mutant!(self.config, R12AnswersUnlooked)),
            stamped: self.pg.stamped || !self.has_looked() || self.has_forgotten(),
            lone: self.leads_lone(),
            hears: self.leader.is_some()
                || self.hears_leader()
                || (self.guard.serving.is_some() && !mutant!(self.config, R17AdoptsBesideServing)),
            reached: self.reached(),
            made_newest: self.pg.made_newest,
            promise: self
                .state
                .as_ref()
                .map_or(Duration::ZERO, |s| s.longest_promise)
                .max(self.config.decision_timeout),
            record,
        };
        self.send(from, answer);
    }

    pub(super) fn on_answer(&mut self, from: MemberId, nonce: u64, answered: Answered) {
        let (term, record) = (answered.term, answered.record.clone());
        if nonce == self.asking.nonce || mutant!(self.config, R12OldAnswers) {
            self.asking.answers[usize::from(from.0)] = Some(answered);
        }
        if !self.may_learn() {
            return;
        }
        self.meet_term(term);
        if let Some(record) = record
            .filter(|_| !mutant!(self.config, R3NoSpread) && !mutant!(self.config, R3AsksInVain))
        {
            self.take_up(record);
        }
    }

    /// Before the directory was looked at, nothing is learnt: a state that went back in time would come to be as new as the
    /// stamp that tells it, and be durable so (R12).
    fn may_learn(&self) -> bool {
        self.has_looked() || mutant!(self.config, R12LearnsUnlooked)
    }

    /// Whether it leads with a committed lone record and has proposed nothing since (R12).
    fn leads_lone(&self) -> bool {
        self.leader.as_deref().is_some_and(|l| {
            l.proposed.is_none() && l.committed.as_ref().is_some_and(|r| r.is_lone())
        })
    }

    /// Genesis: without state, with fresh answers from all others that none holds a record, and no stamped data
    /// anywhere, a member joins with the empty record, the highest term taken as voted in (R12).
    pub(super) fn decide_state(&mut self) {
        if self.state.is_some() || !self.has_looked() {
            return;
        }
        if self.may_rejoin() {
            self.rejoin();
        } else if self.may_join_at_genesis() {
            let mut state = HardState::empty(&self.config);
            // What was lost held no record that anybody has: what it voted in is all that counts of it.
            let left = self.memory_left();
            state.term = self.highest_term(left.as_deref());
            state.adopted = state.term;
            state.writes = self.told_writes().max(left.map_or(0, |l| l.writes)) + 1;
            self.explain(Reason::Genesis);
            self.begin_with(state);
        }
        self.decide_vouching();
    }

    fn may_join_at_genesis(&self) -> bool {
        // A lost state is the sign of a cluster that was; if all others have theirs, they know that none has begun.
        let again = mutant!(self.config, R12GenesisAgain);
        (!self.pg.stamped || again)
            && (!self.has_forgotten() || self.all_have_joined() || again)
            && self.config.peers().all(|peer| {
                self.asking.answers[usize::from(peer.0)]
                    .as_ref()
                    .is_some_and(|a| a.record.is_none() && (!a.stamped || again))
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

    /// Whether the cluster has nothing yet: no record and no stamped data anywhere, and everybody has joined. Only then,
    /// and only at the configured primary, is a database made (R14).
    pub(super) fn is_genesis(&self) -> bool {
        self.config.me == self.config.configured_primary
            && self
                .state
                .as_ref()
                .is_some_and(|s| s.record.is_none() && !s.stamped)
            && self.config.peers().all(|peer| {
                self.answer_of(peer)
                    .is_some_and(|a| a.has_state && a.record.is_none() && !a.stamped)
            })
    }

    pub(super) fn answer_of(&self, member: MemberId) -> Option<&Answered> {
        self.asking.answers[usize::from(member.0)].as_ref()
    }

    /// Its answer, if that came within the last D: what is shown to an operator, and what judges an operator's word.
    pub(super) fn heard_answer(&self, member: MemberId) -> Option<&Answered> {
        self.answer_of(member)
            .filter(|a| self.now.since(a.at) <= self.config.decision_timeout)
    }

    /// Whether it answered this member's question, itself with state.
    pub(super) fn has_answered(&self, member: MemberId) -> bool {
        self.answer_of(member)
            .is_some_and(|a| a.has_state || mutant!(self.config, R12StatelessAnswers))
    }

    /// The names of the other members of which this holds; none: of nobody.
    pub(super) fn names(&self, holds: impl Fn(&MemberId) -> bool) -> Option<String> {
        let names: Vec<&str> = self
            .config
            .peers()
            .filter(|p| holds(p))
            .map(|p| self.config.name(p))
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    pub(super) fn answers(&self) -> impl Iterator<Item = &Answered> {
        self.asking.answers.iter().flatten()
    }

    /// Tells whoever counts on this member that it cannot be counted on, or whoever has forgotten that it has (R12).
    pub(super) fn refuse(&mut self, from: MemberId, body: &Body, why: RefusedBecause) {
        let reply = match body {
            Body::PreVote(c) | Body::Vote(c) => Body::VoteReply(VoteReply {
                round: c.round,
                pre: matches!(body, Body::PreVote(_)),
                refusal: Some(Refusal {
                    why,
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
}
