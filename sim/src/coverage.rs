//! What a run went through, so that a simulator in which nothing happens shows.

use crate::scenario::Single;
use std::collections::BTreeMap;
use std::fmt;
use yoke_core::record::Record;

/// Counts of one run, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Terms that somebody led.
    pub elections: u64,
    /// Promotions of another member than the last, not ordered by an operator.
    pub failovers: u64,
    /// The same while an operator's order was young.
    pub hand_overs: u64,
    /// Orders to hand over.
    pub orders_to_hand_over: u64,
    /// Clones that came to their end.
    pub clones: u64,
    /// Rewinds that came to their end and worked.
    pub rewinds: u64,
    /// Rewinds that touched something.
    pub rewinds_begun: u64,
    /// Acknowledged writes.
    pub acknowledged: u64,
    /// Daemons started again.
    pub restarts: u64,
    /// Fences by a guard.
    pub fences: u64,
    /// What nodes asked for.
    pub actions: u64,
    /// Runs with acknowledged writes under two primaries.
    pub two_primaries: u64,
    /// The same, while each was lone.
    pub two_lone: u64,
    /// The same, while each had another copy in sync.
    pub two_in_sync: u64,
    /// Of each kind of single fault: runs, sum and maximum of the longest gap.
    pub gaps: [(u64, u64, u64); 11],
    /// After healing, until a write was acknowledged: runs, sum and maximum.
    pub served_again: (u64, u64, u64),
    /// After healing, until every copy was in sync.
    pub in_sync_again: (u64, u64, u64),
    /// Losses of state or data.
    pub losses: u64,
    /// What nodes said of state or a directory that went back in time.
    pub losses_noticed: u64,
    /// Databases made at genesis.
    pub made: u64,
    /// Members that joined again after the loss of their state.
    pub rejoined: u64,
    /// Members that joined again on an operator's word.
    pub vouched: u64,
    /// Copies that an operator made the cluster's database.
    pub adopted: u64,
    /// Runs in which nothing was left that could become the cluster's database.
    pub left_to_operators: u64,
    /// Forced promotions that lost something acknowledged, which an operator knew.
    pub lost_by_word: u64,
    /// How often each kind of fault came, and each aimed one struck.
    pub happened: BTreeMap<&'static str, u64>,
    /// Networks on which L promises writes, and the longest time without one on them.
    pub promised: (u64, u64),
    last_primary: Option<usize>,
    acked_lone: u8,
    acked_in_sync: u8,
}

impl Coverage {
    pub(crate) fn acknowledged(&mut self, h: usize, committed: Option<&Record>) {
        self.acknowledged += 1;
        if committed.is_some_and(Record::is_lone) {
            self.acked_lone |= 1 << h;
        } else {
            self.acked_in_sync |= 1 << h;
        }
    }

    pub(crate) fn promoted(&mut self, h: usize, by_hand: bool) {
        if self.last_primary.is_some_and(|last| last != h) {
            if by_hand {
                self.hand_overs += 1;
            } else {
                self.failovers += 1;
            }
        }
        self.last_primary = Some(h);
    }

