//! Histories of a disk that goes back by a moment, while whoever could tell it is not heard (R12, R15).

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, THIRD, add};
use crate::scenario::{Kind, Links, Scenario, Target, Trigger, What};

/// One of them.
pub(crate) fn went_back(bits: &mut Bits, s: &mut Scenario, start: u64) {
    match bits.within(0, 14) {
        0..=3 => too_short_to_be_elected(bits, s, start),
        4..=7 => overtakes_what_was_seen(bits, s, start),
        8 | 9 => before_its_promotion(bits, s, start),
        10..=13 => with_its_state(bits, s, start),
        _ => before_it_was_alone(bits, s, start),
    }
}

fn all_but(s: &Scenario, who: usize) -> impl Iterator<Item = Target> + use<> {
    let count = s.members.len();
    (0..count).filter(move |m| *m != who).map(Target::Member)
}

/// Much is written, and all hear of it at once.
fn quick(bits: &mut Bits, s: &mut Scenario) {
    s.kind = Kind::Chaos;
    s.rates.fill(1000);
    s.decision_timeout = bits.pick(&[2, 2, 2, 3]) * SECOND;
    s.sync_timeout = s.decision_timeout * 2 / 5;
    s.health_timeout = s.decision_timeout * 3 / 5;
    s.clients.1 = 50_000;
}

/// The standby's copy ends a little earlier than the others have seen; it asks for their votes, and hears no answer that
/// would tell it.
fn too_short_to_be_elected(bits: &mut Bits, s: &mut Scenario, start: u64) {
    // So little that its own notes and its count of writes tell nothing, while what it had flushed was told at once; or
    // more.
    let (age, state) = match bits.one_in(4) {
        true => (bits.within(SECOND, 5 * SECOND), true),
        false => {
            quick(bits, s);
            (
                bits.within(SECOND * 3 / 10, SECOND * 7 / 10),
                bits.one_in(4),
            )
        }
    };
    let d = s.decision_timeout;
    let (at, down) = (start + age + SECOND, bits.time(20_000, d / 2));
    let back = match state {
        true => What::RestoreHost(STANDBY, age, down),
        false => What::RestoreData(STANDBY, age, down),
    };
    add(s, at, back);
    let deaf = down + d * 9 / 4 + bits.within(0, d);
    for other in all_but(s, 1) {
        add(s, at, What::Cut(other, STANDBY, Links::Daemons, deaf));
    }
    let off = deaf + bits.within(0, 2 * d);
    add(s, at, What::Host(PRIMARY, Trigger::Actions(0), off));
    s.heal_after = at + off + bits.time(SECOND, 2 * d);
}

/// A member comes back as it was a moment ago, and is started again and again before anybody hears it: what it writes
/// meanwhile is nothing that the others have seen.
fn overtakes_what_was_seen(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let age = bits.within(SECOND * 3 / 5, SECOND * 8 / 5);
    let (at, down) = (start + age + SECOND, bits.time(20_000, d / 2));
    let who = bits.pick(&[STANDBY, STANDBY, PRIMARY]);
    add(s, at, What::RestoreUnheard(who, age, down));
    for _ in 0..bits.within(0, 3) {
        let dies = at + down + bits.within(SECOND / 2, 3 * d);
        let lost = What::Daemon(who, Trigger::Actions(0), bits.time(20_000, d / 4));
        add(s, dies, lost);
    }
    s.heal_after = at + down + 5 * d;
}

/// State and data of the standby go back together, to just before a record was changed. Of what the data lost nobody has
/// heard: only the state's count of writes tells. It joins again, gets nothing of what it lacks, and the primary is lost.
fn with_its_state(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    // So seldom that hardly anything is written in between.
    s.clients = (1, bits.within(2 * SECOND, 4 * SECOND));
    let (heard, unheard) = (bits.within(d / 20, d / 10), bits.within(SECOND / 2, d / 2));
    let at = start + 2 * SECOND + heard + unheard;
    add(s, start, What::Pause(PRIMARY));
    add(s, at - unheard - heard, What::Resume(PRIMARY));
    let age = unheard + heard + bits.within(1_000, 10_000);
    let cut = What::Cut(STANDBY, PRIMARY, Links::Daemons, unheard);
    add(s, at - unheard, cut);
    let down = bits.time(20_000, d / 20);
    add(s, at, What::RestoreHost(STANDBY, age, down));
    let off = bits.within(2 * d, 4 * d);
    add(s, at, What::Part(PRIMARY, STANDBY, Links::Databases, off));
    let dies = at + down + bits.within(SECOND / 2, s.sync_timeout);
    add(s, dies, What::Host(PRIMARY, Trigger::Actions(0), off));
    s.heal_after = dies + off + bits.time(SECOND, 2 * d);
}

/// A failover; then the new primary's state file is what it was before that, and nobody is heard who knows.
fn before_its_promotion(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let at = start + d * 11 / 10 + bits.within(SECOND, d + SECOND);
    let age = at - start + bits.within(0, SECOND);
    let down = bits.time(20_000, d / 2);
    let alone = down + d * 9 / 4 + bits.within(0, 2 * d);
    let off = at - start + alone + bits.within(0, d);
    add(s, start, What::Host(PRIMARY, Trigger::Actions(0), off));
    let unheard = What::Isolate(STANDBY, Links::Daemons, alone);
    add(s, at, unheard);
    add(s, at, What::RestoreState(STANDBY, age, down));
    s.heal_after = start + off + bits.time(SECOND, 2 * d);
}

/// The primary goes on alone, by the vote of another, and forgets that; the other is off when the standby returns. (A state
/// file that is what it was before that nobody could tell then.)
fn before_it_was_alone(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let alone = s.sync_timeout + bits.within(SECOND, d);
    let at = start + alone;
    let down = bits.time(20_000, d);
    add(s, start, What::Isolate(STANDBY, Links::All, alone));
    let (who, other) = bits.pick(&[(PRIMARY, THIRD), (PRIMARY, THIRD), (THIRD, PRIMARY)]);
    add(s, at, What::LoseState(who, down));
    let off = bits.within(2 * d, 5 * d);
    let dies = at + bits.within(0, down);
    add(s, dies, What::Host(other, Trigger::Actions(0), off));
    s.heal_after = dies + off + bits.time(SECOND, 2 * d);
}
