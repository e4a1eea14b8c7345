//! A slice of the liveness matrix: one network in eight, in every situation.

use sim::matrix::{NETWORKS, Situation, scenario};
use sim::{Coverage, How, run_scenarios};
use std::sync::atomic::AtomicBool;

fn slice(situation: Situation) -> Coverage {
    let mut coverage = Coverage::default();
    let make = |n: u64| Some(scenario(situation, n as u32 * 8 + 7));
    let eighth = u64::from(NETWORKS / 8);
    let stop = AtomicBool::new(false);
    run_scenarios(
        0..eighth,
        make,
        2,
        How::default(),
        &stop,
        |_, scenario, report| {
            assert_eq!(report.violation, None, "{situation}:\n{scenario}");
            coverage.add(&report.coverage);
        },
    );
    coverage
}

/// All hosts up: that is where links decide.
#[test]
fn where_l_promises_writes_they_go_on_and_elsewhere_the_role_stays() {
    for (situation, promised) in [
        (Situation::InSync, 36),
        (Situation::Lone, 64),
        (Situation::DatabaseDead, 28),
        (Situation::DiskHangs, 28),
        (Situation::Started, 37),
        (Situation::Unable, 28),
    ] {
        let coverage = slice(situation);
        assert_eq!(coverage.promised.0, promised, "{situation}");
        assert!(coverage.failovers > 0 || situation == Situation::Lone);
    }
}

#[test]
fn a_network_is_a_scenario_that_is_printed_and_read_back() {
    for situation in Situation::ALL {
        let scenario = scenario(situation, 77);
        assert_eq!(scenario.to_string().parse(), Ok(scenario));
    }
}
