//! A search that misses a situation says so: calm runs miss many, and the exit status tells.

use sim::{How, Probe, Scenario, Tally, run, run_many};
use std::process::Command;

#[test]
fn a_calm_cluster_misses_what_only_faults_bring() {
    let mut tally = Tally::new();
    for choices in 0..4 {
        let report = run(&Scenario::calm(choices), How::default());
        assert_eq!(report.violation, None);
        tally.add(choices, report.reached);
    }
    let missed = tally.missed();
    for probe in [
        Probe::FencedFrozenDaemon,
        Probe::ResumedProposing,
        Probe::PromotedAfterTear,
    ] {
        assert!(missed.contains(&probe), "{probe:?} without a fault");
    }
    assert!(tally.to_string().contains("MISSED (FencedFrozenDaemon)"));
}

#[test]
fn what_is_reached_does_not_depend_on_the_threads() {
    let tally = |jobs| {
        let mut tally = Tally::new();
        run_many(0..120, jobs, How::default(), |seed, report| {
            tally.add(seed, report.reached);
        });
        tally
    };
    let one = tally(1);
    assert_eq!(one, tally(3));
    assert!(
        one.missed().len() < Probe::ALL.len() / 2,
        "hardly anything happens:\n{one}"
    );
}

#[test]
fn the_exit_status_says_that_a_situation_was_missed() {
    let sim = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
        let output = command.args(["--seeds", "0..4"]).args(more).output();
        let output = output.expect("the simulator starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text)
    };
    let (code, text) = sim(&[]);
    assert_eq!(code, Some(0), "not asked for, it is only printed: {text}");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    let (code, text) = sim(&["--require-probes", folder]);
    assert_eq!(code, Some(1), "{text}");
    let missed = text.lines().filter(|line| line.contains("MISSED ("));
    let names: Vec<&str> = missed
        .filter_map(|line| Some(line.split_once("MISSED (")?.1.trim_end_matches(')')))
        .collect();
    let all = text.split_once("never come by: ").expect(&text).1;
    assert!(!names.is_empty(), "four seeds come by everything: {text}");
    for name in names {
        assert!(all.contains(name), "{name} is not named: {text}");
    }
}
