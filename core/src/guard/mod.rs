//! The guard: holds the permission, fences at its end, carries out one order at a time (R10, R16).

use crate::config::Config;
use crate::permission::{GuardView, Permission};
use crate::postgres::RunId;
use crate::step::{Order, Outcome};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything that can happen to a guard.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum GuardEvent {
    /// The time that `next_timeout` named has come.
    Timeout,
    /// The daemon tells how long a primary may serve.
    Permission(Permission),
    /// The daemon asks for a step.
    Order(Order),
    /// What came of the order that was to be executed. Of `Start`: `Done` once the postmaster is spawned.
    Outcome {
        /// The order's.
        number: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// The postmaster ended and every process of it was seen gone (swept for).
    Gone {
        /// Which run.
        run: RunId,
    },
}

/// Everything a guard may ask for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum GuardAction {
    /// Carry this out, and answer by `Outcome`. A `Start` begins this run.
    Execute {
        /// The order.
        order: Order,
        /// The run that a `Start` begins, or the present one.
        run: Option<RunId>,
    },
    /// End the order under way: kill its helper. It answers by `Outcome` all the same.
    EndOrder {
        /// Which.
        number: u64,
    },
    /// Fence: end every process of the database at once, then say `Gone`.
    Kill {
        /// Which run.
        run: RunId,
    },
    /// For the daemon: what came of its order.
    Answer {
        /// The order's.
        number: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// For the daemon: what the guard holds has changed.
    View(GuardView),
    /// Say what was decided, and why.
    Explain(GuardReason),
}

/// Why the guard decided what it decided.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum GuardReason {}

impl fmt::Display for GuardReason {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// One host's guard.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Guard {
    config: Config,
    view: GuardView,
}

impl Guard {
    /// A guard at its start: nothing runs. `nonce`: fresh random bits, from which it names the runs.
    pub fn new(config: Config, nonce: u64) -> Self {
        let _ = nonce;
        Guard {
            config,
            view: GuardView::NEW,
        }
    }

    /// Takes in one event. Drain `poll_action` to `None` before the next.
    pub fn handle(&mut self, now: Instant, event: GuardEvent) {
        let _ = (now, event, &self.config);
    }

    /// The next action.
    pub fn poll_action(&mut self) -> Option<GuardAction> {
        None
    }

    /// When `GuardEvent::Timeout` is due: the end of the permission.
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// What it holds: for a daemon that connects.
    pub fn view(&self) -> GuardView {
        self.view
    }
}
