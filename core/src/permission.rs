//! The lease as the guard holds it.

use crate::postgres::RunId;
use crate::record::Term;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the daemon tells the guard. A higher (term, serial) replaces a lower one; a lower one is ignored (R10).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Permission {
    /// The leader's term.
    pub term: Term,
    /// Counts the permissions of this host, across terms and daemon runs of one guard.
    pub serial: u64,
    /// How long a primary may serve.
    pub lasts: Lasts,
}

/// How long a primary may serve.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Lasts {
    /// Until this instant of the host's clock; then the guard fences.
    Until(Instant),
    /// Without end: the committed record is lone.
    Unbounded,
    /// It has ended: withdrawn by the daemon.
    Ended,
}

/// What the guard holds, and what it knows of the postmaster. Sent to the daemon at connection, and after each change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct GuardView {
    /// The permission held; none was ever given: `Ended` in term 0 with serial 0.
    pub permission: Permission,
    /// The highest term of any order and permission seen: an order of a lower one is refused (R16).
    pub term: Term,
    /// The present run of the postmaster; none: every process was seen gone.
    pub run: Option<RunId>,
    /// The term whose promotion was ordered in that run: the database counts as serving from then on (R10).
    pub serving: Option<Term>,
    /// The number of the order under way (R16).
    pub order: Option<u64>,
    /// The highest order number seen: a new daemon counts on from it.
    pub last_order: u64,
    /// A fence was executed, and not everything is seen gone yet.
    pub fencing: bool,
}

impl Permission {
    /// No permission was ever given.
    pub const NONE: Permission = Permission {
        term: Term(0),
        serial: 0,
        lasts: Lasts::Ended,
    };

    /// By this a newer one is told from an older one.
    pub fn order(&self) -> (Term, u64) {
        (self.term, self.serial)
    }

    /// Whether a primary of `term` may serve at `now`.
    pub fn allows(&self, term: Term, now: Instant) -> bool {
        self.term == term && !self.is_over(now)
    }

    /// Whether nobody may serve on it any more at `now`.
    pub fn is_over(&self, now: Instant) -> bool {
        match self.lasts {
            Lasts::Until(end) => now >= end,
            Lasts::Unbounded => false,
            Lasts::Ended => true,
        }
    }
}

impl GuardView {
    /// A guard that was just started.
    pub const NEW: GuardView = GuardView {
        permission: Permission::NONE,
        term: Term(0),
        run: None,
        serving: None,
        order: None,
        last_order: 0,
        fencing: false,
    };
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "term {} #{} ", self.term, self.serial)?;
        match self.lasts {
            Lasts::Until(end) => write!(f, "until {end}"),
            Lasts::Unbounded => f.write_str("unbounded"),
            Lasts::Ended => f.write_str("ended"),
        }
    }
}
