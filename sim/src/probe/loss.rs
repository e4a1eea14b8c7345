//! Lost state (R12).

use super::Probe;
use crate::world::World;

impl World {
    /// A daemon has started, on what is on its disk.
    pub(crate) fn observe_daemon_starts(&mut self, h: usize) {
        let state = self.hosts[h].disk.durable.as_ref();
        let torn = state.is_some_and(|state| state.lost);
        let facts = &mut self.observer.members[h];
        facts.was_torn |= torn;
        facts.without_state = torn || (state.is_none() && self.ready.is_some());
        self.observe_without_state();
    }

    /// Somebody is without state.
    pub(super) fn observe_without_state(&mut self) {
        let members = self.observer.members.iter();
        let several = members.filter(|facts| facts.without_state).count() > 1;
        self.observer.note_if(several, Probe::TwoWithoutState);
    }
}
