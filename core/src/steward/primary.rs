//! A running primary: its promotion noted, its gate proven, its doors, its health.

use super::plan::{Pace, Plan};
use super::proof::Proof;
use super::{Steward, StewardReason};
use crate::mutant;
use crate::postgres::{Doors, Gate};
use crate::record::Copy;
use crate::step::{Canary, Server, Step};
use crate::time::{Duration, Instant};

/// How long the checkpoint after a promotion may take before another is begun.
const CHECKPOINT_AGAIN: Duration = Duration::secs(300);

/// The health write comes no later than this after the one before.
const NUDGES_WITHIN: Duration = Duration::millis(500);

impl Steward {
    pub(super) fn plan_primary(
        &self,
        now: Instant,
        server: &Server,
        gate: &Gate,
        doors: Doors,
    ) -> Plan {
        let run = &self.facts.run;
        // The health write; the first one also says where the recovery ended (R18). However long D is, several fit into
        // `health_timeout`, else a healthy primary would give way (R19); and into `sync_timeout`, else a copy that has
        // nothing to confirm would seem to lag (R8). That it does lag shows at the next one.
        let timeouts = self.config.sync_timeout.min(self.config.health_timeout);
        let patience = timeouts.part(1, 4).min(NUDGES_WITHIN);
        let due = match mutant!(self.config, R8NudgesRarely) {
            true => self.config.heartbeat().times(2),
            false => self.config.heartbeat().times(2).min(patience),
        };
        if run.nudged_at.is_none_or(|at| now >= at + due) {
            return Plan::step(Step::Nudge).in_passing();
        }
        if let Some(stamp) = self.stamp_with_promotion(server) {
            return Plan::step(Step::WriteStamp(stamp));
        }
        let idle = Plan::look(Pace::Slow);
        let written = self.facts.written.as_ref();
        // Closing waits for nothing.
        if (doors == Doors::Closed || mutant!(self.config, R18DoorsBeforeGate))
            && let Some(plan) = self.plan_doors(now, server, doors)
        {
            return plan;
        }
        // Before the gate, which may wait for who streams.
        if let Some(plan) = self.plan_slots(now, server) {
            return plan;
        }
        if let Some(plan) = self.plan_gate(now, server, gate) {
            return plan;
        }
        // R18: doors open after the gate, never before.
        if doors == Doors::Open
            && written.is_some()
            && let Some(plan) = self.plan_doors(now, server, Doors::Open)
        {
            return plan;
        }
        // It serves. Who comes back and does not fit is rewound to what the control file says: that lags behind.
        let again = |at: Instant| now >= at + CHECKPOINT_AGAIN;
        if doors == Doors::Open
            && server.checkpoint_timeline < server.timeline.0
            && run.checkpoint_begun.is_none_or(again)
        {
            return Plan::step(Step::BeginCheckpoint).in_passing();
        }
        idle
    }

    /// The doors as wanted, the gate as it is; None: they are in force.
    fn plan_doors(&self, now: Instant, server: &Server, doors: Doors) -> Option<Plan> {
        let written = self.facts.written.as_ref();
        if written.is_some_and(|w| w.doors == doors) {
            return self.reload(now, server);
        }
        let gate = match written {
            Some(written) => written.gate.clone(),
            None => self.closed_gate(),
        };
        Some(Plan::because(
            Step::WriteSettings(self.settings(gate, None, doors)),
            StewardReason::Doors {
                open: doors == Doors::Open,
            },
        ))
    }

