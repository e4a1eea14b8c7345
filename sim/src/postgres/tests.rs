//! The model behaves as PostgreSQL was measured to behave (research/postgres.md), where safety depends on it.

use crate::postgres::instance::DbEv;
use crate::postgres::server::Phase;
use crate::postgres::standby::Link;
use crate::postgres::wal::Kind;
use crate::postgres::walsender::Walsender;
use crate::world::World;
use std::sync::Arc;
use yoke_core::member::MemberId;
use yoke_core::permission::{Lasts, Permission};
use yoke_core::postgres::{Doors, Lsn, RunId, StopMode, SystemId, Timeline};
use yoke_core::record::{Copy, CopyId, History, Record, RecordKey, Term};
use yoke_core::step::{Canary, Order, Outcome, Settings, Stamp, Step};

const MS: u64 = 1_000;

/// A world with databases only, and a hand that gives orders.
struct Bench {
    world: World,
    number: u64,
}

fn copy(member: u8) -> Copy {
    Copy {
        member: MemberId(member),
        id: CopyId(u64::from(member) + 1),
    }
}

impl Bench {
    fn new() -> Self {
        Bench {
            world: World::still(),
            number: 0,
        }
    }

    fn step(&mut self, h: usize, step: Step) {
        self.number += 1;
        let run = match step {
            Step::Start => Some(RunId(self.number)),
            _ => self.world.hosts[h].server.as_ref().map(|s| s.run),
        };
        let order = Order {
            term: Term(1),
            number: self.number,
            step,
        };
        self.world.step_begins(h, order, run);
        while !self.world.hosts[h].execs.is_empty() {
            assert!(self.world.step(), "the step comes to an end");
        }
    }

    fn settings(&mut self, h: usize, gate: Option<Vec<Copy>>, follow: Option<u8>) {
        let generation = self.number + 1;
        self.step(
            h,
            Step::WriteSettings(Settings {
                generation,
                gate,
                follow: follow.map(MemberId),
                copy: Some(copy(h as u8)),
                doors: Doors::Open,
            }),
        );
    }

    fn start(&mut self, h: usize) {
        self.step(h, Step::Start);
        self.world.passes_by(2_000 * MS);
    }

    fn promote(&mut self, h: usize) {
        self.step(h, Step::Promote);
        self.world.passes_by(2_000 * MS);
        assert_eq!(self.phase(h), Some(Phase::Primary));
    }

    fn clone_from(&mut self, h: usize, from: u8) {
        self.step(
            h,
            Step::Clone {
                from: MemberId(from),
            },
        );
        assert!(self.world.hosts[h].storage.directory.is_some());
    }

    fn phase(&self, h: usize) -> Option<Phase> {
        self.world.hosts[h].server.as_ref().map(|s| s.phase)
    }

    fn run(&self, h: usize) -> RunId {
        self.world.hosts[h].server.as_ref().expect("it runs").run
    }

    fn link(&self, h: usize) -> Link {
        self.world.hosts[h]
            .server
            .as_ref()
            .expect("it runs")
            .receiver
            .link
    }

    /// A client commits a write, flushed at once.
    fn commit(&mut self, h: usize, write: u64) {
        let run = self.run(h);
        let session = 1000 + write;
        self.world.hosts[h]
            .server
            .as_mut()
            .expect("it runs")
            .sessions
            .push((0, session));
        self.world.on_db(
            h,
            run,
            DbEv::Commit {
                client: 0,
                session,
                write,
            },
        );
    }

    fn acknowledged(&self, write: u64) -> bool {
        self.world
            .oracles
            .lost_write
            .acked
            .iter()
            .any(|a| a.write == write)
    }

    fn holds(&self, h: usize, write: u64) -> bool {
        self.world.hosts[h]
            .storage
            .directory
            .as_ref()
            .is_some_and(|d| d.wal.holds(write, 0))
    }

    fn timeline(&self, h: usize) -> Timeline {
        self.world.hosts[h]
            .storage
            .directory
            .as_ref()
            .expect("it has one")
            .timeline()
            .0
    }
}

/// The primary at `h` has slots for these.
fn slots(bench: &mut Bench, h: usize, of: &[u8]) {
    let (make, drop) = (of.iter().map(|m| copy(*m)).collect(), vec![]);
    let run = bench.run(h);
    let step = Step::Slots { make, drop };
    let outcome = bench.world.on_sql(h, &step, Some(run), false);
    assert_eq!(outcome, Outcome::Done);
}

/// Primary at m0, a clone of it that streams at m1; the gate names m1.
fn pair() -> Bench {
    let mut bench = Bench::new();
    bench.settings(0, Some(vec![copy(1)]), None);
    bench.start(0);
    bench.promote(0);
    slots(&mut bench, 0, &[1, 2]);
    bench.clone_from(1, 0);
    bench.settings(1, None, Some(0));
    bench.start(1);
    assert!(matches!(bench.link(1), Link::Streaming(_)));
    bench
}

