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
    mut each: impl FnMut(u64, Report),
) {
    let of = |seed| Some(crate::generate::scenario(seed));
    run_scenarios(seeds, of, jobs, how, stop, |seed, _, report| {
        each(seed, report);
    });
}

/// The same with the scenarios of a function; where it makes none, that number is left out.
pub fn run_scenarios(
    seeds: std::ops::Range<u64>,
    of: impl Fn(u64) -> Option<Scenario> + Sync,
    jobs: usize,
    how: How,
    stop: &AtomicBool,
    mut each: impl FnMut(u64, &Scenario, Report),
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
                        let done = of(seed).map(|scenario| {
                            let report = if seed.is_multiple_of(TWICE) {
                                twin::run_twice(&scenario, how)
                            } else {
                                run(&scenario, how)
                            };
                            (scenario, report)
                        });
                        if sender.send((seed, done)).is_err() {
                            return;
                        }
                    }
                }
            });
        }
        drop(sender);
        let mut early = std::collections::BTreeMap::new();
        let mut due = seeds.start;
        let mut hand_over = |seed, done| {
            if let Some((scenario, report)) = done {
                each(seed, &scenario, report);
            }
        };
        for (seed, done) in receiver {
            early.insert(seed, done);
            while let Some(done) = early.remove(&due) {
                hand_over(due, done);
                due += 1;
            }
        }
        // It was stopped: what was done beyond a gap counts all the same.
        for (seed, done) in early {
            hand_over(seed, done);
        }
    });
}
