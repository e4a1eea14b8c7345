//! Orders that outlive the daemon that gave them, and daemons that have forgotten what they ordered.

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, add, among_noise};
use crate::scenario::{Blow, Links, Scenario, Trigger, What};

/// A primary that holds what its standby lacks is lost, and comes back to a slow disk: while its copy is stopped, given up,
/// rewound, cloned, named, its daemon dies again and again, and the order under way comes to its end under the next one
/// (R16).
pub(crate) fn outlived(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let cut = bits.within(d / 10, d * 3 / 10);
    add(s, start, What::Isolate(STANDBY, Links::Databases, 2 * cut));
    let back = bits.within(d * 3 / 2, 3 * d);
    let lost = What::Host(PRIMARY, Trigger::Actions(0), back);
    add(s, start + cut, lost);
    let mut at = start + cut + back;
    let late = bits.time(100_000, d);
    add(s, at, What::LateSteps(PRIMARY, late, 8 * d));
    for _ in 0..bits.within(1, 3) {
        let moment = match bits.one_in(2) {
            true => Trigger::Begun(bits.within(0, 7)),
            false => Trigger::Steps(bits.within(0, 7)),
        };
        let down = bits.time(10_000, 300_000);
        add(
            s,
            at + 1_000,
            What::Aim(PRIMARY, moment, Blow::Daemon, down),
        );
        at += bits.within(d / 2, 2 * d);
    }
    among_noise(bits, s, at + d);
}

/// A primary is deposed while its host does not run; when it runs again it stops its database at once, and forgets why:
/// its daemon dies before the new term is on its slow disk (R1, R16).
pub(crate) fn forgets_its_deposition(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let away = bits.within(2 * d, 4 * d);
    let back = start + away;
    add(s, start, What::PauseHost(PRIMARY, away));
    add(s, back - 1_000, What::SlowDisk(PRIMARY, d));
    let moment = match bits.one_in(3) {
        true => Trigger::Steps(0),
        false => Trigger::Actions(0),
    };
    let dies = back + bits.time(500, 150_000);
    let down = bits.time(10_000, d);
    add(s, dies, What::Daemon(PRIMARY, moment, down));
    among_noise(bits, s, back + 2 * d);
}

/// The standby is elected, and its host does not run from the moment in which it orders its promotion until that is void: the
/// former primary, back by then, is promoted instead. The standby follows that, with nothing done and the order still in its
/// stamp; then it is started anew, and there is a promotion of the number that its own would have had (R15).
pub(crate) fn ordered_in_vain(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let away = d + bits.within(d / 5, d);
    let lost = match bits.one_in(3) {
        true => What::Host(PRIMARY, Trigger::Actions(0), away),
        false => What::Isolate(PRIMARY, Links::All, away),
    };
    add(s, start, lost);
    let asleep = bits.within(3 * d / 2, 4 * d);
    let pause = What::Aim(STANDBY, Trigger::Promotion, Blow::PauseHost, asleep);
    add(s, start + 1, pause);
    let again = start + d + asleep + bits.within(SECOND, d + SECOND);
    let anew = match bits.one_in(2) {
        true => What::Database(STANDBY),
        false => What::Host(STANDBY, Trigger::Actions(0), bits.time(20_000, d / 2)),
    };
    add(s, again, anew);
    among_noise(bits, s, again + d);
}
