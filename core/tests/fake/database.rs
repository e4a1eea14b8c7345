//! Its data directory and its PostgreSQL, and what each step does to them.

use super::*;

/// A data directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Dir {
    pub system_id: SystemId,
    pub timelines: Vec<(Timeline, Lsn)>,
    pub end: Lsn,
    pub cluster: ClusterState,
    pub never_used: bool,
    /// Hint bits leave a trace.
    pub rewindable: bool,
    /// The control file tells of the newest timeline.
    pub checkpointed: bool,
    /// A rewind broke off in it.
    pub torn: bool,
    /// Another promotion's history file lies in it.
    pub contradicted: bool,
    pub stamp: Option<Stamp>,
}

/// What a rewind does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rewinding {
    /// What it should.
    Works,
    /// Nothing, and says that it worked.
    Nothing,
    /// It breaks off.
    Tears,
}

impl Dir {
    pub fn fresh() -> Dir {
        Dir {
            system_id: SYSTEM,
            timelines: vec![(Timeline(1), Lsn(0))],
            end: Lsn(1000),
            cluster: ClusterState::ShutDown,
            never_used: false,
            rewindable: true,
            checkpointed: true,
            torn: false,
            contradicted: false,
            stamp: None,
        }
    }

    pub fn newest(&self) -> (Timeline, Lsn) {
        *self.timelines.last().unwrap()
    }

    pub fn control_timeline(&self) -> Timeline {
        match self.checkpointed {
            true => self.newest().0,
            false => self.timelines[0].0,
        }
    }
}

/// A running server.
#[derive(Clone, Debug)]
pub struct Pg {
    pub run: RunId,
    pub in_recovery: bool,
    pub loaded: Settings,
    /// What the checkpointer goes by, and for how many observations it still goes by an older reload.
    pub gate: Option<Vec<Copy>>,
    pub gate_lags: u32,
    /// The same of the walsenders.
    pub senders: Option<Vec<Copy>>,
    pub senders_lag: u32,
    pub promoting: bool,
    pub canary: Canary,
    pub sessions: u32,
    pub streaming: bool,
}

impl World {
    pub(super) fn carry_out(&mut self, order: &Order, run: Option<RunId>) -> Outcome {
        let step = &order.step;
        if let Some(left) = self.failing.get_mut(name(step))
            && *left > 0
        {
            *left -= 1;
            return Outcome::Failed("scripted".to_owned());
        }
        match step {
            Step::Inspect => {
                return Outcome::Inspected(Box::new(Inspection {
                    rewriting: self.mark,
                    directory: match &self.dir {
                        None => Directory::Absent,
                        Some(dir) => Directory::Data(Box::new(DataDirectory {
                            system_id: dir.system_id,
                            cluster: dir.cluster,
                            checkpoint: Lsn(dir.end.0.saturating_sub(10)),
                            checkpoint_timeline: dir.control_timeline(),
                            newest_timeline: dir.newest(),
                            contradicted: dir.contradicted.then(|| "not a child".to_owned()),
                            recovered_to: match dir.cluster {
                                ClusterState::ShutDown => (Timeline(0), Lsn(0)),
                                _ => (dir.control_timeline(), dir.end),
                            },
                            rewindable: dir.rewindable,
                            never_used: dir.never_used,
                            stamp: dir.stamp.clone(),
                        })),
                    },
                    written: self.written.clone(),
                    last_words: Some("FATAL: no".to_owned()),
                }));
            }
            Step::Observe if self.recovers => {
                return Outcome::NotNow {
                    replays: self.replays.clone(),
                };
            }
            Step::Observe => {
                return match self.observe() {
                    Some(server) => Outcome::Observed(Box::new(server)),
                    None => Outcome::Failed("no answer".to_owned()),
                };
            }
            Step::WriteStamp(stamp) => self.dir.as_mut().unwrap().stamp = Some(stamp.clone()),
            Step::MarkRewriting => self.mark = true,
            Step::ClearMark => self.mark = false,
            Step::SetAside(_) => self.aside.extend(self.dir.take()),
            Step::Clone { from } => {
                assert!(self.dir.is_none(), "cloned over a directory");
                let Some(source) = self.primaries.get(from) else {
                    return Outcome::Failed("no primary there".to_owned());
                };
                self.dir = Some(Dir {
                    stamp: None,
                    ..source.clone()
                });
            }
            Step::Initdb => {
                assert!(self.dir.is_none(), "made a database over a directory");
                self.dir = Some(Dir::fresh());
            }
            Step::WriteSettings(settings) => {
                self.written = Some(settings.clone());
                self.edited = false;
            }
            Step::Rewind { from, timeline, .. } => {
                assert!(self.mark, "rewound a copy that is not given up");
                let Some(source) = self.primaries.get(from) else {
                    return Outcome::Failed("no primary there".to_owned());
                };
                assert_eq!(*timeline, source.newest().0);
                let dir = self.dir.as_mut().unwrap();
                assert_ne!(dir.cluster, ClusterState::Other, "not stopped cleanly");
                dir.stamp = None;
                match self.rewinding {
                    Rewinding::Works => {
                        *dir = Dir {
                            stamp: None,
                            cluster: ClusterState::Other,
                            ..source.clone()
                        }
                    }
                    Rewinding::Nothing => {}
                    Rewinding::Tears => {
                        dir.torn = true;
                        return Outcome::Failed("it broke off".to_owned());
                    }
                }
            }
            Step::Start if self.dir.as_ref().is_some_and(|d| d.contradicted) => {
                return Outcome::Failed("not a child".to_owned());
            }
            Step::Start => {
                self.too_small = None;
                assert!(!self.mark, "started a directory that is being rewritten");
                assert!(!self.dir.as_ref().unwrap().torn, "started half of a copy");
                let loaded = self.written.clone().unwrap();
                self.dir.as_mut().unwrap().cluster = ClusterState::Other;
                self.pg = Some(Pg {
                    run: run.unwrap(),
                    in_recovery: true,
                    gate: loaded.gate.clone(),
                    gate_lags: 0,
                    senders: loaded.gate.clone(),
                    senders_lag: 0,
                    loaded,
                    promoting: false,
                    canary: Canary::None,
                    sessions: 0,
                    streaming: false,
                });
            }
            Step::Reload => {
                let Some(pg) = self.pg.as_mut() else {
                    return Outcome::Failed("it does not run".to_owned());
                };
                if self.refuses.is_none() {
                    pg.loaded = self.written.clone().unwrap();
                    pg.streaming = false;
                }
                (pg.gate_lags, pg.senders_lag) = self.lags;
            }
            Step::Promote => match self.pg.as_mut() {
                Some(pg) => pg.promoting = true,
                None => return Outcome::Failed("it does not run".to_owned()),
            },
            Step::Stop(mode) => {
                let pg = self.pg.take();
                if let (Some(pg), Some(dir)) = (pg, self.dir.as_mut()) {
                    dir.cluster = match mode {
                        StopMode::Clean if pg.in_recovery => ClusterState::ShutDownInRecovery,
                        StopMode::Clean => ClusterState::ShutDown,
                        StopMode::Now => ClusterState::Other,
                    };
                    self.pending
                        .push_back(Pending::Guard(GuardEvent::Gone { run: pg.run }));
                }
            }
            Step::EndSessions
            | Step::Canary
            | Step::Nudge
            | Step::Checkpoint
            | Step::BeginCheckpoint
            | Step::Slots { .. } => {
                let Some(pg) = self.pg.as_mut() else {
                    return Outcome::Failed("no connection".to_owned());
                };
                match step {
                    Step::EndSessions => pg.sessions = 0,
                    Step::Canary => {
                        pg.canary = match &pg.gate {
                            Some(names) if names.is_empty() => Canary::Returned,
                            _ => Canary::Waiting,
                        }
                    }
                    Step::Nudge => {
                        let dir = self.dir.as_mut().unwrap();
                        dir.end.0 += 100;
                        return Outcome::Wrote(dir.end);
                    }
                    Step::Slots { make, drop } => {
                        self.slots
                            .retain(|slot| slot.active || !drop.contains(&slot.copy));
                        let made = make.iter().map(|copy| Slot {
                            copy: *copy,
                            active: false,
                        });
                        self.slots.extend(made);
                    }
                    _ => self.dir.as_mut().unwrap().checkpointed = true,
                }
            }
        }
        Outcome::Done
    }

