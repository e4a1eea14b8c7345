//! The decision loop of 2015 as a driver of the same simulator: a monitor that is polled by two nodes; who is primary is
//! decided by who sees whom. No votes, no lease, no gate: what the oracles say of it is what they are worth.
//!
//! Kept as it was: the polls, the secondary that promotes itself once it has not seen the primary for `decision_timeout`
//! and the monitor, which it does see, does not see it either; a primary that goes on whatever it sees; a returning one
//! that copies the data of whoever is primary now. Left out: its wire format, hooks and virtual address; rsync is our
//! clone. The cluster that it begins with is made by our genesis, and our guard and steward carry out what it wants.

use std::collections::VecDeque;
use std::sync::Arc;
use yoke_core::event::Event;
use yoke_core::member::MemberId;
use yoke_core::message::{Body, Message, Reached};
use yoke_core::permission::{GuardView, Lasts, Permission};
use yoke_core::postgres::{Doors, Gate, PgState, PgStatus, PgTarget, Upstream, Want};
use yoke_core::record::{Copy, CopyId, Record, RecordKey, Term};
use yoke_core::view::{Glance, RoleView};
use yoke_core::{Action, Config, Duration, HardState, Instant};

/// One node, or the monitor, of 2015.
#[derive(Debug)]
pub(crate) struct Original {
    config: Config,
    state: HardState,
    pg: PgStatus,
    guard: GuardView,
    /// By member: when it last answered, and whether it saw the primary then.
    seen: Vec<(Instant, bool)>,
    /// By member: the copy that it last said it has. Each may stream, as in 2015: a primary has a slot for each.
    copies: Vec<Option<CopyId>>,
    next_poll: Instant,
    /// Counts targets and states, far above those of the node that made the cluster.
    count: u64,
    target: Option<PgTarget>,
    actions: VecDeque<Action>,
}

impl Original {
    /// Takes over a cluster that is set up.
    pub(crate) fn new(
        now: Instant,
        config: Config,
        state: HardState,
        pg: PgStatus,
        guard: GuardView,
    ) -> Self {
        let record = state.record.as_ref();
        let copy_of = |m: MemberId| Some(record?.copy_of(m)?.id);
        Original {
            seen: vec![(now, true); config.members.len()],
            copies: (0..config.members.len())
                .map(|m| copy_of(MemberId(m as u8)))
                .collect(),
            config,
            state,
            pg,
            guard,
            next_poll: now,
            count: 1 << 40,
            target: None,
            actions: VecDeque::new(),
        }
    }

    pub(crate) fn handle(&mut self, now: Instant, event: Event) {
        match event {
            Event::Received { from, message } => self.on_message(now, from, *message),
            Event::Postgres(status) => self.pg = *status,
            Event::Guard(view) => self.guard = view,
            Event::Stop => self.actions.push_back(Action::Exit),
            Event::Timeout | Event::Persisted { .. } | Event::Operator { .. } => {}
        }
        if now >= self.next_poll {
            self.next_poll = now + self.config.heartbeat();
            for peer in self.config.peers() {
                self.send(peer, Body::Ask { nonce: 0 });
            }
        }
        self.decide(now);
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        Some(self.next_poll)
    }

