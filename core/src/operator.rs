//! What an operator can ask of a node, and what comes of it.

use crate::member::MemberId;
use serde::{Deserialize, Serialize};

/// What an operator can ask. Looking is not among it: see `Node::view`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Hand the primary's role over, away from this node.
    Demote,
}

/// What came of a command.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CommandOutcome {
    /// The role has moved: this member leads now, its record is committed.
    HandedOver {
        /// The new leader.
        to: MemberId,
    },
    /// This node is not the leader.
    NotLeader {
        /// Who is, as far as this node hears.
        leader: Option<MemberId>,
    },
    /// Nobody can take over; nothing was changed.
    NoSuccessor,
    /// A hand-over, or another change of the record, is under way.
    Busy,
    /// The successor did not take over; this node serves on.
    TakenBack,
}
