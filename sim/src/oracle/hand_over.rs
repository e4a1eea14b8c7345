//! A hand-over loses nothing, and leaves nothing to rewind: its release names a target that has the whole log of the
//! database that was stopped for it. A part of [`super::specification`].

use crate::oracle::specification::{Judged, must};
use crate::world::World;
use yoke_core::member::MemberId;
use yoke_core::record::Term;
use yoke_core::step::ClusterState;

impl World {
    /// A leader releases its term, and names who is to be elected without waiting. One that is told to stop waits for its
    /// target only so long, and what was not stopped cleanly has no shutdown checkpoint to show.
    pub(crate) fn hands_over(&self, h: usize, term: Term, successor: Option<MemberId>) -> Judged {
        let said = &self.oracles.specification;
        let host = &self.hosts[h];
        let directory = |h: usize| self.hosts[h].storage.directory.as_ref();
        let (Some(from), Some(to)) = (directory(h), successor) else {
            return Ok(());
        };
        let clean = host.server.is_none() && from.cluster == ClusterState::ShutDown;
        let hurries = said.members[h].stops || said.members[h].hurries;
        if !clean || hurries || said.released.contains(&term) {
            return Ok(());
        }
        let committed = self.oracles.newest_record.committed.as_ref();
        if committed.is_some_and(|record| record.key.term > term) {
            // It has waited for its disk, and nobody waits for it any more.
            return Ok(());
        }
        let named = committed.and_then(|record| record.copy_of(to));
        let target = directory(to.0.into());
        if named.is_some_and(|copy| !target.is_some_and(|to| to.is(copy.id))) {
            // It has lost what it showed, and its leader has not heard of that.
            return Ok(());
        }
        must!(
            target.is_some_and(|to| to.wal.entries.starts_with(&from.wal.entries)),
            "it hands over to {to}, which does not show its shutdown checkpoint"
        );
        Ok(())
    }
}
