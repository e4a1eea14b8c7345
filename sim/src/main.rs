//! `cargo run -p sim -- --seed N`: runs seeds of the simulator and says what came of them.

mod bench;
mod exhaust;
mod failure;
mod gaps;
mod learned;
#[cfg(feature = "mutants")]
mod mutants;
mod networks;
mod one;
mod pairs_table;
mod progress;
mod reached;
mod seeds;
mod source;

use clap::{Parser, Subcommand};
use sim::{How, Profile};
use std::path::PathBuf;
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
    /// The seeds' scenarios are of this profile: calm, lossy, partition, crash, pause, skew, disk, operator, chaos.
    #[arg(long, default_value_t, conflicts_with = "scenario")]
    profile: Profile,
    /// Run the scenario in this file; with --seed or --seeds, told again with some other small choices and times. Of a
    /// folder, each seed takes the next.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Print the scenario, and do not run it.
    #[arg(long, conflicts_with = "seeds")]
    print_scenario: bool,
    /// Print the story in words, one line an event.
    #[arg(long, conflicts_with = "seeds")]
    trace: bool,
    /// Go through the run step by step, by commands.
    #[arg(long, conflicts_with = "seeds")]
    step: bool,
    /// Write the story as a page for a browser.
    #[arg(long, conflicts_with = "seeds", value_name = "FILE")]
    html: Option<PathBuf>,
    /// Make the failing scenario as small as it gets, and write it.
    #[arg(long, conflicts_with = "seeds", value_name = "FILE", num_args = 0..=1, default_missing_value = "shrunk.scenario")]
    shrink: Option<PathBuf>,
    /// With --shrink: the fewest faults with which the run still comes by this situation.
    #[arg(long, requires = "shrink", value_parser = reached::by_name, value_name = "SITUATION")]
    probe: Option<sim::Probe>,
    /// Fail unless every situation was come by, by these seeds or by a scenario in this folder.
    #[arg(long, requires = "seeds", value_name = "FOLDER", num_args = 0..=1, default_missing_value = "sim/scenarios")]
    require_probes: Option<PathBuf>,
    /// Write the digest of each step.
    #[arg(long, conflicts_with = "seeds", value_name = "FILE")]
    record: Option<PathBuf>,
    /// Compare the digest of each step with those written by --record, maybe by another build.
    #[arg(long, conflicts_with = "seeds", value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Measure the speed, on one core.
    #[arg(long)]
    bench: bool,
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
    /// Search small scopes exhaustively.
    Exhaust(exhaust::Exhaust),
    /// Disturb one failover and one hand-over after every action of every member by every kind of fault.
    Pairs,
    /// Failovers and unavailability a simulated year, against `decision_timeout`.
    Study {
        /// Write the curves as a picture.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// How often each length of each fault is played.
        #[arg(long, default_value_t = 6)]
        samples: u64,
    },
    /// Run every deliberate bug, or those named, and see that an oracle finds it.
    #[cfg(feature = "mutants")]
    Mutants(mutants::Mutants),
    /// Run single faults in calm conditions, and print how long writes stop.
    Gaps,
    /// Run every network of three hosts, and see that L keeps its word.
    Matrix,
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
        trace: false,
        mutant,
    };
    if let Some(Command::Exhaust(what)) = &cli.command {
        return exhaust::run(what);
    }
    #[cfg(feature = "mutants")]
    if let Some(Command::Mutants(which)) = &cli.command {
        return mutants::run(which, cli.seeds.unwrap_or(0..10_000), jobs);
    }
    if let Some(Command::Study { svg, samples }) = &cli.command {
        return learned::run(svg.as_deref(), *samples, jobs);
    }
    match cli.command {
        Some(Command::Pairs) => return pairs_table::run(jobs, how).unwrap_or_else(said),
        Some(Command::Gaps) => return gaps::run(cli.seeds.unwrap_or(0..2000), jobs, how),
        Some(Command::Matrix) => {
            return networks::run(jobs, how).unwrap_or_else(said);
        }
        _ => {}
    }
    let seeds = cli.seeds.clone();
    let done = match seeds {
        _ if cli.bench => bench::run(seeds.unwrap_or(0..300), how),
        Some(seeds) => seeds::run(&cli, seeds, jobs, how),
        None => one::run(&cli, how),
    };
    done.unwrap_or_else(said)
}

fn said(error: String) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(2)
}
