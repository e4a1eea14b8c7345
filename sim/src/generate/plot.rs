//! Histories that chance alone would seldom write.

use super::SECOND;
use super::bits::Bits;
use super::edges::{about_a_record, about_a_side};
use super::losses::losses;
use super::one::{KINDS, one, trigger};
use crate::scenario::{Fault, Links, Scenario, Target, Trigger, What};

/// The members' places in a calm cluster.
pub(crate) const PRIMARY: Target = Target::Member(0);
pub(crate) const STANDBY: Target = Target::Member(1);
pub(crate) const THIRD: Target = Target::Member(2);

/// Histories that chance alone would seldom write; each with some noise around it.
pub(crate) fn plot(bits: &mut Bits, s: &mut Scenario) {
    let d = s.decision_timeout;
    let start = bits.within(200_000, 3 * SECOND);
    let mut at = |at: u64, what: What| {
        s.faults.push(Fault {
            at,
            early: false,
            what,
        })
    };
    let mut end = start;
    match bits.within(0, 14) {
        // One primary after the other is lost; the last one returns when its successor goes.
        0..=2 => {
            for _ in 0..bits.within(2, 5) {
                let down = bits.within(d, 3 * d);
                at(
                    end,
                    match bits.within(0, 5) {
                        0 => What::PauseHost(Target::Primary, down),
                        1 => What::Isolate(Target::Primary, Links::All, down),
                        _ => What::Host(Target::Primary, trigger(bits), down),
                    },
                );
                end += bits.within(d, 2 * d + 3 * SECOND);
            }
        }
        // The third member gets the old leader's messages only when another leads; then that one goes, and the old
        // leader is back.
        3 => {
            let late = bits.within(3 * d + 6 * SECOND, 5 * d + 8 * SECOND);
            at(start, What::Hold(PRIMARY, THIRD, Links::Daemons, late));
            if bits.one_in(2) {
                // Records change meanwhile: the standby leaves and comes back.
                at(
                    start + 50_000,
                    What::Isolate(
                        STANDBY,
                        Links::Databases,
                        s.sync_timeout + bits.within(0, d / 2),
                    ),
                );
            }
            let come = start + late;
            let dies = bits.within(start + d, come - d - 2 * SECOND);
            let back = come + bits.within(50_000, d);
            at(dies, What::Host(PRIMARY, trigger(bits), back - dies));
            at(
                come - bits.within(10_000, d / 8),
                What::Host(STANDBY, Trigger::Actions(0), bits.within(2 * d, 4 * d)),
            );
            end = back + 3 * d;
        }
        // Acknowledgements of heartbeats come late; then the leader is cut off.
        4 => {
            let held = bits.within(d / 5, d * 6 / 10);
            let heard = bits.within(d / 20, d / 5);
            for peer in [STANDBY, THIRD] {
                at(start, What::Hold(peer, PRIMARY, Links::Daemons, held));
                at(
                    start + heard,
                    What::Cut(PRIMARY, peer, Links::Daemons, 3 * d),
                );
            }
            at(
                start + held + 1_000,
                What::Isolate(PRIMARY, Links::All, 3 * d),
            );
            end = start + 4 * d;
        }
        5..=8 => return losses(bits, s, start),
        9..=11 => end = about_a_record(bits, s, start),
        12 | 13 => end = about_a_side(bits, s, start),
        // The standby's stream is cut, so that the primary goes on alone; then the primary is lost.
        _ => {
            let cut = bits.within(d / 2, 4 * d);
            at(
                start,
                What::Isolate(STANDBY, bits.pick(&[Links::Databases, Links::All]), cut),
            );
            let dies = start + bits.within(d / 5, 2 * d);
            at(
                dies,
                What::Host(Target::Primary, trigger(bits), bits.within(d, 4 * d)),
            );
            end = dies + 4 * d;
        }
    }
    for _ in 0..bits.within(0, 3) {
        let noise = bits.within(0, end);
        let kind = bits.within(0, KINDS);
        let what = one(bits, s, kind);
        s.faults.push(Fault {
            at: noise,
            early: false,
            what,
        });
    }
    s.faults.sort_by_key(|fault| fault.at);
    s.heal_after = end + bits.time(SECOND, 2 * d);
}