/// The same with a second standby, at m2, which hangs; the record names all three copies, the gate both standbys.
fn three() -> Bench {
    let mut bench = pair();
    bench.settings(0, Some(vec![copy(1), copy(2)]), None);
    bench.step(0, Step::Reload);
    bench.clone_from(2, 0);
    bench.settings(2, None, Some(0));
    bench.start(2);
    assert!(matches!(bench.link(2), Link::Streaming(_)));
    bench.world.oracles.newest_record.committed = Some(Arc::new(Record {
        key: RecordKey {
            term: Term(1),
            version: 1,
        },
        primary: MemberId(0),
        in_sync: (0..3).map(copy).collect(),
        promotions: History::default(),
        forced: false,
        paused: false,
        system_id: SystemId(1),
    }));
    let third = bench.world.hosts[2].storage.directory.as_mut();
    third.expect("it has one").stamp = Some(Stamp {
        cluster: "c".into(),
        member: "m2".into(),
        system_id: SystemId(1),
        copy: copy(2).id,
        record: None,
        history: History::default(),
        ordered: None,
        ordered_on: Timeline(1),
        follows: None,
        rewritten: false,
    });
    bench.world.hosts[2].server.as_mut().expect("it runs").hung = true;
    bench.world.oracles.specification.members[0].holds = Some(Permission {
        term: Term(1),
        serial: 1,
        lasts: Lasts::Unbounded,
    });
    // What the specification says of orders that no leader gave.
    bench.world.violation = None;
    bench
}

fn of_first(bench: &Bench) -> Vec<&Walsender> {
    let server = bench.world.hosts[0].server.as_ref().expect("it runs");
    let own = |w: &&Walsender| w.copy == Some(copy(1)) && w.streaming;
    server.walsenders.iter().filter(own).collect()
}

#[test]
fn a_slot_is_one_connections() {
    let mut bench = three();
    bench.commit(0, 1);
    bench.world.passes_by(100 * MS);
    assert!(bench.holds(1, 1) && !bench.acknowledged(1));
    bench.world.connection_is_cut(0);
    for _ in 0..20 {
        bench.world.passes_by(100 * MS);
        assert_eq!(of_first(&bench).len(), 1);
    }
    assert!(!matches!(bench.link(1), Link::Streaming(_)));
    assert!(!bench.acknowledged(1) && bench.world.violation.is_none());
    bench.world.passes_by(3_000 * MS);
    assert!(matches!(bench.link(1), Link::Streaming(_)));
    assert_eq!(of_first(&bench).len(), 1);
}

#[test]
fn without_slots_two_connections_of_one_name_fill_two_places_of_the_gate() {
    let mut bench = three();
    bench.commit(0, 1);
    bench.world.passes_by(100 * MS);
    let server = bench.world.hosts[0].server.as_mut().expect("it runs");
    for walsender in &mut server.walsenders {
        walsender.on_slot = false;
    }
    bench.world.connection_is_cut(0);
    bench.world.passes_by(1_000 * MS);
    assert_eq!(of_first(&bench).len(), 2);
    assert!(bench.acknowledged(1) && !bench.holds(2, 1));
    let violation = bench.world.violation.expect("a promise is broken");
    assert_eq!(violation.oracle, "gate");
}

#[test]
fn a_slot_in_use_is_not_dropped_and_a_standby_without_one_is_refused() {
    let mut bench = pair();
    let run = bench.run(0);
    let drop = Step::Slots {
        make: vec![],
        drop: vec![copy(1), copy(2)],
    };
    bench.world.on_sql(0, &drop, Some(run), false);
    let slots = |bench: &Bench| {
        bench.world.hosts[0]
            .storage
            .directory
            .clone()
            .map(|d| d.slots)
    };
    assert_eq!(slots(&bench), Some(vec![copy(1)]));
    bench.settings(1, None, None);
    let standby = bench.run(1);
    bench.world.on_db(1, standby, DbEv::RereadReceiver);
    bench.world.passes_by(100 * MS);
    bench.world.on_sql(0, &drop, Some(run), false);
    assert_eq!(slots(&bench), Some(vec![]));
    bench.settings(1, None, Some(0));
    bench.world.on_db(1, standby, DbEv::RereadReceiver);
    bench.world.passes_by(2_000 * MS);
    assert!(!matches!(bench.link(1), Link::Streaming(_)));
    self::slots(&mut bench, 0, &[1]);
    bench.world.passes_by(500 * MS);
    assert!(matches!(bench.link(1), Link::Streaming(_)));
}

