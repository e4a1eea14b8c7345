//! Runs near a run: a fault earlier or later, longer or shorter, at another member, once more, gone; faults of another
//! run among its own; other conditions; other small choices.
//!
//! Edits work on the faults' words, as shrinking does: a later kind of fault is edited like all others.

use super::situation::Moment;
use crate::generate::bits::Bits;
use crate::generate::one::{Class, come};
use crate::scenario::{Fault, Kind, Scenario, What};

const SECOND: u64 = 1_000_000;
/// No edit makes more faults than this, and none later.
const MOST: usize = 25;
const LATEST: u64 = 60 * SECOND;

/// A run near `parent`, maybe with parts of `donor`.
pub(super) fn child(bits: &mut Bits, parent: &Scenario, donor: &Scenario) -> Scenario {
    let mut s = parent.clone();
    let mut edits = 1;
    while edits < 8 && !bits.one_in(4) {
        edits += 1;
    }
    for _ in 0..edits {
        edit(bits, &mut s, donor);
    }
    if s == *parent {
        s.choices = bits.within(0, u64::from(u32::MAX));
    }
    settle(bits, s, parent)
}

/// The run goes on otherwise from this moment of `parent`: until then both are the same, and what was rare comes again.
pub(super) fn onward(bits: &mut Bits, parent: &Scenario, moment: Moment) -> Scenario {
    let mut s = parent.clone();
    if is_fixed(parent) {
        s.choices = bits.within(0, u64::from(u32::MAX));
        return s;
    }
    if bits.one_in(2) {
        s.faults
            .retain(|fault| fault.early || fault.at <= moment.at);
    }
    for _ in 0..bits.within(1, 6) {
        let before = s.faults.len();
        let later = bits.time(1_000, 2 * s.decision_timeout);
        let class = bits.pick(&Class::ALL);
        come(bits, &mut s, class, moment.at + later);
        if bits.one_in(2) {
            // Where it came about.
            for fault in &mut s.faults[before..] {
                meets(fault, 0, format!("m{}", moment.who));
            }
        }
    }
    settle(bits, s, parent)
}

/// What an edited run promises, and when it heals.
fn settle(bits: &mut Bits, mut s: Scenario, parent: &Scenario) -> Scenario {
    let other_choices = Scenario {
        choices: s.choices,
        ..parent.clone()
    };
    if s == other_choices {
        return s;
    }
    if matches!(s.kind, Kind::Single(_) | Kind::Network) {
        // What is promised of one fault alone holds no more.
        s.kind = Kind::Chaos;
    }
    let latest = LATEST.max(parent.heal_after);
    if s.faults != parent.faults {
        s.faults.retain(|fault| fault.at <= latest);
        s.faults.sort_by_key(|fault| (!fault.early, fault.at));
        s.faults.truncate(MOST.max(parent.faults.len()));
    }
    let last = s.faults.iter().filter(|f| !f.early).map(|f| f.at).max();
    let least = last.unwrap_or_default() + SECOND;
    s.heal_after = s
        .heal_after
        .clamp(least, least.max(latest).max(LATEST + 10 * SECOND));
    if s == *parent {
        // What was added came too late.
        s.choices = bits.within(0, u64::from(u32::MAX));
    }
    s
}

/// Histories in which something comes back as it once was are written so that somebody is left who knows better (R12):
/// no edit may take that away.
fn is_fixed(s: &Scenario) -> bool {
    s.faults.iter().any(|fault| restores(&fault.what))
}

fn restores(what: &What) -> bool {
    what.word().starts_with("restore")
}

fn edit(bits: &mut Bits, s: &mut Scenario, donor: &Scenario) {
    let kind = bits.within(0, 19);
    if kind > 2 && is_fixed(s) {
        return;
    }
    let last = s.faults.len().checked_sub(1);
    let place = last.map(|last| bits.within(0, last as u64) as usize);
    match (kind, place) {
        (0..=2, _) => s.choices = bits.within(0, u64::from(u32::MAX)),
        (3, _) => conditions(bits, s, donor),
        (4..=6, Some(place)) => s.faults[place].at = near(bits, s.faults[place].at),
        (7, Some(place)) => {
            s.faults.remove(place);
        }
        (8 | 9, Some(place)) => {
            // Once more, maybe at another.
            let mut again = s.faults[place];
            again.at = near(bits, again.at);
            if bits.one_in(2) {
                retarget(bits, &mut again, s.members.len());
            }
            s.faults.push(again);
        }
        (10, Some(place)) => {
            let members = s.members.len();
            retarget(bits, &mut s.faults[place], members);
        }
        (11 | 12, Some(place)) => stretch(bits, &mut s.faults[place]),
        (13, _) => s.heal_after = near(bits, s.heal_after).max(SECOND),
        (14 | 15, _) => {
            // Another of any class, near one that there is.
            let at = place.map_or(SECOND, |place| near(bits, s.faults[place].at));
            let class = bits.pick(&Class::ALL);
            come(bits, s, class, at);
        }
        (16 | 17, _) => some_of(bits, s, donor, place),
        _ => all_of(bits, s, donor),
    }
}

/// One to three faults of the other that follow one another, near one that there is.
fn some_of(bits: &mut Bits, s: &mut Scenario, donor: &Scenario, place: Option<usize>) {
    if donor.faults.is_empty() {
        return;
    }
    let from = bits.within(0, donor.faults.len() as u64 - 1) as usize;
    let to = (from + bits.within(1, 3) as usize).min(donor.faults.len());
    let begin = donor.faults[from].at;
    let at = match place {
        Some(place) if !bits.one_in(4) => near(bits, s.faults[place].at),
        _ => begin,
    };
    take(s, donor, from..to, at, begin);
}

