//! L on a network that stands as it is: some hosts are down and some links cut, until all heals. Where L promises it
//! writes go on within its bound; where it does not the role stays. A lone primary that runs serves on in any case.

use crate::scenario::{Kind, Scenario, What};
use crate::trouble::Trouble;
use crate::world::World;
use yoke_core::record::Record;

/// What is promised from the last fault on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    stands: bool,
    /// From when on writes go on; none: that is not promised.
    by: Option<u64>,
    /// When the last write was acknowledged; at first, when the network became what it is.
    last: u64,
}

/// A host that is down no longer than this only restarts.
const RESTART: u64 = 1_000_000;
const SECOND: u64 = 1_000_000;

/// Whether the fault is a host's, and how long it is down.
fn downtime(scenario: &Scenario, h: usize) -> Option<u64> {
    scenario.faults.iter().find_map(|fault| match fault.what {
        What::Host(target, _, down) if target == crate::scenario::Target::Member(h) => Some(down),
        _ => None,
    })
}

impl World {
    /// A fault has come: if it was the last one, what does L promise from here on?
    pub(crate) fn network_stands(&mut self, number: usize) {
        if self.scenario.kind != Kind::Network || number + 1 != self.scenario.faults.len() {
            return;
        }
        let now = self.now;
        // A record that is on its way to a disk just then, or from one, is known to its member or is not: L's words fit
        // neither.
        let committed = self.oracles.newest_record.committed.as_ref().map(|r| r.key);
        let on_its_way = |host: &crate::host::Host| {
            let record = |s: &yoke_core::HardState| s.record.as_ref().map(|r| r.key);
            let disk = &host.disk;
            let mut coming = [&disk.next, &disk.under_way].into_iter().flatten();
            let durable = disk.durable.as_deref().and_then(record);
            durable > committed || coming.any(|(_, state)| record(state) != durable)
        };
        if self.hosts.iter().any(on_its_way) {
            return;
        }
        let by = self.is_promised().map(|within| now + within);
        self.coverage.promised.0 += u64::from(by.is_some());
        self.oracles.standing = Standing {
            stands: true,
            by,
            last: now,
        };
    }

    /// L's own words: within what time, counted from now, is there a writable primary?
    fn is_promised(&self) -> Option<u64> {
        let (now, all) = (self.now, 0..self.hosts.len());
        let restarts = |h: usize| downtime(&self.scenario, h).is_some_and(|down| down <= RESTART);
        let is_up = |h: usize| self.hosts[h].up || restarts(h);
        // What cannot serve, and does not say so: its leader has D for it.
        let unable = |h: usize| {
            let stalled = self.hosts[h].stalled_until > now;
            is_up(h) && (stalled || self.is_troubled(h, Trouble::SlowPromotion))
        };
        let works = |h: usize| {
            let runs = self.hosts[h].server.as_ref().is_some_and(|s| !s.killed);
            is_up(h) && (restarts(h) || runs) && !unable(h)
        };
        // A running lone primary goes on serving even when it can reach nobody.
        let lone = self.oracles.newest_record.committed.as_ref();
        if let Some(record) = lone.filter(|record| record.is_lone()) {
            let server = self.hosts[usize::from(record.primary.0)].server.as_ref();
            if server.is_some_and(|s| s.serving && s.writable() && !s.hung) {
                return Some(SECOND);
            }
        }
        // A majority with state that reach each other both ways, one of them with a working database whose copy the newest
        // record among them names.
        let passes = |a: usize, b: usize| self.passes(a, b) && self.passes(b, a);
        let keeps = |set: usize| {
            let members: Vec<usize> = all.clone().filter(|h| set >> h & 1 == 1).collect();
            let linked = members
                .iter()
                .all(|a| is_up(*a) && members.iter().all(|b| a == b || passes(*a, *b)));
            let state = |h: &usize| {
                let state = self.hosts[*h].disk.durable.as_deref()?;
                state.record.as_deref()
            };
            let newest: Option<&Record> = members.iter().filter_map(state).max_by_key(|r| r.key);
            let named = |h: &usize| {
                let storage = &self.hosts[*h].storage;
                let dir = storage.directory.as_ref().filter(|_| !storage.rewriting);
                let copies = newest.into_iter().flat_map(|record| &record.in_sync);
                let mut own = copies.filter(|copy| usize::from(copy.member.0) == *h);
                works(*h) && own.any(|copy| dir.is_some_and(|dir| dir.is(copy.id)))
            };
            members.len() >= self.majority() && linked && members.iter().any(named)
        };
        let promised = (1..1usize << self.hosts.len()).any(keeps);
        let d = self.longest_timeout;
        let started = all.clone().any(restarts);
        let unable = all.clone().any(unable);
        let one_way = all.clone().any(|a| {
            let mut others = all.clone().filter(|b| is_up(a) && is_up(*b));
            others.any(|b| a != b && self.passes(a, b) != self.passes(b, a))
        });
        let lease = self.lease(0).0;
        let within =
            d * (1 + u64::from(started) + u64::from(unable)) + SECOND + lease * u64::from(one_way);
        promised.then_some(within)
    }

    /// A write was acknowledged, or the standing network heals.
    pub(crate) fn check_standing(&mut self) {
        let now = self.now;
        let patience = self.scenario.sync_timeout + SECOND;
        let standing = &mut self.oracles.standing;
        let Some(by) = standing.by.filter(|_| standing.stands) else {
            return;
        };
        let gap = now - standing.last;
        standing.last = now;
        self.coverage.promised.1 = self.coverage.promised.1.max(gap);
        // Before they are due writes may stop for as long as a failover takes, after that for as long as a shrink does.
        if now > by && gap > patience {
            let (gap, late) = (gap / 1000, (now - by) / 1000);
            self.violated(
                "standing",
                format!(
                    "L promises writes on this network: none for {gap} ms, and {late} ms after they were due"
                ),
            );
        }
    }

    /// A promotion has ended: where nothing is promised the role stays.
    pub(crate) fn check_stays(&mut self, h: usize, old: usize) {
        let standing = &self.oracles.standing;
        if standing.stands && standing.by.is_none() && !self.healed && old != h {
            self.violated(
                "standing",
                format!(
                    "L promises nothing on this network, and the role moves from m{old} to m{h}"
                ),
            );
        }
    }
}
