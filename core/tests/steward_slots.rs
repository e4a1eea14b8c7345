//! Replication slots: a name stands for one connection (R7).
#![allow(clippy::unwrap_used)]

mod fake;

use fake::*;
use yoke_core::Duration;
use yoke_core::member::MemberId;
use yoke_core::permission::Lasts;
use yoke_core::postgres::*;
use yoke_core::record::*;
use yoke_core::step::{Slot, Step};

const OWN: u64 = 1;
const D: MemberId = MemberId(3);

fn slot(copy: Copy, active: bool) -> Slot {
    Slot { copy, active }
}

fn names(world: &World) -> Vec<Copy> {
    world.slots.iter().map(|slot| slot.copy).collect()
}

/// A member that is to be primary, with these copies known.
fn to_be_primary(copies: &[Copy]) -> (World, Record) {
    let mut world = World::new(A);
    world.dir = Some(stamped(A, OWN));
    world.permit(5, Lasts::Unbounded);
    world.standbys = vec![(copy(B, 2), Lsn(900))];
    world.copies = copies.to_vec();
    let record = record(5, A, &[copy(A, OWN), copy(B, 2)], vec![]);
    (world, record)
}

fn open() -> Want {
    primary(Gate::open([copy(B, 2)]), Doors::Open)
}

fn serves(world: &World) -> bool {
    world.is_open(&[copy(B, 2)]) && world.primary().is_some_and(|p| p.doors == Doors::Open)
}

#[test]
fn r7_a_primary_has_a_slot_for_each_copy_before_its_gate_names_one() {
    let (mut world, record) = to_be_primary(&[copy(B, 2), copy(D, 4)]);
    world.want(5, Some(&record), open());
    world.until("it serves", serves);
    assert_eq!(names(&world), [copy(B, 2), copy(D, 4)]);
    assert_eq!(world.count("slots"), 1);
    assert!(world.place("promote") < world.place("slots"));
    assert!(world.place("slots") < world.place("canary"));
    // Nothing more is done as long as that is so.
    world.run_for(Duration::secs(5));
    assert_eq!(world.count("slots"), 1);
}

#[test]
fn a_copy_that_was_replaced_has_no_slot_once_nobody_streams_from_it() {
    let (mut world, record) = to_be_primary(&[copy(B, 2), copy(D, 4)]);
    world.want(5, Some(&record), open());
    world.until("it serves", serves);
    // An old connection still has it; its own copies' are of former days.
    world.slots = vec![
        slot(copy(A, 9), false),
        slot(copy(B, 2), true),
        slot(copy(D, 4), true),
    ];
    world.copies = vec![copy(B, 2), copy(D, 5)];
    world.want(5, Some(&record), open());
    world.run_for(Duration::secs(1));
    assert_eq!(names(&world), [copy(B, 2), copy(D, 4), copy(D, 5)]);
    world.slots[1].active = false;
    world.run_for(Duration::secs(1));
    assert_eq!(names(&world), [copy(B, 2), copy(D, 5)]);
    // Whoever says nothing for now will need what is kept.
    world.copies = vec![copy(B, 2)];
    world.slots[1].active = false;
    world.want(5, Some(&record), open());
    world.run_for(Duration::secs(5));
    assert_eq!(names(&world), [copy(B, 2), copy(D, 5)]);
}

#[test]
fn a_standby_keeps_nobodys_log() {
    let (mut world, record) = to_be_primary(&[]);
    world.slots = vec![slot(copy(B, 2), false), slot(copy(D, 4), false)];
    world.want(5, Some(&record), standby(Upstream::Nobody, false));
    world.until("none is left", |w| w.slots.is_empty());
}

#[test]
fn slots_that_cannot_be_made_hold_nothing_up_and_are_tried_again() {
    let (mut world, record) = to_be_primary(&[copy(B, 2)]);
    world.failing.insert("slots", 3);
    world.want(5, Some(&record), open());
    world.until("it serves", serves);
    assert_eq!(world.count("slots"), 1, "{}", world.trace());
    let fault = world.status.fault.clone().expect("it is said");
    assert!(fault.0.contains("replication slots"), "{fault}");
    assert!(serves(&world) && names(&world).is_empty());
    world.until("made", |w| !w.slots.is_empty());
    assert_eq!(world.count("slots"), 4);
    world.until("it is over", |w| w.status.fault.is_none());
}

/// A daemon may end before and after any step: what is seen is all that counts.
#[test]
fn slots_are_made_whenever_a_daemon_ends() {
    for (at, done) in (0..40).flat_map(|at| [(at, false), (at, true)]) {
        let (mut world, record) = to_be_primary(&[copy(B, 2), copy(D, 5)]);
        world.slots = vec![slot(copy(D, 4), false)];
        world.crash_at = Some((at, done));
        world.want(5, Some(&record), open());
        world.until("it serves, its slots made", |w| {
            serves(w) && names(w) == [copy(B, 2), copy(D, 5)]
        });
    }
}

#[test]
fn slots_are_the_daemons() {
    let (make, drop) = (vec![], vec![]);
    assert!(!Step::Slots { make, drop }.is_guards());
}
