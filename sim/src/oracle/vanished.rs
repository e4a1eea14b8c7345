//! Nothing acknowledged vanishes: at any time each acknowledged write is in some host's data directory that is whole. What
//! was renamed out of the way, or is being rewritten, does not count. Faults of disks leave one that holds everything
//! ([`crate::loss`]), so nothing excuses this but an operator who adopts a copy that lacks something, and says so.

use crate::oracle::lost_write::first_missing;
use crate::world::World;

impl World {
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

    #[test]
    fn what_is_renamed_out_of_the_way_or_rewritten_does_not_count() {
        let mut world = World::still();
        let mut dir = DataDir::fresh(7, SystemId(7));
        dir.wal.append(Kind::Write(1), 48);
        world.oracles.lost_write.acked.push(Acked {
            write: 1,
            index: 1,
            by: 0,
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
}
