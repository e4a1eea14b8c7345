//! A scripted host: the real steward and guard, a data directory and a PostgreSQL that are a few plain values.
#![allow(dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use yoke_core::guard::{Guard, GuardAction, GuardEvent};
use yoke_core::member::{Member, MemberId, MemberKind};
use yoke_core::permission::{Lasts, Permission};
use yoke_core::postgres::*;
use yoke_core::record::*;
use yoke_core::step::*;
use yoke_core::steward::{Steward, StewardAction, StewardEvent};
use yoke_core::{Boot, Config, Duration, Instant};

pub const A: MemberId = MemberId(0);
pub const B: MemberId = MemberId(1);
pub const M: MemberId = MemberId(2);
pub const SYSTEM: SystemId = SystemId(7_000);

pub fn config(me: MemberId) -> Config {
    let member = |name: &str, kind| Member {
        name: name.to_owned(),
        kind,
    };
    Config {
        cluster: "c".to_owned(),
        members: Arc::from([
            member("alpha", MemberKind::Data),
            member("beta", MemberKind::Data),
            member("mon", MemberKind::Witness),
        ]),
        me,
        configured_primary: A,
        decision_timeout: Duration::secs(5),
        sync_timeout: Duration::secs(2),
        health_timeout: Duration::secs(3),
        #[cfg(feature = "mutants")]
        mutant: None,
    }
}

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

/// What the data directory's stamp says.
pub fn stamp_of(world: &World) -> Stamp {
    world.dir.clone().unwrap().stamp.unwrap()
}

pub struct World {
    pub now: Instant,
    pub config: Config,
    pub steward: Steward,
    /// The node's next target waits for a disk (R1).
    pub node_waits: bool,
    pub guard: Guard,
    pub restarts: u64,
    pub dir: Option<Dir>,
    pub mark: bool,
    pub written: Option<Settings>,
    /// The other members' copies, as the node knows them.
    pub copies: Vec<Copy>,
    pub slots: Vec<Slot>,
    /// What an operator wants a fresh copy in the place of.
    replaced: Option<CopyId>,
    pub aside: Vec<Dir>,
    pub pg: Option<Pg>,
    /// The primaries elsewhere.
    pub primaries: BTreeMap<MemberId, Dir>,
    /// The primaries elsewhere have removed their WAL before this.
    pub removed_before: Lsn,
    /// Who streams from here: copy, flushed.
    pub standbys: Vec<(Copy, Lsn)>,
    /// How many observations checkpointer and walsenders lag behind a reload.
    pub lags: (u32, u32),
    pub gate_is_ours: bool,
    pub replay_paused: bool,
    /// The server says that it takes no questions now.
    pub recovers: bool,
    /// The WAL file that its recovery has in hand.
    pub replays: Option<String>,
    /// The user's files have changed since the settings were written.
    pub edited: bool,
    /// What PostgreSQL says of settings that it does not take.
    pub refuses: Option<String>,
    /// The parameter that keeps a standby from replaying, until its next start.
    pub too_small: Option<String>,
    pub genesis: bool,
    pub rewinding: Rewinding,
    pub target: Option<PgTarget>,
    pub status: PgStatus,
    /// Every state that it told.
    pub told: Vec<PgState>,
    pub log: Vec<String>,
    /// Every step ordered.
    pub steps: Vec<Step>,
    /// Executed orders whose outcome is still to come.
    pub pending: VecDeque<Pending>,
    /// The step of this name fails so often.
    pub failing: BTreeMap<&'static str, u32>,
    /// The step of this name never ends.
    pub hanging: Option<&'static str>,
    /// The daemon dies at its n-th order: before it leaves, or after it was carried out.
    pub crash_at: Option<(usize, bool)>,
    pub ordered: usize,
    /// Orders of the guard that hang.
    pub hung: Vec<u64>,
    pub kills: u32,
    /// Somebody promoted it by hand.
    pub by_hand: bool,
    pub seq: u64,
    pub serial: u64,
}

pub enum Pending {
    Daemon(u64, Outcome),
    Guard(GuardEvent),
}

pub fn name(step: &Step) -> &'static str {
    match step {
        Step::Inspect => "inspect",
        Step::Observe => "observe",
        Step::WriteStamp(_) => "stamp",
        Step::MarkRewriting => "mark",
        Step::ClearMark => "unmark",
        Step::SetAside(_) => "aside",
        Step::Clone { .. } => "clone",
        Step::Initdb => "initdb",
        Step::Rewind { .. } => "rewind",
        Step::WriteSettings(_) => "settings",
        Step::Start => "start",
        Step::Reload => "reload",
        Step::Promote => "promote",
        Step::Stop(_) => "stop",
        Step::EndSessions => "end sessions",
        Step::Canary => "canary",
        Step::Nudge => "nudge",
        Step::Checkpoint => "checkpoint",
        Step::BeginCheckpoint => "begin checkpoint",
        Step::Slots { .. } => "slots",
    }
}

