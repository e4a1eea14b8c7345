//! What the daemon does and sees over its own connection.

use crate::choices::About;
use crate::event::Ev;
use crate::host::Input;
use crate::postgres::directory::DataDir;
use crate::postgres::instance::DbEv;
use crate::postgres::server::{Phase, Server, Waiter};
use crate::postgres::standby::Link;
use crate::postgres::steps::in_words;
use crate::postgres::wal::Kind;
use crate::trouble::Trouble;
use crate::world::World;
use yoke_core::postgres::{Lsn, RunId};
use yoke_core::record::Copy;
use yoke_core::step::{
    Canary, Order, Outcome, Server as Seen, Slot, Step, Walsender as SeenWalsender,
};

/// So many looks of a thousand find that a person has changed the configuration.
const EDITS: u64 = 2;

impl World {
    /// A step of the daemon's own connection. What comes of it at once: most looks take no time worth an event, and some
    /// so long that what is seen is no longer what was there when they were ordered.
    pub(crate) fn daemon_step(&mut self, h: usize, order: Order) -> Option<(u64, Outcome)> {
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
                && matches!(
                    order.step,
                    Step::Nudge | Step::Checkpoint | Step::Slots { .. }
                ));
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
            Step::Slots { .. } => {
                self.choices
                    .skewed(About::ObserveTime, h, 5, (500, 6_000), 30, (6_000, 40_000))
            }
            Step::Observe => {
                self.choices
                    .skewed(About::ObserveTime, h, 0, (0, 0), 150, (500, 40_000))
            }
            _ => self
                .choices
                .skewed(About::ObserveTime, h, 0, (500, 6_000), 30, (6_000, 40_000)),
        };
        let daemon = self.hosts[h].daemon_runs;
        let given_up = dead || hung;
        if time == 0 {
            return self.answers(h, daemon, &order, run, given_up);
        }
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
        None
    }

    /// The daemon's connection has carried out a step. The outcome, if the daemon knows at once; now and then it hears so
    /// late that it is no longer so.
    pub(crate) fn answers(
        &mut self,
        h: usize,
        daemon: u64,
        order: &Order,
        run: Option<RunId>,
        given_up: bool,
    ) -> Option<(u64, Outcome)> {
        let outcome = self.on_sql(h, &order.step, run, given_up);
        let back = self
            .choices
            .skewed(About::ObserveBack, h, 0, (0, 0), 100, (100, 20_000));
        let number = order.number;
        if back == 0 {
            return Some((number, outcome));
        }
        let input = Input::Outcome { number, outcome };
        self.after(back, Ev::ToDaemon { h, daemon, input });
        None
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
            return Outcome::Inspected(Box::new(self.hosts[h].storage.inspect()));
        }
        let now = self.now;
        let fails = self.scenario.failures;
        let takes_none = |server: &Server| {
            !server.hung && matches!(server.phase, Phase::Starting | Phase::Stopping { .. })
        };
        if matches!(step, Step::Observe)
            && run
                .and_then(|run| self.server(h, run))
                .is_some_and(|(server, _)| takes_none(server))
        {
            // What recovers goes on; what lacks WAL waits in the file in which it is.
            let waits = self.hosts[h].storage.directory.as_ref();
            let waits = waits.is_some_and(|dir| dir.lacks_wal);
            let replays = match waits {
                true => "the last file".to_owned(),
                false => format!("the {}th second", now / 1_000_000),
            };
            return Outcome::NotNow {
                replays: Some(replays),
            };
        }
        let Some((run, false)) = run.map(|run| (run, given_up)) else {
            return failed();
        };
        let fails = self.choices.chance(About::StepFails, h, 1, fails);
        if matches!(step, Step::Observe) && self.choices.chance(About::Edits, h, 0, EDITS) {
            self.hosts[h].storage.edited = true;
        }
        let edited = self.hosts[h].storage.edited;
        let written = self.hosts[h].storage.settings.as_ref();
        let refuses = written
            .map(|settings| settings.generation)
            .filter(|_| self.is_troubled(h, Trouble::RefusedSettings));
        let Some((server, dir)) = self.server(h, run) else {
            return failed();
        };
        if fails || server.hung || matches!(server.phase, Phase::Starting | Phase::Stopping { .. })
        {
            return failed();
        }
        match step {
            Step::Observe => {
                let seen = observe(server, dir, now);
                Outcome::Observed(Box::new(Seen {
                    outdated: edited,
                    refuses: refuses
                        .filter(|written| *written != seen.settings)
                        .map(|_| "a line of its files is wrong".into()),
                    ..seen
                }))
            }
            Step::EndSessions => {
                self.end_sessions(h);
                Outcome::Done
            }
            Step::Canary => {
                if server.phase != Phase::Primary {
                    return failed();
                }
                server.waiting.retain(|w| w.who != Waiter::Canary);
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
            Step::BeginCheckpoint => {
                let time = self.choices.skewed(
                    About::CheckpointLag,
                    h,
                    1,
                    (10_000, 500_000),
                    100,
                    (500_000, 10_000_000),
                );
                self.db_in(time, h, run, DbEv::ControlFile);
                Outcome::Done
            }
            Step::Slots { make, drop } => {
                if server.stalled {
                    return failed();
                }
                let active = |copy: &Copy| {
                    let mut own = server.walsenders.iter().filter(|w| w.copy == Some(*copy));
                    own.any(|w| w.on_slot)
                };
                dir.slots
                    .retain(|slot| active(slot) || !drop.contains(slot));
                for copy in make {
                    if !dir.slots.contains(copy) {
                        dir.slots.push(*copy);
                    }
                }
                dir.slots.sort_unstable();
                Outcome::Done
            }
            _ => Outcome::Failed("not a step of the daemon".into()),
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
        checkpoint_timeline: dir.checkpoint_timeline,
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
        slots: dir
            .slots
            .iter()
            .map(|copy| Slot {
                copy: *copy,
                active: server
                    .walsenders
                    .iter()
                    .any(|w| w.on_slot && w.copy == Some(*copy)),
            })
            .collect(),
        strangers_in_gate: 0,
        canary: server.canary,
        outdated: false,
        refuses: None,
        too_small: None,
        notes: vec![],
    }
}
