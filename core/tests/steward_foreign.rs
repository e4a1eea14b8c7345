//! A directory that is not this member's copy is never started, and never lost (R14, R15, R20).
#![allow(clippy::unwrap_used)]

mod fake;

use fake::*;
use yoke_core::Duration;
use yoke_core::postgres::*;
use yoke_core::step::*;

#[test]
fn r14_another_database_is_never_touched() {
    let (mut world, record) = promoted_elsewhere();
    let foreign = Dir {
        system_id: SystemId(666),
        ..Dir::fresh()
    };
    world.dir = Some(foreign.clone());
    world.want(5, Some(&record), standby_of(A, true));
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
    let (mut world, record) = promoted_elsewhere();
    world.dir = Some(Dir {
        system_id: SystemId(666),
        never_used: true,
        ..Dir::fresh()
    });
    world.want(5, Some(&record), standby_of(A, true));
    world.until("streams", World::streams);
    assert_eq!(world.aside[0].system_id, SystemId(666));
}

#[test]
fn r14_a_stamp_of_another_cluster_is_never_touched() {
    let (mut world, record) = promoted_elsewhere();
    let mut dir = stamped(B, 2);
    dir.stamp.as_mut().unwrap().cluster = "other".to_owned();
    world.dir = Some(dir);
    world.want(5, Some(&record), standby_of(A, true));
    world.run_for(Duration::secs(3));
    assert_eq!((world.count("mark"), world.count("start")), (0, 0));
    assert!(world.status.fault.is_some());
    assert!(!world.status.stamped);
}

#[test]
fn r15_a_base_backup_carries_its_sources_stamp_and_is_no_copy() {
    let (mut world, record) = promoted_elsewhere();
    world.dir = Some(world.primaries[&A].clone());
    world.want(0, None, standby(Upstream::Nobody, false));
    world.run_for(Duration::secs(1));
    assert_eq!((world.count("start"), world.status.copy), (0, None));
    world.want(5, Some(&record), standby_of(A, true));
    world.until("streams", World::streams);
    assert_eq!(world.aside.len(), 1);
}

#[test]
fn r20_an_unstamped_directory_is_never_started() {
    let (mut world, record) = promoted_elsewhere();
    world.dir = Some(Dir::fresh());
    world.want(0, None, standby(Upstream::Nobody, false));
    world.run_for(Duration::secs(2));
    world.want(5, Some(&record), standby_of(A, false));
    world.run_for(Duration::secs(2));
    assert_eq!(world.count("start"), 0);
    assert_eq!(world.status.copy, None);
}
