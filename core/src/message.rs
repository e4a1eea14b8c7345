//! What members say to each other.

use crate::member::MemberId;
use crate::postgres::{Lsn, SystemId};
use crate::record::{CopyId, Record, RecordKey, Term};
use crate::time::Duration;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One message between two members of one cluster (R13: the connection has seen to that).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Message {
    /// The sender's term; in a request of a candidacy or a leadership, that one's term.
    pub term: Term,
    /// The newest record that the sender holds; none at genesis or without state (R3).
    pub holds: Option<RecordKey>,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Body {
    /// Would you vote for me in the next term? Raises nothing (R5).
    PreVote(Candidacy),
    /// Vote for me in this term.
    Vote(Candidacy),
    /// The answer to both.
    VoteReply(VoteReply),
    /// From the leader: a promise is asked for, and the record named or brought.
    Heartbeat(Heartbeat),
    /// The promise, and what the member has to report. It is an acceptance of `accepted`.
    HeartbeatReply(HeartbeatReply),
    /// The leader of `term` serves no more and never again in that term: promises of it are over (R5).
    Release {
        /// The term that ended.
        term: Term,
        /// Who should be elected without waiting.
        successor: Option<MemberId>,
    },
    /// What do you hold? From members that hear no leader (R3), and from those without state (R12).
    Ask {
        /// Comes back in the answer: an answer to an older question does not count.
        nonce: u64,
    },
    /// What this member holds.
    Answer {
        /// The question's.
        nonce: u64,
        /// Whether the member has state; one without is no answer (R12).
        has_state: bool,
        /// Whether its data directory carries a stamp: then this is no genesis.
        stamped: bool,
        /// Its record, if that is newer than what the asker holds.
        record: Option<Arc<Record>>,
    },
}

/// What a candidate brings (R4): judged by the request, not by what the voter remembers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Candidacy {
    /// Tells the rounds of one candidate apart.
    pub round: u64,
    /// The candidate's record; none at genesis.
    pub record: Option<Arc<Record>>,
    /// The copy that it has.
    pub copy: CopyId,
}

/// The answer to a vote or pre-vote.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct VoteReply {
    /// The request's.
    pub round: u64,
    /// Whether it was a pre-vote.
    pub pre: bool,
    /// Granted, or what stands in the way.
    pub refusal: Option<Refusal>,
}

/// Why a vote is refused.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// For people.
    pub why: RefusedBecause,
    /// How much is left of the promise or the silence that forbids it.
    pub wait: Duration,
    /// The refuser's record, if it is newer than the candidate's.
    pub record: Option<Arc<Record>>,
}

/// Why a vote is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RefusedBecause {
    /// The request's term is lower than the voter's (R2).
    OldTerm,
    /// Another has the vote of this term (R2).
    VotedForAnother,
    /// The candidate's record is older than the voter's (R3).
    OldRecord,
    /// The candidate's record does not name its copy (R4).
    NotEligible,
    /// A promise to another runs on (R5).
    Promised,
    /// The voter's daemon started too short a while ago (R5).
    Silent,
    /// The voter has no state (R12).
    NoState,
    /// The voter's own database may still run as primary (R10); its guard ends that with its permission.
    PrimaryRuns,
}

/// A leader's heartbeat.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Counts this leader's heartbeats; the reply names it.
    pub round: u64,
    /// The leader's D: how long the promise has to last.
    pub promise: Duration,
    /// The leader's newest record, proposed or committed: brought to a member that is not known to have accepted it.
    pub record: Option<Arc<Record>>,
    /// The newest record known committed; none before the first of this term (R6).
    pub committed: Option<RecordKey>,
    /// The leader's database runs as primary, and `committed` holds exactly its promotions: it may be followed (R6, R20).
    pub follow: bool,
}

/// A member's answer to a heartbeat.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// The heartbeat's.
    pub round: u64,
    /// The promise was given. A refusal (a lower term) has it false, and says so by the message's term.
    pub promised: bool,
    /// The record of the leader's own term that this member has accepted.
    pub accepted: Option<RecordKey>,
    /// What its database is.
    pub report: Report,
}

/// What a data member tells its leader.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The copy that it has.
    pub copy: Option<CopyId>,
    /// The database found.
    pub system_id: Option<SystemId>,
    /// Its database runs as a standby that could be promoted.
    pub running: bool,
    /// Its database was seen stopped.
    pub stopped: bool,
    /// Flushed up to here, the end of a whole record.
    pub end: Lsn,
    /// `end` lies on this leader's history, replayed to its end.
    pub drained: bool,
    /// Its daemon started too short a while ago to be elected (R5).
    pub silent: bool,
    /// It is about to stop and asks to leave `in_sync` first (R8).
    pub leaving: bool,
}
