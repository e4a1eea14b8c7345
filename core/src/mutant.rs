//! Deliberate bugs, one condition each, for the simulator to find. Only with the feature `mutants`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One deliberate bug. `Config::mutant` switches it on; [`crate::mutant!`] asks for it where it sits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Mutant {
    /// R2: a record of a lower term is accepted.
    R2AcceptsLowerTerm,
    /// R4: a candidate ignores `in_sync`.
    R4IgnoresInSync,
    /// R6: the leader's own record counts as committed.
    R6OwnRecordCommitted,
    /// R7: the gate is open at a promotion (PostgreSQL's default).
    R7OpenAtPromotion,
    /// R8: the gate opens when the shrink is proposed.
    R8OpensWhenProposed,
    /// R9: the position is taken before the gate's proof.
    R9PositionBeforeProof,
    /// R10: the lease counts from the acknowledgement's arrival.
    R10LeaseFromArrival,
    /// R12: an operator's word counts for every member, not for those alone that it names.
    R12VouchesForAll,
    /// R15: a rewind that says that it worked is taken at its word.
    R15UnverifiedRewind,
}

impl Mutant {
    /// Every mutant, in the order of the rules.
    pub const ALL: [Mutant; 9] = [
        Mutant::R2AcceptsLowerTerm,
        Mutant::R4IgnoresInSync,
        Mutant::R6OwnRecordCommitted,
        Mutant::R7OpenAtPromotion,
        Mutant::R8OpensWhenProposed,
        Mutant::R9PositionBeforeProof,
        Mutant::R10LeaseFromArrival,
        Mutant::R12VouchesForAll,
        Mutant::R15UnverifiedRewind,
    ];
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mutant::R2AcceptsLowerTerm => "r2-accepts-lower-term",
            Mutant::R4IgnoresInSync => "r4-ignores-in-sync",
            Mutant::R6OwnRecordCommitted => "r6-own-record-committed",
            Mutant::R7OpenAtPromotion => "r7-open-at-promotion",
            Mutant::R8OpensWhenProposed => "r8-opens-when-proposed",
            Mutant::R9PositionBeforeProof => "r9-position-before-proof",
            Mutant::R10LeaseFromArrival => "r10-lease-from-arrival",
            Mutant::R12VouchesForAll => "r12-vouches-for-all",
            Mutant::R15UnverifiedRewind => "r15-unverified-rewind",
        })
    }
}
