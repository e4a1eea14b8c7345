//! A database that is a few plain values: what it answers when all goes as it should.

use yoke_core::postgres::{Lsn, RunId, SystemId, Timeline};
use yoke_core::step::{
    Canary, ClusterState, DataDirectory, Directory, Inspection, Outcome, Server, Settings, Stamp,
    Step,
};

pub(super) struct Database {
    there: bool,
    rewriting: bool,
    stamp: Option<Stamp>,
    written: Option<Settings>,
    loaded: u64,
    run: Option<RunId>,
    primary: bool,
    timeline: u32,
    clean: bool,
    canary: Canary,
    end: u64,
}

impl Database {
    /// With a directory that nobody stamped, or with none.
    pub(super) fn new(there: bool) -> Database {
        Database {
            there,
            rewriting: false,
            stamp: None,
            written: None,
            loaded: 0,
            run: None,
            primary: false,
            timeline: 1,
            clean: true,
            canary: Canary::None,
            end: 1000,
        }
    }

    /// The guard begins a step: a start has its run from then on.
    pub(super) fn begins(&mut self, step: &Step, run: Option<RunId>) {
        if *step == Step::Start {
            self.run = run;
            self.primary = false;
            self.clean = false;
            self.canary = Canary::None;
            self.loaded = self.generation();
        }
    }

    pub(super) fn dies(&mut self) {
        self.run = None;
    }

    fn generation(&self) -> u64 {
        self.written
            .as_ref()
            .map_or(0, |written| written.generation)
    }

    pub(super) fn does(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Inspect => return Outcome::Inspected(Box::new(self.inspection())),
            Step::Observe => return self.observed(),
            Step::Nudge => {
                self.end += 100;
                return Outcome::Wrote(Lsn(self.end));
            }
            Step::WriteStamp(stamp) => self.stamp = Some(stamp.clone()),
            Step::MarkRewriting => self.rewriting = true,
            Step::ClearMark => self.rewriting = false,
            Step::SetAside(_) => self.there = false,
            Step::Clone { .. } | Step::Initdb => {
                self.there = true;
                self.stamp = None;
            }
            Step::Rewind { .. } => self.stamp = None,
            Step::WriteSettings(settings) => self.written = Some(settings.clone()),
            Step::Reload => self.loaded = self.generation(),
            Step::Promote => {
                self.primary = true;
                self.timeline += 1;
            }
            Step::Stop(_) => {
                self.run = None;
                self.clean = true;
            }
            Step::Canary => self.canary = Canary::Waiting,
            Step::Start
            | Step::EndSessions
            | Step::Checkpoint
            | Step::BeginCheckpoint
            | Step::Slots { .. } => {}
        }
        Outcome::Done
    }

    fn timeline(&self) -> (Timeline, Lsn) {
        (
            Timeline(self.timeline),
            Lsn(if self.timeline == 1 { 0 } else { self.end }),
        )
    }

    fn inspection(&self) -> Inspection {
        let directory = DataDirectory {
            system_id: SystemId(7_000),
            cluster: match (self.clean, self.primary) {
                (false, _) => ClusterState::Other,
                (true, true) => ClusterState::ShutDown,
                (true, false) => ClusterState::ShutDownInRecovery,
            },
            checkpoint: Lsn(self.end),
            checkpoint_timeline: Timeline(self.timeline),
            newest_timeline: self.timeline(),
            contradicted: None,
            recovered_to: (Timeline(self.timeline), Lsn(self.end)),
            rewindable: true,
            never_used: false,
            stamp: self.stamp.clone(),
        };
        Inspection {
            rewriting: self.rewriting,
            directory: match self.there {
                true => Directory::Data(Box::new(directory)),
                false => Directory::Absent,
            },
            written: self.written.clone(),
            last_words: None,
        }
    }

    fn observed(&self) -> Outcome {
        let Some(run) = self.run else {
            return Outcome::Failed("nobody answers".to_owned());
        };
        let lone = self
            .written
            .as_ref()
            .is_some_and(|s| s.gate == Some(vec![]));
        Outcome::Observed(Box::new(Server {
            run,
            in_recovery: !self.primary,
            settings: self.loaded,
            gate_is_ours: true,
            position: Lsn(self.end),
            drained: true,
            replay_paused: false,
            streaming_from: None,
            timeline: self.timeline(),
            checkpoint_timeline: Timeline(self.timeline),
            walsenders: vec![],
            slots: vec![],
            strangers_in_gate: 0,
            canary: match self.canary {
                Canary::Waiting if lone => Canary::Returned,
                canary => canary,
            },
            outdated: false,
            refuses: None,
            too_small: None,
            notes: vec![],
        }))
    }
}
