//! What happens to the three databases: orders, writes, flushes, confirmations.

use super::database::{Database, Order};
use super::world::World;
use yoke_core::member::MemberId;
use yoke_core::node::canonical::NOW;
use yoke_core::record::{Copy, CopyId};

impl World {
    pub(super) fn database(&self, h: usize) -> Option<&Database> {
        self.hosts[h].database.as_ref()
    }

    /// The copies that stream from this host's primary.
    pub(super) fn streaming(&self, h: usize) -> Vec<Copy> {
        let Some(server) = self
            .database(h)
            .filter(|d| d.is_primary())
            .and_then(|d| d.server.as_ref())
        else {
            return vec![];
        };
        let mut all: Vec<Copy> = self
            .hosts
            .iter()
            .filter_map(|other| other.database.as_ref())
            .filter(|db| db.follows() == Some(MemberId(h as u8)))
            .filter_map(Database::named)
            .filter(|copy| server.senders.iter().any(|(c, _)| c == copy))
            .collect();
        all.sort_unstable();
        all
    }

    pub(super) fn next_order(&self, h: usize) -> Option<Order> {
        let host = &self.hosts[h];
        let order = host
            .database
            .as_ref()?
            .next_order(host.target.as_deref()?, &host.guard)?;
        match &order {
            Order::Clone(from) => {
                let whole = self
                    .database(usize::from(from.0))
                    .is_some_and(Database::is_primary);
                whole.then_some(order)
            }
            Order::GiveUp if self.discards >= self.scope.discards => None,
            _ => Some(order),
        }
    }

    /// Whether it happens as soon as it may: what makes no primary, ends none, and drops nothing.
    pub(super) fn is_prompt(&self, h: usize, order: &Order) -> bool {
        match order {
            Order::Start | Order::Follow(_) => true,
            Order::Stop => self.hosts[h].guard.serving.is_none(),
            _ => false,
        }
    }

    pub(super) fn order(&mut self, h: usize, order: Order) {
        if order == Order::GiveUp {
            self.discards += 1;
        }
        if let Order::Clone(from) = &order {
            let id = CopyId(10 * u64::from(self.discards) + h as u64);
            let source = self.database(usize::from(from.0));
            let cloned = source.map(|s| s.cloned_to(MemberId(h as u8), id));
            self.host(h).database = cloned;
            return;
        }
        if let Some(db) = &mut self.host(h).database {
            db.begin(&order);
        }
    }

    pub(super) fn has_order_under_way(&self, h: usize) -> bool {
        self.database(h)
            .and_then(|d| d.server.as_ref())
            .is_some_and(|s| s.under_way.is_some())
    }

    pub(super) fn take_effect(&mut self, h: usize) {
        let host = self.host(h);
        let config = host.node.config().clone();
        if let Some(db) = &mut host.database {
            db.take_effect(&config);
        }
    }

    /// The guard may fence: something serves, or is about to, on a permission that is over (R10).
    pub(super) fn may_fence(&self, h: usize) -> bool {
        let guard = &self.hosts[h].guard;
        guard.serving.is_some() && guard.permission.is_over(NOW)
    }

    pub(super) fn fence(&mut self, h: usize) {
        if let Some(db) = &mut self.host(h).database {
            db.server = None;
        }
    }

    pub(super) fn may_write(&self, h: usize) -> bool {
        self.writes < self.scope.writes
            && self.database(h).is_some_and(|d| {
                d.is_primary() && d.server.as_ref().is_some_and(|s| s.gate.is_some())
            })
    }

    pub(super) fn write(&mut self, h: usize) {
        self.writes += 1;
        let write = self.writes;
        if let Some(db) = &mut self.host(h).database {
            db.wal.push(write);
            if let Some(server) = &mut db.server {
                server.waiting.push(write);
            }
        }
    }

    /// Whether this host's standby has something to fetch from the primary that it follows, and may.
    pub(super) fn can_flush(&self, h: usize) -> bool {
        let Some((db, from)) = self.database(h).and_then(|d| Some((d, d.follows()?))) else {
            return false;
        };
        let Some(source) = self
            .database(usize::from(from.0))
            .filter(|d| d.is_primary())
        else {
            return false;
        };
        let known = source
            .server
            .as_ref()
            .is_some_and(|s| s.senders.iter().any(|(copy, _)| Some(*copy) == db.named()));
        let same = db.wal == source.wal && db.history == source.history;
        source.continues(db) && !(same && known)
    }

    /// It flushes all that its primary holds; its confirmation is under way.
    pub(super) fn flush(&mut self, h: usize) {
        let Some((from, copy)) = self
            .database(h)
            .and_then(|d| Some((d.follows()?, d.named()?)))
        else {
            return;
        };
        let source = &self.hosts[usize::from(from.0)].database;
        let Some((wal, history)) = source.as_ref().map(|s| (s.wal.clone(), s.history.clone()))
        else {
            return;
        };
        if let Some(db) = &mut self.host(h).database {
            db.wal = wal;
            db.history = history;
        }
        let end = self.database(h).map_or(0, Database::end);
        let primary = self.host(usize::from(from.0));
        if let Some(server) = primary.database.as_mut().and_then(|d| d.server.as_mut())
            && server.senders.iter().all(|(c, _)| *c != copy)
        {
            server.senders.push((copy, 0));
            server.senders.sort_unstable();
        }
        self.confirmations
            .retain(|(to, c, _)| (*to, *c) != (from, copy));
        self.confirmations.push((from, copy, end));
        self.confirmations.sort_unstable();
    }

    /// A walsender hears how far its standby has flushed.
    pub(super) fn confirm(&mut self, to: MemberId, copy: Copy, flushed: u64) {
        let host = self.host(usize::from(to.0));
        if let Some(server) = host.database.as_mut().and_then(|d| d.server.as_mut())
            && let Some(sender) = server.senders.iter_mut().find(|(c, _)| *c == copy)
        {
            sender.1 = sender.1.max(flushed);
        }
    }
}
