//! What the search remembers of the past to judge the present by: the promises that it checks.

use std::sync::Arc;
use yoke_core::member::MemberId;
use yoke_core::record::{Record, Term};

use super::database::Database;

/// A promise that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Which.
    pub promise: &'static str,
    /// What was found.
    pub what: String,
}

/// All that was promised so far.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Ghost {
    /// Who leads, or led, each term.
    leaders: Vec<(Term, MemberId)>,
    /// (Voter, term, for whom).
    votes: Vec<(MemberId, Term, MemberId)>,
    /// Each record that its leader counted as committed.
    committed: Vec<Arc<Record>>,
    /// Acknowledged writes, each with the term whose gate let it through.
    acknowledged: Vec<(u8, Term)>,
}

/// Which promises are judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judge {
    /// S1 and the lemmas that it rests on: these break earlier.
    All,
    /// S1 alone.
    S1,
}

impl Ghost {
    pub(super) fn leads(&mut self, term: Term, who: MemberId) -> Result<(), Broken> {
        match self.leaders.iter().find(|(t, _)| *t == term) {
            Some((_, other)) if *other != who => Err(Broken {
                promise: "one leader a term (R2)",
                what: format!("{other} and {who} both lead term {term}"),
            }),
            Some(_) => Ok(()),
            None => {
                self.leaders.push((term, who));
                self.leaders.sort_unstable();
                Ok(())
            }
        }
    }

    pub(super) fn votes(&mut self, voter: MemberId, term: Term, whom: MemberId) -> Result<(), Broken> {
        let known = self.votes.iter().find(|(v, t, _)| (*v, *t) == (voter, term));
        match known {
            Some((.., other)) if *other != whom => Err(Broken {
                promise: "one vote a term (R2)",
                what: format!("{voter} votes for {other} and for {whom} in term {term}"),
            }),
            Some(_) => Ok(()),
            None => {
                self.votes.push((voter, term, whom));
                self.votes.sort_unstable();
                Ok(())
            }
        }
    }

    /// A leader counts a record as committed.
    pub(super) fn commits(&mut self, record: &Arc<Record>) -> Result<(), Broken> {
        match self.committed.iter().find(|r| r.key == record.key) {
            Some(other) if other != record => Err(contradiction(other, record)),
            Some(_) => Ok(()),
            None => {
                self.committed.push(record.clone());
                self.committed.sort_unstable_by_key(|r| r.key);
                Ok(())
            }
        }
    }

    /// A leader proposes a record: it has to build on all that lower terms committed.
    pub(super) fn proposes(&self, record: &Arc<Record>) -> Result<(), Broken> {
        let missed = self
            .committed
            .iter()
            .find(|r| r.key.term < record.key.term && r.key.version >= record.key.version);
        missed.map_or(Ok(()), |r| Err(contradiction(r, record)))
    }

    /// The gate of a primary lets a write through.
    pub(super) fn acknowledges(&mut self, write: u8, term: Term) {
        if self.acknowledged.iter().all(|(w, _)| *w != write) {
            self.acknowledged.push((write, term));
            self.acknowledged.sort_unstable();
        }
    }

    /// S1: a primary with an open gate holds every write acknowledged in its own term or an earlier one.
    pub(super) fn judge(&self, db: &Database) -> Result<(), Broken> {
        let Some(server) = db.server.as_ref().filter(|_| db.is_primary()) else {
            return Ok(());
        };
        if server.gate.is_none() {
            return Ok(());
        }
        let lost = self
            .acknowledged
            .iter()
            .find(|(w, t)| *t <= server.opened_in && !db.wal.contains(w));
        lost.map_or(Ok(()), |(w, t)| {
            Err(Broken {
                promise: "S1",
                what: format!(
                    "write {w}, acknowledged in term {t}, is not in the database of {}, whose gate is open since term {}",
                    db.member, server.opened_in
                ),
            })
        })
    }
}

fn contradiction(committed: &Record, other: &Record) -> Broken {
    Broken {
        promise: "a committed record stands (R3, R6)",
        what: format!("{committed} is committed, and there is {other}"),
    }
}
