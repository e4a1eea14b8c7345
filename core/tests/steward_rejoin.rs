//! A copy that comes back: fits, or is set aside and cloned (R11, R14, R15, R20). Rewinds: `steward_rewind`.
#![allow(clippy::unwrap_used)]

mod fake;

use fake::*;
use yoke_core::Duration;
use yoke_core::guard::GuardEvent;
use yoke_core::member::MemberId;
use yoke_core::postgres::*;
use yoke_core::record::*;
use yoke_core::step::*;

/// Here is B; A was promoted in term 5, at 1000, and is at 5000.
fn world() -> (World, Record) {
    let mut world = World::new(B);
    let mut primary = stamped(A, 1);
    primary.timelines.push((Timeline(2), Lsn(1000)));
    primary.end = Lsn(5000);
    world.primaries.insert(A, primary);
    (
        world,
        record(5, A, &[copy(A, 1)], vec![promotion(2, 1000, 5, 1)]),
    )
}

/// B's copy, which nobody can rewind.
fn rigid() -> Dir {
    Dir {
        rewindable: false,
        ..stamped(B, 2)
    }
}

fn of(member: MemberId, may_discard: bool) -> Want {
    standby(Upstream::Member(member), may_discard)
}

#[test]
fn r15_what_fits_follows_without_a_clone() {
    let (mut world, record) = world();
    world.dir = Some(stamped(B, 2));
    world.want(5, Some(&record), of(A, false));
    world.until("streams", World::streams);
    insta::assert_snapshot!(world.trace());
    let stamp = stamp_of(&world);
    assert_eq!(
        stamp.history, record.promotions,
        "stamped before it followed"
    );
    assert_eq!(stamp.follows, Some(copy(A, 1)));
    assert_eq!(world.count("start"), 1);
    assert_eq!(world.status.history, record.promotions);
}

#[test]
fn r15_a_promotion_that_left_with_its_history_is_not_found_again() {
    // Both were promoted at the same place; B, in term 4, wrote nothing: what it holds fits.
    let mut world = World::new(B);
    let mut primary = stamped(A, 1);
    primary.timelines.push((Timeline(2), Lsn(900)));
    primary.end = Lsn(5000);
    world.primaries.insert(A, primary);
    let record = record(5, A, &[copy(A, 1)], vec![promotion(2, 900, 5, 1)]);
    let mut dir = stamped(B, 2);
    dir.timelines.push((Timeline(2), Lsn(900)));
    dir.end = Lsn(900);
    let stamp = dir.stamp.as_mut().unwrap();
    stamp.history = History::from(vec![promotion(2, 900, 4, 1)]);
    stamp.ordered = Some((Term(4), 1));
    stamp.ordered_on = Timeline(1);
    world.dir = Some(dir);
    world.want(5, Some(&record), of(A, true));
    world.until("streams", World::streams);
    assert_eq!(stamp_of(&world).history, record.promotions);
    assert!(!world.trace().contains("never happened"));
    world.postmaster_dies();
    world.until("streams again", |w| w.count("start") == 2 && w.streams());
    assert!(!world.trace().contains("was promoted"), "{}", world.trace());
    assert_eq!(stamp_of(&world).history, record.promotions);
    assert_eq!(stamp_of(&world).copy, copy(B, 2).id);
}

#[test]
fn a_running_standby_is_pointed_elsewhere_without_a_restart() {
    let (mut world, record) = world();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(800);
    world.dir = Some(dir);
    world.want(5, Some(&record), standby(Upstream::AsFound, false));
    world.until("standby", |w| {
        matches!(w.status.state, PgState::Standby { of: None, .. })
    });
    world.want(5, Some(&record), of(A, false));
    world.until("streams", World::streams);
    world.run_for(Duration::secs(1));
    let settings = world.count("settings");
    world.run_for(Duration::secs(5));
    assert_eq!(world.count("settings"), settings, "nothing to do");
    world.want(5, Some(&record), standby(Upstream::AsFound, false));
    world.run_for(Duration::secs(1));
    assert!(world.streams(), "left as found");
    world.want(5, Some(&record), standby(Upstream::Nobody, false));
    world.until("of nobody", |w| {
        matches!(
            w.status.state,
            PgState::Standby {
                of: None,
                streaming: false,
                ..
            }
        )
    });
    assert_eq!(world.count("start"), 1);
}

