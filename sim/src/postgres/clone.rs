//! A copy of a running primary: takes long, and may break off.

use crate::choices::About;
use crate::event::Ev;
use crate::postgres::directory::DataDir;
use crate::postgres::instance::LOOK_AGAIN;
use crate::postgres::server::Phase;
use crate::postgres::steps::CLONE_PARTS;
use crate::trouble::Trouble;
use crate::world::World;
use yoke_core::postgres::{RunId, SystemId};
use yoke_core::step::{ClusterState, Outcome};

impl World {
    pub(crate) fn clone_source(&self, h: usize, from: usize) -> Option<(usize, RunId)> {
        let source = &self.hosts[from];
        let server = source.server.as_ref()?;
        let reachable = from != h
            && source.up
            && !source.paused(self.now)
            && self.net.databases_linked(h, from, self.now);
        (reachable && server.phase == Phase::Primary && !server.killed && !server.hung)
            .then_some((from, server.run))
    }

    /// Looks at a clone under way; true while it goes on.
    pub(crate) fn clone_goes_on(&mut self, h: usize, at: usize) -> bool {
        let Some((from, run)) = self.hosts[h].execs[at].source else {
            return false;
        };
        if self.copy_is_stuck(h, at) {
            return true;
        }
        let breaks = self
            .choices
            .chance(About::CloneBreaks, h, from, 2 * self.scenario.failures);
        let alive = self.clone_source(h, from) == Some((from, run)) && !breaks;
        let exec = &mut self.hosts[h].execs[at];
        if !alive {
            exec.source = None;
            return false;
        }
        exec.parts -= 1;
        if exec.parts == 0 {
            return false;
        }
        let (number, time, done) = (exec.order.number, exec.part_time, CLONE_PARTS - exec.parts);
        let guard = self.hosts[h].guard_runs;
        self.after(time, Ev::Exec { h, guard, number });
        self.clone_progress(h, number, done, CLONE_PARTS);
        true
    }

    /// The helper of a clone or a rewind does nothing for now.
    pub(crate) fn copy_is_stuck(&mut self, h: usize, at: usize) -> bool {
        let stuck = self.is_troubled(h, Trouble::StuckCopy);
        if stuck {
            let number = self.hosts[h].execs[at].order.number;
            let guard = self.hosts[h].guard_runs;
            self.after(LOOK_AGAIN, Ev::Exec { h, guard, number });
        }
        stuck
    }

    pub(crate) fn clone_lands(&mut self, h: usize, source: Option<(usize, RunId)>) -> Outcome {
        let Some((from, _)) = source else {
            return Outcome::Failed("the source cannot be reached, or the connection broke".into());
        };
        if self.hosts[h].storage.directory.is_some() {
            return Outcome::Failed("the place is taken".into());
        }
        let uid = self.fresh_uid();
        let old = self.is_troubled(h, Trouble::OldClone);
        let ago = self.choices.within(About::Trouble, h, 3, 1, 300) as usize;
        let foreign = self.is_troubled(h, Trouble::ForeignClone);
        let other = SystemId(self.choices.bits(About::Trouble, h, 4));
        let Some(theirs) = &self.hosts[from].storage.directory else {
            return Outcome::Failed("the source has no directory".into());
        };
        let mut copy = DataDir {
            uid,
            stamp: None,
            cluster: ClusterState::Other,
            never_used: false,
            verified: 0,
            went_back: None,
            made: vec![],
            files: vec![],
            recovered_to: (theirs.timeline().0, theirs.wal.end()),
            slots: vec![],
            ..theirs.clone()
        };
        copy.fetch_files(&theirs.lineage);
        copy.checkpoint_timeline = copy.timeline().0;
        if old {
            copy.was(ago);
        }
        if foreign {
            copy.system_id = other;
        }
        self.hosts[h].storage.directory = Some(copy);
        self.coverage.clones += 1;
        Outcome::Done
    }
}
