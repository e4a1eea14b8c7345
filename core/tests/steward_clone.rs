//! A copy that does not fit, or that an operator wants replaced, and a member that has none: the mark, then a clone, of
//! what the record leaves out alone (R11). Rewinds: `steward_rewind`.
#![allow(clippy::unwrap_used)]

mod fake;

use fake::*;
use yoke_core::Duration;
use yoke_core::guard::GuardEvent;
use yoke_core::postgres::*;
use yoke_core::record::*;
use yoke_core::step::*;

/// B's copy, which nobody can rewind.
fn rigid() -> Dir {
    Dir {
        rewindable: false,
        ..stamped(B, 2)
    }
}

#[test]
fn r15_two_promotions_of_one_number_and_place_are_two() {
    let (mut world, record) = promoted_elsewhere();
    let mut dir = stamped(B, 2);
    dir.timelines.push((Timeline(2), Lsn(1000)));
    dir.end = Lsn(1400);
    dir.stamp.as_mut().unwrap().history = History::from(vec![promotion(2, 1000, 4, 1)]);
    world.dir = Some(dir);
    world.want(5, Some(&record), standby_of(A, false));
    world.run_for(Duration::secs(3));
    assert!(!world.streams(), "PostgreSQL would have followed");
    let fault = world.status.fault.clone().unwrap().to_string();
    assert!(fault.contains("is kept"), "{fault}");
    assert_eq!(world.count("mark"), 0, "R11: not without the record's word");
    world.want(5, Some(&record), standby_of(A, true));
    world.until("streams", World::streams);
    assert_eq!(world.aside.len(), 1);
}

#[test]
fn r15_a_copy_on_which_postgresql_does_not_start_is_replaced() {
    let (mut world, record) = promoted_elsewhere();
    world.dir = Some(Dir {
        contradicted: true,
        ..stamped(B, 2)
    });
    world.want(5, Some(&record), standby(Upstream::AsFound, false));
    world.run_for(Duration::secs(5));
    assert_eq!(world.count("mark"), 0, "R11: not without the record's word");
    assert!(world.status.fault.is_some());
    // The node never sees its end, and lets it follow nobody.
    world.want(5, Some(&record), standby(Upstream::AsFound, true));
    world.until("marked", |w| w.count("mark") == 1);
    world.want(5, Some(&record), standby_of(A, true));
    world.until("streams", World::streams);
    assert_eq!(world.aside.len(), 1, "kept");
}

#[test]
fn r11_the_mark_comes_first_and_gives_the_copy_up() {
    let (mut world, record) = promoted_elsewhere();
    let mut dir = rigid();
    dir.end = Lsn(1001);
    world.dir = Some(dir);
    world.want(5, Some(&record), standby_of(A, true));
    world.until("marked", |w| w.count("mark") == 1);
    assert_eq!(world.status.copy, None, "from the order on");
    assert!(matches!(world.status.state, PgState::Rewriting { .. }));
    world.until("streams", World::streams);
    insta::assert_snapshot!(world.trace());
    assert!(world.place("stop") < world.place("mark"));
    assert!(world.place("mark") < world.place("aside"));
    assert!(world.place("aside") < world.place("clone"));
    assert_eq!(world.aside[0].end, Lsn(1001), "kept");
    let id = world.status.copy.unwrap();
    assert_ne!(id, CopyId(2), "new data, new id");
    assert_eq!(stamp_of(&world).copy, id);
    assert!(!world.mark);
}

/// What the new daemon saw of the directory is from before the old one's order was carried out.
#[test]
fn r16_a_look_that_an_order_of_the_previous_daemon_overtook_is_made_again() {
    let (mut world, record) = promoted_elsewhere();
    let mut dir = rigid();
    dir.end = Lsn(1001);
    world.dir = Some(dir);
    world.hanging = Some("mark");
    world.want(5, Some(&record), standby_of(A, true));
    world.until("the mark is being set", |w| w.hung.len() == 1);
    world.hanging = None;
    world.restart_daemon();
    assert_eq!(world.steps.last(), Some(&Step::Inspect));
    world.mark = true;
    let (number, outcome) = (world.hung.pop().unwrap(), Outcome::Done);
    world
        .pending
        .push_front(Pending::Guard(GuardEvent::Outcome { number, outcome }));
    let starts = world.count("start");
    world.until("cloned", |w| w.count("clone") == 1);
    assert_eq!(world.count("start"), starts);
}

#[test]
fn r11_a_copy_that_the_record_names_is_never_discarded() {
    let (mut world, mut record) = promoted_elsewhere();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(1001);
    world.dir = Some(dir);
    record.in_sync.push(copy(B, 2));
    world.want(5, Some(&record), standby_of(A, true));
    world.run_for(Duration::secs(20));
    assert_eq!(world.count("mark"), 0);
    assert!(world.status.fault.is_some());
    assert_eq!(world.status.copy, Some(CopyId(2)));
}

#[test]
fn an_absent_directory_waits_for_the_record_and_is_cloned() {
    let (mut world, record) = promoted_elsewhere();
    world.want(0, None, standby(Upstream::Nobody, false));
    world.run_for(Duration::secs(2));
    assert_eq!(world.status.state, PgState::NoData);
    assert!(world.status.fault.is_some());
    world.want(5, Some(&record), standby_of(A, true));
    world.until("streams", World::streams);
    assert_eq!((world.count("aside"), world.count("clone")), (0, 1));
}

