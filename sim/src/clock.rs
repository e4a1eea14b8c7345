//! A host's clock: its own offset and its own rate; both may change.

use yoke_core::Instant;

/// `offset + rate / 1000 * (real time - since)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: u64,
    since: u64,
    rate: u64,
}

impl Clock {
    /// A clock that shows `offset` microseconds at the beginning and makes `rate` milliseconds in a second.
    pub(crate) fn new(offset: u64, rate: u64) -> Self {
        Clock {
            offset,
            since: 0,
            rate,
        }
    }

    /// From this moment on it makes so many milliseconds in a second.
    pub(crate) fn goes(&mut self, now: u64, rate: u64) {
        *self = Clock {
            offset: self.at(now).0,
            since: now,
            rate,
        };
    }

    /// It shows so much more at once.
    pub(crate) fn jumps(&mut self, by: u64) {
        self.offset += by;
    }

    /// So much real time does not count, from now on.
    pub(crate) fn misses(&mut self, now: u64, time: u64) {
        self.goes(now, self.rate);
        self.since += time;
    }

    /// What it shows at a moment of real time.
    pub(crate) fn at(self, real: u64) -> Instant {
        Instant(self.offset + real.saturating_sub(self.since) * self.rate / 1000)
    }

    /// The first moment of real time at which it shows `instant` or more.
    pub(crate) fn real(self, instant: Instant) -> u64 {
        let ahead = instant.0.saturating_sub(self.offset);
        self.since + ahead.saturating_mul(1000).div_ceil(self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_changes_never_goes_back() {
        let mut clock = Clock::new(5, 1000);
        clock.goes(1_000, 1100);
        assert_eq!(clock.at(2_000), Instant(2_105));
        clock.misses(2_000, 500);
        assert_eq!(clock.at(2_400), Instant(2_105));
        assert_eq!(clock.at(3_500), Instant(3_205));
        clock.jumps(7);
        assert_eq!(clock.at(3_500), Instant(3_212));
        assert_eq!(clock.real(Instant(3_212)), 3_500);
    }

    #[test]
    fn a_deadline_is_reached_when_it_is_due_and_not_before() {
        for rate in [200, 900, 999, 1000, 1001, 1100, 5000] {
            let clock = Clock::new(77, rate);
            for instant in [77, 78, 1000, 123_457, 9_999_999] {
                let real = clock.real(Instant(instant));
                assert!(clock.at(real) >= Instant(instant));
                assert!(real == 0 || clock.at(real - 1) < Instant(instant));
            }
        }
    }
}
