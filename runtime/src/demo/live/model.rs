//! What the picture shows, as plain values: nothing here can be asked, only read.

use super::keys::Key;
use std::time::Duration;

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// `PostgreSQL 15.18`.
    pub(super) postgres: String,
    /// Time of day.
    pub(super) clock: String,
    /// Who leads, in which term.
    pub(super) leader: String,
    /// What a failover would lose now, or why none is possible.
    pub(super) summary: String,
    /// A failover is possible now, and would lose nothing.
    pub(super) safe: bool,
    /// What the clients see.
    pub(super) writes: Writes,
    /// In the members' order.
    pub(super) hosts: Vec<Host>,
    /// What was done, oldest first.
    pub(super) deeds: Vec<Deed>,
    /// The host that keys are for.
    pub(super) chosen: usize,
    /// The keys that do something now.
    pub(super) keys: Vec<Key>,
    /// Why the last key came to nothing.
    pub(super) message: Option<String>,
    /// How to get in from another terminal.
    pub(super) psql: String,
}

/// What the clients see.
#[derive(Clone, Debug, Default)]
pub(super) struct Writes {
    /// Acknowledged writes in each whole second of the last minute, oldest first.
    pub(super) seconds: Vec<usize>,
    /// How long ago the last one was acknowledged.
    pub(super) gap: Duration,
    /// The longest time between two since the last fault.
    pub(super) longest: Duration,
    /// There was a fault: else `longest` counts from the start.
    pub(super) fault: bool,
    /// All acknowledged so far.
    pub(super) acknowledged: usize,
    /// Sent and not answered.
    pub(super) doubtful: usize,
}

/// One host.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    /// The member's name.
    pub(super) name: String,
    /// Whether its daemon answers.
    pub(super) answers: bool,
    /// `primary`, `standby`, `witness`, …
    pub(super) role: &'static str,
    /// What its database does.
    pub(super) database: String,
    /// Whether it counts as in sync; none: it holds no data.
    pub(super) in_sync: Option<bool>,
    /// How far it is behind the primary.
    pub(super) lag: Option<String>,
    /// What keeps its primary serving.
    pub(super) lease: Lease,
    /// What keeps it from what it should be.
    pub(super) fault: Option<String>,
    /// Its processes.
    pub(super) parts: Parts,
    /// Nothing reaches it.
    pub(super) cut: bool,
    /// The other host with data does not reach it.
    pub(super) link_cut: bool,
    /// The newest lines of its daemon's log, oldest first.
    pub(super) reasons: Vec<Reason>,
}

/// A leader's lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Lease {
    /// It has none.
    #[default]
    None,
    /// A lone primary needs none.
    Needless,
    /// So much is left, of so much. Of a leader that is not heard: what its guard still holds.
    Left(Duration, Duration),
}

/// A host's processes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Parts {
    /// The daemon.
    pub(super) daemon: Life,
    /// The postmaster's parent.
    pub(super) guard: Life,
    /// The postmaster.
    pub(super) postgres: Life,
}

/// What a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Life {
    /// There is none.
    #[default]
    Gone,
    /// It runs, by this number.
    Runs(i32),
    /// It is stopped by SIGSTOP.
    Frozen(i32),
}

/// A line of a daemon's log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Reason {
    /// Time of day.
    pub(super) clock: String,
    /// `INFO`, `WARN`, …
    pub(super) level: String,
    /// What it says.
    pub(super) text: String,
}

/// Something that was done, and what came of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Deed {
    /// Time of day.
    pub(super) clock: String,
    /// What.
    pub(super) what: String,
    /// The longest time between two acknowledged writes until the next deed.
    pub(super) gap: Duration,
    /// How long it took until all was well again.
    pub(super) healthy: Option<Duration>,
}

impl Model {
    /// The host so many below the chosen one, around the end.
    pub(super) fn beside(&self, below: isize) -> usize {
        let hosts = self.hosts.len().max(1).cast_signed();
        (self.chosen.cast_signed() + below)
            .rem_euclid(hosts)
            .cast_unsigned()
    }
}

impl Host {
    /// Whether it holds data.
    pub(super) fn holds_data(&self) -> bool {
        self.in_sync.is_some() || self.role != "witness"
    }
}

impl Parts {
    /// All of them.
    pub(super) fn all(&self) -> [Life; 3] {
        [self.daemon, self.guard, self.postgres]
    }

    /// Daemon and all the others that there are: as a host whose power is off, or that was suspended.
    pub(super) fn are_frozen(&self) -> bool {
        let lives = || self.all().into_iter().filter(|l| *l != Life::Gone);
        lives().count() > 1 && lives().all(|l| matches!(l, Life::Frozen(_)))
    }
}
