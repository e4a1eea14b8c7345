//! What the guard explained while no daemon was there to log it: the last few, for the next one.

use std::collections::VecDeque;
use yoke_core::Instant;

const MOST: usize = 32;

/// Explanations with their times.
#[derive(Debug, Default)]
pub(super) struct Untold {
    texts: VecDeque<(Instant, String)>,
}

impl Untold {
    /// Keeps one; the oldest goes where there are too many.
    pub(super) fn keep(&mut self, now: Instant, text: &str) {
        if self.texts.len() == MOST {
            self.texts.pop_front();
        }
        self.texts.push_back((now, text.to_owned()));
    }

    /// All of them, oldest first.
    pub(super) fn take(&mut self, now: Instant) -> Vec<String> {
        self.texts
            .drain(..)
            .map(|(at, text)| format!("{} ago, without a daemon: {text}", now.since(at)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_told_once() {
        let mut untold = Untold::default();
        for i in 0..=MOST as u64 {
            untold.keep(Instant(i), &format!("word {i}"));
        }
        let told = untold.take(Instant(1_000_000));
        assert_eq!(told.len(), MOST);
        assert!(told[0].ends_with("without a daemon: word 1"), "{}", told[0]);
        assert!(untold.take(Instant(1_000_000)).is_empty());
    }
}
