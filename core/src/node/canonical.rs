//! The canonical form for model checking: of all states that differ only in what a search without clocks need not tell
//! apart, the one that stands for them.
//!
//! Only for a driver that hands on every action at once, that takes the R12 counts out of each message, and that lets a
//! clock stand still or jump by one of a few lengths. What each field is replaced by is a state that some clock allows,
//! or one that refuses less than the true one: so a promise that holds here holds there.

use super::Node;
use crate::permission::{GuardView, Lasts, Permission};
use crate::postgres::{Lsn, PgState, PgStatus, RunId};
use crate::time::{Duration, Instant};

/// What every canonical clock shows.
pub const NOW: Instant = Instant(1_000_000_000);
/// What is older is ancient.
const YOUNG: Duration = Duration::secs(3);
const ANCIENT: Instant = Instant(800_000_000);
/// Since when something lasts that began before the newest jump.
const EARLIER: Instant = Instant(999_000_000);

/// Moves an instant to where the clock shows [`NOW`]. How much is left of what is to come matters, how long ago something
/// was only as far as it is not ancient.
fn shift(at: &mut Instant, now: Instant) {
    *at = if *at > now {
        NOW + at.since(now)
    } else if now.since(*at) < YOUNG {
        Instant(NOW.0 - now.since(*at).0)
    } else {
        ANCIENT
    };
}

impl Node {
    /// Replaces this state by the one that stands for it, at [`NOW`]. Every action must have been taken. Returns the runs
    /// of the postmaster that it knows, the oldest first: the n-th is called n + 1 from now on.
    pub fn canonical(&mut self) -> Vec<RunId> {
        let runs = self.rename_runs();
        self.forget_counts();
        self.shift_clock();
        runs
    }

    /// Runs by their rank.
    fn rename_runs(&mut self) -> Vec<RunId> {
        let mut all: Vec<&mut RunId> = vec![&mut self.pg.run];
        all.extend(self.guard.run.as_mut());
        all.extend(self.checked.as_mut().map(|(run, _)| run));
        all.extend(self.target.as_mut().and_then(|t| t.run.as_mut()));
        if let Some(leader) = self.leader.as_deref_mut() {
            all.push(&mut leader.run);
            all.extend(leader.ran.as_mut());
        }
        let mut known: Vec<RunId> = all.iter().map(|r| **r).filter(|r| r.0 > 0).collect();
        known.sort_unstable();
        known.dedup();
        for run in all {
            if let Ok(rank) = known.binary_search(run) {
                *run = RunId(rank as u64 + 1);
            }
        }
        known
    }

    /// Counters that only tell one time from another, where the driver sees to it that there is one.
    fn forget_counts(&mut self) {
        self.outbox.forget_counts();
        // R12's counts: no message carries them, and no older state is ever restored.
        if let Some(state) = &mut self.state {
            state.writes = 0;
            // R15's notes: no directory goes back in time, so when they are written makes no difference.
            state.noted = self.noted;
        }
        self.heard_anybody = true;
        self.memory_counts_nothing();
        // A question's nonce differs from that of another start by the driver's `Boot`; a candidacy's by its term, each
        // being of another term; pre-votes never travel.
        self.rounds = 0;
        let term = self.term();
        // A pre-vote raises nothing: it may be asked for again at any time.
        if let Some(campaign) = &mut self.campaign
            && !campaign.rename(term)
        {
            self.campaign = None;
        }
        // Every target and permission is taken in at once.
        if let Some(target) = &mut self.target {
            self.pg.target = u64::from(self.pg.target == target.seq);
            target.seq = 1;
            self.in_hand = None;
        }
        self.given.serial = self.given.serial.min(1);
        self.guard.permission.serial = self.guard.permission.serial.min(1);
        // A heartbeat's round earns a lease, and S1 knows no lease: every answer counts for the newest heartbeat.
        if let Some(heard) = &mut self.heard {
            heard.forget_round();
        }
        if let Some(leader) = self.leader.as_deref_mut() {
            leader.round = 0;
        }
    }

