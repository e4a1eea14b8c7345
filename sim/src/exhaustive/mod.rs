//! Exhaustive small scopes: every order of what may happen to three members, within bounds, without clocks.
//!
//! ```text
//! cargo run --release -p sim -- exhaust                                   the usual scopes
//! cargo run --release -p sim -- exhaust --deep --most 2000000             larger ones
//! cargo run --release -p sim --features mutants -- exhaust --mutants      every bug that it can find
//! cargo run --release -p sim --features mutants -- exhaust --mutant NAME  the shortest trace to it, in words
//! ```
//! "exhausted yes" means: every state that the moves below lead to within the scope's bounds was met, and none broke a
//! promise; "no" means that it gave up, and says nothing of what lies deeper. Beyond that nothing is proven.
//!
//! # What is real
//! Each member's `Node`, with its own clock, state file and restarts. Its canonical form (`yoke_core::node::canonical`)
//! says, field by field, what is not told apart. Fingerprints have 128 bits: equal ones are taken for equal states.
//!
//! # What is a model
//! - Steward, guard and PostgreSQL are one small database ([`database`]): gate, promotions, flushed writes, copy ids, one
//!   order under way that takes effect at any time. The mutants of R7 and R9 break *this* steward, not the real one.
//! - A standby's start, stop and following take no time; looks cost nothing and are seen at once; the gate's proof takes
//!   the earliest position that it may. A clone is whole; what fits is judged by promotions, as the real steward does.
//! - A state is durable at once: a daemon that dies before has sent nothing that rests on it.
//! - Clocks jump by one of three lengths: within a lease, beyond `sync_timeout`, beyond every deadline. No promise, silence or
//!   pre-vote keeps from a vote, and no late heartbeat loses a lease: S1 must not rest on them. S2 is the simulator's.
//! - Of each kind of message between two members the newest alone is under way. It may be lost, late, and come any number
//!   of times. An answer comes at once or never, but where the scope says "late answers".
//! - R12's counts and R15's notes are left out: a state file may be lost, none is restored. No hand-over, no operator, no
//!   orderly stop, no database that hangs.
//!
//! # What is judged
//! S1 (a primary whose gate is open holds every write acknowledged in its term or before), and what S1 rests on, which
//! breaks earlier: one leader a term, one vote a term, a committed record stands, an open gate names all in sync, a copy in
//! sync holds what was acknowledged.

mod database;
mod databases;
mod ghost;
mod host;
mod moves;
mod packet;
mod print;
mod scope;
pub mod scopes;
mod world;

pub use ghost::{Broken, Judge};
pub use scope::Scope;
#[cfg(feature = "mutants")]
pub use scopes::{Prey, prey};

use crate::run::caught;
use moves::Move;
use std::collections::BTreeSet;
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
                let next = match caught(|| moves::after(&world, what)) {
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
