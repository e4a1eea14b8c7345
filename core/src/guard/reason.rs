//! Why the guard decided what it decided, in sentences for whoever reads them at 3 am.

use crate::permission::Permission;
use crate::postgres::RunId;
use crate::record::Term;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One decision.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum GuardReason {
    /// The permission ended while the database served (R10).
    Fenced {
        /// Which run was killed.
        run: RunId,
        /// The term it served in.
        serving: Term,
        /// The permission that ended.
        permission: Permission,
    },
    /// An order was not carried out.
    Refused {
        /// The order's number.
        number: u64,
        /// What it was.
        step: String,
        /// What stands in its way.
        because: Refusal,
    },
    /// An order was ended before its end (R16).
    EndedEarly {
        /// The order's number.
        number: u64,
        /// What it was.
        step: String,
        /// Whether a fence ended it; else a stop.
        by_fence: bool,
    },
    /// The postmaster and all its processes ended, and nobody had asked for it.
    GoneUnasked {
        /// Which run.
        run: RunId,
        /// The term that it served in, if it served.
        serving: Option<Term>,
    },
}

/// What stands in the way of an order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// Its term is below one already seen (R16).
    OldTerm {
        /// The order's.
        term: Term,
        /// The highest seen.
        seen: Term,
    },
    /// Its number is not above the last: it was seen before.
    OldNumber {
        /// The highest seen.
        seen: u64,
    },
    /// Another one is under way (R16).
    Busy {
        /// Which.
        number: u64,
    },
    /// It makes or opens a primary, and there is no unexpired permission of its term (R10).
    NoPermission {
        /// The order's term.
        term: Term,
        /// What is held.
        permission: Permission,
    },
    /// It needs the database down, and a run of it is not gone.
    Running {
        /// Which.
        run: RunId,
    },
    /// It needs a running database.
    NotRunning,
    /// A promotion with the gate open in the settings last written (R7).
    GateOpen,
}

impl fmt::Display for GuardReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GuardReason::Fenced {
                run,
                serving,
                permission,
            } => write!(
                f,
                "killed the database (run {run}), which served in term {serving}: its permission is over (held: {permission})"
            ),
            GuardReason::Refused {
                number,
                step,
                because,
            } => write!(f, "refused order {number} ({step}): {because}"),
            GuardReason::EndedEarly {
                number,
                step,
                by_fence,
            } => write!(
                f,
                "order {number} ({step}) was ended before its end, by a {}",
                if *by_fence { "fence" } else { "stop" }
            ),
            GuardReason::GoneUnasked { run, serving } => {
                write!(
                    f,
                    "the database (run {run}) ended by itself; PostgreSQL's log says why"
                )?;
                match serving {
                    Some(term) => write!(f, "; it served in term {term}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::OldTerm { term, seen } => {
                write!(f, "it is of term {term}, and term {seen} was seen already")
            }
            Refusal::OldNumber { seen } => {
                write!(f, "orders up to number {seen} were seen already")
            }
            Refusal::Busy { number } => write!(f, "order {number} is still under way"),
            Refusal::NoPermission { term, permission } => write!(
                f,
                "it needs an unexpired permission of term {term} (held: {permission})"
            ),
            Refusal::Running { run } => write!(f, "the database (run {run}) is not seen gone"),
            Refusal::NotRunning => f.write_str("the database does not run"),
            Refusal::GateOpen => f.write_str(
                "the settings last written would let it acknowledge without any standby",
            ),
        }
    }
}
