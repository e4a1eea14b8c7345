//! pg_rewind, which goes by the control file and by numbers of timelines: it does nothing where these tell no difference,
//! and says that it worked; it breaks off and leaves half of either; it takes two promotions of one number for one.

use crate::choices::About;
use crate::event::Ev;
use crate::postgres::directory::DataDir;
use crate::postgres::steps::{CLONE_PARTS, Exec};
use crate::trouble::Trouble;
use crate::world::World;
use yoke_core::postgres::{Lsn, Timeline};
use yoke_core::step::{ClusterState, Outcome, Step};

/// What becomes of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Fate {
    /// It waits for its source.
    #[default]
    Untouched,
    /// It does what it can.
    Works,
    /// It does nothing, and says that it worked.
    Lies,
}

/// How often a source that has made no checkpoint yet is asked.
const PATIENCE: u64 = 100;

impl World {
    /// Looks at a rewind under way; true while it goes on.
    pub(crate) fn rewind_goes_on(&mut self, h: usize, at: usize) -> bool {
        let exec = &self.hosts[h].execs[at];
        let Some((from, run)) = exec.source else {
            return false;
        };
        if self.copy_is_stuck(h, at) {
            return true;
        }
        let exec = &self.hosts[h].execs[at];
        let (fate, Step::Rewind { timeline, .. }) = (exec.fate, &exec.order.step) else {
            return false;
        };
        let timeline = *timeline;
        let breaks = self
            .choices
            .chance(About::CloneBreaks, h, from, 2 * self.scenario.failures);
        let alive = self.clone_source(h, from) == Some((from, run)) && !breaks;
        let source = self.hosts[from].storage.directory.as_ref();
        let ready = source.is_some_and(|dir| dir.checkpoint_timeline == timeline);
        let begins = fate == Fate::Untouched && ready;
        let exec = &mut self.hosts[h].execs[at];
        exec.looks += 1;
        if !alive || exec.looks > PATIENCE {
            exec.source = None;
            return false;
        }
        if fate != Fate::Untouched {
            exec.parts -= 1;
        }
        if exec.parts == 0 {
            return false;
        }
        let (number, time, done) = (exec.order.number, exec.part_time, CLONE_PARTS - exec.parts);
        if begins {
            self.rewind_touches(h, at);
        }
        let guard = self.hosts[h].guard_runs;
        self.after(time, Ev::Exec { h, guard, number });
        self.clone_progress(h, number, done, CLONE_PARTS);
        true
    }

    /// What it drops is kept, not whole; the stamp goes first; from then on nothing of it is whole.
    fn rewind_touches(&mut self, h: usize, at: usize) {
        let lies = self
            .choices
            .chance(About::RewindLies, h, 0, 30 * self.scenario.failures);
        let host = &mut self.hosts[h];
        let Some(dir) = &mut host.storage.directory else {
            return;
        };
        let kept = DataDir {
            torn: true,
            ..dir.clone()
        };
        host.storage.set_aside.push(kept);
        dir.stamp = None;
        dir.torn = !lies;
        host.execs[at].fate = if lies { Fate::Lies } else { Fate::Works };
        self.check_vanished();
    }

    pub(crate) fn rewind_lands(&mut self, h: usize, exec: &Exec) -> Outcome {
        if exec.fate == Fate::Untouched {
            return Outcome::Failed("the source cannot be reached, or is not ready".into());
        }
        self.coverage.rewinds_begun += 1;
        let Some((from, _)) = exec.source else {
            return Outcome::Failed("the connection broke".into());
        };
        let uid = self.fresh_uid();
        let short = self.is_troubled(h, Trouble::ShortRewind);
        let Some(theirs) = self.hosts[from].storage.directory.clone() else {
            return Outcome::Failed("the source has no directory".into());
        };
        let Some(mine) = &mut self.hosts[h].storage.directory else {
            return Outcome::Failed("there is no directory".into());
        };
        let parted = parted(mine, &theirs);
        let nothing_to_do = mine.checkpoint_timeline == theirs.checkpoint_timeline
            || mine.recovered_to.1.max(mine.checkpoint) <= parted;
        if exec.fate == Fate::Lies || nothing_to_do {
            mine.torn = false;
            mine.left_as_it_was = true;
            return Outcome::Done;
        }
        // Up to where it takes the two for one they have to be: else it mixes them, and notices nothing.
        let (ours, others) = (&mine.wal, &theirs.wal);
        let same = ours.entries[..ours.up_to(parted)] == others.entries[..others.up_to(parted)];
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
            torn: !same,
            lacks_wal: short,
            slots: vec![],
            ..theirs.clone()
        };
        copy.fetch_files(&theirs.lineage);
        *mine = copy;
        self.coverage.rewinds += 1;
        Outcome::Done
    }
}

/// Where the two parted, as their history files tell it: by numbers and positions. What the control file does not tell of
/// is not seen.
fn parted(mine: &DataDir, theirs: &DataDir) -> Lsn {
    let known = |dir: &DataDir| -> Vec<(Timeline, Lsn)> {
        let of = dir.checkpoint_timeline;
        let at = dir.lineage.iter().position(|(t, _)| *t == of);
        dir.lineage[..at.map_or(0, |at| at + 1)].to_vec()
    };
    let (mine, theirs) = (known(mine), known(theirs));
    let common = mine.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    let next = |line: &[(Timeline, Lsn)]| line.get(common).map_or(Lsn(u64::MAX), |(_, at)| *at);
    next(&mine).min(next(&theirs))
}
