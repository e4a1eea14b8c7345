//! The primitive steps of which everything that is done to a database is made, and what comes of each.
//!
//! The steward alone decides their order, one at a time. Who carries them out decides nothing: the runtime does each with
//! real files and processes, the simulator with modelled ones. A crash may come between any two of them.

use crate::member::MemberId;
use crate::postgres::{Doors, Lsn, RunId, StopMode, SystemId, Timeline};
use crate::record::{Copy, CopyId, History, RecordKey, Term};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A step with its place in the order of steps (R16).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The term of the target that it serves. The guard refuses an order of a lower term than it has seen.
    pub term: Term,
    /// Counts the orders of a host; rises across daemon runs of one guard.
    pub number: u64,
    /// What to do.
    pub step: Step,
}

/// One primitive.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Step {
    // Looking. By the daemon.
    /// Read the data directory and the mark without starting anything -> `Inspected`.
    Inspect,
    /// Ask the running server everything in one go, within a second -> `Observed`, `NotNow`; no answer, or none to a new
    /// connection -> `Failed`.
    Observe,

    // The directory, while no postmaster runs. By the guard. Each is durable when it is `Done`.
    /// Write the stamp (atomically: the old one or the new one). Also allowed while the postmaster runs.
    WriteStamp(Stamp),
    /// Set the mark outside the data directory: its contents are being rewritten, the copy id is given up (R11).
    MarkRewriting,
    /// Take the mark away: the contents are whole again.
    ClearMark,
    /// Rename the data directory; it is kept.
    SetAside(Leaving),
    /// Copy the running primary of a member into a fresh directory and put that in the data directory's place, which
    /// must be free. Without a stamp. Nothing is left in place when it fails or is ended. May take hours.
    Clone {
        /// Whose primary.
        from: MemberId,
    },
    /// Make the cluster's first database where there is no data directory: whole, or nothing is left in place (R14).
    Initdb,
    /// Make the data directory, stopped cleanly, one with what the running primary of a member holds, by fetching only
    /// what differs. The first that it touches is the stamp: without it the contents are not whole unless it is `Done`,
    /// and `Done` is to be seen, not believed. Nothing is touched while the source is not ready. May take hours.
    Rewind {
        /// Whose primary.
        from: MemberId,
        /// The timeline that the source has to have made a checkpoint on: before that it is not seen to be ahead.
        timeline: Timeline,
        /// What it drops: kept beforehand.
        drops: Leaving,
    },

    // The server. By the guard.
    /// Write our settings and doors for the next start or reload (atomically, durable), over the user's files as they are
    /// now; where PostgreSQL does not accept those, over the last ones that it did.
    WriteSettings(Settings),
    /// Start the postmaster, as a standby by `standby.signal`, with the settings written. `Done` once it is spawned.
    Start,
    /// Tell the postmaster to read settings and doors again. In force some time after `Done`: see `Server::settings`.
    Reload,
    /// Tell a standby to become primary. Happens some time after `Done`.
    Promote,
    /// Stop the postmaster. `Done` once every process was seen gone. Ends any other order under way.
    Stop(StopMode),

    // SQL. By the daemon. Bounded in time; no answer -> `Failed`.
    /// End every session that is not ours.
    EndSessions,
    /// End the previous canary, if any, and begin a commit that has to wait for the gate. Does not wait for it.
    Canary,
    /// Write a little WAL, flushed locally, waiting for no standby -> `Wrote`; not while new connections get no answer.
    /// Also releases waiters (research/postgres.md 3a).
    Nudge,
    /// CHECKPOINT, immediate. May take long on a busy server.
    Checkpoint,
    /// Begin the same, and do not wait for it: see `Server::checkpoint_timeline`.
    BeginCheckpoint,
    /// Make and drop physical replication slots. One that cannot be used any more is made anew.
    Slots {
        /// For these copies, under their names.
        make: Vec<Copy>,
        /// Of these.
        drop: Vec<Copy>,
    },
}

/// What leaves a host's data directory, and is kept: for an operator to find (`yokeadm lost`).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Leaving {
    /// Which copy it was; none: not this member's.
    pub copy: Option<CopyId>,
    /// The timeline that it ends on.
    pub timeline: Timeline,
    /// Where the primary's history goes another way; none: not known.
    pub from: Option<Lsn>,
    /// Where it ends.
    pub to: Lsn,
    /// Why it leaves, for people.
    pub why: String,
}

