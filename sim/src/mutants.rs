//! Runs every deliberate bug of the core over blocks of seeds: each has to be found by an oracle.

use sim::How;
use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use yoke_core::mutant::Mutant;

/// So many seeds of a mutant are run before the next one has its turn: whoever needs many waits for whoever needs few.
const BLOCK: u64 = 100;

/// No seed shows these. Four are second lines of defence, which nothing passes while other rules hold: a record that is
/// held is never older than one known committed (R3); a list of promotions is in order (R6); what a copy followed holds all
/// that it got; of one promotion nobody holds more than its primary (R17). Two are shown by tests of the core alone. They
/// run if they are named.
const UNSEEN: &[Mutant] = &[
    Mutant::R11AnyLaterTerm,
    Mutant::R15NextAlone,
    Mutant::R15FollowsIsEnough,
    Mutant::R11KeepsLate,
    Mutant::R11ReplacesUnknown,
    Mutant::R17AdoptsBesideServing,
];

/// Which mutants, and how thoroughly.
#[derive(clap::Args)]
pub(crate) struct Mutants {
    /// After so many finds enough is known of a mutant; 1 shows that each is found, in a short time.
    #[arg(long, default_value_t = 15)]
    enough: usize,
    /// Only these; none: all but those that no seed has shown yet.
    #[arg(value_parser = by_name)]
    names: Vec<usize>,
}

/// A mutant's place in the list, by its name.
pub(crate) fn by_name(name: &str) -> Result<usize, String> {
    Mutant::place(name).ok_or_else(|| format!("no mutant is called {name:?}"))
}

/// What is known of one mutant.
#[derive(Default)]
struct Found {
    /// The seeds run, and those of them that an oracle found, in order.
    run: u64,
    seeds: Vec<u64>,
    /// How often each oracle found it first.
    oracles: BTreeMap<&'static str, u64>,
    /// Runs that ended with an assertion of the core, or a failure of the simulator: no finds.
    others: BTreeMap<&'static str, u64>,
}

impl Found {
    /// How many seeds it takes until it is found: the median over the waits between two finds.
    fn median(&self, first: u64) -> Option<u64> {
        let before = first.checked_sub(1);
        let starts = std::iter::once(before).chain(self.seeds.iter().copied().map(Some));
        let mut waits: Vec<u64> = (self.seeds.iter())
            .zip(starts)
            .map(|(seed, before)| before.map_or(seed + 1, |before| seed - before))
            .collect();
        waits.sort_unstable();
        waits.get(waits.len() / 2).copied()
    }

    /// One run's report.
    fn take(&mut self, seed: u64, violation: Option<sim::Violation>) {
        self.run += 1;
        let Some(violation) = violation else { return };
        if !violation.is_an_oracles() {
            *self.others.entry(violation.oracle).or_default() += 1;
            return;
        }
        *self.oracles.entry(violation.oracle).or_default() += 1;
        self.seeds.push(seed);
    }
}

/// Runs them and prints a table. A thread takes the next block of one mutant at a time; blocks are joined in the order
/// of the seeds, so nothing that is printed depends on the threads.
pub(crate) fn run(which: &Mutants, seeds: Range<u64>, jobs: usize) -> ExitCode {
    let mutants = match which.names.is_empty() {
        true => (0..Mutant::ALL.len())
            .filter(|m| !UNSEEN.contains(&Mutant::ALL[*m]))
            .collect(),
        false => which.names.clone(),
    };
    let mut table: Vec<Found> = mutants.iter().map(|_| Found::default()).collect();
    let done: Vec<AtomicBool> = table.iter().map(|_| AtomicBool::new(false)).collect();
    let blocks = (seeds.end - seeds.start).div_ceil(BLOCK);
    let next = AtomicU64::new(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (sender, next, done, seeds) = (sender.clone(), &next, &done, &seeds);
            let mutants = &mutants;
            scope.spawn(move || {
                loop {
                    let piece = next.fetch_add(1, Ordering::Relaxed);
                    let (block, row) = (piece / done.len() as u64, piece as usize % done.len());
                    if block >= blocks {
                        break;
                    }
                    let how = How {
                        trace: false,
                        mutant: Some(mutants[row]),
                    };
                    let from = seeds.start + block * BLOCK;
                    let mut reports = Vec::new();
                    for seed in from..(from + BLOCK).min(seeds.end) {
                        if done[row].load(Ordering::Relaxed) {
                            break;
                        }
                        let report = sim::run(&sim::scenario_of(seed), how);
                        reports.push((seed, report.violation));
                    }
                    if sender.send((row, block, reports)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut due = vec![0; table.len()];
        for (row, block, reports) in receiver {
            early.insert((row, block), reports);
            while let Some(reports) = early.remove(&(row, due[row])) {
                due[row] += 1;
                for (seed, violation) in reports {
                    if table[row].seeds.len() < which.enough {
                        table[row].take(seed, violation);
                    }
                }
                let enough = table[row].seeds.len() >= which.enough;
                done[row].store(enough, Ordering::Relaxed);
            }
        }
    });
    let mutants: Vec<Mutant> = mutants.iter().map(|m| Mutant::ALL[*m]).collect();
    print(&mutants, &table, seeds.start)
}

fn print(mutants: &[Mutant], table: &[Found], first: u64) -> ExitCode {
    println!(
        "{:<28} {:>5} {:>7} {:>7} {:>7}  found by; not counted as found",
        "mutant", "found", "of", "first", "median"
    );
    let number = |n: Option<u64>| n.map_or("-".into(), |n| n.to_string());
    let words = |counts: &BTreeMap<&str, u64>| {
        let words: Vec<String> = (counts.iter()).map(|(o, n)| format!("{o} {n}")).collect();
        words.join(", ")
    };
    for (mutant, found) in mutants.iter().zip(table) {
        let others = match words(&found.others) {
            words if words.is_empty() => words,
            words => format!("; {words}"),
        };
        println!(
            "{:<28} {:>5} {:>7} {:>7} {:>7}  {}{others}",
            mutant.to_string(),
            found.seeds.len(),
            found.run,
            number(found.seeds.first().copied()),
            number(found.median(first)),
            words(&found.oracles),
        );
    }
    let missed: Vec<String> = (mutants.iter().zip(table))
        .filter(|(_, found)| found.seeds.is_empty())
        .map(|(mutant, _)| mutant.to_string())
        .collect();
    println!("{} mutants, {} not found", table.len(), missed.len());
    println!(
        "of {} known: {} run only by name",
        Mutant::ALL.len(),
        UNSEEN.len()
    );
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("not found: {}", missed.join(", "));
    ExitCode::FAILURE
}
