//! Histories of people at the hosts: what they configure, what they mount.

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, THIRD, add, among_noise};
use crate::scenario::{Links, Scenario, Target, Trigger, What};

/// A shorter `decision_timeout` is configured, and the daemons take it one by one; before, while or after they do, the
/// leader is cut off. Promises of the longer one still stand (R5).
pub(crate) fn shortened(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let shorter = bits.within(SECOND, SECOND.max(d * 6 / 10));
    let lost = start + bits.within(d / 4, 2 * d);
    // All in turn, in good time; or the others just when the leader is not there to renew what they promised.
    let before = bits.one_in(2);
    for member in 0..s.members.len() {
        let who = Target::Member(member);
        add(s, start, What::Timeout(who, shorter));
        if who == PRIMARY && !bits.one_in(4) {
            continue;
        }
        let at = match before {
            true => bits.within(start, lost),
            false => lost + bits.within(1_000, d / 8),
        };
        let down = bits.within(20_000, 200_000);
        add(s, at, What::Daemon(who, Trigger::Actions(0), down));
    }
    let gone = 2 * d;
    let ends = bits.pick(&[
        What::Isolate(PRIMARY, Links::All, gone),
        What::Isolate(PRIMARY, Links::All, gone),
        What::PauseDaemon(PRIMARY, gone),
        What::Host(PRIMARY, Trigger::Actions(0), gone),
    ]);
    add(s, lost, ends);
    among_noise(bits, s, lost + 3 * d);
}

/// A host comes back with the disk of another database: that one is left alone (R14), whoever leads and whatever is lost
/// besides, until somebody takes it away.
pub(crate) fn wrong_disk(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let down = bits.time(20_000, 2 * d);
    let who = bits.pick(&[PRIMARY, STANDBY, STANDBY]);
    add(s, start, What::ForeignData(who, down));
    if bits.one_in(2) {
        let gone = bits.time(20_000, 2 * d);
        let also = bits.pick(&[
            What::LoseState(who, gone),
            What::LoseState(THIRD, gone),
            What::Host(Target::Primary, Trigger::Actions(0), gone),
        ]);
        add(s, start + bits.within(0, down + 2 * d), also);
    }
    among_noise(bits, s, start + down + 3 * d);
}
