//! Histories that chance alone would seldom write.

use super::SECOND;
use super::adopted::adopted;
use super::amid::ends_amid_a_step;
use super::before_it_knows::before_it_knows;
use super::behind::behind_is_elected;
use super::bits::Bits;
use super::born::born;
use super::configured::{shortened, wrong_disk};
use super::edited::edited;
use super::fell_back::fell_back;
use super::forgetful::forgetful;
use super::gives_up::gives_up_with_a_slow_disk;
use super::growth::growth_disturbed;
use super::half_grown::half_grown;
use super::hangs::hangs;
use super::losses::losses;
use super::missed_reload::reload_missed;
use super::networks::network_stands;
use super::new_copies::new_copies;
use super::old_release::old_release;
use super::one::{Class, come, trigger};
use super::outlive::orders_outlive;
use super::outlived::{forgets_its_deposition, ordered_in_vain, outlived};
use super::revealed::revealed;
use super::standing::standing;
use super::unarrived::word_unarrived;
use super::undecided::{half_shrunk, late_steps};
use super::went_back::went_back;
use crate::scenario::{Fault, Links, Scenario, Target, Trigger, What};

/// The members' places in a calm cluster.
pub(crate) const PRIMARY: Target = Target::Member(0);
pub(crate) const STANDBY: Target = Target::Member(1);
pub(crate) const THIRD: Target = Target::Member(2);

/// What a history adds to a scenario from this time on.
type History = fn(&mut Bits, &mut Scenario, u64);

/// Every history, and how often it comes beside the others.
const HISTORIES: &[(u64, History)] = &[
    (3, one_after_the_other),
    (1, held_back),
    (1, late_acknowledgements),
    (2, losses),
    (1, alone_then_lost),
    (1, shortened),
    (1, wrong_disk),
    (1, late_steps),
    (2, half_shrunk),
    (3, hangs),
    (1, edited),
    (2, revealed),
    (3, outlived),
    (1, forgets_its_deposition),
    (1, ordered_in_vain),
    (1, adopted),
    (5, forgetful),
    (4, born),
    (5, went_back),
    (1, new_copies),
    (6, growth_disturbed),
    (4, reload_missed),
    (1, old_release),
    (3, orders_outlive),
    (4, behind_is_elected),
    (2, gives_up_with_a_slow_disk),
    (4, ends_amid_a_step),
    (1, word_unarrived),
];

/// Those to which nothing else may come: what they promise rests on that.
const ALONE: &[(u64, History)] = &[
    (2, fell_back),
    (1, half_grown),
    (4, before_it_knows),
    (3, network_stands),
    (3, standing),
];

/// One of the histories, with some noise around it; whether it is to stay alone.
pub(crate) fn plot(bits: &mut Bits, s: &mut Scenario) -> bool {
    let start = bits.within(200_000, 3 * SECOND);
    let mut all = HISTORIES.iter().chain(ALONE).enumerate();
    let sum: u64 = all.clone().map(|(_, (weight, _))| weight).sum();
    let mut left = bits.within(1, sum);
    let drawn = all.find(|(_, (weight, _))| {
        let found = left <= *weight;
        left = left.saturating_sub(*weight);
        found
    });
    if let Some((_, (_, history))) = drawn {
        history(bits, s, start);
    }
    s.faults.sort_by_key(|fault| fault.at);
    drawn.is_some_and(|(place, _)| place >= HISTORIES.len())
}

/// Adds a fault.
pub(crate) fn add(s: &mut Scenario, at: u64, what: What) {
    s.faults.push(Fault {
        at,
        early: false,
        what,
    });
}

/// Up to three faults of any class before the end of a history, and some time until all heals.
pub(crate) fn among_noise(bits: &mut Bits, s: &mut Scenario, end: u64) {
    for _ in 0..bits.within(0, 3) {
        let noise = bits.within(0, end);
        let class = bits.pick(&Class::ALL);
        come(bits, s, class, noise);
    }
    s.heal_after = end + bits.time(SECOND, 2 * s.decision_timeout);
}

/// One primary after the other is lost; the last one returns when its successor goes.
fn one_after_the_other(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let mut end = start;
    for _ in 0..bits.within(2, 5) {
        let down = bits.within(d, 3 * d);
        let lost = match bits.within(0, 5) {
            0 => What::PauseHost(Target::Primary, down),
            1 => What::Isolate(Target::Primary, Links::All, down),
            _ => What::Host(Target::Primary, trigger(bits), down),
        };
        add(s, end, lost);
        end += bits.within(d, 2 * d + 3 * SECOND);
    }
    among_noise(bits, s, end);
}

/// The third member gets the old leader's messages only when another leads; then that one goes, and the old leader is
/// back.
fn held_back(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let late = bits.within(3 * d + 6 * SECOND, 5 * d + 8 * SECOND);
    add(s, start, What::Hold(PRIMARY, THIRD, Links::Daemons, late));
    if bits.one_in(2) {
        // Records change meanwhile: the standby leaves and comes back.
        let time = s.sync_timeout + bits.within(0, d / 2);
        let cut = What::Isolate(STANDBY, Links::Databases, time);
        add(s, start + 50_000, cut);
    }
    let come = start + late;
    let dies = bits.within(start + d, come - d - 2 * SECOND);
    let back = come + bits.within(50_000, d);
    add(s, dies, What::Host(PRIMARY, trigger(bits), back - dies));
    add(
        s,
        come - bits.within(10_000, d / 8),
        What::Host(STANDBY, Trigger::Actions(0), bits.within(2 * d, 4 * d)),
    );
    among_noise(bits, s, back + 3 * d);
}

/// Acknowledgements of heartbeats come late; then the leader is cut off.
fn late_acknowledgements(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let held = bits.within(d / 5, d * 6 / 10);
    let heard = bits.within(d / 20, d / 5);
    for peer in [STANDBY, THIRD] {
        add(s, start, What::Hold(peer, PRIMARY, Links::Daemons, held));
        let cut = What::Cut(PRIMARY, peer, Links::Daemons, 3 * d);
        add(s, start + heard, cut);
    }
    let cut_off = What::Isolate(PRIMARY, Links::All, 3 * d);
    add(s, start + held + 1_000, cut_off);
    among_noise(bits, s, start + 4 * d);
}

/// The standby's stream is cut, so that the primary goes on alone; then the primary is lost.
fn alone_then_lost(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let cut = bits.within(d / 2, 4 * d);
    let links = bits.pick(&[Links::Databases, Links::All]);
    add(s, start, What::Isolate(STANDBY, links, cut));
    let dies = start + bits.within(d / 5, 2 * d);
    let lost = What::Host(Target::Primary, trigger(bits), bits.within(d, 4 * d));
    add(s, dies, lost);
    among_noise(bits, s, dies + 4 * d);
    if bits.one_in(3) {
        // And its disk with it.
        let lost = What::LoseLast(Target::Primary, bits.within(20_000, 4 * d));
        for fault in s.faults.iter_mut().filter(|f| f.at == dies) {
            fault.what = lost;
        }
    }
}
