//! Settings that some of a server's processes have not read, or not carried out (R7, R9): only what is seen in force counts.

use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, add, among_noise};
use crate::scenario::{Kind, Links, Scenario, Target, What};
use crate::trouble::Trouble;

/// The gate changes, as the standby leaves and comes back or the role moves, and single processes miss the reload.
pub(crate) fn reload_missed(bits: &mut Bits, s: &mut Scenario, start: u64) {
    if bits.one_in(3) {
        return opened_late(bits, s, start);
    }
    let d = s.decision_timeout;
    let cut = s.sync_timeout + bits.within(d / 20, d / 2);
    let time = cut + bits.within(d / 2, 3 * d);
    for who in [PRIMARY, STANDBY] {
        add(s, start, What::Trouble(who, Trouble::MissedReload, time));
    }
    let at = start + bits.within(0, d / 4);
    let changes = match bits.within(0, 3) {
        0 => What::Demote(PRIMARY),
        1 => What::Database(Target::Primary),
        _ => What::Isolate(STANDBY, Links::Databases, cut),
    };
    add(s, at, changes);
    among_noise(bits, s, start + time);
}

/// The standby leaves, and is back at once: the checkpointer has read that commits wait for nobody, and says so only when
/// the gate is already on its way to be closed again, or names the standby (R7).
fn opened_late(bits: &mut Bits, s: &mut Scenario, start: u64) {
    // Of three data hosts one would still be waited for; on a slow clock all else would be late, too.
    s.members = [vec![true; 2], vec![false; bits.pick(&[1, 1, 3])]].concat();
    s.kind = Kind::Chaos;
    s.rates = vec![1000; s.members.len()];
    let d = s.decision_timeout;
    let slow = What::Trouble(PRIMARY, Trouble::SlowCheckpointer, bits.within(d, 4 * d));
    add(s, start, slow);
    let mut at = start;
    for _ in 0..bits.within(1, 2) {
        let away = s.sync_timeout + bits.time(d / 50, d / 5);
        let leaves = match bits.one_in(3) {
            true => What::Isolate(STANDBY, Links::Databases, away),
            false => What::HangDisk(STANDBY, away),
        };
        add(s, at, leaves);
        at += s.sync_timeout + bits.within(d / 4, d);
    }
    among_noise(bits, s, at + d);
}
