//! What the steward knows: plain facts, each from an observation or from a step that was seen done.

use super::Steward;
use super::proof::Proof;
use crate::member::MemberId;
use crate::mutant;
use crate::postgres::Lsn;
use crate::record::{Copy, CopyId, History};
use crate::step::{DataDirectory, Directory, Inspection, Server, Settings, Stamp};
use crate::time::Instant;

/// What is known of directory and settings, and of the present run.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Facts {
    /// What was found on disk, with what was written since.
    pub(super) inspection: Option<Inspection>,
    /// Something may have changed on disk: look again before anything else.
    pub(super) look: bool,
    /// It did so after the look under way began: that one counts for nothing.
    pub(super) overtaken: bool,
    /// When it was last looked at.
    pub(super) inspected_at: Instant,
    /// The settings that are certainly the ones on disk.
    pub(super) written: Option<Settings>,
    /// The highest generation of settings met.
    pub(super) generation: u64,
    /// What is known of the present run; void with the next.
    pub(super) run: RunFacts,
    /// The highest position, the end of a whole record, that this copy is known to have flushed.
    pub(super) end: Lsn,
    /// This copy was judged not to fit: it is to be given up.
    pub(super) discard: Option<Discard>,
    /// What the clone or rewind under way, or just made, is of.
    pub(super) clone: Option<Cloned>,
    /// Why the mark was set, as long as nothing else was begun.
    pub(super) given_up: Option<String>,
    /// How often a rewind failed before it touched anything.
    pub(super) rewinds_failed: u32,
    /// Bytes of the clone or rewind under way: copied, to copy.
    pub(super) progress: (u64, u64),
    /// A clean stop was the last that was ordered of the newest run, however that came to its end.
    pub(super) stopped_cleanly: bool,
}

/// What is known of one run of the postmaster.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct RunFacts {
    /// Its start was answered by a failure: what is left of it is to be stopped.
    pub(super) start_failed: bool,
    /// The newest answer, and the number of the order that it answers.
    pub(super) seen: Option<(Server, u64)>,
    /// When the server last answered; before that, since when it is watched.
    pub(super) answered: Instant,
    /// The newest attempt to observe: its number and when it came back.
    pub(super) tried: Option<(u64, Instant)>,
    /// That attempt failed.
    pub(super) failing: bool,
    /// The WAL segment that a recovery has in hand, and since when: from the run's beginning, as far as it was watched.
    pub(super) replays: (Option<String>, Instant),
    /// The newest step that changed something in the server: what was seen before it is old.
    pub(super) changed: u64,
    /// The settings in force.
    pub(super) in_force: Option<Settings>,
    /// The last reload: for which generation, when, and how many there were for it.
    pub(super) reloaded: Option<(u64, Instant, u32)>,
    /// Sessions were ended under the settings of this generation, by the order of this number (R18).
    pub(super) sessions_ended: Option<(u64, u64)>,
    /// The newest `Inspect` in this run.
    pub(super) inspected: u64,
    /// The promotion ordered in this run came to nothing as far as known.
    pub(super) promote_again: bool,
    /// The checkpoint of a hand-over was made, or tried.
    pub(super) checkpointed: bool,
    /// When a checkpoint on this timeline was last begun.
    pub(super) checkpoint_begun: Option<Instant>,
    /// When slots could last not be made or dropped.
    pub(super) slots_failed: Option<Instant>,
    /// A position taken after the promotion (R18).
    pub(super) recovery_end: Option<Lsn>,
    /// The last health write: where it ended.
    pub(super) wrote: Option<Lsn>,
    /// When a health write last came back.
    pub(super) wrote_at: Instant,
    /// When one was last tried.
    pub(super) nudged_at: Option<Instant>,
    /// The last one failed.
    pub(super) nudge_failing: bool,
    /// When the canary was last begun.
    pub(super) canary_at: Option<Instant>,
    /// Since when, and from which position on, it follows and nothing comes.
    pub(super) starved: Option<(Instant, Lsn)>,
    /// Since when every look found it streaming.
    pub(super) streaming_since: Option<Instant>,
    /// The gate's proof.
    pub(super) proof: Proof,
}

/// Why a copy is to be given up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Discard {
    /// Which.
    pub(super) copy: CopyId,
    /// For a clone of, or a rewind to, whose primary.
    pub(super) source: Cloned,
    /// Why, for people.
    pub(super) why: String,
}

/// What a clone or a rewind is of.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Cloned {
    /// Whose primary.
    pub(super) from: MemberId,
    /// That primary's copy.
    pub(super) source: Option<Copy>,
    /// Its history.
    pub(super) promotions: History,
    /// By a rewind: it was never empty, so it has to be seen that it is another now.
    pub(super) rewound: bool,
    /// It has ended well, as it says.
    pub(super) done: bool,
}