    /// The gate as wanted, and proven; None: it is (R7, R9).
    fn plan_gate(&self, now: Instant, server: &Server, gate: &Gate) -> Option<Plan> {
        if mutant!(self.config, R7OpenAtPromotion) {
            return None;
        }
        let names = match gate {
            Gate::AsFound => return None,
            Gate::Closed => None,
            Gate::Open(names) => Some(sorted(names)),
        };
        if !server.gate_is_ours {
            let plan = self.reload(now, server).unwrap_or(Plan::look(Pace::Slow));
            return Some(match plan.stuck {
                Some(_) => plan,
                None => plan.but("synchronous_standby_names does not come from Yoke's file, so nothing is known of what commits wait for; it is taken out of postgresql.auto.conf again".to_owned()),
            });
        }
        match (names, &self.facts.run.proof) {
            (None, Proof::Closed { .. }) => None,
            (Some(names), Proof::Open { names: open, .. }) if names == *open => None,
            (
                Some(names),
                Proof::Opening {
                    names: open, seen, ..
                },
            ) if names == *open => Some(self.see_open(now, server, &names, seen.is_some())),
            // An opening for nobody is seen to its end first, whoever ordered it: a checkpointer that has read it, and not
            // yet said so to all, would undo a closing that was already seen.
            (_, Proof::Found { canary, .. }) if !mutant!(self.config, R7ClosesOver) => {
                Some(self.see_found(now, server, *canary))
            }
            (_, Proof::Unproven)
                if self.is_written_open() && !mutant!(self.config, R7ClosesOver) =>
            {
                Some(self.reload(now, server).unwrap_or(Plan::look(Pace::Fast)))
            }
            (
                _,
                Proof::Opening {
                    names: open,
                    seen: None,
                    ..
                },
            ) if open.is_empty() && !mutant!(self.config, R7ClosesOver) => {
                Some(self.see_open(now, server, &[], false))
            }
            // Proven closed: the names may be written.
            (Some(names), Proof::Closed { .. }) => {
                Some(self.write_gate(Some(names.clone()), StewardReason::OpensGate { names }))
            }
            (Some(names), Proof::Open { .. })
                if mutant!(self.config, R9ProofOutlivesGate)
                    || mutant!(self.config, R9OpensFromOpen) =>
            {
                Some(self.write_gate(Some(names.clone()), StewardReason::OpensGate { names }))
            }
            (_, Proof::Closing { canary, .. }) => Some(self.see_closed(now, server, *canary)),
            // Whatever it was: each walsender is to read the new names anew.
            _ => Some(self.write_gate(None, StewardReason::ClosesGate)),
        }
    }

    /// The settings on disk open the gate for nobody.
    fn is_written_open(&self) -> bool {
        let gate = self.facts.written.as_ref().and_then(|w| w.gate.as_ref());
        gate.is_some_and(|names| names.is_empty())
    }

    fn write_gate(&self, gate: Option<Vec<Copy>>, why: StewardReason) -> Plan {
        let doors = self
            .facts
            .written
            .as_ref()
            .map_or(Doors::Closed, |w| w.doors);
        Plan::because(Step::WriteSettings(self.settings(gate, None, doors)), why)
    }

    /// Closing settings are written: a canary commit has to be seen waiting, and no walsender counted.
    fn see_closed(&self, now: Instant, server: &Server, canary_begun: bool) -> Plan {
        let again = match server.canary {
            Canary::None | Canary::Returned => true,
            Canary::Begun | Canary::Waiting => !canary_begun,
        };
        self.see_canary(now, server, again)
    }

    /// Settings that were found open the gate for nobody: a canary commit of this steward's own has to return.
    fn see_found(&self, now: Instant, server: &Server, canary_begun: bool) -> Plan {
        self.see_canary(now, server, !canary_begun || server.canary == Canary::None)
    }

    fn see_canary(&self, now: Instant, server: &Server, again: bool) -> Plan {
        if let Some(plan) = self.reload(now, server) {
            return plan;
        }
        if again && self.may_try_canary(now) {
            Plan::step(Step::Canary)
        } else {
            self.read_again(now)
        }
    }

    /// Opening settings are written: seen in force, a position is taken; it also releases who waits.
    fn see_open(&self, now: Instant, server: &Server, names: &[Copy], seen: bool) -> Plan {
        if let Some(plan) = self.reload(now, server) {
            return plan;
        }
        if seen && !self.facts.run.nudge_failing {
            return Plan::step(Step::Nudge);
        }
        if names.is_empty() && server.canary == Canary::None && self.may_try_canary(now) {
            return Plan::step(Step::Canary);
        }
        self.read_again(now)
    }
}

fn sorted(names: &[Copy]) -> Vec<Copy> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names
}