/// Our settings. What PostgreSQL is told besides is fixed, and the runtime's.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Comes back in `Server::settings` once these settings and doors are in force in the postmaster and new sessions.
    pub generation: u64,
    /// `synchronous_standby_names`: `None` names a standby that does not exist (closed); `Some([])` is empty (lone);
    /// `Some([..])` means `FIRST n` of exactly these.
    pub gate: Option<Vec<Copy>>,
    /// Whom to follow; None: nobody.
    pub follow: Option<MemberId>,
    /// The copy under whose name it connects.
    pub copy: Option<Copy>,
    /// Whether clients may come in: `Open` or `Closed`.
    pub doors: Doors,
}

/// What came of a step.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// Carried out.
    Done,
    /// What the directory holds.
    Inspected(Box<Inspection>),
    /// What the server says.
    Observed(Box<Server>),
    /// A nudge: the end of the record that it wrote, flushed.
    Wrote(Lsn),
    /// It did not work; a sentence for people. What it may have changed has to be looked at again.
    Failed(String),
    /// The guard refused it: no permission for it, or an order of a lower term.
    Refused,
    /// A stop or a fence ended it before its end.
    Ended,
    /// Of `Observe`: the server answers that it takes no questions now: it recovers, or it stops.
    NotNow {
        /// The WAL segment that recovery has in hand, or waits for: while that changes, it goes on. None: it has not begun.
        replays: Option<String>,
    },
}

/// What is on disk.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Inspection {
    /// The mark is set: whatever the directory holds is not whole.
    pub rewriting: bool,
    /// The data directory.
    pub directory: Directory,
    /// The gate in our settings as last written: what a postmaster started now would read.
    pub written: Option<Settings>,
    /// What PostgreSQL said last of why it ended, for people.
    pub last_words: Option<String>,
}

/// A data directory.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Directory {
    /// Absent or empty.
    Absent,
    /// It cannot be used: why, for people.
    Unusable(String),
    /// A PostgreSQL data directory.
    Data(Box<DataDirectory>),
}

/// What a data directory says without being started.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DataDirectory {
    /// `Database system identifier`.
    pub system_id: SystemId,
    /// How it was left.
    pub cluster: ClusterState,
    /// `Latest checkpoint location`: after a clean stop, where the shutdown checkpoint record begins.
    pub checkpoint: Lsn,
    /// `Latest checkpoint's TimeLineID`. Lags behind a promotion for long.
    pub checkpoint_timeline: Timeline,
    /// The newest timeline that `pg_wal`'s history files or the control file show, and where it begins (0 for timeline 1).
    pub newest_timeline: (Timeline, Lsn),
    /// By the newest history file that recovery would follow, what is here was never on the way to it: PostgreSQL refuses to
    /// start, in these words. None: it does not.
    pub contradicted: Option<String>,
    /// `Minimum recovery ending location`, and its timeline: a standby's pages hold nothing beyond it. 0 for a primary.
    pub recovered_to: (Timeline, Lsn),
    /// Hint bits or checksums leave a trace in the WAL of every change of a page: pg_rewind needs that.
    pub rewindable: bool,
    /// Shut down, timeline 1, NextOID below 16384: no user ever put anything in.
    pub never_used: bool,
    /// Our stamp, if it has one that is whole.
    pub stamp: Option<Stamp>,
}

/// `Database cluster state` of the control file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ClusterState {
    /// `shut down`: a primary that was stopped cleanly.
    ShutDown,
    /// `shut down in recovery`: a standby that was stopped cleanly.
    ShutDownInRecovery,
    /// Anything else: it crashed, or it runs.
    Other,
}

/// The file in the data directory that says whose copy this is.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// The cluster's name.
    pub cluster: String,
    /// The member's name: a base backup carries its source's.
    pub member: String,
    /// The database's identifier.
    pub system_id: SystemId,
    /// Which copy this is.
    pub copy: CopyId,
    /// The newest record when it was written.
    pub record: Option<RecordKey>,
    /// The promotions of this copy.
    pub history: History,
    /// The newest promotion ordered for this copy (term, n), written before the order.
    pub ordered: Option<(Term, u32)>,
    /// The newest timeline that the directory showed when that was written: a higher one later is that promotion (R15).
    pub ordered_on: Timeline,
    /// The primary's copy that it was last set to follow: all that it holds beyond its history came from there (R15).
    pub follows: Option<Copy>,
    /// It was rewound or cloned, and no server in it has been ready since: whether it has all the WAL that it needs is
    /// not known.
    #[serde(default)]
    pub rewritten: bool,
}

