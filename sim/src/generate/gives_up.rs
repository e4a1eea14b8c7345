//! A leader that gives the role up, or takes it on, while its state file's disk is slow (R1, R10): what shortens a permission
//! overtakes what waits for the disk.

use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, THIRD, add, among_noise};
use crate::scenario::{Links, Scenario, Target, What};

/// Syncs take long, and in the midst of them the role is given up, goes lone, or grows.
pub(crate) fn gives_up_with_a_slow_disk(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let time = bits.within(d, 3 * d);
    for who in [PRIMARY, STANDBY] {
        let slow = match bits.within(0, 3) {
            0 => What::SlowDisk(who, time),
            1 => What::FullDisk(who, bits.within(d / 20, d / 3)),
            _ => What::SlowSyncs(who, bits.pick(&[300, 1000]), bits.time(50_000, d / 4), time),
        };
        add(s, start, slow);
    }
    let mut at = start;
    for _ in 0..bits.within(1, 4) {
        at += bits.within(10_000, d);
        let short = bits.within(d / 10, d);
        let what = match bits.within(0, 4) {
            0 | 1 => What::Demote(Target::Primary),
            2 => What::Database(Target::Primary),
            3 => What::Isolate(STANDBY, Links::Databases, s.sync_timeout + short),
            _ => What::Part(Target::Primary, THIRD, Links::All, short),
        };
        add(s, at, what);
    }
    among_noise(bits, s, at + 2 * d);
}
