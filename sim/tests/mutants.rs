//! A canary: a deliberate bug has to be found, else the oracles sleep.
#![cfg(feature = "mutants")]

use sim::{How, run_many};
use yoke_core::mutant::Mutant;

fn found(mutant: Mutant, seeds: std::ops::Range<u64>) -> bool {
    let place = Mutant::ALL.iter().position(|m| *m == mutant);
    let mut found = false;
    let how = How {
        trace: false,
        mutant: place,
    };
    run_many(seeds, 2, how, |_, report| {
        found |= report
            .violation
            .is_some_and(|v| !matches!(v.oracle, "core assertion" | "simulator"));
    });
    found
}

#[test]
fn a_gate_that_is_open_at_a_promotion_is_found() {
    assert!(found(Mutant::R7OpenAtPromotion, 0..10));
}

#[test]
fn a_gate_that_opens_before_the_record_is_committed_is_found() {
    assert!(found(Mutant::R8OpensWhenProposed, 0..100));
}

#[test]
fn without_a_bug_nothing_is_found() {
    let how = How {
        trace: false,
        mutant: None,
    };
    run_many(0..20, 2, how, |seed, report| {
        assert_eq!(report.violation, None, "seed {seed}")
    });
}
