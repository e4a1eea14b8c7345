//! Stopping, handing over, looking without touching; one order at a time (R16).
#![allow(clippy::unwrap_used)]

mod fake;

use fake::*;
use yoke_core::Duration;
use yoke_core::permission::Lasts;
use yoke_core::postgres::*;
use yoke_core::record::*;
use yoke_core::step::*;

fn serving() -> (World, Record) {
    let mut world = World::new(A);
    world.dir = Some(stamped(A, 1));
    world.permit(5, Lasts::Unbounded);
    let record = record(5, A, &[copy(A, 1)], vec![]);
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Open));
    world.until("open", |w| w.is_open(&[]));
    (world, record)
}

#[test]
fn nothing_changes_nothing() {
    let mut world = World::new(B);
    world.want(0, None, Want::Nothing);
    world.until("no data", |w| w.status.state == PgState::NoData);
    world.dir = Some(stamped(B, 2));
    world.run_for(Duration::secs(12));
    assert!(matches!(world.status.state, PgState::Stopped { .. }));
    assert!(world.steps.iter().all(|s| *s == Step::Inspect));
    assert!(world.steps.len() < 6);
    assert!(world.status.stamped);
}

#[test]
fn a_witness_looks_at_nothing() {
    let mut world = World::new(M);
    world.want(0, None, Want::Nothing);
    world.run_for(Duration::secs(2));
    assert_eq!(world.status.state, PgState::NoData);
    assert_eq!(world.ordered, 0);
}

#[test]
fn nothing_reports_what_runs() {
    let (mut world, _) = serving();
    world.restart_daemon();
    world.want(5, None, Want::Nothing);
    let orders = world.steps.len();
    world.until("primary", |w| {
        matches!(w.status.state, PgState::Promoting | PgState::Primary(_))
    });
    world.run_for(Duration::secs(1));
    assert!(
        world.steps[orders..]
            .iter()
            .all(|s| matches!(s, Step::Inspect | Step::Observe))
    );
}

#[test]
fn a_clean_stop_says_where_the_shutdown_checkpoint_is() {
    let (mut world, record) = serving();
    world.log.clear();
    world.want(5, Some(&record), Want::Draining);
    world.until("stopped", |w| {
        matches!(
            w.status.state,
            PgState::Stopped {
                shutdown_checkpoint: Some(_)
            }
        )
    });
    insta::assert_snapshot!(world.trace());
    let end = world.dir.as_ref().unwrap().end;
    assert_eq!(
        world.status.state,
        PgState::Stopped {
            shutdown_checkpoint: Some(Lsn(end.0 - 10))
        }
    );
    assert_eq!(world.status.end, end);
    // It failed: the old primary goes on.
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Open));
    world.until("open", |w| w.is_open(&[]));
}

/// The guard's view of its end comes first, then its outcome, then a look.
#[test]
fn a_clean_stop_is_under_way_until_its_shutdown_checkpoint_is_seen() {
    let (mut world, record) = serving();
    world.want(5, Some(&record), Want::Draining);
    world.until("stops", |w| w.status.state == PgState::Stopping);
    world.told.clear();
    world.until("stopped", |w| {
        matches!(w.status.state, PgState::Stopped { .. })
    });
    let (last, before) = world.told.split_last().unwrap();
    let seen = PgState::Stopped {
        shutdown_checkpoint: Some(Lsn(world.dir.as_ref().unwrap().end.0 - 10)),
    };
    assert_eq!(*last, seen);
    assert!(before.iter().all(|state| *state == PgState::Stopping));
}

/// It was said to have failed, and the database ends after all: whether it ended cleanly is seen first.
#[test]
fn a_clean_stop_that_was_given_up_too_early_is_under_way_until_its_shutdown_checkpoint_is_seen() {
    let (mut world, record) = serving();
    world.failing.insert("stop", 1);
    world.want(5, Some(&record), Want::Draining);
    world.until("given up", |w| w.status.fault.is_some());
    assert!(matches!(world.status.state, PgState::Primary(_)));
    world.told.clear();
    world.postmaster_ends(ClusterState::ShutDown);
    world.until("stopped", |w| {
        matches!(w.status.state, PgState::Stopped { .. })
    });
    let told = &world.told[world
        .told
        .iter()
        .position(|s| *s == PgState::Stopping)
        .unwrap()..];
    let seen = PgState::Stopped {
        shutdown_checkpoint: Some(Lsn(world.dir.as_ref().unwrap().end.0 - 10)),
    };
    let (last, before) = told.split_last().unwrap();
    assert_eq!(*last, seen);
    assert!(before.iter().all(|state| *state == PgState::Stopping));
}

