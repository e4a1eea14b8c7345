//! Determinism, checked: a run and its twin, step beside step. They are equal in their digests and in the whole state of
//! what each step met; the first step in which they are not is named.

use crate::run::{How, Report, Session};
use crate::scenario::Scenario;
use crate::states::differences;

/// Runs a scenario twice. That both runs are equal is one of the promises.
pub fn run_twice(scenario: &Scenario, how: How) -> Report {
    let mut one = Session::begin(scenario, how);
    let mut other = Session::begin(
        scenario,
        How {
            trace: false,
            ..how
        },
    );
    loop {
        let goes_on = one.step();
        let (step, at) = one.now();
        if goes_on != other.step() || other.now() != (step, at) || !same(&one, &other) {
            let what = format!(
                "step {step} is not the same when it is run again: {}",
                parted(&one, &other)
            );
            one.world.violation = None;
            one.world.violated("determinism", what);
            return one.report();
        }
        if !goes_on {
            return one.report();
        }
    }
}

fn same(one: &Session, other: &Session) -> bool {
    one.digest() == other.digest()
        && one
            .world
            .met
            .map_or(0..one.world.hosts.len(), |h| h..h + 1)
            .all(|h| {
                let (a, b) = (&one.world.hosts[h], &other.world.hosts[h]);
                let daemons = match (&a.daemon, &b.daemon) {
                    (Some(a), Some(b)) => a.node == b.node && a.steward == b.steward,
                    (a, b) => a.is_none() && b.is_none(),
                };
                daemons && a.guard == b.guard
            })
}

/// In which fields they differ; at most three are named.
fn parted(one: &Session, other: &Session) -> String {
    if one.now() != other.now() {
        return format!("it is at {} us, and at {} us", one.now().1, other.now().1);
    }
    let hosts = one.world.hosts.iter().zip(&other.world.hosts);
    let all: Vec<String> = hosts
        .enumerate()
        .flat_map(|(h, (a, b))| {
            let found = differences(&a.fields(), &b.fields());
            found.into_iter().map(move |one| format!("m{h} {one}"))
        })
        .collect();
    match all.len() {
        0 => "its event or its actions differ".into(),
        count => format!("{} ({count} fields differ)", all[..count.min(3)].join("; ")),
    }
}
