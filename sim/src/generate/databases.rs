//! What databases suffer from, in some runs.

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, add};
use crate::scenario::{Scenario, Target, Trigger, What};
use crate::trouble::Trouble;

/// Troubles of databases, and what brings them to light: each shows only where its step is taken.
pub(crate) fn troubles(bits: &mut Bits, s: &mut Scenario) {
    let d = s.decision_timeout;
    let end = s.heal_after;
    let data: Vec<Target> = (0..s.members.len())
        .filter(|member| s.members[*member])
        .map(Target::Member)
        .collect();
    let mut add = |at: u64, what: What| add(s, at, what);
    for _ in 0..bits.within(1, 3) {
        let trouble = bits.pick(&Trouble::ALL);
        let at = bits.within(0, end);
        let time = bits.time(500_000, 6 * d);
        let member = bits.pick(&data);
        match trouble {
            // After the primary is lost its data do not fit any more, and the other is promoted.
            Trouble::ShortRewind
            | Trouble::OldClone
            | Trouble::ForeignClone
            | Trouble::StuckCopy
            | Trouble::SlowPromotion
            | Trouble::FailedPromotion
            | Trouble::FailedStart
            | Trouble::StuckReplay
            | Trouble::LongRecovery => {
                for member in [member, bits.pick(&data)] {
                    add(at, What::Trouble(member, trouble, time.max(d)));
                }
                let down = bits.time(SECOND, 2 * d);
                let lost = bits.pick(&[
                    What::Host(Target::Primary, Trigger::Actions(0), down),
                    What::Host(PRIMARY, Trigger::Persisted, down),
                    What::Database(Target::Primary),
                ]);
                add(at + bits.within(0, SECOND), lost);
            }
            Trouble::RefusedSettings
            | Trouble::LateGate
            | Trouble::MissedReload
            | Trouble::SlowCheckpointer
            | Trouble::Twin => {
                let target = bits.pick(&[Target::Primary, Target::Primary, member]);
                add(at, What::Trouble(target, trouble, time));
            }
        }
    }
    s.faults.sort_by_key(|fault| (!fault.early, fault.at));
}
