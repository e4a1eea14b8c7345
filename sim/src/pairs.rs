//! All pairs of one failover and of one hand-over, enumerated: after each action of each member, each kind of fault.
//!
//! Seeds draw moments; here none is left out. Everything else is calm, so that what fails is the pair's.

use crate::run::{How, Report, Session, run};
use crate::scenario::{Blow, Fault, Scenario, Target, Trigger, What};
use crate::world::World;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// D: as short as it may be, so that little happens while nothing does.
const D: u64 = 1_000_000;
/// When it begins, after the cluster was ready.
const BEGIN: u64 = 300_000;

/// What strikes, and for how long.
pub const BLOWS: [(Blow, u64); 6] = [
    (Blow::Daemon, D / 3),
    (Blow::Host, D),
    (Blow::PauseHost, D * 3 / 2),
    (Blow::Guard, D),
    (Blow::Database, D),
    (Blow::Isolate, D * 3 / 2),
];

/// What is disturbed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum History {
    /// The primary's host dies, and comes back.
    Failover,
    /// An operator hands over.
    HandOver,
}

/// One action of one member, and what strikes after it.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What it disturbs.
    pub history: History,
    /// Whose action.
    pub member: usize,
    /// The how manieth since the history's begin.
    pub action: u64,
    /// What strikes.
    pub blow: Blow,
    /// The run.
    pub scenario: Scenario,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            History::Failover => "failover",
            History::HandOver => "hand-over",
        })
    }
}

impl History {
    /// Both.
    pub const ALL: [History; 2] = [History::Failover, History::HandOver];

    fn scenario(self) -> Scenario {
        let what = match self {
            History::Failover => What::Host(Target::Member(0), Trigger::Actions(0), 2 * D),
            History::HandOver => What::Demote(Target::Member(0)),
        };
        Scenario {
            decision_timeout: D,
            sync_timeout: D * 3 / 5,
            health_timeout: D * 3 / 5,
            clone_time: (200_000, 400_000),
            clients: (2, 100_000),
            faults: vec![Fault {
                at: BEGIN,
                early: false,
                what,
            }],
            heal_after: BEGIN + 10 * D,
            ..Scenario::calm(5)
        }
    }

    /// Until the other copy is in sync again: so many actions each member carries out, and how long it takes.
    fn actions(self) -> (Vec<u64>, u64) {
        let mut session = Session::begin(&self.scenario(), How::default());
        let count = |world: &World| -> Vec<u64> { world.hosts.iter().map(|h| h.actions).collect() };
        let mut began: Option<(u64, Vec<u64>)> = None;
        let mut alone = false;
        while session.step() {
            let world = &session.world;
            let Some(ready) = world.ready else { continue };
            match &began {
                None if world.now >= ready + BEGIN => began = Some((world.now, count(world))),
                Some((at, before)) if alone && world.all_in_sync() => {
                    let since = count(world).into_iter().zip(before);
                    return (
                        since.map(|(now, then)| now - then).collect(),
                        world.now - at,
                    );
                }
                Some(_) => alone |= world.role_moved() && !world.all_in_sync(),
                None => {}
            }
        }
        (vec![], 0)
    }

    /// Every pair of it.
    pub fn pairs(self) -> Vec<Pair> {
        let (actions, length) = self.actions();
        let mut pairs = vec![];
        for (member, count) in actions.into_iter().enumerate() {
            for action in 0..count {
                for (blow, time) in BLOWS {
                    let mut scenario = self.scenario();
                    let (at, early) = (BEGIN, false);
                    let what =
                        What::Aim(Target::Member(member), Trigger::Counted(action), blow, time);
                    // Armed first: the history's own first action counts.
                    scenario.faults.insert(0, Fault { at, early, what });
                    scenario.heal_after = BEGIN + length + 2 * D;
                    if blow == Blow::Database && !scenario.members[member] {
                        continue;
                    }
                    pairs.push(Pair {
                        history: self,
                        member,
                        action,
                        blow,
                        scenario,
                    });
                }
            }
        }
        pairs
    }
}

/// Runs them on several threads; the reports come in the order of the pairs.
pub fn run_pairs(pairs: &[Pair], jobs: usize, how: How) -> Vec<Report> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut reports: Vec<(usize, Report)> = std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((at, pair)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    pairs.get(at).map(|pair| (at, pair))
                } {
                    if sender.send((at, run(&pair.scenario, how))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        receiver.into_iter().collect()
    });
    reports.sort_by_key(|(at, _)| *at);
    reports.into_iter().map(|(_, report)| report).collect()
}

impl World {
    fn role_moved(&self) -> bool {
        self.coverage.failovers + self.coverage.hand_overs > 0
    }
}
