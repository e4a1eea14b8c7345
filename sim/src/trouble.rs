//! What a database of a host suffers from for a while: a condition that its steps meet as they come.
//!
//! Where each clause on databases of "what the simulator must have" (research/model.md), and of what was found since, is:
//!
//! | clause | where |
//! | --- | --- |
//! | flush acknowledgements that outlive re-pointing, discard, promotion | `postgres/standby.rs`, `network.rs`: a connection delivers until its end is noticed |
//! | two connections of one name | `postgres/walsender.rs`: a slot is one connection's; the old one stays until it times out; `twin` |
//! | walsenders that reload late, one by one; gates that take effect late | `postgres/commits.rs`; `late-gate`, `slow-checkpointer` |
//! | discards that leave less: a failed clone, one of a laggard, another's | `postgres/clone.rs`: breaks off; `old-clone`, `foreign-clone`, `stuck-copy` |
//! | the default gate of a database that never was primary is open | `postgres/server.rs`, `read_of` |
//! | a promotion carried out after its member was deposed; slow, hung, failed | `postgres/steps.rs`; `slow-promotion`, `failed-promotion` |
//! | orders that outlive their daemon and land late | `postgres/steps.rs`: a step is the guard's, and ends by itself |
//! | database death between R9's position and its record | `database` at any moment, `pairs.rs` |
//! | in-place restart reveals what was not acknowledged | `postgres/steps.rs`: a start replays all that is flushed |
//! | timeline numbers as PostgreSQL chooses them, fits judged by numbers | `postgres/directory.rs`, `postgres/wal.rs` |
//! | a rewind that does nothing and says that it worked; that lacks WAL | `postgres/rewind.rs`; `short-rewind` |
//! | another system id | `own-database`; `foreign-clone` |
//! | settings that a reload refuses, or that some processes miss | `postgres/commits.rs`; `refused-settings`, `missed-reload` |
//! | a standby that has flushed more than it replayed | `postgres/standby.rs`; `stuck-replay` |
//! | slow start, long recovery, a start that fails | `postgres/steps.rs`; `long-recovery`, `failed-start` |
//! | a hang in each of these | `hang-database`, `hang-disk` at any phase; the slow ones, until the end of their time |

use crate::world::World;
use std::fmt;
use std::str::FromStr;

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// A start comes to no end: it recovers.
    LongRecovery,
    /// A start ends in FATAL.
    FailedStart,
    /// A promotion comes to no end.
    SlowPromotion,
    /// A promotion ends in PANIC, before or after its history file; or it is said to have failed, and has not.
    FailedPromotion,
    /// A line of the configuration keeps every process from taking new settings.
    RefusedSettings,
    /// Checkpointer and walsenders do not come to look at new settings.
    LateGate,
    /// A rewind leaves a directory that lacks WAL which nobody has: it never becomes consistent.
    ShortRewind,
    /// A clone holds what its source held some time ago.
    OldClone,
    /// A clone is of another database.
    ForeignClone,
    /// A clone or a rewind comes to no end.
    StuckCopy,
    /// Of its processes some cannot read the files at that moment, and keep what they had until they are told again.
    MissedReload,
    /// The checkpointer takes its time between what it reads and what it does about that: it says late who is to wait.
    SlowCheckpointer,
    /// A standby's replay waits, as for a long query on it: what it flushes is replayed only later.
    StuckReplay,
    /// A standby connects again while its old connection stays at the primary, and says nothing new.
    Twin,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Trouble; 14] = [
        Trouble::LongRecovery,
        Trouble::FailedStart,
        Trouble::SlowPromotion,
        Trouble::FailedPromotion,
        Trouble::RefusedSettings,
        Trouble::LateGate,
        Trouble::MissedReload,
        Trouble::SlowCheckpointer,
        Trouble::StuckReplay,
        Trouble::ShortRewind,
        Trouble::OldClone,
        Trouble::ForeignClone,
        Trouble::StuckCopy,
        Trouble::Twin,
    ];

    fn word(self) -> &'static str {
        match self {
            Trouble::LongRecovery => "long-recovery",
            Trouble::FailedStart => "failed-start",
            Trouble::SlowPromotion => "slow-promotion",
            Trouble::FailedPromotion => "failed-promotion",
            Trouble::RefusedSettings => "refused-settings",
            Trouble::LateGate => "late-gate",
            Trouble::MissedReload => "missed-reload",
            Trouble::SlowCheckpointer => "slow-checkpointer",
            Trouble::StuckReplay => "stuck-replay",
            Trouble::ShortRewind => "short-rewind",
            Trouble::OldClone => "old-clone",
            Trouble::ForeignClone => "foreign-clone",
            Trouble::StuckCopy => "stuck-copy",
            Trouble::Twin => "twin",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Trouble {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        let found = Trouble::ALL.into_iter().find(|t| t.word() == word);
        found.ok_or_else(|| format!("{word:?} is no trouble of a database"))
    }
}

/// Until when a host's database has which trouble.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Troubles([u64; Trouble::ALL.len()]);

impl World {
    /// A host's database has this trouble for so long.
    pub(crate) fn trouble_begins(&mut self, h: usize, trouble: Trouble, time: u64) {
        let until = self.now + time;
        let since = &mut self.hosts[h].troubles.0[trouble as usize];
        *since = until.max(*since);
        if trouble == Trouble::Twin {
            self.connection_is_cut(h);
        }
    }

    /// Until when a host's database has any.
    pub(crate) fn troubled_database(&self, h: usize) -> u64 {
        self.hosts[h].troubles.0.into_iter().max().unwrap_or(0)
    }

    /// Whether it has it now.
    pub(crate) fn is_troubled(&self, h: usize, trouble: Trouble) -> bool {
        self.hosts[h].troubles.0[trouble as usize] > self.now
    }

    /// How long it still has it.
    pub(crate) fn trouble_left(&self, h: usize, trouble: Trouble) -> u64 {
        self.hosts[h].troubles.0[trouble as usize].saturating_sub(self.now)
    }

    /// All troubles of a host's database are over.
    pub(crate) fn troubles_end(&mut self, h: usize) {
        let waits = self.is_troubled(h, Trouble::StuckReplay);
        if let Some(server) = self.hosts[h].server.as_mut().filter(|_| waits) {
            server.replay_due = server.replay_due.min(self.now);
        }
        self.hosts[h].troubles = Troubles::default();
    }
}
