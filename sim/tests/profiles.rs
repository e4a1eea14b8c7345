//! Every profile keeps its promises, every kind of fault comes, and clusters of all sizes are there.

use sim::scenario::{Kind, Trigger, What};
use sim::{Coverage, How, Profile, Scenario, run, scenario_in};
use std::collections::BTreeSet;

const PROFILES: [&str; 9] = [
    "calm",
    "lossy",
    "partition",
    "crash",
    "pause",
    "skew",
    "disk",
    "operator",
    "chaos",
];

fn profile(word: &str) -> Profile {
    word.parse().expect("it is a profile")
}

#[test]
fn some_seeds_of_every_profile_keep_every_promise() {
    let mut coverage = Coverage::default();
    for word in PROFILES {
        for seed in 0..12 {
            let report = run(&scenario_in(profile(word), seed), How::default());
            assert_eq!(report.violation, None, "--profile {word} --seed {seed}");
            coverage.add(&report.coverage);
        }
    }
    assert!(
        coverage.happened.len() > 30,
        "hardly any fault:\n{coverage}"
    );
}

#[test]
fn a_profile_s_scenario_is_printed_and_read_back() {
    for word in PROFILES {
        for seed in 0..100 {
            let scenario = scenario_in(profile(word), seed);
            let text = scenario.to_string();
            assert_eq!(text.parse::<Scenario>().as_ref(), Ok(&scenario), "{text}");
        }
    }
}

#[test]
fn calm_has_no_fault_and_chaos_has_all_and_none() {
    let (mut words, mut moments, mut blows) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut quiet, mut sizes, mut data) = (0, BTreeSet::new(), BTreeSet::new());
    for seed in 0..2000 {
        assert_eq!(scenario_in(profile("calm"), seed).faults, []);
        let scenario = scenario_in(profile("chaos"), seed);
        quiet += u64::from(scenario.faults.is_empty());
        sizes.insert(scenario.members.len());
        data.insert(scenario.members.iter().filter(|data| **data).count());
        for fault in &scenario.faults {
            words.insert(fault.what.word());
            if let What::Aim(_, moment, blow, _) = fault.what {
                moments.insert(moment.word());
                blows.insert(blow.to_string());
            }
        }
    }
    // Those that bring back something old, or take the last that there is, are of the written histories.
    let written = [
        "restore-state",
        "restore-data",
        "restore-host",
        "restore-unheard",
        "foreign-data",
        "edit",
        "wedge",
        "timeout",
        "lose-last",
    ];
    let missing: Vec<_> = What::WORDS
        .iter()
        .filter(|word| !words.contains(**word) && !written.contains(word))
        .collect();
    assert_eq!(missing, Vec::<&&str>::new());
    assert_eq!(moments.len(), 10, "{moments:?}");
    assert_eq!(blows.len(), 9, "{blows:?}");
    assert!(quiet > 100, "all off: {quiet}");
    assert_eq!(sizes, BTreeSet::from([3, 4, 5, 7]));
    assert_eq!(data, BTreeSet::from([1, 2, 3, 4, 5]));
}

/// A calm run with these faults.
fn with(kind: Kind, faults: &str) -> Coverage {
    let mut scenario: Scenario = faults.parse().expect("it is a scenario");
    scenario.kind = kind;
    let report = run(&scenario, How::default());
    assert_eq!(report.violation, None, "{scenario}");
    report.coverage
}

#[test]
fn a_guard_that_does_not_run_fences_only_when_it_does() {
    // It is cut off meanwhile, and its permission ends.
    let paused = with(
        Kind::Chaos,
        "at 1000000 pause-guard m0 8000000\nat 1100000 isolate m0 all 12000000\nheal-after 20000000",
    );
    assert_eq!((paused.fences, paused.failovers), (1, 1));
}

#[test]
fn a_full_disk_holds_back_what_needs_it() {
    // No state, no vote: the third member alone cannot be elected with.
    let full = with(
        Kind::Chaos,
        "at 1000000 full-disk m1 9000000\nat 1000000 full-disk m2 9000000\nat 1100000 host m0 actions=0 4000000\nheal-after 12000000",
    );
    assert!(full.happened["(a state write found no space)"] > 0);
}

#[test]
fn an_aimed_blow_strikes_at_its_moment() {
    for moment in [
        "persisted",
        "sent",
        "release",
        "promotion",
        "gate",
        "proof",
        "steps=3",
        "begun=1",
        "done=1",
    ] {
        let trigger: Trigger = moment.parse().expect("it is a moment");
        let who = if moment == "release" { "m0" } else { "m1" };
        let faults = format!(
            "at 1000000 aim {who} {moment} daemon 300000\nat 1100000 demote primary\nheal-after 12000000"
        );
        let coverage = with(Kind::Chaos, &faults);
        assert_eq!(coverage.happened.get(trigger.word()), Some(&1), "{moment}");
    }
}

#[test]
fn a_jump_ends_a_lease_and_a_freeze_hides_its_end() {
    let jump = with(
        Kind::Unbounded,
        "at 1000000 jump m0 6000000\nheal-after 9000000",
    );
    assert!(jump.fences > 0, "its lease is over on its own clock");
    let freeze = with(
        Kind::Unbounded,
        "at 1000000 freeze m0 8000000\nheal-after 14000000",
    );
    assert_eq!(freeze.failovers, 1);
}
