//! Few failovers: the role moves only when the present primary cannot serve, and a healed network never moves it back.
//! Each move needs a cause that could be seen: since it was promoted the primary, or what it needs of a majority, was in
//! trouble, or an operator asked for it.

use crate::scenario::Kind;
use crate::world::World;
use yoke_core::view::RoleView;

/// The last trouble of each host as a primary.
#[derive(Clone, Debug, Default)]
pub(crate) struct FewMoves {
    /// Who was promoted last, and when.
    primary: Option<(usize, u64)>,
    /// By host: until when it could not serve, at the last look.
    troubled_until: Vec<u64>,
}

impl FewMoves {
    pub(crate) fn new(members: usize) -> Self {
        FewMoves {
            primary: None,
            troubled_until: vec![0; members],
        }
    }
}

impl World {
    /// What keeps hosts from serving changes now, or has just changed: between two of these it stays as it is, or ends.
    pub(crate) fn look_for_trouble(&mut self) {
        for h in 0..self.hosts.len() {
            if let Some(until) = self.troubled_until(h) {
                let last = &mut self.oracles.few_moves.troubled_until[h];
                *last = (*last).max(until);
            }
        }
    }

    /// Something happens to one host's processes.
    pub(crate) fn is_in_trouble(&mut self, h: usize) {
        let last = &mut self.oracles.few_moves.troubled_until[h];
        *last = (*last).max(self.now);
    }

    /// Until when a primary at this host cannot serve or cannot keep its lease, as far as can be said now; none: it can.
    fn troubled_until(&self, h: usize) -> Option<u64> {
        let now = self.now;
        let host = &self.hosts[h];
        let own = [
            host.paused_until,
            host.hung_until,
            host.stalled_until,
            host.disk.slow_until,
            host.disk.full_until,
            host.disk.tail.2,
            host.guard_paused_until,
            host.late_steps.1,
            self.troubled_database(h),
            host.daemon.as_ref().map_or(now + 1, |d| d.paused_until),
            self.net.loss.1,
            self.net.tail.2,
        ];
        let until = own.into_iter().max().filter(|until| *until > now);
        // Everything that keeps each of the others from answering; a majority is there once enough are back.
        let mut others: Vec<u64> = (0..self.hosts.len())
            .filter(|other| *other != h)
            .map(|other| {
                let peer = &self.hosts[other];
                let away = peer.daemon.as_ref().map_or(now + 1, |d| d.paused_until);
                let link = self.net.daemons_linked_at(h, other);
                let disk = &peer.disk;
                let disk = disk.slow_until.max(disk.full_until).max(disk.tail.2);
                let busy = peer.paused_until.max(disk);
                away.max(link).max(busy)
            })
            .collect();
        others.sort_unstable();
        let needed = host.config.majority() - 1;
        let majority = needed.checked_sub(1).map_or(0, |at| others[at]);
        until.max(Some(majority).filter(|until| *until > now))
    }

    /// A promotion has ended.
    pub(crate) fn check_move(&mut self, h: usize) {
        // One that lands when another leads moves nothing.
        let leads = |host: usize| {
            let daemon = self.hosts[host].daemon.as_ref()?;
            let glance = daemon.node.glance();
            (glance.role == RoleView::Leader).then_some(glance.term)
        };
        let newest = (0..self.hosts.len()).filter_map(leads).max();
        if self.hosts[h].daemon.is_some() && (leads(h).is_none() || leads(h) < newest) {
            return;
        }
        self.look_for_trouble();
        self.judge_move(h);
    }

    fn judge_move(&mut self, h: usize) {
        let now = self.now;
        let few_moves = &mut self.oracles.few_moves;
        let Some((old, since)) = few_moves.primary.replace((h, now)) else {
            return;
        };
        let asked = now < self.oracles.handing_over_until
            || self.coverage.vouched + self.coverage.adopted > 0;
        let justified = few_moves.troubled_until[old] >= since || asked;
        self.check_stays(h, old);
        if old != h && !justified && self.scenario.kind != Kind::Unbounded {
            let since = (now - since) / 1000;
            self.violated(
                "few_moves",
                format!("the role moves from m{old}, primary for {since} ms, to m{h}, and nothing ailed m{old}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::Links;
    use crate::world::World;

    /// m0, then m1, was promoted; every daemon counts as stopped in a still world, so trouble is set by hand.
    fn moved(trouble: impl Fn(&mut World)) -> bool {
        let mut world = World::still();
        world.oracles.few_moves.primary = Some((0, 1_000_000));
        world.now = 2_000_000;
        trouble(&mut world);
        world.judge_move(1);
        world.violation.is_some_and(|v| v.oracle == "few_moves")
    }

    #[test]
    fn a_move_needs_a_cause_since_the_primary_was_promoted() {
        assert!(moved(|_| {}));
        assert!(!moved(|world| world.is_in_trouble(0)));
        // What ailed it before, or ails another, is no cause.
        assert!(moved(
            |world| world.oracles.few_moves.troubled_until[0] = 999_999
        ));
        assert!(moved(|world| world.is_in_trouble(1)));
        let by_hand = |world: &mut World| world.oracles.handing_over_until = 3_000_000;
        assert!(!moved(by_hand));
    }

    #[test]
    fn a_lost_majority_is_trouble_and_a_lost_peer_is_none() {
        let mut world = World::still();
        let linked = |world: &World, a, b| world.net.daemons_linked_at(a, b) <= world.now;
        world.net.cut(0, 1, Links::All, 5_000_000);
        assert!(!linked(&world, 0, 1) && !linked(&world, 1, 0) && linked(&world, 0, 2));
    }
}
