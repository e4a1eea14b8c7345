//! A small slice of the study: it goes the way that it has to go.

use sim::study::{LENGTHS, calm_is_calm, study};

const SECOND: u64 = 1_000_000;

#[test]
fn in_calm_times_nothing_moves_however_long_the_timeout_is() {
    for length in LENGTHS {
        assert_eq!(calm_is_calm(length), (0, 0), "decision_timeout {length}");
    }
}

#[test]
fn a_shorter_timeout_moves_the_role_more_often_and_a_longer_one_waits_longer() {
    let lengths = [SECOND, 5 * SECOND, 20 * SECOND];
    let study = study(&lengths, 1, 2).expect("no promise is broken");
    let [short, middle, long] = &study.rows[..] else {
        panic!("a row for each length");
    };
    assert!(
        short.failovers.mean > 1.5 * middle.failovers.mean
            && middle.failovers.mean > long.failovers.mean,
        "what a longer timeout sits out moves nothing:\n{study}"
    );
    assert!(
        long.unavailable.mean > 1.1 * middle.unavailable.mean,
        "a longer timeout waits longer for whoever is gone:\n{study}"
    );
    assert!(
        middle.failovers.mean > 2.0,
        "a host that crashes has to be replaced:\n{study}"
    );
}
