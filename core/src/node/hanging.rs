//! A database that hangs where nobody leads: stopped, and started again (R19). A leader's is looked after by `give_way`.

use super::Node;
use crate::mutant;
use crate::postgres::{PgState, RunId};
use crate::reason::Reason;
use crate::time::{Duration, Instant};

/// Patience doubles so often at most.
const DOUBLED: u32 = 6;

/// What is known of a database that hangs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Hanging {
    /// The run that hangs, and since when it is to be stopped.
    run: Option<(RunId, Instant)>,
    /// So many runs in a row were stopped without an answer, or before they were promoted.
    in_a_row: u32,
    /// The newest of them was being promoted.
    promoting: bool,
}

impl Node {
    /// A database that has not answered for D hangs: a standby, or a primary whose daemon lost its state, and which its
    /// guard lets serve on, because it is alone in sync. Whoever needs longer for the first answer, or for a promotion,
    /// gets more time with each try.
    pub(super) fn decide_hanging(&mut self) {
        let over = match self.pg_state() {
            PgState::Standby { .. } => !self.hanging.promoting || self.hears_leader(),
            PgState::Primary(_) => true,
            _ => false,
        };
        if over {
            self.hanging.in_a_row = 0;
        }
        if self.hanging.run.map(|(run, _)| run) != self.guard.run {
            self.hanging.run = None;
        }
        let Some(run) = self.guard.run.filter(|_| self.hanging.run.is_none()) else {
            return;
        };
        if self.leader.is_some() || self.state.is_none() {
            return;
        }
        let silence = match self.pg_state() {
            PgState::Silent { primary: true, .. } if mutant!(self.config, R19LeadersAlone) => {
                return;
            }
            PgState::Silent { since, .. } => self.now.since(*since),
            _ => return,
        };
        if silence > self.hang_patience() {
            self.explain(Reason::DatabaseHangs { silence });
            self.hanging.run = Some((run, self.now));
            self.note_hang();
        }
    }

    /// How long a database may be silent of which no other is seen that could take its place.
    pub(super) fn hang_patience(&self) -> Duration {
        let doubled = self.hanging.in_a_row.min(DOUBLED);
        self.config.decision_timeout.times(1 << doubled)
    }

    /// The database is stopped because it hangs.
    pub(super) fn note_hang(&mut self) {
        self.hanging.in_a_row += 1;
        self.hanging.promoting = *self.pg_state() == PgState::Promoting;
    }

    /// Since when this member's database is to be stopped, because it hangs.
    pub(super) fn hangs_since(&self) -> Option<Instant> {
        self.hanging.run.map(|(_, since)| since)
    }
}
