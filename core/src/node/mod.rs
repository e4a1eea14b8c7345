//! The protocol: who leads, what the record is, what the database should be.

use crate::action::Action;
use crate::config::Config;
use crate::event::{Boot, Event};
use crate::hard_state::HardState;
use crate::outbox::Outbox;
use crate::time::Instant;
use crate::view::ClusterView;

/// One member's protocol machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    config: Config,
    outbox: Outbox,
}

impl Node {
    /// A node at its daemon's start.
    pub fn new(config: Config, state: Option<HardState>, boot: Boot) -> Self {
        let _ = (state, boot);
        Node {
            config,
            outbox: Outbox::default(),
        }
    }

    /// Takes in one event. Drain `poll_action` to `None` before the next.
    pub fn handle(&mut self, now: Instant, event: Event) {
        let _ = (now, event, &self.config);
    }

    /// The next action, in the order in which they are due.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.outbox.poll()
    }

    /// When `Event::Timeout` is due; may change with every event.
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// What an operator sees.
    pub fn view(&self) -> ClusterView {
        unimplemented!()
    }
}
