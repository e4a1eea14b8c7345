//! The steward: decides the order of steps that bring a database to its target, and alone says what the database is.
//!
//! It keeps plain facts (`facts`) and asks a planner (`plan`) for the next step towards the target, one step at a
//! time. Nothing else is remembered, so a crash may come between any two steps: a new steward looks, and goes on.
//!
//! | file | idea |
//! | --- | --- |
//! | `facts` | what is known, and what the data directory is to this member (R14, R15, R20) |
//! | `order` | gives an order, holds back what failed, asserts what no order may break (R16) |
//! | `outcome` | what each outcome says |
//! | `plan` | the next step: start, stop, standby |
//! | `settings` | written, reloaded, seen in force |
//! | `promotion` | from a standby to a primary, and what became of a promotion that was ordered (R10, R15, R18) |
//! | `primary`, `proof` | a running primary: gate, doors, health (R7, R9, R18) |
//! | `rejoin` | fits or not: the ladder; set aside, clone (R11, R14, R15) |
//! | `rewind` | whether a copy can be rewound, and whether it was (R11, R15) |
//! | `status` | what the node is told |

mod facts;
mod order;
mod outcome;
mod plan;
mod primary;
mod promotion;
mod proof;
mod reason;
mod rejoin;
mod rewind;
mod settings;
mod slots;
mod starving;
mod status;

pub use reason::StewardReason;

use crate::config::Config;
use crate::event::Boot;
use crate::mutant;
use crate::permission::GuardView;
use crate::postgres::{Fault, PgStatus, PgTarget, StopMode, Want};
use crate::record::CopyId;
use crate::step::{Order, Outcome, Step};
use crate::time::{Duration, Instant};
use facts::{Facts, RunFacts};
use order::{Hold, StepKind};
use plan::{Next, Pace};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How long a clean stop may take that nobody but the steward wants. A shutdown checkpoint of a large cache takes its time.
const CLEAN_STOP: Duration = Duration::secs(30);

/// Everything that can happen to a steward.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum StewardEvent {
    /// The time that `next_timeout` named has come.
    Timeout,
    /// The node wants something else.
    Target(Box<PgTarget>),
    /// What came of the order of this number.
    Outcome {
        /// The order's.
        number: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// How far a clone or a rewind is, in bytes.
    Progress {
        /// The order's.
        number: u64,
        /// Copied.
        done: u64,
        /// To copy.
        total: u64,
    },
    /// What the guard holds and sees: a postmaster that died shows here.
    Guard(GuardView),
}

/// Everything a steward may ask for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum StewardAction {
    /// Carry out a step: by the guard or by the daemon, as `Step::is_guards` says.
    Order(Order),
    /// For the node: what the database is.
    Status(Box<PgStatus>),
    /// Say what was decided, and why.
    Explain(StewardReason),
}

/// One member's steward.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Steward {
    config: Config,
    /// Every copy id is made of these bits and a counter.
    nonce: u64,
    ids: u64,
    /// The name of the cluster's first directory until its record names it (R20).
    first_copy: CopyId,
    target: Option<PgTarget>,
    guard: GuardView,
    /// Orders up to this number are a previous daemon's; this one of ours was left to end by itself.
    inherited: u64,
    dropped: Option<u64>,
    facts: Facts,
    /// The order under way (R16), and when the newest one was given.
    flight: Option<Order>,
    ordered_at: Instant,
    /// The number of the newest order.
    number: u64,
    /// A step that did not work is not tried again at once.
    hold: Option<Hold>,
    /// When something last went forward: then it is looked at more often.
    progress_at: Instant,
    /// What keeps it from its target: by the plan, and by a step that failed.
    stuck: Option<Fault>,
    trouble: Option<(StepKind, Fault)>,
    /// What was said since the target last changed: each is said once.
    said: Vec<StewardReason>,
    status: PgStatus,
    wake: Option<Instant>,
    actions: VecDeque<StewardAction>,
}

