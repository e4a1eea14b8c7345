//! What a member keeps on disk, and what must be there before anything that rests on it leaves (R1).

use crate::config::Config;
use crate::member::MemberId;
use crate::message::{BEYOND, Reached, Sighting};
use crate::postgres::Lsn;
use crate::record::{CopyId, Record, RecordKey, Term};
use crate::time::Duration;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The daemon's file. A member without one has lost it, or is at genesis (R12).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct HardState {
    /// The member names of the configuration it was written under (R13).
    pub members: Arc<[String]>,
    /// The highest term met.
    pub term: Term,
    /// Whom this member voted for in `term` (R2).
    pub voted_for: Option<MemberId>,
    /// The newest record; none at genesis.
    pub record: Option<Arc<Record>>,
    /// The longest `decision_timeout` ever promised (R5).
    pub longest_promise: Duration,
    /// The data directory's first stamp was seen (R20).
    pub stamped: bool,
    /// Counts the writes of this file: a lower count than a peer has seen is an older file (R12).
    pub writes: u64,
    /// It was found to be older than it should be, or cannot be read, and counts for nothing (R12).
    pub lost: bool,
    /// After a loss: the highest term of all that answered. In it, and in those below, this member may have voted (R12).
    pub adopted: Term,
    /// What this member's own copy certainly was (R15).
    pub noted: Option<Noted>,
    /// By member: what was seen of it; written along with whatever has to be written (R12).
    pub sightings: Vec<Option<Sighting>>,
}

impl HardState {
    /// Nothing known, in a cluster of these members.
    pub fn empty(config: &Config) -> HardState {
        HardState::of(config.members.iter().map(|m| m.name.clone()).collect())
    }

    /// R13: whether it was written under a configuration of these members. Edited host by host from five members to three,
    /// a configuration would make two majorities; so a daemon does not start with a state of other members.
    pub fn is_of(&self, members: &[String]) -> bool {
        *self.members == *members
    }

    /// Whether a member of this cluster can have written it.
    pub fn is_possible(&self) -> bool {
        let count = self.members.len();
        let record = self.record.as_deref();
        self.voted_for
            .is_none_or(|member| usize::from(member.0) < count)
            && self.term.0.max(self.writes).max(self.adopted.0) < BEYOND
            && record.is_none_or(|r| r.is_possible(count) && r.key.term <= self.term)
            && self.sightings.len() <= count
    }

    /// What is left of a state that cannot be read: that there was one (R12).
    pub fn lost(members: Arc<[String]>) -> HardState {
        HardState {
            lost: true,
            ..HardState::of(members)
        }
    }

    pub(crate) fn of(members: Arc<[String]>) -> HardState {
        HardState {
            members,
            term: Term(0),
            voted_for: None,
            record: None,
            longest_promise: Duration::ZERO,
            stamped: false,
            writes: 0,
            lost: false,
            adopted: Term(0),
            noted: None,
            sightings: Vec::new(),
        }
    }
}

/// What a member's own copy certainly was: a directory below it went back in time (R15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Noted {
    /// The record that its stamp named, as seen written.
    pub stamp: Option<RecordKey>,
    /// The furthest that it had come.
    pub reached: Reached,
}

impl Noted {
    /// More than any directory holds: this copy is none any more, whatever its directory holds (R12).
    pub fn beyond(copy: CopyId) -> Noted {
        Noted {
            stamp: None,
            reached: Reached {
                copy,
                end: Lsn(u64::MAX),
                promotion: (Term(0), 0),
            },
        }
    }

    /// Whether it is that.
    pub fn is_beyond(&self) -> bool {
        self.reached.end == Lsn(u64::MAX)
    }
}
