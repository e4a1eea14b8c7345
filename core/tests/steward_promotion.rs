//! Promotions: what comes before them, what becomes of one that was ordered.
#![allow(clippy::unwrap_used)]

mod fake;

use fake::*;
use yoke_core::Duration;
use yoke_core::permission::Lasts;
use yoke_core::postgres::*;
use yoke_core::record::*;
use yoke_core::step::*;

/// A lone copy that is to be the primary of term 5.
fn lone() -> (World, Record) {
    let mut world = World::new(A);
    world.dir = Some(stamped(A, 1));
    world.permit(5, Lasts::Unbounded);
    (world, record(5, A, &[copy(A, 1)], vec![]))
}

#[test]
fn r18_r7_r15_promotion_from_a_stopped_directory() {
    let (mut world, record) = lone();
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Closed));
    world.until("open", |w| w.is_open(&[]));
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Open));
    world.until("doors open", |w| w.primary().unwrap().doors == Doors::Open);
    insta::assert_snapshot!(world.trace());
    // R18: doors closed and sessions ended; R15: the order stamped.
    let stamp = world
        .steps
        .iter()
        .position(|s| matches!(s, Step::WriteStamp(s) if s.ordered == Some((Term(5), 1))));
    assert!(world.place("end sessions") < world.place("promote"));
    assert!(stamp.unwrap() < world.place("promote"));
    let status = world.primary().unwrap();
    assert_eq!(status.promoted_in, Term(5));
    assert!(status.recovery_end > Lsn(1000));
    assert_eq!(
        world.status.history,
        History::from(vec![promotion(2, 1000, 5, 1)])
    );
}

/// The node's disk is full: what it wants of the new run has not left yet.
#[test]
fn r18_r7_what_was_to_be_open_in_an_earlier_run_is_closed() {
    let serves = |w: &World| w.primary().is_some_and(|p| p.doors == Doors::Open);
    let (mut world, record) = lone();
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Open));
    world.until("doors open", serves);
    world.node_waits = true;
    world.postmaster_dies();
    world.until("closed", |w| {
        w.primary().is_some_and(|p| p.gate == GateStatus::Closed)
    });
    world.run_for(Duration::secs(2));
    let status = world.primary().unwrap();
    assert_eq!(
        (status.doors, &status.gate),
        (Doors::Closed, &GateStatus::Closed)
    );
    world.node_waits = false;
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Open));
    world.until("doors open", serves);
}

#[test]
fn r18_a_running_standby_closes_its_doors_first() {
    let (mut world, record) = lone();
    world.want(5, Some(&record), standby(Upstream::Nobody, false));
    world.until("standby", |w| {
        matches!(w.status.state, PgState::Standby { drained: true, .. })
    });
    assert_eq!(world.written.as_ref().unwrap().doors, Doors::Open);
    world.pg.as_mut().unwrap().sessions = 3;
    world.want(5, Some(&record), primary(Gate::Closed, Doors::Closed));
    world.until("promote ordered", |w| w.count("promote") == 1);
    let pg = world.pg.as_ref().unwrap();
    assert_eq!((pg.loaded.doors, pg.sessions), (Doors::Closed, 0));
    world.until("closed", |w| {
        w.primary().is_some_and(|p| p.gate == GateStatus::Closed)
    });
    assert_eq!(world.count("start"), 1, "no restart");
}

#[test]
fn r10_no_permission_no_promotion() {
    let mut world = World::new(A);
    world.dir = Some(stamped(A, 1));
    let record = record(5, A, &[copy(A, 1)], vec![]);
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Closed));
    world.run_for(Duration::secs(2));
    assert!(world.pg.as_ref().unwrap().in_recovery);
    assert!((10..60).contains(&world.count("promote")), "asks again");
    world.permit(5, Lasts::Unbounded);
    world.until("open", |w| w.is_open(&[]));
    let n = world.status.history.last().unwrap().n;
    assert_eq!(n, 1, "one order, asked for again");
}

