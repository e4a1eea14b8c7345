//! A search that is led on by situations: it keeps the runs that came by something rare, and looks around them.
//!
//! The code's own coverage says nothing here: a few runs have been everywhere in it. What counts is where a cluster was
//! ([`situation`]), and how seldom it was there so far. The next run is now and then a fresh seed's; else it belongs to a
//! run that came by something rare, the rarer, the more often: it is one near that ([`edit`]), or the same until the moment
//! of it, with other faults from there on. As its children come by the same, that becomes less rare, and others have their
//! turn.
//!
//! The fuzz target `schedule` searches with it, and needs nothing of libFuzzer but the loop around it.

mod edit;
pub(crate) mod heard;
mod situation;

use crate::generate::{self, bits::Bits};
use crate::scenario::Scenario;
use situation::{Moment, Sort};
pub use situation::{Situations, watched};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many runs are kept of each situation.
const KEPT: usize = 4;

/// Of a hundred runs so many are fresh seeds.
const FRESH: u64 = 25;

/// How often a situation was come by, and some of the runs that did.
#[derive(Debug, Default)]
struct Seen {
    runs: u64,
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// How long it took.
    events: u64,
    moment: Moment,
    scenario: Arc<Scenario>,
}

impl Seen {
    /// How often it has its turn beside others of its sort.
    fn weight(&self) -> u64 {
        ((1 << 32) / self.runs).max(1)
    }

    /// Whether a run is worth keeping; if so there is room for it. What took far less time says the same more clearly.
    fn has_room(&mut self, events: u64) -> bool {
        if self.kept.len() < KEPT {
            return true;
        }
        let longest = self
            .kept
            .iter()
            .enumerate()
            .max_by_key(|(_, kept)| kept.events);
        let longer = longest.filter(|(_, kept)| kept.events * 3 / 4 >= events);
        let place = longer.map(|(place, _)| place);
        place.map(|place| self.kept.swap_remove(place)).is_some()
    }
}

/// What a search has learned.
#[derive(Debug, Default)]
pub struct Search {
    seen: BTreeMap<(Sort, u64), Seen>,
}

impl Search {
    /// What to run next; `random` decides.
    pub fn next(&self, random: u64) -> Scenario {
        let mut bits = Bits::from_seed(random);
        if self.seen.is_empty() || bits.within(1, 100) <= FRESH {
            return fresh(&mut bits);
        }
        let (parent, moment) = self.rare(&mut bits);
        if bits.one_in(3) {
            return edit::onward(&mut bits, &parent, moment);
        }
        let (donor, _) = self.rare(&mut bits);
        edit::child(&mut bits, &parent, &donor)
    }

    /// A run that came by something rare, and when it did.
    fn rare(&self, bits: &mut Bits) -> (Arc<Scenario>, Moment) {
        loop {
            let sort = bits.pick(&Sort::ALL);
            let of = self.seen.range((sort, 0)..=(sort, u64::MAX));
            let sum: u64 = of.clone().map(|(_, seen)| seen.weight()).sum();
            if sum == 0 {
                continue;
            }
            let mut drawn = bits.within(1, sum);
            for (_, seen) in of {
                if drawn <= seen.weight() {
                    let place = bits.within(0, seen.kept.len() as u64 - 1);
                    let kept = &seen.kept[place as usize];
                    return (Arc::clone(&kept.scenario), kept.moment);
                }
                drawn -= seen.weight();
            }
        }
    }

    /// What a run of so many events came by.
    pub fn learn(&mut self, scenario: &Scenario, events: u64, came_by: &Situations) {
        let mut shared = None;
        for (situation, moment) in &came_by.0 {
            let seen = self.seen.entry(*situation).or_default();
            seen.runs += 1;
            if seen.has_room(events) {
                let scenario = shared.get_or_insert_with(|| Arc::new(scenario.clone()));
                let scenario = Arc::clone(scenario);
                seen.kept.push(Kept {
                    events,
                    moment: *moment,
                    scenario,
                });
            }
        }
    }

