//! The guard: holds the permission, fences at its end, carries out one order at a time (R10, R16).

mod reason;
mod refusal;

pub use reason::{GuardReason, Refusal};
use refusal::Opens;

use crate::config::Config;
use crate::mutant;
use crate::permission::{GuardView, Lasts, Permission};
use crate::postgres::RunId;
use crate::rule;
use crate::step::{Order, Outcome, Step};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::mem::{Discriminant, discriminant};

/// Everything that can happen to a guard.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum GuardEvent {
    /// The time that `next_timeout` named has come.
    Timeout,
    /// The daemon tells how long a primary may serve.
    Permission(Permission),
    /// The daemon asks for a step.
    Order(Order),
    /// What came of the order that was to be executed. Of `Start`: `Done` once the postmaster is spawned.
    Outcome {
        /// The order's.
        number: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// The postmaster ended and every process of it was seen gone (swept for).
    Gone {
        /// Which run.
        run: RunId,
    },
}

/// Everything a guard may ask for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum GuardAction {
    /// Carry this out, and answer by `Outcome`. A `Start` begins this run; one that fails leaves nothing running.
    Execute {
        /// The order.
        order: Order,
        /// The run that a `Start` begins, or the present one.
        run: Option<RunId>,
    },
    /// End the order under way: kill its helper. It answers by `Outcome` all the same.
    EndOrder {
        /// Which.
        number: u64,
    },
    /// Fence: end every process of the database at once, then say `Gone`.
    Kill {
        /// Which run.
        run: RunId,
    },
    /// For the daemon: what came of its order.
    Answer {
        /// The order's.
        number: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// For the daemon: what the guard holds has changed.
    View(GuardView),
    /// Say what was decided, and why.
    Explain(GuardReason),
}

/// One host's guard.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Guard {
    config: Config,
    /// What the daemon is told.
    view: GuardView,
    /// The view as last told.
    told: GuardView,
    /// Random bits of this guard and how many runs it began: a run's name is made of both.
    nonce: u64,
    runs: u64,
    /// The order under way.
    under_way: Option<Order>,
    /// Orders that were ended and have not answered yet: nothing but a stop is begun before they have.
    ending: Vec<Order>,
    /// Whether the settings on disk may open gate or doors, and whether they may open the gate.
    may_open: Opens,
    /// What was refused last, and why.
    refused: Option<(Discriminant<Step>, Discriminant<Refusal>)>,
    /// Things to do, before all else.
    urgent: VecDeque<GuardAction>,
    /// Answers and explanations; the daemon is told the view first.
    answers: VecDeque<GuardAction>,
}

impl Guard {
    /// A guard at its start: nothing runs. `nonce`: fresh random bits, from which it names the runs.
    pub fn new(config: Config, nonce: u64) -> Self {
        Guard {
            config,
            view: GuardView::NEW,
            told: GuardView::NEW,
            nonce,
            runs: 0,
            under_way: None,
            ending: Vec::new(),
            may_open: Opens::default(),
            refused: None,
            urgent: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }

    /// Takes in one event. Drain `poll_action` to `None` before the next.
    pub fn handle(&mut self, now: Instant, event: GuardEvent) {
        // R10: a permission that has ended is over, whatever comes with this event.
        self.fence_if_over(now);
        let confirm = matches!(event, GuardEvent::Permission(_));
        match event {
            GuardEvent::Timeout => {}
            GuardEvent::Permission(permission) => self.take_permission(now, permission),
            GuardEvent::Order(order) => self.take_order(now, order),
            GuardEvent::Outcome { number, outcome } => self.take_outcome(number, outcome),
            GuardEvent::Gone { run } => self.gone(run),
        }
        self.fence_if_over(now);
        self.finish_idle_stop();
        self.view.order = self.busy();
        rule!(
            self.config,
            "R10",
            self.view.serving.is_none() || self.view.fencing || !self.view.permission.is_over(now),
            "a database serves although its permission {} is over",
            self.view.permission
        );
        if confirm || self.view != self.told {
            self.told = self.view;
            self.urgent.push_back(GuardAction::View(self.view));
        }
    }

    /// The next action.
    pub fn poll_action(&mut self) -> Option<GuardAction> {
        self.urgent.pop_front().or_else(|| self.answers.pop_front())
    }

    /// When `GuardEvent::Timeout` is due: the end of the permission.
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.view.permission.lasts {
            Lasts::Until(end)
                if self.view.serving.is_some()
                    && !self.view.fencing
                    && !mutant!(self.config, R10NeverWakes) =>
            {
                Some(end)
            }
            _ => None,
        }
    }

