//! Weighs what came of each window by how often its fault comes. Sums are integers; ratios and roots are for printing.

use super::faults::{KINDS, Stratum, strata};
use super::window::{Window, play, scenario};
use super::{DEFAULT, fence_fits};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A mean a year and its standard error.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Estimate {
    /// A year.
    pub mean: f64,
    /// Of that mean.
    pub error: f64,
}

/// What one length of `decision_timeout` comes to.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Microseconds.
    pub decision_timeout: u64,
    /// How often the role moves a year.
    pub failovers: Estimate,
    /// Seconds a year without acknowledged writes.
    pub unavailable: Estimate,
    /// By kind of fault, in the order of the model: failovers and seconds a year.
    pub kinds: Vec<(f64, f64)>,
}

/// All of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Study {
    /// By `decision_timeout`.
    pub rows: Vec<Row>,
    /// How many windows were played.
    pub windows: u64,
}

struct Case {
    decision_timeout: u64,
    stratum: Stratum,
    sample: u64,
}

pub(super) fn study(lengths: &[u64], samples: u64, jobs: usize) -> Result<Study, String> {
    let strata = strata();
    let mut cases = vec![];
    for decision_timeout in lengths {
        for stratum in &strata {
            cases.extend((0..samples).map(|sample| Case {
                decision_timeout: *decision_timeout,
                stratum: *stratum,
                sample,
            }));
        }
    }
    let windows = play_all(&cases, samples, jobs)?;
    let a_row = strata.len() * samples as usize;
    let rows = lengths.iter().zip(windows.chunks(a_row));
    Ok(Study {
        rows: rows
            .map(|(length, windows)| row(*length, &strata, windows, samples))
            .collect(),
        windows: cases.len() as u64,
    })
}

fn play_all(cases: &[Case], samples: u64, jobs: usize) -> Result<Vec<Window>, String> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(vec![None; cases.len()]);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else {
                        return;
                    };
                    // The same choices for every length, so that lengths are compared under equal conditions.
                    let fault = case.stratum.fault(case.sample, samples);
                    let scenario = scenario(case.decision_timeout, case.sample, Some(fault));
                    let window = play(&scenario);
                    let failed = window.violation.as_ref();
                    let result = match failed {
                        Some(violation) => Err(format!("{violation}\nin the scenario\n{scenario}")),
                        None => Ok(window),
                    };
                    // A thread that panicked would have ended the scope.
                    let mut done = done.lock().unwrap_or_else(|p| p.into_inner());
                    done[number] = Some(result);
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(|p| p.into_inner());
    done.into_iter().flatten().collect()
}

fn row(decision_timeout: u64, strata: &[Stratum], windows: &[Window], samples: u64) -> Row {
    let mut kinds = vec![(0.0, 0.0); KINDS.len()];
    let (mut failovers, mut unavailable) = (Sum::default(), Sum::default());
    for (stratum, windows) in strata.iter().zip(windows.chunks(samples as usize)) {
        let moves = failovers.add(stratum.rate, windows.iter().map(|w| w.failovers));
        let micros = unavailable.add(stratum.rate, windows.iter().map(|w| w.unavailable));
        kinds[stratum.kind].0 += moves;
        kinds[stratum.kind].1 += micros / 1e6;
    }
    Row {
        decision_timeout,
        failovers: failovers.estimate(1.0),
        unavailable: unavailable.estimate(1e6),
        kinds,
    }
}

/// A sum over strata: of means, and of their variances.
#[derive(Default)]
struct Sum {
    mean: f64,
    variance: f64,
}

impl Sum {
    /// One stratum more, which comes `rate` times in a million years: what it adds a year.
    fn add(&mut self, rate: u64, values: impl Iterator<Item = u64> + Clone) -> f64 {
        let rate = rate as f64 / 1e6;
        let count = values.clone().count().max(1) as f64;
        let sum: u64 = values.clone().sum();
        let mean = sum as f64 / count;
        let squares: f64 = values.map(|v| (v as f64 - mean).powi(2)).sum();
        self.mean += rate * mean;
        if count > 1.0 {
            self.variance += rate * rate * squares / (count - 1.0) / count;
        }
        rate * mean
    }

    fn estimate(&self, unit: f64) -> Estimate {
        Estimate {
            mean: self.mean / unit,
            error: self.variance.sqrt() / unit,
        }
    }
}

impl Study {
    /// The row of this length.
    pub fn row(&self, decision_timeout: u64) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.decision_timeout == decision_timeout)
    }

    /// Of the lengths that leave the guard its time to fence, the one with the least unavailability.
    pub fn best(&self) -> Option<&Row> {
        let safe = self.rows.iter().filter(|r| fence_fits(r.decision_timeout));
        safe.min_by(|a, b| a.unavailable.mean.total_cmp(&b.unavailable.mean))
    }

    /// The default's row.
    pub fn default_row(&self) -> Option<&Row> {
        self.row(DEFAULT)
    }
}
