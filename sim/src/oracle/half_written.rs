//! Rejoining: PostgreSQL is never started from a directory that is half one copy and half another, nor under a new name
//! from one that a rewind was to change and did not.

use crate::world::World;

impl World {
    /// A postmaster is started.
    pub(crate) fn check_whole(&mut self, h: usize) {
        let Some(dir) = &self.hosts[h].storage.directory else {
            return;
        };
        let why = if dir.torn {
            "is started from a directory that a rewind left half written"
        } else if dir.left_as_it_was {
            "is started as the copy of another history that a rewind did not make of it"
        } else {
            return;
        };
        self.violated("half_written", format!("m{h} {why}"));
    }
}
