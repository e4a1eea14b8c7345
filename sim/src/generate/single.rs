//! One fault in calm conditions.

use super::SECOND;
use super::bits::Bits;
use crate::scenario::{Fault, Kind, Links, Scenario, Single, Target, Trigger, What};

/// The faults whose gap has a bound.
pub(crate) fn single(bits: &mut Bits, s: &mut Scenario) {
    let kind = bits.pick(&[
        Single::PrimaryHost,
        Single::PrimaryHost,
        Single::PrimaryDatabase,
        Single::HandOver,
        Single::Witness,
        Single::Secondary,
        Single::Daemon,
        Single::PrimaryStops,
        Single::StandbyStops,
        Single::DataLink,
        Single::PrimaryDisk,
        Single::Unheard,
    ]);
    s.kind = Kind::Single(kind);
    s.delay = bits.pick(&[(100, 800), (100, 2_000)]);
    s.clone_time = (300_000, SECOND);
    s.rates = (0..3).map(|_| bits.pick(&[990, 1000, 1010])).collect();
    let down = bits.within(8 * SECOND, 14 * SECOND);
    let at = bits.within(SECOND, 4 * SECOND);
    let what = match kind {
        Single::PrimaryHost => What::Host(Target::Primary, Trigger::Actions(0), down),
        Single::PrimaryDatabase => What::Database(Target::Primary),
        Single::HandOver => What::Demote(Target::Primary),
        Single::Witness => What::Host(Target::Member(2), Trigger::Actions(0), down),
        Single::Secondary => What::Host(Target::Standby, Trigger::Actions(0), down),
        Single::Daemon => What::Daemon(
            bits.pick(&[Target::Primary, Target::Standby, Target::Member(2)]),
            Trigger::Actions(0),
            bits.within(100_000, 500_000),
        ),
        Single::PrimaryStops => What::StopDaemon(Target::Primary, down),
        Single::StandbyStops => What::StopDaemon(Target::Standby, down),
        Single::DataLink => {
            let (one, other) = (Target::Member(0), Target::Member(1));
            What::Part(one, other, Links::All, down)
        }
        Single::PrimaryDisk => What::HangDisk(Target::Primary, down),
        Single::Unheard => {
            // Not for D: then the others know nothing better than to go on without it.
            let unheard = bits.within(s.sync_timeout, s.decision_timeout * 8 / 10);
            s.faults.push(Fault {
                at,
                early: false,
                what: What::Isolate(Target::Standby, Links::Daemons, unheard),
            });
            What::Daemon(
                Target::Standby,
                Trigger::Actions(0),
                bits.within(20_000, 200_000),
            )
        }
    };
    s.faults.push(Fault {
        at,
        early: false,
        what,
    });
    s.heal_after = at + down + SECOND;
}