#[test]
fn a_zombie_is_noticed() {
    let (mut world, record) = promoted_elsewhere();
    let mut dir = stamped(B, 2);
    // PostgreSQL sees what the stamp does not: it will never stream.
    dir.timelines.push((Timeline(9), Lsn(500)));
    dir.end = Lsn(900);
    world.dir = Some(dir);
    world.want(5, Some(&record), standby_of(A, true));
    world.run_for(Duration::secs(9));
    assert!(!world.streams());
    assert_eq!(world.count("clone"), 0, "patience");
    world.until("streams", World::streams);
    assert_eq!(world.count("clone"), 1);
}

/// It was away for longer than the primary keeps WAL.
#[test]
fn a_receiver_that_comes_and_goes_brings_nothing() {
    let (mut world, record) = promoted_elsewhere();
    world.dir = Some(Dir {
        end: Lsn(900),
        ..stamped(B, 2)
    });
    world.removed_before = Lsn(2000);
    world.want(5, Some(&record), standby_of(A, true));
    world.run_for(Duration::secs(9));
    assert_eq!(world.count("clone"), 0, "patience");
    world.run_for(Duration::secs(9));
    assert_eq!(world.count("clone"), 1);
    world.until("streams", World::streams);
}

#[test]
fn a_failing_clone_is_tried_again_slowly() {
    let (mut world, record) = promoted_elsewhere();
    world.failing.insert("clone", 5);
    world.want(5, Some(&record), standby_of(A, true));
    world.run_for(Duration::secs(6));
    assert_eq!(world.count("clone"), 3, "at 0, 1, 3 s");
    assert!(world.status.fault.clone().unwrap().0.contains("scripted"));
    world.until("streams", World::streams);
    assert_eq!(world.status.fault, None);
}

#[test]
fn a_clone_of_what_is_no_longer_primary_is_ended() {
    let (mut world, record) = promoted_elsewhere();
    world.hanging = Some("clone");
    world.want(5, Some(&record), standby_of(A, true));
    world.run_for(Duration::secs(1));
    assert_eq!(world.hung.len(), 1);
    world.want(5, Some(&record), standby(Upstream::AsFound, false));
    world.run_for(Duration::secs(1));
    assert_eq!(world.hung.len(), 1, "no leader for a while: it goes on");
    world.want(6, Some(&record), Want::Stopped(StopMode::Now));
    world.run_for(Duration::secs(1));
    assert!(world.hung.is_empty());
    world.hanging = None;
    world.want(6, Some(&record), standby_of(A, true));
    world.until("streams", World::streams);
}

#[test]
fn a_clone_of_an_older_history_is_not_used() {
    let (mut world, record) = promoted_elsewhere();
    // The primary was promoted once more, and the record does not say so yet.
    let primary = world.primaries.get_mut(&A).unwrap();
    primary.timelines.push((Timeline(3), Lsn(5000)));
    world.want(5, Some(&record), standby_of(A, true));
    world.run_for(Duration::millis(500));
    assert_eq!(world.count("start"), 0);
    let next = Record {
        promotions: record.promotions.with(promotion(3, 5000, 5, 2)),
        ..record
    };
    world.want(5, Some(&next), standby_of(A, true));
    world.until("streams", World::streams);
    assert_eq!(world.status.history, next.promotions);
}

#[test]
fn crash_between_any_two_steps_of_a_clone() {
    for carried_out in [false, true] {
        for at in 1..60 {
            let (mut world, record) = promoted_elsewhere();
            let mut dir = rigid();
            dir.end = Lsn(1001);
            world.dir = Some(dir);
            world.crash_at = Some((at, carried_out));
            world.want(5, Some(&record), standby_of(A, true));
            world.until("streams", World::streams);
            assert!(!world.mark);
            assert_eq!(world.aside[0].end, Lsn(1001), "kept");
            assert_eq!(stamp_of(&world).copy, world.status.copy.unwrap());
            assert_ne!(world.status.copy, Some(CopyId(2)));
        }
    }
}

/// An operator asked for a fresh copy: though it fits it is cloned, once the record leaves it out, and not before.
#[test]
fn r11_a_fitting_copy_is_replaced_on_an_operators_word() {
    let (mut world, record) = promoted_elsewhere();
    world.dir = Some(stamped(B, 2));
    world.want(5, Some(&record), standby_of(A, false));
    world.until("streams", World::streams);
    world.replace(copy(B, 2).id);
    world.run_for(Duration::secs(5));
    assert!(
        world.streams() && world.count("clone") == 0,
        "{}",
        world.trace()
    );
    world.want(5, Some(&record), standby_of(A, true));
    world.until("streams again", |w| w.count("clone") == 1 && w.streams());
    assert_eq!(world.count("rewind"), 0);
    assert_ne!(stamp_of(&world).copy, copy(B, 2).id);
}

/// Also what does not run, and what a rewind would make whole.
#[test]
fn r11_a_copy_that_could_be_rewound_is_cloned_on_an_operators_word() {
    let (mut world, record) = promoted_elsewhere();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(2000);
    world.dir = Some(dir);
    world.replace(copy(B, 2).id);
    world.want(5, Some(&record), standby_of(A, true));
    world.until("streams", World::streams);
    assert_eq!((world.count("clone"), world.count("rewind")), (1, 0));
}
