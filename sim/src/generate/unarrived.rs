//! A hand-over whose last word does not arrive (R19): the target lacks the shutdown checkpoint, and the role is not given up.

use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, add, among_noise};
use crate::scenario::{Links, Scenario, Target, Trigger, What};

/// The database is being stopped for its successor, and just then the stream breaks: the stop waits for nobody then. The
/// daemons hear each other as before.
pub(crate) fn word_unarrived(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    match bits.one_in(4) {
        true => add(s, start, What::StopDaemon(PRIMARY, bits.within(d / 5, d))),
        false => add(s, start, What::Demote(PRIMARY)),
    }
    let breaks = start + bits.time(20_000, 700_000);
    let gone = bits.within(d / 10, d);
    let (one, other) = (Links::Databases, Links::Daemons);
    add(s, breaks, What::Part(PRIMARY, STANDBY, one, gone));
    add(s, breaks, What::Reset(PRIMARY, STANDBY, one));
    if bits.one_in(3) {
        let after = breaks + bits.within(0, d / 2);
        let what = match bits.one_in(2) {
            true => What::Part(PRIMARY, STANDBY, other, gone),
            false => What::Host(Target::Primary, Trigger::Actions(0), gone),
        };
        add(s, after, what);
    }
    among_noise(bits, s, breaks + 2 * d);
}
