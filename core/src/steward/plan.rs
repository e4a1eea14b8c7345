//! The next step towards the target, from the facts alone.

use super::facts::{Discard, Holding};
use super::{Steward, StewardReason};
use crate::mutant;
use crate::postgres::{Doors, Fault, Gate, StopMode, Upstream, Want};
use crate::record::{Copy, Record};
use crate::step::{DataDirectory, Server, Stamp, Step};
use crate::time::{Duration, Instant};

/// What to do next, and what keeps from more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    pub(super) next: Next,
    pub(super) stuck: Option<Fault>,
    /// A step in passing: what is stuck stays so.
    pub(super) in_passing: bool,
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Order this.
    Do(Step, Option<Box<StewardReason>>),
    /// Stop, and give this copy up for a rewind or a clone.
    GiveUp(Box<Discard>),
    /// Observe, as often as this.
    Look(Pace),
    /// Nothing, for so long; none: until something happens.
    Wait(Option<Duration>),
}

/// How often to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pace {
    /// Something is under way.
    Fast,
    /// Something may come from elsewhere: the end of a stream, and with it a hand-over that waits for what is seen here.
    Steady,
    /// Nothing is.
    Slow,
}

/// How often a server is observed while something goes forward, and while something is awaited.
const FAST: Duration = Duration::millis(15);
const WAITING: Duration = Duration::millis(100);
/// After so long without progress nothing is taken to go forward.
const STALLED: Duration = Duration::secs(1);
/// An inspection older than this is made again before anything is done to the directory: people touch it, too.
const INSPECT_AGAIN: Duration = Duration::secs(5);
const A_SECOND: Duration = Duration::secs(1);

impl Steward {
    pub(super) fn plan(&self, now: Instant) -> Plan {
        if !self.config.is_data(self.config.me) {
            return Plan::wait(None);
        }
        if self.facts.look {
            return Plan::step(Step::Inspect).in_passing();
        }
        match self.guard.run {
            None => self.plan_down(now),
            Some(_) => self.plan_up(now),
        }
    }

    /// Nothing runs.
    fn plan_down(&self, now: Instant) -> Plan {
        let to_be_promoted = match self.want() {
            Want::Nothing if now.since(self.facts.inspected_at) <= INSPECT_AGAIN => {
                return Plan::wait(Some(INSPECT_AGAIN));
            }
            Want::Nothing => return Plan::step(Step::Inspect),
            // What was to be left as found is gone (R6): the node says what comes next.
            want if *want == Want::AS_FOUND && !mutant!(self.config, R6PromotesAsFound) => {
                return Plan::wait(None);
            }
            Want::Stopped(_) | Want::Draining => return Plan::wait(None),
            Want::Standby { .. } => false,
            Want::Primary { .. } => true,
        };
        if now.since(self.facts.inspected_at) > INSPECT_AGAIN {
            return Plan::step(Step::Inspect).in_passing();
        }
        match self.holding() {
            Holding::Unseen => Plan::step(Step::Inspect),
            Holding::Untouchable(why) | Holding::Undecided(why) => {
                Plan::wait(Some(A_SECOND)).but(why)
            }
            Holding::Rewriting => self.plan_rewrite(),
            Holding::Absent if self.may_make_database() => {
                Plan::because(Step::Initdb, StewardReason::MakesDatabase)
            }
            Holding::Absent => self.plan_rejoin("there is no data directory".to_owned()),
            Holding::Replaceable(why) => self.plan_rejoin(why),
            Holding::Own {
                stamp: Some(stamp),
                copy,
                ..
            } if self.is_disowned(copy) => self.plan_rename(stamp),
            Holding::Own { data, copy, stamp } => match &self.facts.discard {
                Some(discard) if self.is_discard_valid(discard, copy) => {
                    self.plan_rejoin(discard.why.clone())
                }
                _ => match self
                    .is_to_be_replaced(copy)
                    .or_else(|| self.is_useless(data))
                {
                    Some(why) => self.plan_rejoin(why),
                    None => self.plan_start(data, stamp, to_be_promoted),
                },
            },
        }
    }

    /// R20: every start is a start as a standby of nobody; R7: with the gate closed.
    fn plan_start(
        &self,
        data: &DataDirectory,
        stamp: Option<&Stamp>,
        to_be_promoted: bool,
    ) -> Plan {
        if let Some(stamp) = self.first_stamp() {
            return Plan::step(Step::WriteStamp(stamp));
        }
        // R15: what became of a promotion that was ordered is settled before the server is touched again.
        if let Some(settled) = stamp.and_then(|stamp| self.settled(data, stamp)) {
            return Plan::step(Step::WriteStamp(settled));
        }
        // R18: a standby's doors are open, unless a promotion follows at once.
        let doors = if to_be_promoted {
            Doors::Closed
        } else {
            Doors::Open
        };
        let settings = self.settings(self.closed_gate(), None, doors);
        if self.is_written(&settings) {
            Plan::because(
                Step::Start,
                StewardReason::StartsAsStandby { to_be_promoted },
            )
        } else {
            Plan::step(Step::WriteSettings(settings))
        }
    }

