//! How long `decision_timeout` should be: failovers and unavailability a simulated year, for each of several lengths.
//!
//! A year has some hundred faults and thirty million seconds: it is not simulated second by second. Instead each fault of
//! the model ([`faults`]) is played in a window of its own, from a calm cluster in sync until it is calm and in sync
//! again, with the real node, steward and guard; what came of it counts as often as the fault comes in a year. Lengths
//! are heavy-tailed, so each doubling of the length is a stratum with a rate of its own, and the rare long ones are
//! played as often as the many short ones (importance sampling). The error printed is the standard error of the weighted
//! mean over the windows.
//!
//! What the method leaves out: two faults at once (with about 500 faults a year that last seconds, two meet in a few
//! seconds of a year); what a host's clients see when only they are cut off from it; and the tail beyond the longest
//! stratum, which is counted as that (once the role has moved, a longer fault changes nothing). In calm times nothing is
//! lost: [`calm_is_calm`] looks.

mod estimate;
mod faults;
mod plot;
mod table;
mod window;

pub use estimate::{Estimate, Study};
pub use faults::Kind;

/// Microseconds of the lengths of `decision_timeout` that are compared.
pub const LENGTHS: [u64; 9] = [
    1_000_000, 1_500_000, 2_000_000, 3_000_000, 5_000_000, 8_000_000, 13_000_000, 20_000_000,
    30_000_000,
];

/// The default of `decision_timeout`.
pub const DEFAULT: u64 = 5_000_000;

/// A guard has F = 0.15 D to fence, and a database's processes were gone after at most this (research/postgres.md): S2
/// needs a D for which that is enough.
pub const FENCE_MEASURED: u64 = 510_000;

/// Whether F covers the longest fence that was measured.
pub fn fence_fits(decision_timeout: u64) -> bool {
    decision_timeout * 15 / 100 >= FENCE_MEASURED
}

/// Plays every stratum of every fault so many times for each of these lengths, on several threads.
///
/// # Errors
/// A promise that was broken on the way, with the scenario that breaks it.
pub fn study(lengths: &[u64], samples: u64, jobs: usize) -> Result<Study, String> {
    estimate::study(lengths, samples, jobs)
}

/// The longest time without an acknowledged write in a calm minute, in microseconds; and the failovers in it.
pub fn calm_is_calm(decision_timeout: u64) -> (u64, u64) {
    let calm = window::play(&window::scenario(decision_timeout, 0, None));
    (calm.unavailable, calm.failovers)
}
