//! What hangs, and no time cures.

use super::SECOND;
use super::bits::Bits;
use super::plot::{STANDBY, add};
use crate::scenario::{Links, Scenario, Target, Trigger, What};

/// A database hangs until it is started again: a lone primary's, one with a standby near, or a standby's; or those of one
/// host after the other (R19).
pub(crate) fn hangs(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let mut add = |at: u64, what: What| add(s, at, what);
    let alone = bits.within(2 * d, 4 * d);
    match bits.within(0, 3) {
        0 => add(start, What::Isolate(STANDBY, Links::All, alone)),
        1 => add(start, What::Host(STANDBY, Trigger::Actions(0), alone)),
        2 => add(start, What::Isolate(STANDBY, Links::Databases, alone)),
        _ => {}
    }
    let mut at = start + bits.within(d / 5, 2 * d);
    for _ in 0..bits.within(1, 3) {
        let who = bits.pick(&[Target::Primary, Target::Primary, STANDBY]);
        add(at, What::Wedge(who));
        at += bits.within(d / 2, 3 * d);
    }
    s.heal_after = at + bits.time(SECOND, 2 * d);
}
