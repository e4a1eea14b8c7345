//! What an operator can ask of a node, and what comes of it.

use crate::member::MemberId;
use crate::record::{CopyId, Term};
use serde::{Deserialize, Serialize};

/// What an operator can ask. Looking is not among it: see `Node::view`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Hand the primary's role over, away from this node.
    Demote,
    /// From now on nobody but the record's primary campaigns.
    Pause,
    /// That is over. Where nobody leads: this member stands for election in spite of it, and so ends it.
    Resume,
    /// Replace this member's copy, which is not the primary's, by a fresh one.
    Reinit,
    /// This member lost its state: let it join again without the answers of these (R12).
    Vouch {
        /// They are stopped, or without state, and stay so until it has joined.
        members: Vec<MemberId>,
        /// Random, at least [`LEAST_STEP`]: by how much the term is raised.
        step: u64,
    },
    /// Make this member's copy the cluster's database, whatever it lacks (R15, R17).
    Adopt {
        /// Random, at least [`LEAST_STEP`]: by how much the term is raised.
        step: u64,
    },
}

/// A term that an operator's word makes lies so far above all others that nobody else comes by it (R17).
pub const LEAST_STEP: u64 = 1 << 20;

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
    /// It has joined again, and holds the newest record of all that answered.
    Joined {
        /// The term that counts as voted in.
        term: Term,
    },
    /// This copy is the cluster's database: it serves once a majority has elected it.
    Adopted {
        /// Which.
        copy: CopyId,
        /// The term of the record that says so.
        term: Term,
    },
    /// The record says so, and is committed.
    Paused(bool),
    /// Nobody leads: this member stands for election in spite of the pause.
    Stands,
    /// This copy's name is given up, and a clone takes its place.
    CopiesAnew {
        /// The copy that was.
        copy: CopyId,
    },
    /// Nothing was changed: what was found, and what to do.
    Refused(String),
}