#[test]
fn a_copy_that_the_record_leaves_out_is_not_promoted() {
    let (mut world, _) = lone();
    let other = record(5, A, &[copy(A, 9)], vec![]);
    world.want(5, Some(&other), primary(Gate::Open(vec![]), Doors::Closed));
    world.run_for(Duration::secs(3));
    assert_eq!(world.count("promote"), 0);
    let fault = world.status.fault.clone().unwrap().to_string();
    assert!(fault.contains("does not name its copy"), "{fault}");
}

#[test]
fn replay_paused_is_not_promoted() {
    let (mut world, record) = lone();
    world.replay_paused = true;
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Closed));
    world.run_for(Duration::secs(3));
    assert_eq!(world.count("promote"), 0);
    assert!(world.status.fault.is_some());
    world.replay_paused = false;
    world.until("open", |w| w.is_open(&[]));
    assert_eq!(world.status.fault, None);
}

#[test]
fn r15_an_order_that_never_happened_is_struck() {
    let mut world = World::new(B);
    let mut dir = stamped(B, 2);
    let stamp = dir.stamp.as_mut().unwrap();
    stamp.ordered = Some((Term(4), 1));
    stamp.ordered_on = Timeline(1);
    world.dir = Some(dir);
    world.want(5, None, standby(Upstream::Nobody, false));
    world.until("standby", |w| {
        matches!(w.status.state, PgState::Standby { .. })
    });
    let stamp = world.dir.as_ref().unwrap().stamp.clone().unwrap();
    assert_eq!((stamp.ordered, stamp.history), (None, History::default()));
    assert!(world.place("stamp") < world.place("start"));
}

#[test]
fn r15_an_order_that_happened_joins_the_history() {
    let mut world = World::new(B);
    let mut dir = stamped(B, 2);
    let stamp = dir.stamp.as_mut().unwrap();
    stamp.ordered = Some((Term(4), 1));
    stamp.ordered_on = Timeline(1);
    dir.timelines.push((Timeline(2), Lsn(1000)));
    dir.end = Lsn(1050);
    world.dir = Some(dir);
    world.want(5, None, standby(Upstream::Nobody, false));
    world.until("standby", |w| {
        matches!(w.status.state, PgState::Standby { .. })
    });
    let expected = History::from(vec![promotion(2, 1000, 4, 1)]);
    assert_eq!(
        world.dir.as_ref().unwrap().stamp.as_ref().unwrap().history,
        expected
    );
    assert_eq!(world.status.history, expected);
}

#[test]
fn a_dead_lone_primary_is_restarted_and_promoted_again() {
    let (mut world, record) = lone();
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Closed));
    world.until("open", |w| w.is_open(&[]));
    let run = world.status.run;
    world.postmaster_dies();
    world.until("down", |w| {
        matches!(w.status.state, PgState::Stopped { .. })
    });
    world.until("open again", |w| w.is_open(&[]));
    assert_ne!(world.status.run, run);
    let history: Vec<_> = world.status.history.promotions().to_vec();
    assert_eq!(history.len(), 2);
    assert_eq!((history[1].term, history[1].n), (Term(5), 2));
}

#[test]
fn a_reelected_leader_is_not_promoted_again() {
    let (mut world, record) = lone();
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Closed));
    world.until("open", |w| w.is_open(&[]));
    world.permit(6, Lasts::Unbounded);
    world.want(6, Some(&record), primary(Gate::AsFound, Doors::AsFound));
    world.run_for(Duration::secs(1));
    assert_eq!(world.count("promote"), 1);
    assert!(world.is_open(&[]), "the proof is of the run");
}

