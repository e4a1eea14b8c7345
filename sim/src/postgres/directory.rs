//! What lies on a host's disk and outlives every process.

use crate::postgres::wal::{Entry, Kind, Lineage, Wal, continues};
use yoke_core::postgres::{Lsn, SystemId, Timeline};
use yoke_core::record::{Copy, CopyId};
use yoke_core::step::{ClusterState, Directory, Inspection, Settings, Stamp};

/// PostgreSQL's words where the newest history file does not lead on from what is here.
pub(crate) const NOT_A_CHILD: &str = "the timeline is not a child of this server's history";

/// A data directory.
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    /// Tells directories apart; the core cannot see it.
    pub(crate) uid: u64,
    pub(crate) system_id: SystemId,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) wal: Wal,
    /// Its replication slots.
    pub(crate) slots: Vec<Copy>,
    /// The timelines that its WAL went through.
    pub(crate) lineage: Lineage,
    /// The history files in `pg_wal`: of each, the lineage that it tells. Some may lead away from its own.
    pub(crate) files: Vec<Lineage>,
    pub(crate) cluster: ClusterState,
    /// The control file's checkpoint; lags behind a promotion.
    pub(crate) checkpoint: Lsn,
    pub(crate) checkpoint_timeline: Timeline,
    /// The control file's minimum recovery ending location, and its timeline.
    pub(crate) recovered_to: (Timeline, Lsn),
    /// Hint bits leave a trace in the WAL.
    pub(crate) rewindable: bool,
    /// Half of it is another copy's (for the oracles).
    pub(crate) torn: bool,
    /// The timelines that were made in it (for the oracles).
    pub(crate) made: Vec<(Timeline, Lsn)>,
    /// A rewind said that it had worked, and had not (for the oracles).
    pub(crate) left_as_it_was: bool,
    /// It needs WAL to become consistent that is not there.
    pub(crate) lacks_wal: bool,
    pub(crate) never_used: bool,
    /// How many of the acknowledged writes were seen to be in it (for the oracles).
    pub(crate) verified: usize,
    /// It was brought back from an older copy, and was called so then (for the oracles).
    pub(crate) went_back: Option<CopyId>,
}

/// Everything of one host's disk that concerns its database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    pub(crate) directory: Option<DataDir>,
    pub(crate) rewriting: bool,
    pub(crate) settings: Option<Settings>,
    /// The user's files have changed since.
    pub(crate) edited: bool,
    pub(crate) set_aside: Vec<DataDir>,
}

impl DataDir {
    /// Whether it is this copy, and not merely called so.
    pub(crate) fn is(&self, copy: CopyId) -> bool {
        let named = self.stamp.as_ref().is_some_and(|s| s.copy == copy);
        named && self.went_back != Some(copy)
    }

    /// What `initdb` makes.
    pub(crate) fn fresh(uid: u64, system_id: SystemId) -> Self {
        let mut wal = Wal::default();
        let first = wal.append(Kind::ShutdownCheckpoint, 120);
        DataDir {
            uid,
            system_id,
            stamp: None,
            wal,
            slots: vec![],
            lineage: vec![(Timeline(1), Lsn(0))],
            files: vec![],
            cluster: ClusterState::ShutDown,
            checkpoint: first.start,
            checkpoint_timeline: Timeline(1),
            recovered_to: (Timeline(0), Lsn(0)),
            rewindable: true,
            torn: false,
            made: vec![],
            left_as_it_was: false,
            lacks_wal: false,
            never_used: true,
            verified: 0,
            went_back: None,
        }
    }

    /// The timeline that its WAL ends on.
    pub(crate) fn timeline(&self) -> (Timeline, Lsn) {
        self.lineage
            .last()
            .copied()
            .unwrap_or((Timeline(1), Lsn(0)))
    }

    /// The newest timeline that history files or control file show, and where it begins.
    pub(crate) fn newest_timeline(&self) -> (Timeline, Lsn) {
        let file = self.files.iter().filter_map(|file| file.last().copied());
        let own = self
            .lineage
            .iter()
            .copied()
            .find(|(t, _)| *t == self.checkpoint_timeline);
        file.chain(own)
            .max_by_key(|(timeline, _)| *timeline)
            .unwrap_or((Timeline(1), Lsn(0)))
    }

    /// The number that a promotion takes: the next one that is free *here*.
    pub(crate) fn next_timeline(&self) -> Timeline {
        let known = self.newest_timeline().0.max(self.timeline().0);
        Timeline(known.0 + 1)
    }

