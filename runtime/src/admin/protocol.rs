//! One question, one answer, one connection each. It begins as every connection does: see `peer::handshake`.

use crate::hooks::Hooks;
use crate::postgres::lost::Lost;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use yoke_core::member::MemberKind;
use yoke_core::operator::CommandOutcome;
use yoke_core::postgres::Lsn;
use yoke_core::view::ClusterView;
use yoke_core::{Duration, Instant};

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// What does this member see?
    List,
    /// Hand the primary's role over, away from this member.
    Demote,
    /// Nobody but the present primary takes over from now on.
    Pause,
    /// That is over.
    Resume,
    /// Replace this member's copy by a fresh one.
    Reinit,
    /// What has left this host's data directory and is kept?
    Lost,
    /// Join again without the answers of these members.
    Vouch {
        /// Their names.
        members: Vec<String>,
    },
    /// Make this member's copy the cluster's database.
    Adopt,
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Response {
    /// To `List`.
    Report(Box<Report>),
    /// To what changes something, once it has happened or failed.
    Outcome(CommandOutcome),
    /// The daemon cannot answer: why.
    Failed(String),
    /// To `Lost`, the newest first.
    Lost(Vec<Lost>),
}

/// One member's own truth, and where to ask the others for theirs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Its version of yoke.
    pub version: String,
    /// The cluster's name.
    pub cluster: String,
    /// Every member, in order.
    pub members: Vec<MemberEntry>,
    /// Its clock at the view: what instants in it are to be compared with.
    pub now: Instant,
    /// What it sees.
    pub view: ClusterView,
    /// What it last knew of each member, in order.
    pub known: Vec<Known>,
    /// What became of the operator's own commands.
    pub hooks: Hooks,
}

/// What one member last knew of another.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Known {
    /// How long ago it was heard; none: never.
    pub heard: Option<Duration>,
    /// Of a leader: up to where its copy had flushed.
    pub flushed: Option<Lsn>,
    /// For how long the leader's primary has been further than that.
    pub lag: Option<Duration>,
    /// Why there is no connection to it; none: there is one.
    pub unreachable: Option<String>,
}

/// One configured member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemberEntry {
    /// Its name.
    pub name: String,
    /// Data or witness.
    pub kind: MemberKind,
    /// Where its daemon listens.
    pub address: SocketAddr,
}
