//! A canary: a deliberate bug has to be found, else the oracles sleep.
#![cfg(feature = "mutants")]

use sim::matrix::{Situation, scenario};
use sim::scenario::{Fault, Target, Trigger, What};
use sim::{How, Scenario, run_many};
use std::collections::BTreeSet;
use std::ops::Range;
use yoke_core::mutant::Mutant;

/// The oracles that find it in these seeds.
fn found_by(mutant: Mutant, seeds: Range<u64>) -> BTreeSet<&'static str> {
    let place = Mutant::ALL.iter().position(|m| *m == mutant);
    let mut found = BTreeSet::new();
    let how = How {
        trace: false,
        mutant: place,
    };
    run_many(seeds, 2, how, |_, report| {
        found.extend(report.violation.map(|v| v.oracle));
    });
    found
}

fn found(mutant: Mutant, seeds: Range<u64>) -> bool {
    let found = found_by(mutant, seeds);
    found
        .iter()
        .any(|oracle| !matches!(*oracle, "core assertion" | "simulator"))
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
fn the_loop_of_2015_loses_writes_and_has_two_primaries() {
    let found = found_by(Mutant::Original2015, 0..100);
    assert!(found.contains("lost_write"), "{found:?}");
    assert!(found.contains("two_primaries"), "{found:?}");
}

/// Oracles that others mostly come before: each is the first to see its own promise broken.
#[test]
fn each_of_these_oracles_is_the_first_to_see_its_promise_broken() {
    let first = |scenario: &Scenario, mutant: Mutant| {
        assert_eq!(sim::run(scenario, How::default()).violation, None);
        let how = How {
            trace: false,
            mutant: Mutant::ALL.iter().position(|m| *m == mutant),
        };
        sim::run(scenario, how).violation.map(|v| v.oracle)
    };
    // A lone primary that hears nobody stops serving.
    let cut_off = 0b110_000_111;
    let alone = scenario(Situation::Lone, cut_off);
    assert_eq!(first(&alone, Mutant::R10LoneLease), Some("standing"));
    // The role goes back to where it was, once that host is there again.
    let mut lost = Scenario::calm(7);
    lost.faults.push(Fault {
        at: 1_000_000,
        early: false,
        what: What::Host(Target::Primary, Trigger::Actions(0), 8_000_000),
    });
    lost.heal_after = 30_000_000;
    assert_eq!(first(&lost, Mutant::HandsBack), Some("few_moves"));
    // What an operator's word left out is rewound in place.
    let left_out = include_str!("../scenarios/left-out-by-an-operators-word.scenario");
    let left_out = left_out.parse().expect("it is a scenario");
    let found = first(&left_out, Mutant::R17ForgetsForced);
    assert_eq!(found, Some("vanished"));
}

/// Bugs that chance would hardly show, but a scenario that the guided search or a long campaign came by.
#[test]
fn what_only_a_scenario_shows_is_found_there() {
    let shown = [
        (
            Mutant::R9OrderUnderWay,
            include_str!("../scenarios/growth-while-an-order-leaves-the-copy-out.scenario"),
        ),
        (
            Mutant::R15NamedNumbersAlone,
            include_str!("../scenarios/a-number-made-twice-and-named-once.scenario"),
        ),
        (
            Mutant::R6PromotesAsFound,
            include_str!("../scenarios/as-found-is-gone-while-the-disk-is-full.scenario"),
        ),
        (
            Mutant::R7ProvesOldSettings,
            include_str!("../scenarios/settings-written-while-an-opening-is-found.scenario"),
        ),
        (
            Mutant::R10LateIsUnknown,
            include_str!("../scenarios/permissions-of-an-earlier-daemon-come-late.scenario"),
        ),
        (
            Mutant::R10OrderedIsDown,
            include_str!("../scenarios/promotion-ordered-before-a-pause.scenario"),
        ),
        (
            Mutant::R10StopsInTurns,
            include_str!("../scenarios/told-to-stop-while-another-leads.scenario"),
        ),
        (
            Mutant::R11EndOutlivesItsCopy,
            include_str!("../scenarios/marked-though-the-answer-was-a-failure.scenario"),
        ),
        (
            Mutant::R11NameOfItsClone,
            include_str!("../scenarios/doubted-by-the-daemon-that-cloned-it.scenario"),
        ),
        (
            Mutant::R12BelowItsGuard,
            include_str!("../scenarios/guard-has-seen-a-higher-term.scenario"),
        ),
        (
            Mutant::R12LearnsUnlooked,
            include_str!("../scenarios/refreshed-before-it-was-known-to-be-old.scenario"),
        ),
        (
            Mutant::R12LateStartStands,
            include_str!("../scenarios/words-of-an-earlier-start-come-late.scenario"),
        ),
        (
            Mutant::R12SaysWhatWaited,
            include_str!("../scenarios/old-state-found-while-words-wait.scenario"),
        ),
        (
            Mutant::R12StaleWordStands,
            include_str!("../scenarios/old-word-of-a-copy-passed-on-as-new.scenario"),
        ),
        (
            Mutant::R15StartsContradicted,
            include_str!("../scenarios/history-file-of-another-promotion.scenario"),
        ),
        (
            Mutant::R16IdleStopStays,
            include_str!("../scenarios/stopped-twice-while-nothing-runs.scenario"),
        ),
        (
            Mutant::R16OvertakenLook,
            include_str!("../scenarios/look-overtaken-by-an-order-of-an-earlier-daemon.scenario"),
        ),
        (
            Mutant::R8AskedBefore,
            include_str!(
                "../scenarios/nobody-reaches-the-leader-soon-after-a-stream-fell-silent.scenario"
            ),
        ),
        (
            Mutant::R17ByPositionAlone,
            include_str!("../scenarios/primary-last-is-not-seen-to-its-end.scenario"),
        ),
        (
            Mutant::R19LeadersAlone,
            include_str!("../scenarios/lone-hangs-while-nobody-leads.scenario"),
        ),
    ];
    for (mutant, text) in shown {
        let scenario: Scenario = text.parse().expect("it is a scenario");
        assert_eq!(sim::run(&scenario, How::default()).violation, None);
        let how = How {
            trace: false,
            mutant: Mutant::ALL.iter().position(|m| *m == mutant),
        };
        let violation = sim::run(&scenario, how).violation;
        let found = violation.is_some_and(|violation| violation.is_an_oracles());
        assert!(found, "{mutant}");
    }
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

#[test]
fn a_failure_shrinks_and_the_page_shows_it() {
    let how = How {
        trace: true,
        mutant: Mutant::ALL
            .iter()
            .position(|m| *m == Mutant::R8OpensWhenProposed),
    };
    let failing = (0..400).map(sim::scenario_of).find(|scenario| {
        let report = sim::run(
            scenario,
            How {
                trace: false,
                ..how
            },
        );
        report
            .violation
            .is_some_and(|v| v.oracle == "specification")
            && scenario.faults.len() > 4
    });
    let failing = failing.expect("a seed with many faults finds it");
    let shrunk = sim::shrink(&failing, how).expect("it fails");
    let text = shrunk.scenario.to_string();
    assert!(shrunk.scenario.faults.len() <= 4, "{text}");
    assert_eq!(shrunk.scenario.members.len(), 3, "{text}");
    // What is written is what fails, and only with the bug.
    let read = text.parse().expect("it is a scenario");
    let report = sim::run(&read, how);
    assert_eq!(report.violation.as_ref(), Some(&shrunk.violation));
    assert_eq!(sim::run(&read, How::default()).violation, None, "{text}");

    let story = report.story.expect("it was asked for");
    let page = sim::page(&story, &read, "it", report.violation.as_ref(), "command");
    assert!(page.contains(&format!("\"what\":\"{}\"", shrunk.violation.what)));
    for outside in ["http://", "https://", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside} in the page");
    }
}
