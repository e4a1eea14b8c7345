//! The user's configuration, and the first database (R7, R14).
#![allow(clippy::unwrap_used)]

mod fake;

use fake::*;
use yoke_core::Duration;
use yoke_core::permission::Lasts;
use yoke_core::postgres::*;
use yoke_core::step::Step;

fn fault(world: &World) -> String {
    world
        .status
        .fault
        .as_ref()
        .map_or_else(String::new, ToString::to_string)
}

#[test]
fn r14_the_configured_primary_makes_the_first_database() {
    let mut world = World::new(A);
    world.genesis = true;
    world.want(0, None, standby(Upstream::AsFound, false));
    world.until("a standby", |w| {
        matches!(w.status.state, PgState::Standby { .. })
    });
    assert_eq!(world.count("initdb"), 1);
    // It was made once; a restart of the daemon finds it.
    world.restart_daemon();
    world.run_for(Duration::secs(10));
    assert_eq!(world.count("initdb"), 1);
}

#[test]
fn r14_a_lost_directory_is_never_answered_by_a_new_database() {
    // A record exists: it names this very copy as the only one in sync.
    let mut world = World::new(A);
    let record = record(5, A, &[copy(A, 1)], vec![]);
    world.want(5, Some(&record), standby(Upstream::Nobody, false));
    world.run_for(Duration::secs(30));
    world.permit(5, Lasts::Unbounded);
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Open));
    world.run_for(Duration::secs(30));
    assert_eq!((world.count("initdb"), &world.dir), (0, &None));
    assert!(
        fault(&world).contains("no data directory"),
        "{}",
        fault(&world)
    );
    // Nor where the node does not say that everybody has nothing; nor at another member.
    let mut world = World::new(A);
    world.want(0, None, standby(Upstream::AsFound, false));
    world.run_for(Duration::secs(30));
    assert_eq!(world.count("initdb"), 0);
    let mut world = World::new(B);
    world.genesis = true;
    world.want(0, None, standby(Upstream::AsFound, false));
    world.run_for(Duration::secs(30));
    assert_eq!(world.count("initdb"), 0);
}

#[test]
fn r14_a_stop_ends_the_making_of_a_database() {
    let mut world = World::new(A);
    world.genesis = true;
    world.hanging = Some("initdb");
    world.want(0, None, standby(Upstream::AsFound, false));
    world.until("the order", |w| w.count("initdb") == 1);
    world.want(0, None, Want::Stopped(StopMode::Clean));
    world.until("its end", |w| w.count("stop") == 1);
}

fn serving() -> World {
    let mut world = World::new(A);
    world.dir = Some(stamped(A, 1));
    let record = record(5, A, &[copy(A, 1)], vec![]);
    world.permit(5, Lasts::Unbounded);
    world.want(5, Some(&record), primary(Gate::Open(vec![]), Doors::Open));
    world.until("open", |w| {
        w.is_open(&[]) && w.primary().is_some_and(|p| p.doors == Doors::Open)
    });
    world.run_for(Duration::secs(1));
    world
}

#[test]
fn changed_files_are_taken_in_while_the_gate_stays_proven() {
    let mut world = serving();
    let (settings, reloads) = (world.count("settings"), world.count("reload"));
    world.edited = true;
    world.until("told", |w| w.status.notes == ["edited"]);
    world.until("written again", |w| !w.edited);
    world.until("in force", |w| w.status.notes.is_empty());
    world.run_for(Duration::secs(5));
    assert_eq!(world.count("settings"), settings + 1);
    assert_eq!(world.count("reload"), reloads + 1);
    assert!(world.is_open(&[]), "the gate was never in doubt");
    assert_eq!(world.count("canary"), 1, "it was proven once");
}

#[test]
fn a_standby_takes_changed_files_in_too() {
    let mut world = World::new(B);
    world.dir = Some(stamped(B, 2));
    let record = record(5, A, &[copy(A, 1)], vec![]);
    world.want(5, Some(&record), standby(Upstream::Nobody, false));
    world.until("a standby", |w| {
        matches!(w.status.state, PgState::Standby { .. })
    });
    world.edited = true;
    world.until("written again", |w| !w.edited);
    // As found is as found.
    world.want(5, Some(&record), standby(Upstream::AsFound, false));
    world.edited = true;
    world.run_for(Duration::secs(3));
    assert!(world.edited);
}

#[test]
fn a_refused_reload_is_told_in_postgresqls_words() {
    let mut world = serving();
    world.refuses = Some("line 7: unknown word".to_owned());
    world.edited = true;
    world.until("refused", |w| fault(w).contains("line 7: unknown word"));
    assert!(world.is_open(&[]), "what is in force stays so");
}

#[test]
fn r7_a_gate_of_somebody_elses_is_written_over() {
    let mut world = serving();
    world.gate_is_ours = false;
    world.edited = true;
    world.until("in doubt", |w| !w.is_open(&[]));
    world.until("written again", |w| !w.edited);
    world.gate_is_ours = true;
    world.until("proven again", |w| w.is_open(&[]));
}

#[test]
fn r4_a_standby_that_cannot_replay_is_started_again() {
    let mut world = World::new(B);
    world.dir = Some(stamped(B, 2));
    let record = record(5, A, &[copy(A, 1)], vec![]);
    world.want(5, Some(&record), standby(Upstream::Nobody, false));
    world.until("a standby", |w| {
        matches!(w.status.state, PgState::Standby { .. })
    });
    world.replay_paused = true;
    world.run_for(Duration::secs(3));
    assert_eq!(world.count("start"), 1, "a pause alone is somebody's wish");
    world.too_small = Some("max_connections is too small".to_owned());
    world.until("a restart", |w| w.count("start") == 2);
    assert!(world.steps.contains(&Step::Stop(StopMode::Clean)));
}

#[test]
fn a_start_that_postgresql_refuses_is_told_in_its_words() {
    let mut world = World::new(B);
    world.dir = Some(stamped(B, 2));
    world.failing.insert("observe", 1000);
    let record = record(5, A, &[copy(A, 1)], vec![]);
    world.want(5, Some(&record), standby(Upstream::Nobody, false));
    world.until("a postmaster", |w| w.pg.is_some());
    world.postmaster_dies();
    world.until("told", |w| {
        fault(w).contains("answered anything: FATAL: no")
    });
}