    fn shift_clock(&mut self) {
        let now = self.now;
        let config = &self.config;
        // S1 knows no promise: whoever is asked for its vote may have kept it long enough.
        self.promise = None;
        self.silent_until = ANCIENT;
        self.yields_until = ANCIENT;
        self.retry_at = ANCIENT;
        self.let_go_at = None;
        self.ask_at = ANCIENT;
        let mut all = vec![&mut self.started];
        all.extend(self.heard.as_mut().map(|h| &mut h.until));
        all.extend(self.stopping.as_mut());
        all.extend(self.reinit.as_mut().map(|reinit| &mut reinit.until));
        all.extend(self.asking.instants());
        if let Some(campaign) = &mut self.campaign {
            all.extend(campaign.instants());
        }
        if let Some(leaving) = &mut self.leaving {
            all.extend(leaving.instants());
        }
        for at in all {
            shift(at, now);
        }
        self.given.canonical(now, config.lease());
        self.guard.canonical(now, config.lease());
        self.pg.canonical();
        self.noted_at = NOW;
        // Who was silent for D leaves `in_sync`: that R8 happens by not streaming, and by lagging.
        self.last_from.fill(NOW);
        if let Some(leader) = self.leader.as_deref_mut() {
            // A lease runs out by a long jump alone: whatever was heard since the last one was heard now.
            leader.since = NOW;
            leader.sent = leader.sent.back().map(|_| (1, NOW)).into_iter().collect();
            leader.next_heartbeat = NOW + config.heartbeat();
            for peer in &mut leader.peers {
                peer.acked = peer.acked.map(|_| NOW);
                peer.asked = peer.asked.map(|_| NOW);
                peer.start = None;
                if let Some((_, at)) = &mut peer.report {
                    *at = NOW;
                }
            }
            leader.silent_since = NOW;
            leader.primary_since = NOW;
            leader.growing_since = NOW;
            leader.status_at = NOW;
            // Its database never hangs.
            leader.progress_at = NOW;
            leader.progress = 0;
            leader.unproven_since = leader.unproven_since.map(|_| NOW);
            leader.giving_way = leader.giving_way.map(|_| NOW);
            // A copy may always come back after the shortest steady time.
            for flaps in &mut leader.flaps {
                flaps.count = 0;
                flaps.grown_at = NOW;
            }
            let earlier = |at: Instant| if at < now { EARLIER } else { NOW };
            leader.recorded_at = leader.recorded_at.map(earlier);
            for track in &mut leader.tracks {
                track.canonical(NOW);
                track.steady_since = track.steady_since.map(earlier);
            }
        }
        self.now = NOW;
    }
}

impl GuardView {
    /// As in [`Node::canonical`].
    pub fn canonical(&mut self, now: Instant, lease: Duration) {
        self.permission.canonical(now, lease);
    }
}

impl Permission {
    fn canonical(&mut self, now: Instant, lease: Duration) {
        self.serial = self.serial.min(1);
        if let Lasts::Until(end) = self.lasts {
            self.lasts = Lasts::Until(if end > now { NOW + lease } else { ANCIENT });
        }
    }
}

impl PgStatus {
    fn canonical(&mut self) {
        if let PgState::Primary(primary) = &mut self.state {
            primary.wrote_at = NOW;
        }
    }
}

impl super::keeping_up::Track {
    /// What it confirmed is not to be less later: no disk goes back in time here (R8).
    fn canonical(&mut self, now: Instant) {
        self.mark.at = now;
        self.fresh_at = now;
        self.late_since = self.late_since.map(|_| now);
        self.heard.1 = now;
        self.confirmed.position = Lsn(0);
        self.confirmed.at = now;
        self.confirmed.start = None;
        self.mark.start = None;
    }
}
