//! S1 by the true identity of histories: timeline numbers lie, so each run of a primary has a name of its own here (a run
//! has one promotion). Of each the newest acknowledged write is remembered; whoever opens its gate in a later term holds
//! all of them, also a database that has been deposed meanwhile.

use crate::postgres::directory::DataDir;
use crate::postgres::wal::Kind;
use crate::world::World;
use std::collections::BTreeMap;
use yoke_core::postgres::RunId;
use yoke_core::record::Term;

/// By term and run of a primary: the newest write that it acknowledged. A log that holds that one where it was holds all
/// before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Branches(BTreeMap<(Term, RunId), Newest>);

#[derive(Clone, Copy, Debug)]
struct Newest {
    by: usize,
    write: u64,
    index: usize,
}

impl Branches {
    /// What this directory lacks is owed to nobody.
    pub(crate) fn forgives(&mut self, dir: &DataDir) {
        self.0
            .retain(|_, newest| dir.wal.holds(newest.write, newest.index));
    }
}

impl World {
    /// A write was acknowledged by the database of a term.
    pub(crate) fn note_branch(&mut self, by: usize, term: Term, write: u64, index: usize) {
        let Some(run) = self.hosts[by].server.as_ref().map(|s| s.run) else {
            return;
        };
        let newest = Newest { by, write, index };
        let branches = &mut self.oracles.branches.0;
        if branches.insert((term, run), newest).is_none() {
            self.check_branches(by, term, "acknowledges");
        }
    }

    /// A database of this term may acknowledge from now on.
    pub(crate) fn check_branches(&mut self, h: usize, term: Term, does: &str) {
        let Some(dir) = &self.hosts[h].storage.directory else {
            return;
        };
        let earlier = self.oracles.branches.0.range(..(term, RunId(0)));
        let lost = earlier
            .map(|((of, _), newest)| (*of, *newest))
            .find(|(_, newest)| {
                let entry = dir.wal.entries.get(newest.index);
                entry.is_none_or(|e| e.kind != Kind::Write(newest.write))
            });
        if let Some((of, newest)) = lost {
            self.violated(
                "history",
                format!(
                    "m{h} {does} in term {term} without w{}, acknowledged by m{} in term {of}",
                    newest.write, newest.by
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Newest;
    use crate::postgres::directory::DataDir;
    use crate::postgres::wal::Kind;
    use crate::world::World;
    use yoke_core::postgres::{RunId, SystemId};
    use yoke_core::record::Term;

    #[test]
    fn who_opens_its_gate_holds_what_every_earlier_term_acknowledged() {
        let mut world = World::still();
        let mut dir = DataDir::fresh(7, SystemId(7));
        dir.wal.append(Kind::Write(1), 48);
        world.hosts[1].storage.directory = Some(dir);
        let newest = |write| Newest {
            by: 0,
            write,
            index: 1,
        };
        let branches = &mut world.oracles.branches.0;
        branches.insert((Term(1), RunId(5)), newest(1));
        branches.insert((Term(3), RunId(9)), newest(2));
        // A deposed one need not hold what was acknowledged after its term.
        world.check_branches(1, Term(2), "opens its gate");
        assert_eq!(world.violation, None);
        world.check_branches(1, Term(4), "opens its gate");
        assert!(world.violation.is_some());
    }

    /// Of a deposed primary no other oracle asks: what it acknowledges is judged by those that hold it.
    #[test]
    fn a_deposed_primary_that_opens_its_gate_is_judged_by_the_terms_before_its_own() {
        let mut world = World::still();
        let dir = |write| {
            let mut dir = DataDir::fresh(7, SystemId(7));
            dir.wal.append(Kind::Write(write), 48);
            dir
        };
        world.hosts[0].storage.directory = Some(dir(1));
        world.hosts[1].storage.directory = Some(dir(2));
        let newest = Newest {
            by: 2,
            write: 1,
            index: 1,
        };
        world.oracles.branches.0.insert((Term(1), RunId(5)), newest);
        // Term 3 is served by a database that holds all; then the one of term 2 opens its gate.
        world.check_holds_all(0, Term(3), "is promoted");
        world.check_branches(0, Term(3), "opens its gate");
        world.check_holds_all(1, Term(2), "opens its gate");
        assert_eq!(world.violation, None);
        world.check_branches(1, Term(2), "opens its gate");
        assert!(world.violation.is_some_and(|v| v.oracle == "history"));
    }
}
