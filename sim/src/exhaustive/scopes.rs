//! The scopes that are searched.

use super::scope::Scope;

/// About a minute on one core.
pub fn usual() -> Vec<Scope> {
    vec![
        SMALL,
        Scope::of("records", 1, 3),
        Scope {
            lone: true,
            ..Scope::of("growth", 1, 2)
        },
        Scope {
            lone: true,
            discards: 1,
            ..Scope::of("discard", 1, 2)
        },
        Scope {
            crashes: 1,
            ..Scope::of("crash", 1, 2)
        },
        Scope::of("election", 2, 2),
        Scope {
            most: 200_000,
            ..Scope::of("take-over", 2, 3)
        },
        Scope {
            writes: 0,
            losses: 1,
            asks: true,
            most: 200_000,
            ..Scope::of("loss", 2, 2)
        },
    ]
}

/// Hours.
pub fn deep() -> Vec<Scope> {
    const MOST: usize = 8_000_000;
    vec![
        Scope {
            most: MOST,
            ..Scope::of("take-over", 2, 3)
        },
        Scope {
            lone: true,
            most: MOST,
            ..Scope::of("lone", 2, 3)
        },
        Scope {
            crashes: 1,
            most: MOST,
            ..Scope::of("crash", 2, 2)
        },
        Scope {
            losses: 1,
            asks: true,
            late: true,
            most: MOST,
            ..Scope::of("loss", 2, 2)
        },
        Scope {
            late: true,
            most: MOST,
            ..Scope::of("late", 2, 2)
        },
        Scope {
            third_data: true,
            most: MOST,
            ..Scope::of("three data", 1, 3)
        },
    ]
}

/// A second.
pub const SMALL: Scope = Scope::of("small", 1, 2);

/// A deliberate bug, and where to look for it.
#[cfg(feature = "mutants")]
#[derive(Debug)]
pub struct Prey {
    /// The bug.
    pub mutant: yoke_core::mutant::Mutant,
    /// The scope in which it shows.
    pub scope: Scope,
    /// The depth at which a model of the rules, with other and larger moves, lost a write without that rule.
    pub model: &'static str,
}

/// The deliberate bugs that a search without clocks can find.
#[cfg(feature = "mutants")]
pub fn prey() -> Vec<Prey> {
    use yoke_core::mutant::Mutant;
    let at = |mutant, model, scope| Prey {
        mutant,
        scope: Scope {
            most: 300_000,
            ..scope
        },
        model,
    };
    let lone = |scope| Scope {
        lone: true,
        ..scope
    };
    vec![
        at(Mutant::R2AcceptsLowerTerm, "17", Scope::of("r2", 3, 3)),
        at(Mutant::R4IgnoresInSync, "13", lone(Scope::of("r4", 2, 3))),
        at(Mutant::R6OwnRecordCommitted, "15", Scope::of("r6", 2, 3)),
        at(Mutant::R7OpenAtPromotion, "11", Scope::of("r7", 2, 3)),
        at(Mutant::R8OpensWhenProposed, "12", Scope::of("r8", 2, 3)),
        at(
            Mutant::R9PositionBeforeProof,
            "14",
            lone(Scope::of("r9", 2, 4)),
        ),
    ]
}