    /// What it holds: for a daemon that connects.
    pub fn view(&self) -> GuardView {
        self.view
    }

    /// R10: holds the newest permission; an older one that comes late changes nothing.
    fn take_permission(&mut self, now: Instant, new: Permission) {
        let held = self.view.permission;
        if new.order() <= held.order() && !mutant!(self.config, R10OlderPermission) {
            return;
        }
        self.view.permission = new;
        self.view.term = self.view.term.max(new.term);
        // A leader that was elected again takes its running database along into its new term.
        if self.view.serving.is_some() && !self.view.fencing && !new.is_over(now) {
            self.view.serving = Some(new.term);
        }
    }

    /// R10: what serves without permission is killed, whatever is under way.
    fn fence_if_over(&mut self, now: Instant) {
        let (Some(run), Some(serving)) = (self.view.run, self.view.serving) else {
            return;
        };
        if self.view.fencing
            || !self.view.permission.is_over(now)
            || mutant!(self.config, R10NeverFences)
            || (mutant!(self.config, R10FenceWaits) && self.under_way.is_some())
        {
            return;
        }
        self.view.fencing = true;
        self.urgent.push_back(GuardAction::Kill { run });
        self.explain(GuardReason::Fenced {
            run,
            serving,
            permission: self.view.permission,
        });
        // A stop under way comes to its end by the kill.
        if self.under_way.as_ref().is_some_and(|o| !is_stop(o))
            && !mutant!(self.config, R16FenceEndsNothing)
        {
            self.end_order(true);
        }
    }

    /// R16: one order at a time; a stop ends what is under way.
    fn take_order(&mut self, now: Instant, order: Order) {
        if let Some(because) = self.refusal(now, &order) {
            self.view.last_order = self.view.last_order.max(order.number);
            // Asked again and again, it is said once.
            let said = (discriminant(&order.step), discriminant(&because));
            if self.refused.replace(said) != Some(said) {
                self.explain(GuardReason::Refused {
                    number: order.number,
                    step: order.step.to_string(),
                    because,
                });
            }
            self.answer(order.number, Outcome::Refused);
            return;
        }
        self.refused = None;
        self.view.last_order = order.number;
        self.view.term = self.view.term.max(order.term);
        if self.under_way.is_some() {
            self.end_order(false);
        }
        match &order.step {
            Step::Start => {
                self.runs += 1;
                self.view.run = Some(self.name_run());
                self.view.serving = None;
            }
            // R10: it serves from the moment that its promotion is ordered.
            Step::Promote => {
                rule!(
                    self.config,
                    "R10",
                    self.view.permission.allows(order.term, now),
                    "a promotion without permission"
                );
                if !mutant!(self.config, R10ServesOncePromoted) {
                    self.view.serving = Some(order.term);
                }
            }
            Step::WriteSettings(settings) => {
                let opens = Opens::of(settings);
                self.may_open.gate |= opens.gate;
                self.may_open.doors |= opens.doors;
            }
            _ => {}
        }
        self.under_way = Some(order.clone());
        // A stop of what does not run is done once what it ended has answered.
        if self.view.run.is_some() || !is_stop(&order) {
            self.urgent.push_back(GuardAction::Execute {
                order,
                run: self.view.run,
            });
        }
    }

