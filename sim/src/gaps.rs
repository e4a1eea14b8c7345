//! `sim gaps`: how long writes stop, by kind of single fault, as a distribution over many runs.

use crate::failure::{self, Name};
use sim::How;
use sim::scenario::{Kind, Single};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

/// Runs the seeds whose scenario is a single fault in calm conditions.
pub(crate) fn run(seeds: std::ops::Range<u64>, jobs: usize, how: How) -> ExitCode {
    let mut kinds: Vec<(Single, Vec<u64>, u64)> = vec![];
    let mut failures = vec![];
    let single = |seed| {
        let scenario = sim::scenario_of(seed);
        matches!(scenario.kind, Kind::Single(_)).then_some(scenario)
    };
    let stop = AtomicBool::new(false);
    sim::run_scenarios(seeds, single, jobs, how, &stop, |seed, scenario, report| {
        let Kind::Single(single) = scenario.kind else {
            return;
        };
        if let Some(violation) = report.violation {
            failures.push((Name::of_seed(sim::Profile::default(), seed), violation));
        }
        let at = kinds.iter().position(|(kind, ..)| *kind == single);
        let at = at.unwrap_or_else(|| {
            kinds.push((single, vec![], 0));
            kinds.len() - 1
        });
        let (_, gaps, bound) = &mut kinds[at];
        gaps.push(report.coverage.gap_of(single));
        *bound = (*bound).max(single.bound(scenario));
    });
    kinds.sort_by_key(|(kind, ..)| *kind as usize);
    println!(
        "{:<18} {:>6} {:>9} {:>9} {:>9} {:>9}   longest time without an acknowledged write, in ms",
        "single fault", "runs", "p50", "p99", "max", "bound"
    );
    let mut kept = failures.is_empty() && !kinds.is_empty();
    for (kind, gaps, bound) in &mut kinds {
        gaps.sort_unstable();
        let share = |percent: usize| gaps[(gaps.len() - 1) * percent / 100] / 1000;
        println!(
            "{:<18} {:>6} {:>9} {:>9} {:>9} {:>9}",
            kind.to_string(),
            gaps.len(),
            share(50),
            share(99),
            share(100),
            *bound / 1000
        );
        kept &= share(100) <= *bound / 1000;
    }
    for (name, violation) in failures.iter().take(9) {
        failure::print(name, violation, how);
    }
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