    /// At most so many runs that together came by what is rarest: a corpus to begin with. One after the other, each is the
    /// one with the most that none before it came by. What was come by once is worth twice as much as what was come by
    /// twice, and each sort of situations as much as any other.
    pub fn rarest(&self, most: usize) -> Vec<Arc<Scenario>> {
        let mut worth: Vec<u64> = vec![];
        let mut runs: Vec<(&Arc<Scenario>, Vec<usize>)> = vec![];
        let mut places = BTreeMap::new();
        for sort in Sort::ALL {
            let of = || self.seen.range((sort, 0)..=(sort, u64::MAX));
            let sum: u64 = of().map(|(_, seen)| seen.weight()).sum();
            for (_, seen) in of() {
                for Kept { scenario, .. } in &seen.kept {
                    let place = *places.entry(Arc::as_ptr(scenario)).or_insert_with(|| {
                        runs.push((scenario, vec![]));
                        runs.len() - 1
                    });
                    runs[place].1.push(worth.len());
                }
                let share = u128::from(seen.weight()) << 32;
                worth.push((share / u128::from(sum)) as u64);
            }
        }
        let mut chosen = vec![];
        while chosen.len() < most {
            let left = |of: &[usize]| of.iter().map(|situation| worth[*situation]).sum::<u64>();
            let best = runs.iter().max_by_key(|(_, of)| left(of));
            let Some((scenario, of)) = best.filter(|(_, of)| left(of) > 0) else {
                break;
            };
            chosen.push(Arc::clone(scenario));
            of.iter().for_each(|situation| worth[*situation] = 0);
        }
        chosen
    }
}

fn fresh(bits: &mut Bits) -> Scenario {
    generate::scenario(bits.within(0, u64::from(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{How, Session};
    use crate::scenario::{Fault, Target, What};

    fn learned(scenario: &Scenario) -> (u64, Situations) {
        let (report, came_by) = watched(scenario, How::default());
        assert_eq!(report.violation, None);
        (report.events, came_by)
    }

    #[test]
    fn equal_draws_are_equal_searches() {
        let searched = || {
            let mut search = Search::default();
            (0..40).for_each(|run| {
                let next = search.next(run);
                let (events, came_by) = learned(&next);
                search.learn(&next, events, &came_by);
            });
            (search.next(40), search.rarest(10))
        };
        let (next, rarest) = searched();
        assert_eq!(rarest.len(), 10);
        assert_eq!(searched(), (next, rarest));
    }

    #[test]
    fn a_run_that_goes_on_otherwise_from_a_moment_is_the_same_until_then() {
        let mut gone_on = 0;
        for seed in 0..60 {
            let parent = generate::scenario(seed);
            let (_, came_by) = learned(&parent);
            let last = came_by.0.into_values().filter(|m| m.at < parent.heal_after);
            let Some(moment) = last.max_by_key(|moment| moment.at) else {
                continue;
            };
            let child = edit::onward(&mut Bits::from_seed(seed), &parent, moment);
            // An echo keeps earlier what it brings back.
            let echoes = child.faults.iter().any(|fault| fault.what.age().is_some());
            if child.faults == parent.faults || child.kind != parent.kind || echoes {
                continue;
            }
            gone_on += 1;
            let [mut one, mut other] =
                [&parent, &child].map(|scenario| Session::begin(scenario, How::default()));
            let is_before = |session: &Session| {
                let ready = session.world.ready.unwrap_or(u64::MAX - moment.at);
                session.now().1 < ready + moment.at
            };
            while is_before(&one) {
                one.step();
                other.step();
                assert_eq!(
                    one.digest(),
                    other.digest(),
                    "at {:?} of\n{child}",
                    one.now()
                );
            }
        }
        assert!(gone_on > 20, "only {gone_on} went on");
    }

    #[test]
    fn most_runs_are_near_the_one_that_came_by_something_rare() {
        let calm = Scenario::calm(1);
        let mut rare = Scenario::calm(2);
        rare.decision_timeout = 4_321_000;
        rare.faults = vec![Fault {
            at: 500_000,
            early: false,
            what: What::Database(Target::Primary),
        }];
        let mut search = Search::default();
        let (events, came_by) = learned(&calm);
        (0..100).for_each(|_| search.learn(&calm, events, &came_by));
        let (events, came_by) = learned(&rare);
        search.learn(&rare, events, &came_by);
        let next = (0..200).map(|run| search.next(run));
        let near = next.filter(|next| next.decision_timeout == rare.decision_timeout);
        let near = near.count();
        assert!(near > 100, "{near} of 200 are near it");
    }
}
