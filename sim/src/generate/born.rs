//! A cluster's first minute, in which nothing is certain yet (R12, R20).

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, THIRD, among_noise};
use crate::scenario::{Blow, Fault, Links, Scenario, Trigger, What};

/// While the first record, database and stamp are made, members die, forget what they said, or are not heard.
pub(crate) fn born(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let mut at = bits.within(200_000, SECOND / 2);
    // What several forget only an operator can decide.
    let forgets = bits.pick(&[PRIMARY, PRIMARY, PRIMARY, STANDBY, THIRD]);
    for _ in 0..bits.within(1, 4) {
        let down = bits.time(1_000, d / 2);
        let (actions, steps) = (bits.within(1, 60), bits.within(0, 3));
        let moment = bits.pick(&[
            Trigger::Persisted,
            Trigger::Actions(actions),
            Trigger::Steps(steps),
            Trigger::Steps(0),
            Trigger::Steps(0),
        ]);
        let any = bits.pick(&[PRIMARY, STANDBY, THIRD]);
        let what = match bits.within(0, 8) {
            0 => What::Daemon(any, moment, down),
            1 => What::Host(any, moment, down),
            2 => What::Isolate(any, Links::Daemons, bits.within(d / 4, 2 * d)),
            3 => What::LoseState(forgets, down),
            4 => What::ForgetState(forgets, down),
            _ => What::Aim(forgets, moment, Blow::Tear, down),
        };
        s.faults.push(Fault {
            at,
            early: true,
            what,
        });
        at += bits.time(20_000, d);
    }
    among_noise(bits, s, start);
}
