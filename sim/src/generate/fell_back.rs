//! A disk that goes back in time, and a state file that does not know it (R8, R12, R15).

use super::SECOND;
use super::bits::Bits;
use super::plot::{STANDBY, add};
use crate::scenario::{Kind, Scenario, What};

/// The standby streams on while its state file's disk is full; then its host dies, and comes back with data younger than
/// its newest note of them, and older than what the primary has been told. Nobody but the primary can tell.
pub(crate) fn fell_back(bits: &mut Bits, s: &mut Scenario, start: u64) {
    s.kind = Kind::Chaos;
    s.rates = vec![1000; s.members.len()];
    s.network = (0, 0, 0);
    s.failures = 0;
    s.decision_timeout = 5 * SECOND;
    s.sync_timeout = 2 * SECOND;
    s.health_timeout = 3 * SECOND;
    let d = s.decision_timeout;
    let age = bits.within(11 * SECOND, 15 * SECOND);
    let full = age + bits.within(2 * SECOND, 4 * SECOND);
    let at = start + full - bits.within(0, SECOND / 2);
    add(s, start, What::FullDisk(STANDBY, full));
    let down = bits.time(20_000, SECOND / 2);
    add(s, at, What::RestoreData(STANDBY, age, down));
    s.heal_after = at + bits.within(2 * SECOND, 2 * d);
}
