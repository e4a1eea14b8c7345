//! How many runs reached each probe.

use super::{Probe, Reached};
use std::fmt;

/// How many seeds reached each probe, which was the first, and whether a committed scenario did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally {
    counts: Vec<Count>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Count {
    seeds: u64,
    first: Option<u64>,
    scenarios: u64,
}

impl Tally {
    /// Of no run yet.
    pub fn new() -> Self {
        Tally {
            counts: vec![Count::default(); Probe::ALL.len()],
        }
    }

    /// One more seed.
    pub fn add(&mut self, seed: u64, reached: Reached) {
        for count in self.of(reached) {
            count.seeds += 1;
            count.first.get_or_insert(seed);
        }
    }

    /// One more committed scenario.
    pub fn add_scenario(&mut self, reached: Reached) {
        for count in self.of(reached) {
            count.scenarios += 1;
        }
    }

    fn of(&mut self, reached: Reached) -> impl Iterator<Item = &mut Count> {
        let all = Probe::ALL.iter().zip(&mut self.counts);
        all.filter(move |(probe, _)| reached.has(**probe))
            .map(|(_, count)| count)
    }

    /// The probes that no run reached.
    pub fn missed(&self) -> Vec<Probe> {
        let all = Probe::ALL.iter().zip(&self.counts);
        let missed = all.filter(|(_, count)| count.seeds + count.scenarios == 0);
        missed.map(|(probe, _)| *probe).collect()
    }
}

impl Default for Tally {
    fn default() -> Self {
        Tally::new()
    }
}

/// One line a probe.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut about = "";
        for (probe, count) in Probe::ALL.iter().zip(&self.counts) {
            if about != probe.about() {
                about = probe.about();
                writeln!(f, "  {about}")?;
            }
            write!(f, "    {:<82} ", probe.sentence())?;
            match (count.first, count.scenarios) {
                (Some(first), _) => writeln!(f, "{:>6} seeds, first {first}", count.seeds)?,
                (None, 0) => writeln!(f, "MISSED ({})", probe.name())?,
                (None, scenarios) => writeln!(f, "no seed, {scenarios} scenarios")?,
            }
        }
        let (all, missed) = (Probe::ALL.len(), self.missed().len());
        write!(f, "  {} of {all} situations were reached", all - missed)
    }
}