#[test]
fn a_stop_at_once_leaves_no_shutdown_checkpoint() {
    let (mut world, record) = serving();
    world.want(5, Some(&record), Want::Stopped(StopMode::Now));
    world.until("stopped", |w| {
        matches!(w.status.state, PgState::Stopped { .. })
    });
    world.run_for(Duration::secs(1));
    assert_eq!(
        world.status.state,
        PgState::Stopped {
            shutdown_checkpoint: None
        }
    );
    assert_eq!(world.count("stop"), 1);
}

#[test]
fn r16_a_stop_ends_what_is_under_way() {
    let (mut world, record) = serving();
    world.hanging = Some("settings");
    world.want(5, Some(&record), primary(Gate::Closed, Doors::Closed));
    world.run_for(Duration::secs(1));
    assert_eq!(world.hung.len(), 1);
    let steps = world.steps.len();
    world.run_for(Duration::secs(1));
    assert_eq!(world.steps.len(), steps, "nothing beside it");
    world.want(5, Some(&record), Want::Stopped(StopMode::Clean));
    world.until("stopped", |w| {
        matches!(w.status.state, PgState::Stopped { .. })
    });
    assert!(world.hung.is_empty());
    world.hanging = None;
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Closed));
    world.until("open", |w| w.is_open(&[]));
}

#[test]
fn r16_now_supersedes_clean() {
    let (mut world, record) = serving();
    world.hanging = Some("stop");
    world.want(5, Some(&record), Want::Stopped(StopMode::Clean));
    world.run_for(Duration::secs(1));
    assert_eq!(world.status.state, PgState::Stopping);
    world.hanging = None;
    world.want(5, Some(&record), Want::Stopped(StopMode::Now));
    world.until("stopped", |w| {
        matches!(w.status.state, PgState::Stopped { .. })
    });
    assert_eq!(world.count("stop"), 2);
}

#[test]
fn r16_an_order_of_the_previous_daemon_is_waited_for() {
    let (mut world, record) = serving();
    world.want(5, Some(&record), Want::Stopped(StopMode::Clean));
    world.until("stopped", |w| {
        matches!(w.status.state, PgState::Stopped { .. })
    });
    world.hanging = Some("settings");
    world.want(5, Some(&record), standby(Upstream::Nobody, false));
    world.run_for(Duration::secs(1));
    assert_eq!(world.hung.len(), 1);
    world.hanging = None;
    world.restart_daemon();
    let count = world.count("settings");
    world.run_for(Duration::secs(3));
    assert_eq!(world.count("settings"), count);
    // It ends: looked at anew, and on.
    let number = world.hung.pop().unwrap();
    let outcome = Outcome::Failed("late".to_owned());
    world
        .pending
        .push_back(Pending::Guard(yoke_core::guard::GuardEvent::Outcome {
            number,
            outcome,
        }));
    world.until("standby", |w| {
        matches!(w.status.state, PgState::Standby { .. })
    });
}

#[test]
fn r10_a_fence_ends_the_primary_and_is_seen() {
    let (mut world, record) = serving();
    world.permit(5, Lasts::Until(world.now + Duration::secs(1)));
    world.until("killed", |w| w.kills == 1);
    world.want(5, Some(&record), standby(Upstream::Nobody, false));
    world.until("standby", |w| {
        matches!(w.status.state, PgState::Standby { .. })
    });
    assert_eq!(world.count("stop"), 0);
}

#[test]
fn a_primary_that_is_to_be_a_standby_is_stopped_first() {
    let (mut world, record) = serving();
    world.want(5, Some(&record), standby(Upstream::AsFound, false));
    world.until("standby", |w| {
        matches!(w.status.state, PgState::Standby { .. })
    });
    assert_eq!(world.count("stop"), 1);
    assert_eq!(world.guard.view().serving, None);
}

#[test]
fn a_start_that_fails_is_not_repeated_in_a_loop() {
    let mut world = World::new(B);
    world.dir = Some(stamped(B, 2));
    world.failing.insert("start", 4);
    world.want(5, None, standby(Upstream::Nobody, false));
    world.run_for(Duration::millis(600));
    assert!(world.count("start") <= 4, "{}", world.count("start"));
    assert!(world.status.fault.is_some());
    world.until("standby", |w| {
        matches!(w.status.state, PgState::Standby { .. })
    });
    assert_eq!(world.status.fault, None);
}

#[test]
fn an_older_target_is_ignored() {
    let (mut world, record) = serving();
    world.seq = 0;
    world.want(5, Some(&record), Want::Stopped(StopMode::Now));
    world.run_for(Duration::secs(1));
    assert_eq!(world.count("stop"), 0);
}
