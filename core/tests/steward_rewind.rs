//! The second rung: a copy that holds more than the primary's history is rewound, if that can be told to have worked;
//! whatever is doubtful is cloned (R11, R15).
#![allow(clippy::unwrap_used)]

mod fake;

use fake::*;
use yoke_core::Duration;
use yoke_core::postgres::*;
use yoke_core::record::*;

/// Here is B, which went on to 1001 on timeline 1; A was promoted in term 5, at 1000, and is at 5000.
fn world() -> (World, Record) {
    let (mut world, record) = promoted_elsewhere();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(1001);
    world.dir = Some(dir);
    (world, record)
}

fn rejoin(world: &mut World, record: &Record) {
    world.want(5, Some(record), standby(Upstream::Member(A), true));
}

fn streams(world: &mut World, record: &Record) {
    rejoin(world, record);
    world.until("streams", World::streams);
}

fn says(world: &World, text: &str) {
    assert!(world.trace().contains(text), "{}", world.trace());
}

/// Whoever streams is the new history's, under a name of its own.
fn is_whole(world: &World) {
    let dir = world.dir.as_ref().unwrap();
    assert_eq!(dir.timelines, world.primaries[&A].timelines);
    let copy = dir.stamp.as_ref().unwrap().copy;
    assert_ne!(copy, CopyId(2), "new data, new id");
    assert_eq!(world.status.copy, Some(copy));
    assert!(!world.mark && !dir.torn);
    assert_eq!(world.status.fault, None, "what failed before is over");
}

#[test]
fn r11_r15_rewound_seen_to_be_and_named_anew() {
    let (mut world, record) = world();
    rejoin(&mut world, &record);
    world.until("rewinds", |w| w.count("rewind") == 1);
    assert_eq!(world.status.copy, None);
    let rewrites = PgState::Rewriting {
        how: Rewrite::Rewind,
        done: 0,
        total: 0,
    };
    assert_eq!(world.status.state, rewrites);
    world.until("streams", World::streams);
    insta::assert_snapshot!(world.trace());
    assert!(world.place("stop") < world.place("mark"));
    assert!(world.place("mark") < world.place("rewind"));
    assert_eq!((world.count("aside"), world.count("clone")), (0, 0));
    is_whole(&world);
}

/// What an operator's choice of a history lacks is kept whole.
#[test]
fn r17_nothing_is_rewound_to_a_forced_history() {
    let (mut world, mut record) = world();
    record.forced = true;
    streams(&mut world, &record);
    assert_eq!(world.count("rewind"), 0);
    assert_eq!((world.count("aside"), world.count("clone")), (1, 1));
    says(&world, "chosen by an operator");
    is_whole(&world);
}

#[test]
fn a_former_primary_is_rewound() {
    let (mut world, _) = world();
    // Both began with the promotion of term 3; B was the primary, and A took over.
    let begun = promotion(2, 600, 3, 1);
    let dir = world.dir.as_mut().unwrap();
    dir.timelines.push((Timeline(2), Lsn(600)));
    dir.stamp.as_mut().unwrap().history = History::from(vec![begun]);
    let primary = world.primaries.get_mut(&A).unwrap();
    primary.timelines = vec![
        (Timeline(1), Lsn(0)),
        (Timeline(2), Lsn(600)),
        (Timeline(3), Lsn(1000)),
    ];
    let history = vec![begun, promotion(3, 1000, 5, 1)];
    streams(&mut world, &record(5, A, &[copy(A, 1)], history));
    assert_eq!((world.count("rewind"), world.count("clone")), (1, 0));
    is_whole(&world);
}

/// It was promoted, and the primary went on as before.
#[test]
fn a_promotion_of_its_own_is_rewound() {
    let (mut world, record) = world();
    let dir = world.dir.as_mut().unwrap();
    dir.timelines.push((Timeline(2), Lsn(1000)));
    dir.timelines.push((Timeline(7), Lsn(1500)));
    dir.end = Lsn(1600);
    dir.stamp.as_mut().unwrap().history =
        History::from(vec![promotion(2, 1000, 5, 1), promotion(7, 1500, 4, 1)]);
    streams(&mut world, &record);
    says(&world, "beyond 0/5DC is kept");
    assert_eq!((world.count("rewind"), world.count("clone")), (1, 0));
    is_whole(&world);
}

