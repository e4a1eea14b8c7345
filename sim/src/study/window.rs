//! One fault in a calm cluster, from before it until everything is in sync again.

use crate::event::Ev;
use crate::run::{How, Session};
use crate::scenario::{Fault, Scenario, What};
use crate::world::Violation;

/// A longer time without an acknowledged write counts as unavailable; in calm times there is one every 50 to 60 ms.
const UNAVAILABLE: u64 = 100_000;
const SECOND: u64 = 1_000_000;

/// What came of one fault.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// How often the role moved.
    pub(super) failovers: u64,
    /// Microseconds without acknowledged writes.
    pub(super) unavailable: u64,
    pub(super) violation: Option<Violation>,
}

/// A calm cluster that meets this fault, if any, which lasts so long.
pub(super) fn scenario(
    decision_timeout: u64,
    choices: u64,
    fault: Option<(What, u64)>,
) -> Scenario {
    let mut scenario = Scenario::calm(choices);
    scenario.decision_timeout = decision_timeout;
    scenario.clients = (0, SECOND);
    let Some((what, length)) = fault else {
        scenario.heal_after = 60 * SECOND;
        return scenario;
    };
    // Where it falls between two heartbeats.
    let at = SECOND + crate::choices::mix(choices, length) % (decision_timeout / 20);
    scenario.faults = vec![Fault {
        at,
        early: false,
        what,
    }];
    // Nothing is mended by hand before the cluster has done what it does.
    scenario.heal_after = at + length.max(2 * decision_timeout) + 2 * SECOND;
    scenario
}

/// Plays it; somebody tries to write everywhere every 50 ms.
pub(super) fn play(scenario: &Scenario) -> Window {
    let mut session = Session::begin(scenario, How::default());
    // But for the fault the times are the usual ones.
    session.world.choices.tails = false;
    session.world.after(SECOND, Ev::Probe);
    let mut window = Window::default();
    let (mut seen, mut last) = (0, None);
    while session.step() {
        let world = &session.world;
        let acknowledged = world.oracles.lost_write.acked.len();
        if acknowledged == seen {
            continue;
        }
        seen = acknowledged;
        if world.ready.is_none() {
            continue;
        }
        if let Some(last) = last.replace(world.now)
            && world.now - last > UNAVAILABLE
        {
            window.unavailable += world.now - last;
        }
    }
    let report = session.report();
    window.failovers = report.coverage.failovers;
    window.violation = report.violation;
    window
}
