//! Why a node decided what it decided: one variant a decision, readable by an operator.

use crate::member::MemberId;
use crate::postgres::Lsn;
use crate::record::{Copy, CopyId, Record, RecordKey, Term};
use crate::time::Duration;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// One decision. Its `Display` is one sentence.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "Display says what each variant and field means"
)]
pub enum Reason {
    Genesis,
    Forgot {
        why: Forgot,
    },
    StopsLeadingWithoutState,
    Rejoined {
        term: Term,
        record: Option<RecordKey>,
    },
    Adopts {
        record: Arc<Record>,
    },
    CopyFellBack {
        copy: CopyId,
        end: Lsn,
    },
    CopyDoubted {
        copy: CopyId,
    },
    Elected {
        term: Term,
    },
    Resumed {
        term: Term,
    },
    Deposed {
        by: Term,
    },
    LeaseLost,
    StopsLeading,
    Follows {
        leader: MemberId,
        term: Term,
    },
    Released {
        term: Term,
    },
    TookUp {
        record: Arc<Record>,
    },
    StopsForAnother {
        other: MemberId,
        term: Term,
    },
    Proposed {
        record: Arc<Record>,
    },
    Committed {
        record: Arc<Record>,
    },
    ShrinksLeaving {
        copy: Copy,
    },
    ShrinksStopped {
        copy: Copy,
    },
    ShrinksFellBack {
        copy: Copy,
    },
    ShrinksSilent {
        copy: Copy,
        silence: Duration,
    },
    ShrinksNotStreaming {
        copy: Copy,
    },
    ShrinksLagging {
        copy: Copy,
        lag: Duration,
    },
    Grows {
        copy: Copy,
    },
    Serves {
        after: Duration,
        waits_for: usize,
    },
    GivesWay {
        dead: bool,
        stuck_for: Duration,
    },
    RestartsDatabase {
        dead: bool,
        stuck_for: Duration,
    },
    DatabaseHangs {
        silence: Duration,
    },
    HandsOver {
        to: Option<Copy>,
    },
    TakesBack,
    Releases {
        successor: Option<MemberId>,
    },
    ToldToStop,
    Pauses {
        paused: bool,
    },
}

/// How a member learnt that its state is not what it wrote last (R12).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Forgot {
    /// The data directory's stamp is newer: the state is written before the stamp.
    OlderThanStamp,
    /// A member has seen a newer one.
    OlderThanSeen {
        /// The count of writes found at this start.
        found: u64,
        /// The count that was seen before it.
        seen: u64,
    },
}