fn show(step: &Step) -> String {
    match step {
        Step::WriteSettings(s) => {
            let gate = match &s.gate {
                None => "closed".to_owned(),
                Some(names) => format!("{names:?}"),
            };
            let follow = s.follow.map_or("nobody".to_owned(), |m| m.to_string());
            format!(
                "settings #{} gate {gate}, follow {follow}, doors {:?}",
                s.generation, s.doors
            )
        }
        Step::WriteStamp(s) => format!(
            "stamp {} history {} ordered {:?}",
            s.copy, s.history, s.ordered
        ),
        Step::Stop(mode) => format!("stop {mode:?}"),
        Step::Clone { from } => format!("clone {from}"),
        Step::Rewind {
            from,
            timeline,
            drops,
        } => format!(
            "rewind to {from} once on {timeline}, drops {}..{} of {}",
            drops.from.unwrap(),
            drops.to,
            drops.timeline
        ),
        step => name(step).to_owned(),
    }
}

impl World {
    pub fn new(me: MemberId) -> World {
        World::with(config(me))
    }

    pub fn with(config: Config) -> World {
        let guard = Guard::new(config.clone(), 77);
        let now = Instant(1_000_000_000);
        let steward = Steward::new(
            config.clone(),
            Boot {
                now,
                nonce: 1,
                guard: guard.view(),
            },
        );
        World {
            now,
            config,
            steward,
            guard,
            restarts: 0,
            dir: None,
            mark: false,
            written: None,
            aside: Vec::new(),
            pg: None,
            primaries: BTreeMap::new(),
            removed_before: Lsn(0),
            standbys: Vec::new(),
            lags: (1, 1),
            gate_is_ours: true,
            replay_paused: false,
            recovers: false,
            replays: None,
            edited: false,
            refuses: None,
            too_small: None,
            genesis: false,
            rewinding: Rewinding::Works,
            target: None,
            copies: Vec::new(),
            slots: Vec::new(),
            replaced: None,
            status: PgStatus::unknown(),
            told: Vec::new(),
            log: Vec::new(),
            steps: Vec::new(),
            pending: VecDeque::new(),
            failing: BTreeMap::new(),
            hanging: None,
            crash_at: None,
            ordered: 0,
            hung: Vec::new(),
            kills: 0,
            by_hand: false,
            seq: 0,
            serial: 0,
            node_waits: false,
        }
    }

    // What the node does.

    pub fn want(&mut self, term: u64, record: Option<&Record>, want: Want) {
        self.seq += 1;
        self.log.push(format!("want {want:?}"));
        self.target = Some(PgTarget {
            seq: self.seq,
            term: Term(term),
            record: record.cloned().map(Arc::new),
            disowned: None,
            replaced: self.replaced,
            genesis: self.genesis,
            slots: self.copies.clone(),
            run: self.guard.view().run,
            first_stamp: self.config.me == A && self.dir.as_ref().is_none_or(|d| d.stamp.is_none()),
            want,
        });
        self.send_target();
    }

    /// From the next target on an operator wants a fresh copy in this one's place.
    pub fn replace(&mut self, copy: CopyId) {
        self.replaced = Some(copy);
        if let Some(target) = &mut self.target {
            self.seq += 1;
            (target.seq, target.replaced) = (self.seq, Some(copy));
        }
        self.send_target();
    }

    /// As a node does: what is wanted of a primary is wanted of the run that it sees.
    fn follow_run(&mut self, run: Option<RunId>) {
        if self.node_waits {
            return;
        }
        let primary = |t: &&mut PgTarget| matches!(t.want, Want::Primary { .. });
        if let Some(target) = self.target.as_mut().filter(primary)
            && target.run != run
        {
            self.seq += 1;
            (target.seq, target.run) = (self.seq, run);
            self.send_target();
        }
    }

    fn send_target(&mut self) {
        if let Some(target) = self.target.clone() {
            self.steward
                .handle(self.now, StewardEvent::Target(Box::new(target)));
            self.drain_steward();
        }
    }

