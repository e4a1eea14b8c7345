//! What may not happen to a member, whatever its peers say: terms, votes, records and permissions go one way only.

use std::collections::BTreeMap;
use yoke_core::member::MemberId;
use yoke_core::message::Body;
use yoke_core::permission::{GuardView, Lasts, Permission};
use yoke_core::record::{RecordKey, Term};
use yoke_core::step::{Order, Step};
use yoke_core::view::{ClusterView, RoleView};
use yoke_core::{Action, Config, Duration, HardState, Instant};

pub(super) struct Judge {
    lease: Duration,
    term: Term,
    /// The record held; of a leader: the newest that it proposed.
    record: Option<RecordKey>,
    committed: Option<RecordKey>,
    /// By term: who was told that it has this member's vote.
    votes: BTreeMap<Term, MemberId>,
    given: Option<Permission>,
}

impl Judge {
    pub(super) fn new(config: &Config) -> Judge {
        Judge {
            lease: config.lease(),
            term: Term(0),
            record: None,
            committed: None,
            votes: BTreeMap::new(),
            given: None,
        }
    }

    /// The daemon comes back with what was durable: of what was not, nothing had left. Who lost its state may have voted
    /// in terms that it does not know any more: there R12 has its say, not this judge.
    pub(super) fn restarted(&mut self, durable: Option<&HardState>) {
        let state = durable.filter(|state| !state.lost);
        self.term = state.map_or(Term(0), |state| state.term);
        self.record = state.and_then(|state| state.record.as_ref()).map(|r| r.key);
        self.committed = None;
        if state.is_none() {
            self.votes.clear();
        }
    }

    pub(super) fn durable(&self, before: Option<&HardState>, now: &HardState) {
        let Some(before) = before.filter(|before| !before.lost) else {
            return;
        };
        if now.lost {
            return;
        }
        assert!(before.term <= now.term, "the term fell: {before:?} {now:?}");
        if before.term == now.term && before.voted_for.is_some() {
            assert_eq!(
                before.voted_for, now.voted_for,
                "R2: a second vote in one term"
            );
        }
        let key = |state: &HardState| state.record.as_ref().map(|r| r.key);
        assert!(
            key(before) <= key(now),
            "R3: an older record: {before:?} {now:?}"
        );
        assert!(
            before.longest_promise <= now.longest_promise,
            "R5: a shorter promise"
        );
    }

    pub(super) fn view(&mut self, view: &ClusterView) {
        if view.role == RoleView::WithoutState {
            (self.term, self.record, self.committed) = (Term(0), None, None);
            return;
        }
        assert!(
            self.term <= view.term,
            "the term fell from {} to {}",
            self.term,
            view.term
        );
        self.term = view.term;
        let key = view.record.as_ref().map(|record| record.key);
        assert!(
            self.record <= key,
            "R3: the record fell from {:?} to {key:?}",
            self.record
        );
        if let (RoleView::Leader, Some(key), Some(before)) = (view.role, key, self.record)
            && key != before
            && before.term == view.term
        {
            assert!(
                self.committed >= Some(before) || view.committed >= Some(before),
                "R6: {key} is proposed, and {before} is not committed: {view:?}"
            );
        }
        self.record = key;
        self.committed = view.committed;
    }

    pub(super) fn action(&mut self, now: Instant, action: &Action, durable: Option<&HardState>) {
        match action {
            Action::Send { to, message } => {
                if let Body::VoteReply(reply) = &message.body
                    && !reply.pre
                    && reply.refusal.is_none()
                {
                    let before = *self.votes.entry(message.term).or_insert(*to);
                    assert_eq!(
                        before, *to,
                        "R2: two have the vote of term {}",
                        message.term
                    );
                    let vote = durable.filter(|state| state.term == message.term);
                    let holds = vote.is_none_or(|state| state.voted_for == Some(*to))
                        && durable.is_some_and(|state| state.term >= message.term);
                    assert!(
                        holds,
                        "R1: the vote left before it was durable: {durable:?}"
                    );
                }
            }
            Action::Guard(permission) => {
                let key = |p: &Permission| (p.term, p.serial);
                if let Some(before) = &self.given {
                    assert!(
                        permission.serial > before.serial || permission.serial == 1,
                        "R10: permission {permission} after {before}"
                    );
                    assert!(
                        permission.serial == 1 || key(permission) > key(before),
                        "R10: permission {permission} after {before}"
                    );
                }
                if let Lasts::Until(end) = permission.lasts {
                    let most = now + self.lease;
                    assert!(
                        end <= most,
                        "R10: permission until {end}, and the lease ends at {most}"
                    );
                }
                self.given = Some(*permission);
            }
            _ => {}
        }
    }

    /// The guard carries out a step.
    pub(super) fn executes(&self, now: Instant, order: &Order, guard: &GuardView) {
        if order.step == Step::Promote {
            assert!(
                guard.permission.allows(order.term, now),
                "R10: a promotion of term {} under {}",
                order.term,
                guard.permission
            );
        }
    }
}
