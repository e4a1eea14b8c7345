//! One fault of a kind.

use super::bits::Bits;
use crate::scenario::{Links, Scenario, Target, Trigger, What};

/// Whom it meets.
pub(crate) fn target(bits: &mut Bits) -> Target {
    match bits.within(0, 6) {
        0..=2 => Target::Primary,
        3..=4 => Target::Standby,
        5 => Target::Member(2),
        _ => Target::Member(bits.within(0, 2) as usize),
    }
}

/// When exactly it strikes.
pub(crate) fn trigger(bits: &mut Bits) -> Trigger {
    match bits.within(0, 8) {
        0..=2 => Trigger::Actions(0),
        3 => Trigger::Actions(bits.within(1, 60)),
        4..=6 => Trigger::Persisted,
        7 => Trigger::Promotion,
        _ => Trigger::Gate,
    }
}

/// Which connections.
pub(crate) fn links(bits: &mut Bits) -> Links {
    bits.pick(&[Links::All, Links::All, Links::Daemons, Links::Databases])
}

/// The highest number of a kind of fault.
pub(crate) const KINDS: u64 = 18;

/// A fault of this kind.
pub(crate) fn one(bits: &mut Bits, s: &Scenario, kind: u64) -> What {
    let d = s.decision_timeout;
    let long = bits.time(200_000, 4 * d);
    let short = bits.time(20_000, d);
    match kind {
        0 | 1 => What::Daemon(target(bits), trigger(bits), short),
        2 => What::Guard(target(bits)),
        3 => What::Database(target(bits)),
        4..=6 => What::Host(target(bits), trigger(bits), long),
        7 => What::PowerLoss(long),
        8 => What::PauseDaemon(target(bits), long),
        9 => What::PauseHost(target(bits), long),
        10 => What::HangDatabase(target(bits), long),
        11 => {
            if bits.one_in(2) {
                What::HangDisk(target(bits), long)
            } else {
                What::SlowDisk(target(bits), long)
            }
        }
        12 => What::Cut(target(bits), target(bits), links(bits), long),
        13 | 14 => What::Isolate(target(bits), links(bits), long),
        15 => What::Hold(target(bits), target(bits), links(bits), long),
        16 => What::Demote(Target::Primary),
        17 => match bits.within(0, 5) {
            0..=2 => What::LoseState(target(bits), long),
            3 => What::LoseData(target(bits), long),
            4 => What::BaseBackup(target(bits), long),
            _ => What::LoseAll(target(bits), long),
        },
        _ => {
            if bits.one_in(2) {
                What::StopDaemon(target(bits), short)
            } else {
                What::Loss(bits.within(50, 700), long)
            }
        }
    }
}
