//! Histories of members that lose what they said, while what they said is still on its way (R12).

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, THIRD, add};
use crate::scenario::{Blow, Kind, Links, Scenario, Target, Trigger, What};

/// One of them.
pub(crate) fn forgetful(bits: &mut Bits, s: &mut Scenario, start: u64) {
    match bits.within(0, 5) {
        0 => votes_and_forgets(bits, s, start),
        1 => joins_during_an_election(bits, s, start),
        2 => forgets_twice(bits, s, start),
        3 => forgets_what_it_leads(bits, s, start),
        4 => another_is_elected_too_soon(bits, s, start),
        _ => several_forget(bits, s, start),
    }
}

/// A voter loses its state at the election, between its vote and what comes of it.
fn votes_and_forgets(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let off = bits.within(d + SECOND / 2, 4 * d);
    add(s, start, What::Host(PRIMARY, Trigger::Actions(0), off));
    let elected = start + d - d / 8 + bits.within(0, d / 4);
    let voter = bits.pick(&[THIRD, THIRD, STANDBY]);
    let actions = bits.within(1, 12);
    let moment = bits.pick(&[Trigger::Persisted, Trigger::Sent, Trigger::Actions(actions)]);
    let down = bits.time(20_000, d / 2);
    add(s, elected, What::Aim(voter, moment, Blow::Tear, down));
    // Whom it voted for does not get far, or is not heard by all.
    let then = elected + bits.time(1_000, d);
    let lost = match bits.within(0, 3) {
        0 => What::Host(STANDBY, Trigger::Persisted, bits.within(d / 2, 2 * d)),
        1 => What::Daemon(STANDBY, Trigger::Actions(0), bits.time(20_000, d)),
        2 => What::Isolate(STANDBY, Links::Daemons, bits.within(d / 2, 2 * d)),
        _ => What::Hold(STANDBY, voter, Links::Daemons, bits.within(d / 2, 2 * d)),
    };
    add(s, then, lost);
    s.heal_after = start + off + bits.time(SECOND, 3 * d);
}

/// A member without state waits for one answer for so long that it is silent no more; that comes from a candidate, which
/// asks for a while, because the disks of the other voters are slow.
fn joins_during_an_election(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let down = bits.time(20_000, d / 2);
    let begins = start + down + d * 5 / 4 + bits.within(0, d / 2);
    // A voter's disk is slow twice: before it releases, and before it votes.
    let heals = begins + bits.within(SECOND / 5, SECOND * 4 / 5);
    let cut = What::Part(THIRD, STANDBY, Links::Daemons, heals - start);
    add(s, start, cut);
    add(s, start + 1, What::LoseState(THIRD, down));
    for other in (0..s.members.len()).filter(|m| ![1, 2].contains(m)) {
        let slow = What::SlowDisk(Target::Member(other), 2 * SECOND);
        add(s, begins - SECOND / 2, slow);
    }
    add(s, begins, What::Database(PRIMARY));
    s.heal_after = heals + d + bits.time(SECOND, 2 * d);
}

/// A member loses its state, asks, and loses it again; what was answered to the first question comes after that, from one
/// that is off by then.
fn forgets_twice(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let who = bits.pick(&[0, 1, 2]);
    let of = (who + bits.within(1, 2) as usize) % 3;
    let (forgets, answers) = (Target::Member(who), Target::Member(of));
    let down = bits.time(20_000, d / 4);
    let again = start + down + bits.within(50_000, d);
    let late = again + bits.within(20_000, d);
    add(s, start, What::LoseState(forgets, down));
    if bits.one_in(2) {
        let held = What::Hold(answers, forgets, Links::Daemons, late - start);
        add(s, start + 1, held);
    } else {
        let age = late - (start + down).min(late) + bits.within(0, 20_000);
        add(s, late, What::Echo(answers, forgets, age));
    }
    let down = bits.time(20_000, d / 4);
    let second = bits.pick(&[
        What::LoseState(forgets, down),
        What::RestoreState(forgets, again - start + SECOND, down),
    ]);
    add(s, again, second);
    let off = bits.within(d, 4 * d);
    let dies = again
        .saturating_sub(bits.within(0, d / 4))
        .max(start + down);
    add(s, dies, What::Host(answers, Trigger::Actions(0), off));
    s.heal_after = dies + off + bits.time(SECOND, 2 * d);
}

/// A primary's daemon loses its state and joins again, while its guard lets the database serve; then it is started once
/// more: the term is the one that it led, and what it proposed in it is forgotten (R6).
fn forgets_what_it_leads(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    if bits.one_in(2) {
        let alone = bits.within(d, 3 * d);
        add(s, start, What::Isolate(STANDBY, Links::Databases, alone));
    }
    let forgets = start + bits.within(0, d);
    let down = bits.time(10_000, d / 10);
    add(s, forgets, What::ForgetState(Target::Primary, down));
    let mut at = forgets + down;
    for _ in 0..bits.within(1, 3) {
        at += bits.time(d / 50, d / 2);
        let again = bits.time(10_000, d / 10);
        add(
            s,
            at,
            What::Daemon(Target::Primary, Trigger::Actions(0), again),
        );
    }
    s.heal_after = at + bits.time(SECOND, 2 * d);
}

/// Several lose their state, at once or one in the other's absence, around an election.
fn several_forget(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let mut at = start;
    for _ in 0..bits.within(2, 4) {
        let who = bits.pick(&[PRIMARY, STANDBY, THIRD, Target::Primary]);
        let down = bits.time(20_000, 2 * d);
        let lost = match bits.one_in(3) {
            true => What::Aim(who, Trigger::Persisted, Blow::Tear, down),
            false => What::LoseState(who, down),
        };
        add(s, at, lost);
        at += bits.time(10_000, 2 * d);
    }
    if bits.one_in(2) {
        let dies = start + bits.within(0, at - start);
        add(
            s,
            dies,
            What::Host(Target::Primary, Trigger::Actions(0), bits.within(d, 3 * d)),
        );
    }
    s.heal_after = at + 2 * d + bits.time(SECOND, 2 * d);
}

/// The clocks of the others run ahead: they elect one of them while the primary, whose daemon forgot it, still serves.
fn another_is_elected_too_soon(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    s.kind = Kind::Unbounded;
    let down = bits.time(1_000, d / 8);
    add(s, start, What::ForgetState(PRIMARY, down));
    for other in (1..s.members.len()).map(Target::Member) {
        add(
            s,
            start + 1 + bits.within(0, d / 20),
            What::Jump(other, 2 * d),
        );
    }
    s.heal_after = start + d + bits.time(SECOND, 2 * d);
}
