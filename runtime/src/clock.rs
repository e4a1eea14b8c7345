//! The host's clock as the core counts it.

use nix::time::{ClockId, clock_gettime};
use yoke_core::{Duration, Instant};

/// The present instant of `CLOCK_BOOTTIME`: it goes on while the host sleeps, and nobody sets it.
///
/// # Panics
/// Never on Linux: the clock exists since 2.6.39 and its reading cannot fail.
pub fn now() -> Instant {
    match clock_gettime(ClockId::CLOCK_BOOTTIME) {
        Ok(t) => {
            Instant(t.tv_sec().unsigned_abs() * 1_000_000 + t.tv_nsec().unsigned_abs() / 1_000)
        }
        Err(e) => panic!("CLOCK_BOOTTIME cannot be read: {e}"),
    }
}

/// A length of the core as one of the standard library.
pub fn std_duration(length: Duration) -> std::time::Duration {
    std::time::Duration::from_micros(length.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn never_goes_back() {
        let first = super::now();
        assert!(super::now() >= first);
    }
}