    pub(super) fn observe(&mut self) -> Option<Server> {
        let pg = self.pg.as_mut()?;
        let dir = self.dir.as_mut()?;
        if pg.promoting && pg.in_recovery {
            pg.promoting = false;
            pg.in_recovery = false;
            pg.streaming = false;
            let next = Timeline(dir.newest().0.0 + 1);
            dir.timelines.push((next, dir.end));
            dir.checkpointed = false;
            dir.end.0 += 50;
        }
        if pg.in_recovery
            && let Some(of) = pg.loaded.follow
            && let Some(primary) = self.primaries.get(&of)
        {
            // PostgreSQL follows what contains what it has, by timeline and start.
            let contained = primary.timelines.starts_with(&dir.timelines)
                && primary
                    .timelines
                    .get(dir.timelines.len())
                    .is_none_or(|next| dir.end <= next.1);
            // What it asks for is gone: its receiver comes and goes.
            let removed = dir.end < self.removed_before;
            pg.streaming = contained && !(removed && pg.streaming);
            if contained && !removed {
                dir.timelines = primary.timelines.clone();
                dir.end = dir.end.max(primary.end);
            }
        }
        let gate = pg.senders.clone();
        let priority = |copy: &Copy| match &gate {
            Some(names) if names.contains(copy) => 1,
            _ => 0,
        };
        let server = Server {
            run: pg.run,
            in_recovery: pg.in_recovery,
            settings: pg.loaded.generation,
            gate_is_ours: self.gate_is_ours,
            position: dir.end,
            drained: pg.in_recovery && !pg.promoting,
            replay_paused: self.replay_paused,
            streaming_from: pg.loaded.follow.filter(|_| pg.streaming),
            timeline: dir.newest(),
            checkpoint_timeline: dir.control_timeline(),
            walsenders: self
                .standbys
                .iter()
                .filter(|_| !pg.in_recovery)
                .map(|(copy, flushed)| Walsender {
                    copy: *copy,
                    streaming: true,
                    flushed: *flushed,
                    priority: priority(copy),
                })
                .collect(),
            slots: self.slots.clone(),
            strangers_in_gate: 0,
            canary: pg.canary,
            outdated: self.edited,
            refuses: self.refuses.clone(),
            too_small: self.too_small.clone(),
            notes: self
                .edited
                .then(|| "edited".to_owned())
                .into_iter()
                .collect(),
        };
        pg.gate_lags = pg.gate_lags.saturating_sub(1);
        if pg.gate_lags == 0 {
            pg.gate = pg.loaded.gate.clone();
        }
        pg.senders_lag = pg.senders_lag.saturating_sub(1);
        if pg.senders_lag == 0 {
            pg.senders = pg.loaded.gate.clone();
        }
        if pg.canary == Canary::Waiting && pg.gate == Some(Vec::new()) {
            pg.canary = Canary::Returned;
        }
        Some(server)
    }
}
