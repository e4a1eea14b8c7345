//! `--probe` and `--require-probes`: what the seeds and the committed scenarios came by, and what not.

use crate::failure::Name;
use crate::source::read_all;
use sim::{How, Probe, Scenario, Tally, Violation, fewest_faults, run};
use std::fs;
use std::path::Path;

/// A probe by its name.
pub(crate) fn by_name(name: &str) -> Result<Probe, String> {
    let found = Probe::ALL.iter().find(|probe| probe.name() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = Probe::ALL.iter().map(|probe| probe.name()).collect();
        format!(
            "there is no situation {name:?}; there are {}",
            names.join(", ")
        )
    })
}

/// Writes the scenario with the fewest faults that comes by this situation.
pub(crate) fn write(scenario: &Scenario, probe: Probe, file: &Path) -> Result<(), String> {
    let fewest = fewest_faults(scenario, probe).ok_or_else(|| {
        format!(
            "this run does not come by {}, or breaks a promise",
            probe.name()
        )
    })?;
    let text = format!("# {}: {}\n{fewest}", probe.name(), probe.sentence());
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// What the scenarios in this folder come by that no seed did. Also: those that break a promise.
pub(crate) fn scenarios(
    folder: &Path,
    tally: &mut Tally,
) -> Result<Vec<(Name, Violation)>, String> {
    let mut failures = vec![];
    for (file, scenario) in read_all(folder)? {
        let report = run(&scenario, How::default());
        tally.add_scenario(report.reached);
        if let Some(violation) = report.violation {
            failures.push((Name(format!("--scenario {}", file.display())), violation));
        }
    }
    Ok(failures)
}
