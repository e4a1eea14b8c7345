//! Histories of a copy that is made anew of what is not what it should be, and is needed then (R11, R14, R15).

use super::SECOND;
use super::bits::Bits;
use super::plot::{STANDBY, add};
use crate::scenario::{Scenario, Target, Trigger, What};
use crate::trouble::Trouble;

/// The standby's data is gone, or does not fit any more; what it makes its new copy of is troubled. Then the primary fails.
pub(crate) fn new_copies(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let trouble = bits.pick(&[
        Trouble::ForeignClone,
        Trouble::ForeignClone,
        Trouble::OldClone,
        Trouble::ShortRewind,
        Trouble::StuckCopy,
    ]);
    let (_, longest) = s.clone_time;
    let down = bits.time(20_000, d);
    let time = down + longest + bits.within(d, 4 * d);
    let (who, lost) = match bits.within(0, 4) {
        0 => (STANDBY, What::LoseAll(STANDBY, down)),
        1 => (STANDBY, What::BaseBackup(STANDBY, down)),
        // After a failover the old primary's data may not fit.
        2 => (
            Target::Member(0),
            What::Host(Target::Member(0), Trigger::Actions(0), d + SECOND + down),
        ),
        _ => (STANDBY, What::LoseData(STANDBY, down)),
    };
    add(s, start, What::Trouble(who, trouble, time + 2 * d));
    add(s, start + 1, lost);
    let dies = start + time + bits.within(0, 4 * d);
    let long = bits.within(d, 4 * d);
    add(
        s,
        dies,
        What::Host(Target::Primary, Trigger::Actions(0), long),
    );
    s.heal_after = dies + long + bits.time(SECOND, 2 * d);
}
