//! What a node shows of itself.

use super::Node;
use crate::config::Config;
use crate::view::{ClusterView, Glance, RoleView};

impl Node {
    /// The settings that it was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What an operator sees.
    pub fn view(&self) -> ClusterView {
        let leader = self.leader.as_deref();
        let glance = self.glance();
        ClusterView {
            me: glance.me,
            role: glance.role,
            term: glance.term,
            leader: glance.leader,
            record: glance.record.cloned(),
            committed: glance.committed,
            postgres: glance.postgres.clone(),
            lease_left: leader.filter(|_| !self.needs_no_lease()).map(|l| {
                l.lease_end(&self.config)
                    .unwrap_or(self.now)
                    .since(self.now)
            }),
            growing: glance.growing.to_vec(),
            stays_out: self.stays_out(),
        }
    }

    /// The part of it that decides, at no cost.
    pub fn glance(&self) -> Glance<'_> {
        Glance {
            me: self.config.me,
            role: match (&self.state, &self.leader, &self.campaign) {
                (None, ..) => RoleView::WithoutState,
                (_, Some(_), _) => RoleView::Leader,
                (_, _, Some(_)) => RoleView::Candidate,
                _ => RoleView::Follower,
            },
            term: self.term(),
            leader: match &self.leader {
                Some(_) => Some(self.config.me),
                None if self.hears_leader() => self.heard.as_ref().map(|h| h.leader),
                None => None,
            },
            record: self.record(),
            committed: self.committed,
            postgres: &self.pg,
            growing: self.leader.as_deref().map_or(&[], |l| &l.growing),
        }
    }
}
