//! The fewest faults with which a run still comes by a situation: for a scenario that is kept because of it.

use super::Probe;
use crate::run::{How, run};
use crate::scenario::Scenario;

/// The scenario without the faults that it can do without, and healed as early as it can; none if it does not come by
/// this situation, or breaks a promise.
pub fn fewest_faults(scenario: &Scenario, probe: Probe) -> Option<Scenario> {
    let comes_by = |scenario: &Scenario| {
        let report = run(scenario, How::default());
        report.violation.is_none() && report.reached.has(probe)
    };
    if !comes_by(scenario) {
        return None;
    }
    let mut best = scenario.clone();
    for at in (0..best.faults.len()).rev() {
        let mut fewer = best.clone();
        fewer.faults.remove(at);
        if comes_by(&fewer) {
            best = fewer;
        }
    }
    loop {
        let mut sooner = best.clone();
        sooner.heal_after = best.heal_after * 3 / 4;
        if sooner.heal_after == 0 || !comes_by(&sooner) {
            return Some(best);
        }
        best = sooner;
    }
}
