//! What came of each fault, and the table at the end.

use super::seconds;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What one blow came to.
#[derive(Clone, Debug)]
pub struct Struck {
    /// Which.
    pub number: usize,
    /// What happened.
    pub name: String,
    /// The class that it is counted in.
    pub class: String,
    /// The longest time between two acknowledged writes.
    pub gap: Duration,
    /// The longest that is promised; none: nothing is, for two faults at a time.
    pub promised: Option<Duration>,
    /// From the end of the fault until all was healthy and in sync again.
    pub healthy: Duration,
    /// Acknowledged writes meanwhile.
    pub acknowledged: usize,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    all: Vec<Struck>,
}

impl Tally {
    /// One more.
    pub fn add(&mut self, struck: Struck) {
        self.all.push(struck);
    }
}

impl Struck {
    /// Writes stopped for longer than is promised.
    fn is_late(&self) -> bool {
        self.promised.is_some_and(|promised| self.gap > promised)
    }
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>3} {:<58} gap {:>9}, healthy after {:>9}, {:>5} acknowledged",
            self.number,
            self.name,
            seconds(self.gap),
            seconds(self.healthy),
            self.acknowledged
        )?;
        match self.promised {
            Some(promised) if self.is_late() => {
                write!(f, "  LATE: at most {} is promised", seconds(promised))
            }
            _ => Ok(()),
        }
    }
}

/// The longest of each class, the worst first.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut classes: BTreeMap<&str, (usize, Duration, Duration, usize)> = BTreeMap::new();
        for struck in &self.all {
            let entry = classes.entry(&struck.class).or_default();
            entry.0 += 1;
            entry.1 = entry.1.max(struck.gap);
            entry.2 = entry.2.max(struck.healthy);
            entry.3 += usize::from(struck.is_late());
        }
        let mut rows: Vec<_> = classes.into_iter().collect();
        rows.sort_by_key(|(_, (_, gap, ..))| std::cmp::Reverse(*gap));
        writeln!(
            f,
            "{:<50} {:>5} {:>11} {:>15} {:>5}",
            "class", "times", "longest gap", "longest healing", "late"
        )?;
        for (class, (times, gap, healthy, late)) in rows {
            writeln!(
                f,
                "{class:<50} {times:>5} {:>11} {:>15} {late:>5}",
                seconds(gap),
                seconds(healthy)
            )?;
        }
        let late = self.all.iter().filter(|s| s.is_late()).count();
        write!(
            f,
            "{} faults; after {late} of them writes stopped for longer than is promised",
            self.all.len()
        )
    }
}
