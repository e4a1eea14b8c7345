//! Histories of lost and restored things.

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, THIRD, add};
use crate::scenario::{Links, Scenario, Target, Trigger, What};

/// Something is lost, or comes back as it once was, and nothing goes wrong that would hide it: what nobody that is left
/// has seen nobody can tell (R12).
pub(crate) fn losses(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let (d, sync) = (s.decision_timeout, s.sync_timeout);
    let age = bits.time(2 * SECOND, 20 * SECOND);
    let at = start + age + bits.within(0, 3 * SECOND);
    let down = bits.time(20_000, 3 * d);
    let anybody = bits.pick(&[PRIMARY, STANDBY, THIRD]);
    let data = bits.pick(&[PRIMARY, STANDBY]);
    let mut add = |at: u64, what: What| add(s, at, what);
    match bits.within(0, 13) {
        // A member lost its state, another is off, and an operator vouches for that one at some odd moment.
        7 => {
            let lost = bits.pick(&[PRIMARY, STANDBY, THIRD]);
            let off = bits.pick(&[PRIMARY, STANDBY, THIRD]);
            add(at, What::LoseState(lost, down));
            let gone = (at + down).saturating_sub(bits.within(0, d + down));
            add(
                gone,
                What::Host(off, Trigger::Actions(0), bits.within(d, 5 * d)),
            );
            for _ in 0..bits.within(1, 4) {
                add(at + down + bits.within(0, 4 * d), What::Operator(lost));
            }
        }
        8 | 9 => return vouching(bits, s, start),
        // Two or all lose their state at once.
        10 | 11 => {
            add(at, What::LoseState(THIRD, down));
            add(at + bits.within(0, SECOND), What::LoseState(PRIMARY, down));
            if bits.one_in(2) {
                add(at + bits.within(0, SECOND), What::LoseState(STANDBY, down));
            }
        }
        12 => {
            let long = bits.within(4 * d, 6 * d);
            add(at, What::RestoreUnheard(STANDBY, age, down));
            add(at, What::Host(PRIMARY, Trigger::Actions(0), long + down));
        }
        // The one that could take over comes back as it once was, just when it is needed.
        0 | 1 => {
            let long = bits.within(d, 4 * d);
            let who = bits.pick(&[
                What::RestoreHost(STANDBY, age, down),
                What::RestoreData(STANDBY, age, down),
            ]);
            add(at, who);
            add(at, What::Host(PRIMARY, Trigger::Actions(0), long));
        }
        // The witness forgets that the standby left; then the primary goes, and the standby returns.
        2 => {
            let cut = sync + bits.within(d / 2, 2 * d);
            add(
                at.saturating_sub(cut),
                What::Isolate(STANDBY, Links::All, cut + d),
            );
            add(at, What::RestoreHost(THIRD, age, down));
            add(
                at + down + d * 11 / 10 + bits.within(SECOND, d),
                What::Host(PRIMARY, Trigger::Actions(0), bits.within(d, 2 * d)),
            );
        }
        3 => add(at, What::RestoreHost(anybody, age, down)),
        4 => add(at, What::RestoreState(anybody, age, down)),
        5 => add(at, What::RestoreData(data, age, down)),
        6 => add(at, What::BaseBackup(data, down)),
        _ => {
            add(at, What::LoseAll(anybody, down));
            add(
                at + down + bits.within(d, 3 * d),
                bits.pick(&[
                    What::LoseAll(Target::Primary, d),
                    What::LoseState(Target::Primary, d),
                    What::Host(Target::Primary, Trigger::Actions(0), d),
                ]),
            );
        }
    }
    s.heal_after = at + down + 3 * d + bits.time(SECOND, 3 * d);
}

/// Of five, the standby and a witness miss that the primary goes on alone. Then another witness loses its state, and those
/// that know are off or cut off: an operator who vouches for the one says nothing of the other (R12).
fn vouching(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    s.members = vec![true, true, false, false, false];
    while s.rates.len() < 5 {
        s.rates.push(1000);
    }
    let member = Target::Member;
    let lone = s.sync_timeout + bits.within(SECOND, d);
    let lost = start + lone;
    let mut add = |at: u64, what: What| add(s, at, what);
    for missing in [STANDBY, member(3)] {
        add(start, What::Isolate(missing, Links::All, lone));
    }
    add(lost, What::Host(member(4), Trigger::Actions(0), 6 * d));
    add(lost, What::Isolate(PRIMARY, Links::All, 5 * d));
    add(
        lost,
        What::LoseState(member(2), bits.within(20_000, SECOND)),
    );
    for _ in 0..3 {
        let comes = lost + 2 * SECOND + bits.within(0, d);
        add(comes, What::Operator(member(2)));
    }
    s.heal_after = lost + 6 * d;
}
