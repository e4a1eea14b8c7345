//! Orders that outlive the daemon that gave them, and land late (R16).

use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, add, among_noise};
use crate::scenario::{Blow, Links, Scenario, Target, Trigger, What};

/// Steps take their time, and daemons die while one is under way. Something keeps the stewards busy meanwhile: the role
/// moves, or the gate changes.
pub(crate) fn orders_outlive(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let time = bits.within(2 * d, 4 * d);
    for who in [PRIMARY, STANDBY] {
        let most = bits.time(50_000, d / 2);
        add(s, start, What::LateSteps(who, most, time));
    }
    let mut at = start;
    for _ in 0..bits.within(2, 4) {
        at += bits.within(10_000, d);
        let busy = match bits.within(0, 4) {
            0 => What::Demote(Target::Primary),
            1 => What::Database(Target::Primary),
            2 => What::Host(
                Target::Primary,
                Trigger::Actions(0),
                bits.within(d / 2, 2 * d),
            ),
            3 => What::Database(Target::Standby),
            _ => What::Isolate(
                STANDBY,
                Links::Databases,
                s.sync_timeout + bits.within(0, d),
            ),
        };
        add(s, at, busy);
        for _ in 0..bits.within(1, 3) {
            let who = bits.pick(&[PRIMARY, STANDBY, Target::Primary, Target::Standby]);
            let when = match bits.within(0, 3) {
                0 => Trigger::Steps(bits.within(0, 5)),
                1 => Trigger::Gate,
                _ => Trigger::Begun(bits.within(0, 5)),
            };
            let soon = at + bits.within(0, d / 2);
            let down = bits.time(20_000, d / 4);
            add(s, soon, What::Aim(who, when, Blow::Daemon, down));
        }
    }
    among_noise(bits, s, start + time + d);
}
