//! Replication slots: a primary has one for each copy that may stream, by the copy's name, and a standby connects under
//! its name to its slot alone. PostgreSQL lets one connection at a time stream from a slot: so a name stands for one
//! connection, and two of one name never fill two places of a gate (R7). A slot also keeps the log that its copy still
//! needs, within a bound; who is no primary any more keeps none.

use super::Steward;
use super::plan::Plan;
use crate::postgres::Want;
use crate::record::Copy;
use crate::step::{Server, Slot, Step};
use crate::time::{Duration, Instant};

/// How soon after its failure it is tried again. Nothing else waits for it.
const AGAIN: Duration = Duration::secs(1);

impl Steward {
    /// The slots as wanted; None: they are, or could not be just now.
    pub(super) fn plan_slots(&self, now: Instant, server: &Server) -> Option<Plan> {
        let failed = self.facts.run.slots_failed;
        if failed.is_some_and(|at| now < at + AGAIN) {
            return None;
        }
        Some(Plan::step(self.slots_due(server)?).in_passing())
    }

    /// What is to be made and dropped, if anything.
    pub(super) fn slots_due(&self, server: &Server) -> Option<Step> {
        let target = self.target.as_ref()?;
        let wanted: &[Copy] = match &target.want {
            Want::Primary { .. } if !server.in_recovery => &target.slots,
            _ => &[],
        };
        let has = |copy: &Copy| server.slots.iter().any(|s| s.copy == *copy);
        let make: Vec<Copy> = wanted.iter().copied().filter(|c| !has(c)).collect();
        // On a primary only what its member has another copy for: whoever is silent for now still needs its log.
        let replaced = |copy: Copy| wanted.iter().any(|w| w.member == copy.member);
        let drop: Vec<Copy> = server
            .slots
            .iter()
            .filter(|slot| !slot.active && !wanted.contains(&slot.copy))
            .map(|slot| slot.copy)
            .filter(|copy| server.in_recovery || copy.member == self.config.me || replaced(*copy))
            .collect();
        let settled = make.is_empty() && drop.is_empty();
        (!settled).then_some(Step::Slots { make, drop })
    }

    /// They are as wanted, whoever did it: what did not work is over.
    pub(super) fn slots_settled(&mut self) {
        let (make, drop) = (Vec::new(), Vec::new());
        let kind = std::mem::discriminant(&Step::Slots { make, drop });
        self.trouble.take_if(|(of, _)| *of == kind);
    }

    /// They were made and dropped: until the next look that is what the server has.
    pub(super) fn slots_made(&mut self, make: &[Copy], drop: &[Copy]) {
        if let Some((server, _)) = &mut self.facts.run.seen {
            server.slots.retain(|slot| !drop.contains(&slot.copy));
            let made = make.iter().map(|copy| Slot {
                copy: *copy,
                active: false,
            });
            server.slots.extend(made);
            server.slots.sort_unstable();
        }
    }
}
