//! What the node is told of the database: nothing but what was seen.

use super::Steward;
use super::facts::Holding;
use super::order::FAILED;
use crate::mutant;
use crate::postgres::{
    Doors, Fault, Gate, GateStatus, Lsn, PgState, PgStatus, PrimaryStatus, Rewrite, StampAge,
    StandbyStatus, StopMode, Want,
};
use crate::record::{History, Term};
use crate::step::{ClusterState, Server, Stamp, Step};
use crate::time::{Duration, Instant};

/// Without an answer for longer than this, a server is silent.
const SILENT: Duration = Duration::secs(1);

const ENDED: &str = "PostgreSQL ended before it answered anything";

impl Steward {
    pub(super) fn report(&self, now: Instant) -> PgStatus {
        let data = self.facts.data();
        let copy = self.own_copy();
        let end = match (copy, data) {
            (None, _) => Lsn(0),
            // A primary's last health write, what was replayed; the checkpoint at least.
            (Some(_), Some(data)) if self.guard.run.is_none() => {
                self.facts.end.max(data.checkpoint)
            }
            _ => self.facts.end,
        };
        let stamp = copy.and_then(|_| data?.stamp.as_ref());
        let history = match copy {
            Some(_) => self.history(),
            None => History::default(),
        };
        PgStatus {
            target: self.target.as_ref().map_or(0, |t| t.seq),
            run: self.guard.run.unwrap_or(self.status.run),
            system_id: data.map(|d| d.system_id),
            copy: copy.map(|c| c.id),
            stamped: data
                .and_then(|d| d.stamp.as_ref())
                .is_some_and(|s| s.cluster == self.config.cluster),
            stamp: stamp.map(age),
            made_newest: stamp.is_some_and(|s| s.ordered == Some(history.newest())),
            history,
            state: self.state(now),
            end,
            fault: self
                .stuck
                .clone()
                .or_else(|| self.trouble.as_ref().map(|(_, fault)| fault.clone())),
            notes: match (self.guard.run, self.facts.server()) {
                (Some(_), Some(server)) => server.notes.clone(),
                _ => Vec::new(),
            },
        }
    }

    fn state(&self, now: Instant) -> PgState {
        if !self.config.is_data(self.config.me) {
            return PgState::NoData;
        }
        // Whatever runs: before the directory was looked at nobody knows whether it shows that there was a cluster (R12).
        if self.facts.inspection.is_none() {
            return PgState::Unknown;
        }
        if self.guard.run.is_some() {
            return self.state_up(now);
        }
        if matches!(self.flight.as_ref().map(|o| &o.step), Some(Step::Start)) {
            return PgState::Starting;
        }
        let holding = if self.is_giving_up() {
            Holding::Rewriting
        } else {
            self.holding()
        };
        match holding {
            Holding::Unseen => PgState::Unknown,
            Holding::Rewriting => {
                let how = match self.flight.as_ref().map(|o| &o.step) {
                    Some(Step::Clone { .. }) => Rewrite::Clone,
                    Some(Step::Rewind { .. }) => Rewrite::Rewind,
                    _ => Rewrite::Pending,
                };
                let (done, total) = self.facts.progress;
                PgState::Rewriting { how, done, total }
            }
            // Its end is seen, its outcome is not; or where its shutdown checkpoint is, is being read.
            _ if self.stops_cleanly() || (self.facts.look && self.facts.stopped_cleanly) => {
                PgState::Stopping
            }
            Holding::Own { data, .. } => PgState::Stopped {
                shutdown_checkpoint: (data.cluster == ClusterState::ShutDown && !self.facts.look)
                    .then_some(data.checkpoint),
            },
            _ => PgState::NoData,
        }
    }

    fn stops_cleanly(&self) -> bool {
        let step = self.flight.as_ref().map(|o| &o.step);
        matches!(step, Some(Step::Stop(StopMode::Clean)))
    }

