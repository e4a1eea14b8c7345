//! Settings that some of a server's processes have not read (R7, R9): only what is seen in force counts.

use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, add, among_noise};
use crate::scenario::{Links, Scenario, Target, What};
use crate::trouble::Trouble;

/// The gate changes, as the standby leaves and comes back or the role moves, and single processes miss the reload.
pub(crate) fn reload_missed(bits: &mut Bits, s: &mut Scenario, start: u64) {
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
