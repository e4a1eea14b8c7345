//! L: once faults have stopped, there is a primary that acknowledges, and then a second copy in sync. Where nothing but
//! one fault happened, the longest gap between two acknowledgements has a bound, and the role moves only if it must.

use crate::scenario::{Kind, Scenario, Single};
use crate::world::World;

/// What liveness needs to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Liveness {
    last: Option<u64>,
    /// The longest gap since the cluster was ready, and when it ended.
    pub(crate) gap: (u64, u64),
    /// The first acknowledgement after healing.
    served: Option<u64>,
    /// Until when the cluster was paused after healing.
    paused_until: u64,
    /// Since when everything is as it should be after healing.
    well_since: Option<u64>,
}

/// All are in sync after as long, and after as many D: a copy that left has to keep up for longer each time (R9).
const IN_SYNC: (u64, u64) = (50_000_000, 5);

impl World {
    /// A write was acknowledged.
    pub(crate) fn acknowledged_for_liveness(&mut self) {
        let now = self.now;
        if self.ready.is_none() {
            self.note_ready();
            return;
        }
        if self.heal_at.is_none() {
            self.check_standing();
        }
        let liveness = &mut self.oracles.liveness;
        if let Some(last) = liveness.last
            && now - last > liveness.gap.0
        {
            liveness.gap = (now - last, now);
        }
        liveness.last = Some(now);
        if self.heal_at.is_some() {
            liveness.served.get_or_insert(now);
        }
        if self.heal_at.is_some() && self.all_in_sync() && self.all_have_state() {
            self.oracles.liveness.well_since.get_or_insert(now);
        }
    }

    pub(crate) fn all_in_sync(&self) -> bool {
        let copies = self.scenario.members.iter().filter(|data| **data).count();
        self.oracles
            .newest_record
            .committed
            .as_ref()
            .is_some_and(|record| record.in_sync.len() == copies)
    }

    /// Whether the cluster has come together for the first time.
    pub(crate) fn note_ready(&mut self) {
        if self.ready.is_none() && self.all_in_sync() && !self.oracles.lost_write.acked.is_empty() {
            self.is_ready();
        }
    }

    /// After every event.
    pub(crate) fn check_liveness(&mut self) {
        let now = self.now;
        let bounded = self.scenario.kind != Kind::Unbounded;
        let d = self.longest_timeout;
        let in_sync_within = IN_SYNC.0 + IN_SYNC.1 * d;
        let Some(heal_at) = self.heal_at else {
            if self.ready.is_none() && now > in_sync_within {
                if bounded && !self.scenario.faults.iter().any(|f| f.early) {
                    self.violated(
                        "liveness",
                        format!("a new cluster is not in sync after {} s", now / 1_000_000),
                    );
                }
                self.is_ready();
            }
            return;
        };
        if !bounded {
            self.finished = now > heal_at + 2_000_000;
            return;
        }
        // A voter may have just started, a clock be slow, a database have to recover.
        // Who is told to stop may wait for a standby that hangs.
        let stops = 5_000_000.max(self.scenario.sync_timeout + 3_000_000);
        let patience = 2 * d * 11 / 10 + stops;
        // Only an operator can decide (R12, R15), and then it is as if everything had healed after the last word.
        let mut since = heal_at.max(self.words.last);
        // Nothing is promised while a pause lasts, and operators end it at once.
        if now < since + 2 * patience && self.operators_resume() {
            self.oracles.liveness.paused_until = now;
        }
        since = since.max(self.oracles.liveness.paused_until);
        let writable_by = since + patience;
        let well = self.oracles.liveness.well_since.is_some();
        let served = self.oracles.liveness.last.is_some_and(|last| last >= since);
        let unheard_of = !served && self.words.is_silent() && self.is_majority_unstruck();
        if now > writable_by && !well && !unheard_of && self.is_for_operators() {
            match self.operators_decide() {
                Some(true) => {
                    self.words.last = now;
                    return;
                }
                Some(false) => {}
                None => {
                    self.coverage.left_to_operators += 1;
                    self.finished = true;
                    return;
                }
            }
        }
        if now > writable_by && !served {
            self.violated(
                "liveness",
                format!(
                    "nothing was acknowledged within {} s of healing",
                    patience / 1_000_000
                ),
            );
        }
        let in_sync_by = since + in_sync_within;
        if now > in_sync_by && self.oracles.liveness.well_since.is_none() {
            self.violated(
                "liveness",
                "the other copy is not in sync long after healing".into(),
            );
        }
        if self
            .oracles
            .liveness
            .well_since
            .is_some_and(|since| now > since + 1_000_000)
        {
            self.finished = true;
            self.check_noticed();
            let liveness = &self.oracles.liveness;
            if let (Some(served), Some(well)) = (liveness.served, liveness.well_since) {
                self.coverage.healed(served - heal_at, well - heal_at);
            }
            if let Kind::Single(single) = self.scenario.kind {
                self.check_single(single);
            }
        }
    }

    /// L promises nothing to what lost this much: no majority holds state, or no copy that a record names is whole, or a
    /// torn state file met the very first start.
    fn is_for_operators(&mut self) -> bool {
        self.losses.beyond
            || (self.is_beginning() && self.losses.is_any_forgetful())
            || !self.is_copy_left()
    }

    fn check_single(&mut self, single: Single) {
        let bound = single.bound(&self.scenario);
        let (gap, at) = self.oracles.liveness.gap;
        self.coverage.gap(single, gap);
        if gap > bound {
            self.violated(
                "liveness",
                format!("{single}: nothing was acknowledged for {gap} us until {at}; the bound is {bound} us"),
            );
        }
        let moves = self.coverage.failovers + self.coverage.hand_overs;
        let wanted = match single {
            Single::PrimaryHost
            | Single::PrimaryDatabase
            | Single::HandOver
            | Single::PrimaryStops
            | Single::PrimaryDisk => 1,
            Single::Witness
            | Single::Secondary
            | Single::Daemon
            | Single::Unheard
            | Single::StandbyStops
            | Single::DataLink => 0,
        };
        // Who stops cleanly, having shown its last word to who takes over, fits.
        let made = self.coverage.clones + self.coverage.rewinds_begun;
        if matches!(single, Single::HandOver | Single::PrimaryStops) && made > 1 {
            self.violated(
                "liveness",
                format!("{single}: the old primary's copy is made anew, and should fit"),
            );
        }
        if moves != wanted {
            self.violated(
                "liveness",
                format!("{single}: the role moved {moves} times instead of {wanted}"),
            );
        }
    }
}

impl Single {
    /// How long nothing may be acknowledged, in microseconds.
    pub fn bound(self, scenario: &Scenario) -> u64 {
        let second = 1_000_000;
        match self {
            Single::PrimaryHost => scenario.decision_timeout * 102 / 100 + second,
            Single::PrimaryDatabase => second,
            // Of which the clean stop alone may take half a second.
            Single::HandOver | Single::PrimaryStops => second * 12 / 10,
            Single::Witness | Single::StandbyStops => second / 2,
            // Nobody notices: a daemon that is away for a moment is not needed (R6, R20).
            Single::Daemon | Single::Unheard => second * 3 / 10,
            Single::Secondary | Single::DataLink => scenario.sync_timeout + second,
            // The health write that fails begins a quarter of a second later at most, and so does a client's.
            Single::PrimaryDisk => scenario.health_timeout + second * 12 / 10,
        }
    }
}
