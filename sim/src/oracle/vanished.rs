//! Nothing acknowledged vanishes: at any time each acknowledged write is in some host's data directory that is whole. What
//! was renamed out of the way, or is being rewritten, does not count. Faults of disks, but for the one that takes the last
//! (S1's exception), leave one that holds everything ([`crate::loss`]), so nothing excuses this but an operator who adopts a
//! copy that lacks something, and says so. What that word leaves out is kept, if only out of the way, until a second word
//! gives it up (R17); nobody here gives one, but a disk may lose it.

use crate::oracle::lost_write::{Acked, first_missing};
use crate::postgres::wal::Kind;
use crate::world::World;

/// What an operator's word left out: where each write is in the log of whoever holds it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeftOut(Vec<(u64, usize)>);

impl World {
    /// A copy becomes the database by an operator's word: what others hold beyond it is left out.
    pub(crate) fn leaves_out(&mut self, adopted: usize) {
        let Some(dir) = &self.hosts[adopted].storage.directory else {
            return;
        };
        let mut left_out = vec![];
        for host in &self.hosts {
            let other = host.storage.directory.as_ref().filter(|dir| !dir.torn);
            let entries = other.map_or(&[][..], |dir| &dir.wal.entries);
            for (index, entry) in entries.iter().enumerate() {
                if let Kind::Write(write) = entry.kind
                    && !dir.wal.holds(write, index)
                {
                    left_out.push((write, index));
                }
            }
        }
        self.oracles.left_out.0.extend(left_out);
    }

    /// S1's exception: what a copy lacks that an operator made the cluster's database, knowing what may be lost by that, is
    /// owed to nobody any more.
    pub(crate) fn forgives_losses(&mut self, adopted: usize) {
        let Some(dir) = &self.hosts[adopted].storage.directory else {
            return;
        };
        let lost_write = &mut self.oracles.lost_write;
        let owed = lost_write.acked.len();
        let holds = |one: &Acked| dir.wal.holds(one.write, one.index);
        lost_write.acked.retain(holds);
        lost_write.read.retain(holds);
        if lost_write.acked.len() == owed {
            return;
        }
        self.coverage.lost_by_word += 1;
        self.oracles.branches.forgives(dir);
        for host in &mut self.hosts {
            if let Some(dir) = &mut host.storage.directory {
                dir.verified = 0;
            }
        }
    }

    /// A directory was rewritten, a disk is about to lose one, or the run ends.
    pub(crate) fn check_left_out(&mut self) {
        let mut left_out = self.oracles.left_out.0.iter();
        if let Some((write, _)) = left_out.find(|(write, index)| !self.is_kept(*write, *index)) {
            let what =
                format!("w{write}, which an operator's word left out, is kept nowhere (R17)");
            self.violated("vanished", what);
        }
    }

    /// A disk has lost a directory: what it alone kept of that is nobody's fault.
    pub(crate) fn excuses_left_out(&mut self) {
        let mut left_out = std::mem::take(&mut self.oracles.left_out.0);
        left_out.retain(|(write, index)| self.is_kept(*write, *index));
        self.oracles.left_out.0 = left_out;
    }

    /// Whether it is on some host, if only out of the way.
    fn is_kept(&self, write: u64, index: usize) -> bool {
        self.hosts.iter().any(|host| {
            let storage = &host.storage;
            let mut dirs = storage.directory.iter().chain(&storage.set_aside);
            dirs.any(|dir| !dir.torn && dir.wal.holds(write, index))
        })
    }

    /// A directory has lost something, or is about to be rewritten: logs only grow otherwise.
    pub(crate) fn check_vanished(&mut self) {
        if self.coverage.adopted > 0 || self.losses.beyond {
            return;
        }
        let acked = &self.oracles.lost_write.acked;
        let mut missing = None;
        for host in &mut self.hosts {
            let storage = &mut host.storage;
            let whole = storage.directory.as_mut().filter(|_| !storage.rewriting);
            let Some(dir) = whole.filter(|dir| !dir.torn) else {
                continue;
            };
            match first_missing(acked, dir) {
                None => return,
                lacks => missing = missing.or(lacks),
            }
        }
        // No directory holds all: then each write has to be in one of them.
        let vanished = acked.iter().find(|a| {
            !self.hosts.iter().any(|host| {
                let storage = &host.storage;
                let dir = storage.directory.as_ref().filter(|d| !d.torn);
                dir.is_some_and(|d| !storage.rewriting && d.wal.holds(a.write, a.index))
            })
        });
        if let Some(lost) = vanished.copied() {
            self.violated(
                "vanished",
                format!(
                    "w{}, acknowledged by m{}, is in no data directory any more",
                    lost.write, lost.by
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::oracle::lost_write::Acked;
    use crate::postgres::directory::DataDir;
    use crate::postgres::wal::Kind;
    use crate::world::World;
    use yoke_core::postgres::SystemId;
    use yoke_core::record::Term;

    #[test]
    fn what_is_renamed_out_of_the_way_or_rewritten_does_not_count() {
        let mut world = World::still();
        let mut dir = DataDir::fresh(7, SystemId(7));
        dir.wal.append(Kind::Write(1), 48);
        world.oracles.lost_write.acked.push(Acked {
            write: 1,
            index: 1,
            by: 0,
            term: Term(1),
        });
        world.hosts[1].storage.directory = Some(dir.clone());
        world.check_vanished();
        assert_eq!(world.violation, None);
        world.hosts[1].storage.rewriting = true;
        world.check_vanished();
        assert!(
            world
                .violation
                .take()
                .is_some_and(|v| v.oracle == "vanished")
        );
        world.hosts[1].storage.rewriting = false;
        world.hosts[1].storage.set_aside.push(dir);
        world.hosts[1].storage.directory = None;
        world.check_vanished();
        assert!(world.violation.is_some());
    }

    #[test]
    fn what_an_operators_word_left_out_is_kept_whole_if_only_out_of_the_way() {
        let mut world = World::still();
        let mut dir = DataDir::fresh(7, SystemId(7));
        dir.wal.append(Kind::Write(1), 48);
        world.hosts[0].storage.directory = Some(DataDir::fresh(8, SystemId(7)));
        world.hosts[1].storage.directory = Some(dir.clone());
        world.leaves_out(0);
        world.check_left_out();
        let host = &mut world.hosts[1].storage;
        host.directory = None;
        host.set_aside.push(dir);
        world.check_left_out();
        assert_eq!(world.violation, None);
        // Of what a rewind drops WAL alone is left.
        world.hosts[1].storage.set_aside[0].torn = true;
        world.check_left_out();
        assert!(world.violation.is_some_and(|v| v.oracle == "vanished"));
    }
}