#[test]
fn without_our_settings_a_promoted_database_waits_for_nobody() {
    let mut bench = Bench::new();
    bench.start(0);
    bench.promote(0);
    bench.commit(0, 1);
    assert!(bench.acknowledged(1));
}

#[test]
fn a_closed_gate_acknowledges_nothing() {
    let mut bench = Bench::new();
    bench.settings(0, None, None);
    bench.start(0);
    bench.promote(0);
    bench.commit(0, 1);
    bench.world.passes_by(20_000 * MS);
    assert!(!bench.acknowledged(1));
    assert!(bench.holds(0, 1));
}

#[test]
fn a_commit_is_acknowledged_once_the_named_standby_has_flushed_it() {
    let mut bench = pair();
    bench.commit(0, 1);
    assert!(!bench.acknowledged(1));
    bench.world.passes_by(100 * MS);
    assert!(bench.acknowledged(1) && bench.holds(1, 1));
}

#[test]
fn a_gate_closes_for_commits_only_when_the_checkpointer_has_looked() {
    let mut bench = Bench::new();
    bench.settings(0, Some(vec![]), None);
    bench.start(0);
    bench.promote(0);
    bench.settings(0, None, None);
    let (run, generation) = (bench.run(0), bench.number);
    bench.world.on_db(0, run, DbEv::RereadPostmaster);
    assert_eq!(
        bench.world.hosts[0]
            .server
            .as_ref()
            .map(|s| s.read.generation),
        Some(generation)
    );
    bench.commit(0, 1);
    assert!(
        bench.acknowledged(1),
        "a fresh session shows the new setting, and yet nothing waits"
    );
    bench.world.on_db(0, run, DbEv::RereadCheckpointer);
    bench.commit(0, 2);
    assert!(bench.acknowledged(2), "it has read it, and no more");
    bench.world.passes_by(MS);
    bench.commit(0, 3);
    assert!(!bench.acknowledged(3));
}

#[test]
fn a_walsender_releases_by_its_own_copy_of_the_names() {
    let mut bench = pair();
    // The gate shall name m2, too; m1's walsender has not looked yet.
    bench.settings(0, Some(vec![copy(1), copy(2)]), None);
    let run = bench.run(0);
    bench.world.on_db(0, run, DbEv::RereadPostmaster);
    bench.world.on_db(0, run, DbEv::RereadCheckpointer);
    bench.commit(0, 1);
    bench.world.passes_by(100 * MS);
    assert!(bench.acknowledged(1));
    let conn = bench.world.hosts[0]
        .server
        .as_ref()
        .expect("it runs")
        .walsenders[0]
        .conn;
    bench.world.on_db(0, run, DbEv::RereadWalsender(conn));
    bench.commit(0, 2);
    bench.world.passes_by(5_000 * MS);
    assert!(!bench.acknowledged(2));
}

#[test]
fn an_acknowledgement_under_way_counts_after_its_standby_was_pointed_elsewhere() {
    let mut bench = pair();
    bench.commit(0, 1);
    // Flushed there, the acknowledgement under way.
    while !bench.holds(1, 1) {
        bench.world.step();
    }
    assert!(!bench.acknowledged(1));
    bench.settings(1, None, None);
    let run = bench.run(1);
    bench.world.on_db(1, run, DbEv::RereadReceiver);
    assert_eq!(bench.link(1), Link::Off);
    bench.world.passes_by(100 * MS);
    assert!(bench.acknowledged(1));
}

#[test]
fn crash_recovery_reveals_what_nobody_was_told() {
    let mut bench = Bench::new();
    bench.settings(0, Some(vec![copy(1)]), None);
    bench.start(0);
    bench.promote(0);
    bench.commit(0, 1);
    bench.step(0, Step::Stop(StopMode::Now));
    bench.world.passes_by(1_000 * MS);
    bench.start(0);
    bench.promote(0);
    assert!(bench.holds(0, 1) && !bench.acknowledged(1));
    let waiting = bench.world.hosts[0]
        .server
        .as_ref()
        .map(|s| s.waiting.len());
    assert_eq!(waiting, Some(0), "and it does not wait any more");
}

#[test]
fn a_promotion_takes_the_next_number_that_is_free_locally() {
    let mut bench = pair();
    assert_eq!(bench.timeline(0), Timeline(2));
    bench.promote(1);
    assert_eq!(bench.timeline(1), Timeline(3));
    bench.step(0, Step::Stop(StopMode::Now));
    bench.world.passes_by(1_000 * MS);
    bench.settings(0, None, None);
    bench.start(0);
    bench.promote(0);
    assert_eq!(
        bench.timeline(0),
        Timeline(3),
        "another promotion of the same number"
    );
}

