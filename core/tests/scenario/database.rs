//! A fake database: the directory, the postmaster, and the steward that makes a target true.

use yoke_core::member::MemberId;
use yoke_core::permission::GuardView;
use yoke_core::postgres::{
    Doors, Gate, GateStatus, Lsn, PgStatus, PgTarget, RunId, StandbyStatus, StopMode, SystemId,
    Timeline,
};
use yoke_core::record::{Copy, CopyId, History, Promotion, RecordKey, Term};
use yoke_core::{Duration, Instant};

pub(super) const START: Duration = Duration::millis(100);
pub(super) const PROMOTE: Duration = Duration::millis(150);
pub(super) const PROVE: Duration = Duration::millis(30);
pub(super) const STOP: Duration = Duration::millis(40);
pub(super) const KILL: Duration = Duration::millis(20);
pub(super) const CHECKPOINT: Duration = Duration::millis(100);
pub(super) const REWRITE: Duration = Duration::secs(2);
pub(super) const LOOK: Duration = Duration::millis(20);
const HEALTH: Duration = Duration::millis(200);
pub(super) const STAMP: Duration = Duration::millis(10);

/// What is wrong with a database, from now on.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Trouble {
    /// The postmaster dies while it starts.
    pub(crate) cannot_start: bool,
    /// A promotion never ends.
    pub(crate) cannot_promote: bool,
    /// It answers nothing: no health write, no commit.
    pub(crate) hangs: bool,
    /// It answers and writes, but no gate can be proven: a checkpointer that hangs.
    pub(crate) no_gate: bool,
    /// Nothing in its directory can be read: a disk that hangs.
    pub(crate) unreadable: bool,
    /// It answers nothing since then, but streams on: a postmaster that hangs.
    pub(crate) deaf: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DbRole {
    Down,
    Starting,
    Standby,
    Promoting,
    Primary,
    Stopping,
}

#[derive(Clone)]
pub(super) enum Process {
    Gone,
    Starting {
        ready: Instant,
    },
    Standby(Receiver),
    Promoting {
        done: Instant,
    },
    Primary(Primary),
    /// On the way out; a clean stop of a primary takes its standbys along.
    Stopping {
        gone: Instant,
        clean: bool,
        was_primary: bool,
    },
}

#[derive(Clone, Default)]
pub(super) struct Receiver {
    pub(super) of: Option<MemberId>,
    pub(super) told: Instant,
    pub(super) streaming: bool,
    /// When the primary was last reached.
    pub(super) contact: Instant,
}

#[derive(Clone)]
pub(super) struct Primary {
    pub(super) promoted_in: Term,
    pub(super) recovery_end: Lsn,
    /// What acknowledgements wait for in truth; none: closed.
    pub(super) in_force: Option<Vec<Copy>>,
    pub(super) proven: GateStatus,
    pub(super) changing: Option<(Gate, Instant)>,
    pub(super) doors: Doors,
    pub(super) wrote_at: Instant,
    pub(super) wrote: Lsn,
    /// By standby: what it confirmed, and when it was last in touch.
    pub(super) standbys: Vec<(StandbyStatus, Instant)>,
}

#[derive(Clone)]
pub(super) struct Steward {
    pub(super) target: Option<PgTarget>,
    pub(super) looks_at: Instant,
    pub(super) draining: Option<Instant>,
    pub(super) told: Option<PgStatus>,
    pub(super) told_guard: Option<GuardView>,
    /// It has looked once.
    pub(super) looked: bool,
}

pub(crate) struct Database {
    pub(super) me: MemberId,
    pub(crate) copy: Option<CopyId>,
    pub(crate) system_id: Option<SystemId>,
    pub(crate) stamped: bool,
    pub(crate) history: History,
    /// Flushed up to here.
    pub(crate) end: Lsn,
    pub(crate) trouble: Trouble,
    /// No gate can be proven.
    pub(crate) proofs_fail: bool,
    /// How long its next starts take.
    pub(crate) recovery: Duration,
    /// How long a promotion takes.
    pub(crate) promotion: Duration,
    /// How many promotions were ordered in all.
    pub(crate) promotions: u32,
    /// The newest one that it made itself.
    pub(super) made: Option<(Term, u32)>,
    /// How often the contents were discarded.
    pub(crate) discarded: u32,
    /// The newest record that its stamp names.
    pub(crate) stamp_record: Option<RecordKey>,
    pub(crate) renamed: u32,
    pub(super) shutdown_checkpoint: Option<Lsn>,
    pub(super) rewriting: Option<Instant>,
    pub(super) stamps_at: Option<Instant>,
    pub(crate) guard: GuardView,
    pub(super) process: Process,
    pub(super) steward: Option<Steward>,
    pub(super) runs: u64,
    pub(super) said: Vec<String>,
}

impl Database {
    pub(super) fn new(me: MemberId) -> Database {
        Database {
            me,
            copy: None,
            system_id: None,
            stamped: false,
            history: History::default(),
            end: Lsn(0),
            trouble: Trouble::default(),
            proofs_fail: false,
            recovery: START,
            promotion: PROMOTE,
            promotions: 0,
            made: None,
            discarded: 0,
            stamp_record: None,
            renamed: 0,
            shutdown_checkpoint: None,
            rewriting: None,
            stamps_at: None,
            guard: GuardView::NEW,
            process: Process::Gone,
            steward: None,
            runs: 0,
            said: Vec::new(),
        }
    }

    pub(crate) fn has_data(&mut self, copy: CopyId, system: SystemId, history: History, end: Lsn) {
        self.has_found_data(system);
        self.copy = Some(copy);
        self.stamped = true;
        self.history = history;
        self.end = end;
    }

