//! The deliberate bugs do what they are for: otherwise the simulator could not find them.
#![cfg(feature = "mutants")]
#![allow(clippy::unwrap_used)]

mod fake;

use fake::*;
use yoke_core::Config;
use yoke_core::mutant::Mutant;
use yoke_core::permission::Lasts;
use yoke_core::postgres::*;

fn primary_with(mutant: Option<Mutant>) -> World {
    let mut world = World::with(Config {
        mutant,
        ..config(A)
    });
    world.dir = Some(stamped(A, 1));
    world.permit(5, Lasts::Unbounded);
    world.standbys = vec![(copy(B, 2), Lsn(900))];
    let record = record(5, A, &[copy(A, 1), copy(B, 2)], vec![]);
    let gate = || Gate::open([copy(B, 2)]);
    world.want(5, Some(&record), primary(gate(), Doors::Closed));
    world.until("open", |w| w.is_open(&[copy(B, 2)]));
    world.want(5, Some(&record), primary(gate(), Doors::Open));
    world.until("doors", |w| w.primary().unwrap().doors == Doors::Open);
    world
}

fn since(world: &World) -> Lsn {
    match &world.primary().unwrap().gate {
        GateStatus::Open { since, .. } => *since,
        _ => panic!(),
    }
}

#[test]
fn r7_open_at_promotion() {
    let world = primary_with(Some(Mutant::R7OpenAtPromotion));
    assert_eq!(
        world.pg.as_ref().unwrap().gate,
        Some(vec![]),
        "acknowledges alone"
    );
    let world = primary_with(None);
    assert_eq!(world.pg.as_ref().unwrap().gate, Some(vec![copy(B, 2)]));
}

#[test]
fn r9_position_before_proof() {
    let wrong = since(&primary_with(Some(Mutant::R9PositionBeforeProof)));
    let right = since(&primary_with(None));
    assert!(wrong < right, "{wrong} {right}");
}

#[test]
fn r15_unverified_rewind() {
    let rejoins = |mutant| {
        let mut world = World::with(Config {
            mutant,
            ..config(B)
        });
        let mut source = stamped(A, 1);
        source.timelines.push((Timeline(2), Lsn(1000)));
        source.end = Lsn(5000);
        world.primaries.insert(A, source);
        world.dir = Some(Dir {
            end: Lsn(1001),
            ..stamped(B, 2)
        });
        world.rewinding = Rewinding::Nothing;
        let record = record(5, A, &[copy(A, 1)], vec![promotion(2, 1000, 5, 1)]);
        world.want(5, Some(&record), standby(Upstream::Member(A), true));
        world.until("started again", |w| w.count("start") == 2);
        world.count("clone")
    };
    assert_eq!(
        rejoins(Some(Mutant::R15UnverifiedRewind)),
        0,
        "started as it was"
    );
    assert_eq!(rejoins(None), 1);
}
