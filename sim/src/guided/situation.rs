//! Where a cluster was, in few words: roles, the record's shape, gate, doors, lease, what the database does, whether links
//! are cut; what members said of it; how often what happened. No number that only grows, so that two runs that do the same
//! at other times were in the same situations.

use super::heard::Heard;
use crate::choices::mix;
use crate::coverage::Coverage;
use crate::postgres::server::{Phase, waits};
use crate::probe::{Probe, Reached};
use crate::run::{How, Report, Session};
use crate::scenario::Scenario;
use crate::world::World;
use std::collections::BTreeMap;
use yoke_core::member::MemberId;
use yoke_core::permission::Lasts;
use yoke_core::postgres::Doors;
use yoke_core::record::Record;

/// What a run came by, each as what sort it is of and a number that stands for it; and when it first did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situations(pub(super) BTreeMap<(Sort, u64), Moment>);

/// When a run first came into a situation, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// In microseconds after the cluster was ready, as faults count; before that: 0.
    pub(super) at: u64,
    /// The member that the step met.
    pub(super) who: usize,
}

impl Moment {
    fn of(world: &World, who: usize) -> Moment {
        let ready = world.ready.unwrap_or(world.now);
        Moment {
            at: world.now - ready,
            who,
        }
    }
}

/// Sorts of situations; each has its turn, however many the others have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    /// One of the named ones.
    Probe,
    /// What a member said of its decisions, and what it said next.
    Said,
    /// Where a member was, and where it came.
    Moved,
    /// What all were at one time, whoever is who.
    Together,
    /// How often something happened, roughly.
    Count,
}

impl Sort {
    pub(super) const ALL: [Sort; 5] = [
        Sort::Probe,
        Sort::Said,
        Sort::Moved,
        Sort::Together,
        Sort::Count,
    ];
}

impl Situations {
    /// Numbers that stand for them.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0
            .keys()
            .map(|(sort, number)| mix(*sort as u64, *number))
    }
}

/// Runs a scenario to its end or its first violation, and says what it came by.
pub fn watched(scenario: &Scenario, how: How) -> (Report, Situations) {
    let mut session = Session::begin(scenario, how);
    session.world.observer.heard = Some(Heard::new(scenario.members.len()));
    let mut walk = Walk {
        members: vec![(0, 0); scenario.members.len()],
        ..Walk::default()
    };
    while session.step() {
        walk.after(&session.world);
    }
    // Some things are known at the end alone.
    let end = Moment::of(&session.world, 0);
    walk.notes(&session.world, end);
    (session.report(), Situations(walk.found))
}

/// What is counted, and what for.
fn counts(c: &Coverage) -> [u64; 14] {
    [
        c.elections,
        c.failovers,
        c.hand_overs,
        c.clones,
        c.rewinds,
        c.rewinds_begun,
        c.fences,
        c.losses,
        c.losses_noticed,
        c.rejoined,
        c.vouched,
        c.adopted,
        c.restarts,
        c.made,
    ]
}

/// Goes along a run, and notes each situation that it comes into.
#[derive(Debug, Default)]
struct Walk {
    found: BTreeMap<(Sort, u64), Moment>,
    steps: u64,
    /// By member: what it is, and where exactly.
    members: Vec<(u64, u64)>,
    /// How much of what was said is noted, and what was counted and reached so far.
    said: usize,
    counts: [u64; 14],
    reached: Reached,
}

impl Walk {
    /// After a step: what is so now and was not before. Nothing after most steps.
    fn after(&mut self, world: &World) {
        if world.core_steps == self.steps {
            return;
        }
        self.steps = world.core_steps;
        // What a step does not meet does not change.
        let met = match world.met {
            Some(h) => h..h + 1,
            None => 0..self.members.len(),
        };
        let moment = Moment::of(world, met.start);
        let mut changed = false;
        for h in met {
            let was = std::mem::replace(&mut self.members[h], world.of_member(h));
            let (is, exactly) = self.members[h];
            changed |= was.0 != is;
            if was.1 != exactly {
                self.finds(Sort::Moved, mix(was.1, exactly), moment);
            }
        }
        if changed {
            let mut together: Vec<u64> = self.members.iter().map(|(is, _)| *is).collect();
            together.sort_unstable();
            let all = together.into_iter().fold(0, mix);
            self.finds(Sort::Together, all, moment);
        }
        self.notes(world, moment);
    }

