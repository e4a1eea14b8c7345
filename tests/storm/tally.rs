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
    /// The longest time in which no new client was let in.
    pub newcomers: Duration,
    /// The longest that is promised of either; none: nothing is, for two faults at a time.
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
        let longest = self.gap.max(self.newcomers);
        self.promised.is_some_and(|promised| longest > promised)
    }
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>3} {:<58} gap {:>9}, newcomers {:>9}, healthy after {:>9}, {:>5} acknowledged",
            self.number,
            self.name,
            seconds(self.gap),
            seconds(self.newcomers),
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
        let mut classes: BTreeMap<&str, Vec<&Struck>> = BTreeMap::new();
        for struck in &self.all {
            classes.entry(&struck.class).or_default().push(struck);
        }
        let mut rows: Vec<_> = classes.into_iter().collect();
        let longest = |of: &[&Struck], what: fn(&Struck) -> Duration| {
            of.iter().map(|s| what(s)).max().unwrap_or_default()
        };
        rows.sort_by_key(|(_, of)| std::cmp::Reverse(longest(of, |s| s.gap)));
        writeln!(
            f,
            "{:<50} {:>5} {:>11} {:>11} {:>15} {:>5}",
            "class", "times", "longest gap", "newcomers", "longest healing", "late"
        )?;
        for (class, of) in rows {
            writeln!(
                f,
                "{class:<50} {:>5} {:>11} {:>11} {:>15} {:>5}",
                of.len(),
                seconds(longest(&of, |s| s.gap)),
                seconds(longest(&of, |s| s.newcomers)),
                seconds(longest(&of, |s| s.healthy)),
                of.iter().filter(|s| s.is_late()).count()
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
