//! One run from its scenario to its report; many runs on several threads.

use crate::choices::Choices;
use crate::coverage::Coverage;
use crate::scenario::Scenario;
use crate::world::{Violation, World};
use std::cell::RefCell;
use std::hash::Hasher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use yoke_core::Config;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Stands for everything that happened.
    pub digest: u64,
    /// The promise that was broken, if one was.
    pub violation: Option<Violation>,
    /// What it went through.
    pub coverage: Coverage,
    /// How many events.
    pub events: u64,
    /// How long it took, in microseconds of simulated time.
    pub length: u64,
    /// What happened, if it was asked for.
    pub trace: Vec<String>,
}

/// How to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// Whether to keep a trace.
    pub trace: bool,
    /// The deliberate bug to run with: its place in the list of mutants.
    pub mutant: Option<usize>,
}

thread_local! {
    static PANIC: RefCell<Option<(String, bool)>> = const { RefCell::new(None) };
}

/// Panics are reported as violations; nothing is to be printed when they happen.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(|info| {
        let text = info
            .payload()
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| {
                info.payload()
                    .downcast_ref::<&str>()
                    .map(|s| (*s).to_owned())
            })
            .unwrap_or_default();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let core = !place.contains("sim/src");
        PANIC.with(|p| *p.borrow_mut() = Some((format!("{text} ({place})"), core)));
    }));
}

fn mutate(config: &mut Config, mutant: Option<usize>) {
    #[cfg(feature = "mutants")]
    {
        config.mutant = mutant.map(|m| yoke_core::mutant::Mutant::ALL[m]);
    }
    let _ = (config, mutant);
}

/// Runs a scenario to its end or its first violation.
pub fn run(scenario: &Scenario, how: How) -> Report {
    run_with(scenario, Choices::from_seed(scenario.choices), how)
}

/// The same, where a fuzzer's bytes make the small choices.
pub fn run_bytes(scenario: &Scenario, bytes: Vec<u8>, how: How) -> Report {
    run_with(scenario, Choices::from_bytes(bytes), how)
}

fn run_with(scenario: &Scenario, choices: Choices, how: How) -> Report {
    let mut world = None;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let change = |config: &mut Config| mutate(config, how.mutant);
        world
            .insert(World::new(scenario.clone(), choices, how.trace, &change))
            .run();
    }));
    let panicked = ended
        .is_err()
        .then(|| PANIC.with(|p| p.borrow_mut().take()).unwrap_or_default());
    let Some(mut world) = world else {
        let (what, _) = panicked.unwrap_or_default();
        return Report {
            digest: 0,
            violation: Some(Violation {
                oracle: "start",
                what,
                at: 0,
            }),
            coverage: Coverage::default(),
            events: 0,
            length: 0,
            trace: vec![],
        };
    };
    if let Some((what, core)) = panicked {
        world.violation = None;
        world.violated(if core { "core assertion" } else { "simulator" }, what);
    }
    Report {
        digest: world.digest.finish(),
        violation: world.violation.clone(),
        coverage: world.coverage.clone(),
        events: world.events,
        length: world.now,
        trace: world.trace.into_lines(),
    }
}

/// Runs many seeds on several threads, and hands over each report in the order of the seeds.
pub fn run_many(
    seeds: std::ops::Range<u64>,
    jobs: usize,
    how: How,
    mut each: impl FnMut(u64, Report),
) {
    // A thread takes the next block of seeds; blocks are joined in order, so that nothing depends on the threads.
    const BLOCK: u64 = 16;
    let next = AtomicU64::new(seeds.start);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (sender, next, end) = (sender.clone(), &next, seeds.end);
            scope.spawn(move || {
                loop {
                    let first = next.fetch_add(BLOCK, Ordering::Relaxed);
                    if first >= end {
                        break;
                    }
                    for seed in first..(first + BLOCK).min(end) {
                        let report = run(&crate::generate::scenario(seed), how);
                        if sender.send((seed, report)).is_err() {
                            return;
                        }
                    }
                }
            });
        }
        drop(sender);
        let mut early = std::collections::BTreeMap::new();
        let mut due = seeds.start;
        for (seed, report) in receiver {
            early.insert(seed, report);
            while let Some(report) = early.remove(&due) {
                each(due, report);
                due += 1;
            }
        }
    });
}