#[test]
fn r15_what_followed_the_same_copy_through_its_next_promotion_fits() {
    let (mut world, record) = world();
    world.dir = Some(stamped(B, 2));
    world.want(5, Some(&record), of(A, false));
    world.until("streams", World::streams);
    // A restarts and is promoted again; its standby follows by itself, beyond that promotion.
    let primary = world.primaries.get_mut(&A).unwrap();
    primary.timelines.push((Timeline(3), Lsn(5000)));
    primary.end = Lsn(6000);
    world.run_for(Duration::secs(1));
    assert_eq!(world.dir.as_ref().unwrap().end, Lsn(6000));
    let settings = world.count("settings");
    let next = Record {
        promotions: record.promotions.with(promotion(3, 5000, 5, 2)),
        ..record
    };
    world.want(5, Some(&next), of(A, false));
    world.run_for(Duration::secs(1));
    assert_eq!(world.status.history, next.promotions);
    assert_eq!(world.count("settings"), settings, "not even interrupted");
    assert!(world.streams());
}

#[test]
fn r15_two_promotions_of_one_number_and_place_are_two() {
    let (mut world, record) = world();
    let mut dir = stamped(B, 2);
    dir.timelines.push((Timeline(2), Lsn(1000)));
    dir.end = Lsn(1400);
    dir.stamp.as_mut().unwrap().history = History::from(vec![promotion(2, 1000, 4, 1)]);
    world.dir = Some(dir);
    world.want(5, Some(&record), of(A, false));
    world.run_for(Duration::secs(3));
    assert!(!world.streams(), "PostgreSQL would have followed");
    let fault = world.status.fault.clone().unwrap().to_string();
    assert!(fault.contains("is kept"), "{fault}");
    assert_eq!(world.count("mark"), 0, "R11: not without the record's word");
    world.want(5, Some(&record), of(A, true));
    world.until("streams", World::streams);
    assert_eq!(world.aside.len(), 1);
}

#[test]
fn r15_a_copy_on_which_postgresql_does_not_start_is_replaced() {
    let (mut world, record) = world();
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
    world.want(5, Some(&record), of(A, true));
    world.until("streams", World::streams);
    assert_eq!(world.aside.len(), 1, "kept");
}

#[test]
fn r11_the_mark_comes_first_and_gives_the_copy_up() {
    let (mut world, record) = world();
    let mut dir = rigid();
    dir.end = Lsn(1001);
    world.dir = Some(dir);
    world.want(5, Some(&record), of(A, true));
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
    let (mut world, record) = world();
    let mut dir = rigid();
    dir.end = Lsn(1001);
    world.dir = Some(dir);
    world.hanging = Some("mark");
    world.want(5, Some(&record), of(A, true));
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
    let (mut world, mut record) = world();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(1001);
    world.dir = Some(dir);
    record.in_sync.push(copy(B, 2));
    world.want(5, Some(&record), of(A, true));
    world.run_for(Duration::secs(20));
    assert_eq!(world.count("mark"), 0);
    assert!(world.status.fault.is_some());
    assert_eq!(world.status.copy, Some(CopyId(2)));
}

#[test]
fn an_absent_directory_waits_for_the_record_and_is_cloned() {
    let (mut world, record) = world();
    world.want(0, None, standby(Upstream::Nobody, false));
    world.run_for(Duration::secs(2));
    assert_eq!(world.status.state, PgState::NoData);
    assert!(world.status.fault.is_some());
    world.want(5, Some(&record), of(A, true));
    world.until("streams", World::streams);
    assert_eq!((world.count("aside"), world.count("clone")), (0, 1));
}

