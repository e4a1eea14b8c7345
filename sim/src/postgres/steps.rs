//! What each primitive step does to a modelled database, how long it takes, and how it fails.

use crate::choices::About;
use crate::event::Ev;
use crate::oracle::few_moves::Cause;
use crate::postgres::directory::{DataDir, NOT_A_CHILD};
use crate::postgres::instance::DbEv;
use crate::postgres::rewind::Fate;
use crate::postgres::server::{Phase, Server};
use crate::scenario::Trigger;
use crate::trouble::Trouble;
use crate::world::World;
use yoke_core::guard::GuardEvent;
use yoke_core::postgres::{RunId, StopMode, SystemId};
use yoke_core::step::{ClusterState, Order, Outcome, Step};

/// A step that the guard has under way.
#[derive(Clone, Debug)]
pub(crate) struct Exec {
    pub(crate) order: Order,
    pub(crate) run: Option<RunId>,
    /// It was told to end.
    pub(crate) ending: bool,
    /// A clone's source: member, run; and how many looks at it are left.
    pub(crate) source: Option<(usize, RunId)>,
    pub(crate) parts: u64,
    pub(crate) part_time: u64,
    /// What becomes of a rewind, and how often it has looked at its source.
    pub(crate) fate: Fate,
    pub(crate) looks: u64,
}

/// How often a clone looks at its source.
pub(crate) const CLONE_PARTS: u64 = 4;

impl World {
    /// The guard begins a step.
    pub(crate) fn step_begins(&mut self, h: usize, order: Order, run: Option<RunId>) {
        self.say(h, || {
            format!(
                "step {} of term {}: {}",
                order.number,
                order.term,
                in_words(&order.step)
            )
        });
        self.digest.note((h, &order));
        self.guard_moment(h, |armed| match armed {
            Trigger::Begun(left) => Some(left),
            _ => None,
        });
        self.check_order(h, &order);
        let mut exec = Exec {
            order,
            run,
            ending: false,
            source: None,
            parts: 0,
            part_time: 0,
            fate: Fate::default(),
            looks: 0,
        };
        let time = match &exec.order.step {
            Step::Clone { from } | Step::Rewind { from, .. } => {
                let from = usize::from(from.0);
                let (low, high) = self.scenario.clone_time;
                let time = self.choices.within(About::CloneTime, h, 0, low, high);
                exec.source = self.clone_source(h, from);
                exec.parts = CLONE_PARTS;
                exec.part_time = time / CLONE_PARTS;
                if exec.source.is_some() {
                    exec.part_time
                } else {
                    500_000
                }
            }
            Step::Stop(mode) => {
                let mode = *mode;
                if self.hosts[h].server.is_some() {
                    self.hosts[h].execs.push(exec);
                    self.stop_begins(h, mode);
                    return;
                }
                1_000
            }
            Step::Start => self.choices.within(About::StepTime, h, 1, 5_000, 50_000),
            Step::Initdb => self
                .choices
                .within(About::CloneTime, h, 1, 200_000, 1_500_000),
            Step::Reload => self.choices.within(About::StepTime, h, 2, 200, 3_000),
            Step::Promote => {
                // Serving begins with the order, not with its effect.
                if let Some(server) = &mut self.hosts[h].server {
                    server.serving = true;
                    server.term = exec.order.term;
                    self.on_serving(h);
                }
                self.choices.within(About::StepTime, h, 3, 200, 5_000)
            }
            _ => self
                .choices
                .skewed(About::StepTime, h, 0, (200, 8_000), 10, (20_000, 200_000)),
        };
        let time = time + self.step_late(h, 0);
        let (guard, number) = (self.hosts[h].guard_runs, exec.order.number);
        self.hosts[h].execs.push(exec);
        self.after(time, Ev::Exec { h, guard, number });
    }

    /// How much longer a step takes, or what was told to end and hangs on its disk.
    fn step_late(&mut self, h: usize, which: usize) -> u64 {
        let (most, until) = self.hosts[h].late_steps;
        match until > self.now {
            true => self.choices.within(About::StepLate, h, which, 0, most),
            false => 0,
        }
    }

