//! A scripted host: the real steward and guard, a data directory and a PostgreSQL that are a few plain values.
#![allow(dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used)]

mod database;
mod make;
mod show;

pub use database::*;
pub use make::*;
pub use show::*;

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
        self.postmaster_ends(ClusterState::Other);
    }

    /// The postmaster ends, and leaves its directory so.
    pub fn postmaster_ends(&mut self, cluster: ClusterState) {
        let run = self.pg.take().unwrap().run;
        self.dir.as_mut().unwrap().cluster = cluster;
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
}