    /// Something of this name happened.
    pub(crate) fn happened(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    pub(crate) fn gap(&mut self, single: Single, gap: u64) {
        let of = &mut self.gaps[single as usize];
        *of = (of.0 + 1, of.1 + gap, of.2.max(gap));
    }

    /// The longest gap of a kind of single fault.
    pub fn gap_of(&self, single: Single) -> u64 {
        self.gaps[single as usize].2
    }

    pub(crate) fn healed(&mut self, served: u64, in_sync: u64) {
        self.served_again = (1, served, served);
        self.in_sync_again = (1, in_sync, in_sync);
    }

    /// Adds a run's counts.
    pub fn add(&mut self, run: &Coverage) {
        for (what, count) in &run.happened {
            *self.happened.entry(what).or_default() += count;
        }
        self.elections += run.elections;
        self.failovers += run.failovers;
        self.hand_overs += run.hand_overs;
        self.orders_to_hand_over += run.orders_to_hand_over;
        self.clones += run.clones;
        self.rewinds += run.rewinds;
        self.rewinds_begun += run.rewinds_begun;
        self.acknowledged += run.acknowledged;
        self.restarts += run.restarts;
        self.fences += run.fences;
        self.actions += run.actions;
        self.made += run.made;
        self.losses += run.losses;
        self.losses_noticed += run.losses_noticed;
        self.rejoined += run.rejoined;
        self.vouched += run.vouched;
        self.adopted += run.adopted;
        self.left_to_operators += run.left_to_operators;
        self.lost_by_word += run.lost_by_word;
        self.promised.0 += run.promised.0;
        self.promised.1 = self.promised.1.max(run.promised.1);
        self.two_primaries += u64::from((run.acked_lone | run.acked_in_sync).count_ones() > 1);
        self.two_lone += u64::from(run.acked_lone.count_ones() > 1);
        self.two_in_sync += u64::from(run.acked_in_sync.count_ones() > 1);
        let join = |a: (u64, u64, u64), b: (u64, u64, u64)| (a.0 + b.0, a.1 + b.1, a.2.max(b.2));
        for (sum, one) in self.gaps.iter_mut().zip(run.gaps) {
            *sum = join(*sum, one);
        }
        self.served_again = join(self.served_again, run.served_again);
        self.in_sync_again = join(self.in_sync_again, run.in_sync_again);
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("elections", self.elections),
            ("failovers", self.failovers),
            ("hand-overs (of those ordered below)", self.hand_overs),
            ("hand-overs ordered", self.orders_to_hand_over),
            ("clones", self.clones),
            ("rewinds that began", self.rewinds_begun),
            ("  and worked", self.rewinds),
            ("acknowledged writes", self.acknowledged),
            ("daemons started again", self.restarts),
            ("fences", self.fences),
            ("databases made at genesis", self.made),
            ("losses of state or data", self.losses),
            ("  noticed as gone back in time", self.losses_noticed),
            ("  joined again", self.rejoined),
            ("  joined again on an operator's word", self.vouched),
            ("  copies adopted", self.adopted),
            ("  nothing left to adopt", self.left_to_operators),
            (
                "  adopted, and something acknowledged lost",
                self.lost_by_word,
            ),
            (
                "seeds with acknowledged writes under two primaries",
                self.two_primaries,
            ),
            ("  each with another copy in sync", self.two_in_sync),
            ("  each lone", self.two_lone),
        ];
        for (name, count) in rows {
            writeln!(f, "  {name:<52} {count:>10}")?;
        }
        let faults: Vec<String> = self
            .happened
            .iter()
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        if !faults.is_empty() {
            writeln!(f, "  faults: {}", faults.join(", "))?;
        }
        let names = [
            "primary's host",
            "primary's database",
            "hand-over",
            "witness",
            "secondary",
            "daemon",
            "secondary's daemon, unheard",
            "primary told to stop",
            "standby told to stop",
            "data hosts' link",
            "primary's disk",
        ];
        let after = [
            ("after healing, until served", self.served_again),
            ("after healing, until all in sync", self.in_sync_again),
        ];
        for (name, (runs, sum, most)) in after {
            if let Some(mean) = sum.checked_div(runs) {
                writeln!(
                    f,
                    "  {name:<52} {runs:>10} runs, mean {} ms, at most {} ms",
                    mean / 1000,
                    most / 1000
                )?;
            }
        }
        for (name, (runs, sum, most)) in names.iter().zip(self.gaps) {
            if let Some(mean) = sum.checked_div(runs) {
                let mean = mean / 1000;
                writeln!(
                    f,
                    "  {:<52} {runs:>10} runs, longest gap: mean {mean} ms, at most {} ms",
                    format!("single fault: {name}"),
                    most / 1000
                )?;
            }
        }
        Ok(())
    }
}