    /// What is under way, and late, ends soon; a copy in the midst of its parts goes on with them.
    pub(crate) fn late_steps_end(&mut self, h: usize) {
        let is_copy = |step: &Step| matches!(step, Step::Clone { .. } | Step::Rewind { .. });
        let host = &self.hosts[h];
        let (guard, execs) = (host.guard_runs, host.execs.iter());
        let late = execs.filter(|e| e.ending || !is_copy(&e.order.step));
        for number in late.map(|e| e.order.number).collect::<Vec<_>>() {
            self.after(20_000, Ev::Exec { h, guard, number });
        }
    }

    /// A step's time is up.
    pub(crate) fn on_exec(&mut self, h: usize, number: u64) {
        let Some(at) = self.hosts[h]
            .execs
            .iter()
            .position(|e| e.order.number == number)
        else {
            return;
        };
        let exec = &self.hosts[h].execs[at];
        let clones = matches!(exec.order.step, Step::Clone { .. }) && !exec.ending;
        let rewinds = matches!(exec.order.step, Step::Rewind { .. }) && !exec.ending;
        if (clones && self.clone_goes_on(h, at)) || (rewinds && self.rewind_goes_on(h, at)) {
            return;
        }
        let exec = self.hosts[h].execs.remove(at);
        let outcome = if exec.ending {
            // The helper was killed; a rename may have come before that.
            if self.choices.chance(About::StepLands, h, 0, 500) {
                self.quick_step_lands(h, &exec);
            }
            Outcome::Ended
        } else if self
            .choices
            .chance(About::StepFails, h, 0, self.scenario.failures)
        {
            if self.choices.chance(About::StepLands, h, 1, 300) {
                self.quick_step_lands(h, &exec);
            }
            Outcome::Failed("it did not work this time".into())
        } else {
            self.step_lands(h, &exec)
        };
        self.say(h, || {
            format!("step {number} ends: {}", outcome_in_words(&outcome))
        });
        self.guard_moment(h, |armed| match armed {
            Trigger::Done(left) => Some(left),
            _ => None,
        });
        let run = exec
            .run
            .filter(|_| matches!(exec.order.step, Step::Start) && outcome != Outcome::Done);
        self.guard_handles(h, GuardEvent::Outcome { number, outcome });
        if let Some(run) = run {
            // Nothing of the run that was to begin is there.
            self.guard_handles(h, GuardEvent::Gone { run });
        }
    }

    /// A step that was ended all the same has its effect, if it is one of a moment.
    pub(crate) fn quick_step_lands(&mut self, h: usize, exec: &Exec) {
        let quick = matches!(
            exec.order.step,
            Step::WriteStamp(_)
                | Step::MarkRewriting
                | Step::ClearMark
                | Step::SetAside(_)
                | Step::WriteSettings(_)
        );
        if quick {
            self.step_lands(h, exec);
        }
    }

