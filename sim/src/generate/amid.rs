//! A primary's time ends amid a step of its guard (R10, R16): a fence waits for nothing, and ends what is under way.

use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, THIRD, add, among_noise};
use crate::scenario::{Blow, Links, Scenario, Trigger, What};

/// Of two standbys one leaves, or comes back: the gate is written anew while another copy stays in sync, so that the primary
/// needs its lease. The guard's steps take long, and in the midst of one nobody hears the daemon any more, it sleeps, or it
/// is gone.
pub(crate) fn ends_amid_a_step(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let witnesses = bits.pick(&[0, 0, 1, 2]);
    s.members = [vec![true; 3], vec![false; witnesses]].concat();
    s.rates.resize(s.members.len(), 1000);
    let away = s.sync_timeout + bits.within(d / 20, d);
    let who = bits.pick(&[STANDBY, THIRD]);
    add(s, start, What::Isolate(who, Links::Databases, away));
    // It leaves after this time, or is steady again for D/5.
    let soon = match bits.one_in(3) {
        true => start + away + bits.within(0, d / 5),
        false => start + s.sync_timeout * 9 / 10,
    };
    let most = bits.within(d, 3 * d);
    add(s, soon, What::LateSteps(PRIMARY, most, 4 * d));
    let blow = bits.pick(&[
        Blow::Isolate,
        Blow::PauseDaemon,
        Blow::PauseDaemon,
        Blow::Daemon,
    ]);
    let begun = Trigger::Begun(bits.pick(&[0, 0, 1, 2]));
    let gone = bits.within(d, 3 * d);
    add(s, soon, What::Aim(PRIMARY, begun, blow, gone));
    among_noise(bits, s, soon + 4 * d);
}
