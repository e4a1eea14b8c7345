//! The queue that holds actions back until the state that they rest on is durable (R1).

use crate::action::Action;
use crate::hard_state::HardState;
use std::collections::VecDeque;

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
        }
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
