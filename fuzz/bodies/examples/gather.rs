//! Makes the committed corpus of `schedule`: searches for so many runs without any deliberate bug, beginning with the
//! present corpus, and writes the runs that together came by what is rarest into its place.
//!
//! ```text
//! cargo run --release -p fuzz-bodies --no-default-features --example gather -- RUNS
//! ```
//! Worth doing when the simulator has learned new situations. Equal numbers of runs make equal corpora.
#![allow(clippy::unwrap_used)]

use fuzz_bodies::schedule::{Search, explore, scenario};
use std::fs;
use std::path::Path;

/// As many runs are kept.
const MOST: usize = 40;

fn main() {
    let runs = std::env::args().nth(1).and_then(|runs| runs.parse().ok());
    let runs: u64 = runs.expect("how many runs?");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/schedule");
    let mut files: Vec<_> = fs::read_dir(&corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut search = Search::default();
    let learn = |search: &mut Search, scenario| {
        let (events, situations) = explore(&scenario);
        search.learn(&scenario, events, &situations);
    };
    for file in &files {
        learn(&mut search, scenario(&fs::read(file).unwrap()));
    }
    for run in 0..runs {
        let next = search.next(run);
        learn(&mut search, next);
    }
    for file in files {
        fs::remove_file(file).unwrap();
    }
    for (number, scenario) in search.rarest(MOST).iter().enumerate() {
        let file = corpus.join(format!("{number:02}.scenario"));
        fs::write(file, scenario.to_string()).unwrap();
    }
}
