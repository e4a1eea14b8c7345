//! What the node wants of its database, and what the steward reports of it.

use crate::member::MemberId;
use crate::record::{Copy, CopyId, History, Record, RecordKey, Term};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A position in the write-ahead log, in bytes, as PostgreSQL counts it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Lsn(pub u64);

/// PostgreSQL's timeline number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timeline(pub u32);

/// PostgreSQL's database system identifier (R14).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SystemId(pub u64);

/// One run of one postmaster: what was seen of an older run never counts for a newer one. 0: none yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct RunId(pub u64);

/// What the node wants of its database. The newest `seq` is what counts; an older one that comes late is ignored.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PgTarget {
    /// Counts the targets of one daemon run.
    pub seq: u64,
    /// The term that this target belongs to; every order made for it carries it (R16).
    pub term: Term,
    /// The member's newest record.
    pub record: Option<Arc<Record>>,
    /// Until the state notes the first stamp, the configured primary's unstamped directory counts as its own (R20).
    pub first_stamp: bool,
    /// The directory with this copy's name ends below what that copy is known to have flushed: it is another copy, and
    /// gets a name of its own before it is used (R15).
    pub disowned: Option<CopyId>,
    /// An operator asked for a fresh copy in this one's place, once it may be discarded (R11).
    pub replaced: Option<CopyId>,
    /// Nobody holds a record or a copy, and everybody has said so: the configured primary may make the cluster's first
    /// database (R14).
    pub genesis: bool,
    /// Of a primary: the other members' copies, as far as known, sorted. Each has a slot: its name is one connection's (R7).
    pub slots: Vec<Copy>,
    /// Of a primary that was seen running: its run. What is to be open was decided for that one: in a later run, which may
    /// have revealed what nobody else has, it is closed (R7, R18).
    pub run: Option<RunId>,
    /// What the database should be.
    pub want: Want,
}

/// What the database should be.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Want {
    /// Look, report, change nothing (a member without state, R12; a witness).
    Nothing,
    /// Down and seen gone.
    Stopped(StopMode),
    /// A standby.
    Standby {
        /// Whom it follows.
        of: Upstream,
        /// The record is known committed and leaves this copy out: what does not fit may be discarded (R11).
        may_discard: bool,
    },
    /// The primary: promoted in this target's term, if it is not the primary already.
    Primary {
        /// What acknowledgements wait for.
        gate: Gate,
        /// Whether clients may come in.
        doors: Doors,
    },
    /// The first half of a hand-over: checkpoint while it still serves, then a clean stop.
    Draining,
}

/// How to stop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum StopMode {
    /// A fast shutdown with its checkpoint; sends all WAL to the standbys first.
    Clean,
    /// At once, by SIGKILL; crash recovery follows at the next start.
    Now,
}

/// Whom a standby follows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Upstream {
    /// A standby found running is left as it is; one that has to be started follows nobody (R20).
    AsFound,
    /// Nobody.
    Nobody,
    /// The primary at this member, whose history is the target's record's promotions.
    Member(MemberId),
}

/// What lets a primary acknowledge commits: `synchronous_standby_names`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Gate {
    /// Leave it as it is (a resumed or re-elected leader until its record is committed, R6).
    AsFound,
    /// Names a standby that does not exist: nothing is acknowledged.
    Closed,
    /// Waits for all of these copies, sorted; for none: a lone primary.
    Open(Vec<Copy>),
}

/// What lets clients in (`pg_hba`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Doors {
    /// Leave them as they are.
    AsFound,
    /// Replication and the daemon pass; clients do not.
    Closed,
    /// Clients pass as the user's own rules say.
    Open,
}

/// What the steward has seen of the database. It speaks of `run` only.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PgStatus {
    /// The newest target that the steward has taken in; 0 before the first.
    pub target: u64,
    /// The postmaster's run; 0 before the first.
    pub run: RunId,
    /// Identifier of the database found.
    pub system_id: Option<SystemId>,
    /// Which copy the directory holds; none while there is no whole data, or while it is being rewritten (R11).
    pub copy: Option<CopyId>,
    /// Whether the directory carries its stamp.
    pub stamped: bool,
    /// How new the stamp of this member's copy is.
    pub stamp: Option<StampAge>,
    /// The promotions of this copy, as stamped and as seen (R15).
    pub history: History,
    /// It made the newest promotion of that history itself, so whoever follows it has no more than it has.
    pub made_newest: bool,
    /// What the database is.
    pub state: PgState,
    /// Flushed up to here, the end of a whole record: a standby's replayed position, a primary's last health write,
    /// a cleanly stopped one's end of WAL.
    pub end: Lsn,
    /// What keeps the steward from reaching the target, for people.
    pub fault: Option<Fault>,
    /// What an operator should know of the database's configuration; keeps from nothing.
    pub notes: Vec<String>,
}

