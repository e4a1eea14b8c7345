//! `sim matrix`: every network of three hosts, in every situation.

use crate::failure::{self, Name};
use sim::matrix::{NETWORKS, Situation, scenario};
use sim::{Coverage, How};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

/// Runs all of it and prints a table.
pub(crate) fn run(jobs: usize, how: How) -> Result<ExitCode, String> {
    println!(
        "{:<14} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "situation", "networks", "promised", "failovers", "longest", "broken"
    );
    let mut failures = vec![];
    for situation in Situation::ALL {
        let (mut coverage, mut broken) = (Coverage::default(), 0);
        let make = |network| Some(scenario(situation, network as u32));
        sim::run_scenarios(
            0..u64::from(NETWORKS),
            make,
            jobs,
            how,
            &AtomicBool::new(false),
            |network, _, report| {
                coverage.add(&report.coverage);
                if let Some(violation) = report.violation {
                    broken += 1;
                    failures.push((situation, network as u32, violation));
                }
            },
        );
        let (promised, longest) = coverage.promised;
        println!(
            "{:<14} {NETWORKS:>9} {promised:>9} {:>9} {:>6} ms {broken:>7}",
            situation.to_string(),
            coverage.failovers,
            longest / 1000
        );
    }
    for (situation, network, violation) in failures.iter().take(9) {
        let file = format!("matrix-{situation}-{network}.scenario");
        let text = format!("# {violation}\n{}", scenario(*situation, *network));
        std::fs::write(&file, text).map_err(|error| format!("{file}: {error}"))?;
        failure::print(&Name(format!("--scenario {file}")), violation, how);
    }
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