/// What the data directory is to this member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Holding<'a> {
    /// Not looked yet.
    Unseen,
    /// Marked as being rewritten: not whole, and no copy (R11).
    Rewriting,
    /// There is none.
    Absent,
    /// This member's copy.
    Own {
        /// The directory.
        data: &'a DataDirectory,
        /// Which copy.
        copy: CopyId,
        /// None: the cluster's first directory, before its first stamp (R20).
        stamp: Option<&'a Stamp>,
    },
    /// Not this member's copy, and it may be set aside: why.
    Replaceable(String),
    /// Not this member's copy, and nobody touches it but an operator: why, and what to do (R14).
    Untouchable(String),
    /// It cannot be told before there is a record: why.
    Undecided(String),
}

impl Facts {
    pub(super) fn data(&self) -> Option<&DataDirectory> {
        match &self.inspection.as_ref()?.directory {
            Directory::Data(data) => Some(data),
            _ => None,
        }
    }

    pub(super) fn server(&self) -> Option<&Server> {
        self.run.seen.as_ref().map(|(server, _)| server)
    }

    /// Something has changed on disk, or has come to rest there, since any look that is under way began.
    pub(super) fn look_again(&mut self) {
        self.look = true;
        self.overtaken = true;
    }

    /// The directory may have been changed by a step that did not come to its end.
    pub(super) fn doubt_disk(&mut self) {
        self.look_again();
        self.written = None;
        self.run.in_force = None;
        self.run.proof.void();
    }
}

impl Steward {
    /// What the data directory is to this member (R14, R15, R20).
    pub(super) fn holding(&self) -> Holding<'_> {
        let Some(inspection) = &self.facts.inspection else {
            return Holding::Unseen;
        };
        // Set by a daemon that ended, or kept from an attempt that failed.
        let old = self.facts.given_up.is_none() && self.facts.clone.is_none();
        if inspection.rewriting && !(old && mutant!(self.config, R11StartsTorn)) {
            return Holding::Rewriting;
        }
        let data = match &inspection.directory {
            Directory::Absent => return Holding::Absent,
            Directory::Unusable(why) => {
                return Holding::Untouchable(format!(
                    "the data directory cannot be used: {why}; repair it, or move it away"
                ));
            }
            Directory::Data(data) => data,
        };
        let target = self.target.as_ref();
        let record = target.and_then(|t| t.record.as_deref());
        let expected = record.map(|r| r.system_id);
        let me = self.config.name(self.config.me);
        let Some(stamp) = &data.stamp else {
            let named = record.map(|r| r.copy_of(self.config.me));
            // R20: the cluster's first directory counts as its own until its stamp is noted.
            if (target.is_some_and(|t| t.first_stamp)
                && self.config.me == self.config.configured_primary
                || mutant!(self.config, R20AnyDirectory))
                && expected.is_none_or(|id| id == data.system_id)
                && named != Some(None)
            {
                return Holding::Own {
                    data,
                    copy: named.flatten().map_or(self.first_copy, |c| c.id),
                    stamp: None,
                };
            }
            return match expected {
                None => Holding::Undecided(
                    "the data directory is not a copy of this cluster's (it has no stamp); waiting for the cluster's record".to_owned(),
                ),
                Some(id) if id == data.system_id => Holding::Replaceable(format!(
                    "it is of the cluster's database {id}, but not a copy that Yoke made: it has no stamp"
                )),
                // R14: never erased, unless nobody ever put anything in.
                Some(id) if data.never_used || mutant!(self.config, R14ReplacesAny) => Holding::Replaceable(format!(
                    "it is of another database ({}, the cluster's is {id}), and was never used",
                    data.system_id
                )),
                Some(id) => Holding::Untouchable(format!(
                    "the data directory is of another database: its system identifier is {}, the cluster's is {id}; it is left alone. If it is not needed, move it away",
                    data.system_id
                )),
            };
        };
        if stamp.cluster != self.config.cluster {
            return Holding::Untouchable(format!(
                "the data directory belongs to the cluster \"{}\", this is \"{}\"; it is left alone. If it is not needed, move it away",
                stamp.cluster, self.config.cluster
            ));
        }
        if stamp.system_id != data.system_id || expected.is_some_and(|id| id != stamp.system_id) {
            return Holding::Untouchable(format!(
                "the data directory's system identifier is {}, its stamp says {}, the cluster's record {}; it is left alone. If it is not needed, move it away",
                data.system_id,
                stamp.system_id,
                expected.map_or("nothing yet".to_owned(), |id| id.to_string())
            ));
        }
        if stamp.member != me && !mutant!(self.config, R15BackupIsOwn) {
            // A base backup carries its source's stamp: its contents are whole, but nobody knows what became of it.
            let why = format!(
                "it is a backup of the copy at {}, not this member's",
                stamp.member
            );
            return match expected {
                Some(_) => Holding::Replaceable(why),
                None => Holding::Undecided(format!("{why}; waiting for the cluster's record")),
            };
        }
        Holding::Own {
            data,
            copy: stamp.copy,
            stamp: Some(stamp),
        }
    }

    /// This member's copy, while it is whole (R11).
    pub(super) fn own_copy(&self) -> Option<Copy> {
        if self.is_giving_up() {
            return None;
        }
        match self.holding() {
            Holding::Own { copy, .. } if !self.is_disowned(copy) => Some(Copy {
                member: self.config.me,
                id: copy,
            }),
            _ => None,
        }
    }
}
