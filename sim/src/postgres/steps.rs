//! What each primitive step does to a modelled database, how long it takes, and how it fails.

use crate::choices::About;
use crate::postgres::directory::DataDir;
use crate::postgres::instance::{DbEv, Phase, Server};
use crate::postgres::standby::Link;
use crate::postgres::wal::{Kind, continues};
use crate::world::{Ev, World};
use yoke_core::guard::GuardEvent;
use yoke_core::postgres::{Lsn, RunId, StopMode};
use yoke_core::step::{
    Canary, ClusterState, Order, Outcome, Server as Seen, Step, Walsender as SeenWalsender,
};

/// A step that the guard has under way.
#[derive(Clone, Debug)]
pub(crate) struct Exec {
    pub(crate) order: Order,
    pub(crate) run: Option<RunId>,
    /// It was told to end.
    pub(crate) ending: bool,
    /// A clone's source: member, run; and how many looks at it are left.
    source: Option<(usize, RunId)>,
    parts: u64,
    part_time: u64,
}

const CLONE_PARTS: u64 = 4;

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
        let mut exec = Exec {
            order,
            run,
            ending: false,
            source: None,
            parts: 0,
            part_time: 0,
        };
        let time = match &exec.order.step {
            Step::Clone { from } => {
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
        let (guard, number) = (self.hosts[h].guard_runs, exec.order.number);
        self.hosts[h].execs.push(exec);
        self.after(time, Ev::Exec { h, guard, number });
    }

    fn clone_source(&self, h: usize, from: usize) -> Option<(usize, RunId)> {
        let source = &self.hosts[from];
        let server = source.server.as_ref()?;
        let reachable = from != h
            && source.up
            && !source.paused(self.now)
            && self.net.databases_linked(h, from, self.now);
        (reachable && server.phase == Phase::Primary && !server.killed && !server.hung)
            .then_some((from, server.run))
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
        if matches!(self.hosts[h].execs[at].order.step, Step::Clone { .. })
            && !self.hosts[h].execs[at].ending
        {
            if self.clone_goes_on(h, at) {
                return;
            }
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
                | Step::SetAside
                | Step::WriteSettings(_)
        );
        if quick {
            self.step_lands(h, exec);
        }
    }

    /// Looks at a clone under way; true while it goes on.
    fn clone_goes_on(&mut self, h: usize, at: usize) -> bool {
        let Some((from, run)) = self.hosts[h].execs[at].source else {
            return false;
        };
        let breaks = self
            .choices
            .chance(About::CloneBreaks, h, from, 2 * self.scenario.failures);
        let alive = self.clone_source(h, from) == Some((from, run)) && !breaks;
        let exec = &mut self.hosts[h].execs[at];
        if !alive {
            exec.source = None;
            return false;
        }
        exec.parts -= 1;
        if exec.parts == 0 {
            return false;
        }
        let (number, time, done) = (exec.order.number, exec.part_time, CLONE_PARTS - exec.parts);
        let guard = self.hosts[h].guard_runs;
        self.after(time, Ev::Exec { h, guard, number });
        self.clone_progress(h, number, done, CLONE_PARTS);
        true
    }

    /// The step's effect.
    fn step_lands(&mut self, h: usize, exec: &Exec) -> Outcome {
        let failed = |why: &str| Outcome::Failed(why.into());
        let running = self.hosts[h].server.is_some();
        let now = self.now;
        let storage = &mut self.hosts[h].storage;
        match &exec.order.step {
            Step::WriteStamp(stamp) => match &mut storage.directory {
                Some(dir) => dir.stamp = Some(stamp.clone()),
                None => return failed("there is no directory"),
            },
            Step::MarkRewriting => storage.rewriting = true,
            Step::ClearMark => storage.rewriting = false,
            Step::SetAside => {
                if running {
                    return failed("a postmaster runs in it");
                }
                match storage.directory.take() {
                    Some(dir) => storage.set_aside.push(dir),
                    None => return failed("there is no directory"),
                }
            }
            Step::Clone { .. } => return self.clone_lands(h, exec.source),
            Step::WriteSettings(settings) => storage.settings = Some(settings.clone()),
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
                // With `standby.signal` recovery follows the newest history file; it has to be a child of what is here.
                let (newest, _) = dir.newest_timeline();
                let (mine, end) = (dir.timeline().0, dir.wal.end());
                let fits = newest <= mine
                    || dir
                        .files
                        .iter()
                        .filter(|f| f.last().is_some_and(|(t, _)| *t == newest))
                        .all(|f| continues(mine, end, f));
                let crashed = dir.cluster == ClusterState::Other;
                dir.cluster = ClusterState::Other;
                let entries = dir.wal.entries.len();
                self.hosts[h].server = Some(Server::new(
                    run,
                    self.hosts[h].storage.settings.as_ref(),
                    entries,
                ));
                let range = if crashed {
                    (200_000, 900_000)
                } else {
                    (80_000, 300_000)
                };
                let time =
                    self.choices
                        .skewed(About::StartTime, h, 0, range, 20, (1_000_000, 2_500_000));
                self.db_in(
                    time,
                    h,
                    run,
                    if fits {
                        DbEv::Started
                    } else {
                        DbEv::StartFails
                    },
                );
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
                let file = replay
                    + self
                        .choices
                        .within(About::PromoteTime, h, 1, 10_000, time / 2);
                self.db_in(file, h, run, DbEv::PromotionFile);
                self.db_in(replay + time, h, run, DbEv::Promoted);
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

    fn clone_lands(&mut self, h: usize, source: Option<(usize, RunId)>) -> Outcome {
        let Some((from, _)) = source else {
            return Outcome::Failed("the source cannot be reached, or the connection broke".into());
        };
        if self.hosts[h].storage.directory.is_some() {
            return Outcome::Failed("the place is taken".into());
        }
        let uid = self.fresh_uid();
        let Some(theirs) = &self.hosts[from].storage.directory else {
            return Outcome::Failed("the source has no directory".into());
        };
        let mut copy = DataDir {
            uid,
            stamp: None,
            cluster: ClusterState::Other,
            never_used: false,
            verified: 0,
            files: vec![],
            ..theirs.clone()
        };
        copy.fetch_files(&theirs.lineage);
        copy.checkpoint_timeline = copy.timeline().0;
        self.hosts[h].storage.directory = Some(copy);
        self.coverage.clones += 1;
        Outcome::Done
    }

    /// A step of the daemon's own connection.
    pub(crate) fn daemon_step(&mut self, h: usize, order: Order) {
        self.digest.note((h, &order));
        if !matches!(order.step, Step::Observe | Step::Nudge) {
            self.say(h, || {
                format!(
                    "step {} by the daemon: {}",
                    order.number,
                    in_words(&order.step)
                )
            });
        }
        let host = &self.hosts[h];
        let run = host.server.as_ref().filter(|s| !s.killed).map(|s| s.run);
        let dead = host
            .server
            .as_ref()
            .is_none_or(|s| s.killed || s.phase == Phase::Starting);
        let hung = host.server.as_ref().is_some_and(|s| s.hung)
            || (host.server.as_ref().is_some_and(|s| s.stalled)
                && matches!(order.step, Step::Nudge | Step::Checkpoint));
        let time = match order.step {
            Step::Inspect => self.choices.within(About::ObserveTime, h, 1, 1_000, 30_000),
            _ if dead => self.choices.within(About::ObserveTime, h, 2, 1_000, 10_000),
            // The answer does not come; the daemon gives up.
            _ if hung => 1_000_000,
            Step::Checkpoint => self.choices.skewed(
                About::ObserveTime,
                h,
                3,
                (10_000, 200_000),
                50,
                (200_000, 2_000_000),
            ),
            Step::Nudge => self.choices.skewed(
                About::ObserveTime,
                h,
                4,
                (300, 6_000),
                10,
                (10_000, 100_000),
            ),
            _ => self
                .choices
                .skewed(About::ObserveTime, h, 0, (500, 6_000), 30, (6_000, 40_000)),
        };
        let daemon = self.hosts[h].daemon_runs;
        let given_up = dead || hung;
        self.after(
            time,
            Ev::Sql {
                h,
                daemon,
                order: Box::new(order),
                run,
                given_up,
            },
        );
    }

    /// What the daemon's connection does, now; it happens whether or not the daemon still lives.
    pub(crate) fn on_sql(
        &mut self,
        h: usize,
        step: &Step,
        run: Option<RunId>,
        given_up: bool,
    ) -> Outcome {
        let failed = || Outcome::Failed("no answer".into());
        if matches!(step, Step::Inspect) {
            return Outcome::Inspected(self.hosts[h].storage.inspect());
        }
        let now = self.now;
        let fails = self.scenario.failures;
        let Some((run, false)) = run.map(|run| (run, given_up)) else {
            return failed();
        };
        let fails = self.choices.chance(About::StepFails, h, 1, fails);
        let Some((server, dir)) = self.server(h, run) else {
            return failed();
        };
        if fails || server.hung || matches!(server.phase, Phase::Starting | Phase::Stopping { .. })
        {
            return failed();
        }
        match step {
            Step::Observe => Outcome::Observed(Box::new(observe(server, dir, now))),
            Step::EndSessions => {
                self.end_sessions(h);
                Outcome::Done
            }
            Step::Canary => {
                if server.phase != Phase::Primary {
                    return failed();
                }
                server
                    .waiting
                    .retain(|w| w.who != crate::postgres::instance::Waiter::Canary);
                server.canaries += 1;
                server.canary = Canary::Begun;
                let number = server.canaries;
                let time = self.choices.within(About::Flush, h, 3, 200, 5_000);
                self.db_in(time, h, run, DbEv::CanaryFlushed(number));
                Outcome::Done
            }
            Step::Nudge => {
                if server.phase != Phase::Primary || server.stalled {
                    return failed();
                }
                let (entry, _) = self.append(h, Kind::Nudge);
                Outcome::Wrote(entry.end)
            }
            Step::Checkpoint => {
                if server.stalled {
                    return failed();
                }
                if server.phase == Phase::Primary {
                    let (entry, _) = self.append(h, Kind::Checkpoint);
                    if let Some((_, dir)) = self.server(h, run) {
                        dir.checkpoint = entry.start;
                        dir.checkpoint_timeline = dir.timeline().0;
                    }
                }
                Outcome::Done
            }
            _ => Outcome::Failed("not a step of the daemon".into()),
        }
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
        let time = self.choices.within(About::StepTime, h, 4, 500, 5_000);
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
        let stops: Vec<u64> = self.hosts[h]
            .execs
            .iter()
            .filter(|e| matches!(e.order.step, Step::Stop(_)))
            .map(|e| e.order.number)
            .collect();
        for number in stops {
            self.hosts[h].execs.retain(|e| e.order.number != number);
            self.guard_handles(
                h,
                GuardEvent::Outcome {
                    number,
                    outcome: Outcome::Done,
                },
            );
        }
    }
}

/// What a query that asks everything in one go sees.
fn observe(server: &Server, dir: &DataDir, now: u64) -> Seen {
    let in_recovery = server.phase != Phase::Primary;
    let drained = now >= server.replay_due;
    let position = match (in_recovery, drained || server.replayed == 0) {
        (true, false) => dir.wal.entries[server.replayed - 1].end,
        (true, true) => dir.wal.end(),
        // The next record is being written.
        (false, _) => Lsn(dir.wal.end().0 + now % 2 * 24),
    };
    Seen {
        run: server.run,
        in_recovery,
        settings: server.read.generation,
        gate_is_ours: true,
        position,
        drained,
        replay_paused: false,
        streaming_from: matches!(server.receiver.link, Link::Streaming(_))
            .then_some(server.receiver.target)
            .flatten(),
        timeline: dir.timeline(),
        walsenders: if in_recovery {
            vec![]
        } else {
            server
                .walsenders
                .iter()
                .filter_map(|w| {
                    Some(SeenWalsender {
                        copy: w.copy?,
                        streaming: w.streaming,
                        flushed: w.flushed,
                        priority: w.priority,
                    })
                })
                .collect()
        },
        strangers_in_gate: 0,
        canary: server.canary,
    }
}

/// A step in a few words.
fn in_words(step: &Step) -> String {
    match step {
        Step::WriteStamp(stamp) => format!(
            "stamp copy {} history {} ordered {:?}",
            stamp.copy, stamp.history, stamp.ordered
        ),
        Step::WriteSettings(s) => format!(
            "write settings {}: gate {:?} doors {:?} follows {:?}",
            s.generation, s.gate, s.doors, s.follow
        ),
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
