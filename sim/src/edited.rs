//! Configurations that people edit host by host (R13). From five members to three that would make two majorities: of the
//! five, and of the three.

use crate::event::Ev;
use crate::world::World;
use yoke_core::mutant;

impl World {
    /// The daemon ends; when it is started again its configuration names the first so many members alone.
    pub(crate) fn is_edited(&mut self, h: usize, members: usize, down: u64) {
        let host = &mut self.hosts[h];
        if !host.up || members <= h || !(3..self.scenario.members.len()).contains(&members) {
            return;
        }
        let mut config = host.config.clone();
        config.members = config.members[..members].into();
        host.edited = Some(config);
        self.daemon_dies(h);
        self.after(down, Ev::StartDaemon { h });
    }

    /// Somebody corrects that; a daemon that runs with it is started anew.
    pub(crate) fn is_edited_back(&mut self, h: usize) {
        if self.hosts[h].edited.take().is_some() {
            self.daemon_dies(h);
        }
    }

    /// Whether no daemon starts here: what it knows, it knows of a cluster of others.
    pub(crate) fn refuses_configuration(&self, h: usize) -> bool {
        let host = &self.hosts[h];
        let config = host.edited.as_ref().unwrap_or(&host.config);
        let names: Vec<String> = config.members.iter().map(|m| m.name.clone()).collect();
        let state = host.disk.durable.as_ref();
        state.is_some_and(|state| !state.is_of(&names)) && !mutant!(config, R13OtherMembers)
    }

    /// A connection begins with the names of all members; others than one's own are refused.
    pub(crate) fn agree_on_members(&self, a: usize, b: usize) -> bool {
        let members = |h: usize| self.hosts[h].edited.as_ref().map(|c| c.members.len());
        members(a) == members(b)
    }
}
