//! The steward: decides the order of steps that bring a database to its target, and alone says what the database is.

use crate::config::Config;
use crate::event::Boot;
use crate::permission::GuardView;
use crate::postgres::{PgStatus, PgTarget};
use crate::step::{Order, Outcome};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything that can happen to a steward.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum StewardEvent {
    /// The time that `next_timeout` named has come.
    Timeout,
    /// The node wants something else.
    Target(Box<PgTarget>),
    /// What came of the order of this number.
    Outcome {
        /// The order's.
        number: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// How far a clone is, in bytes.
    Progress {
        /// The order's.
        number: u64,
        /// Copied.
        done: u64,
        /// To copy.
        total: u64,
    },
    /// What the guard holds and sees: a postmaster that died shows here.
    Guard(GuardView),
}

/// Everything a steward may ask for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum StewardAction {
    /// Carry out a step: by the guard or by the daemon, as `Step::is_guards` says.
    Order(Order),
    /// For the node: what the database is.
    Status(Box<PgStatus>),
    /// Say what was decided, and why.
    Explain(StewardReason),
}

/// Why the steward decided what it decided.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum StewardReason {}

impl fmt::Display for StewardReason {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// One member's steward.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Steward {
    config: Config,
}

impl Steward {
    /// A steward at its daemon's start: it knows nothing but what it will look at.
    pub fn new(config: Config, boot: Boot) -> Self {
        let _ = boot;
        Steward { config }
    }

    /// Takes in one event. Drain `poll_action` to `None` before the next.
    pub fn handle(&mut self, now: Instant, event: StewardEvent) {
        let _ = (now, event, &self.config);
    }

    /// The next action.
    pub fn poll_action(&mut self) -> Option<StewardAction> {
        None
    }

    /// When `StewardEvent::Timeout` is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }
}
