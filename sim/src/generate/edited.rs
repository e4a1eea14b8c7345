//! Configurations that are edited to other members, one host after the other.

use super::bits::Bits;
use super::plot::{add, among_noise};
use crate::scenario::{Scenario, Target, What};

/// From five members to three, on some of the three at least: together they would be a majority, and the others of the
/// five another one (R13).
pub(crate) fn edited(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    s.members = vec![true, true, bits.one_in(2), false, false];
    s.rates.resize(5, 1000);
    let mut at = start;
    let spare = bits.within(0, 5);
    for h in [1, 2, 0] {
        // Most often the primary's host is the one that is left.
        if h as u64 != spare && (h != 0 || bits.one_in(3)) {
            let down = bits.time(20_000, d);
            add(s, at, What::Edit(Target::Member(h), 3, down));
            at += bits.time(50_000, 2 * d);
        }
    }
    among_noise(bits, s, at + 4 * d);
}
