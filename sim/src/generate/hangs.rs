//! What hangs, and no time cures.

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, add};
use crate::scenario::{Links, Scenario, Target, Trigger, What};

/// A database hangs until it is started again: a lone primary's, one with a standby near, or a standby's; or those of one
/// host after the other (R19).
pub(crate) fn hangs(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    if bits.one_in(3) {
        return end_unseen(bits, s, start);
    }
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

/// A primary's disk takes no write, and its guard does not run as it gives way: that its database has ended cannot be seen,
/// and it just stops leading. Then all is well again with it before anybody's promise to it is over: it stands aside all the
/// same (R19).
fn end_unseen(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let long = s.health_timeout + bits.within(d / 10, d / 2);
    add(s, start, What::HangDisk(PRIMARY, long));
    // Its last health write was a little earlier.
    let gives_way = start + s.health_timeout;
    let asleep = gives_way - bits.within(d / 16, d / 4);
    let awake = gives_way + d / 5 + bits.within(d / 50, d / 3);
    add(s, asleep, What::PauseGuard(PRIMARY, awake - asleep));
    s.heal_after = awake + d + bits.time(SECOND, 2 * d);
}