/// How new a stamp is: what was durable in the state before it was written (R15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct StampAge {
    /// The record that it names.
    pub record: Option<RecordKey>,
    /// The highest term of a promotion that it knows of, ordered or done.
    pub term: Term,
}

/// What the database is.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum PgState {
    /// Not looked yet.
    Unknown,
    /// No data that may be used (absent, foreign, or a witness).
    NoData,
    /// The directory is being rewritten from another member's.
    Rewriting {
        /// How.
        how: Rewrite,
        /// Bytes copied.
        done: u64,
        /// Bytes to copy, as far as known.
        total: u64,
    },
    /// Every process was seen gone.
    Stopped {
        /// After a clean stop of a primary: where its shutdown checkpoint record begins.
        shutdown_checkpoint: Option<Lsn>,
    },
    /// The postmaster runs, but does not answer yet.
    Starting,
    /// A running standby.
    Standby {
        /// Whom it is set to follow.
        of: Option<MemberId>,
        /// Its receiver streams.
        streaming: bool,
        /// Replay is paused: it cannot be promoted.
        replay_paused: bool,
        /// Its own WAL is replayed to the end, its receiver has ended or streams: `end` is what it holds.
        drained: bool,
    },
    /// A promotion is ordered and not yet seen done.
    Promoting,
    /// A running primary.
    Primary(PrimaryStatus),
    /// A stop is under way, or has just ended, and what it left is not seen yet.
    Stopping,
    /// The postmaster lives, but has not answered for longer than a query may take.
    Silent {
        /// When it last answered.
        since: Instant,
        /// Whether it was primary, or was being promoted.
        primary: bool,
    },
}

/// How a directory is being rewritten.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Rewrite {
    /// Between two steps, or waiting for a source.
    Pending,
    /// All of it is copied.
    Clone,
    /// What differs is.
    Rewind,
}

/// What was seen of a running primary.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PrimaryStatus {
    /// The term that ordered this run's promotion.
    pub promoted_in: Term,
    /// Where its promotion ended: nobody may read beyond what its standbys hold of this (R18).
    pub recovery_end: Lsn,
    /// The gate in force.
    pub gate: GateStatus,
    /// The doors in force.
    pub doors: Doors,
    /// The copies that stream from it, one entry a copy, sorted.
    pub standbys: Vec<StandbyStatus>,
    /// When a health write last came back.
    pub wrote_at: Instant,
}

/// The gate as far as it is proven (R7).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum GateStatus {
    /// Unknown, or a change is under way.
    Unproven,
    /// In force, and it names nobody that exists.
    Closed,
    /// In force.
    Open {
        /// Which copies every acknowledgement waits for, sorted.
        names: Vec<Copy>,
        /// A position taken after the proof (R9): who has flushed it holds all that was acknowledged before.
        since: Lsn,
    },
}

/// One copy that streams from this primary.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct StandbyStatus {
    /// Which copy.
    pub copy: Copy,
    /// Its walsender is in state `streaming` (it has caught up once).
    pub streaming: bool,
    /// What it reported as flushed.
    pub flushed: Lsn,
}

/// What keeps the steward from its target: one sentence that says what was found, what was expected and what to do.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Fault(pub String);

impl PgStatus {
    /// Nothing known yet.
    pub fn unknown() -> Self {
        PgStatus {
            target: 0,
            run: RunId(0),
            system_id: None,
            copy: None,
            stamped: false,
            stamp: None,
            history: History::default(),
            made_newest: false,
            state: PgState::Unknown,
            end: Lsn(0),
            fault: None,
            notes: Vec::new(),
        }
    }

    /// What was seen of the primary, if it runs as one.
    pub fn primary(&self) -> Option<&PrimaryStatus> {
        match &self.state {
            PgState::Primary(primary) => Some(primary),
            _ => None,
        }
    }
}

impl Want {
    /// A standby, or whatever copy there is: left as it is.
    pub const KEPT: Want = Want::Standby {
        of: Upstream::AsFound,
        may_discard: false,
    };

    /// Whether a copy may be given up for it (R11).
    pub fn may_discard(&self) -> bool {
        matches!(
            self,
            Want::Standby {
                may_discard: true,
                ..
            }
        )
    }

    /// A primary that serves, or a promotion that is ordered, is left as it is.
    pub const AS_FOUND: Want = Want::Primary {
        gate: Gate::AsFound,
        doors: Doors::AsFound,
    };
}

impl Gate {
    /// The gate that waits for these copies.
    pub fn open(copies: impl IntoIterator<Item = Copy>) -> Gate {
        let mut names: Vec<Copy> = copies.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        Gate::Open(names)
    }
}

/// As PostgreSQL prints it: `16/B374D848`.
impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tl{}", self.0)
    }
}

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{:x}", self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
