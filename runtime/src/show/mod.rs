//! What a person sees of a cluster.

pub mod cluster;
mod hooks;
mod summary;
pub mod table;

use yoke_core::member::MemberKind;

/// A member's kind in a word.
pub fn kind(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::Data => "data",
        MemberKind::Witness => "witness",
    }
}

#[cfg(test)]
mod tests;