impl Steward {
    /// A steward at its daemon's start: it knows nothing but what it will look at.
    pub fn new(config: Config, boot: Boot) -> Self {
        Steward {
            nonce: boot.nonce,
            ids: 1,
            first_copy: CopyId(mix(boot.nonce, 0)),
            target: None,
            guard: boot.guard,
            inherited: boot.guard.last_order,
            dropped: None,
            facts: Facts {
                look: config.is_data(config.me),
                run: RunFacts {
                    answered: boot.now,
                    replays: (None, boot.now),
                    ..RunFacts::default()
                },
                ..Facts::default()
            },
            flight: None,
            ordered_at: boot.now,
            number: boot.guard.last_order,
            hold: None,
            progress_at: boot.now,
            stuck: None,
            trouble: None,
            said: Vec::new(),
            status: PgStatus::unknown(),
            wake: Some(boot.now),
            actions: VecDeque::new(),
            config,
        }
    }

    /// Takes in one event. Drain `poll_action` to `None` before the next.
    pub fn handle(&mut self, now: Instant, event: StewardEvent) {
        match event {
            StewardEvent::Timeout => {}
            StewardEvent::Target(target) => self.take_target(now, *target),
            StewardEvent::Outcome { number, outcome } => {
                if let Some(order) = self.flight.take_if(|o| o.number == number) {
                    if self.guard.order == Some(number) {
                        self.guard.order = None;
                    }
                    self.take_outcome(now, order, outcome);
                }
            }
            StewardEvent::Progress {
                number,
                done,
                total,
            } => {
                if self.flight.as_ref().is_some_and(|o| o.number == number) {
                    self.facts.progress = (done, total);
                }
            }
            StewardEvent::Guard(view) => {
                let renewed = GuardView {
                    permission: view.permission,
                    ..self.guard
                };
                if view == renewed {
                    // Another permission and nothing else: no plan and no status rests on it.
                    self.guard = view;
                    return;
                }
                self.take_guard(now, view);
            }
        }
        self.act(now);
        let status = self.report(now);
        if status != self.status {
            self.status = status.clone();
            self.actions
                .push_back(StewardAction::Status(Box::new(status)));
        }
    }

    /// The next action.
    pub fn poll_action(&mut self) -> Option<StewardAction> {
        self.actions.pop_front()
    }