    fn state_up(&self, now: Instant) -> PgState {
        let stops = matches!(self.flight.as_ref().map(|o| &o.step), Some(Step::Stop(_)));
        if stops || self.guard.fencing {
            return PgState::Stopping;
        }
        let run = &self.facts.run;
        // From the order on, unless the guard is known to have refused it: what comes of it may be long on its way (R10).
        let promotes = self.flight.as_ref().is_some_and(|order| {
            let permission = &self.guard.permission;
            order.step == Step::Promote && permission.allows(order.term, self.ordered_at)
        });
        let serving = promotes || self.guard.serving.is_some();
        let seen = self.facts.server();
        let primary = serving || seen.is_some_and(|s| !s.in_recovery);
        if run.failing && now.since(run.answered) > SILENT {
            return PgState::Silent {
                since: run.answered,
                primary,
            };
        }
        match seen {
            None if serving => PgState::Promoting,
            None => PgState::Starting,
            Some(server) if server.in_recovery && serving => PgState::Promoting,
            Some(server) if server.in_recovery => PgState::Standby {
                of: match &run.in_force {
                    Some(settings) => settings.follow,
                    None => server.streaming_from,
                },
                streaming: server.streaming_from.is_some(),
                replay_paused: server.replay_paused,
                drained: server.drained,
            },
            // Promoted, and no position yet beyond which nobody may read (R18).
            Some(_) if serving && run.recovery_end.is_none() => PgState::Promoting,
            Some(server) => PgState::Primary(self.primary_status(server)),
        }
    }

    fn primary_status(&self, server: &Server) -> PrimaryStatus {
        let run = &self.facts.run;
        let recovery_end = run.recovery_end.unwrap_or(server.position);
        let mut gate = run.proof.status();
        if mutant!(self.config, R7OpenAtPromotion) {
            gate = match self.want() {
                Want::Primary {
                    gate: Gate::Open(names),
                    ..
                } => GateStatus::Open {
                    names: names.clone(),
                    since: recovery_end,
                },
                _ => GateStatus::Closed,
            };
        }
        PrimaryStatus {
            promoted_in: self.history().last().map_or(Term(0), |p| p.term),
            recovery_end,
            gate,
            doors: run.in_force.as_ref().map_or(Doors::AsFound, |w| w.doors),
            standbys: standbys(server),
            wrote_at: run.wrote_at,
        }
    }

    /// The postmaster ended before it ever answered: not started again at once.
    pub(super) fn start_failed(&mut self, now: Instant) {
        self.hold_back(now, &Step::Start, FAILED.0, FAILED.1);
        self.trouble = Some((
            std::mem::discriminant(&Step::Start),
            Fault(format!("{ENDED}; its log says why")),
        ));
    }

    /// What it said, where that has been read since.
    pub(super) fn start_failed_because(&mut self, words: Option<&str>) {
        if let (Some((_, fault)), Some(words)) = (&mut self.trouble, words)
            && fault.0.starts_with(ENDED)
        {
            fault.0 = format!("{ENDED}: {words}");
        }
    }
}

/// How new a stamp is. A record that it names, and a promotion that it orders, were durable in the state before it (R15).
fn age(stamp: &Stamp) -> StampAge {
    let ordered = stamp.ordered.map_or(Term(0), |(term, _)| term);
    StampAge {
        record: stamp.record,
        term: ordered.max(stamp.record.map_or(Term(0), |key| key.term)),
    }
}

/// One entry a copy. Two connections of one name: one of them is not what it says, so the lower position, and no stream.
fn standbys(server: &Server) -> Vec<StandbyStatus> {
    let mut all: Vec<StandbyStatus> = Vec::new();
    for walsender in &server.walsenders {
        match all.iter_mut().find(|s| s.copy == walsender.copy) {
            Some(other) => {
                other.flushed = other.flushed.min(walsender.flushed);
                other.streaming = false;
            }
            None => all.push(StandbyStatus {
                copy: walsender.copy,
                streaming: walsender.streaming,
                flushed: walsender.flushed,
            }),
        }
    }
    all.sort_unstable_by_key(|s| s.copy);
    all
}
