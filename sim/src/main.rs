//! `cargo run -p sim -- --seed N`: runs seeds of the simulator and says what came of them.

#[cfg(feature = "mutants")]
mod mutants;

use clap::{Parser, Subcommand};
use sim::{Coverage, How, Report, Scenario};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Runs the real node, steward and guard in a simulated world and checks every promise.
#[derive(Parser)]
struct Cli {
    /// Run this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Run these seeds, A..B.
    #[arg(long, value_parser = range, global = true)]
    seeds: Option<std::ops::Range<u64>>,
    /// Run the scenario in this file.
    #[arg(long)]
    scenario: Option<std::path::PathBuf>,
    /// Print the scenario, and do not run it.
    #[arg(long)]
    print_scenario: bool,
    /// Print what happens, one line an event.
    #[arg(long)]
    trace: bool,
    /// How many threads; the results do not depend on it.
    #[arg(long, global = true)]
    jobs: Option<usize>,
    /// Print each seed's digest.
    #[arg(long)]
    digests: bool,
    /// Go on after a violation.
    #[arg(long)]
    keep_going: bool,
    #[cfg(feature = "mutants")]
    /// Run with this deliberate bug.
    #[arg(long, value_parser = mutants::by_name)]
    mutant: Option<usize>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run every deliberate bug, and see that an oracle finds it.
    #[cfg(feature = "mutants")]
    Mutants,
}

fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("a range is written A..B")?;
    let number = |word: &str| {
        word.parse::<u64>()
            .map_err(|_| format!("{word:?} is no number"))
    };
    Ok(number(from)?..number(to)?)
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    sim::catch_panics();
    let jobs = cli
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    #[cfg(feature = "mutants")]
    let mutant = cli.mutant;
    #[cfg(not(feature = "mutants"))]
    let mutant = None;
    let how = How {
        trace: cli.trace,
        mutant,
    };
    #[cfg(feature = "mutants")]
    if let Some(Command::Mutants) = cli.command {
        return mutants::run_all(cli.seeds.unwrap_or(0..2000), jobs);
    }
    if let Some(seeds) = cli.seeds.clone() {
        return many(&cli, seeds, jobs, how);
    }
    let (scenario, name) = match (&cli.scenario, cli.seed) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file).map_err(|e| e.to_string());
            match text.and_then(|text| text.parse::<Scenario>()) {
                Ok(scenario) => (scenario, format!("--scenario {}", file.display())),
                Err(error) => {
                    eprintln!("{}: {error}", file.display());
                    return ExitCode::from(2);
                }
            }
        }
        (None, seed) => {
            let seed = seed.unwrap_or(0);
            (sim::scenario_of(seed), format!("--seed {seed}"))
        }
    };
    if cli.print_scenario {
        print!("{scenario}");
        return ExitCode::SUCCESS;
    }
    let report = sim::run(&scenario, how);
    for line in &report.trace {
        println!("{line}");
    }
    println!(
        "{name}: digest {:016x}, {} events in {} s",
        report.digest,
        report.events,
        report.length / 1_000_000
    );
    if report.violation.is_some() {
        if !cli.trace {
            print_end(&sim::run(&scenario, How { trace: true, ..how }));
        }
        print_violation(&name, &report, how);
        return ExitCode::FAILURE;
    }
    let mut coverage = Coverage::default();
    coverage.add(&report.coverage);
    print!("{coverage}");
    ExitCode::SUCCESS
}

fn many(cli: &Cli, seeds: std::ops::Range<u64>, jobs: usize, how: How) -> ExitCode {
    let began = std::time::Instant::now();
    let mut coverage = Coverage::default();
    let (mut events, mut length, mut failures) = (0, 0, vec![]);
    let mut digests = BTreeMap::new();
    let mut same = vec![];
    sim::run_many(
        seeds.clone(),
        jobs,
        How {
            trace: false,
            ..how
        },
        |seed, report| {
            coverage.add(&report.coverage);
            events += report.events;
            length += report.length;
            if cli.digests {
                println!("{seed} {:016x}", report.digest);
            }
            if let Some(other) = digests.insert(report.digest, seed) {
                same.push((other, seed));
            }
            if report.violation.is_some() {
                failures.push((seed, report));
            }
        },
    );
    let seconds = began.elapsed().as_millis().max(1);
    println!(
        "seeds {}..{}: {} events, {} simulated hours, {} s, {} events/s",
        seeds.start,
        seeds.end,
        events,
        length / 3_600_000_000,
        seconds / 1000,
        u128::from(events) * 1000 / seconds
    );
    print!("{coverage}");
    for (one, other) in &same {
        println!("seeds {one} and {other} have the same digest");
    }
    if failures.is_empty() {
        println!("no promise was broken");
        return if same.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let mut by_oracle: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, report) in &failures {
        *by_oracle
            .entry(report.violation.as_ref().map_or("", |v| v.oracle))
            .or_default() += 1;
    }
    println!("{} seeds broke a promise: {by_oracle:?}", failures.len());
    for (seed, report) in failures
        .iter()
        .skip(1)
        .take(if cli.keep_going { 1000 } else { 9 })
    {
        print_violation(&format!("--seed {seed}"), report, how);
    }
    if let Some((seed, report)) = failures.first() {
        if !cli.keep_going {
            print_end(&sim::run(
                &sim::scenario_of(*seed),
                How { trace: true, ..how },
            ));
        }
        print_violation(&format!("--seed {seed}"), report, how);
    }
    ExitCode::FAILURE
}

fn print_end(report: &Report) {
    for line in &report.trace[report.trace.len().saturating_sub(40)..] {
        println!("{line}");
    }
}

/// The cause in one line, and the command that reproduces it.
fn print_violation(name: &str, report: &Report, how: How) {
    let Some(violation) = &report.violation else {
        return;
    };
    println!(
        "{name}: {} at {}.{:06}: {}",
        violation.oracle,
        violation.at / 1_000_000,
        violation.at % 1_000_000,
        violation.what
    );
    #[cfg(feature = "mutants")]
    if let Some(mutant) = how.mutant {
        println!(
            "  cargo run --release -p sim --features mutants -- --mutant {mutant} {name} --trace"
        );
        return;
    }
    let _ = how;
    println!("  cargo run --release -p sim -- {name} --trace");
}