/// The daemon dies at any step, before it was carried out or after: a new one comes to the same end.
#[test]
fn crash_between_any_two_steps_of_a_promotion() {
    for carried_out in [false, true] {
        for at in 1..60 {
            let (mut world, record) = lone();
            world.crash_at = Some((at, carried_out));
            world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Open));
            world.until("open", |w| {
                w.is_open(&[]) && w.primary().is_some_and(|p| p.doors == Doors::Open)
            });
            let stamp = world.dir.as_ref().unwrap().stamp.clone().unwrap();
            let timelines = world.dir.as_ref().unwrap().timelines.len();
            assert_eq!(timelines, 2, "promoted once\n{}", world.trace());
            assert_eq!(stamp.history, world.status.history);
            assert_eq!(stamp.history.promotions(), [promotion(2, 1000, 5, 1)]);
        }
    }
}

#[test]
fn r20_genesis_an_unstamped_directory_of_the_configured_primary_is_its_own() {
    let mut world = World::new(A);
    world.dir = Some(Dir::fresh());
    world.want(0, None, standby(Upstream::Nobody, false));
    world.until("standby", |w| {
        matches!(w.status.state, PgState::Standby { .. })
    });
    assert!(!world.status.stamped);
    let id = world.status.copy.unwrap();
    assert_eq!(world.count("stamp"), 0, "R15: the state first");
    let record = record(1, A, &[copy(A, id.0)], vec![]);
    world.permit(1, Lasts::Unbounded);
    world.want(1, Some(&record), primary(Gate::Open(vec![]), Doors::Open));
    world.until("stamped", |w| w.status.stamped);
    assert_eq!(world.status.copy, Some(id));
    world.until("open", |w| w.is_open(&[]));
    assert!(world.place("stamp") < world.place("promote"));
}

#[test]
fn r20_genesis_the_record_names_the_unstamped_copy() {
    let mut world = World::new(A);
    world.dir = Some(Dir::fresh());
    let record = record(1, A, &[copy(A, 4711)], vec![]);
    world.permit(1, Lasts::Unbounded);
    world.want(1, Some(&record), primary(Gate::Open(vec![]), Doors::Open));
    world.until("open", |w| w.is_open(&[]));
    assert_eq!(world.status.copy, Some(CopyId(4711)));
    assert!(world.place("stamp") < world.place("start"));
}

#[test]
fn a_promotion_by_hand_is_stopped() {
    let (mut world, record) = lone();
    world.want(5, Some(&record), standby(Upstream::AsFound, false));
    world.until("standby", |w| {
        matches!(w.status.state, PgState::Standby { .. })
    });
    world.by_hand = true;
    world.pg.as_mut().unwrap().promoting = true;
    world.until("stopped", |w| w.count("stop") == 1);
    let last = world.status.history.last().copied().unwrap();
    assert_eq!((last.timeline, last.term), (Timeline(2), Term(0)), "R15");
    world.until("standby", |w| {
        matches!(w.status.state, PgState::Standby { .. })
    });
}

/// Its stamp names a promotion of which nothing has come: its own may make the same number, so nothing may come any more.
#[test]
fn r15_what_the_stamp_names_and_never_came_comes_no_more_once_its_own_is_ordered() {
    let mut world = World::new(B);
    world.dir = Some(stamped(B, 2));
    let both = [copy(A, 1), copy(B, 2)];
    let named = promotion(2, 1500, 4, 1);
    let record4 = record(4, A, &both, vec![named]);
    world.want(4, Some(&record4), standby(Upstream::Member(A), false));
    world.until("follows", |w| {
        w.pg.as_ref().is_some_and(|pg| pg.loaded.follow == Some(A))
    });
    assert_eq!(stamp_of(&world).history, History::from(vec![named]));
    world.permit(5, Lasts::Unbounded);
    let record5 = record(5, B, &both, vec![named]);
    world.want(5, Some(&record5), primary(Gate::Closed, Doors::Closed));
    world.until("promote ordered", |w| w.count("promote") == 1);
    assert_eq!(world.pg.as_ref().unwrap().loaded.follow, None);
    assert_eq!(stamp_of(&world).ordered_on, Timeline(1));
}
