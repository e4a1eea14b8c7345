//! R18: nobody reads on a primary what may yet be lost: crash recovery and promotion make commits visible that nobody
//! was told of, and the doors stay closed until every copy in sync has them.

use crate::oracle::lost_write::Acked;
use crate::postgres::wal::Kind;
use crate::scenario;
use crate::world::World;

impl World {
    /// A client reads at a primary: what is the newest commit that it sees?
    pub(crate) fn on_read(&mut self, h: usize) {
        let host = &self.hosts[h];
        let (Some(server), Some(dir)) = (&host.server, &host.storage.directory) else {
            return;
        };
        let hidden = server
            .waiting
            .first()
            .map_or(usize::MAX, |waiting| waiting.index);
        let term = server.term;
        let visible = hidden.min(dir.wal.entries.len());
        let newest = dir.wal.entries[..visible]
            .iter()
            .enumerate()
            .rev()
            .find_map(|(index, entry)| match entry.kind {
                Kind::Write(write) => Some((write, index)),
                _ => None,
            });
        let lost_write = &mut self.oracles.lost_write;
        if let Some((write, index)) = newest
            && lost_write
                .read
                .last()
                .is_none_or(|read| read.write != write)
        {
            lost_write.read.push(Acked {
                write,
                index,
                by: h,
                term,
            });
        }
    }

    /// A database of the highest term is promoted, or the run ends: it holds everything that was read.
    pub(crate) fn check_read(&mut self, h: usize) {
        if self.scenario.kind == scenario::Kind::Unbounded {
            return;
        }
        let Some(dir) = &self.hosts[h].storage.directory else {
            return;
        };
        let lost = self
            .oracles
            .lost_write
            .read
            .iter()
            .find(|read| !dir.wal.holds(read.write, read.index))
            .copied();
        if let Some(lost) = lost {
            self.violated(
                "dirty_read",
                format!(
                    "w{} was read at m{}, and m{h}, the newer primary, lacks it",
                    lost.write, lost.by
                ),
            );
        }
    }
}
