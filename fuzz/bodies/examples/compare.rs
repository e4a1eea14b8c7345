//! How many executions the search of `schedule` needs to find a deliberate bug, guided and by random seeds alone. Both draw
//! their seeds from the same generator, and count every execution. The guided one begins with the committed corpus, which
//! was made without any deliberate bug, and that counts, too; the other one with nothing. After MOST executions a search
//! gives up, and counts as longer than all that found something. Repetition n of either has random numbers of its own.
//!
//! libFuzzer, which the target is built with, chooses nothing here: it would only make each execution slower.
//!
//! ```text
//! fuzz/compare MUTANT [REPETITIONS [MOST]]
//! ```
#![allow(clippy::unwrap_used)]

use fuzz_bodies::schedule::{Search, judge, scenario};
use std::fs;
use std::path::Path;
use std::thread;
use yoke_core::mutant::Mutant;

/// How many executions until something is found; one more than `most` if nothing is.
fn search(mutant: usize, corpus: Option<&[Vec<u8>]>, repetition: u64, most: u64) -> u64 {
    let mut search = Search::default();
    let mut left = corpus.unwrap_or_default().iter();
    for run in 1..=most {
        let random = repetition << 32 | run;
        let next = match left.next() {
            Some(file) => scenario(file),
            None if corpus.is_some() => search.next(random),
            None => sim::scenario_of(random),
        };
        let (events, situations, found) = judge(&next, Some(mutant));
        if found.is_some() {
            return run;
        }
        if corpus.is_some() {
            search.learn(&next, events, &situations);
        }
    }
    most + 1
}

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().expect("which mutant?");
    let mut number = |default| args.next().map_or(default, |arg| arg.parse().unwrap());
    let (repetitions, most) = (number(15), number(5000));
    let mutant = Mutant::place(&name).expect("no mutant is called that");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/schedule");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    println!("{name}, {repetitions} searches of either kind; executions until it is found");
    for (how, corpus) in [("guided", Some(&corpus[..])), ("random", None)] {
        let mut took: Vec<u64> = thread::scope(|scope| {
            let all: Vec<_> = (1..=repetitions)
                .map(|n| scope.spawn(move || search(mutant, corpus, n, most)))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        took.sort_unstable();
        let found = took.iter().filter(|took| **took <= most).count();
        let at = |quarter: usize| match took[(took.len() - 1) * quarter / 4] {
            took if took > most => format!(">{most}"),
            took => took.to_string(),
        };
        let (low, median, high) = (at(1), at(2), at(3));
        println!("{how}: quartiles {low}, {median}, {high}; {found} of {repetitions} found it");
    }
}