    /// With `standby.signal` recovery follows the newest history file. How many of its timelines a start here then goes
    /// through; none: that file does not lead on from what is here. Of a promotion that ended before it wrote anything only
    /// its file is here, and no newer one has to know of it (as seen of PostgreSQL 15: a standby that runs waits for ever,
    /// one that is started again streams).
    fn recovers_along(&self) -> Option<usize> {
        let (newest, _) = self.newest_timeline();
        let (mine, end) = (self.timeline().0, self.wal.end());
        let mut files = self.files.iter();
        let is_newest = |f: &&Lineage| f.last().is_some_and(|(t, _)| *t == newest);
        let Some(file) = files.find(is_newest).filter(|_| newest > mine) else {
            return Some(self.lineage.len());
        };
        if continues(mine, end, file) {
            return Some(self.lineage.len());
        }
        let is_begun = |(_, begin): &(Timeline, Lsn)| *begin < end;
        let begun = self
            .lineage
            .iter()
            .take_while(|it| is_begun(it))
            .count()
            .max(1);
        continues(self.lineage[begun - 1].0, end, file).then_some(begun)
    }

    /// Whether a server can be started here: if so, along which timelines.
    pub(crate) fn recovers(&mut self) -> bool {
        let along = self.recovers_along();
        self.lineage.truncate(along.unwrap_or(usize::MAX));
        along.is_some()
    }

    /// Takes in history files that it has not got yet; those that it has it keeps.
    pub(crate) fn fetch_files(&mut self, theirs: &Lineage) {
        for length in 2..=theirs.len() {
            let file = &theirs[..length];
            let number = file[length - 1].0;
            if !self
                .files
                .iter()
                .any(|f| f.last().is_some_and(|(t, _)| *t == number))
            {
                self.files.push(file.to_vec());
            }
        }
    }

    /// What a clean stop writes into the control file: of a standby, where it is, and the last checkpoint that it replayed.
    pub(crate) fn stopped(&mut self, primary: bool) {
        if primary {
            self.cluster = ClusterState::ShutDown;
            self.recovered_to = (Timeline(0), Lsn(0));
            return;
        }
        self.cluster = ClusterState::ShutDownInRecovery;
        self.recovered_to = (self.timeline().0, self.wal.end());
        let is_one = |e: &&Entry| matches!(e.kind, Kind::Checkpoint | Kind::ShutdownCheckpoint);
        if let Some(entry) = self.wal.entries.iter().rev().find(is_one)
            && entry.start >= self.checkpoint
        {
            self.checkpoint = entry.start;
            let of = self.lineage.iter().rev().find(|(_, at)| *at <= entry.start);
            self.checkpoint_timeline = of.map_or(Timeline(1), |(timeline, _)| *timeline);
        }
    }

    /// Appends what came by streaming from a server with this lineage.
    pub(crate) fn receive(&mut self, entries: &[Entry], theirs: &Lineage) {
        self.wal.entries.extend_from_slice(entries);
        let end = self.wal.end();
        let mine = self.timeline().0;
        let from = theirs
            .iter()
            .position(|(t, _)| *t == mine)
            .map_or(0, |at| at + 1);
        for (timeline, begin) in theirs.iter().skip(from) {
            if *begin < end {
                self.lineage.push((*timeline, *begin));
            }
        }
    }

    /// Becomes what it was so many records ago.
    pub(crate) fn was(&mut self, ago: usize) {
        let keep = self.wal.entries.len().saturating_sub(ago).max(1);
        self.wal.entries.truncate(keep);
        self.verified = 0;
        let end = self.wal.end();
        self.lineage.retain(|(t, begin)| *begin < end || t.0 == 1);
        self.files.clear();
        let lineage = self.lineage.clone();
        self.fetch_files(&lineage);
        let is_one = |e: &&Entry| matches!(e.kind, Kind::Checkpoint | Kind::ShutdownCheckpoint);
        if let Some(entry) = self.wal.entries.iter().rev().find(is_one) {
            self.checkpoint = entry.start;
        }
        self.checkpoint_timeline = self.timeline().0;
        self.recovered_to = (self.timeline().0, end);
    }

    /// Drops everything from a position on; how many records that are.
    pub(crate) fn truncate(&mut self, position: Lsn) -> usize {
        let (keep, all) = (self.wal.up_to(position), self.wal.entries.len());
        if keep < all {
            self.wal.entries.truncate(keep);
            self.verified = 0;
        }
        all - keep
    }
}

impl Storage {
    /// What the data directory is stamped with.
    pub(crate) fn stamp(&self) -> Option<&Stamp> {
        self.directory.as_ref().and_then(|dir| dir.stamp.as_ref())
    }

    /// What `Step::Inspect` shows.
    pub(crate) fn inspect(&self) -> Inspection {
        Inspection {
            rewriting: self.rewriting,
            directory: match &self.directory {
                None => Directory::Absent,
                Some(dir) => Directory::Data(Box::new(yoke_core::step::DataDirectory {
                    system_id: dir.system_id,
                    cluster: dir.cluster,
                    checkpoint: dir.checkpoint,
                    checkpoint_timeline: dir.checkpoint_timeline,
                    newest_timeline: dir.newest_timeline(),
                    contradicted: dir
                        .recovers_along()
                        .is_none()
                        .then(|| NOT_A_CHILD.to_owned()),
                    recovered_to: dir.recovered_to,
                    rewindable: dir.rewindable,
                    never_used: dir.never_used,
                    stamp: dir.stamp.clone(),
                })),
            },
            written: self.settings.clone(),
            last_words: None,
        }
    }
}
