//! `sim pairs`: runs all pairs, prints a table, and of each that breaks a promise its scenario.

use crate::failure::{self, Name};
use sim::How;
use sim::pairs::{History, run_pairs};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

/// So many of those that failed are written to files.
const WRITTEN: usize = 5;

pub(crate) fn run(jobs: usize, how: How) -> Result<ExitCode, String> {
    let began = Instant::now();
    let (mut all, mut failed) = (0, 0);
    println!(
        "history    member  actions{:>43}",
        "runs: failed, after which fault"
    );
    for history in History::ALL {
        let pairs = history.pairs();
        let reports = run_pairs(&pairs, jobs, how);
        let mut actions: BTreeMap<usize, u64> = BTreeMap::new();
        let mut table: BTreeMap<(usize, usize), (u64, u64)> = BTreeMap::new();
        for (pair, report) in pairs.iter().zip(&reports) {
            all += 1;
            let count = actions.entry(pair.member).or_default();
            *count = (*count).max(pair.action + 1);
            let cell = table.entry((pair.member, pair.blow as usize)).or_default();
            cell.0 += 1;
            let Some(violation) = &report.violation else {
                continue;
            };
            cell.1 += 1;
            failed += 1;
            if failed > WRITTEN {
                continue;
            }
            let file = format!(
                "pair-{history}-m{}-{}-{}.scenario",
                pair.member, pair.action, pair.blow
            );
            let text = format!("# {violation}\n{}", pair.scenario);
            std::fs::write(&file, text).map_err(|error| format!("{file}: {error}"))?;
            failure::print(&Name(format!("--scenario {file}")), violation, how);
        }
        for (member, count) in actions {
            print!("{:<10} m{member:<6} {count:>7}", history.to_string());
            for (blow, _) in sim::pairs::BLOWS {
                if let Some((runs, bad)) = table.get(&(member, blow as usize)) {
                    print!("  {blow} {runs}:{bad}");
                }
            }
            println!();
        }
    }
    let millis = began.elapsed().as_millis();
    println!("{all} pairs, {failed} failed, {millis} ms");
    Ok(match failed {
        0 if all > 0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
