//! What a test does to the cluster.

use super::database::{DbRole, Trouble};
use super::{Cluster, Sent};
use yoke_core::member::MemberId;
use yoke_core::operator::{Command, CommandOutcome};
use yoke_core::{Duration, Event};

/// What an operator's word adds to the term.
pub(crate) const STEP: u64 = (1 << 20) + 77;

impl Cluster {
    /// The host loses its power.
    pub(crate) fn power_off(&mut self, m: MemberId) {
        self.note(m, "loses its power");
        let host = self.host_mut(m);
        host.daemon_gone();
        host.powered = false;
        if let Some(database) = &mut host.database {
            database.power_lost();
        }
    }

    pub(crate) fn kill_daemon(&mut self, m: MemberId) {
        self.note(m, "daemon is killed");
        self.host_mut(m).daemon_gone();
    }

    pub(crate) fn restart_daemon(&mut self, m: MemberId, after: Duration) {
        self.kill_daemon(m);
        self.run_for(after);
        self.start(m);
    }

    /// Every process of its database is gone.
    pub(crate) fn kill_database(&mut self, m: MemberId) {
        self.note(m, "database is killed by somebody");
        if self.db(m).role() != DbRole::Down {
            self.db_mut(m).dies("is down");
        }
    }

    pub(crate) fn trouble(&mut self, m: MemberId, trouble: Trouble) {
        self.db_mut(m).trouble = trouble;
    }

    /// Nothing passes between the two, WAL included.
    pub(crate) fn cut(&mut self, a: MemberId, b: MemberId) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    pub(crate) fn cut_one_way(&mut self, from: MemberId, to: MemberId) {
        self.cut.insert((from, to));
    }

    pub(crate) fn cut_off(&mut self, m: MemberId) {
        let peers: Vec<MemberId> = self.config.ids().filter(|p| *p != m).collect();
        for p in peers {
            self.cut(m, p);
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(crate) fn is_linked(&self, from: MemberId, to: MemberId) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// These messages get lost from now on.
    pub(crate) fn lose(&mut self, which: impl Fn(&Sent) -> bool + 'static) {
        self.lose = Some(Box::new(which));
    }

    pub(crate) fn lose_nothing(&mut self) {
        self.lose = None;
    }

    pub(crate) fn demote(&mut self, m: MemberId) {
        self.note(m, "operator: demote");
        let command = Command::Demote;
        self.handle(
            m,
            Event::Operator {
                request: 1,
                command,
            },
        );
    }

    /// An operator's word to a member; its newest answer so far.
    pub(crate) fn operator(&mut self, m: MemberId, command: Command) -> Option<CommandOutcome> {
        self.note(m, &format!("operator: {command:?}"));
        self.host_mut(m).replies.clear();
        self.handle(
            m,
            Event::Operator {
                request: 7,
                command,
            },
        );
        self.host(m).replies.last().cloned()
    }

    /// Vouches at `m` for others.
    pub(crate) fn vouch(&mut self, m: MemberId, others: &[MemberId]) -> Option<CommandOutcome> {
        let members = others.to_vec();
        self.operator(
            m,
            Command::Vouch {
                members,
                step: STEP,
            },
        )
    }

    /// Makes the copy at `m` the cluster's database.
    pub(crate) fn adopt(&mut self, m: MemberId) -> Option<CommandOutcome> {
        self.operator(m, Command::Adopt { step: STEP })
    }

    pub(crate) fn stop(&mut self, m: MemberId) {
        self.handle(m, Event::Stop);
    }

    pub(crate) fn disk_hangs(&mut self, m: MemberId, hangs: bool) {
        self.host_mut(m).disk_hangs = hangs;
    }
}
