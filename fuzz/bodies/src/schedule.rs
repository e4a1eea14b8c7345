//! A whole run of the simulator: the bytes are a scenario's text, as the simulator prints and reads it.

pub use sim::Search;
use sim::{How, Scenario, Situations, Violation};

/// Runs it with every oracle on.
pub fn run(bytes: &[u8]) {
    explore(&scenario(bytes));
}

/// The scenario that the bytes are; if they are none, that of the seed which the first four of them name.
pub fn scenario(bytes: &[u8]) -> Scenario {
    let text = str::from_utf8(bytes).unwrap_or_default();
    match text.parse() {
        Ok(scenario) if !text.trim().is_empty() => scenario,
        _ => {
            let mut seed = [0; 4];
            let given = bytes.len().min(seed.len());
            seed[..given].copy_from_slice(&bytes[..given]);
            sim::scenario_of(u32::from_le_bytes(seed).into())
        }
    }
}

/// Runs it: how many events it took, and which situations it came by.
///
/// # Panics
/// If it breaks a promise: libFuzzer takes that for a find.
pub fn explore(scenario: &Scenario) -> (u64, Situations) {
    let (events, situations, found) = judge(scenario, None);
    if let Some(violation) = found {
        let how = How {
            trace: true,
            ..How::default()
        };
        let again = sim::run(scenario, how);
        let lines = again.story.unwrap_or_default().in_columns();
        let last = lines[lines.len().saturating_sub(40)..].join("\n");
        eprintln!("{last}\n\n{scenario}\nVIOLATION: {violation}");
        panic!("{violation}");
    }
    (events, situations)
}

/// The same with a deliberate bug or none, and the promise that it breaks.
pub fn judge(scenario: &Scenario, mutant: Option<usize>) -> (u64, Situations, Option<Violation>) {
    sim::catch_panics();
    let how = How {
        mutant,
        ..How::default()
    };
    let (report, situations) = sim::watched(scenario, how);
    // With a deliberate bug an assertion is no find, as little as in `sim mutants`; nor is what breaks without it, too.
    let is_find = |violation: &Violation| {
        let clean = || sim::run(scenario, How::default()).violation.is_none();
        mutant.is_none() || (violation.is_an_oracles() && clean())
    };
    let found = report.violation.filter(is_find);
    (report.events, situations, found)
}
