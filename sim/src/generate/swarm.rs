//! A swarm: each run draws which classes of faults it has at all, and how often each comes.

use super::SECOND;
use super::bits::Bits;
use super::one::{Class, come};
use crate::scenario::Scenario;

/// No scenario's faults go on for longer.
const LONGEST: u64 = 60 * SECOND;

/// Faults out of these classes.
pub(crate) fn swarm(bits: &mut Bits, s: &mut Scenario, classes: &[Class]) {
    // How many of them are on at all: a few, many, none.
    let share = bits.pick(&[0, 15, 15, 30, 30, 60, 100]);
    // How often each comes beside the others.
    let mut weights: Vec<(Class, u64)> = vec![];
    for class in classes {
        if bits.within(1, 100) <= share {
            weights.push((*class, 1 << bits.within(0, 5)));
        }
    }
    if weights.is_empty() && share > 0 && !classes.is_empty() {
        weights.push((bits.pick(classes), 1));
    }
    let sum: u64 = weights.iter().map(|(_, weight)| weight).sum();
    let d = s.decision_timeout;
    let apart = bits.pick(&[20_000, 200_000, d / 4, d, 2 * d, 4 * d]);
    let count = bits.pick(&[1, 2, 3, 5, 8, 8, 12, 25]);
    let mut at = 0;
    for _ in 0..count {
        at += bits.time(1_000, 2 * apart);
        if sum == 0 || at > LONGEST {
            break;
        }
        let mut drawn = bits.within(1, sum);
        for (class, weight) in &weights {
            if drawn <= *weight {
                come(bits, s, *class, at);
                break;
            }
            drawn -= weight;
        }
    }
    s.faults.sort_by_key(|fault| fault.at);
    let last = s.faults.last().map_or(0, |fault| fault.at);
    s.heal_after = last + bits.time(SECOND, 3 * d);
    if bits.one_in(10) && sum > 0 {
        // Some come while the cluster is made.
        let from = s.faults.len();
        for _ in 0..bits.within(1, 2) {
            let at = bits.time(100_000, 2 * d);
            let class = bits.pick(&weights).0;
            come(bits, s, class, at);
        }
        for fault in &mut s.faults[from..] {
            fault.early = true;
        }
    }
}
