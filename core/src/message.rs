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
    /// What the sender says of its own memory; none without state (R12).
    pub presence: Option<Presence>,
    /// What the sender has seen of whom it speaks to: who finds less on its own disk has lost its memory (R12).
    pub seen: Option<Sighting>,
    /// What it says.
    pub body: Body,
}

/// What a member says of its memory (R12): its state on disk counts its own writes, so that an older one shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Presence {
    /// A random number of this start.
    pub start: u64,
    /// The count of state writes that was on disk at this start.
    pub found: u64,
    /// The present count; on disk before the message leaves (R1).
    pub writes: u64,
}

/// How far a copy had come when it was seen (R12, R15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Reached {
    /// Which copy.
    pub copy: CopyId,
    /// It had flushed up to here, the end of a whole record.
    pub end: Lsn,
    /// The newest promotion of its history: (term, n).
    pub promotion: (Term, u32),
}

impl Reached {
    /// The furthest of two sightings of one copy.
    #[must_use]
    pub fn further(self, other: Reached) -> Reached {
        Reached {
            copy: self.copy,
            end: self.end.max(other.end),
            promotion: self.promotion.max(other.promotion),
        }
    }

    /// Whether it is of a later promotion than that of another copy, or has come further in the same one.
    pub fn is_beyond(self, other: Reached) -> bool {
        (self.promotion, self.end) > (other.promotion, other.end)
    }

    /// Whether a copy that has come this far holds all that `known` says of it.
    pub fn covers(self, known: Reached) -> bool {
        self.end >= known.end && self.promotion >= known.promotion
    }
}

/// What one member has seen of another, or heard of it from a leader.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Sighting {
    /// The start with the highest count of state writes.
    pub presence: Presence,
    /// The furthest that its copy was seen.
    pub reached: Option<Reached>,
    /// The count of state writes with which that was said: the start above may have said nothing of its copy yet.
    pub reached_at: u64,
}

impl Sighting {
    /// What a member itself says.
    pub fn of(presence: Presence, reached: Option<Reached>) -> Sighting {
        let reached_at = reached.map_or(0, |_| presence.writes);
        Sighting {
            presence,
            reached,
            reached_at,
        }
    }
}

/// No count of terms, versions or writes comes this far: what says that it did is a lie, and would not be counted on from.
pub const BEYOND: u64 = 1 << 62;

impl Message {
    /// Whether a member of a cluster of so many can have said it. A peer's lie may mislead, but it ends no daemon.
    pub fn is_possible(&self, members: usize) -> bool {
        let seen = self.seen.iter();
        let sightings = match &self.body {
            Body::Heartbeat(heartbeat) => heartbeat.sightings.as_slice(),
            _ => &[],
        };
        let mut sightings = seen.chain(sightings.iter().flatten());
        self.term.0 < BEYOND
            && self.presence.is_none_or(|p| p.writes < BEYOND)
            && sightings.all(|s| s.presence.writes < BEYOND && s.reached_at <= s.presence.writes)
            && self.record().is_none_or(|r| r.is_possible(members))
    }

    /// The record that it brings.
    fn record(&self) -> Option<&Record> {
        match &self.body {
            Body::PreVote(candidacy) | Body::Vote(candidacy) => candidacy.record.as_deref(),
            Body::VoteReply(reply) => reply.refusal.as_ref()?.record.as_deref(),
            Body::Heartbeat(heartbeat) => heartbeat.record.as_deref(),
            Body::Answer { record, .. } => record.as_deref(),
            Body::HeartbeatReply(_) | Body::Release { .. } | Body::Ask { .. } => None,
        }
    }
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
        /// Whether it shows that there was a cluster, by a stamped data directory or a lost state: then this is no genesis.
        stamped: bool,
        /// It leads with a committed lone record, and has proposed nothing since: then its answer is enough (R12).
        lone: bool,
        /// It leads, or hears a leader, or its database serves as primary all the same (R17).
        hears: bool,
        /// How far its copy has come.
        reached: Option<Reached>,
        /// That copy made its newest promotion itself, so whoever follows it has no more than it has (R17).
        made_newest: bool,
        /// The longest promise that it knows of: how long who lost its state keeps silent (R5).
        promise: Duration,
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
    /// What that copy has flushed: a voter that knows of more refuses (R12).
    pub end: Lsn,
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
    /// The candidate's state is older than what the voter has seen of it (R12).
    Forgot,
    /// The candidate's copy ends below what the voter knows it to have flushed (R12).
    FellBack,
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
    /// The recipient is known to leave: its copy enters no record that is proposed from now on (R8, R11).
    pub leaving: bool,
    /// By member: what the leader has seen of it, so that all know (R12).
    pub sightings: Vec<Option<Sighting>>,
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
    /// The newest promotion of its history: (term, n).
    pub promotion: (Term, u32),
    /// `end` lies on this leader's history, replayed to its end.
    pub drained: bool,
    /// Its daemon started too short a while ago to be elected (R5).
    pub silent: bool,
    /// It is about to stop and asks to leave `in_sync` first (R8).
    pub leaving: bool,
}