    /// A database that nobody has stamped yet.
    pub(crate) fn has_found_data(&mut self, system: SystemId) {
        self.copy = Some(CopyId(0xc0 + u64::from(self.me.0)));
        self.system_id = Some(system);
        self.end = Lsn(50);
    }

    pub(crate) fn role(&self) -> DbRole {
        match self.process {
            Process::Gone => DbRole::Down,
            Process::Starting { .. } => DbRole::Starting,
            Process::Standby(_) => DbRole::Standby,
            Process::Promoting { .. } => DbRole::Promoting,
            Process::Primary(_) => DbRole::Primary,
            Process::Stopping { .. } => DbRole::Stopping,
        }
    }

    pub(crate) fn doors(&self) -> Option<Doors> {
        self.primary().map(|p| p.doors)
    }

    pub(crate) fn gate(&self) -> Option<&GateStatus> {
        self.primary().map(|p| &p.proven)
    }

    pub(super) fn primary(&self) -> Option<&Primary> {
        match &self.process {
            Process::Primary(p) => Some(p),
            _ => None,
        }
    }

    pub(crate) fn streams_from(&self) -> Option<MemberId> {
        match &self.process {
            Process::Standby(r) if r.streaming => r.of,
            _ => None,
        }
    }

    /// One millisecond of guard and postmaster.
    pub(super) fn step(&mut self, now: Instant) {
        self.fence(now);
        self.process_step(now);
        if self.rewriting.is_some_and(|at| at <= now) {
            self.rewriting = None;
            self.discarded += 1;
            self.copy = Some(CopyId(
                0xc0 + u64::from(self.me.0) + 16 * u64::from(self.discarded),
            ));
            self.stamped = true;
            self.say("its copy is whole again");
        }
        if self.stamps_at.is_some_and(|at| at <= now) {
            self.stamps_at = None;
            self.stamped = true;
        }
    }

    fn process_step(&mut self, now: Instant) {
        let hangs = self.trouble.hangs;
        match &mut self.process {
            Process::Starting { ready } if *ready <= now => {
                if self.trouble.cannot_start {
                    self.dies("dies at its start");
                } else {
                    self.process = Process::Standby(Receiver {
                        contact: now,
                        ..Receiver::default()
                    });
                    self.say("runs as a standby");
                }
            }
            Process::Promoting { done } if *done <= now => {
                let term = self.guard.serving.unwrap_or_default();
                let timeline = self.history.last().map_or(1, |p| p.timeline.0) + 1;
                let promotion = Promotion {
                    timeline: Timeline(timeline),
                    start: self.end,
                    term,
                    n: self.promotions,
                };
                self.history = self.history.with(promotion);
                self.made = Some(self.history.newest());
                self.end = Lsn(self.end.0 + 10);
                self.process = Process::Primary(Primary {
                    promoted_in: term,
                    recovery_end: self.end,
                    in_force: None,
                    proven: GateStatus::Closed,
                    changing: None,
                    doors: Doors::Closed,
                    wrote_at: now,
                    wrote: self.end,
                    standbys: Vec::new(),
                });
                self.look_soon();
                self.say("is primary");
            }
            Process::Primary(p) if !hangs && now.since(p.wrote_at) >= HEALTH => {
                self.end = Lsn(self.end.0 + 1);
                p.wrote_at = now;
                p.wrote = self.end;
            }
            // A clean stop of one that hangs does not end.
            Process::Stopping {
                gone,
                clean,
                was_primary,
            } if *gone <= now && !(*clean && hangs) => {
                let checkpoint = (*clean && *was_primary).then_some(self.end);
                self.dies("is down");
                if let Some(at) = checkpoint {
                    // The shutdown checkpoint is the last record, and reached its standbys (see `replicate`).
                    self.shutdown_checkpoint = Some(Lsn(at.0 - 1));
                }
            }
            _ => {}
        }
    }

    /// The postmaster is gone, every process of it.
    pub(super) fn dies(&mut self, how: &str) {
        self.process = Process::Gone;
        self.guard.run = None;
        self.guard.serving = None;
        self.guard.fencing = false;
        self.shutdown_checkpoint = None;
        self.look_soon();
        self.say(how);
    }

    pub(super) fn say(&mut self, what: &str) {
        self.said.push(format!("database {what}"));
    }

    pub(super) fn look_soon(&mut self) {
        if let Some(steward) = &mut self.steward {
            steward.looks_at = Instant(0);
        }
    }

    pub(super) fn stop(&mut self, mode: StopMode, now: Instant) {
        let was_primary = self.primary().is_some();
        let length = match (&self.process, mode) {
            (Process::Gone | Process::Stopping { clean: false, .. }, _) => return,
            (Process::Stopping { .. }, StopMode::Clean) => return,
            (_, StopMode::Now) => KILL,
            (_, StopMode::Clean) => STOP,
        };
        if was_primary && mode == StopMode::Clean {
            self.end = Lsn(self.end.0 + 1);
        }
        self.process = Process::Stopping {
            gone: now + length,
            clean: mode == StopMode::Clean,
            was_primary,
        };
        self.say(if mode == StopMode::Clean {
            "stops"
        } else {
            "is killed"
        });
        self.look_soon();
    }

    /// Dies and is started again before anybody was told.
    pub(crate) fn restarts_unseen(&mut self, now: Instant) {
        self.dies("dies");
        self.start(now);
    }

    pub(super) fn start(&mut self, now: Instant) {
        if self.rewriting.is_some() || self.copy.is_none() {
            return;
        }
        self.runs += 1;
        self.guard.run = Some(RunId(u64::from(self.me.0) * 1000 + self.runs));
        self.guard.serving = None;
        self.process = Process::Starting {
            ready: now + self.recovery,
        };
        self.look_soon();
    }
}
