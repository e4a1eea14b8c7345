//! Of two standbys the one that holds less is elected (R11, R15): what the other holds beyond that is nobody's.

use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, THIRD, add, among_noise};
use crate::scenario::{Blow, Links, Scenario, Target, Trigger, What};
use crate::trouble::Trouble;

/// The third member's stream is cut, not for long enough to leave; then the primary is lost. The second has flushed more, and
/// comes too late: it has not replayed it, or its daemon sleeps. It has to give up what the new primary lacks, and may do so
/// only when that is known committed.
pub(crate) fn behind_is_elected(bits: &mut Bits, s: &mut Scenario, start: u64) {
    if bits.one_in(4) {
        return next_before_it_streams(bits, s, start);
    }
    let d = s.decision_timeout;
    let witnesses = bits.pick(&[0, 1, 2]);
    s.members = [vec![true; 3], vec![false; witnesses]].concat();
    s.rates.resize(s.members.len(), 1000);
    let cut = bits.within(s.sync_timeout / 5, s.sync_timeout * 9 / 10);
    let lost = start + cut;
    add(
        s,
        start,
        What::Cut(PRIMARY, THIRD, Links::Databases, cut + 2 * d),
    );
    match bits.one_in(2) {
        true => {
            let stuck = cut + bits.within(d, 3 * d);
            add(
                s,
                start,
                What::Trouble(STANDBY, Trouble::StuckReplay, stuck),
            );
        }
        false => {
            let asleep = d / 2 + bits.within(d / 10, d * 6 / 10);
            add(s, lost + d / 2, What::PauseDaemon(STANDBY, asleep));
        }
    }
    let down = bits.within(2 * d, 4 * d);
    add(s, lost, What::Host(PRIMARY, Trigger::Actions(0), down));
    // The record that leaves the second out takes its time, where it does not hear that at once.
    for witness in 3..s.members.len() {
        let most = bits.time(20_000, d / 2);
        let syncs = What::SlowSyncs(Target::Member(witness), 1000, most, 3 * d);
        add(s, lost + d / 2, syncs);
    }
    if bits.one_in(2) {
        let silent = bits.within(d / 10, d);
        let at = lost + d + bits.within(0, d / 2);
        let who = bits.pick(&[STANDBY, THIRD]);
        let what = match bits.one_in(2) {
            true => What::Cut(STANDBY, THIRD, Links::Daemons, silent),
            false => What::SlowSyncs(who, 1000, d / 4, silent),
        };
        add(s, at, what);
    }
    among_noise(bits, s, lost + 4 * d);
}

/// The third member's stream is cut, and the second takes over. The third is to follow that, whose promotion began beyond
/// where it ends itself; before anything comes the second is lost, too, and the third is promoted from where it was: of the
/// promotion that its stamp names it has entered nothing (R6).
fn next_before_it_streams(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    s.members = vec![true, true, true, false, false];
    s.rates.resize(s.members.len(), 1000);
    let cut = bits.within(s.sync_timeout / 5, s.sync_timeout * 9 / 10);
    let lost = start + cut;
    let time = cut + 3 * d;
    add(s, start, What::Isolate(THIRD, Links::Databases, time));
    add(s, lost, What::Host(PRIMARY, Trigger::Actions(0), 4 * d));
    let blow = bits.pick(&[Blow::PauseDaemon, Blow::Host, Blow::Isolate]);
    let away = bits.within(2 * d, 4 * d);
    add(s, lost + 1, What::Aim(STANDBY, Trigger::Gate, blow, away));
    among_noise(bits, s, lost + 4 * d);
}
