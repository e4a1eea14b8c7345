//! Histories in which something is under way when a primary's time ends: a step of its guard, a record.

use super::bits::Bits;
use super::one::trigger;
use super::plot::{STANDBY, add, among_noise};
use crate::scenario::{Blow, Links, Scenario, Target, Trigger, What};
use crate::trouble::Trouble;

/// The guard's steps take long, and something makes the steward ask for some; then nobody hears the primary any more, or
/// its daemon is gone: its permission ends in the midst of a step (R10, R16).
pub(crate) fn late_steps(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let most = bits.within(d / 10, 3 * d / 2);
    let who = bits.pick(&[Target::Primary, Target::Primary, STANDBY]);
    add(s, start, What::LateSteps(who, most, 5 * d));
    let stirred = start + bits.within(0, d);
    let away = s.sync_timeout + bits.within(0, d);
    let dies = What::Host(Target::Primary, Trigger::Actions(0), d + away);
    match bits.within(0, 5) {
        0 => add(s, stirred, What::Isolate(STANDBY, Links::Databases, away)),
        1 => add(s, stirred, What::Database(STANDBY)),
        2 => add(s, stirred, What::Database(Target::Primary)),
        3 => add(s, stirred, dies),
        4 => {
            // It takes over, and is lost before it is a primary.
            add(s, stirred, dies);
            let time = bits.within(d, 3 * d);
            let slow = What::Trouble(STANDBY, Trouble::SlowPromotion, time);
            add(s, stirred, slow);
            let at = bits.pick(&[Trigger::Promotion, Trigger::Gate]);
            let lost = bits.pick(&[Blow::Isolate, Blow::PauseDaemon, Blow::Daemon]);
            add(s, stirred, What::Aim(STANDBY, at, lost, 2 * d));
        }
        _ => {
            add(s, stirred, What::Demote(Target::Primary));
            let lost = bits.pick(&[Blow::Daemon, Blow::Host, Blow::Isolate]);
            let aim = What::Aim(Target::Primary, Trigger::Release, lost, away);
            add(s, stirred, aim);
        }
    }
    let ends = stirred + bits.within(10_000, 2 * d);
    let gone = bits.within(d, 3 * d);
    let end = bits.pick(&[
        What::Isolate(Target::Primary, Links::All, gone),
        What::Isolate(Target::Primary, Links::Daemons, gone),
        What::PauseDaemon(Target::Primary, gone),
        What::HangDatabase(Target::Primary, gone),
    ]);
    add(s, ends, end);
    among_noise(bits, s, ends + 3 * d);
}

/// The standby is away; as its shrink is proposed the primary's daemon dies, or hears nobody any more, once or more often.
pub(crate) fn half_shrunk(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let links = bits.pick(&[Links::Databases, Links::All]);
    let away = bits.within(d, 4 * d);
    add(s, start, What::Isolate(STANDBY, links, away));
    let shrinks = start + s.sync_timeout;
    if bits.one_in(2) {
        let at = shrinks - bits.within(0, d / 20);
        let alone = bits.within(d / 4, 3 * d);
        add(s, at, What::Isolate(Target::Primary, Links::Daemons, alone));
    }
    let dies = shrinks - d / 10 + bits.within(0, d / 4);
    let any = trigger(bits);
    let when = bits.pick(&[Trigger::Persisted, Trigger::Sent, any]);
    let down = bits.time(10_000, d / 2);
    add(s, dies, What::Daemon(Target::Primary, when, down));
    among_noise(bits, s, dies + 4 * d);
}
