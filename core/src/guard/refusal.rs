//! What the guard does not carry out (R10, R16).

use super::{Guard, Refusal};
use crate::mutant;
use crate::postgres::{Doors, StopMode};
use crate::step::{Order, Settings, Step};
use crate::time::Instant;

/// What settings open.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Opens {
    pub(super) gate: bool,
    pub(super) doors: bool,
}

impl Opens {
    pub(super) fn of(settings: &Settings) -> Opens {
        Opens {
            gate: settings.gate.is_some(),
            doors: settings.doors != Doors::Closed,
        }
    }
}

impl Guard {
    /// What stands in an order's way.
    pub(super) fn refusal(&self, now: Instant, order: &Order) -> Option<Refusal> {
        let seen = self.view.term;
        let run = self.view.run;
        if order.number <= self.view.last_order {
            let seen = self.view.last_order;
            return Some(Refusal::OldNumber { seen });
        }
        if let Step::Stop(mode) = order.step {
            // Stopping is safe in any term: a daemon that lost its state knows none.
            return match &self.under_way {
                Some(o) => match o.step {
                    Step::Stop(StopMode::Clean)
                        if mode == StopMode::Now && !mutant!(self.config, R16HurriesNoStop) =>
                    {
                        None
                    }
                    Step::Stop(_) => Some(Refusal::Busy { number: o.number }),
                    _ if mutant!(self.config, R16StopWaits) => {
                        Some(Refusal::Busy { number: o.number })
                    }
                    _ => None,
                },
                None => None,
            };
        }
        if order.term < seen && !mutant!(self.config, R16OldTerm) {
            let term = order.term;
            return Some(Refusal::OldTerm { term, seen });
        }
        if let Some(number) = self.busy()
            && !mutant!(self.config, R16TwoOrders)
        {
            return Some(Refusal::Busy { number });
        }
        let permitted = self.view.permission.allows(order.term, now);
        let no_permission = Some(Refusal::NoPermission {
            term: order.term,
            permission: self.view.permission,
        });
        let serves = self.view.serving.is_some();
        let may_open = permitted || mutant!(self.config, R10GuardOpens);
        match &order.step {
            Step::Promote if !permitted && !mutant!(self.config, R10GuardPromotes) => no_permission,
            Step::Promote if self.view.fencing || run.is_none() => Some(Refusal::NotRunning),
            // R7: a promoted database must not acknowledge what nobody else has.
            Step::Promote
                if !serves && self.may_open.gate && !mutant!(self.config, R7OpenAtPromotion) =>
            {
                Some(Refusal::GateOpen)
            }
            Step::WriteSettings(settings)
                if serves && Opens::of(settings) != Opens::default() && !may_open =>
            {
                no_permission
            }
            Step::Reload if serves && self.may_open != Opens::default() && !may_open => {
                no_permission
            }
            Step::Reload if run.is_none() => Some(Refusal::NotRunning),
            Step::Start
            | Step::SetAside(_)
            | Step::Clone { .. }
            | Step::Initdb
            | Step::Rewind { .. }
            | Step::MarkRewriting
            | Step::ClearMark => run.map(|run| Refusal::Running { run }),
            _ => None,
        }
    }
}
