//! The one replicated value: who is primary, which copies are in sync, and the promotions that made the history.

use crate::member::MemberId;
use crate::message::BEYOND;
use crate::postgres::{Lsn, SystemId, Timeline};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Counts elections; at most one leader a term.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Term(pub u64);

/// Orders records: by term, then by version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct RecordKey {
    /// The term of the leader that proposed it.
    pub term: Term,
    /// Counts the records of all terms.
    pub version: u64,
}

/// The random name of one data directory's contents. New data, new id. Never 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CopyId(pub u64);

/// One data directory's contents at one member: what `in_sync`, the gate and replication connections name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Copy {
    /// Whose directory it is.
    pub member: MemberId,
    /// Which contents.
    pub id: CopyId,
}

/// One promotion that made part of a database's history (R15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Promotion {
    /// The timeline number that PostgreSQL chose: the next free one *locally*, so two promotions can share it.
    pub timeline: Timeline,
    /// Where the new timeline begins.
    pub start: Lsn,
    /// The term that ordered it.
    pub term: Term,
    /// Counts the promotion orders of the copy.
    pub n: u32,
}

/// The list of promotions that makes a history, oldest first. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct History(Arc<[Promotion]>);

/// The replicated value.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the order of records.
    pub key: RecordKey,
    /// The leader that proposed it; its database is, or is about to be, the primary.
    pub primary: MemberId,
    /// The copies known to hold every acknowledged write, sorted; the primary's own among them.
    pub in_sync: Vec<Copy>,
    /// The promotions of the primary's copy, as far as they are known.
    pub promotions: History,
    /// The database cluster's identifier (R14).
    pub system_id: SystemId,
    /// An operator made this copy the cluster's database, and not every data member is in sync since: others may hold
    /// acknowledged writes that it lacks, and what they hold is kept (R17).
    pub forced: bool,
    /// An operator's word: nobody but the record's primary campaigns.
    pub paused: bool,
}

impl Record {
    /// Whether a cluster of so many members can hold it: it speaks of members that there are, and its primary's copy is in
    /// sync. Anything else is a lie of a peer, or a file's.
    pub fn is_possible(&self, members: usize) -> bool {
        let is_member = |member: MemberId| usize::from(member.0) < members;
        is_member(self.primary)
            && self.key.term.0.max(self.key.version) < BEYOND
            && self.in_sync.iter().all(|copy| is_member(copy.member))
            && self.copy_of(self.primary).is_some()
    }

    /// Whether this copy is in sync.
    pub fn names(&self, copy: Copy) -> bool {
        self.in_sync.contains(&copy)
    }

    /// The member's copy that is in sync, if there is one.
    pub fn copy_of(&self, member: MemberId) -> Option<Copy> {
        self.in_sync.iter().copied().find(|c| c.member == member)
    }

    /// Whether `in_sync` is the primary's copy alone.
    pub fn is_lone(&self) -> bool {
        self.others().next().is_none()
    }

    /// Whether nobody was promoted yet, as far as it knows, nor made the primary by an operator's word: then no gate ever
    /// opened, and nothing was acknowledged (R6).
    pub(crate) fn promoted_nobody(&self) -> bool {
        self.promotions.promotions().is_empty() && !self.forced
    }

    /// The copies in sync that are not the primary's: those that an acknowledgement waits for.
    pub fn others(&self) -> impl Iterator<Item = Copy> + '_ {
        self.in_sync
            .iter()
            .copied()
            .filter(|c| c.member != self.primary)
    }
}

impl History {
    /// Whether `self` is how `later` began: the same promotions, term by term, not numbers alone (R15).
    pub fn is_prefix_of(&self, later: &History) -> bool {
        later.0.starts_with(&self.0)
    }

    /// Whether a copy with this history, flushed up to `end`, holds nothing that `primary`'s history lacks (R15):
    /// it began the same way, and ends no later than where the primary's next promotion started.
    pub fn fits(&self, end: Lsn, primary: &History) -> bool {
        self.is_prefix_of(primary)
            && primary
                .0
                .get(self.0.len())
                .is_none_or(|next| end <= next.start)
    }

    /// This history and one more promotion.
    #[must_use]
    pub fn with(&self, promotion: Promotion) -> History {
        History(self.0.iter().copied().chain([promotion]).collect())
    }

    /// The promotions, oldest first.
    pub fn promotions(&self) -> &[Promotion] {
        &self.0
    }

    /// What timeline numbers alone tell.
    pub fn timelines(&self) -> Vec<Timeline> {
        self.0.iter().map(|p| p.timeline).collect()
    }

    /// The promotions of both, oldest first.
    #[must_use]
    pub fn merged(&self, other: &History) -> History {
        let more = other.0.iter().filter(|p| !self.0.contains(p));
        History(self.0.iter().chain(more).copied().collect())
    }

    /// The newest promotion's (term, n).
    pub fn newest(&self) -> (Term, u32) {
        let all = self.0.iter().map(|p| (p.term, p.n));
        all.max().unwrap_or_default()
    }

    /// The newest promotion.
    pub fn last(&self) -> Option<&Promotion> {
        self.0.last()
    }
}

impl Default for History {
    fn default() -> Self {
        History(Arc::from([]))
    }
}

impl From<Vec<Promotion>> for History {
    fn from(promotions: Vec<Promotion>) -> Self {
        History(promotions.into())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.term, self.version)
    }
}

impl fmt::Display for CopyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.member, self.id)
    }
}

impl fmt::Display for Promotion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tl{}@{} by ({},{})",
            self.timeline, self.start, self.term, self.n
        )
    }
}

/// The two newest promotions; of those before, how many there are.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let earlier = self.0.len().saturating_sub(2);
        f.write_str("[")?;
        if earlier > 0 {
            write!(f, "{earlier} earlier, ")?;
        }
        for (i, promotion) in self.0.iter().skip(earlier).enumerate() {
            write!(f, "{}{promotion}", if i > 0 { ", " } else { "" })?;
        }
        f.write_str("]")
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} primary {} in sync {{", self.key, self.primary)?;
        for (i, copy) in self.in_sync.iter().enumerate() {
            write!(f, "{}{copy}", if i > 0 { ", " } else { "" })?;
        }
        write!(f, "}} promotions {}", self.promotions)?;
        if self.paused {
            f.write_str(" paused")?;
        }
        Ok(())
    }
}

macro_rules! debug_as_display {
    ($($t:ty),*) => { $(impl fmt::Debug for $t {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
    })* };
}
debug_as_display!(Term, RecordKey, CopyId, Copy, Promotion, History);
