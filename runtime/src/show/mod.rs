//! What a person sees of a cluster.

pub mod cluster;
mod hooks;
pub mod lost;
mod summary;
pub mod table;

use std::io::Write;
use yoke_core::member::MemberKind;

/// Prints a text. Whoever reads it may have enough before its end (`| head`): that is no error.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A member's kind in a word.
pub fn kind(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::Data => "data",
        MemberKind::Witness => "witness",
    }
}

#[cfg(test)]
mod tests;