    fn take_outcome(&mut self, number: u64, outcome: Outcome) {
        if let Some(at) = self.ending.iter().position(|o| o.number == number) {
            self.ending.remove(at);
            return self.answer(number, Outcome::Ended);
        }
        let Some(order) = self.under_way.take_if(|o| o.number == number) else {
            return;
        };
        let outcome = match (&order.step, outcome) {
            (Step::WriteSettings(settings), Outcome::Done) => {
                self.may_open = Opens::of(settings);
                Outcome::Done
            }
            (Step::Promote, Outcome::Done) if self.view.run.is_some() => {
                if mutant!(self.config, R10ServesOncePromoted) {
                    self.view.serving = Some(order.term);
                }
                Outcome::Done
            }
            (Step::Start, Outcome::Done) if self.view.run.is_none() => {
                Outcome::Failed("the postmaster ended as soon as it was started".to_owned())
            }
            (Step::Start, Outcome::Failed(why)) => {
                // Nothing of it is left.
                self.forget_run();
                Outcome::Failed(why)
            }
            (Step::Stop(_), Outcome::Done) => {
                // Every process was seen gone.
                self.forget_run();
                Outcome::Done
            }
            (_, outcome) => outcome,
        };
        self.answer(number, outcome);
    }

    fn gone(&mut self, run: RunId) {
        if self.view.run != Some(run) && !mutant!(self.config, R16AnyGone) {
            return;
        }
        let stopped = self.under_way.take_if(|o| is_stop(o));
        if stopped.is_none() && !self.view.fencing {
            self.explain(GuardReason::GoneUnasked {
                run,
                serving: self.view.serving,
            });
        }
        self.forget_run();
        if let Some(stop) = stopped {
            self.answer(stop.number, Outcome::Done);
        }
        for order in std::mem::take(&mut self.ending) {
            if is_stop(&order) {
                self.answer(order.number, Outcome::Ended);
            } else {
                self.ending.push(order);
            }
        }
    }

    /// A stop of what does not run: done once nothing that it ended is under way.
    fn finish_idle_stop(&mut self) {
        if self.view.run.is_none()
            && self.ending.is_empty()
            && let Some(stop) = self.under_way.take_if(|o| is_stop(o))
        {
            self.answer(stop.number, Outcome::Done);
        }
    }

    fn forget_run(&mut self) {
        self.view.run = None;
        self.view.serving = None;
        self.view.fencing = false;
    }

    fn end_order(&mut self, by_fence: bool) {
        if let Some(order) = self.under_way.take() {
            let number = order.number;
            let waits = self.view.run.is_none() && is_stop(&order);
            self.explain(GuardReason::EndedEarly {
                number,
                step: order.step.to_string(),
                by_fence,
            });
            if waits && !mutant!(self.config, R16IdleStopStays) {
                // A stop of what does not run was never begun: nothing of it will answer.
                return self.answer(number, Outcome::Ended);
            }
            self.urgent.push_back(GuardAction::EndOrder { number });
            self.ending.push(order);
        }
    }

    /// The order under way, or one that was ended and has not answered.
    fn busy(&self) -> Option<u64> {
        let ending = (self.ending.first()).filter(|_| !mutant!(self.config, R16EndedIsOver));
        let order = self.under_way.as_ref().or(ending);
        order.map(|o| o.number)
    }

    /// Unique among this guard's runs, and most likely among all guards'; never 0.
    fn name_run(&self) -> RunId {
        RunId(crate::steward::mix(self.nonce, self.runs))
    }

    fn answer(&mut self, number: u64, outcome: Outcome) {
        self.answers
            .push_back(GuardAction::Answer { number, outcome });
    }

    fn explain(&mut self, reason: GuardReason) {
        self.answers.push_back(GuardAction::Explain(reason));
    }
}

fn is_stop(order: &Order) -> bool {
    matches!(order.step, Step::Stop(_))
}
