//! The gate's proof (R7), the position taken after it (R9), doors after the gate (R18).
#![allow(clippy::unwrap_used)]

mod fake;

use fake::*;
use yoke_core::permission::Lasts;
use yoke_core::postgres::*;
use yoke_core::record::*;
use yoke_core::{Config, Duration};

const OWN: u64 = 1;

fn other() -> Copy {
    copy(B, 2)
}

/// A primary with a standby that streams, its gate closed.
fn closed() -> (World, Record) {
    closed_by(config(A))
}

fn closed_by(config: Config) -> (World, Record) {
    let mut world = World::with(config);
    world.dir = Some(stamped(A, OWN));
    world.permit(5, Lasts::Unbounded);
    world.standbys = vec![(other(), Lsn(900))];
    let record = record(5, A, &[copy(A, OWN), other()], vec![]);
    world.want(5, Some(&record), primary(Gate::Closed, Doors::Closed));
    world.until("closed", |w| {
        w.primary().is_some_and(|p| p.gate == GateStatus::Closed)
    });
    (world, record)
}

fn open(names: &[Copy], doors: Doors) -> Want {
    primary(Gate::open(names.iter().copied()), doors)
}

#[test]
fn r7_r9_closed_seen_then_named_seen_then_the_position() {
    let (mut world, record) = closed();
    world.log.clear();
    world.steps.clear();
    world.want(5, Some(&record), open(&[other()], Doors::Closed));
    world.until("open", |w| w.is_open(&[other()]));
    // From proven closed straight to the names.
    assert_eq!(world.count("canary"), 0);
    // The last step is the health write whose position counts.
    assert_eq!(name(world.steps.last().unwrap()), "nudge");
    let Some(GateStatus::Open { since, .. }) = world.primary().map(|p| p.gate.clone()) else {
        panic!()
    };
    assert_eq!(since, world.dir.as_ref().unwrap().end);
    // R8, R9: other names close it first, and prove that.
    world.want(5, Some(&record), open(&[], Doors::Closed));
    world.until("open for nobody", |w| w.is_open(&[]));
    insta::assert_snapshot!(world.trace());
}

#[test]
fn r7_what_a_walsender_still_counts_for_is_not_closed() {
    let (mut world, record) = closed();
    world.want(5, Some(&record), open(&[other()], Doors::Open));
    world.until("open", |w| {
        w.is_open(&[other()]) && w.primary().is_some_and(|p| p.doors == Doors::Open)
    });
    // A name that nobody streams under: commits wait, nothing is proven, doors stay as they are.
    let third = copy(M, 3);
    world.steps.clear();
    world.want(5, Some(&record), open(&[other(), third], Doors::Open));
    world.run_for(Duration::secs(3));
    assert_eq!(world.primary().unwrap().gate, GateStatus::Unproven);
    // Once to close and once to open; then again and again: some process may have missed it.
    assert!(world.count("reload") > 2, "{}", world.count("reload"));
    world.standbys.push((third, Lsn(900)));
    world.until("open for both", |w| w.is_open(&[other(), third]));
}

/// A walsender missed what an earlier daemon had reloaded.
#[test]
fn r7_a_new_daemon_reloads_again_what_is_not_seen_at_work() {
    let (mut world, _) = closed();
    let pg = world.pg.as_mut().unwrap();
    pg.senders = Some(vec![other()]);
    pg.senders_lag = u32::MAX;
    world.restart_daemon();
    world.steps.clear();
    world.until("primary", |w| w.primary().is_some());
    world.run_for(Duration::millis(500));
    assert_eq!(world.count("reload"), 0, "it may only be slow");
    world.until("closed", |w| {
        w.primary().is_some_and(|p| p.gate == GateStatus::Closed)
    });
    assert_eq!(world.count("reload"), 1);
}