/// What the primary streamed before its own promotion may have had a promotion that no record names: of the same number.
#[test]
fn r15_where_both_were_promoted_since_they_parted_nothing_is_rewound() {
    let (mut world, record) = world();
    let dir = world.dir.as_mut().unwrap();
    dir.timelines.push((Timeline(7), Lsn(900)));
    dir.stamp.as_mut().unwrap().history = History::from(vec![promotion(7, 900, 4, 1)]);
    streams(&mut world, &record);
    says(
        &world,
        "both it and the primary were promoted since they parted",
    );
    assert_eq!((world.count("rewind"), world.count("clone")), (0, 1));
    is_whole(&world);
}

#[test]
fn r15_two_promotions_of_one_number_are_never_rewound() {
    let (mut world, record) = world();
    let dir = world.dir.as_mut().unwrap();
    dir.timelines.push((Timeline(2), Lsn(1000)));
    dir.end = Lsn(1400);
    dir.stamp.as_mut().unwrap().history = History::from(vec![promotion(2, 1000, 4, 1)]);
    streams(&mut world, &record);
    says(&world, "pg_rewind would take them for one");
    assert_eq!((world.count("rewind"), world.count("clone")), (0, 1));
    is_whole(&world);
}

/// Its record knew the promotion that the primary goes on from, its directory did not: PostgreSQL gave that number again.
#[test]
fn r15_nor_is_a_promotion_of_a_number_that_both_began_with() {
    let (mut world, record) = world();
    let dir = world.dir.as_mut().unwrap();
    dir.timelines.push((Timeline(2), Lsn(1000)));
    dir.end = Lsn(1400);
    dir.stamp.as_mut().unwrap().history =
        History::from(vec![promotion(2, 1000, 5, 1), promotion(2, 1000, 5, 2)]);
    streams(&mut world, &record);
    says(&world, "pg_rewind would take them for one");
    assert_eq!((world.count("rewind"), world.count("clone")), (0, 1));
    is_whole(&world);
}

#[test]
fn what_cannot_be_rewound_is_cloned_and_said_why() {
    type Spoil = fn(&mut Dir);
    let cases: [(Spoil, &str); 3] = [
        (|dir| dir.rewindable = false, "wal_log_hints"),
        (
            |dir| {
                dir.timelines.push((Timeline(2), Lsn(1000)));
                dir.timelines.push((Timeline(3), Lsn(1000)));
                dir.checkpointed = false;
                dir.stamp.as_mut().unwrap().history =
                    History::from(vec![promotion(2, 1000, 5, 1), promotion(3, 1000, 5, 2)]);
            },
            "does not tell of timeline 3",
        ),
        (
            |dir| dir.stamp = None,
            "directory aside (it is kept): it is of the cluster's database 7000, but not a copy that Yoke made",
        ),
    ];
    for (spoil, why) in cases {
        let (mut world, record) = world();
        spoil(world.dir.as_mut().unwrap());
        streams(&mut world, &record);
        says(&world, why);
        assert_eq!((world.count("rewind"), world.count("clone")), (0, 1));
        assert_eq!(world.aside[0].end, Lsn(1001), "kept");
        is_whole(&world);
    }
}

#[test]
fn r15_a_rewind_that_did_nothing_is_seen_and_cloned() {
    let (mut world, record) = world();
    world.rewinding = Rewinding::Nothing;
    streams(&mut world, &record);
    insta::assert_snapshot!(world.trace());
    assert_eq!((world.count("rewind"), world.count("clone")), (1, 1));
    assert_eq!(world.count("start"), 2, "not what was left as it was");
    is_whole(&world);
}

