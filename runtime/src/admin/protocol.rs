//! One question, one answer, one connection each. It begins as every connection does: see `peer::handshake`.

use crate::hooks::Hooks;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use yoke_core::Instant;
use yoke_core::member::MemberKind;
use yoke_core::operator::CommandOutcome;
use yoke_core::view::ClusterView;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// What does this member see?
    List,
    /// Hand the primary's role over, away from this member.
    Demote,
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Response {
    /// To `List`.
    Report(Box<Report>),
    /// To `Demote`, once it has happened or failed.
    Demote(CommandOutcome),
    /// The daemon cannot answer: why.
    Failed(String),
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
    /// What became of the operator's own commands.
    pub hooks: Hooks,
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
