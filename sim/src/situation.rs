//! Where a cluster is, in few words: a fuzzer that is told of each situation that is new looks for more around it.
//!
//! Roles, terms in step or not, the record's shape, gate, doors, lease, what the database does, which links are cut: no
//! number that only grows, so that two runs that do the same at other times are in the same situation.

use crate::choices::mix;
use crate::host::Host;
use crate::postgres::server::{Phase, waits};
use crate::run::Session;
use crate::world::World;
use yoke_core::member::MemberId;
use yoke_core::permission::Lasts;
use yoke_core::postgres::Doors;
use yoke_core::record::{Record, RecordKey, Term};
use yoke_core::view::ClusterView;

/// Walks along a run, and names each situation that it comes into.
#[derive(Debug, Default)]
pub struct Situations {
    steps: u64,
    /// By member: where it was last.
    members: Vec<u64>,
    /// By member: what all see of it.
    outside: Vec<u64>,
}

impl Situations {
    /// After a step: what is so now and was not before, as numbers that stand for it. Nothing after most steps.
    pub fn after(&mut self, session: &Session, mut new: impl FnMut(u64)) {
        let world = &session.world;
        if world.core_steps == self.steps {
            return;
        }
        self.steps = world.core_steps;
        let views: Vec<Option<ClusterView>> = world.hosts.iter().map(Host::says).collect();
        let known = |view: &ClusterView| (view.term, view.record.as_ref().map(|r| r.key));
        let known = views.iter().flatten().map(known);
        let newest = known.fold((Term(0), None), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        self.members.resize(views.len(), 0);
        self.outside.resize(views.len(), 0);
        let mut moved = false;
        for (h, view) in views.iter().enumerate() {
            let (outside, all) = world.of_member(h, view.as_ref(), newest);
            if self.members[h] != all {
                new(mix(1, all));
                // How it came there.
                new(mix(mix(2, self.outside[h]), outside));
                self.members[h] = all;
            }
            moved |= self.outside[h] != outside;
            self.outside[h] = outside;
        }
        if moved {
            // All together, whoever is who.
            let mut together = self.outside.clone();
            together.sort_unstable();
            new(together.into_iter().fold(3, mix));
        }
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

impl Host {
    fn says(&self) -> Option<ClusterView> {
        self.daemon.as_ref().map(|daemon| daemon.node.view())
    }
}

impl World {
    /// What all see of a member, and that with all the rest.
    fn of_member(
        &self,
        h: usize,
        view: Option<&ClusterView>,
        newest: (Term, Option<RecordKey>),
    ) -> (u64, u64) {
        let host = &self.hosts[h];
        let me = MemberId(h as u8);
        let mut seen = Packed(1);
        seen.is(self.scenario.members[h]);
        seen.add(
            match view {
                None => u64::from(host.up),
                Some(view) => 2 + view.role as u64,
            },
            6,
        );
        let record = view.and_then(|view| view.record.as_deref());
        seen.add(shape(record, me), 6);
        let server = host.server.as_ref();
        seen.add(
            match server {
                None => 0,
                Some(server) => {
                    1 + match server.phase {
                        Phase::Starting => 0,
                        Phase::Standby => 1 + u64::from(server.receiver.streams()),
                        Phase::Primary => 3,
                        _ => 4,
                    }
                }
            },
            6,
        );
        seen.is(server.is_some_and(|server| server.serving));

        let mut all = Packed(seen.0);
        let paused = |until: u64| until > self.now;
        all.is(paused(host.paused_until)
            || host.daemon.as_ref().is_some_and(|d| paused(d.paused_until)));
        if let Some(view) = view {
            all.is(view.term < newest.0);
            all.is(record.map(|record| record.key) < newest.1);
            all.is(view
                .committed
                .is_some_and(|key| Some(key) == record.map(|r| r.key)));
            let leader = view.leader.map_or(0, |leader| 1 + u64::from(leader == me));
            all.add(leader, 3);
            all.is(view.stays_out.is_some());
            all.is(!view.growing.is_empty());
        }
        if let Some(guard) = host.guard.as_ref().map(yoke_core::Guard::view) {
            let now = host.clock.at(self.now);
            let lasts = match guard.permission.lasts {
                Lasts::Unbounded => 0,
                Lasts::Until(_) => 1 + u64::from(guard.permission.is_over(now)),
                Lasts::Ended => 3,
            };
            all.add(lasts, 4);
            all.is(guard.fencing);
            all.is(guard.order.is_some());
        }
        if let Some(server) = server {
            let names = server
                .read
                .gate
                .as_ref()
                .map_or(0, |names| 1 + names.len().min(2));
            all.add(names as u64, 4);
            all.is(server.flag == waits(&server.read.gate));
            all.is(server.read.doors == Doors::Open);
            all.add(server.waiting.len().min(1) as u64, 2);
            all.add(
                server
                    .walsenders
                    .iter()
                    .filter(|w| w.streaming)
                    .count()
                    .min(2) as u64,
                3,
            );
        }
        if let Some(dir) = &host.storage.directory {
            all.is(dir.stamp.is_none());
            let in_sync = record.and_then(|record| record.copy_of(me));
            all.is(in_sync.is_some_and(|copy| dir.is(copy.id)));
        }
        all.is(host.storage.rewriting);
        let cut = (0..self.hosts.len()).filter(|other| *other != h);
        let deaf = cut.clone().filter(|other| !self.passes(*other, h)).count();
        let mute = cut.filter(|other| !self.passes(h, *other)).count();
        all.add(deaf.min(2) as u64, 3);
        all.add(mute.min(2) as u64, 3);
        (seen.0, all.0)
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