/// The mark was set, and its answer was a failure: what the old copy held beyond the primary is not the new one's.
#[test]
fn r11_a_rewound_copy_does_not_inherit_how_far_the_old_one_came() {
    let (mut world, record) = world();
    let beyond = Lsn(9000);
    world.dir.as_mut().unwrap().end = beyond;
    world.failing.insert("mark", 1);
    rejoin(&mut world, &record);
    world.until("tried", |w| w.failing["mark"] == 0);
    world.mark = true;
    world.until("named", |w| w.status.copy.is_some_and(|c| c != CopyId(2)));
    assert_eq!((world.count("rewind"), world.count("clone")), (1, 0));
    assert!(world.status.end < beyond, "{:?}", world.status);
    world.until("streams", World::streams);
    is_whole(&world);
}

#[test]
fn a_rewind_that_breaks_off_is_cloned() {
    let (mut world, record) = world();
    world.rewinding = Rewinding::Tears;
    streams(&mut world, &record);
    assert_eq!((world.count("rewind"), world.count("clone")), (1, 1));
    assert!(world.aside[0].torn);
    is_whole(&world);
}

#[test]
fn a_source_that_is_not_ready_is_asked_again_and_then_it_is_a_clone() {
    let (mut world, record) = world();
    world.failing.insert("rewind", 3);
    streams(&mut world, &record);
    assert_eq!((world.count("rewind"), world.count("clone")), (4, 0));
    is_whole(&world);

    let (mut world, record) = self::world();
    world.failing.insert("rewind", 99);
    streams(&mut world, &record);
    says(&world, "it failed 5 times before it began");
    assert_eq!((world.count("rewind"), world.count("clone")), (5, 1));
    is_whole(&world);
}

#[test]
fn r11_a_copy_that_the_record_may_count_on_is_never_rewound() {
    for (names, may_discard) in [(true, true), (false, false)] {
        let (mut world, mut record) = world();
        if names {
            record.in_sync.push(copy(B, 2));
        }
        world.want(5, Some(&record), standby(Upstream::Member(A), may_discard));
        world.run_for(Duration::secs(20));
        assert_eq!((world.count("mark"), world.count("rewind")), (0, 0));
        assert_eq!(world.status.copy, Some(CopyId(2)));
    }
}

#[test]
fn a_rewind_under_way_ends_with_its_primary() {
    let (mut world, record) = world();
    world.hanging = Some("rewind");
    rejoin(&mut world, &record);
    world.until("hangs", |w| w.hung.len() == 1);
    world.want(5, Some(&record), standby(Upstream::AsFound, false));
    world.run_for(Duration::secs(1));
    assert_eq!(world.hung.len(), 1, "no leader for a while: it goes on");
    world.want(6, Some(&record), Want::Stopped(StopMode::Now));
    world.run_for(Duration::secs(1));
    assert!(world.hung.is_empty());
    world.hanging = None;
    // It had not touched anything: the same rung again.
    world.want(6, Some(&record), standby(Upstream::Member(A), true));
    world.until("streams", World::streams);
    assert_eq!((world.count("rewind"), world.count("clone")), (2, 0));
}

/// The server that is to stop cleanly hangs for good: it is killed after a while, and what is left is cloned.
#[test]
fn r11_a_clean_stop_that_never_ends_is_hurried() {
    let (mut world, record) = world();
    world.hanging = Some("stop");
    rejoin(&mut world, &record);
    world.until("hangs", |w| w.hung.len() == 1);
    world.run_for(Duration::secs(29));
    assert_eq!(world.count("stop"), 1);
    world.hanging = None;
    world.until("streams", World::streams);
    says(&world, "it has not stopped cleanly in 30.000 s");
    assert_eq!((world.count("rewind"), world.count("clone")), (0, 1));
    is_whole(&world);
}