    pub(crate) fn glance(&self) -> Glance<'_> {
        let record = self.state.record.as_ref();
        let primary = record.map(|r| r.primary);
        Glance {
            me: self.config.me,
            role: match primary == Some(self.config.me) {
                true => RoleView::Leader,
                false => RoleView::Follower,
            },
            term: self.state.term,
            leader: primary,
            record,
            committed: record.map(|r| r.key),
            postgres: &self.pg,
            growing: &[],
        }
    }

    fn sees(&self, now: Instant, member: MemberId) -> bool {
        let patience = self.config.decision_timeout;
        member == self.config.me || now.since(self.seen[usize::from(member.0)].0) < patience
    }

    fn on_message(&mut self, now: Instant, from: MemberId, message: Message) {
        match message.body {
            Body::Ask { .. } => {
                let record = self.state.record.clone();
                let answer = Body::Answer {
                    nonce: 0,
                    has_state: true,
                    stamped: self.pg.stamped,
                    lone: false,
                    hears: record.as_ref().is_some_and(|r| self.sees(now, r.primary)),
                    reached: self.pg.copy.map(|copy| Reached {
                        copy,
                        end: self.pg.end,
                        promotion: self.pg.history.newest(),
                    }),
                    made_newest: self.pg.made_newest,
                    promise: Duration::ZERO,
                    record,
                };
                self.send(from, answer);
            }
            Body::Answer {
                hears,
                record,
                reached,
                ..
            } => {
                self.seen[usize::from(from.0)] = (now, hears);
                self.copies[usize::from(from.0)] = reached.map(|r| r.copy);
                let newer =
                    |r: &Arc<Record>| Some(r.key) > self.state.record.as_ref().map(|r| r.key);
                if let Some(record) = record.filter(newer) {
                    self.take(record);
                }
            }
            _ => {}
        }
    }

    fn decide(&mut self, now: Instant) {
        let me = self.config.me;
        let Some(record) = self.state.record.clone() else {
            return;
        };
        let own = self.pg.copy.map(|id| Copy { member: me, id });
        let runs = matches!(self.pg.state, PgState::Standby { .. });
        let monitor = |m: MemberId| {
            m != record.primary && self.sees(now, m) && !self.seen[usize::from(m.0)].1
        };
        let promotes = runs && !self.sees(now, record.primary) && self.config.peers().any(monitor);
        if record.primary == me || promotes {
            let term = Term(record.key.term.0 + u64::from(promotes));
            let Some(own) = own else { return };
            let mine = Record {
                primary: me,
                in_sync: vec![own],
                promotions: self.pg.history.clone(),
                ..Record::clone(&record)
            };
            let primary = matches!(self.pg.state, PgState::Primary(_));
            if promotes || (primary && mine != *record) {
                let version = record.key.version + 1;
                self.take(Arc::new(Record {
                    key: RecordKey { term, version },
                    ..mine
                }));
            }
            let held = self.guard.permission;
            if (held.term, held.lasts) != (term, Lasts::Unbounded) {
                self.guard.permission = Permission {
                    term,
                    serial: held.serial + 1,
                    lasts: Lasts::Unbounded,
                };
                self.actions.push_back(Action::Guard(self.guard.permission));
            }
            self.want(Want::Primary {
                gate: Gate::open([]),
                doors: Doors::Open,
            });
        } else if self.config.is_data(me) {
            self.want(Want::Standby {
                of: Upstream::Member(record.primary),
                may_discard: !record.in_sync.iter().any(|c| c.member == me),
            });
        }
    }

    fn take(&mut self, record: Arc<Record>) {
        self.state.term = record.key.term;
        self.state.record = Some(record);
        self.count += 1;
        self.actions.push_back(Action::Persist {
            seq: self.count,
            state: Box::new(self.state.clone()),
        });
    }

    fn want(&mut self, want: Want) {
        let Some(record) = self.state.record.clone() else {
            return;
        };
        let peers = self.config.peers();
        let slots = peers.filter_map(|member| {
            let id = self.copies[usize::from(member.0)]?;
            Some(Copy { member, id })
        });
        let new = PgTarget {
            seq: 0,
            term: record.key.term,
            record: Some(record),
            first_stamp: false,
            disowned: None,
            replaced: None,
            genesis: false,
            slots: slots.collect(),
            run: self.guard.run,
            want,
        };
        if self.target.as_ref() == Some(&new) {
            return;
        }
        self.count += 1;
        self.actions.push_back(Action::Postgres(Box::new(PgTarget {
            seq: self.count,
            ..new.clone()
        })));
        self.target = Some(new);
    }

    fn send(&mut self, to: MemberId, body: Body) {
        let message = Message {
            term: self.state.term,
            holds: self.state.record.as_ref().map(|r| r.key),
            presence: None,
            seen: None,
            body,
        };
        self.actions.push_back(Action::Send {
            to,
            message: Box::new(message),
        });
    }
}
