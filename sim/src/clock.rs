//! A host's clock: its own offset and its own rate.

use yoke_core::Instant;

/// `offset + rate / 1000 * real time`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: u64,
    rate: u64,
}

impl Clock {
    /// A clock that shows `offset` microseconds at the beginning and makes `rate` milliseconds in a second.
    pub(crate) fn new(offset: u64, rate: u64) -> Self {
        Clock { offset, rate }
    }

    /// What it shows at a moment of real time.
    pub(crate) fn at(self, real: u64) -> Instant {
        Instant(self.offset + real * self.rate / 1000)
    }

    /// The first moment of real time at which it shows `instant` or more.
    pub(crate) fn real(self, instant: Instant) -> u64 {
        (instant.0.saturating_sub(self.offset))
            .saturating_mul(1000)
            .div_ceil(self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
