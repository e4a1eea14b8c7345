//! Runs every deliberate bug of the core over a block of seeds: each has to be found by an oracle.

use sim::How;
use std::collections::BTreeMap;
use std::process::ExitCode;
use yoke_core::mutant::Mutant;

/// A mutant's place in the list, by its name.
pub(crate) fn by_name(name: &str) -> Result<usize, String> {
    Mutant::ALL
        .iter()
        .position(|mutant| mutant.to_string() == name)
        .ok_or_else(|| format!("no mutant is called {name:?}"))
}

/// Runs them all and prints a table.
pub(crate) fn run_all(seeds: std::ops::Range<u64>, jobs: usize) -> ExitCode {
    println!("{:<28} {:>8} {:>8}  oracles", "mutant", "seeds", "first");
    let mut all_found = true;
    for (number, mutant) in Mutant::ALL.iter().enumerate() {
        let (mut found, mut first) = (0u64, None);
        let mut oracles: BTreeMap<&str, u64> = BTreeMap::new();
        let how = How {
            trace: false,
            mutant: Some(number),
        };
        sim::run_many(seeds.clone(), jobs, how, |seed, report| {
            if let Some(violation) = report.violation {
                *oracles.entry(violation.oracle).or_default() += 1;
                // A panic of the core, or a run that is not the same twice, is no oracle's find.
                if !matches!(
                    violation.oracle,
                    "core assertion" | "simulator" | "start" | "determinism"
                ) {
                    found += 1;
                    first.get_or_insert(seed);
                }
            }
        });
        all_found &= found > 0;
        let first = first.map_or("-".into(), |seed: u64| seed.to_string());
        println!(
            "{:<28} {found:>8} {first:>8}  {oracles:?}",
            mutant.to_string()
        );
    }
    if all_found {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