#[test]
fn a_promotion_that_crashed_leaves_its_history_file_behind() {
    let mut bench = Bench::new();
    bench.settings(0, None, None);
    bench.start(0);
    bench.step(0, Step::Promote);
    while bench.timeline(0) == Timeline(1) {
        bench.world.step();
    }
    assert_eq!(bench.phase(0), Some(Phase::Promoting));
    bench.step(0, Step::Stop(StopMode::Now));
    bench.world.passes_by(1_000 * MS);
    let dir = bench.world.hosts[0]
        .storage
        .directory
        .as_ref()
        .expect("it has one");
    assert_eq!(dir.newest_timeline().0, Timeline(2));
    assert_eq!(dir.checkpoint_timeline, Timeline(1));
    bench.start(0);
    bench.promote(0);
    assert_eq!(bench.timeline(0), Timeline(3));
}

#[test]
fn a_standby_that_is_ahead_of_the_fork_waits_for_ever() {
    let mut bench = pair();
    // The standby is promoted; the old primary has one record more than it ever sent.
    bench
        .world
        .net
        .cut(0, 1, crate::scenario::Links::All, 1 << 40);
    bench.commit(0, 1);
    bench.promote(1);
    bench.world.net.heal();
    bench.step(0, Step::Stop(StopMode::Now));
    bench.world.passes_by(1_000 * MS);
    bench.settings(0, None, Some(1));
    bench.start(0);
    bench.world.passes_by(10_000 * MS);
    assert!(matches!(bench.link(0), Link::Waiting(_)));
    // It fetched the history file meanwhile: it does not even start any more.
    bench.step(0, Step::Stop(StopMode::Now));
    bench.world.passes_by(1_000 * MS);
    bench.start(0);
    assert_eq!(bench.phase(0), None);
}

#[test]
fn a_standby_that_is_not_ahead_follows_over_the_promotion() {
    let mut bench = pair();
    bench.commit(0, 1);
    bench.world.passes_by(100 * MS);
    bench.step(0, Step::Stop(StopMode::Clean));
    assert!(bench.phase(0).is_none());
    let end = |bench: &Bench, h: usize| {
        bench.world.hosts[h]
            .storage
            .directory
            .as_ref()
            .map(|d| d.wal.end())
    };
    assert_eq!(
        end(&bench, 0),
        end(&bench, 1),
        "a clean stop sends everything"
    );
    bench.promote(1);
    slots(&mut bench, 1, &[0]);
    bench.settings(0, None, Some(1));
    bench.start(0);
    assert!(matches!(bench.link(0), Link::Streaming(_)));
    assert_eq!(bench.timeline(0), Timeline(3));
    assert_eq!(end(&bench, 0), end(&bench, 1));
}

#[test]
fn sessions_stay_open_across_a_promotion() {
    let mut bench = pair();
    bench.world.hosts[1]
        .server
        .as_mut()
        .expect("it runs")
        .sessions
        .push((0, 7));
    bench.promote(1);
    let run = bench.run(1);
    bench.world.on_db(
        1,
        run,
        DbEv::Commit {
            client: 0,
            session: 7,
            write: 9,
        },
    );
    assert!(bench.holds(1, 9));
}

#[test]
fn a_canary_shows_whether_commits_wait() {
    let mut bench = Bench::new();
    bench.settings(0, Some(vec![]), None);
    bench.start(0);
    bench.promote(0);
    let run = bench.run(0);
    let canary = |bench: &Bench| bench.world.hosts[0].server.as_ref().map(|s| s.canary);
    assert_eq!(
        bench.world.on_sql(0, &Step::Canary, Some(run), false),
        Outcome::Done
    );
    bench.world.passes_by(100 * MS);
    assert_eq!(canary(&bench), Some(Canary::Returned));
    bench.settings(0, None, None);
    bench.step(0, Step::Reload);
    bench.world.passes_by(1_000 * MS);
    assert_eq!(
        bench.world.on_sql(0, &Step::Canary, Some(run), false),
        Outcome::Done
    );
    bench.world.passes_by(100 * MS);
    assert_eq!(canary(&bench), Some(Canary::Waiting));
}

#[test]
fn a_clone_has_its_sources_log_and_no_stamp() {
    let bench = pair();
    let theirs = bench.world.hosts[0]
        .storage
        .directory
        .as_ref()
        .expect("the source");
    let clone = bench.world.hosts[1]
        .storage
        .directory
        .as_ref()
        .expect("the clone");
    assert_eq!(clone.system_id, theirs.system_id);
    assert_ne!(clone.system_id, SystemId(0));
    assert!(clone.stamp.is_none() && clone.uid != theirs.uid);
    assert!(
        clone
            .wal
            .entries
            .iter()
            .any(|e| matches!(e.kind, Kind::Promotion { .. }))
    );
    assert!(clone.wal.end() > Lsn(0));
}