#[test]
fn r14_another_database_is_never_touched() {
    let (mut world, record) = world();
    let foreign = Dir {
        system_id: SystemId(666),
        ..Dir::fresh()
    };
    world.dir = Some(foreign.clone());
    world.want(5, Some(&record), of(A, true));
    world.run_for(Duration::secs(12));
    assert!(world.steps.iter().all(|s| *s == Step::Inspect));
    assert_eq!(world.dir, Some(foreign));
    assert_eq!(world.status.state, PgState::NoData);
    let fault = world.status.fault.clone().unwrap().to_string();
    assert!(
        fault.contains("666") && fault.contains("move it away"),
        "{fault}"
    );
    // The operator does.
    world.dir = None;
    world.until("streams", World::streams);
}

#[test]
fn r14_another_database_that_was_never_used_is_set_aside() {
    let (mut world, record) = world();
    world.dir = Some(Dir {
        system_id: SystemId(666),
        never_used: true,
        ..Dir::fresh()
    });
    world.want(5, Some(&record), of(A, true));
    world.until("streams", World::streams);
    assert_eq!(world.aside[0].system_id, SystemId(666));
}

#[test]
fn r14_a_stamp_of_another_cluster_is_never_touched() {
    let (mut world, record) = world();
    let mut dir = stamped(B, 2);
    dir.stamp.as_mut().unwrap().cluster = "other".to_owned();
    world.dir = Some(dir);
    world.want(5, Some(&record), of(A, true));
    world.run_for(Duration::secs(3));
    assert_eq!((world.count("mark"), world.count("start")), (0, 0));
    assert!(world.status.fault.is_some());
    assert!(!world.status.stamped);
}

#[test]
fn r15_a_base_backup_carries_its_sources_stamp_and_is_no_copy() {
    let (mut world, record) = world();
    world.dir = Some(world.primaries[&A].clone());
    world.want(0, None, standby(Upstream::Nobody, false));
    world.run_for(Duration::secs(1));
    assert_eq!((world.count("start"), world.status.copy), (0, None));
    world.want(5, Some(&record), of(A, true));
    world.until("streams", World::streams);
    assert_eq!(world.aside.len(), 1);
}

#[test]
fn r20_an_unstamped_directory_is_never_started() {
    let (mut world, record) = world();
    world.dir = Some(Dir::fresh());
    world.want(0, None, standby(Upstream::Nobody, false));
    world.run_for(Duration::secs(2));
    world.want(5, Some(&record), of(A, false));
    world.run_for(Duration::secs(2));
    assert_eq!(world.count("start"), 0);
    assert_eq!(world.status.copy, None);
}

#[test]
fn a_zombie_is_noticed() {
    let (mut world, record) = world();
    let mut dir = stamped(B, 2);
    // PostgreSQL sees what the stamp does not: it will never stream.
    dir.timelines.push((Timeline(9), Lsn(500)));
    dir.end = Lsn(900);
    world.dir = Some(dir);
    world.want(5, Some(&record), of(A, true));
    world.run_for(Duration::secs(9));
    assert!(!world.streams());
    assert_eq!(world.count("clone"), 0, "patience");
    world.until("streams", World::streams);
    assert_eq!(world.count("clone"), 1);
}

/// It was away for longer than the primary keeps WAL.
#[test]
fn a_receiver_that_comes_and_goes_brings_nothing() {
    let (mut world, record) = world();
    world.dir = Some(Dir {
        end: Lsn(900),
        ..stamped(B, 2)
    });
    world.removed_before = Lsn(2000);
    world.want(5, Some(&record), of(A, true));
    world.run_for(Duration::secs(9));
    assert_eq!(world.count("clone"), 0, "patience");
    world.run_for(Duration::secs(9));
    assert_eq!(world.count("clone"), 1);
    world.until("streams", World::streams);
}

