//! The queue that holds actions back until the state that they rest on is durable (R1).

use crate::action::Action;
use crate::hard_state::HardState;
use std::collections::VecDeque;

/// As many actions wait for a disk, some minutes of them: a disk may hang for days while peers go on asking.
const MOST_WAITING: usize = 10_000;

/// Actions in the order in which they are due. Each waits for the newest `Persist` queued before it; what stops a
/// database or shortens a permission waits for nothing.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Outbox {
    /// The newest state handed out for persisting.
    newest: u64,
    /// The newest state known durable.
    durable: u64,
    /// What may leave now.
    ready: VecDeque<Action>,
    /// What waits, with the state that it waits for.
    waiting: VecDeque<(u64, Action)>,
}

impl Outbox {
    /// Asks for `state` to be made durable; everything pushed from now on rests on it.
    pub fn persist(&mut self, state: HardState) {
        self.newest += 1;
        self.ready.push_back(Action::Persist {
            seq: self.newest,
            state: Box::new(state),
        });
    }

    /// Queues an action that rests on every state persisted before it.
    pub fn push(&mut self, action: Action) {
        if self.durable == self.newest {
            self.ready.push_back(action);
        } else {
            self.waiting.push_back((self.newest, action));
            if self.waiting.len() > MOST_WAITING {
                // Any message may be lost, and the oldest says least.
                let is_sent = |(_, action): &(u64, Action)| matches!(action, Action::Send { .. });
                if let Some(oldest) = self.waiting.iter().position(is_sent) {
                    self.waiting.remove(oldest);
                }
            }
        }
    }

    /// What it rests on counts for nothing any more, before anybody heard of it: it is not said (R12).
    pub fn drop_words(&mut self) {
        self.waiting
            .retain(|(_, action)| !matches!(action, Action::Send { .. }));
    }

    /// Queues an action that waits for no disk: it stops, shortens or explains.
    pub fn push_at_once(&mut self, action: Action) {
        self.ready.push_back(action);
    }

    /// A state is durable, and with it all older ones.
    pub fn persisted(&mut self, seq: u64) {
        self.durable = self.durable.max(seq.min(self.newest));
        while let Some((rests_on, _)) = self.waiting.front() {
            if *rests_on > self.durable {
                break;
            }
            self.ready
                .extend(self.waiting.pop_front().map(|(_, action)| action));
        }
    }

    /// The next action that may leave.
    pub fn poll(&mut self) -> Option<Action> {
        self.ready.pop_front()
    }

    /// For the canonical form: everything was taken and is durable, so that its number says nothing.
    pub(crate) fn forget_counts(&mut self) {
        assert!(
            self.ready.is_empty() && self.waiting.is_empty(),
            "an action was not taken"
        );
        self.newest = 0;
        self.durable = 0;
    }

    /// Whether everything may leave: nothing waits for a disk.
    pub fn is_durable(&self) -> bool {
        self.durable == self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::MemberId;
    use crate::message::{Body, Message};
    use crate::record::Term;
    use std::sync::Arc;

    fn asks(nonce: u64) -> Action {
        Action::Send {
            to: MemberId(1),
            message: Box::new(Message {
                term: Term(1),
                holds: None,
                presence: None,
                seen: None,
                body: Body::Ask { nonce },
            }),
        }
    }

    /// A peer asks on and on while the disk hangs: what waits does not grow for ever, and what comes out when the disk is
    /// well again is the newest, in its order, with everything that is no message.
    #[test]
    fn a_disk_that_hangs_makes_no_queue_without_end() {
        let mut outbox = Outbox::default();
        outbox.persist(HardState::of(Arc::from(["m0".to_owned()])));
        assert!(matches!(
            outbox.poll(),
            Some(Action::Persist { seq: 1, .. })
        ));
        outbox.push(Action::Exit);
        for round in 0..100_000 {
            outbox.push(asks(round));
        }
        assert_eq!(outbox.poll(), None);
        outbox.persisted(1);
        let left: Vec<Action> = std::iter::from_fn(|| outbox.poll()).collect();
        assert_eq!(left.len(), MOST_WAITING);
        assert_eq!(left[0], Action::Exit);
        assert_eq!(left.last(), Some(&asks(99_999)));
        assert_eq!(left[1], asks(100_000 - MOST_WAITING as u64 + 1));
    }
}
