//! Many seeds: what they went through together, and which broke a promise.

use crate::Cli;
use crate::failure;
use crate::progress::{Progress, stop_at_ctrl_c};
use crate::reached;
use crate::source::Source;
use sim::{Coverage, How, Tally};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

pub(crate) fn run(
    cli: &Cli,
    seeds: std::ops::Range<u64>,
    jobs: usize,
    how: How,
) -> Result<ExitCode, String> {
    let began = Instant::now();
    let stop = stop_at_ctrl_c()?;
    let mut progress = Progress::new(seeds.end.saturating_sub(seeds.start));
    let mut coverage = Coverage::default();
    let mut tally = Tally::new();
    let (mut done, mut events, mut length, mut failures) = (0, 0, 0, vec![]);
    let mut digests = BTreeMap::new();
    let mut same = vec![];
    let source = Source::of(cli)?;
    let of = |seed| Some(source.scenario(seed));
    sim::run_scenarios(
        seeds.clone(),
        of,
        jobs,
        how,
        &stop,
        |seed, scenario, report| {
            coverage.add(&report.coverage);
            tally.add(seed, report.reached);
            done += 1;
            events += report.events;
            length += report.length;
            if cli.digests {
                println!("{seed} {:016x}", report.digest);
            }
            // What is told again may come out as it was: the choices that differ are not met.
            if scenario.varied.is_empty()
                && let Some(other) = digests.insert(report.digest, seed)
            {
                same.push((other, seed));
            }
            if let Some(violation) = report.violation {
                failures.push((source.name(seed), violation));
            }
            progress.show(done, events, failures.len());
        },
    );
    progress.end();
    let millis = began.elapsed().as_millis().max(1);
    if stop.load(Ordering::Relaxed) {
        println!(
            "stopped: {done} of {} seeds were run",
            seeds.end - seeds.start
        );
    }
    println!(
        "seeds {}..{}: {events} events, {} simulated hours, {} s, {} events/s",
        seeds.start,
        seeds.end,
        length / 3_600_000_000,
        millis / 1000,
        u128::from(events) * 1000 / millis
    );
    print!("{coverage}");
    if let Some(folder) = &cli.require_probes {
        failures.extend(reached::scenarios(folder, &mut tally)?);
    }
    println!("{tally}");
    for (one, other) in &same {
        println!("seeds {one} and {other} have the same digest");
    }
    let Some((first, violation)) = failures.first() else {
        println!("no promise was broken");
        let missed = tally.missed();
        if cli.require_probes.is_some() && !missed.is_empty() {
            let names: Vec<&str> = missed.iter().map(|probe| probe.name()).collect();
            println!("never come by: {}", names.join(", "));
            return Ok(ExitCode::FAILURE);
        }
        let stopped = stop.load(Ordering::Relaxed);
        return Ok(match same.is_empty() {
            true if stopped => ExitCode::from(130),
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        });
    };
    let mut by_oracle: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, violation) in &failures {
        *by_oracle.entry(violation.oracle).or_default() += 1;
    }
    println!("{} seeds broke a promise: {by_oracle:?}", failures.len());
    let shown = if cli.keep_going { 1000 } else { 9 };
    for (name, violation) in failures.iter().skip(1).take(shown) {
        println!("{}", failure::in_a_line(name, violation));
    }
    failure::print(first, violation, how);
    Ok(ExitCode::FAILURE)
}
