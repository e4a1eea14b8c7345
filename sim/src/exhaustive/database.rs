//! A member's database with its steward and guard, as small as S1 allows: what is flushed, by which promotions, under
//! which copy's name, what the gate in force names, and the one order under way (R16).
//!
//! It stands for the steward and for PostgreSQL, and is no part of what is proven: the simulator's own model, and the
//! tests with real PostgreSQL, are for those. Looks cost nothing and are seen at once; an order takes effect at any time.

use yoke_core::config::Config;
use yoke_core::member::MemberId;
use yoke_core::mutant;
use yoke_core::node::canonical::NOW;
use yoke_core::permission::{GuardView, Lasts};
use yoke_core::postgres::{
    Doors, Gate, GateStatus, Lsn, PgState, PgStatus, PgTarget, PrimaryStatus, RunId, StampAge,
    StandbyStatus, SystemId, Timeline, Upstream, Want,
};
use yoke_core::record::{Copy, CopyId, History, Promotion, Term};
use yoke_core::time::Instant;

/// Where the write-ahead log begins.
const BEGIN: u64 = 100;

/// A data directory and, maybe, the server that runs on it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Database {
    pub(super) member: MemberId,
    /// None: given up, to be cloned anew (R11).
    pub(super) copy: Option<CopyId>,
    /// What is flushed: clients' writes by their numbers. One takes one position.
    pub(super) wal: Vec<u8>,
    /// The promotions of this copy.
    pub(super) history: History,
    /// Promotion orders so far.
    orders: u32,
    pub(super) server: Option<Server>,
}

/// A run of the postmaster.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Server {
    pub(super) run: RunId,
    pub(super) role: Role,
    /// The gate in force; none: closed.
    pub(super) gate: Option<Vec<Copy>>,
    /// The term of the order that opened it.
    pub(super) opened_in: Term,
    /// The order under way: it takes effect some time.
    pub(super) under_way: Option<Order>,
    /// The position taken after the proof, once it is proven (R9).
    since: Option<u64>,
    /// The position before the newest gate order (for the mutant).
    before: u64,
    /// The copies that connected in this run, and what each has confirmed.
    pub(super) senders: Vec<(Copy, u64)>,
    /// Its clients' writes that wait for the gate.
    pub(super) waiting: Vec<u8>,
}

/// What a server is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Role {
    Standby {
        of: Option<MemberId>,
    },
    /// Promoted, or about to be, by an order of this term.
    Primary {
        promoted_in: Term,
        done: bool,
    },
}

/// What the steward orders.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Order {
    Start,
    Stop,
    Follow(Option<MemberId>),
    Promote(Term),
    Gate(Term, Option<Vec<Copy>>),
    GiveUp,
    Clone(MemberId),
}

impl Database {
    /// A whole copy at its first promotion.
    pub(super) fn first(member: MemberId, server: Option<Server>) -> Database {
        Database {
            member,
            copy: Some(CopyId(u64::from(member.0) + 1)),
            wal: vec![],
            history: first_history(),
            orders: 0,
            server,
        }
    }

    pub(super) fn named(&self) -> Option<Copy> {
        self.copy.map(|id| Copy {
            member: self.member,
            id,
        })
    }

    /// Where it ends.
    pub(super) fn end(&self) -> u64 {
        BEGIN + self.wal.len() as u64
    }

    pub(super) fn follows(&self) -> Option<MemberId> {
        match self.server.as_ref()?.role {
            Role::Standby { of } => of,
            Role::Primary { .. } => None,
        }
    }

    pub(super) fn is_primary(&self) -> bool {
        self.server
            .as_ref()
            .is_some_and(|s| matches!(s.role, Role::Primary { done: true, .. }))
    }

    /// What the guard sees.
    pub(super) fn guard(&self, view: &mut GuardView) {
        view.run = self.server.as_ref().map(|s| s.run);
        view.serving = self.server.as_ref().and_then(|s| match s.role {
            Role::Primary { promoted_in, .. } => Some(promoted_in),
            Role::Standby { .. } => None,
        });
    }

