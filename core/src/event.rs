//! Everything that can happen to a node.

use crate::member::MemberId;
use crate::message::Message;
use crate::operator::Command;
use crate::permission::GuardView;
use crate::postgres::PgStatus;
use crate::time::Instant;
use serde::{Deserialize, Serialize};

/// What a node is told at its daemon's start.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Boot {
    /// The host's clock.
    pub now: Instant,
    /// Fresh random bits: every nonce and id of this daemon run is made from it.
    pub nonce: u64,
    /// What the guard holds: it may have survived the previous daemon.
    pub guard: GuardView,
}

/// Everything that can happen to a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The time that `next_timeout` named has come; a spurious one changes nothing.
    Timeout,
    /// A message arrived. `now` was read after that.
    Received {
        /// Who sent it, as the connection proved.
        from: MemberId,
        /// What it says.
        message: Box<Message>,
    },
    /// The state of `Action::Persist { seq }`, or a later one, is durable.
    Persisted {
        /// Which.
        seq: u64,
    },
    /// The steward's view of the database changed.
    Postgres(Box<PgStatus>),
    /// The guard confirms what it holds.
    Guard(GuardView),
    /// An operator asks.
    Operator {
        /// Comes back in the reply.
        request: u64,
        /// What is asked.
        command: Command,
    },
    /// The daemon was told to stop: hand over, stop the database, then `Action::Exit`.
    Stop,
}
