//! What a running server is. Each of its processes has its own view of the settings: the postmaster (and so every new
//! session and walsender), the checkpointer, which alone sets the flag that makes commits wait, and each walsender, which
//! releases waiting commits by its *own* copy of the names.

use crate::postgres::instance::DbEv;
use crate::postgres::standby::{Receiver, Wire};
use crate::postgres::wal::Entry;
use crate::postgres::walsender::{Confirmed, Walsender};
use yoke_core::member::MemberId;
use yoke_core::postgres::{Doors, Lsn, RunId};
use yoke_core::record::{Copy, Term};
use yoke_core::step::{Canary, Settings};

/// Names, as `Settings::gate` has them.
pub(crate) type Gate = Option<Vec<Copy>>;

/// What the server is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum Phase {
    Starting,
    Standby,
    /// A promotion was ordered.
    Promoting,
    Primary,
    /// A clean stop: sessions are gone; `written`: the shutdown checkpoint is there. `half`: it had not come up yet.
    Stopping {
        primary: bool,
        half: bool,
        written: bool,
    },
}

/// What the postmaster read.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) generation: u64,
    pub(crate) gate: Gate,
    pub(crate) follow: Option<MemberId>,
    pub(crate) copy: Option<Copy>,
    pub(crate) doors: Doors,
}

/// Whose commit waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiter {
    /// A client's session.
    Client { client: usize, session: u64 },
    /// Ours.
    Canary,
}

/// A commit that waits for standbys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) who: Waiter,
    pub(crate) entry: Entry,
    pub(crate) index: usize,
}

/// One run of one postmaster and its processes.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) run: RunId,
    pub(crate) phase: Phase,
    /// Does not run for now; what would happen meanwhile waits here.
    pub(crate) hung: bool,
    /// It never will again.
    pub(crate) wedged: bool,
    /// Its disk takes no write for now.
    pub(crate) stalled: bool,
    pub(crate) backlog: Vec<DbEv>,
    pub(crate) wire_backlog: Vec<(usize, u64, Wire)>,
    /// Killed: nothing happens any more, but not every process is gone.
    pub(crate) killed: bool,
    /// The history file of its promotion is there.
    pub(crate) timeline_begun: bool,
    /// A promotion was executed in this run: it counts as serving from then on (R10).
    pub(crate) serving: bool,
    /// The term of that promotion; raised when its leader wins another.
    pub(crate) term: Term,
    pub(crate) read: Read,
    /// The checkpointer's: commits have to wait.
    pub(crate) flag: bool,
    /// It has read another setting, and has not said so yet.
    pub(crate) takes: bool,
    pub(crate) walsenders: Vec<Walsender>,
    /// What each copy has certainly flushed.
    pub(crate) confirmed: Vec<Confirmed>,
    pub(crate) receiver: Receiver,
    pub(crate) sessions: Vec<(usize, u64)>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) canary: Canary,
    pub(crate) canaries: u64,
    /// A standby: so many entries are replayed for certain; all of them from that moment on.
    pub(crate) replayed: usize,
    pub(crate) replay_due: u64,
    /// When the newest flush under way will be done: flushes come one after the other.
    pub(crate) flushing_until: u64,
}
/// What PostgreSQL does without our settings file: nobody is waited for, everybody comes in.
pub(crate) fn read_of(settings: Option<&Settings>) -> Read {
    match settings {
        None => Read {
            generation: 0,
            gate: Some(vec![]),
            follow: None,
            copy: None,
            doors: Doors::Open,
        },
        Some(settings) => Read {
            generation: settings.generation,
            gate: settings.gate.clone(),
            follow: settings.follow,
            copy: settings.copy,
            doors: settings.doors,
        },
    }
}

/// Whether commits wait under these names.
pub(crate) fn waits(gate: &Gate) -> bool {
    gate.as_ref().is_none_or(|names| !names.is_empty())
}

impl Server {
    /// A postmaster that has just been spawned, as a standby, with the settings that lie there now.
    pub(crate) fn new(run: RunId, settings: Option<&Settings>, replayed: usize) -> Self {
        let read = read_of(settings);
        Server {
            run,
            phase: Phase::Starting,
            hung: false,
            wedged: false,
            stalled: false,
            backlog: vec![],
            wire_backlog: vec![],
            killed: false,
            timeline_begun: false,
            serving: false,
            term: Term(0),
            flag: waits(&read.gate),
            takes: false,
            read,
            walsenders: vec![],
            confirmed: vec![],
            receiver: Receiver::default(),
            sessions: vec![],
            waiting: vec![],
            canary: Canary::None,
            canaries: 0,
            replayed,
            replay_due: 0,
            flushing_until: 0,
        }
    }

    /// Whether it takes writes.
    pub(crate) fn writable(&self) -> bool {
        self.phase == Phase::Primary && !self.killed
    }

    /// Up to which commits this walsender may release waiters, by its own copy of the names and the shared table.
    pub(crate) fn released_by(&self, walsender: &Walsender) -> Option<Lsn> {
        if !walsender.streaming || walsender.priority == 0 {
            return None;
        }
        let needed = walsender.names.as_ref()?.len();
        let mut candidates: Vec<(u32, Lsn)> = self
            .walsenders
            .iter()
            .filter(|w| w.streaming && w.priority > 0 && w.flushed > Lsn(0))
            .map(|w| (w.priority, w.flushed))
            .collect();
        candidates.sort_by_key(|(priority, _)| *priority);
        (needed > 0 && candidates.len() >= needed).then(|| {
            candidates[..needed]
                .iter()
                .map(|(_, flushed)| *flushed)
                .min()
        })?
    }
}

/// Settings in a few words.
pub(crate) fn in_words(read: &Read) -> String {
    format!(
        "gate {:?} doors {:?} follows {:?} as {:?}",
        read.gate, read.doors, read.follow, read.copy
    )
}