    /// What was said, counted and reached since the last time.
    fn notes(&mut self, world: &World, moment: Moment) {
        let said = world.observer.heard.as_ref().map_or(&[][..], |h| &h.pairs);
        for pair in &said[self.said..] {
            self.finds(Sort::Said, *pair, moment);
        }
        self.said = said.len();
        self.counted(counts(&world.coverage), moment);
        self.reaches(world.observer.reached, moment);
    }

    fn finds(&mut self, sort: Sort, number: u64, moment: Moment) {
        self.found.entry((sort, number)).or_insert(moment);
    }

    /// Once, twice, four times, eight times and so on.
    fn counted(&mut self, counts: [u64; 14], moment: Moment) {
        let before = std::mem::replace(&mut self.counts, counts);
        for (what, (before, count)) in (0..).zip(before.into_iter().zip(counts)) {
            if let Some(magnitude) = count.checked_ilog2()
                && before.checked_ilog2() != Some(magnitude)
            {
                self.finds(Sort::Count, what << 8 | u64::from(magnitude), moment);
            }
        }
    }

    fn reaches(&mut self, reached: Reached, moment: Moment) {
        if reached == self.reached {
            return;
        }
        for probe in Probe::ALL.iter().filter(|probe| reached.has(**probe)) {
            self.finds(Sort::Probe, *probe as u64, moment);
        }
        self.reached = reached;
    }
}

/// Puts answers to small questions into one number.
struct Packed(u64);

impl Packed {
    fn add(&mut self, answer: u64, of: u64) {
        debug_assert!(answer < of);
        self.0 = self.0 * of + answer;
    }
    fn is(&mut self, answer: bool) {
        self.add(answer.into(), 2);
    }
}

impl World {
    /// What a member is: its role, and what its database does; and that with all that says where exactly.
    fn of_member(&self, h: usize) -> (u64, u64) {
        let host = &self.hosts[h];
        let me = MemberId(h as u8);
        let glance = host.daemon.as_ref().map(|daemon| daemon.node.glance());
        let server = host.server.as_ref();
        let mut is = Packed(1);
        is.is(self.scenario.members[h]);
        is.add(
            match &glance {
                None => u64::from(host.up),
                Some(glance) => 2 + glance.role as u64,
            },
            6,
        );
        is.add(
            match server.map(|server| (&server.phase, server)) {
                None => 0,
                Some((Phase::Starting, _)) => 1,
                Some((Phase::Standby, server)) => 2 + u64::from(server.receiver.streams()),
                Some((Phase::Primary, _)) => 4,
                Some(_) => 5,
            },
            6,
        );
        is.is(server.is_some_and(|server| server.serving));

        let mut exactly = Packed(is.0);
        let record = glance.and_then(|glance| glance.record);
        exactly.add(shape(record.map(|record| &**record), me), 6);
        if let Some(glance) = glance {
            exactly.is(glance.committed == record.map(|record| record.key));
            let leader = glance.leader;
            exactly.add(leader.map_or(0, |leader| 1 + u64::from(leader == me)), 3);
            exactly.is(!glance.growing.is_empty());
        }
        if let Some(guard) = host.guard.as_ref().map(yoke_core::Guard::view) {
            let now = host.clock.at(self.now);
            let lasts = match guard.permission.lasts {
                Lasts::Unbounded => 0,
                Lasts::Until(_) => 1 + u64::from(guard.permission.is_over(now)),
                Lasts::Ended => 3,
            };
            exactly.add(lasts, 4);
            exactly.is(guard.order.is_some());
        }
        if let Some(server) = server {
            exactly.is(server.flag == waits(&server.read.gate));
            exactly.is(server.read.doors == Doors::Open);
        }
        exactly.is(host.storage.rewriting);
        let others = (0..self.hosts.len()).filter(|other| *other != h);
        let links = others.flat_map(|other| [(h, other), (other, h)]);
        let cut = links.clone().filter(|(a, b)| !self.passes(*a, *b)).count();
        exactly.add(u64::from(cut > 0) + u64::from(cut == links.count()), 3);
        (is.0, exactly.0)
    }
}

/// None, lone with this member's copy or another's, several with it or without.
fn shape(record: Option<&Record>, me: MemberId) -> u64 {
    let Some(record) = record else {
        return 0;
    };
    let mine = u64::from(record.copy_of(me).is_some());
    match (record.is_lone(), record.primary == me) {
        (true, _) => 1 + mine,
        (false, primary) => 3 + mine + u64::from(primary && mine == 1),
    }
}