    /// When `StewardEvent::Timeout` is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.wake
    }

    fn take_target(&mut self, now: Instant, target: PgTarget) {
        if self.target.as_ref().is_some_and(|t| t.seq >= target.seq) {
            return;
        }
        if self.target.as_ref().map(|t| (&t.want, t.term)) != Some((&target.want, target.term)) {
            self.hold = None;
            self.said.clear();
            self.progress_at = now;
        }
        self.target = Some(target);
    }

    fn take_guard(&mut self, now: Instant, view: GuardView) {
        let before = std::mem::replace(&mut self.guard, view);
        self.number = self.number.max(view.last_order);
        if before.run != view.run {
            let began = before.run.is_some() && self.facts.run.seen.is_none();
            let stopped = before.fencing
                || matches!(self.flight.as_ref().map(|o| &o.step), Some(Step::Stop(_)));
            if began && view.run.is_none() && !stopped {
                self.start_failed(now);
            }
            self.run_changed(now);
        }
        // R16: an order of the previous daemon has ended; what it did has to be seen.
        let unknown = |n: u64| n <= self.inherited || self.dropped == Some(n);
        if before.order.is_some_and(unknown)
            && view.order != before.order
            && !mutant!(self.config, R16Presumes)
        {
            self.facts.doubt_disk();
        }
    }

    /// Another run, or none: what was seen of the old one counts no more.
    fn run_changed(&mut self, now: Instant) {
        self.facts.run = RunFacts {
            answered: now,
            replays: (None, now),
            // The settings on disk are what a started postmaster reads.
            reloaded: self.facts.written.as_ref().map(|w| (w.generation, now, 0)),
            ..RunFacts::default()
        };
        self.progress_at = now;
        self.said.clear();
        if self.guard.run.is_none() {
            self.facts.look_again();
        }
    }

    /// Orders the next step, or says when to come again.
    fn act(&mut self, now: Instant) {
        self.wake = None;
        if let Some((mode, why)) = self.stop_at_once(now) {
            let step = Step::Stop(mode);
            match self.held(&step) {
                Some(until) if now < until => self.wake = Some(until),
                _ => {
                    // R16: what was under way is ended by the guard, or its answer comes to nobody.
                    if let Some(order) = self.flight.take_if(|o| o.step.is_guards()) {
                        self.dropped = Some(order.number);
                        self.facts.doubt_disk();
                        self.facts.clone = None;
                    }
                    self.flight = None;
                    self.order(now, step, Some(StewardReason::Stops { mode, why }));
                }
            }
            return;
        }
        if self.flight.is_some() {
            self.wake = self.clean_stop_ends();
            return;
        }
        let plan = self.plan(now);
        if plan.stuck != self.stuck && !plan.in_passing {
            if let Some(fault) = plan.stuck.clone() {
                self.explain(StewardReason::Stuck(fault));
            }
            self.stuck = plan.stuck;
        }
        match plan.next {
            Next::Do(step, why) => self.order_unless_held(now, step, why.map(|why| *why)),
            Next::GiveUp(discard) => {
                let from = self.config.name(discard.source.from).to_owned();
                let why = discard.why.clone();
                // A rewind needs a clean stop.
                let (mode, way) = match self.divergence(&discard) {
                    Ok(_) => (StopMode::Clean, Ok(())),
                    Err(because) => (StopMode::Now, Err(because)),
                };
                self.facts.discard = Some(*discard);
                self.order_unless_held(
                    now,
                    Step::Stop(mode),
                    Some(StewardReason::GivesUp { from, why, way }),
                );
            }
            Next::Look(pace) => self.look(now, pace),
            Next::Wait(length) => self.wake = length.map(|length| now + length),
        }
    }

    /// What has to be stopped at once, whatever is under way (R16).
    fn stop_at_once(&self, now: Instant) -> Option<(StopMode, String)> {
        let target = self.target.as_ref()?;
        let flight = self.flight.as_ref();
        let step = flight.map(|o| &o.step);
        if let Want::Stopped(mode) = target.want {
            let of_others =
                self.guard.order.is_some() && self.guard.order != flight.map(|o| o.number);
            let runs = self.guard.run.is_some() && !self.guard.fencing;
            let begins = matches!(
                step,
                Some(Step::Start | Step::Clone { .. } | Step::Rewind { .. } | Step::Initdb)
            );
            return match step {
                Some(Step::Stop(under_way))
                    if *under_way == StopMode::Now || mode == StopMode::Clean =>
                {
                    None
                }
                _ if runs || begins || of_others => Some((mode, "it shall be down".to_owned())),
                _ => None,
            };
        }
        if self.clean_stop_ends().is_some_and(|end| end <= now) {
            return Some((
                StopMode::Now,
                format!("it has not stopped cleanly in {CLEAN_STOP}"),
            ));
        }
        // A copy of what is no longer the primary, or of another history, is of no use.
        if let Some(Step::Clone { .. } | Step::Rewind { .. }) = step
            && !self.clone_is_wanted()
        {
            return Some((
                StopMode::Now,
                "the clone or rewind under way is not of the present primary".to_owned(),
            ));
        }
        None
    }

    /// When a clean stop of this steward's own is waited for no longer: a server that hangs for good never stops. How long
    /// one lasts that was asked for is its node's to say.
    fn clean_stop_ends(&self) -> Option<Instant> {
        let step = self.flight.as_ref().map(|o| &o.step);
        let own = !matches!(self.want(), Want::Stopped(_) | Want::Draining);
        (own && step == Some(&Step::Stop(StopMode::Clean))).then(|| self.ordered_at + CLEAN_STOP)
    }

    /// Observes the server as often as the pace says.
    fn look(&mut self, now: Instant, pace: Pace) {
        let due = self.look_due(now, pace);
        if due <= now {
            self.order(now, Step::Observe, None);
        } else {
            self.wake = Some(due);
        }
    }

    fn explain(&mut self, reason: StewardReason) {
        if !self.said.contains(&reason) {
            self.said.push(reason.clone());
            self.actions.push_back(StewardAction::Explain(reason));
        }
    }

    /// A name for a new copy.
    fn fresh_copy(&self) -> CopyId {
        CopyId(mix(self.nonce, self.ids))
    }

    fn want(&self) -> &Want {
        self.target.as_ref().map_or(&Want::Nothing, |t| &t.want)
    }
}

/// The `count`-th name made of random bits (splitmix64); never 0.
pub(crate) fn mix(nonce: u64, count: u64) -> u64 {
    let mut z = nonce.wrapping_add(count.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)).max(1)
}
