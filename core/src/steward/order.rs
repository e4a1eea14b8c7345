//! Gives an order: one at a time, never one that a rule forbids, and not at once again what has just failed.

use super::facts::{Cloned, Holding};
use super::plan::Pace;
use super::{Steward, StewardAction, StewardReason};
use crate::mutant;
use crate::postgres::StopMode;
use crate::record::Term;
use crate::rule;
use crate::step::{Order, Step};
use crate::time::{Duration, Instant};

/// A step without its contents.
pub(super) type StepKind = std::mem::Discriminant<Step>;

/// A step that failed, and when to try it again.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Hold {
    pub(super) kind: StepKind,
    pub(super) until: Instant,
    pub(super) delay: Duration,
}

/// How soon a refused step is asked for again.
pub(super) const REFUSED: Duration = Duration::millis(50);
/// How soon after its failure a step is tried again; doubles up to the second.
pub(super) const FAILED: (Duration, Duration) = (Duration::millis(100), Duration::secs(5));
/// The same for a clone or a rewind.
pub(super) const CLONE_FAILED: (Duration, Duration) = (Duration::secs(1), Duration::secs(30));

impl Steward {
    pub(super) fn order_unless_held(
        &mut self,
        now: Instant,
        step: Step,
        why: Option<StewardReason>,
    ) {
        let until = match self.held(&step) {
            Some(until) if now < until => Some(until),
            // R16: one order at a time, also across daemons.
            _ if step.is_guards()
                && self.guard.order.is_some()
                && !mutant!(self.config, R16TwoOrders) =>
            {
                Some(now + Duration::secs(1))
            }
            _ => None,
        };
        match until {
            None => self.order(now, step, why),
            Some(until) => {
                if self.guard.run.is_some() {
                    self.look(now, Pace::Slow);
                }
                if self.flight.is_none() {
                    self.wake = Some(self.wake.map_or(until, |wake| wake.min(until)));
                }
            }
        }
    }

    /// Until when the step is held back because it, or one before it, failed. Looking and stopping wait for themselves only.
    pub(super) fn held(&self, step: &Step) -> Option<Instant> {
        let hold = self.hold.as_ref()?;
        let own = hold.kind == std::mem::discriminant(step);
        match step {
            Step::Observe | Step::Nudge => None,
            Step::Inspect | Step::Stop(_) => own.then_some(hold.until),
            _ => Some(hold.until),
        }
    }

    pub(super) fn order(&mut self, now: Instant, step: Step, why: Option<StewardReason>) {
        self.assert_allowed(&step);
        if let (Step::MarkRewriting, Some(StewardReason::GivesUp { why, .. })) = (&step, &why) {
            self.facts.given_up = Some(why.clone());
        }
        if let Some(why) = why {
            self.explain(why);
        }
        match &step {
            Step::Clone { from } | Step::Rewind { from, .. } => {
                let record = self.target.as_ref().and_then(|t| t.record.as_deref());
                self.facts.clone = record.map(|r| Cloned {
                    from: *from,
                    source: r.copy_of(*from),
                    promotions: r.promotions.clone(),
                    rewound: matches!(step, Step::Rewind { .. }),
                    done: false,
                });
                self.facts.given_up = None;
                self.facts.progress = (0, 0);
            }
            Step::WriteSettings(settings) => self.facts.generation = settings.generation,
            Step::Nudge => self.facts.run.nudged_at = Some(now),
            Step::Inspect => self.facts.overtaken = false,
            Step::Start => self.facts.stopped_cleanly = false,
            Step::Stop(mode) => self.facts.stopped_cleanly = *mode == StopMode::Clean,
            _ => {}
        }
        self.number += 1;
        let order = Order {
            term: self.target.as_ref().map_or(Term(0), |t| t.term),
            number: self.number,
            step,
        };
        self.flight = Some(order.clone());
        self.ordered_at = now;
        self.actions.push_back(StewardAction::Order(order));
    }

    /// What no plan may ever lead to.
    fn assert_allowed(&self, step: &Step) {
        rule!(
            self.config,
            "R16",
            self.flight.is_none(),
            "a second order while one is under way"
        );
        match step {
            Step::Promote => self.assert_may_promote(),
            Step::MarkRewriting => self.assert_may_discard(),
            Step::Initdb => rule!(
                self.config,
                "R14",
                self.may_make_database(),
                "a new database where the cluster may have one"
            ),
            Step::Rewind { .. } => {
                self.assert_may_discard();
                rule!(
                    self.config,
                    "R11",
                    self.holding() == Holding::Rewriting,
                    "a rewind of a copy that is not given up"
                );
            }
            Step::Start => {
                let written = self.facts.written.as_ref();
                rule!(
                    self.config,
                    "R7",
                    written.is_some_and(|w| w.gate.is_none()),
                    "a start with an open gate"
                );
                rule!(
                    self.config,
                    "R20",
                    written.is_some_and(|w| w.follow.is_none()),
                    "a start that follows somebody"
                );
                rule!(
                    self.config,
                    "R11",
                    self.own_copy().is_some(),
                    "a start of what is no copy of this member's"
                );
            }
            _ => {}
        }
    }

    pub(super) fn hold_back(
        &mut self,
        now: Instant,
        step: &Step,
        first: Duration,
        longest: Duration,
    ) {
        let kind = std::mem::discriminant(step);
        let delay = match &self.hold {
            Some(hold) if hold.kind == kind => hold.delay.times(2).min(longest),
            _ => first,
        };
        self.hold = Some(Hold {
            kind,
            until: now + delay,
            delay,
        });
    }
}
