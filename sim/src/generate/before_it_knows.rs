//! A member's state went back in time, and its directory tells of that; what happens before it has looked there (R12).
//!
//! Meanwhile the third has lost its state, and the old primary was off or deaf: so nobody else can tell.

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, THIRD, add};
use crate::scenario::{Kind, Links, Scenario, Trigger, What};
use std::ops::Range;

/// It dies again and again before it knows: each time it may answer the third as if all were well, and learn enough to be as
/// new as its directory.
pub(crate) fn before_it_knows(bits: &mut Bits, s: &mut Scenario, start: u64) {
    // It is the one that was elected, and was promoted before it loses its state: its directory tells of that.
    s.kind = Kind::Chaos;
    s.members = vec![true, true, false];
    s.rates = vec![1000; 3];
    s.failures = 0;
    let d = s.decision_timeout;
    let off = d * 11 / 10 + bits.within(SECOND, d);
    let at = start + off;
    let down = bits.within(d / 4, d);
    match bits.one_in(2) {
        true => add(s, start, What::Host(PRIMARY, Trigger::Actions(0), off)),
        false => hears_of_it(bits, s, start..at),
    }
    add(s, at, What::RestoreState(STANDBY, off + SECOND, down));
    let lost = What::LoseState(THIRD, bits.within(10_000, down / 2));
    add(s, at + 1, lost);
    let mut gone = at + down;
    for _ in 0..bits.within(8, 24) {
        gone += bits.within(3_000, 25_000);
        let daemon = What::Daemon(STANDBY, Trigger::Actions(0), 1_000);
        add(s, gone, daemon);
    }
    add(s, gone, What::Host(STANDBY, Trigger::Actions(0), 4 * d));
    s.heal_after = gone + 4 * d + bits.time(SECOND, 2 * d);
}

/// The old primary is back as soon as the other is elected, and hears by the third of its first record, which names all
/// copies still; of what comes then it hears nothing.
fn hears_of_it(bits: &mut Bits, s: &mut Scenario, when: Range<u64>) {
    let d = s.decision_timeout;
    let off = d * 9 / 10 + bits.within(0, d / 4);
    add(s, when.start, What::Host(PRIMARY, Trigger::Actions(0), off));
    let unheard = when.end - when.start;
    let cut = What::Cut(STANDBY, PRIMARY, Links::All, unheard);
    add(s, when.start, cut);
    let deaf = off + bits.within(200_000, SECOND);
    if deaf < unheard {
        let cut = What::Cut(THIRD, PRIMARY, Links::Daemons, unheard - deaf);
        add(s, when.start + deaf, cut);
    }
}
