//! Two things at once: every pair of events, the second some moments after the first; then everything is healed and has
//! to come back. Nothing is lost, never do two serve (the harness looks after every millisecond).
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::Duration;
use yoke_core::member::MemberId;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Drill {
    Demote,
    Stop(MemberId),
    KillDaemon(MemberId),
    RestartDaemon(MemberId),
    PowerOff(MemberId),
    PowerCycle(MemberId),
    KillDatabase(MemberId),
    Hang(MemberId),
    Unpromotable(MemberId),
    Unstartable(MemberId),
    Cut(MemberId, MemberId),
    CutOneWay(MemberId, MemberId),
    CutOff(MemberId),
    DiskHangs(MemberId),
}

use Drill::*;

const DRILLS: [Drill; 34] = [
    Demote,
    Stop(DATA1),
    Stop(DATA2),
    Stop(MONITOR),
    KillDaemon(DATA1),
    KillDaemon(DATA2),
    RestartDaemon(DATA1),
    RestartDaemon(DATA2),
    RestartDaemon(MONITOR),
    PowerOff(DATA1),
    PowerOff(DATA2),
    PowerOff(MONITOR),
    PowerCycle(DATA1),
    PowerCycle(DATA2),
    KillDatabase(DATA1),
    KillDatabase(DATA2),
    Hang(DATA1),
    Hang(DATA2),
    Unpromotable(DATA1),
    Unpromotable(DATA2),
    Unstartable(DATA1),
    Unstartable(DATA2),
    Cut(DATA1, DATA2),
    Cut(DATA1, MONITOR),
    Cut(DATA2, MONITOR),
    CutOneWay(DATA1, DATA2),
    CutOneWay(DATA2, DATA1),
    CutOneWay(DATA1, MONITOR),
    CutOneWay(MONITOR, DATA1),
    CutOff(DATA1),
    CutOff(DATA2),
    CutOff(MONITOR),
    DiskHangs(DATA1),
    DiskHangs(MONITOR),
];

const DELAYS: [u64; 8] = [0, 60, 145, 170, 240, 500, 1100, 2100];

fn happens(cluster: &mut Cluster, drill: Drill) {
    let trouble = Trouble::default();
    match drill {
        Demote => {
            if let Some(leader) = cluster.leader() {
                cluster.demote(leader);
            }
        }
        Stop(m) => cluster.stop(m),
        KillDaemon(m) => cluster.kill_daemon(m),
        RestartDaemon(m) => {
            cluster.kill_daemon(m);
            if cluster.host(m).powered {
                cluster.start(m);
            }
        }
        PowerOff(m) => cluster.power_off(m),
        PowerCycle(m) => {
            cluster.power_off(m);
            cluster.start(m);
        }
        KillDatabase(m) => cluster.kill_database(m),
        Hang(m) => {
            let hangs = true;
            cluster.trouble(m, Trouble { hangs, ..trouble });
        }
        Unpromotable(m) => {
            let cannot_promote = true;
            cluster.trouble(
                m,
                Trouble {
                    cannot_promote,
                    ..trouble
                },
            );
            cluster.kill_database(m);
        }
        Unstartable(m) => {
            let cannot_start = true;
            cluster.trouble(
                m,
                Trouble {
                    cannot_start,
                    ..trouble
                },
            );
            cluster.kill_database(m);
        }
        Cut(a, b) => cluster.cut(a, b),
        CutOneWay(a, b) => cluster.cut_one_way(a, b),
        CutOff(m) => cluster.cut_off(m),
        DiskHangs(m) => cluster.disk_hangs(m, true),
    }
}

fn heal(cluster: &mut Cluster) {
    cluster.heal();
    for m in [DATA1, DATA2, MONITOR] {
        cluster.disk_hangs(m, false);
        if m != MONITOR {
            cluster.trouble(m, Trouble::default());
        }
    }
}

fn start_what_is_down(cluster: &mut Cluster) {
    for m in [DATA1, DATA2, MONITOR] {
        if cluster.host(m).node.is_none() {
            cluster.start(m);
        }
    }
}

/// What went wrong, if something did.
fn drill(
    start: &dyn Fn() -> Cluster,
    first: Drill,
    second: Drill,
    delay: Duration,
    rest: Duration,
) -> Option<String> {
    let mut cluster = start();
    happens(&mut cluster, first);
    cluster.run_for(delay);
    happens(&mut cluster, second);
    cluster.run_for(rest);
    let healed = cluster.since_mark();
    heal(&mut cluster);
    let mut served = None;
    for _ in 0..60_000 {
        start_what_is_down(&mut cluster);
        cluster.run_for(ms(1));
        if served.is_none() && cluster.is_served() {
            served = Some(cluster.since_mark() - healed);
        }
        if served.is_some() && cluster.is_in_sync() {
            break;
        }
    }
    let late = served.is_none_or(|took| took > D + D + secs(1));
    let wrong = cluster.watch.violations.clone();
    let dead = !cluster.is_in_sync();
    (late || dead || !wrong.is_empty()).then(|| {
        format!(
            "{first:?}, {second:?} after {delay}, healed at {healed}: late {late} ({served:?}), not in sync {dead}, {wrong:#?}\n{}",
            cluster.trace()
        )
    })
}

fn drills(start: &dyn Fn() -> Cluster, every: usize, offset: usize) {
    let mut count = 0;
    let mut failures = Vec::new();
    for first in DRILLS {
        for second in DRILLS {
            for delay in DELAYS {
                for rest in [ms(700), secs(8)] {
                    count += 1;
                    if count % every == offset {
                        failures.extend(drill(start, first, second, ms(delay), rest));
                    }
                }
            }
        }
    }
    for failure in &failures {
        println!("{}", failure.lines().next().unwrap());
    }
    assert!(
        failures.is_empty(),
        "{} of {count}: {}",
        failures.len(),
        failures[0]
    );
}

#[test]
fn pairs_of_events_in_sync() {
    drills(&Cluster::in_sync, 401, 7);
}

#[test]
fn pairs_of_events_lone() {
    drills(&Cluster::lone, 601, 11);
}

/// All of them: `cargo test --release -p yoke-core --test node_drills -- --ignored`.
#[test]
#[ignore = "minutes"]
fn all_pairs_of_events_in_sync() {
    drills(&Cluster::in_sync, 1, 0);
}

#[test]
#[ignore = "minutes"]
fn all_pairs_of_events_lone() {
    drills(&Cluster::lone, 1, 0);
}