#[test]
fn a_failing_clone_is_tried_again_slowly() {
    let (mut world, record) = world();
    world.failing.insert("clone", 5);
    world.want(5, Some(&record), of(A, true));
    world.run_for(Duration::secs(6));
    assert_eq!(world.count("clone"), 3, "at 0, 1, 3 s");
    assert!(world.status.fault.clone().unwrap().0.contains("scripted"));
    world.until("streams", World::streams);
    assert_eq!(world.status.fault, None);
}

#[test]
fn a_clone_of_what_is_no_longer_primary_is_ended() {
    let (mut world, record) = world();
    world.hanging = Some("clone");
    world.want(5, Some(&record), of(A, true));
    world.run_for(Duration::secs(1));
    assert_eq!(world.hung.len(), 1);
    world.want(5, Some(&record), standby(Upstream::AsFound, false));
    world.run_for(Duration::secs(1));
    assert_eq!(world.hung.len(), 1, "no leader for a while: it goes on");
    world.want(6, Some(&record), Want::Stopped(StopMode::Now));
    world.run_for(Duration::secs(1));
    assert!(world.hung.is_empty());
    world.hanging = None;
    world.want(6, Some(&record), of(A, true));
    world.until("streams", World::streams);
}

#[test]
fn a_clone_of_an_older_history_is_not_used() {
    let (mut world, record) = world();
    // The primary was promoted once more, and the record does not say so yet.
    let primary = world.primaries.get_mut(&A).unwrap();
    primary.timelines.push((Timeline(3), Lsn(5000)));
    world.want(5, Some(&record), of(A, true));
    world.run_for(Duration::millis(500));
    assert_eq!(world.count("start"), 0);
    let next = Record {
        promotions: record.promotions.with(promotion(3, 5000, 5, 2)),
        ..record
    };
    world.want(5, Some(&next), of(A, true));
    world.until("streams", World::streams);
    assert_eq!(world.status.history, next.promotions);
}

#[test]
fn crash_between_any_two_steps_of_a_clone() {
    for carried_out in [false, true] {
        for at in 1..60 {
            let (mut world, record) = world();
            let mut dir = rigid();
            dir.end = Lsn(1001);
            world.dir = Some(dir);
            world.crash_at = Some((at, carried_out));
            world.want(5, Some(&record), of(A, true));
            world.until("streams", World::streams);
            assert!(!world.mark);
            assert_eq!(world.aside[0].end, Lsn(1001), "kept");
            assert_eq!(stamp_of(&world).copy, world.status.copy.unwrap());
            assert_ne!(world.status.copy, Some(CopyId(2)));
        }
    }
}

#[test]
fn crash_between_any_two_steps_of_following() {
    for carried_out in [false, true] {
        for at in 1..40 {
            let (mut world, record) = world();
            world.dir = Some(stamped(B, 2));
            world.crash_at = Some((at, carried_out));
            world.want(5, Some(&record), of(A, true));
            world.until("streams", World::streams);
            assert_eq!((world.count("clone"), world.count("start")), (0, 1));
        }
    }
}

/// It was pointed at a primary that died before anything of its timeline came: what it holds still fits another's.
#[test]
fn r15_what_was_never_entered_does_not_keep_it_from_fitting() {
    let (mut world, record) = world();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(700);
    dir.stamp.as_mut().unwrap().history = History::from(vec![promotion(2, 900, 4, 1)]);
    world.dir = Some(dir);
    world.want(5, Some(&record), of(A, false));
    world.until("streams", World::streams);
    assert_eq!(world.count("clone"), 0);
}

