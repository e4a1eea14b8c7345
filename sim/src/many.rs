//! Many runs, on several threads.

use crate::run::{How, Report, run};
use crate::scenario::Scenario;
use crate::twin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One seed in so many is run twice.
const TWICE: u64 = 20;

/// Runs many seeds on several threads, and hands over each report in the order of the seeds.
pub fn run_many(seeds: std::ops::Range<u64>, jobs: usize, how: How, each: impl FnMut(u64, Report)) {
    run_until(seeds, jobs, how, &AtomicBool::new(false), each);
}

/// The same, until it is told to stop: no seed is begun after that.
pub fn run_until(
    seeds: std::ops::Range<u64>,
    jobs: usize,
    how: How,
    stop: &AtomicBool,
    each: impl FnMut(u64, Report),
) {
    run_scenarios(seeds, crate::generate::scenario, jobs, how, stop, each);
}

/// The same with the scenarios of a function.
pub fn run_scenarios(
    seeds: std::ops::Range<u64>,
    of: impl Fn(u64) -> Scenario + Sync,
    jobs: usize,
    how: How,
    stop: &AtomicBool,
    mut each: impl FnMut(u64, Report),
) {
    // A thread takes the next block of seeds; blocks are joined in order, so that nothing depends on the threads.
    const BLOCK: u64 = 16;
    let next = AtomicU64::new(seeds.start);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (sender, next, end, of) = (sender.clone(), &next, seeds.end, &of);
            scope.spawn(move || {
                loop {
                    let first = next.fetch_add(BLOCK, Ordering::Relaxed);
                    if first >= end {
                        break;
                    }
                    for seed in first..(first + BLOCK).min(end) {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let scenario = of(seed);
                        let report = if seed.is_multiple_of(TWICE) {
                            twin::run_twice(&scenario, how)
                        } else {
                            run(&scenario, how)
                        };
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
        // It was stopped: what was done beyond a gap counts all the same.
        for (seed, report) in early {
            each(seed, report);
        }
    });
}
