//! Why the steward decided what it decided: one variant a decision, readable by an operator.

use crate::postgres::{Fault, Lsn, StopMode};
use crate::record::{Copy, CopyId, Promotion, Term};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One decision.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum StewardReason {
    /// PostgreSQL is started (R20).
    StartsAsStandby {
        /// A promotion follows at once, so clients stay out (R18).
        to_be_promoted: bool,
    },
    /// The standby is pointed at a primary.
    Follows {
        /// Whose.
        of: String,
    },
    /// The standby is told to follow nobody.
    FollowsNobody,
    /// The stamp is written for the first time.
    Stamped {
        /// The copy that it names.
        copy: CopyId,
    },
    /// The directory went back in time: it is another copy from now on (R15).
    Renames {
        /// The copy that it no longer is.
        copy: CopyId,
    },
    /// A promotion is ordered.
    Promotes {
        /// In which term.
        term: Term,
        /// The how many-th of this copy.
        n: u32,
    },
    /// A promotion was seen done (R15).
    Promoted(Promotion),
    /// A promotion that was ordered is seen not to have happened (R15).
    NeverPromoted {
        /// Its term.
        term: Term,
        /// Its number.
        n: u32,
    },
    /// The gate is closed (again), to be proven.
    ClosesGate,
    /// The gate was seen closed.
    GateClosed,
    /// The gate is opened.
    OpensGate {
        /// For these copies.
        names: Vec<Copy>,
    },
    /// The gate was seen open.
    GateOpen {
        /// For these copies.
        names: Vec<Copy>,
        /// The position taken after that (R9).
        since: Lsn,
    },
    /// What was proven of the gate counts no more.
    GateLost,
    /// Clients may come in, or not any more.
    Doors {
        /// Which.
        open: bool,
    },
    /// The user's configuration has changed, and is taken in.
    TakesFiles,
    /// This copy is given up (R11).
    GivesUp {
        /// Whose primary's data take its place.
        from: String,
        /// Why.
        why: String,
        /// By a rewind; or by a clone, because of what.
        way: Result<(), String>,
    },
    /// The directory is renamed and kept.
    SetsAside {
        /// Why.
        why: String,
    },
    /// The cluster's first database is made.
    MakesDatabase,
    /// A clone begins.
    Clones {
        /// Of whose primary.
        from: String,
    },
    /// A rewind begins.
    Rewinds {
        /// To whose primary.
        from: String,
        /// From where on what is here is dropped, and kept elsewhere.
        beyond: Lsn,
    },
    /// What was cloned or rewound is whole.
    Cloned {
        /// Its new name.
        copy: CopyId,
        /// By a rewind.
        rewound: bool,
    },
    /// The database is stopped.
    Stops {
        /// How.
        mode: StopMode,
        /// Why.
        why: String,
    },
    /// A step did not work.
    Failed {
        /// Which.
        step: String,
        /// Why not.
        why: String,
    },
    /// The guard refused a step.
    Refused {
        /// Which.
        step: String,
    },
    /// The target cannot be reached for now.
    Stuck(Fault),
}

impl fmt::Display for StewardReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StewardReason::StartsAsStandby { to_be_promoted } => write!(
                f,
                "starts PostgreSQL as a standby of nobody, its gate closed{}",
                if *to_be_promoted {
                    ", its doors closed: a promotion follows"
                } else {
                    ""
                }
            ),
            StewardReason::Follows { of } => {
                write!(f, "follows the primary at {of}: its history holds all that is here")
            }
            StewardReason::FollowsNobody => f.write_str("follows nobody for now"),
            StewardReason::Stamped { copy } => {
                write!(f, "this data directory is from now on the copy {copy}")
            }
            StewardReason::Renames { copy } => write!(
                f,
                "this data directory is older than what the copy {copy} is known to have been: it gets a name of its own, out of sync"
            ),
            StewardReason::Promotes { term, n } => write!(
                f,
                "promotes in term {term} (order {n} of this copy): doors are closed, sessions ended, the order is stamped"
            ),
            StewardReason::Promoted(promotion) => write!(f, "was promoted: {promotion}"),
            StewardReason::NeverPromoted { term, n } => write!(
                f,
                "the promotion ordered in term {term} (order {n}) never happened: no newer timeline is here"
            ),
            StewardReason::ClosesGate => {
                f.write_str("closes the gate: commits wait until it is proven and opened")
            }
            StewardReason::GateClosed => f.write_str(
                "the gate is proven closed: a canary commit waits, no walsender counts",
            ),
            StewardReason::OpensGate { names } => {
                write!(f, "opens the gate for {}", Names(names))
            }
            StewardReason::GateOpen { names, since } => write!(
                f,
                "the gate is proven open for {}; whoever has flushed {since} holds all that was acknowledged before",
                Names(names)
            ),
            StewardReason::GateLost => f.write_str(
                "the gate is not proven any more: synchronous_standby_names does not come from Yoke's file",
            ),
            StewardReason::Doors { open: true } => f.write_str("opens the doors: clients may come in"),
            StewardReason::Doors { open: false } => f.write_str("closes the doors to clients"),
            StewardReason::TakesFiles => {
                f.write_str("takes in the user's configuration, which has changed")
            }
            StewardReason::GivesUp {
                from,
                why,
                way: Ok(()),
            } => write!(
                f,
                "gives this copy up, to have it rewound to the primary at {from}: {why}"
            ),
            StewardReason::GivesUp {
                from,
                why,
                way: Err(because),
            } => write!(
                f,
                "gives this directory up for a clone of the primary at {from} (it is kept): {why}; no rewind: {because}"
            ),
            StewardReason::SetsAside { why } => {
                write!(f, "sets the data directory aside (it is kept): {why}")
            }
            StewardReason::MakesDatabase => f.write_str(
                "makes the cluster's database: there is no data directory, and no member knows of a record or a copy",
            ),
            StewardReason::Clones { from } => write!(f, "clones the primary at {from}"),
            StewardReason::Rewinds { from, beyond } => write!(
                f,
                "rewinds to the primary at {from}; what is here beyond {beyond} is kept elsewhere"
            ),
            StewardReason::Cloned {
                copy,
                rewound: false,
            } => write!(f, "the clone is whole: it is the copy {copy}"),
            StewardReason::Cloned {
                copy,
                rewound: true,
            } => write!(
                f,
                "the rewind was seen to have worked: it is the copy {copy}"
            ),
            StewardReason::Stops { mode, why } => write!(
                f,
                "stops PostgreSQL {}: {why}",
                match mode {
                    StopMode::Clean => "cleanly",
                    StopMode::Now => "at once",
                }
            ),
            StewardReason::Failed { step, why } => write!(f, "could not {step}: {why}"),
            StewardReason::Refused { step } => {
                write!(f, "the guard refused to {step}; asks again")
            }
            StewardReason::Stuck(fault) => write!(f, "stays as it is: {fault}"),
        }
    }
}

/// Copies, for people.
struct Names<'a>(&'a [Copy]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("a lone primary (commits wait for nobody)");
        }
        for (i, copy) in self.0.iter().enumerate() {
            write!(f, "{}{copy}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