    pub fn permit(&mut self, term: u64, lasts: Lasts) {
        self.serial += 1;
        let permission = Permission {
            term: Term(term),
            serial: self.serial,
            lasts,
        };
        self.guard
            .handle(self.now, GuardEvent::Permission(permission));
        self.drain_guard();
    }

    /// Runs until it holds, for at most this long.
    pub fn until(&mut self, what: &str, holds: impl Fn(&World) -> bool) {
        let end = self.now + Duration::secs(60);
        while !holds(self) {
            assert!(
                self.now < end,
                "never {what}: {:?}\n{}",
                self.status,
                self.tail()
            );
            self.tick();
        }
    }

    pub fn run_for(&mut self, length: Duration) {
        let end = self.now + length;
        while self.now < end {
            self.tick();
        }
    }

    /// One thing happens.
    pub fn tick(&mut self) {
        self.now = self.now + Duration::millis(1);
        match self.pending.pop_front() {
            Some(Pending::Daemon(number, outcome)) => {
                self.steward
                    .handle(self.now, StewardEvent::Outcome { number, outcome });
            }
            Some(Pending::Guard(event)) => {
                self.guard.handle(self.now, event);
                self.drain_guard();
            }
            None => {
                let due = self.steward.next_timeout();
                let guard_due = self.guard.next_timeout();
                let next = due.into_iter().chain(guard_due).min();
                if let Some(next) = next
                    && next > self.now
                {
                    self.now = next.min(self.now + Duration::millis(50));
                }
                if guard_due.is_some_and(|d| d <= self.now) {
                    self.guard.handle(self.now, GuardEvent::Timeout);
                    self.drain_guard();
                }
                if due.is_some_and(|d| d <= self.now) {
                    self.steward.handle(self.now, StewardEvent::Timeout);
                }
            }
        }
        self.drain_steward();
        self.check();
    }

    /// What is reported is true.
    fn check(&self) {
        assert!(
            !self.mark || self.status.copy.is_none(),
            "R11\n{}",
            self.tail()
        );
        let Some(pg) = &self.pg else { return };
        if yoke_core::assertion::is_mutated(&self.config) || self.status.run != pg.run {
            return;
        }
        assert!(
            pg.in_recovery || self.by_hand || self.guard.view().serving.is_some(),
            "R10\n{}",
            self.tail()
        );
        let Some(primary) = self.primary() else {
            return;
        };
        let proven = match &primary.gate {
            GateStatus::Unproven => return,
            GateStatus::Closed => None,
            GateStatus::Open { names, .. } => Some(names.clone()),
        };
        // The checkpointer owns whether commits wait; the walsenders who lets them go.
        let lone = Some(Vec::new());
        assert_eq!(proven == lone, pg.gate == lone, "R7\n{}", self.tail());
        assert!(
            proven == lone || proven == pg.senders,
            "R7\n{}",
            self.tail()
        );
    }

    fn tail(&self) -> String {
        self.log[self.log.len().saturating_sub(60)..].join("\n")
    }

    /// The daemon dies; a new one comes, and its node wants the same.
    pub fn restart_daemon(&mut self) {
        self.restarts += 1;
        self.status = PgStatus::unknown();
        self.log.push("-- daemon restarted".to_owned());
        self.pending.retain(|p| matches!(p, Pending::Guard(_)));
        self.steward = Steward::new(
            self.config.clone(),
            Boot {
                now: self.now,
                nonce: 1 + self.restarts,
                guard: self.guard.view(),
            },
        );
        self.send_target();
    }

    /// The postmaster dies by itself.
    pub fn postmaster_dies(&mut self) {
        let run = self.pg.take().unwrap().run;
        self.dir.as_mut().unwrap().cluster = ClusterState::Other;
        self.pending
            .push_back(Pending::Guard(GuardEvent::Gone { run }));
    }

    // The two machines.

    pub fn drain_steward(&mut self) {
        while let Some(action) = self.steward.poll_action() {
            match action {
                StewardAction::Status(status) => {
                    self.told.push(status.state.clone());
                    self.status = *status;
                }
                StewardAction::Explain(reason) => self.log.push(format!("   # {reason}")),
                StewardAction::Order(order) => {
                    self.ordered += 1;
                    let crash = self.crash_at.filter(|(at, _)| *at == self.ordered);
                    if let Some((_, false)) = crash {
                        self.restart_daemon();
                        return;
                    }
                    if !matches!(order.step, Step::Observe | Step::Nudge) {
                        self.log.push(show(&order.step));
                    }
                    self.steps.push(order.step.clone());
                    if order.step.is_guards() {
                        self.guard.handle(self.now, GuardEvent::Order(order));
                        self.drain_guard();
                    } else {
                        let outcome = self.carry_out(&order, None);
                        self.pending
                            .push_back(Pending::Daemon(order.number, outcome));
                    }
                    if crash.is_some() {
                        self.restart_daemon();
                        return;
                    }
                }
            }
        }
    }