    /// A postmaster runs.
    fn plan_up(&self, now: Instant) -> Plan {
        let want = self.want();
        if *want == Want::Nothing {
            return Plan::look(Pace::Slow);
        }
        if self.guard.fencing || matches!(want, Want::Stopped(_)) {
            return Plan::wait(Some(A_SECOND));
        }
        if self.holding() == Holding::Rewriting {
            return Plan::stop(StopMode::Now, "its directory is marked as being rewritten");
        }
        let serving = self.guard.serving.is_some();
        if let (Want::Standby { .. }, true) = (want, serving) {
            return Plan::stop(
                StopMode::Now,
                "it is to be a standby, and serves as primary",
            );
        }
        let Some(server) = self.facts.server() else {
            return match want {
                Want::Draining => Plan::stop(StopMode::Clean, "a hand-over; it does not answer"),
                // What is left of it is swept away.
                _ if self.facts.run.start_failed => Plan::stop(StopMode::Now, "its start failed"),
                _ => self.give_up_unready(now).unwrap_or(Plan::look(Pace::Fast)),
            };
        };
        if !server.in_recovery && !serving {
            if let Some(stamp) = self.stamp_with_promotion_by_hand(server) {
                return Plan::step(Step::WriteStamp(stamp));
            }
            return Plan::stop(
                StopMode::Now,
                "it runs as a primary, and nobody ordered that: was it promoted by hand?",
            );
        }
        if !self.is_fresh() {
            return Plan::look(Pace::Fast).in_passing();
        }
        if let (false, Some(why)) = (serving, &server.too_small) {
            return Plan::stop(StopMode::Clean, why);
        }
        self.with_user_files(server, self.plan_running(now, server, want))
    }

    /// A server that answered.
    fn plan_running(&self, now: Instant, server: &Server, want: &Want) -> Plan {
        match want {
            Want::Nothing | Want::Stopped(_) => Plan::wait(Some(A_SECOND)),
            Want::Draining => self.plan_drain(server),
            Want::Standby { of, .. } => {
                let plan = self.plan_standby(now, server, *of);
                match plan.next {
                    // It keeps nobody's log.
                    Next::Look(_) => self.plan_slots(now, server).unwrap_or(plan),
                    _ => plan,
                }
            }
            Want::Primary { gate, doors } => {
                if !server.in_recovery {
                    let (gate, doors) = self.of_this_run(gate, *doors);
                    self.plan_primary(now, server, gate, doors)
                } else if self.guard.serving.is_some() && !self.facts.run.promote_again {
                    // Promoting: it happens some time after the order.
                    Plan::look(Pace::Fast)
                } else if *want == Want::AS_FOUND && !mutant!(self.config, R6PromotesAsFound) {
                    Plan::look(Pace::Slow)
                } else {
                    self.plan_promotion(now, server)
                }
            }
        }
    }