    /// The steward's next order towards the target. One at a time, but a stop ends what is under way (R16); the guard lets
    /// through what makes or opens a primary under its term's permission alone (R10).
    pub(super) fn next_order(&self, target: &PgTarget, guard: &GuardView) -> Option<Order> {
        let allowed = guard.permission.allows(target.term, NOW);
        let server = self.server.as_ref();
        if let Want::Stopped(_) | Want::Draining = target.want {
            return server.map(|_| Order::Stop);
        }
        if server.is_some_and(|s| s.under_way.is_some()) {
            return None;
        }
        match &target.want {
            Want::Standby { of, may_discard } => match (server, self.copy) {
                (Some(_), None) => Some(Order::Stop),
                (None, None) => match of {
                    Upstream::Member(m) => Some(Order::Clone(*m)),
                    _ => None,
                },
                (None, Some(_)) => Some(Order::Start),
                (Some(server), Some(_)) => match server.role {
                    Role::Primary { .. } => Some(Order::Stop),
                    Role::Standby { of: now } => match of {
                        Upstream::AsFound => None,
                        Upstream::Nobody => now.map(|_| Order::Follow(None)),
                        Upstream::Member(m) => {
                            let primary = &target.record.as_ref()?.promotions;
                            let fits = self.history.fits(Lsn(self.end()), primary);
                            match (fits, may_discard) {
                                (true, _) => (now != Some(*m)).then_some(Order::Follow(Some(*m))),
                                (false, true) => Some(Order::GiveUp),
                                (false, false) => None,
                            }
                        }
                    },
                },
            },
            Want::Primary { gate, .. } => match server.map(|s| (s, &s.role)) {
                None => self.copy.map(|_| Order::Start),
                Some((_, Role::Standby { .. })) => allowed.then_some(Order::Promote(target.term)),
                Some((_, Role::Primary { done: false, .. })) => None,
                Some((server, _)) => match gate {
                    Gate::AsFound => None,
                    Gate::Closed => server.gate.as_ref().map(|_| Order::Gate(target.term, None)),
                    Gate::Open(names) => (server.gate.as_ref() != Some(names) && allowed)
                        .then(|| Order::Gate(target.term, Some(names.clone()))),
                },
            },
            Want::Nothing | Want::Stopped(_) | Want::Draining => None,
        }
    }

    /// Begins an order; all but a promotion and an opening gate have their effect at once. A clone is the caller's.
    pub(super) fn begin(&mut self, order: &Order) {
        let end = self.end();
        match order {
            Order::Start => {
                self.server = Some(Server::standby(RunId(1_000)));
            }
            Order::Stop => self.server = None,
            Order::GiveUp => {
                self.copy = None;
                self.server = None;
            }
            Order::Follow(of) => {
                if let Some(server) = &mut self.server {
                    server.role = Role::Standby { of: *of };
                }
            }
            Order::Promote(term) => {
                self.orders += 1;
                if let Some(server) = &mut self.server {
                    server.role = Role::Primary {
                        promoted_in: *term,
                        done: false,
                    };
                    server.under_way = Some(order.clone());
                }
            }
            Order::Gate(_, None) => {
                if let Some(server) = &mut self.server {
                    server.gate = None;
                    server.since = None;
                }
            }
            Order::Gate(..) => {
                if let Some(server) = &mut self.server {
                    server.before = end;
                    server.since = None;
                    server.under_way = Some(order.clone());
                }
            }
            Order::Clone(_) => {}
        }
    }

    /// The order under way takes effect.
    pub(super) fn take_effect(&mut self, config: &Config) {
        let end = self.end();
        let Some(server) = &mut self.server else {
            return;
        };
        match server.under_way.take() {
            Some(Order::Promote(term)) => {
                server.role = Role::Primary {
                    promoted_in: term,
                    done: true,
                };
                // R7: closed in every file that PostgreSQL reads, also where it never was primary.
                server.gate = mutant!(config, R7OpenAtPromotion).then(Vec::new);
                server.opened_in = term;
                let newest = self.history.last().map_or(Timeline(1), |p| p.timeline);
                self.history = self.history.with(Promotion {
                    timeline: Timeline(newest.0 + 1),
                    start: Lsn(end),
                    term,
                    n: self.orders,
                });
            }
            Some(Order::Gate(term, names)) => {
                server.gate = names;
                server.opened_in = term;
            }
            _ => {}
        }
    }

    /// The position counts from the earliest moment that it may: once the gate names streaming copies alone (R9).
    pub(super) fn prove(&mut self, config: &Config, streaming: &[Copy]) {
        let end = self.end();
        let Some(server) = &mut self.server else {
            return;
        };
        if let Some(names) = &server.gate
            && server.since.is_none()
            && server.under_way.is_none()
            && names.iter().all(|n| streaming.contains(n))
        {
            server.since = Some(if mutant!(config, R9PositionBeforeProof) {
                server.before
            } else {
                end
            });
        }
    }