/// R6: promotions that the copy lacks are dropped: it was pointed at A's new timeline, and never got anything of it.
#[test]
fn r6_what_was_never_entered_is_not_in_the_history() {
    let (mut world, record) = world();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(700);
    dir.stamp = Some(Stamp {
        history: record.promotions.clone(),
        follows: Some(copy(A, 1)),
        rewritten: false,
        ..stamp(B, 2, vec![])
    });
    world.dir = Some(dir);
    let next = fake::record(6, B, &[copy(A, 1), copy(B, 2)], vec![]);
    world.permit(6, yoke_core::permission::Lasts::Unbounded);
    world.want(6, Some(&next), primary(Gate::Closed, Doors::Closed));
    world.until("primary", |w| w.primary().is_some());
    let history: Vec<_> = world.status.history.promotions().to_vec();
    assert_eq!(history.len(), 1);
    assert_eq!((history[0].start, history[0].term), (Lsn(700), Term(6)));
}

/// R15: a promotion of its own came as far as a history file and was then dropped for the primary's history. It is over:
/// the primary's promotion, of the same number, is never taken for it at the next start.
#[test]
fn r15_an_order_that_was_dropped_for_anothers_history_is_not_found_again() {
    let (mut world, record) = world();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(700);
    let ordered = dir.stamp.as_mut().unwrap();
    ordered.history = History::from(vec![promotion(2, 900, 4, 1)]);
    (ordered.ordered, ordered.ordered_on) = (Some((Term(4), 1)), Timeline(1));
    world.dir = Some(dir);
    world.want(5, Some(&record), of(A, false));
    world.until("streams", World::streams);
    world.postmaster_dies();
    world.until("is down", |w| !w.streams());
    world.until("streams again", World::streams);
    let stamp = world.dir.as_ref().unwrap().stamp.as_ref().unwrap();
    assert_eq!((&stamp.history, stamp.ordered), (&record.promotions, None));
    assert_eq!(world.status.history, record.promotions);
    assert!(!world.trace().contains("by (4,1)"), "{}", world.trace());
}

/// R15: its promotion was stamped, and then another was elected before it was carried out.
#[test]
fn r15_an_order_that_was_never_carried_out_is_not_found_in_anothers_history() {
    let (mut world, record) = world();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(700);
    world.dir = Some(dir);
    let own = fake::record(4, B, &[copy(A, 1), copy(B, 2)], vec![]);
    // No permission: the guard refuses.
    world.want(4, Some(&own), primary(Gate::Closed, Doors::Closed));
    world.until("orders it", |w| w.count("promote") > 0);
    world.want(5, Some(&record), of(A, false));
    world.until("streams", World::streams);
    world.postmaster_dies();
    world.until("is down", |w| !w.streams());
    world.until("streams again", World::streams);
    assert_eq!(world.status.history, record.promotions);
}

/// An operator asked for a fresh copy: though it fits it is cloned, once the record leaves it out, and not before.
#[test]
fn r11_a_fitting_copy_is_replaced_on_an_operators_word() {
    let (mut world, record) = world();
    world.dir = Some(stamped(B, 2));
    world.want(5, Some(&record), of(A, false));
    world.until("streams", World::streams);
    world.replace(copy(B, 2).id);
    world.run_for(Duration::secs(5));
    assert!(
        world.streams() && world.count("clone") == 0,
        "{}",
        world.trace()
    );
    world.want(5, Some(&record), of(A, true));
    world.until("streams again", |w| w.count("clone") == 1 && w.streams());
    assert_eq!(world.count("rewind"), 0);
    assert_ne!(stamp_of(&world).copy, copy(B, 2).id);
}

/// Also what does not run, and what a rewind would make whole.
#[test]
fn r11_a_copy_that_could_be_rewound_is_cloned_on_an_operators_word() {
    let (mut world, record) = world();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(2000);
    world.dir = Some(dir);
    world.replace(copy(B, 2).id);
    world.want(5, Some(&record), of(A, true));
    world.until("streams", World::streams);
    assert_eq!((world.count("clone"), world.count("rewind")), (1, 0));
}