    /// R7, R18: what was to be open in an earlier run is closed in this one, until the node has seen it.
    fn of_this_run<'a>(&self, gate: &'a Gate, doors: Doors) -> (&'a Gate, Doors) {
        let run = self.target.as_ref().and_then(|t| t.run);
        if run == self.guard.run || mutant!(self.config, R18OpensAnyRun) {
            return (gate, doors);
        }
        let gate = match gate {
            Gate::Open(_) => &Gate::Closed,
            as_wanted => as_wanted,
        };
        let doors = match doors {
            Doors::Open => Doors::Closed,
            as_wanted => as_wanted,
        };
        (gate, doors)
    }

    /// The first half of a hand-over: a checkpoint while it still serves makes the stop short.
    fn plan_drain(&self, server: &Server) -> Plan {
        if !server.in_recovery && !self.facts.run.checkpointed && !self.facts.run.failing {
            Plan::step(Step::Checkpoint)
        } else {
            Plan::stop(StopMode::Clean, "a hand-over")
        }
    }

    fn plan_standby(&self, now: Instant, server: &Server, of: Upstream) -> Plan {
        let keep = Plan::look(Pace::Steady);
        match self.holding() {
            Holding::Own {
                stamp: Some(stamp),
                copy,
                ..
            } if self.is_disowned(copy) => {
                // Nothing may arrive under the old name any more.
                if let Some(plan) = self.follow_nobody(now, server) {
                    return plan;
                }
                if server.streaming_from.is_some() {
                    return Plan::look(Pace::Fast);
                }
                return self.plan_rename(stamp);
            }
            Holding::Own {
                stamp: Some(stamp), ..
            } if stamp.rewritten => {
                // It is ready: it has what it needs.
                return Plan::step(Step::WriteStamp(Stamp {
                    rewritten: false,
                    ..stamp.clone()
                }));
            }
            Holding::Own { copy, .. } => {
                if let Some(why) = self.is_to_be_replaced(copy) {
                    return self.give_up(why);
                }
            }
            _ if of == Upstream::AsFound => return keep,
            Holding::Untouchable(why) | Holding::Undecided(why) | Holding::Replaceable(why) => {
                return Plan::stop(StopMode::Clean, &why);
            }
            Holding::Unseen | Holding::Rewriting | Holding::Absent => {
                return Plan::step(Step::Inspect);
            }
        }
        if let Some(stamp) = self.first_stamp() {
            return Plan::step(Step::WriteStamp(stamp));
        }
        match of {
            Upstream::AsFound => keep,
            Upstream::Nobody => self.follow_nobody(now, server).unwrap_or(keep),
            Upstream::Member(member) => self.plan_follow(now, server, member),
        }
    }

    /// R14: a database is made at genesis only, by the configured primary only, and only where nothing is.
    pub(super) fn may_make_database(&self) -> bool {
        self.config.me == self.config.configured_primary
            && self
                .target
                .as_ref()
                .is_some_and(|t| t.genesis && t.record.is_none())
            && self.holding() == Holding::Absent
    }

    /// The first stamp of the cluster's first directory, once the record names it (R15: the state is written first, R20).
    pub(super) fn first_stamp(&self) -> Option<Stamp> {
        let record = self.record()?;
        let Holding::Own {
            data,
            copy,
            stamp: None,
        } = self.holding()
        else {
            return None;
        };
        record
            .names(Copy {
                member: self.config.me,
                id: copy,
            })
            .then(|| self.new_stamp(data, copy, record))
    }

    /// A stamp of a directory that had none.
    pub(super) fn new_stamp(
        &self,
        data: &DataDirectory,
        copy: crate::record::CopyId,
        record: &Record,
    ) -> Stamp {
        Stamp {
            cluster: self.config.cluster.clone(),
            member: self.config.name(self.config.me).to_owned(),
            system_id: data.system_id,
            copy,
            record: Some(record.key),
            history: crate::record::History::default(),
            ordered: None,
            ordered_on: data.newest_timeline.0,
            follows: None,
            rewritten: false,
        }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        self.target.as_ref()?.record.as_deref()
    }

    /// What was seen of the server is newer than all that was changed.
    fn is_fresh(&self) -> bool {
        let run = &self.facts.run;
        run.seen.as_ref().is_some_and(|(_, n)| *n > run.changed)
    }

    /// When to observe next.
    pub(super) fn look_due(&self, now: Instant, pace: Pace) -> Instant {
        let run = &self.facts.run;
        match run.tried {
            None => now,
            Some((number, _)) if number < run.changed => now,
            Some((_, at)) => {
                at + match pace {
                    Pace::Fast => self.awaits(now),
                    Pace::Steady => WAITING,
                    Pace::Slow => self.idles(),
                }
            }
        }
    }

    /// Whether a canary that did not wait may be tried again.
    pub(super) fn may_try_canary(&self, now: Instant) -> bool {
        let pace = self.awaits(now);
        self.facts.run.canary_at.is_none_or(|at| now >= at + pace)
    }

    /// How often to look where nothing is awaited. A copy is in sync as long as it keeps up within half of `sync_timeout`, and
    /// the health write is due four times in `health_timeout` (R19), at a look: several looks fit into either.
    fn idles(&self) -> Duration {
        let timeouts = self.config.sync_timeout.min(self.config.health_timeout);
        timeouts.part(1, 8).min(Duration::millis(250))
    }

    /// How often to look for what is to come.
    fn awaits(&self, now: Instant) -> Duration {
        match now.since(self.progress_at) < STALLED {
            true => FAST,
            false => WAITING,
        }
    }
}

impl Plan {
    pub(super) fn step(step: Step) -> Plan {
        Plan {
            next: Next::Do(step, None),
            stuck: None,
            in_passing: false,
        }
    }

    pub(super) fn because(step: Step, why: StewardReason) -> Plan {
        Plan {
            next: Next::Do(step, Some(Box::new(why))),
            stuck: None,
            in_passing: false,
        }
    }

    pub(super) fn stop(mode: StopMode, why: &str) -> Plan {
        Plan::because(
            Step::Stop(mode),
            StewardReason::Stops {
                mode,
                why: why.to_owned(),
            },
        )
    }

    pub(super) fn look(pace: Pace) -> Plan {
        Plan {
            next: Next::Look(pace),
            stuck: None,
            in_passing: false,
        }
    }

    pub(super) fn wait(length: Option<Duration>) -> Plan {
        Plan {
            next: Next::Wait(length),
            stuck: None,
            in_passing: false,
        }
    }

    /// Of something that is done all along: it says nothing of what is stuck.
    #[must_use]
    pub(super) fn in_passing(self) -> Plan {
        Plan {
            in_passing: true,
            ..self
        }
    }

    /// With what keeps from more.
    #[must_use]
    pub(super) fn but(self, why: String) -> Plan {
        Plan {
            stuck: Some(Fault(why)),
            ..self
        }
    }
}