/// The daemon dies before or after any step; what was touched and not seen to be whole is cloned.
#[test]
fn crash_between_any_two_steps_of_a_rewind() {
    let mut rungs = [0, 0];
    for rewinding in [Rewinding::Works, Rewinding::Nothing, Rewinding::Tears] {
        for carried_out in [false, true] {
            for at in 1..60 {
                let (mut world, record) = world();
                world.rewinding = rewinding;
                world.crash_at = Some((at, carried_out));
                streams(&mut world, &record);
                is_whole(&world);
                rungs[usize::from(world.count("clone") > 0)] += 1;
            }
        }
    }
    assert!(rungs.iter().all(|n| *n > 50), "{rungs:?}");
}

#[test]
fn a_new_primary_begins_one_checkpoint_once_it_serves() {
    let mut world = World::new(A);
    world.dir = Some(stamped(A, 1));
    world.permit(5, yoke_core::permission::Lasts::Unbounded);
    let record = record(5, A, &[copy(A, 1)], vec![]);
    world.want(5, Some(&record), primary(Gate::Closed, Doors::Closed));
    world.until("primary", |w| w.primary().is_some());
    world.run_for(Duration::secs(2));
    assert_eq!(world.count("begin checkpoint"), 0, "not before it serves");
    world.want(5, Some(&record), primary(Gate::open([]), Doors::Open));
    world.until("begun", |w| w.count("begin checkpoint") == 1);
    assert_eq!(world.primary().unwrap().doors, Doors::Open);
    assert!(world.is_open(&[]));
    world.run_for(Duration::secs(600));
    assert_eq!(world.count("begin checkpoint"), 1, "once is enough");
}

/// A rewound copy that lacks WAL: started as a standby of nobody, it waits for that for ever.
fn unready() -> (World, Record) {
    let (mut world, record) = world();
    rejoin(&mut world, &record);
    world.until("rewinds", |w| w.count("rewind") == 1);
    world.recovers = true;
    world.replays = Some("0000000000000003".to_owned());
    // As the node says it once there is a copy again, whose end it has not seen.
    world.until("named", |w| w.count("unmark") == 1);
    world.want(5, Some(&record), standby(Upstream::AsFound, true));
    let before = world.count("start");
    world.until("starts", |w| w.count("start") > before);
    (world, record)
}

#[test]
fn a_rewound_copy_that_never_becomes_ready_is_cloned() {
    let (mut world, record) = unready();
    assert!(stamp_of(&world).rewritten);
    world.run_for(Duration::secs(20));
    world.replays = Some("0000000000000004".to_owned());
    world.run_for(Duration::secs(25));
    assert_eq!(world.count("clone"), 0, "it still came further");
    world.until("gives it up", |w| w.count("mark") == 2);
    rejoin(&mut world, &record);
    world.until("clones", |w| w.count("clone") == 1);
    says(
        &world,
        "its recovery has come no further than segment 0000000000000004",
    );
    world.recovers = false;
    world.until("streams", World::streams);
    is_whole(&world);
    assert!(!stamp_of(&world).rewritten);
}

/// Before it has any WAL in hand, PostgreSQL syncs all that was copied: of a large cluster that takes its time.
#[test]
fn a_rewritten_copy_that_has_not_begun_to_recover_is_left_alone() {
    let (mut world, _) = unready();
    world.replays = None;
    world.run_for(Duration::secs(600));
    assert_eq!(world.count("mark"), 1);
}

#[test]
fn a_new_daemon_knows_that_a_copy_was_rewound_and_not_ready_since() {
    let (mut world, record) = unready();
    world.restart_daemon();
    world.want(5, Some(&record), standby(Upstream::AsFound, true));
    world.until("gives it up", |w| w.count("mark") == 2);
    rejoin(&mut world, &record);
    world.until("clones", |w| w.count("clone") == 1);
}

#[test]
fn a_copy_that_was_ready_once_recovers_as_long_as_it_takes() {
    let (mut world, record) = world();
    streams(&mut world, &record);
    world.postmaster_dies();
    world.recovers = true;
    world.run_for(Duration::secs(300));
    assert_eq!(world.count("clone"), 0);
    world.recovers = false;
    world.until("streams", World::streams);
}
