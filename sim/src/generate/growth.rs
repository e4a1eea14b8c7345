//! A copy that comes back is about to be in sync, and something comes between (R8, R9, R10).

use super::SECOND;
use super::bits::Bits;
use super::one::trigger;
use super::plot::{PRIMARY, STANDBY, add, among_noise};
use crate::scenario::{Blow, Links, Scenario, Target, Trigger, What};
use crate::trouble::Trouble;

/// The standby leaves and comes back. Just then it, or its reports, come and go, and the gate's orders take their time; in
/// the end the primary may be lost, and what was in sync shows.
pub(crate) fn growth_disturbed(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let way = bits.within(0, 8);
    let cut = match way {
        0 | 1 => s.sync_timeout + bits.within(d / 50, d / 8),
        _ => s.sync_timeout + bits.within(d / 10, d / 2),
    };
    let links = bits.pick(&[Links::Databases, Links::Databases, Links::All]);
    add(s, start, What::Isolate(STANDBY, links, cut));
    let back = start + cut;
    let time = bits.within(d, 4 * d);
    match way {
        0 | 1 => before_it_is_left_out(bits, s, start, cut),
        2 | 3 => guard_sleeps(bits, s, back),
        4 | 5 => reports_flap(bits, s, back, time),
        6 => {
            // Meanwhile an operator wants a fresh copy in its place.
            late_gate(bits, s, back, time);
            let at = back + bits.within(0, time);
            add(s, at, What::Reinit(STANDBY));
            if bits.one_in(2) {
                let unheard = bits.within(d / 20, d / 4);
                let cut = What::Cut(STANDBY, PRIMARY, Links::Daemons, unheard);
                add(s, at.saturating_sub(unheard / 2), cut);
            }
        }
        7 => {
            late_gate(bits, s, back, time);
            let mut at = back;
            for _ in 0..bits.within(2, 8) {
                at += bits.within(20_000, d / 2);
                let missed = bits.within(d / 8, d / 3);
                let links = bits.pick(&[Links::Daemons, Links::Databases, Links::All]);
                let what = match bits.within(0, 3) {
                    0 => What::PauseDaemon(STANDBY, missed),
                    1 => What::PauseGuard(PRIMARY, missed),
                    2 => What::HangDisk(STANDBY, missed),
                    _ => What::Part(PRIMARY, STANDBY, links, missed),
                };
                add(s, at, what);
                at += missed;
            }
        }
        _ => {
            late_gate(bits, s, back, time);
            let at = back + bits.within(0, d);
            let blow = bits.pick(&[Blow::Daemon, Blow::PauseDaemon, Blow::PauseGuard]);
            let aim = What::Aim(PRIMARY, trigger(bits), blow, bits.within(d / 8, d));
            add(s, at, aim);
        }
    }
    let end = back + time + bits.within(0, d);
    if bits.one_in(2) {
        let lost = What::Host(Target::Primary, trigger(bits), bits.within(d, 3 * d));
        add(s, back + bits.within(SECOND / 2, time + d), lost);
    }
    among_noise(bits, s, end);
}

/// It is back while the record that leaves it out is on its way, and steady again before the gate without it is written:
/// what was proven still names it, and the guard was told, or is about to be told, that no lease is needed (R10).
fn before_it_is_left_out(bits: &mut Bits, s: &mut Scenario, start: u64, cut: u64) {
    let d = s.decision_timeout;
    let leaves = start + s.sync_timeout * 9 / 10;
    add(s, leaves, What::SlowDisk(PRIMARY, bits.within(d / 4, d)));
    let long = bits.within(d / 2, 2 * d);
    let slow = match bits.one_in(4) {
        true => What::PauseGuard(PRIMARY, long),
        false => What::LateSteps(PRIMARY, long, cut + d),
    };
    add(s, leaves, slow);
}

/// The gate is about to name it, and the guard does not run until the permission that it holds has ended (R10).
fn guard_sleeps(bits: &mut Bits, s: &mut Scenario, back: u64) {
    let d = s.decision_timeout;
    let asleep = bits.within(d * 3 / 5, d * 3 / 2);
    let when = match bits.within(0, 3) {
        0 => Trigger::Gate,
        1 => Trigger::Done(bits.within(0, 3)),
        _ => Trigger::Proof,
    };
    add(s, back, What::Aim(PRIMARY, when, Blow::PauseGuard, asleep));
}

/// The gate's orders, or its settings, take their time.
fn late_gate(bits: &mut Bits, s: &mut Scenario, at: u64, time: u64) {
    let d = s.decision_timeout;
    let late = match bits.within(0, 3) {
        0 => What::LateSteps(PRIMARY, bits.within(d / 50, d / 3), time),
        1 => What::Trouble(PRIMARY, Trouble::LateGate, time),
        2 => What::Trouble(PRIMARY, Trouble::MissedReload, time),
        _ => return,
    };
    add(s, at, late);
}

/// The standby's reports are missed for a little longer than it takes not to count on it, again and again, while an order
/// for the gate is under way: it is to grow, and it is not, and it is.
fn reports_flap(bits: &mut Bits, s: &mut Scenario, at: u64, time: u64) {
    let d = s.decision_timeout;
    let missed = d * 3 / 20 + bits.time(d / 100, d / 10);
    add(
        s,
        at,
        What::Flap(PRIMARY, STANDBY, Links::Daemons, 2 * missed, time),
    );
    add(
        s,
        at,
        What::LateSteps(PRIMARY, bits.within(d / 25, d / 4), time),
    );
}