/// SHOW and a reload prove nothing: the checkpointer may be stuck, each walsender reads when it reads. The fake asserts
/// at each moment that what is reported as proven is so.
#[test]
fn r7_nothing_is_proven_before_all_go_by_it() {
    for lags in [(1, 1), (20, 1), (1, 20), (30, 15)] {
        let (mut world, record) = closed();
        world.lags = lags;
        let third = copy(M, 3);
        world.standbys.push((third, Lsn(900)));
        let all = [other(), third];
        let targets: [&[Copy]; 7] = [&[], &all, &all[..1], &all[1..], &all, &[], &all[..1]];
        for names in targets {
            world.want(5, Some(&record), open(names, Doors::Closed));
            world.until("open", |w| w.is_open(names));
            world.want(5, Some(&record), open(names, Doors::Open));
            world.until("doors", |w| {
                w.primary().is_some_and(|p| p.doors == Doors::Open)
            });
        }
    }
}

#[test]
fn r7_two_connections_of_one_name_prove_nothing() {
    let (mut world, record) = closed();
    world.standbys.push((other(), Lsn(700)));
    world.want(5, Some(&record), open(&[other()], Doors::Open));
    world.run_for(Duration::secs(3));
    let status = world.primary().unwrap();
    assert_eq!(status.gate, GateStatus::Unproven);
    assert_eq!(status.doors, Doors::Closed, "R18: not before the gate");
    assert_eq!(
        status.standbys,
        [StandbyStatus {
            copy: other(),
            streaming: false,
            flushed: Lsn(700)
        }]
    );
}

#[test]
fn r7_a_gate_that_is_not_ours_is_not_proven() {
    let (mut world, record) = closed();
    world.want(5, Some(&record), open(&[other()], Doors::Closed));
    world.until("open", |w| w.is_open(&[other()]));
    world.gate_is_ours = false;
    world.until("lost", |w| {
        w.primary().is_some_and(|p| p.gate == GateStatus::Unproven) && w.status.fault.is_some()
    });
    world.run_for(Duration::secs(2));
    assert!(world.status.fault.is_some());
    world.gate_is_ours = true;
    world.until("open again", |w| w.is_open(&[other()]));
    assert_eq!(world.status.fault, None);
    assert_eq!(world.count("canary"), 2, "proven anew");
}

#[test]
fn r6_as_found_is_left_alone_and_nothing_is_proven_after_a_restart() {
    let (mut world, record) = closed();
    world.want(5, Some(&record), open(&[other()], Doors::Open));
    world.until("open", |w| {
        w.is_open(&[other()]) && w.primary().is_some_and(|p| p.doors == Doors::Open)
    });
    world.want(5, Some(&record), primary(Gate::AsFound, Doors::AsFound));
    world.run_for(Duration::secs(1));
    assert!(world.is_open(&[other()]));
    let written = world.count("settings");
    world.restart_daemon();
    world.until("primary", |w| w.primary().is_some());
    world.run_for(Duration::secs(1));
    assert_eq!(world.count("settings"), written, "left alone");
    let status = world.primary().unwrap();
    assert_eq!(
        (&status.gate, status.doors),
        (&GateStatus::Unproven, Doors::Open)
    );
    assert_eq!(status.promoted_in, Term(5));
}

#[test]
fn r7_a_restart_voids_the_proof() {
    let (mut world, record) = closed();
    world.want(5, Some(&record), open(&[other()], Doors::Open));
    world.until("open", |w| w.is_open(&[other()]));
    world.postmaster_dies();
    world.until("gone", |w| w.primary().is_none());
    world.until("primary again", |w| w.primary().is_some());
    assert_eq!(world.primary().unwrap().gate, GateStatus::Unproven);
    world.until("open", |w| w.is_open(&[other()]));
    assert_eq!(world.count("canary"), 2);
}

#[test]
fn settings_that_are_not_taken_are_said() {
    let (mut world, record) = closed();
    world.failing.insert("reload", u32::MAX);
    world.want(5, Some(&record), open(&[other()], Doors::Open));
    world.run_for(Duration::secs(3));
    assert!(world.status.fault.is_some());
    world.failing.clear();
    world.until("open", |w| w.is_open(&[other()]));
    world.until("no fault", |w| w.status.fault.is_none());
}

#[test]
fn a_server_that_does_not_answer_is_silent() {
    let (mut world, _) = closed();
    world.failing.insert("observe", u32::MAX);
    world.failing.insert("nudge", u32::MAX);
    let orders = world.ordered;
    world.until("silent", |w| {
        matches!(w.status.state, PgState::Silent { primary: true, .. })
    });
    world.run_for(Duration::secs(2));
    assert!(world.ordered - orders < 60, "{}", world.ordered - orders);
    world.failing.clear();
    world.until("back", |w| w.primary().is_some());
}

