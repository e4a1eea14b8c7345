//! A small scope is searched whole, and the search finds what is broken.

use sim::exhaustive::{Judge, scopes, search};

#[test]
fn a_small_scope_holds_and_is_exhausted() {
    let found = search(&scopes::SMALL, Judge::All, &|_| {});
    assert!(found.broken.is_none(), "{found:#?}");
    assert!(found.exhausted);
    assert!(found.unique > 1_000, "hardly anything happened: {found:?}");
}

#[cfg(feature = "mutants")]
#[test]
fn the_search_finds_a_gate_that_opens_too_early() {
    use yoke_core::mutant::Mutant;
    let prey = sim::exhaustive::prey()
        .into_iter()
        .find(|p| p.mutant == Mutant::R8OpensWhenProposed)
        .expect("it is in the list");
    let found = search(&prey.scope, Judge::All, &|c| c.mutant = Some(prey.mutant));
    let (story, broken) = found.broken.expect("the bug is found");
    assert_eq!(
        story,
        [
            // An idle server is looked at too seldom to be late.
            "a client writes w1 at A",
            "A waits for longer than sync_timeout",
            "A orders its gate to be {}",
            "A's order takes effect"
        ]
    );
    assert_eq!(broken.promise, "the gate names all in sync (R6, R7, R8)");
}