impl fmt::Display for Forgot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forgot::OlderThanStamp => {
                f.write_str("its state file is older than the stamp in its data directory")
            }
            Forgot::OlderThanSeen { found, seen } => write!(
                f,
                "its state file is an old one: another member has seen write {seen} of it, and only {found} were found at this start"
            ),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Genesis => f.write_str(
                "genesis: every member answered, none holds a record or stamped data; joins with the empty record",
            ),
            Reason::Forgot { why } => write!(
                f,
                "{why}: it neither votes nor accepts until the others have told it what they hold"
            ),
            Reason::StopsLeadingWithoutState => {
                f.write_str("stops leading: its state is not what it wrote last")
            }
            Reason::Rejoined {
                term,
                record: Some(key),
            } => write!(
                f,
                "joins again after the loss of its state, with record {key}; term {term} counts as voted in"
            ),
            Reason::Rejoined { term, record: None } => {
                write!(f, "joins again after the loss of its state, in term {term}")
            }
            Reason::Adopts { record } => write!(
                f,
                "an operator made this copy the cluster's database, whatever it lacks: record {record}"
            ),
            Reason::CopyFellBack { copy, end } => write!(
                f,
                "the data directory of copy {copy} went back in time: it ends at {end}, or lacks a stamp or a promotion, and more is known of that copy; it is another copy from now on, out of sync"
            ),
            Reason::CopyDoubted { copy } => write!(
                f,
                "the state file went back in time, and the data directory of copy {copy} may have gone back with it; another copy is in sync, so this one is another copy from now on, out of sync"
            ),
            Reason::Elected { term } => write!(f, "elected: leads term {term}"),
            Reason::Resumed { term } => write!(
                f,
                "resumes: the guard kept the primary of term {term} through the daemon's restart; leads on"
            ),
            Reason::Deposed { by } => write!(f, "stops leading: term {by} has begun"),
            Reason::LeaseLost => f.write_str(
                "stops leading: no majority has answered for the length of the lease; the guard fences the database when its permission ends",
            ),
            Reason::StopsLeading => f.write_str(
                "stops leading: its database should have stopped and was not seen gone; others wait out their promise",
            ),
            Reason::Follows { leader, term } => write!(f, "follows {leader}, leader of term {term}"),
            Reason::Released { term } => write!(
                f,
                "term {term} was released by its leader: its promises are over"
            ),
            Reason::TookUp { record } => write!(f, "takes up record {record}"),
            Reason::StopsForAnother { other, term } => write!(
                f,
                "stops its database at once: {other} leads or led term {term}"
            ),
            Reason::Proposed { record } => write!(f, "proposes record {record}"),
            Reason::Committed { record } => write!(f, "record {} is committed", record.key),
            Reason::ShrinksLeaving { copy } => {
                write!(f, "{copy} leaves in_sync: its member asks for that, and is about to stop or replace it")
            }
            Reason::ShrinksStopped { copy } => {
                write!(f, "{copy} leaves in_sync: its database is stopped")
            }
            Reason::ShrinksFellBack { copy } => write!(
                f,
                "{copy} leaves in_sync: it shows less than it has confirmed, as if its disk had gone back in time"
            ),
            Reason::ShrinksSilent { copy, silence } => write!(
                f,
                "{copy} leaves in_sync: nothing was heard of its member for {silence}"
            ),
            Reason::ShrinksNotStreaming { copy } => write!(
                f,
                "{copy} leaves in_sync: it does not stream from the new primary"
            ),
            Reason::ShrinksLagging { copy, lag } => write!(
                f,
                "{copy} leaves in_sync: it has confirmed nothing new for {lag}"
            ),
            Reason::Grows { copy } => write!(
                f,
                "{copy} enters in_sync: the proven gate waits for it, and it holds all that was acknowledged before"
            ),
            Reason::Serves { after, waits_for } => write!(
                f,
                "serves clients {after} after its election; each commit waits for {waits_for} other copies"
            ),
            Reason::GivesWay { dead, stuck_for } => write!(
                f,
                "gives way: its database {}; another copy in sync takes over",
                Trouble(*dead, *stuck_for)
            ),
            Reason::RestartsDatabase { dead, stuck_for } => write!(
                f,
                "starts its database again: it {}, and no other copy can take over",
                Trouble(*dead, *stuck_for)
            ),
            Reason::DatabaseHangs { silence } => write!(
                f,
                "stops its database, to start it again: it has not answered, or let nobody in, for {silence}"
            ),
            Reason::HandsOver { to: Some(to) } => write!(f, "hands over to {to}"),
            Reason::HandsOver { to: None } => {
                f.write_str("stops its database; no other copy in sync can take over")
            }
            Reason::TakesBack => f.write_str(
                "takes the role back: the successor did not show the shutdown checkpoint in time",
            ),
            Reason::Releases {
                successor: Some(successor),
            } => write!(
                f,
                "releases its term: its database is stopped; {successor} takes over"
            ),
            Reason::Releases { successor: None } => {
                f.write_str("releases its term: its database is stopped")
            }
            Reason::ToldToStop => f.write_str("told to stop"),
            Reason::Pauses { paused: true } => {
                f.write_str("an operator pauses the cluster: nobody else takes over from now on")
            }
            Reason::Pauses { paused: false } => f.write_str("an operator ends the pause"),
        }
    }
}

/// What is wrong with a leader's database.
struct Trouble(bool, Duration);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 {
            f.write_str("died")
        } else {
            write!(f, "has come no further for {}", self.1)
        }
    }
}
