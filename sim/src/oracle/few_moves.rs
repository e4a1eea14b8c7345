//! Few failovers: the role moves only when the present primary cannot serve, and a healed network never moves it back.
//! Each move needs a cause that could be seen at that time: when the primary ceased to serve, it or what it needs of a
//! majority was in trouble, or had just been, or an operator asked for it.

use crate::scenario::Kind;
use crate::world::World;
use std::fmt;
use yoke_core::record::Term;
use yoke_core::view::RoleView;

/// What can keep a primary from serving.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// Its host is down, or does not run.
    Host,
    Daemon,
    Guard,
    Database,
    Disk,
    Network,
    /// Too many of the others do not answer.
    Majority,
    /// Somebody asked for it.
    Operator,
}

impl Cause {
    const TROUBLES: [Cause; 7] = [
        Cause::Host,
        Cause::Daemon,
        Cause::Guard,
        Cause::Database,
        Cause::Disk,
        Cause::Network,
        Cause::Majority,
    ];

    fn word(self) -> &'static str {
        match self {
            Cause::Host => "(the role moved: host)",
            Cause::Daemon => "(the role moved: daemon)",
            Cause::Guard => "(the role moved: guard)",
            Cause::Database => "(the role moved: database)",
            Cause::Disk => "(the role moved: disk)",
            Cause::Network => "(the role moved: network)",
            Cause::Majority => "(the role moved: no majority)",
            Cause::Operator => "(the role moved: operator)",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// By cause: until when it lasts, as far as can be said.
type Troubles = [u64; Cause::TROUBLES.len()];

/// What came of a host's promotions in one term.
#[derive(Clone, Copy, Debug, Default)]
struct Promotions {
    term: Term,
    /// When the first was ordered of those that came to nothing, or else the last. What ails the host then may well make
    /// it a long one; and what ended it leaves the next one less time, for its leader waits only so long for all of them.
    ordered: u64,
    /// A write was acknowledged since.
    served: bool,
}

/// The last trouble of each host as a primary.
#[derive(Clone, Debug, Default)]
pub(crate) struct FewMoves {
    /// Who was promoted last, and when that was ordered.
    primary: Option<(usize, u64)>,
    /// By host: its last promotions.
    promotions: Vec<Promotions>,
    /// When that one ceased to serve, and what had ailed it by then.
    ended: Option<(u64, Troubles)>,
    /// By host, at the last look.
    troubled_until: Vec<Troubles>,
    /// When an operator's word (R12, R15) last had its effect.
    word: Option<u64>,
    /// Whose record was paused, since no committed record was otherwise.
    pub(crate) paused: Option<usize>,
}

impl FewMoves {
    pub(crate) fn new(members: usize) -> Self {
        FewMoves {
            promotions: vec![Promotions::default(); members],
            troubled_until: vec![Troubles::default(); members],
            ..FewMoves::default()
        }
    }
}

impl World {
    /// What keeps hosts from serving changes now, or has just changed: between two of these it stays as it is, or ends.
    pub(crate) fn look_for_trouble(&mut self) {
        for h in 0..self.hosts.len() {
            let troubles = self.troubles_of(h);
            let last = &mut self.oracles.few_moves.troubled_until[h];
            for (last, until) in last.iter_mut().zip(troubles) {
                if until > self.now {
                    *last = until.max(*last);
                }
            }
        }
    }

    /// A host's database, or its guard with it, has just died; or it finds its state lost.
    pub(crate) fn is_in_trouble(&mut self, h: usize, cause: Cause) {
        let last = &mut self.oracles.few_moves.troubled_until[h][cause as usize];
        *last = self.now.max(*last);
    }

    /// A promotion is ordered.
    pub(crate) fn promotion_begins(&mut self, h: usize) {
        self.look_for_trouble();
        let term = self.hosts[h].server.as_ref().map_or(Term(0), |s| s.term);
        let last = &mut self.oracles.few_moves.promotions[h];
        if last.served || last.term != term {
            // Of a leader that starts its database again what was waited before counts, up to D (R19).
            let waited = match last.term == term {
                true => self.longest_timeout,
                false => 0,
            };
            *last = Promotions {
                term,
                ordered: self.now.saturating_sub(waited),
                served: false,
            };
        }
    }

    /// A host's database acknowledges a write.
    pub(crate) fn serves(&mut self, h: usize) {
        self.oracles.few_moves.promotions[h].served = true;
    }

    /// An operator's word has changed who may serve.
    pub(crate) fn word_has_effect(&mut self) {
        self.oracles.few_moves.word = Some(self.now);
    }

    /// A record is committed.
    pub(crate) fn note_pause(&mut self) {
        let committed = self.oracles.newest_record.committed.as_ref();
        let paused = committed.filter(|record| record.paused);
        let primary = paused.map(|record| usize::from(record.primary.0));
        let known = &mut self.oracles.few_moves.paused;
        *known = known.filter(|_| primary.is_some()).or(primary);
    }

    /// After every event: does the primary serve still?
    pub(crate) fn watch_primary(&mut self) {
        let few_moves = &self.oracles.few_moves;
        let Some((h, _)) = few_moves.primary.filter(|_| few_moves.ended.is_none()) else {
            return;
        };
        let server = self.hosts[h].server.as_ref();
        if !server.is_some_and(|s| s.serving && !s.killed) {
            self.look_for_trouble();
            let few_moves = &mut self.oracles.few_moves;
            few_moves.ended = Some((self.now, few_moves.troubled_until[h]));
        }
    }

    /// Until when what keeps a primary at this host from serving, or from keeping its lease, as far as can be said now.
    fn troubles_of(&self, h: usize) -> Troubles {
        let host = &self.hosts[h];
        // What began while something takes long may end that much later.
        let and_most = |(_, most, until): (u64, u64, u64)| match until > self.now {
            true => until + most,
            false => 0,
        };
        let (late, late_until) = host.late_steps;
        let gone = |is: bool| if is { self.now + 1 } else { 0 };
        let daemon = host.daemon.as_ref().map(|d| d.paused_until);
        let of = |cause: Cause| match cause {
            Cause::Host => host.paused_until.max(gone(!host.up)),
            Cause::Daemon => daemon.unwrap_or(self.now + 1),
            Cause::Guard => host.guard_paused_until.max(and_most((0, late, late_until))),
            Cause::Database => {
                let wedged = host.server.as_ref().is_some_and(|s| s.wedged);
                let hung = host.hung_until.max(gone(wedged));
                hung.max(self.troubled_database(h))
            }
            Cause::Disk => {
                let disk = &host.disk;
                let slow = disk.slow_until.max(disk.full_until);
                host.stalled_until.max(slow).max(and_most(disk.tail))
            }
            Cause::Network => self.net.loss.1.max(and_most(self.net.tail)),
            Cause::Majority => self.without_majority(h),
            Cause::Operator => 0,
        };
        Cause::TROUBLES.map(of)
    }

    /// Until when too many of the others do not answer this host; a majority is there once enough are back.
    fn without_majority(&self, h: usize) -> u64 {
        let now = self.now;
        let mut others: Vec<u64> = (0..self.hosts.len())
            .filter(|other| *other != h)
            .map(|other| {
                let peer = &self.hosts[other];
                let away = peer.daemon.as_ref().map_or(now + 1, |d| d.paused_until);
                let link = self.net.daemons_linked_at(h, other);
                let disk = &peer.disk;
                let stateless = disk.durable.as_ref().is_none_or(|state| state.lost);
                let away = away.max(if stateless { now + 1 } else { 0 });
                let disk = disk.slow_until.max(disk.full_until).max(disk.tail.2);
                let busy = peer.paused_until.max(disk);
                away.max(link).max(busy)
            })
            .collect();
        others.sort_unstable();
        let needed = self.majority() - 1;
        needed.checked_sub(1).map_or(0, |at| others[at])
    }

    /// A promotion has ended.
    pub(crate) fn check_move(&mut self, h: usize) {
        // One that lands when another leads, or led, moves nothing.
        let leads = |host: usize| {
            let glance = self.hosts[host].daemon.as_ref()?.glance();
            (glance.role == RoleView::Leader).then_some(glance.term)
        };
        let committed = self.oracles.newest_record.committed.as_ref();
        let led = committed.map(|record| record.key.term);
        let newest = (0..self.hosts.len()).filter_map(leads).chain(led).max();
        // Of a daemon that is away what counts is the term that it was ordered in.
        let own = match self.hosts[h].daemon.is_some() {
            true => leads(h),
            false => self.hosts[h].server.as_ref().map(|s| s.term),
        };
        if own.is_none() || own < newest {
            return;
        }
        self.watch_primary();
        self.look_for_trouble();
        self.judge_move(h);
    }

    fn judge_move(&mut self, h: usize) {
        let now = self.now;
        let few_moves = &mut self.oracles.few_moves;
        let ended = few_moves.ended.take();
        let Some((old, since)) = few_moves
            .primary
            .replace((h, few_moves.promotions[h].ordered))
        else {
            return;
        };
        let (ended, troubles) = ended.unwrap_or((now, few_moves.troubled_until[old]));
        let word = few_moves.word;
        self.check_stays(h, old);
        if old == h {
            self.observe_return(h, now - ended);
            return;
        }
        if self.oracles.few_moves.paused == Some(old) {
            self.violated(
                "few_moves",
                format!("the role moves from m{old} to m{h} during a pause"),
            );
        }
        // What is over by then no more than this has had its effect just now.
        let just_now = ended.saturating_sub(self.longest_timeout + 1_000_000);
        let from = since.max(just_now);
        let asked =
            ended < self.oracles.handing_over_until || word.is_some_and(|word| word >= since);
        let mut causes = Cause::TROUBLES
            .into_iter()
            .filter(|c| troubles[*c as usize] >= from);
        let cause = if asked {
            Some(Cause::Operator)
        } else {
            causes.next()
        };
        match cause {
            Some(cause) => self.coverage.happened(cause.word()),
            None if self.scenario.kind == Kind::Unbounded => {}
            None => {
                let (since, ended) = ((now - since) / 1000, (now - ended) / 1000);
                self.violated(
                    "few_moves",
                    format!(
                        "the role moves from m{old}, promoted {since} ms ago, to m{h}; when m{old} ceased to serve, {ended} ms ago, nothing ailed it"
                    ),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, Troubles};
    use crate::postgres::server::Server;
    use crate::scenario::{Blow, Links};
    use crate::world::World;
    use yoke_core::postgres::RunId;
    use yoke_core::record::Term;

    /// m0, then, at 20 s, m1 was promoted; every daemon counts as stopped in a still world, so trouble is set by hand.
    fn moved(trouble: impl Fn(&mut World)) -> bool {
        let mut world = World::still();
        world.oracles.few_moves.primary = Some((0, 1_000_000));
        world.now = 20_000_000;
        trouble(&mut world);
        world.judge_move(1);
        world.violation.is_some_and(|v| v.oracle == "few_moves")
    }

    #[test]
    fn a_move_needs_a_cause_when_the_primary_ceases_to_serve() {
        let until = |h: usize, until| {
            move |world: &mut World| {
                world.oracles.few_moves.troubled_until[h][Cause::Disk as usize] = until;
            }
        };
        assert!(moved(|_| {}));
        assert!(!moved(|world| world.is_in_trouble(0, Cause::Database)));
        assert!(!moved(until(0, 20_000_000 - 6_000_000)));
        // What ailed it long before, or ails another, is no cause.
        assert!(moved(until(0, 20_000_000 - 6_000_001)));
        assert!(moved(|world| world.is_in_trouble(1, Cause::Database)));
        // And so is what came only after it had ceased to serve.
        assert!(moved(|world| {
            world.oracles.few_moves.ended = Some((12_000_000, Troubles::default()));
            world.is_in_trouble(0, Cause::Database);
        }));
        let by_hand = |world: &mut World| world.oracles.handing_over_until = 23_000_000;
        assert!(!moved(by_hand));
        assert!(!moved(World::word_has_effect));
    }

    #[test]
    fn what_came_to_nothing_in_a_term_counts_for_its_next_promotion() {
        let since = |served: bool, term: u64| {
            let mut world = World::still();
            for (now, term) in [(10_000_000, 2), (20_000_000, term)] {
                let mut server = Server::new(RunId(now), None, 0);
                server.term = Term(term);
                world.hosts[1].server = Some(server);
                world.now = now;
                world.promotion_begins(1);
                if served {
                    world.serves(1);
                }
            }
            world.oracles.few_moves.promotions[1].ordered
        };
        let d = World::still().scenario.decision_timeout;
        assert_eq!(
            (since(false, 2), since(true, 2), since(false, 3)),
            (10_000_000, 20_000_000 - d, 20_000_000)
        );
    }

    #[test]
    fn what_strikes_at_a_moment_is_seen_though_it_is_over_when_the_role_moves() {
        let mut world = World::still();
        world.strikes(0, Blow::PauseHost, 2_000_000);
        let until = |cause| world.oracles.few_moves.troubled_until[0][cause as usize];
        assert_eq!((until(Cause::Host), until(Cause::Disk)), (2_000_000, 0));
    }

    #[test]
    fn a_lost_majority_is_trouble_and_a_lost_peer_is_none() {
        let mut world = World::still();
        let linked = |world: &World, a, b| world.net.daemons_linked_at(a, b) <= world.now;
        world.net.cut(0, 1, Links::All, 5_000_000);
        assert!(!linked(&world, 0, 1) && !linked(&world, 1, 0) && linked(&world, 0, 2));
    }
}
