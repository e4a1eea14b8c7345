//! The write-ahead log: entries with positions as PostgreSQL counts them, and with identities that it has not.

use yoke_core::postgres::{Lsn, Timeline};

/// What an entry says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum Kind {
    /// A client's commit; the number is unique in a run.
    Write(u64),
    /// A promotion: the true identity of a history. PostgreSQL shows only the timeline's number.
    Promotion { uid: u64, timeline: Timeline },
    /// A little WAL of ours.
    Nudge,
    /// A checkpoint of a running primary.
    Checkpoint,
    /// The last entry of a clean stop.
    ShutdownCheckpoint,
}

/// One whole record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) start: Lsn,
    pub(crate) end: Lsn,
}

/// Where the first record of a fresh database begins.
pub(crate) const BEGIN: Lsn = Lsn(0x0100_0028);

/// Which timelines a history went through, and where each began; the oldest first.
pub(crate) type Lineage = Vec<(Timeline, Lsn)>;

/// A log, flushed: commits and what a standby receives are flushed before they count for anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wal {
    pub(crate) entries: Vec<Entry>,
}

impl Wal {
    /// The end of the last whole record.
    pub(crate) fn end(&self) -> Lsn {
        self.entries.last().map_or(BEGIN, |entry| entry.end)
    }

    /// Appends a record of this length.
    pub(crate) fn append(&mut self, kind: Kind, length: u64) -> Entry {
        let start = self.end();
        let entry = Entry {
            kind,
            start,
            end: Lsn(start.0 + length),
        };
        self.entries.push(entry);
        entry
    }

    /// How many entries end at or below this position.
    pub(crate) fn up_to(&self, position: Lsn) -> usize {
        self.entries.partition_point(|entry| entry.end <= position)
    }

    /// Whether a client's commit is in it; `index` is where it was in the log of whoever acknowledged it.
    pub(crate) fn holds(&self, write: u64, index: usize) -> bool {
        let kind = Kind::Write(write);
        self.entries.get(index).is_some_and(|e| e.kind == kind)
            || self.entries.iter().any(|e| e.kind == kind)
    }
}

/// Whether PostgreSQL, which compares numbers and positions, lets a standby go on along `theirs` from `position` on
/// timeline `mine`.
pub(crate) fn continues(mine: Timeline, position: Lsn, theirs: &Lineage) -> bool {
    match theirs.iter().position(|(timeline, _)| *timeline == mine) {
        None => false,
        Some(at) => theirs.get(at + 1).is_none_or(|(_, fork)| position <= *fork),
    }
}
