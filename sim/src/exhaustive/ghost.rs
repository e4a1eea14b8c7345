//! What the search remembers of the past to judge the present by: the promises that it checks.

use std::sync::Arc;
use yoke_core::member::MemberId;
use yoke_core::record::{Record, RecordKey, Term};

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

    pub(super) fn votes(
        &mut self,
        voter: MemberId,
        term: Term,
        whom: MemberId,
    ) -> Result<(), Broken> {
        let known = self
            .votes
            .iter()
            .find(|(v, t, _)| (*v, *t) == (voter, term));
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

    /// Who loses its state has ended its candidacy with its daemon: its own vote for itself, where that did not win the
    /// term, can be counted by nobody any more.
    pub(super) fn loses_candidacy(&mut self, who: MemberId) {
        let leaders = &self.leaders;
        self.votes.retain(|(voter, term, whom)| {
            *voter != who || *whom != who || leaders.contains(&(*term, who))
        });
    }

    /// A leader counts a record as committed.
    pub(super) fn commits(&mut self, record: &Arc<Record>) -> Result<(), Broken> {
        match self.committed.iter().find(|r| r.key == record.key) {
            Some(other) if other != record => Err(Broken {
                promise: "a committed record stands (R3, R6)",
                what: format!("{other} is committed, and so is {record}"),
            }),
            Some(_) => Ok(()),
            None => {
                self.committed.push(record.clone());
                self.committed.sort_unstable_by_key(|r| r.key);
                Ok(())
            }
        }
    }

    /// Whoever is elected holds the newest record that a lower term committed, or a newer one.
    pub(super) fn is_elected_with(
        &self,
        term: Term,
        holds: Option<RecordKey>,
    ) -> Result<(), Broken> {
        let lower = self.committed.iter().rev().find(|r| r.key.term < term);
        match lower.filter(|r| Some(r.key) > holds) {
            Some(record) => Err(Broken {
                promise: "a committed record stands (R3, R6)",
                what: format!("{record} is committed, and term {term} begins with {holds:?}"),
            }),
            None => Ok(()),
        }
    }

    /// The gate of a primary lets a write through.
    pub(super) fn acknowledges(&mut self, write: u8, term: Term) {
        if self.acknowledged.iter().all(|(w, _)| *w != write) {
            self.acknowledged.push((write, term));
            self.acknowledged.sort_unstable();
        }
    }

    /// R7: an open gate was opened on a committed record, and names all others of that term's newest one.
    pub(super) fn judge_gate(&self, db: &Database) -> Result<(), Broken> {
        let Some(server) = db.server.as_ref().filter(|_| db.is_primary()) else {
            return Ok(());
        };
        let Some(names) = &server.gate else {
            return Ok(());
        };
        let of_term = |r: &&Arc<Record>| r.key.term == server.opened_in;
        let left_out = match self.committed.iter().rev().find(of_term) {
            Some(record) => record.others().find(|c| !names.contains(c)).is_some(),
            None => true,
        };
        if !left_out {
            return Ok(());
        }
        Err(Broken {
            promise: "the gate names all in sync (R6, R7, R8)",
            what: format!(
                "the gate of {} is open for {names:?} since term {}, of which is committed {:?}",
                db.member,
                server.opened_in,
                self.committed
                    .iter()
                    .rev()
                    .find(of_term)
                    .map(|r| r.to_string())
            ),
        })
    }

    /// R9: a copy that the newest committed record names holds every write acknowledged up to that record's term.
    pub(super) fn judge_in_sync(&self, db: &Database) -> Result<(), Broken> {
        let (Some(copy), Some(record)) = (db.named(), self.committed.last()) else {
            return Ok(());
        };
        let lacks = |(w, t): &&(u8, Term)| *t <= record.key.term && !db.wal.contains(w);
        match self.acknowledged.iter().find(lacks) {
            Some((w, _)) if record.names(copy) => Err(Broken {
                promise: "in sync is in sync (R9)",
                what: format!("{record} names {copy}, which lacks the acknowledged write {w}"),
            }),
            _ => Ok(()),
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