    /// The step's effect.
    fn step_lands(&mut self, h: usize, exec: &Exec) -> Outcome {
        let failed = |why: &str| Outcome::Failed(why.into());
        let running = self.hosts[h].server.is_some();
        let now = self.now;
        let storage = &mut self.hosts[h].storage;
        match &exec.order.step {
            Step::WriteStamp(stamp) => match &mut storage.directory {
                Some(dir) => {
                    dir.stamp = Some(stamp.clone());
                    self.check_name(h);
                    self.check_stamp(h);
                }
                None => return failed("there is no directory"),
            },
            Step::MarkRewriting => {
                storage.rewriting = true;
                self.check_vanished();
            }
            Step::ClearMark => storage.rewriting = false,
            Step::SetAside(_) => {
                if running {
                    return failed("a postmaster runs in it");
                }
                match storage.directory.take() {
                    Some(dir) => {
                        storage.set_aside.push(dir);
                        self.check_vanished();
                    }
                    None => return failed("there is no directory"),
                }
            }
            Step::Clone { .. } => return self.clone_lands(h, exec.source),
            Step::Initdb => {
                if storage.directory.is_some() {
                    return failed("there is a directory");
                }
                return self.initdb(h);
            }
            Step::WriteSettings(settings) => {
                storage.settings = Some(settings.clone());
                storage.edited = false;
            }
            Step::Rewind { .. } => return self.rewind_lands(h, exec),
            Step::Start => {
                let Some(run) = exec.run else {
                    return failed("no run was named");
                };
                if running {
                    return failed("another postmaster runs");
                }
                let Some(dir) = &mut storage.directory else {
                    return failed("there is no directory");
                };
                let fits = dir.recovers();
                let crashed = dir.cluster == ClusterState::Other;
                let begins_with = dir.wal.entries.len();
                dir.cluster = ClusterState::Other;
                self.check_whole(h);
                let settings = self.hosts[h].storage.settings.as_ref();
                let mut server = Server::new(run, settings, begins_with);
                server.stalled = self.hosts[h].stalled_until > now;
                self.hosts[h].server = Some(server);
                if self.hosts[h]
                    .storage
                    .directory
                    .as_ref()
                    .is_some_and(|d| d.lacks_wal)
                {
                    // It waits for WAL that nobody sends it: it is to follow nobody.
                    return Outcome::Done;
                }
                let range = if crashed {
                    (200_000, 900_000)
                } else {
                    (80_000, 300_000)
                };
                let time =
                    self.choices
                        .skewed(About::StartTime, h, 0, range, 20, (1_000_000, 2_500_000));
                let then = if self.is_troubled(h, Trouble::FailedStart) {
                    DbEv::Fatal("it could not start this time")
                } else if fits {
                    DbEv::Started
                } else {
                    DbEv::Fatal(NOT_A_CHILD)
                };
                self.db_in(time, h, run, then);
            }
            Step::Reload => {
                if !running {
                    return failed("no postmaster runs");
                }
                self.reload(h);
            }
            Step::Promote => {
                let Some(server) = &mut self.hosts[h].server else {
                    return failed("no postmaster runs");
                };
                if server.phase != Phase::Standby || server.killed {
                    return failed("it is not a standby that accepts connections");
                }
                server.phase = Phase::Promoting;
                let (run, replay) = (server.run, server.replay_due.saturating_sub(now));
                self.receiver_ends(h);
                let time = self.choices.skewed(
                    About::PromoteTime,
                    h,
                    0,
                    (40_000, 180_000),
                    20,
                    (200_000, 1_500_000),
                );
                if 2 * (replay + time) >= self.hosts[h].config.decision_timeout.0 {
                    // Its daemon gives it no more than that, with what comes before and after (R19).
                    self.is_in_trouble(h, Cause::Database);
                }
                let file = replay
                    + self
                        .choices
                        .within(About::PromoteTime, h, 1, 10_000, time / 2);
                self.db_in(file, h, run, DbEv::PromotionFile);
                self.db_in(replay + time, h, run, DbEv::Promoted);
                if self.is_troubled(h, Trouble::FailedPromotion) {
                    let panic = DbEv::Fatal("PANIC in its promotion");
                    match self.choices.within(About::Trouble, h, 0, 0, 2) {
                        0 => self.db_in(file - 1, h, run, panic),
                        1 => self.db_in(replay + time - 1, h, run, panic),
                        _ => return failed("it did not answer in time"),
                    }
                }
            }
            Step::Stop(_) => {
                if running {
                    return failed("it was started meanwhile");
                }
            }
            _ => return failed("not a step of the guard"),
        }
        Outcome::Done
    }

    /// A database where nothing is.
    fn initdb(&mut self, h: usize) -> Outcome {
        let known = |host: &crate::host::Host| {
            let state = host.disk.durable.as_ref();
            state.is_some_and(|state| state.record.is_some())
        };
        if self.hosts.iter().any(known) {
            self.violated("R14", "a new database, although there is a record".into());
        }
        let uid = self.fresh_uid();
        let system = SystemId(self.choices.bits(About::Nonce, h, 2));
        self.hosts[h].storage.directory = Some(DataDir::fresh(uid, system));
        self.coverage.made += 1;
        Outcome::Done
    }