/// What a running server says.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Server {
    /// The postmaster's run.
    pub run: RunId,
    /// `pg_is_in_recovery()`.
    pub in_recovery: bool,
    /// The generation of the settings in force in a fresh session: the postmaster has read doors and settings since.
    /// Says nothing of the gate in checkpointer and walsenders.
    pub settings: u64,
    /// `synchronous_standby_names` comes from our file (R7); nobody's `ALTER SYSTEM` or own line is in the way.
    pub gate_is_ours: bool,
    /// Standby: the position replayed, the end of a whole record. Primary: its flush position, maybe inside a record.
    pub position: Lsn,
    /// Standby: the startup process waits for more WAL: all that is there was replayed.
    pub drained: bool,
    /// Standby: replay is paused.
    pub replay_paused: bool,
    /// Standby: its receiver is in state `streaming`, and it is set to follow this member.
    pub streaming_from: Option<MemberId>,
    /// Primary: the timeline that it writes, and where that began.
    pub timeline: (Timeline, Lsn),
    /// Primary: the timeline of the control file's checkpoint. Lags behind a promotion for long.
    pub checkpoint_timeline: Timeline,
    /// Primary: every walsender with a copy's name; a name may come twice.
    pub walsenders: Vec<Walsender>,
    /// Its replication slots with a copy's name that can be used, also a standby's: sorted.
    pub slots: Vec<Slot>,
    /// Walsenders under other names (clones, strangers), each at a priority above 0: none is expected.
    pub strangers_in_gate: u32,
    /// What became of the canary.
    pub canary: Canary,
    /// What our settings were written over has changed (the user's files, `ALTER SYSTEM`): they are to be written again.
    pub outdated: bool,
    /// Why the settings written are not in force, in PostgreSQL's words.
    pub refuses: Option<String>,
    /// Standby: it has stopped replaying, because of a parameter that has to be as large as the primary's. A restart takes
    /// the larger value.
    pub too_small: Option<String>,
    /// What an operator should know of the configuration; keeps from nothing.
    pub notes: Vec<String>,
}

/// One connection that streams from a primary.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Walsender {
    /// The copy whose name it connected under.
    pub copy: Copy,
    /// State `streaming`.
    pub streaming: bool,
    /// Flushed, as the standby reported; may lie inside a record.
    pub flushed: Lsn,
    /// `sync_priority`, as this walsender computed it from *its* settings; 0: does not count for the gate.
    pub priority: u32,
}

/// What keeps a copy's place in the log, and lets one connection at a time stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Slot {
    /// The copy whose name it has.
    pub copy: Copy,
    /// A connection streams from it.
    pub active: bool,
}

/// A commit of ours that has to wait while the gate is closed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Canary {
    /// None was begun in this run, or it ended with an error.
    None,
    /// Begun, and not seen waiting yet.
    Begun,
    /// Seen with `wait_event` SyncRep: the flag that makes commits wait is set.
    Waiting,
    /// It came back: it did not wait, or waits no more.
    Returned,
}

/// For people.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Inspect => f.write_str("inspect the data directory"),
            Step::Observe => f.write_str("observe"),
            Step::WriteStamp(_) => f.write_str("write the stamp"),
            Step::MarkRewriting => f.write_str("mark the data directory as being rewritten"),
            Step::ClearMark => f.write_str("clear the mark"),
            Step::SetAside(_) => f.write_str("set the data directory aside"),
            Step::Clone { from } => write!(f, "clone {from}"),
            Step::Initdb => f.write_str("make a database"),
            Step::Rewind { from, .. } => write!(f, "rewind to {from}"),
            Step::WriteSettings(_) => f.write_str("write settings"),
            Step::Start => f.write_str("start PostgreSQL"),
            Step::Reload => f.write_str("reload"),
            Step::Promote => f.write_str("promote"),
            Step::Stop(StopMode::Clean) => f.write_str("stop cleanly"),
            Step::Stop(StopMode::Now) => f.write_str("stop at once"),
            Step::EndSessions => f.write_str("end sessions"),
            Step::Canary => f.write_str("begin a canary commit"),
            Step::Nudge => f.write_str("write a little WAL"),
            Step::Checkpoint => f.write_str("checkpoint"),
            Step::BeginCheckpoint => f.write_str("begin a checkpoint"),
            Step::Slots { .. } => f.write_str("make or drop replication slots"),
        }
    }
}

impl DataDirectory {
    /// Where it ends, at least: how far its pages are known to reach, or its last checkpoint record.
    pub fn end(&self) -> Lsn {
        self.recovered_to.1.max(self.checkpoint)
    }
}

impl Step {
    /// Whether the guard carries it out: it outlives a daemon, or changes what serves (R16).
    pub fn is_guards(&self) -> bool {
        !matches!(
            self,
            Step::Inspect
                | Step::Observe
                | Step::EndSessions
                | Step::Canary
                | Step::Nudge
                | Step::Checkpoint
                | Step::BeginCheckpoint
                | Step::Slots { .. }
        )
    }
}
