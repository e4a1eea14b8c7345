//! Histories that the search came by and chance would hardly write: kept as scenarios, and told again by some seeds.

use super::retold::retold;
use crate::scenario::Scenario;

macro_rules! kept {
    ($($of_thousand:literal $name:literal,)*) => {
        &[$(($of_thousand, include_str!(concat!("../../scenarios/", $name, ".scenario")))),*]
    };
}

/// How many of a thousand seeds tell which.
const REMEMBERED: &[(u64, &str)] = kept![
    6 "a-number-made-twice-and-named-once",
    3 "as-found-is-gone-while-the-disk-is-full",
    3 "daemon-dies-when-its-shrink-is-durable",
    8 "doubted-by-the-daemon-that-cloned-it",
    5 "growth-while-an-order-leaves-the-copy-out",
    3 "guard-has-seen-a-higher-term",
    5 "history-file-of-another-promotion",
    4 "lone-hangs-while-nobody-leads",
    7 "look-overtaken-by-an-order-of-an-earlier-daemon",
    5 "marked-though-the-answer-was-a-failure",
    3 "nobody-reaches-the-leader-soon-after-a-stream-fell-silent",
    6 "old-state-found-while-words-wait",
    10 "old-word-of-a-copy-passed-on-as-new",
    6 "permissions-of-an-earlier-daemon-come-late",
    3 "primary-last-is-not-seen-to-its-end",
    3 "promotion-ordered-before-a-pause",
    4 "refreshed-before-it-was-known-to-be-old",
    6 "settings-written-while-an-opening-is-found",
    3 "slow-promotion-while-the-other-copy-is-not-heard",
    3 "standby-told-to-stop-in-a-calm-hour",
    3 "standbys-host-restored-before-the-primary-is-lost",
    5 "stopped-twice-while-nothing-runs",
    4 "told-to-stop-while-another-leads",
    7 "words-of-an-earlier-start-come-late",
];

/// Prime to 1,000: each thousand of seeds tells each of them as often as it says, spread among all others.
const STRIDE: u64 = 377;

/// A seed that tells one of them again; all other seeds are what they would be.
pub(super) fn remembered(seed: u64) -> Option<Scenario> {
    let mut drawn = (seed % 1000) * STRIDE % 1000;
    let (_, text) = REMEMBERED.iter().find(|(weight, _)| {
        let found = drawn < *weight;
        drawn = drawn.saturating_sub(*weight);
        found
    })?;
    // Every scenario there is one that can be read: the tests run them.
    Some(retold(&text.parse().ok()?, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_them_is_told_as_often_as_it_says() {
        let all: u64 = REMEMBERED.iter().map(|(weight, _)| weight).sum();
        let told = (5_000..6_000).filter(|seed| remembered(*seed).is_some());
        assert_eq!(told.count() as u64, all);
    }
}
