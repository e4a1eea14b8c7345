//! What ends in the middle of something.

use super::Probe;
use crate::postgres::server::Phase;
use crate::scenario::What;
use crate::world::World;
use yoke_core::step::Step;

impl World {
    /// A fault is about to come.
    pub(crate) fn observe_fault(&mut self, what: What) {
        if let What::PowerLoss(_) = what {
            let servers = self.hosts.iter().filter_map(|host| host.server.as_ref());
            let mut promoted = servers.filter(|s| s.serving && !s.killed);
            let promoting = promoted.any(|s| matches!(s.phase, Phase::Standby | Phase::Promoting));
            self.observer.note_if(promoting, Probe::PowerLostPromoting);
        }
    }

    /// A host is about to die.
    pub(crate) fn observe_host_dies(&mut self, h: usize) {
        let host = &self.hosts[h];
        let rewriting = host.storage.rewriting && host.up;
        let stamps = |step: &Step| matches!(step, Step::WriteStamp(_));
        let stamping = host.execs.iter().any(|exec| stamps(&exec.order.step));
        self.observer.note_if(rewriting, Probe::HostDiedRewriting);
        self.observer.note_if(stamping, Probe::HostDiedStamping);
    }

    /// A guard is about to die.
    pub(crate) fn observe_guard_dies(&mut self, h: usize) {
        let server = self.hosts[h].server.as_ref();
        let serving = server.is_some_and(|s| s.serving && !s.killed);
        self.observer.note_if(serving, Probe::GuardDiedServing);
    }

    /// A daemon is about to die; its guard may live on.
    pub(crate) fn observe_daemon_dies(&mut self, h: usize) {
        let host = &self.hosts[h];
        let order_lives = host.guard.is_some() && host.up && !host.execs.is_empty();
        let unsynced = host.disk.under_way.is_some();
        let observer = &mut self.observer;
        let facts = &observer.members[h];
        let (proposing, early) = (facts.outstanding.is_some(), facts.takes_over);
        observer.note_if(order_lives, Probe::OrderOutlivedDaemon);
        observer.note_if(unsynced, Probe::DiedBeforeSync);
        observer.note_if(proposing, Probe::LeaderDiedProposing);
        observer.note_if(early, Probe::GoneBeforeTakeOver);
        observer.note_if(observer.successor == Some(h), Probe::SuccessorDied);
        observer.members[h].daemon_ends();
    }
}