/// All that happens to the other, after or among what happens here.
fn all_of(bits: &mut Bits, s: &mut Scenario, donor: &Scenario) {
    let Some(first) = donor.faults.iter().map(|f| f.at).min() else {
        return;
    };
    let last = s.faults.iter().map(|f| f.at).max().unwrap_or_default();
    let at = match bits.within(0, 2) {
        0 => first,
        1 => bits.within(0, last + SECOND),
        _ => last + bits.time(SECOND / 10, 2 * s.decision_timeout),
    };
    take(s, donor, 0..donor.faults.len(), at, first);
    s.heal_after = s.heal_after.max(donor.heal_after);
}

fn take(s: &mut Scenario, donor: &Scenario, which: std::ops::Range<usize>, at: u64, begin: u64) {
    let unbounded = s.kind == Kind::Unbounded;
    for fault in &donor.faults[which] {
        // The other's rates may be beyond the bound as well.
        let beyond = matches!(
            fault.what,
            What::Freeze(..) | What::Jump(..) | What::Rate(..)
        );
        if restores(&fault.what) || (beyond && !unbounded) {
            continue;
        }
        let at = at + fault.at.saturating_sub(begin);
        s.faults.push(Fault { at, ..*fault });
    }
}

/// A time near this one: by up to some seconds, small steps as likely as large ones.
fn near(bits: &mut Bits, time: u64) -> u64 {
    let step = bits.time(500, 8 * SECOND);
    match bits.one_in(2) {
        true => time.saturating_sub(step),
        false => time + step,
    }
}

fn reworded(fault: &mut Fault, change: impl FnOnce(&mut Vec<String>)) {
    let text = fault.what.to_string();
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    change(&mut words);
    if let Ok(what) = words.join(" ").parse() {
        fault.what = what;
    }
}

/// Meets another member.
fn retarget(bits: &mut Bits, fault: &mut Fault, members: usize) {
    let other = match bits.within(0, 4) {
        0 => "primary".to_owned(),
        1 => "standby".to_owned(),
        _ => format!("m{}", bits.within(0, members as u64 - 1)),
    };
    meets(fault, bits.within(0, 1) as usize, other);
}

/// Its first or second target is this one.
fn meets(fault: &mut Fault, which: usize, other: String) {
    reworded(fault, |words| {
        let is_target = |word: &String| word.parse::<crate::scenario::Target>().is_ok();
        let places: Vec<usize> = (1..words.len()).filter(|w| is_target(&words[*w])).collect();
        if let Some(place) = places.get(which % places.len().max(1)) {
            words[*place] = other;
        }
    });
}

/// Lasts longer or shorter.
fn stretch(bits: &mut Bits, fault: &mut Fault) {
    let sixteenths = bits.pick(&[2, 4, 8, 12, 14, 15, 17, 18, 20, 24, 32, 64]);
    // A shorter D is refused.
    let least = match fault.what {
        What::Timeout(..) => SECOND,
        _ => 1,
    };
    reworded(fault, |words| {
        if let Some(last) = words.last_mut()
            && let Ok(time) = last.parse::<u64>()
        {
            let time = time.saturating_mul(sixteenths) / 16;
            *last = time.clamp(least, 60 * SECOND).to_string();
        }
    });
}

/// The network, the clients, and what takes how long are the other's.
fn conditions(bits: &mut Bits, s: &mut Scenario, donor: &Scenario) {
    match bits.within(0, 5) {
        0 => s.delay = donor.delay,
        1 => s.network = donor.network,
        2 => s.clients = donor.clients,
        3 => s.clone_time = donor.clone_time,
        4 => s.failures = donor.failures,
        _ => s.rewinds = donor.rewinds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::scenario;

    fn children(seeds: std::ops::Range<u64>) -> impl Iterator<Item = (Scenario, Scenario)> {
        seeds.map(|seed| {
            let parent = scenario(seed);
            let mut bits = Bits::from_seed(seed);
            let child = child(&mut bits, &parent, &scenario(seed + 1000));
            (parent, child)
        })
    }

    #[test]
    fn a_child_differs_and_can_be_written_down() {
        for (parent, child) in children(0..500) {
            assert_ne!(child, parent);
            assert_eq!(child.to_string().parse(), Ok(child));
        }
    }

    #[test]
    fn no_edit_touches_a_history_in_which_something_comes_back_or_brings_that_about() {
        let mut fixed = 0;
        for (parent, child) in children(0..2000) {
            if is_fixed(&parent) {
                assert_eq!(child.faults, parent.faults);
                fixed += 1;
            }
            assert_eq!(is_fixed(&child), is_fixed(&parent));
        }
        assert!(fixed > 20, "only {fixed} parents had such a history");
    }

    #[test]
    fn clocks_leave_the_bound_only_where_they_may() {
        for (parent, child) in children(0..2000) {
            let beyond = |fault: &Fault| matches!(fault.what, What::Freeze(..) | What::Jump(..));
            let may = parent.kind == Kind::Unbounded;
            assert!(may || !child.faults.iter().any(beyond), "{child}");
        }
    }

    #[test]
    fn what_is_promised_of_a_single_fault_is_not_asked_of_more() {
        for (parent, child) in children(0..2000) {
            if matches!(child.kind, Kind::Single(_)) {
                let choices = child.choices;
                assert_eq!(child, Scenario { choices, ..parent });
            }
        }
    }
}
