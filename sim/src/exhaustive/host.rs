//! One of the three hosts: what it holds, what its node is told, and its canonical form.

use super::database::Database;
use super::print::Print;
use std::hash::Hash;
use std::sync::Arc;
use yoke_core::node::canonical::NOW;
use yoke_core::permission::GuardView;
use yoke_core::postgres::{PgStatus, PgTarget};
use yoke_core::record::Copy;
use yoke_core::{Boot, Config, Event, HardState, Instant, Node};

/// One host.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) node: Node,
    /// The state file.
    pub(super) disk: Option<HardState>,
    pub(super) guard: GuardView,
    pub(super) database: Option<Database>,
    pub(super) target: Option<Arc<PgTarget>>,
    /// What the node was told of its database last.
    pub(super) told: Option<PgStatus>,
    pub(super) told_guard: GuardView,
    /// State files lost: makes the nonces of its starts.
    pub(super) losses: u64,
    pub(super) leads: bool,
    pub(super) now: Instant,
    pub(super) touched: bool,
    pub(super) print: u128,
}

impl Host {
    pub(super) fn start(
        config: Config,
        state: Option<HardState>,
        guard: GuardView,
        database: Option<Database>,
        losses: u64,
    ) -> Host {
        let boot = Boot {
            now: NOW,
            nonce: (losses + 1) << 8,
            guard,
        };
        Host {
            node: Node::new(config, state.clone(), boot),
            disk: state,
            guard,
            database,
            target: None,
            told: None,
            told_guard: guard,
            losses,
            leads: false,
            now: NOW,
            touched: true,
            print: 0,
        }
    }

    /// Whether guard or database are not what the node was told.
    pub(super) fn has_news(&self, streaming: &[Copy]) -> bool {
        let mut guard = self.guard;
        let Some(db) = &self.database else {
            return guard != self.told_guard;
        };
        db.guard(&mut guard);
        let target = self.target.as_ref().map_or(0, |t| t.seq);
        guard != self.told_guard
            || self.told.as_ref() != Some(&db.status(target, self.now, streaming))
    }

    /// Tells the node what changed of its guard and its database; false: nothing did.
    pub(super) fn tell(&mut self, streaming: &[Copy]) -> bool {
        let Some(db) = &self.database else {
            if self.guard == self.told_guard {
                return false;
            }
            self.told_guard = self.guard;
            self.node.handle(self.now, Event::Guard(self.guard));
            return true;
        };
        db.guard(&mut self.guard);
        let target = self.target.as_ref().map_or(0, |t| t.seq);
        let status = db.status(target, self.now, streaming);
        let guard_changed = self.guard != self.told_guard;
        if guard_changed {
            self.told_guard = self.guard;
            self.node.handle(self.now, Event::Guard(self.guard));
        }
        if self.told.as_ref() == Some(&status) {
            return guard_changed;
        }
        self.told = Some(status.clone());
        self.node
            .handle(self.now, Event::Postgres(Box::new(status)));
        true
    }

    /// The state that stands for this one.
    pub(super) fn canonical(&mut self) {
        let lease = self.node.config().lease();
        self.guard.canonical(self.now, lease);
        let runs = self.node.canonical();
        let rank = |run: yoke_core::postgres::RunId| {
            yoke_core::postgres::RunId(runs.binary_search(&run).map_or(run.0, |r| r as u64 + 1))
        };
        self.guard.run = self.guard.run.map(rank);
        if let Some(server) = self.database.as_mut().and_then(|d| d.server.as_mut()) {
            server.run = rank(server.run);
        }
        if let Some(target) = &mut self.target {
            let run = target.run.map(rank);
            if (target.seq, target.run) != (1, run) {
                let target = Arc::make_mut(target);
                (target.seq, target.run) = (1, run);
            }
        }
        self.told_guard = self.guard;
        self.now = NOW;
        let view = self.node.view();
        self.leads = view.role == yoke_core::view::RoleView::Leader;
        self.told = self.database.is_some().then_some(view.postgres);
        if let Some(disk) = &mut self.disk {
            disk.writes = 0;
            disk.noted = None;
        }
        self.touched = false;
        let mut print = Print(2);
        self.node.hash(&mut print);
        self.disk.hash(&mut print);
        self.database.hash(&mut print);
        self.losses.hash(&mut print);
        self.print = print.0;
    }
}
