//! What the storm draws. The storm itself takes too long for a test: `cargo run --release -p tests --bin storm`.

use std::collections::BTreeSet;
use tests::storm::draw::Draw;

#[test]
fn a_seed_draws_the_same_faults_again_from_any_of_them_on() {
    let draw = Draw::new(7, true, None);
    let all: Vec<_> = (1..40).map(|n| draw.blow(n)).collect();
    let again = Draw::new(7, true, None);
    assert_eq!(again.blow(20), all[19]);
    assert!(all.windows(2).any(|two| two[0] != two[1]));
}

/// Nothing that the storm knows is left out for long.
#[test]
fn everything_is_drawn() {
    let draw = Draw::new(1, true, None);
    let classes: BTreeSet<String> = (1..2_000)
        .map(|n| draw.blow(n).map(|b| b.fault.class()).unwrap_or_default())
        .collect();
    for what in [
        "kill",
        "freeze",
        "stop",
        "shut",
        "upgrade",
        "hand over",
        "power",
        "silence",
        "the standby's walreceiver hangs",
        "the primary's walsender hangs",
        "cut",
    ] {
        assert!(classes.iter().any(|c| c.starts_with(what)), "never: {what}");
    }
    for what in [
        "postmaster",
        "PostgreSQL",
        "backend",
        "walsender",
        "walreceiver",
        "checkpointer",
        "startup process",
    ] {
        for how in ["kill", "freeze"] {
            assert!(
                classes
                    .iter()
                    .any(|c| c.starts_with(how) && c.ends_with(what)),
                "never: {how} {what}"
            );
        }
    }
    for lost in [
        "its state file",
        "its status directory",
        "its data directory",
        "status and data directory",
    ] {
        let lost = format!("{lost} lost");
        assert!(classes.iter().any(|c| c.ends_with(&lost)), "never: {lost}");
    }
}
