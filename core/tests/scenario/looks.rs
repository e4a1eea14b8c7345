//! What a test can see.

use super::database::Database;
use super::{Cluster, Host, Sent, index};
use std::sync::Arc;
use yoke_core::member::MemberId;
use yoke_core::operator::CommandOutcome;
use yoke_core::record::{Copy, Record, Term};
use yoke_core::{Duration, Node};

impl Cluster {
    pub(crate) fn host(&self, m: MemberId) -> &Host {
        &self.hosts[index(m)]
    }

    pub(crate) fn host_mut(&mut self, m: MemberId) -> &mut Host {
        &mut self.hosts[index(m)]
    }

    pub(crate) fn node(&self, m: MemberId) -> &Node {
        self.host(m).node.as_ref().expect("its daemon runs")
    }

    pub(crate) fn db(&self, m: MemberId) -> &Database {
        self.host(m).database.as_ref().expect("a data member")
    }

    pub(crate) fn db_mut(&mut self, m: MemberId) -> &mut Database {
        self.host_mut(m).database.as_mut().expect("a data member")
    }

    pub(crate) fn leader(&self) -> Option<MemberId> {
        self.config
            .ids()
            .filter(|m| self.host(*m).leads())
            .max_by_key(|m| self.node(*m).view().term)
    }

    pub(crate) fn term(&self, m: MemberId) -> Term {
        self.node(m).view().term
    }

    pub(crate) fn record(&self, m: MemberId) -> Option<Arc<Record>> {
        self.node(m).view().record
    }

    /// The member's record, if the member knows that it is committed.
    pub(crate) fn committed(&self, m: MemberId) -> Option<Arc<Record>> {
        let view = self.host(m).node.as_ref()?.view();
        view.record.filter(|r| view.committed == Some(r.key))
    }

    pub(crate) fn copy_of(&self, m: MemberId) -> Option<Copy> {
        self.db(m).copy.map(|id| Copy { member: m, id })
    }

    /// Whether commits were acknowledged until just now.
    pub(crate) fn is_served(&self) -> bool {
        self.watch.is_served(self.now)
    }

    /// Who acknowledged the newest commit.
    pub(crate) fn served_by(&self) -> Option<MemberId> {
        self.watch.served_by(self.now)
    }

    /// Served, and the leader's committed record names every data member's copy.
    pub(crate) fn is_in_sync(&self) -> bool {
        let Some(record) = self.leader().and_then(|l| self.committed(l)) else {
            return false;
        };
        self.is_served()
            && self
                .config
                .ids()
                .filter(|m| self.config.is_data(*m))
                .all(|m| self.copy_of(m).is_some_and(|copy| record.names(copy)))
    }

    /// How long since `mark`.
    pub(crate) fn since_mark(&self) -> Duration {
        self.now.since(self.zero)
    }

    /// The longest time since `mark` in which no commit was acknowledged.
    pub(crate) fn longest_gap(&self) -> Duration {
        self.watch.longest_gap(self.zero, self.now)
    }

    /// What it sent since `mark`.
    pub(crate) fn sent_by(&self, from: MemberId) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |s| s.from == from)
    }

    pub(crate) fn replies(&self, m: MemberId) -> &[CommandOutcome] {
        &self.host(m).replies
    }
}
