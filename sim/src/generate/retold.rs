//! Histories that the search came by and chance would hardly write: kept as scenarios, and told again, with other small
//! choices, and with what happens a little earlier or later.

use super::bits::Bits;
use crate::scenario::Scenario;

/// How many of a thousand seeds tell which.
const RETOLD: &[(u64, &str)] = &[
    (
        8,
        include_str!("../../scenarios/as-found-is-gone-while-the-disk-is-full.scenario"),
    ),
    (
        4,
        include_str!("../../scenarios/promotion-ordered-before-a-pause.scenario"),
    ),
    (
        8,
        include_str!("../../scenarios/told-to-stop-while-another-leads.scenario"),
    ),
    (
        4,
        include_str!("../../scenarios/guard-has-seen-a-higher-term.scenario"),
    ),
    (
        14,
        include_str!("../../scenarios/all-states-lost-while-a-lone-primary-serves.scenario"),
    ),
    (
        4,
        include_str!("../../scenarios/lone-hangs-while-nobody-leads.scenario"),
    ),
];

/// What a seed's draws are mixed with here, so that all other seeds stay what they are.
const APART: u64 = 0x7e70_1d00;

/// A seed that tells one of them again.
pub(super) fn retold(seed: u64) -> Option<Scenario> {
    let mut bits = Bits::from_seed(crate::choices::mix(seed, APART));
    let mut drawn = bits.within(0, 999);
    let (_, text) = RETOLD.iter().find(|(weight, _)| {
        let found = drawn < *weight;
        drawn = drawn.saturating_sub(*weight);
        found
    })?;
    // Every scenario there is one that can be read: the tests run them.
    let mut s: Scenario = text.parse().ok()?;
    s.choices = seed;
    for fault in &mut s.faults {
        let step = bits.time(100, 100_000);
        match bits.within(0, 5) {
            0 => fault.at += step,
            1 => fault.at = fault.at.saturating_sub(step),
            _ => {}
        }
    }
    Some(s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_them_is_told_as_often_as_it_says() {
        let all: u64 = RETOLD.iter().map(|(weight, _)| weight).sum();
        let told = (0..10_000).filter(|seed| retold(*seed).is_some()).count() as u64;
        assert!(
            told.abs_diff(10 * all) < 5 * all / 2,
            "{told} of 10000 seeds, and {all} of 1000 are meant"
        );
    }
}
