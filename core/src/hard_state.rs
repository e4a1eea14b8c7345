//! What a member keeps on disk, and what must be there before anything that rests on it leaves (R1).

use crate::member::MemberId;
use crate::record::{Record, Term};
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
}
