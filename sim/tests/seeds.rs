//! A block of seeds keeps every promise, equal seeds are equal runs, and what was found once stays mended.

use sim::{Coverage, How, Scenario, run, run_many, scenario_of};
use std::collections::BTreeSet;

#[test]
fn a_block_of_seeds_keeps_every_promise() {
    let mut coverage = Coverage::default();
    let mut digests = BTreeSet::new();
    run_many(0..150, 2, How::default(), |seed, report| {
        assert_eq!(report.violation, None, "seed {seed}");
        assert!(
            digests.insert(report.digest),
            "seed {seed} has another seed's digest"
        );
        coverage.add(&report.coverage);
    });
    assert!(
        coverage.failovers > 30,
        "hardly anything happens:\n{coverage}"
    );
    assert!(
        coverage.two_lone > 20 && coverage.two_in_sync > 20,
        "hardly anything happens:\n{coverage}"
    );
}

#[test]
fn equal_seeds_are_equal_runs_whatever_the_threads() {
    let digests = |jobs| {
        let mut all = vec![];
        run_many(0..24, jobs, How::default(), |_, report| {
            all.push((report.digest, report.events))
        });
        all
    };
    let one = digests(1);
    assert_eq!(one, digests(3));
    let traced = run(
        &scenario_of(5),
        How {
            trace: true,
            mutant: None,
        },
    );
    assert_eq!(
        (traced.digest, traced.events),
        one[5],
        "a trace changes nothing"
    );
}

#[test]
fn a_scenario_is_printed_and_read_back() {
    for seed in 0..200 {
        let scenario = scenario_of(seed);
        let text = scenario.to_string();
        assert_eq!(text.parse::<Scenario>().as_ref(), Ok(&scenario), "{text}");
    }
}

#[test]
fn a_fault_that_is_taken_out_leaves_what_came_before_it_as_it_was() {
    let scenario = scenario_of(5);
    let mut fewer = scenario.clone();
    let last = fewer.faults.pop();
    assert!(last.is_some());
    let how = How {
        trace: true,
        mutant: None,
    };
    let words = |scenario| run(scenario, how).story.unwrap_or_default().in_columns();
    let (with, without) = (words(&scenario), words(&fewer));
    let same = with
        .iter()
        .zip(&without)
        .take_while(|(a, b)| a == b)
        .count();
    assert!(
        with[same].contains("FAULT"),
        "they differ only from the fault on: {}",
        with[same]
    );
}

#[test]
fn what_was_found_once_stays_mended() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    let mut count = 0;
    for file in std::fs::read_dir(folder).expect("the scenarios are there") {
        let path = file.expect("it can be read").path();
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let scenario: Scenario = text.parse().expect("it is a scenario");
        let report = run(&scenario, How::default());
        assert_eq!(report.violation, None, "{}", path.display());
        count += 1;
    }
    assert!(count > 0);
}
