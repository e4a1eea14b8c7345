//! What `in_sync` means (R7, R8, R9): every copy that the newest committed record names holds every acknowledged write.

use crate::oracle::lost_write::first_missing;
use crate::world::World;

impl World {
    /// A record was committed.
    pub(crate) fn check_in_sync(&mut self) {
        let Some(record) = self.oracles.newest_record.committed.clone() else {
            return;
        };
        for copy in &record.in_sync {
            let h = usize::from(copy.member.0);
            let Some(dir) = &mut self.hosts[h].storage.directory else {
                continue;
            };
            if dir.stamp.as_ref().is_none_or(|stamp| stamp.copy != copy.id) {
                continue;
            }
            if let Some(lost) = first_missing(&self.oracles.lost_write.acked, dir) {
                self.violated(
                    "gate",
                    format!(
                        "record {} is committed and names the copy of m{h}, which lacks w{}, acknowledged by m{}",
                        record.key, lost.write, lost.by
                    ),
                );
            }
        }
    }

    /// A write was acknowledged.
    pub(crate) fn check_gate(&mut self, by: usize, write: u64, index: usize) {
        let Some(record) = &self.oracles.newest_record.committed else {
            return;
        };
        for copy in &record.in_sync {
            let h = usize::from(copy.member.0);
            let lacks = self.hosts[h].storage.directory.as_ref().is_some_and(|dir| {
                dir.stamp
                    .as_ref()
                    .is_some_and(|stamp| stamp.copy == copy.id)
                    && !dir.wal.holds(write, index)
            });
            if lacks {
                let key = record.key;
                self.violated(
                    "gate",
                    format!("m{by} acknowledges w{write}, which m{h} lacks, whose copy the committed record {key} names"),
                );
                return;
            }
        }
    }
}
