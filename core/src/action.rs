//! Everything a node may ask for.

use crate::hard_state::HardState;
use crate::member::MemberId;
use crate::message::Message;
use crate::operator::CommandOutcome;
use crate::permission::Permission;
use crate::postgres::PgTarget;
use crate::reason::Reason;
use serde::{Deserialize, Serialize};

/// Everything a node may ask for. The order in which they come is the order in which they are due; what rests on a
/// `Persist` comes only after its `Persisted` (the outbox holds it back).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Make this durable (file and directory synced), then answer `Event::Persisted { seq }`. A later one replaces it.
    Persist {
        /// Counts the states of this daemon run.
        seq: u64,
        /// The whole state.
        state: Box<HardState>,
    },
    /// Send; it may get lost, come late, or twice.
    Send {
        /// To whom.
        to: MemberId,
        /// What.
        message: Box<Message>,
    },
    /// Tell the steward what the database should be.
    Postgres(Box<PgTarget>),
    /// Tell the guard how long a primary may serve; it answers by `Event::Guard`.
    Guard(Permission),
    /// Answer an operator.
    Reply {
        /// The request's.
        request: u64,
        /// What came of it.
        outcome: CommandOutcome,
    },
    /// Say what was decided, and why.
    Explain(Reason),
    /// All is in order: the daemon may end.
    Exit,
}