    /// The guard tells a step to end.
    pub(crate) fn step_ends(&mut self, h: usize, number: u64) {
        let guard = self.hosts[h].guard_runs;
        let Some(exec) = self.hosts[h]
            .execs
            .iter_mut()
            .find(|e| e.order.number == number)
        else {
            return;
        };
        exec.ending = true;
        let time = self.choices.within(About::StepTime, h, 4, 500, 5_000) + self.step_late(h, 1);
        self.after(time, Ev::Exec { h, guard, number });
    }

    /// SIGKILL to all of a run's processes.
    pub(crate) fn kill(&mut self, h: usize, run: RunId) {
        let dead = self.choices.within(About::KillTime, h, 0, 500, 15_000);
        let most = (self.scenario.decision_timeout / 1000 * 90).min(510_000);
        let gone = dead + self.choices.within(About::GoneTime, h, 0, 10_000, most);
        self.after(dead, Ev::Dead { h, run });
        self.after(gone, Ev::Gone { h, run });
    }

    /// The processes do nothing more.
    pub(crate) fn on_dead(&mut self, h: usize, run: RunId) {
        let Some((server, _)) = self.server(h, run) else {
            return;
        };
        server.killed = true;
        server.backlog.clear();
        server.waiting.clear();
        let conns: Vec<(u64, usize)> = server
            .walsenders
            .drain(..)
            .map(|w| (w.conn, w.peer))
            .collect();
        self.say(h, || "postgres: killed".into());
        for (conn, peer) in conns {
            self.db_send(h, peer, conn, crate::postgres::standby::Wire::Fin);
        }
        self.receiver_ends(h);
        self.end_sessions(h);
    }

    /// Every process of the database was seen gone.
    pub(crate) fn database_ends(&mut self, h: usize, clean: bool) {
        let Some(run) = self.hosts[h].server.as_ref().map(|s| s.run) else {
            return;
        };
        self.on_dead(h, run);
        self.hosts[h].server = None;
        self.say(h, || {
            format!("postgres: gone{}", if clean { ", cleanly" } else { "" })
        });
        self.digest.note(("gone", h, run));
        self.guard_handles(h, GuardEvent::Gone { run });
    }

    /// Nothing of a run is left, and its guard knows: what was to stop it has come to its end, too.
    pub(crate) fn stops_end(&mut self, h: usize, gone: RunId) {
        let stops =
            |exec: &Exec| exec.run == Some(gone) && matches!(exec.order.step, Step::Stop(_));
        let execs = std::mem::take(&mut self.hosts[h].execs);
        let (ended, others): (Vec<Exec>, Vec<Exec>) = execs.into_iter().partition(stops);
        self.hosts[h].execs = others;
        for exec in ended {
            let (number, outcome) = (exec.order.number, Outcome::Done);
            self.guard_handles(h, GuardEvent::Outcome { number, outcome });
        }
    }
}

/// A step in a few words.
pub(crate) fn in_words(step: &Step) -> String {
    match step {
        Step::WriteStamp(stamp) => format!(
            "stamp copy {} history {} ordered {:?}",
            stamp.copy, stamp.history, stamp.ordered
        ),
        Step::WriteSettings(s) => format!(
            "write settings {}: gate {:?} doors {:?} follows {:?}",
            s.generation, s.gate, s.doors, s.follow
        ),
        Step::Rewind { from, drops, .. } => format!(
            "rewind to {from}, drops {:?}..{} of {:?}",
            drops.from, drops.to, drops.timeline
        ),
        Step::SetAside(leaving) => format!("set aside: {}", leaving.why),
        Step::Stop(StopMode::Clean) => "stop cleanly".into(),
        Step::Stop(StopMode::Now) => "stop at once".into(),
        other => format!("{other:?}"),
    }
}

fn outcome_in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Observed(_) => "observed".into(),
        other => format!("{other:?}"),
    }
}