/// R19: who has not answered since its start hangs; who says that it recovers does not.
#[test]
fn r19_a_start_without_an_answer_is_silent_and_a_recovery_is_not() {
    for recovers in [true, false] {
        let (mut world, record) = closed();
        world.recovers = recovers;
        if !recovers {
            world.failing.insert("observe", u32::MAX);
        }
        world.want(6, Some(&record), Want::Stopped(StopMode::Now));
        world.until("down", |w| w.pg.is_none());
        world.want(6, Some(&record), standby(Upstream::Nobody, false));
        world.until("started", |w| w.pg.is_some());
        world.run_for(Duration::secs(20));
        match recovers {
            true => assert_eq!(world.status.state, PgState::Starting),
            false => assert!(matches!(
                world.status.state,
                PgState::Silent { primary: false, .. }
            )),
        }
    }
}

#[test]
fn idle_is_quiet() {
    let (mut world, record) = closed();
    world.want(5, Some(&record), open(&[other()], Doors::Open));
    world.until("open", |w| w.is_open(&[other()]));
    world.run_for(Duration::secs(2));
    let orders = world.ordered;
    world.run_for(Duration::secs(10));
    let orders = world.ordered - orders;
    // Each second two health writes, and a look each eighth part of `sync_timeout`.
    assert!((50..=65).contains(&orders), "{orders}");
    let wrote = world.primary().unwrap().wrote_at;
    assert!(world.now.since(wrote) < Duration::millis(700));
}

/// A healthy primary is seen to write in time, else it would give way (R19); and its idle standby has something to confirm
/// in time, else it would seem to lag (R8).
#[test]
fn r8_r19_health_writes_come_in_time_whatever_the_timeouts_are() {
    let timeouts = [
        (5_000, 60_000, 3_000),
        (5_000, 2_000, 60_000),
        (5_000, 1_000, 1_000),
        (20_000, 500, 3_000),
        (20_000, 3_000, 500),
    ];
    for (decision, sync, health) in timeouts {
        let mut config = config(A);
        config.decision_timeout = Duration::millis(decision);
        config.sync_timeout = Duration::millis(sync);
        config.health_timeout = Duration::millis(health);
        let (mut world, record) = closed_by(config);
        world.want(5, Some(&record), open(&[other()], Doors::Open));
        world.until("open", |w| w.is_open(&[other()]));
        for _ in 0..100 {
            world.run_for(Duration::millis(97));
            let wrote = world.primary().unwrap().wrote_at;
            let age = world.now.since(wrote);
            let most = Duration::millis(sync.min(health)).part(1, 2);
            assert!(age < most, "{age}, D is {decision} ms");
        }
    }
}

#[test]
fn crash_between_any_two_steps_of_the_proof() {
    for carried_out in [false, true] {
        for at in 1..30 {
            let (mut world, record) = closed();
            world.ordered = 0;
            world.crash_at = Some((at, carried_out));
            world.want(5, Some(&record), open(&[other()], Doors::Open));
            world.until("open", |w| {
                w.is_open(&[other()]) && w.primary().is_some_and(|p| p.doors == Doors::Open)
            });
            assert_eq!(world.count("promote"), 1);
        }
    }
}

/// The checkpointer may have read that commits wait for nobody, and say so late: whoever finds that on disk waits for it,
/// too, before it closes the gate.
#[test]
fn r7_an_opening_for_nobody_that_is_found_is_seen_to_its_end() {
    let (mut world, record) = closed();
    world.lags = (30, 1);
    let opened = |w: &World| w.written.as_ref().unwrap().gate == Some(vec![]);
    world.want(5, Some(&record), open(&[], Doors::Closed));
    world.until("opening for nobody", opened);
    world.restart_daemon();
    world.want(5, Some(&record), open(&[other()], Doors::Closed));
    world.until("closed again", |w| !opened(w));
    assert_eq!(world.pg.as_ref().unwrap().gate, Some(vec![]));
    world.until("open", |w| w.is_open(&[other()]));
}