    pub fn drain_guard(&mut self) {
        while let Some(action) = self.guard.poll_action() {
            match action {
                GuardAction::Execute { order, run } => {
                    if self.hanging == Some(name(&order.step)) {
                        self.hung.push(order.number);
                        continue;
                    }
                    let outcome = self.carry_out(&order, run);
                    let number = order.number;
                    self.pending
                        .push_back(Pending::Guard(GuardEvent::Outcome { number, outcome }));
                }
                GuardAction::EndOrder { number } => {
                    self.log.push(format!("   guard ends order {number}"));
                    self.hung.retain(|n| *n != number);
                    let outcome = Outcome::Ended;
                    self.pending
                        .push_back(Pending::Guard(GuardEvent::Outcome { number, outcome }));
                }
                GuardAction::Kill { run } => {
                    self.kills += 1;
                    self.log.push("   guard kills".to_owned());
                    self.pg = None;
                    self.dir.as_mut().unwrap().cluster = ClusterState::Other;
                    self.pending
                        .push_back(Pending::Guard(GuardEvent::Gone { run }));
                }
                GuardAction::Answer { number, outcome } => {
                    self.steward
                        .handle(self.now, StewardEvent::Outcome { number, outcome });
                    self.drain_steward();
                }
                GuardAction::View(view) => {
                    self.steward.handle(self.now, StewardEvent::Guard(view));
                    self.drain_steward();
                    self.follow_run(view.run);
                }
                GuardAction::Explain(reason) => self.log.push(format!("   guard: {reason}")),
            }
        }
    }

    // PostgreSQL and the disk.

    fn carry_out(&mut self, order: &Order, run: Option<RunId>) -> Outcome {
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

    fn observe(&mut self) -> Option<Server> {
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

    // What tests ask.

    pub fn primary(&self) -> Option<&PrimaryStatus> {
        self.status.primary()
    }

    pub fn is_open(&self, names: &[Copy]) -> bool {
        self.primary().is_some_and(
            |p| matches!(&p.gate, GateStatus::Open { names: open, .. } if open == names),
        )
    }

    pub fn streams(&self) -> bool {
        matches!(
            self.status.state,
            PgState::Standby {
                streaming: true,
                ..
            }
        )
    }

    pub fn count(&self, what: &str) -> usize {
        self.steps.iter().filter(|s| name(s) == what).count()
    }

    pub fn place(&self, what: &str) -> usize {
        self.steps
            .iter()
            .position(|s| name(s) == what)
            .unwrap_or_else(|| panic!("no {what}"))
    }

    pub fn trace(&self) -> String {
        self.log.join("\n")
    }
}

// Records and stamps.

pub fn copy(member: MemberId, id: u64) -> Copy {
    Copy {
        member,
        id: CopyId(id),
    }
}

pub fn promotion(timeline: u32, start: u64, term: u64, n: u32) -> Promotion {
    Promotion {
        timeline: Timeline(timeline),
        start: Lsn(start),
        term: Term(term),
        n,
    }
}

pub fn record(
    term: u64,
    primary: MemberId,
    in_sync: &[Copy],
    promotions: Vec<Promotion>,
) -> Record {
    Record {
        forced: false,
        paused: false,
        key: RecordKey {
            term: Term(term),
            version: term,
        },
        primary,
        in_sync: in_sync.to_vec(),
        promotions: History::from(promotions),
        system_id: SYSTEM,
    }
}

pub fn stamp(me: MemberId, id: u64, history: Vec<Promotion>) -> Stamp {
    Stamp {
        cluster: "c".to_owned(),
        member: config(me).name(me).to_owned(),
        system_id: SYSTEM,
        copy: CopyId(id),
        record: None,
        history: History::from(history),
        ordered: None,
        ordered_on: Timeline(0),
        follows: None,
        rewritten: false,
    }
}

pub fn stamped(me: MemberId, id: u64) -> Dir {
    Dir {
        stamp: Some(stamp(me, id, vec![])),
        ..Dir::fresh()
    }
}

pub fn standby(of: Upstream, may_discard: bool) -> Want {
    Want::Standby { of, may_discard }
}

pub fn primary(gate: Gate, doors: Doors) -> Want {
    Want::Primary { gate, doors }
}
