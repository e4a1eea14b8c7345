//! At most one leader a term (R2).

use crate::world::World;
use std::collections::BTreeMap;
use yoke_core::record::Term;
use yoke_core::view::Glance;

/// Who led which term.
#[derive(Clone, Debug, Default)]
pub(crate) struct OneLeader {
    leaders: BTreeMap<Term, usize>,
}

impl OneLeader {
    /// Who led a term.
    pub(crate) fn leader(&self, term: Term) -> Option<usize> {
        self.leaders.get(&term).copied()
    }

    /// The highest term that anybody led.
    pub(crate) fn highest(&self) -> Term {
        self.leaders
            .last_key_value()
            .map_or(Term(0), |(term, _)| *term)
    }
}

impl World {
    /// A node says that it leads.
    pub(crate) fn check_one_leader(&mut self, h: usize, view: &Glance<'_>) {
        match self.oracles.one_leader.leaders.get(&view.term).copied() {
            None => {
                self.oracles.one_leader.leaders.insert(view.term, h);
                self.coverage.elections += 1;
            }
            Some(other) if other != h => {
                self.violated(
                    "one_leader",
                    format!("m{other} and m{h} both lead term {}", view.term),
                );
            }
            Some(_) => {}
        }
    }
}
