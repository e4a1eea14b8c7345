//! What `yokeadm list` shows of one member.

use crate::member::MemberId;
use crate::postgres::PgStatus;
use crate::record::{Copy, Record, RecordKey, Term};
use crate::time::Duration;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One member's own truth. `yokeadm` asks every member for it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ClusterView {
    /// Whose view it is.
    pub me: MemberId,
    /// What the member is in its term.
    pub role: RoleView,
    /// The highest term that it met.
    pub term: Term,
    /// The leader that it hears.
    pub leader: Option<MemberId>,
    /// Its newest record.
    pub record: Option<Arc<Record>>,
    /// The newest record that it knows committed.
    pub committed: Option<RecordKey>,
    /// Its database.
    pub postgres: PgStatus,
    /// Of a leader: the lease's rest; none: a lone primary needs no lease.
    pub lease_left: Option<Duration>,
    /// Of a leader: the copies that it is growing towards `in_sync` (R9).
    pub growing: Vec<Copy>,
    /// Why it stays out, if it does: what was found, what is expected, what to do.
    pub stays_out: Option<String>,
}

/// The part of it that decides, borrowed: what the simulator's oracles look at after every event.
#[derive(Clone, Copy, Debug)]
pub struct Glance<'a> {
    /// Whose view it is.
    pub me: MemberId,
    /// What the member is in its term.
    pub role: RoleView,
    /// The highest term that it met.
    pub term: Term,
    /// The leader that it hears.
    pub leader: Option<MemberId>,
    /// Its newest record.
    pub record: Option<&'a Arc<Record>>,
    /// The newest record that it knows committed.
    pub committed: Option<RecordKey>,
    /// Its database.
    pub postgres: &'a PgStatus,
    /// Of a leader: the copies that it is growing towards `in_sync` (R9).
    pub growing: &'a [Copy],
}

/// What a member is in its term.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RoleView {
    /// It has no state, and neither votes nor accepts (R12).
    WithoutState,
    /// It follows, or waits for a leader.
    Follower,
    /// It asks for pre-votes or votes.
    Candidate,
    /// It leads.
    Leader,
}
