//! Our settings: written, reloaded, seen in force.

use super::plan::{Next, Pace, Plan};
use super::{Steward, StewardReason};
use crate::member::MemberId;
use crate::mutant;
use crate::postgres::{Doors, Upstream, Want};
use crate::record::Copy;
use crate::step::{Server, Settings, Step};
use crate::time::{Duration, Instant};

/// How often settings that are not taken are reloaded again.
const RELOAD_AGAIN: Duration = Duration::secs(1);

impl Steward {
    /// Settings of a standby of nobody, in force; None: they are.
    pub(super) fn follow_nobody(&self, now: Instant, server: &Server) -> Option<Plan> {
        let settings = self.settings(self.closed_gate(), None, Doors::Open);
        self.in_force(now, server, settings, StewardReason::FollowsNobody)
    }

    /// Brings these settings into force; None: they are.
    pub(super) fn in_force(
        &self,
        now: Instant,
        server: &Server,
        settings: Settings,
        why: StewardReason,
    ) -> Option<Plan> {
        if self.is_written(&settings) {
            self.reload(now, server)
        } else {
            Some(Plan::because(Step::WriteSettings(settings), why))
        }
    }

    /// Brings the settings written into force; None: they are.
    pub(super) fn reload(&self, now: Instant, server: &Server) -> Option<Plan> {
        let generation = self.facts.written.as_ref()?.generation;
        if generation == server.settings {
            return None;
        }
        let why = match (&server.refuses, self.facts.run.reloaded) {
            (Some(why), _) => Some(why.as_str()),
            // One bad line in any file, and PostgreSQL takes nothing of all.
            (None, Some((of, _, count))) if of == generation && count > 1 => {
                Some("it has not read them for a second; its log may say why")
            }
            _ => None,
        };
        let plan = match self.facts.run.reloaded {
            Some((of, at, _)) if of == generation && now < at + RELOAD_AGAIN => {
                Plan::look(Pace::Fast)
            }
            _ => Plan::step(Step::Reload),
        };
        Some(match why {
            Some(why) => plan.but(format!("PostgreSQL does not take the new settings: {why}")),
            None => plan,
        })
    }

    /// The postmaster has taken them, and they are not seen at work. Every process reads the files for itself: one that
    /// could not at that moment keeps what it had until it is told again.
    pub(super) fn read_again(&self, now: Instant) -> Plan {
        // What an earlier daemon has reloaded may have been missed, too: it counts from the first look at it.
        let reloaded = self.facts.run.reloaded.map(|(_, at, _)| at);
        if now >= reloaded.unwrap_or(self.facts.inspected_at) + RELOAD_AGAIN {
            Plan::step(Step::Reload)
        } else {
            Plan::look(Pace::Fast)
        }
    }

    /// With nothing else to do, what was written over files that have changed since is written again.
    pub(super) fn with_user_files(&self, server: &Server, plan: Plan) -> Plan {
        let is_settled = match self.want() {
            Want::Standby { of, .. } => *of != Upstream::AsFound,
            // On the way to a promotion, what was brought into force for it stays.
            Want::Primary { .. } => *self.want() != Want::AS_FOUND && !server.in_recovery,
            _ => false,
        };
        match (&plan.next, &self.facts.written) {
            (Next::Look(_), Some(written)) if server.outdated && is_settled => {
                let again = Settings {
                    generation: self.facts.generation + 1,
                    ..written.clone()
                };
                Plan {
                    next: Next::Do(
                        Step::WriteSettings(again),
                        Some(Box::new(StewardReason::TakesFiles)),
                    ),
                    ..plan
                }
            }
            _ => plan,
        }
    }

    /// The settings for the next start or reload.
    pub(super) fn settings(
        &self,
        gate: Option<Vec<Copy>>,
        follow: Option<MemberId>,
        doors: Doors,
    ) -> Settings {
        Settings {
            generation: self.facts.generation + 1,
            gate,
            follow,
            copy: self.own_copy(),
            doors,
        }
    }

    /// R7: closed from the start, restart and promotion on: PostgreSQL's own default would be open.
    pub(super) fn closed_gate(&self) -> Option<Vec<Copy>> {
        if mutant!(self.config, R7OpenAtPromotion) {
            return Some(Vec::new());
        }
        None
    }

    /// Whether these, but for their generation, are the settings on disk.
    pub(super) fn is_written(&self, settings: &Settings) -> bool {
        self.facts.written.as_ref().is_some_and(|written| {
            *written
                == Settings {
                    generation: written.generation,
                    ..settings.clone()
                }
        })
    }
}
