//! Exhaustive small scopes.

mod database;
mod ghost;
mod moves;
mod packet;
mod scope;
pub mod scopes;
mod world;

pub use ghost::{Broken, Judge};
pub use scope::Scope;
#[cfg(feature = "mutants")]
pub use scopes::{Prey, prey};

use moves::Move;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant as WallClock;
use world::World;
use yoke_core::Config;

/// What came of a search.
#[derive(Debug)]
pub struct Found {
    /// States met, each as often as it was met.
    pub states: usize,
    /// Different ones.
    pub unique: usize,
    /// The longest of all shortest ways to a state.
    pub depth: usize,
    /// Every state within the bounds was met.
    pub exhausted: bool,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The shortest way to a state that breaks a promise, in words, and what is broken.
    pub broken: Option<(Vec<String>, Broken)>,
}

/// Searches a scope, breadth first: what is found first is the shortest.
pub fn search(scope: &Scope, judge: Judge, mutate: &dyn Fn(&mut Config)) -> Found {
    let begun = WallClock::now();
    let first = World::begin(scope, judge, mutate);
    let mut seen: BTreeSet<u128> = BTreeSet::from([first.print()]);
    // Of each state: where it came from, and by which move.
    let mut ways: Vec<(u32, Move)> = vec![(0, Move::Effect(0))];
    let mut layer: Vec<(u32, World)> = vec![(0, first.clone())];
    let mut found = Found {
        states: 1,
        unique: 1,
        depth: 0,
        exhausted: false,
        seconds: 0.0,
        broken: None,
    };
    while !layer.is_empty() && found.unique < scope.most {
        let mut next_layer = vec![];
        for (number, world) in layer {
            for what in moves::moves(&world) {
                let after = AssertUnwindSafe(|| moves::after(&world, what));
                let next = match catch_unwind(after) {
                    Ok(Some(next)) => next,
                    Ok(None) => continue,
                    Err(panic) => {
                        let text = panic.downcast_ref::<String>().cloned();
                        let mut next = world.clone();
                        next.broken = Some(Broken {
                            promise: "the core's own assertion",
                            what: text.unwrap_or_default(),
                        });
                        next
                    }
                };
                found.states += 1;
                if next.broken.is_none() && (!next.is_within() || !seen.insert(next.print())) {
                    continue;
                }
                found.unique += 1;
                ways.push((number, what));
                if let Some(broken) = next.broken.clone() {
                    found.depth += 1;
                    found.seconds = begun.elapsed().as_secs_f64();
                    found.broken = Some((tell(first, &ways), broken));
                    return found;
                }
                next_layer.push((ways.len() as u32 - 1, next));
            }
        }
        layer = next_layer;
        if !layer.is_empty() {
            found.depth += 1;
        }
    }
    found.exhausted = layer.is_empty();
    found.seconds = begun.elapsed().as_secs_f64();
    found
}

/// The way to the last state, in words.
fn tell(first: World, ways: &[(u32, Move)]) -> Vec<String> {
    let mut path = vec![];
    let mut at = ways.len() - 1;
    while at > 0 {
        let (from, what) = ways[at];
        path.push(what);
        at = from as usize;
    }
    let mut world = first;
    let mut story = vec![];
    for (left, what) in path.into_iter().enumerate().rev() {
        story.push(moves::words(&world, what));
        // The last one is what broke it, maybe by a panic.
        if left > 0
            && let Some(next) = moves::after(&world, what)
        {
            world = next;
        }
    }
    story
}
