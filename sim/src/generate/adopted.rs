//! A copy that an operator's word leaves out.

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, THIRD, add};
use crate::scenario::{Links, Scenario, Trigger, What};

/// A primary that holds what its standby lacks is lost; the standby takes over; then all forget what they knew, and an
/// operator makes the newer primary's copy the database: what the other one holds is kept whole (R17).
pub(crate) fn adopted(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let cut = bits.within(d / 10, d * 3 / 10);
    let mut add = |at: u64, what: What| add(s, at, what);
    add(start, What::Isolate(STANDBY, Links::Databases, 2 * cut));
    let forget = start + cut + bits.within(2 * d, 3 * d);
    let heal = forget + bits.time(SECOND, d);
    add(start + cut, What::LoseState(PRIMARY, heal - start));
    add(forget, What::LoseState(STANDBY, bits.time(20_000, SECOND)));
    add(forget, What::LoseState(THIRD, bits.time(20_000, SECOND)));
    if bits.one_in(3) {
        let again = What::Host(STANDBY, Trigger::Actions(0), SECOND);
        add(forget + bits.within(0, d), again);
    }
    s.members.truncate(3);
    s.rates.truncate(3);
    s.heal_after = heal;
}
