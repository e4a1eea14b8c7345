//! A copy that comes back and fits follows as it is (R15, R6, R20).
#![allow(clippy::unwrap_used)]

mod fake;

use fake::*;
use yoke_core::Duration;
use yoke_core::postgres::*;
use yoke_core::record::*;
use yoke_core::step::*;

#[test]
fn r15_what_fits_follows_without_a_clone() {
    let (mut world, record) = promoted_elsewhere();
    world.dir = Some(stamped(B, 2));
    world.want(5, Some(&record), standby_of(A, false));
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
    world.want(5, Some(&record), standby_of(A, true));
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
    let (mut world, record) = promoted_elsewhere();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(800);
    world.dir = Some(dir);
    world.want(5, Some(&record), standby(Upstream::AsFound, false));
    world.until("standby", |w| {
        matches!(w.status.state, PgState::Standby { of: None, .. })
    });
    world.want(5, Some(&record), standby_of(A, false));
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
    let (mut world, record) = promoted_elsewhere();
    world.dir = Some(stamped(B, 2));
    world.want(5, Some(&record), standby_of(A, false));
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
    world.want(5, Some(&next), standby_of(A, false));
    world.run_for(Duration::secs(1));
    assert_eq!(world.status.history, next.promotions);
    assert_eq!(world.count("settings"), settings, "not even interrupted");
    assert!(world.streams());
}

/// It was pointed at a primary that died before anything of its timeline came: what it holds still fits another's.
#[test]
fn r15_what_was_never_entered_does_not_keep_it_from_fitting() {
    let (mut world, record) = promoted_elsewhere();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(700);
    dir.stamp.as_mut().unwrap().history = History::from(vec![promotion(2, 900, 4, 1)]);
    world.dir = Some(dir);
    world.want(5, Some(&record), standby_of(A, false));
    world.until("streams", World::streams);
    assert_eq!(world.count("clone"), 0);
}

/// R6: promotions that the copy lacks are dropped: it was pointed at A's new timeline, and never got anything of it.
#[test]
fn r6_what_was_never_entered_is_not_in_the_history() {
    let (mut world, record) = promoted_elsewhere();
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
    let (mut world, record) = promoted_elsewhere();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(700);
    let ordered = dir.stamp.as_mut().unwrap();
    ordered.history = History::from(vec![promotion(2, 900, 4, 1)]);
    (ordered.ordered, ordered.ordered_on) = (Some((Term(4), 1)), Timeline(1));
    world.dir = Some(dir);
    world.want(5, Some(&record), standby_of(A, false));
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
    let (mut world, record) = promoted_elsewhere();
    let mut dir = stamped(B, 2);
    dir.end = Lsn(700);
    world.dir = Some(dir);
    let own = fake::record(4, B, &[copy(A, 1), copy(B, 2)], vec![]);
    // No permission: the guard refuses.
    world.want(4, Some(&own), primary(Gate::Closed, Doors::Closed));
    world.until("orders it", |w| w.count("promote") > 0);
    world.want(5, Some(&record), standby_of(A, false));
    world.until("streams", World::streams);
    world.postmaster_dies();
    world.until("is down", |w| !w.streams());
    world.until("streams again", World::streams);
    assert_eq!(world.status.history, record.promotions);
}

#[test]
fn crash_between_any_two_steps_of_following() {
    for carried_out in [false, true] {
        for at in 1..40 {
            let (mut world, record) = promoted_elsewhere();
            world.dir = Some(stamped(B, 2));
            world.crash_at = Some((at, carried_out));
            world.want(5, Some(&record), standby_of(A, true));
            world.until("streams", World::streams);
            assert_eq!((world.count("clone"), world.count("start")), (0, 1));
        }
    }
}
