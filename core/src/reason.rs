//! Why a node decided what it decided: one variant a decision, readable by an operator.

use crate::record::Term;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One decision.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Reason {
    /// A majority voted for this member.
    Elected {
        /// In this term.
        term: Term,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Elected { term } => write!(f, "elected leader of term {term}"),
        }
    }
}