    /// The clients' writes that the gate in force lets through now.
    pub(super) fn let_through(&mut self) -> Vec<u8> {
        let wal = &self.wal;
        let Some(server) = &mut self.server else {
            return vec![];
        };
        let Some(names) = &server.gate else {
            return vec![];
        };
        let senders = &server.senders;
        let confirmed = names
            .iter()
            .map(|n| {
                let sender = senders.iter().find(|(copy, _)| copy == n);
                sender.map_or(0, |(_, flushed)| *flushed)
            })
            .min()
            .unwrap_or(u64::MAX);
        let passes = |write: &u8| {
            let at = wal.iter().position(|w| w == write);
            at.is_some_and(|at| BEGIN + (at as u64) < confirmed)
        };
        let (through, waiting) = server.waiting.iter().partition(|w| passes(w));
        server.waiting = waiting;
        through
    }

    /// What the steward says of it. `streaming`: the copies that stream from it.
    pub(super) fn status(&self, target: u64, now: Instant, streaming: &[Copy]) -> PgStatus {
        let state = match &self.server {
            None if self.copy.is_none() => PgState::NoData,
            None => PgState::Stopped {
                shutdown_checkpoint: None,
            },
            Some(server) => match &server.role {
                Role::Standby { of } => PgState::Standby {
                    of: *of,
                    streaming: false,
                    replay_paused: false,
                    drained: true,
                },
                Role::Primary { done: false, .. } => PgState::Promoting,
                Role::Primary { promoted_in, .. } => PgState::Primary(PrimaryStatus {
                    promoted_in: *promoted_in,
                    recovery_end: Lsn(BEGIN),
                    gate: server.gate_status(),
                    doors: Doors::Closed,
                    standbys: streaming
                        .iter()
                        .filter_map(|c| server.senders.iter().find(|(copy, _)| copy == c))
                        .map(|(copy, flushed)| StandbyStatus {
                            copy: *copy,
                            streaming: true,
                            flushed: Lsn(*flushed),
                        })
                        .collect(),
                    wrote_at: now,
                }),
            },
        };
        let term = self.history.newest().0;
        PgStatus {
            target,
            run: self.server.as_ref().map_or(RunId(0), |s| s.run),
            system_id: Some(SystemId(1)),
            copy: self.copy,
            stamped: self.copy.is_some(),
            stamp: self.copy.map(|_| StampAge { record: None, term }),
            history: self.history.clone(),
            // Nobody adopts there.
            made_newest: false,
            state,
            end: Lsn(self.end()),
            fault: None,
            notes: vec![],
        }
    }

    /// What a clone of this primary holds.
    pub(super) fn cloned_to(&self, member: MemberId, id: CopyId) -> Database {
        Database {
            member,
            copy: Some(id),
            wal: self.wal.clone(),
            history: self.history.clone(),
            orders: 0,
            server: None,
        }
    }

    /// Whether all that `other` holds is the beginning of what this holds.
    pub(super) fn continues(&self, other: &Database) -> bool {
        self.wal.starts_with(&other.wal) && other.history.fits(Lsn(other.end()), &self.history)
    }
}

impl Server {
    fn standby(run: RunId) -> Server {
        Server {
            run,
            role: Role::Standby { of: None },
            gate: None,
            opened_in: Term(0),
            under_way: None,
            since: None,
            before: 0,
            senders: vec![],
            waiting: vec![],
        }
    }

    /// A standby that follows.
    pub(super) fn following(of: MemberId) -> Server {
        Server {
            role: Role::Standby { of: Some(of) },
            ..Server::standby(RunId(1))
        }
    }

    /// The first term's primary, serving.
    pub(super) fn serving(gate: Vec<Copy>) -> Server {
        Server {
            role: Role::Primary {
                promoted_in: Term(1),
                done: true,
            },
            gate: Some(gate),
            opened_in: Term(1),
            ..Server::standby(RunId(1))
        }
    }

    fn gate_status(&self) -> GateStatus {
        match (&self.gate, self.since) {
            _ if self.under_way.is_some() => GateStatus::Unproven,
            (None, _) => GateStatus::Closed,
            (Some(names), Some(since)) => GateStatus::Open {
                names: names.clone(),
                since: Lsn(since),
            },
            _ => GateStatus::Unproven,
        }
    }
}

/// The promotion that began the database.
pub(super) fn first_history() -> History {
    History::from(vec![Promotion {
        timeline: Timeline(2),
        start: Lsn(BEGIN),
        term: Term(1),
        n: 1,
    }])
}

/// The permission of the first term's leader.
pub(super) fn first_permission(lone: bool, end: Instant) -> yoke_core::permission::Permission {
    yoke_core::permission::Permission {
        term: Term(1),
        serial: 1,
        lasts: if lone {
            Lasts::Unbounded
        } else {
            Lasts::Until(end)
        },
    }
}
