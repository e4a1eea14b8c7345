//! Three members, each the real `Node` with a small database below it, and the messages between them.

use super::database::{Database, Server, first_history, first_permission};
use super::ghost::{Broken, Ghost, Judge};
use super::host::Host;
use super::packet::Packet;
use super::print::Print;
use super::scope::Scope;
use std::hash::Hash;
use std::sync::Arc;
use yoke_core::member::{Member, MemberId, MemberKind};
use yoke_core::message::{Body, VoteReply};
use yoke_core::node::canonical::NOW;
use yoke_core::permission::GuardView;
use yoke_core::postgres::SystemId;
use yoke_core::reason::Reason;
use yoke_core::record::{Copy, CopyId, Record, RecordKey, Term};
use yoke_core::{Action, Config, Duration, Event, HardState, Message};

/// A jump beyond every deadline.
pub(super) const LONG: Duration = Duration::secs(500);
/// A jump within a lease: a copy that streams is steady afterwards, one that does not return is late.
pub(super) const STEADY: Duration = Duration::millis(600);
/// A jump within a lease and beyond `sync_timeout`.
pub(super) const LAG: Duration = Duration::millis(1_500);
/// Everything.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) hosts: Vec<Arc<Host>>,
    pub(super) net: Vec<Arc<Packet>>,
    /// Confirmations under way: to whose primary, of which copy, how far.
    pub(super) confirmations: Vec<(MemberId, Copy, u64)>,
    pub(super) ghost: Ghost,
    pub(super) writes: u8,
    pub(super) crashes: u8,
    pub(super) losses: u8,
    pub(super) discards: u8,
    pub(super) broken: Option<Broken>,
    pub(super) scope: Arc<Scope>,
    pub(super) judge: Judge,
}

fn config(scope: &Scope, me: MemberId, mutate: &dyn Fn(&mut Config)) -> Config {
    let member = |name: &str, data: bool| Member {
        name: name.to_owned(),
        kind: if data {
            MemberKind::Data
        } else {
            MemberKind::Witness
        },
    };
    let mut config = Config {
        cluster: "exhaustive".to_owned(),
        members: Arc::from([
            member("a", true),
            member("b", true),
            member("c", scope.third_data),
        ]),
        me,
        configured_primary: MemberId(0),
        decision_timeout: Duration::secs(5),
        sync_timeout: Duration::millis(1_300),
        health_timeout: Duration::secs(3),
        #[cfg(feature = "mutants")]
        mutant: None,
    };
    mutate(&mut config);
    config
}

impl World {
    /// A leads term 1, its record is committed and held by all, its gate is open; messages of that are past.
    pub(super) fn begin(scope: &Scope, judge: Judge, mutate: &dyn Fn(&mut Config)) -> World {
        let copy = |m: u8| Copy {
            member: MemberId(m),
            id: CopyId(u64::from(m) + 1),
        };
        let mut in_sync = vec![copy(0)];
        if !scope.lone {
            in_sync.push(copy(1));
            if scope.third_data {
                in_sync.push(copy(2));
            }
        }
        let record = Arc::new(Record {
            key: RecordKey {
                term: Term(1),
                version: 1,
            },
            primary: MemberId(0),
            in_sync: in_sync.clone(),
            promotions: first_history(),
            system_id: SystemId(1),
            forced: false,
            paused: false,
        });
        let hosts = (0..3u8)
            .map(|m| {
                let config = config(scope, MemberId(m), mutate);
                let data = config.is_data(MemberId(m));
                let end = NOW + config.lease();
                let state = HardState {
                    term: Term(1),
                    voted_for: Some(MemberId(0)),
                    record: Some(record.clone()),
                    longest_promise: config.decision_timeout,
                    stamped: true,
                    ..HardState::empty(&config)
                };
                let server = if m == 0 {
                    Server::serving(in_sync[1..].to_vec())
                } else {
                    Server::following(MemberId(0))
                };
                let database = data.then(|| Database::first(MemberId(m), Some(server)));
                let mut guard = GuardView::NEW;
                if m == 0 {
                    guard.permission = first_permission(scope.lone, end);
                }
                if let Some(db) = &database {
                    db.guard(&mut guard);
                }
                Arc::new(Host::start(config, Some(state), guard, database, 0))
            })
            .collect();
        let mut world = World {
            hosts,
            net: vec![],
            confirmations: vec![],
            ghost: Ghost::default(),
            writes: 0,
            crashes: 0,
            losses: 0,
            discards: 0,
            broken: None,
            scope: Arc::new(scope.clone()),
            judge,
        };
        let _ = world.ghost.leads(Term(1), MemberId(0));
        let _ = world.ghost.commits(&record);
        for m in 0..3 {
            world.drain(m);
        }
        world.settle();
        // Everybody answers the first heartbeats, and who follows connects.
        for _ in 0..8 {
            for m in 1..3 {
                if world.can_flush(m) {
                    world.flush(m);
                    world.settle();
                }
            }
            while let Some((to, copy, flushed)) = world.confirmations.pop() {
                world.confirm(to, copy, flushed);
                world.settle();
            }
            if let Some(order) = world.next_order(0) {
                world.order(0, order);
                world.settle();
                world.take_effect(0);
            }
            for packet in std::mem::take(&mut world.net) {
                world.receive(packet, Duration::ZERO, true);
            }
            world.settle();
        }
        world.net.clear();
        world
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(super) fn host(&mut self, h: usize) -> &mut Host {
        let host = Arc::make_mut(&mut self.hosts[h]);
        host.touched = true;
        host
    }

    pub(super) fn judge_lemma(&mut self, judged: Result<(), Broken>) {
        if let Err(broken) = judged
            && self.judge == Judge::All
            && self.broken.is_none()
        {
            self.broken = Some(broken);
        }
    }

    // What happens to a node.

    /// An event, after its host's clock has jumped.
    pub(super) fn event(&mut self, h: usize, jump: Duration, event: Event) {
        let streaming = self.streaming(h);
        let host = self.host(h);
        host.now = NOW + jump;
        if jump > Duration::ZERO {
            // Its database lived all the time.
            host.tell(&streaming);
        }
        let now = host.now;
        host.node.handle(now, event);
        self.drain(h);
    }

    /// A message arrives. Whether its answer does, is the caller's to say; a late answer stays under way.
    pub(super) fn receive(&mut self, packet: Arc<Packet>, jump: Duration, answered: bool) {
        let before = self.net.clone();
        let (from, to) = (packet.from, packet.to);
        let message = Box::new(packet.message.clone());
        self.event(usize::from(to.0), jump, Event::Received { from, message });
        let is_reply = |p: &Packet| p.is_answer() && p.from == to && p.to == from;
        let replies: Vec<Arc<Packet>> = self
            .net
            .iter()
            .filter(|p| is_reply(p) && !before.contains(p))
            .cloned()
            .collect();
        if self.scope.late && !answered {
            return;
        }
        self.net.retain(|p| !replies.contains(p));
        if answered {
            for reply in replies {
                let message = Box::new(reply.message.clone());
                self.event(
                    usize::from(from.0),
                    Duration::ZERO,
                    Event::Received { from: to, message },
                );
            }
        }
    }

    /// Its pre-vote is granted: it asks for votes, if it is one to campaign.
    pub(super) fn campaign(&mut self, h: usize) -> bool {
        let me = MemberId(h as u8);
        let streaming = self.streaming(h);
        let host = self.host(h);
        host.now = NOW + LONG;
        host.tell(&streaming);
        let now = host.now;
        host.node.handle(now, Event::Timeout);
        let Some(round) = self.drain(h) else {
            return false;
        };
        let host = self.host(h);
        let term = host.node.view().term;
        let peer = MemberId(if h == 0 { 1 } else { 0 });
        let message = Box::new(Message {
            term,
            holds: None,
            presence: None,
            seen: None,
            body: Body::VoteReply(VoteReply {
                round,
                pre: true,
                refusal: None,
            }),
        });
        host.node.handle(
            now,
            Event::Received {
                from: peer,
                message,
            },
        );
        self.drain(h);
        self.ghost_vote(me, Term(term.0 + 1), me);
        true
    }

    fn ghost_vote(&mut self, voter: MemberId, term: Term, whom: MemberId) {
        let judged = self.ghost.votes(voter, term, whom);
        self.judge_lemma(judged);
    }

    /// Takes every action of a node. Returns the round of a pre-vote that it asked for.
    fn drain(&mut self, h: usize) -> Option<u64> {
        let me = MemberId(h as u8);
        let mut round = None;
        loop {
            while let Some(action) = self.host(h).node.poll_action() {
                match action {
                    // At once: a daemon that dies before it is durable has sent nothing that rests on it.
                    Action::Persist { seq, state } => {
                        let host = self.host(h);
                        host.disk = Some(*state);
                        let now = host.now;
                        host.node.handle(now, Event::Persisted { seq });
                    }
                    Action::Send { to, message } => {
                        if let Body::PreVote(candidacy) = &message.body {
                            round = Some(candidacy.round);
                        }
                        if let Body::VoteReply(VoteReply {
                            pre: false,
                            refusal: None,
                            ..
                        }) = &message.body
                        {
                            self.ghost_vote(me, message.term, to);
                        }
                        self.send(me, to, *message);
                    }
                    Action::Postgres(target) => self.host(h).target = Some(Arc::new(*target)),
                    Action::Guard(permission) => {
                        let host = self.host(h);
                        let held = host.guard.permission;
                        if permission.order() > held.order() {
                            host.guard.permission = permission;
                        }
                    }
                    Action::Explain(reason) => {
                        let judged = match &reason {
                            Reason::Elected { term } => {
                                let disk = self.hosts[h].disk.as_ref();
                                let holds = disk.and_then(|s| s.record.as_ref()).map(|r| r.key);
                                let builds = self.ghost.is_elected_with(*term, holds);
                                self.ghost.leads(*term, me).and(builds)
                            }
                            Reason::Resumed { term } => self.ghost.leads(*term, me),
                            Reason::Committed { record } => self.ghost.commits(record),
                            _ => Ok(()),
                        };
                        self.judge_lemma(judged);
                    }
                    Action::Reply { .. } | Action::Exit => {}
                }
            }
            let streaming = self.streaming(h);
            if !self.host(h).tell(&streaming) {
                return round;
            }
        }
    }

    fn send(&mut self, from: MemberId, to: MemberId, message: Message) {
        let Some(packet) = Packet::of(from, to, message, self.scope.asks) else {
            return;
        };
        self.net.retain(|p| p.slot() != packet.slot());
        self.net.push(Arc::new(packet));
        self.net.sort_by_key(|p| p.slot());
    }

    /// A daemon's start, with what its disk holds.
    pub(super) fn restart(&mut self, h: usize, power: bool, lost: bool) {
        let host = self.host(h);
        if power {
            host.guard = GuardView::NEW;
            if let Some(db) = &mut host.database {
                db.server = None;
            }
        }
        if lost {
            host.disk = None;
            host.losses += 1;
            self.ghost.loses_candidacy(MemberId(h as u8));
        }
        let host = self.host(h);
        let config = host.node.config().clone();
        let database = host.database.clone();
        let state = host.disk.clone();
        *host = Host::start(config, state, host.guard, database, host.losses);
        self.drain(h);
    }

    // What follows by itself.

    /// Gates are proven, writes let through, changes told, until nothing changes; then every state is made canonical.
    pub(super) fn settle(&mut self) {
        loop {
            let mut changed = false;
            for h in 0..self.hosts.len() {
                if self.hosts[h].database.is_none() {
                    continue;
                }
                let streaming = self.streaming(h);
                let mut db = self.hosts[h].database.clone();
                if let Some(db) = db.as_mut().filter(|d| d.is_primary()) {
                    db.prove(self.hosts[h].node.config(), &streaming);
                    let through = db.let_through();
                    let term = db.server.as_ref().map_or(Term(0), |s| s.opened_in);
                    for write in &through {
                        self.ghost.acknowledges(*write, term);
                    }
                }
                if db != self.hosts[h].database {
                    self.host(h).database = db;
                }
                // A standby's start and stop take no time.
                if let Some(order) = self.next_order(h).filter(|o| self.is_prompt(h, o)) {
                    self.order(h, order);
                    changed = true;
                }
                if self.hosts[h].has_news(&streaming) {
                    self.host(h).tell(&streaming);
                    self.drain(h);
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        // What was on its way to a run that is no more comes to nobody.
        let hosts = &self.hosts;
        self.confirmations.retain(|(to, copy, _)| {
            let server = hosts[usize::from(to.0)]
                .database
                .as_ref()
                .and_then(|d| d.server.as_ref());
            server.is_some_and(|s| s.senders.iter().any(|(c, _)| c == copy))
        });
        for h in 0..self.hosts.len() {
            if let Some(db) = self.database(h)
                && let Err(broken) = self.ghost.judge(db)
            {
                self.broken.get_or_insert(broken);
            }
            if let Some(db) = self.database(h) {
                let judged = self.ghost.judge_gate(db).and(self.ghost.judge_in_sync(db));
                self.judge_lemma(judged);
            }
            if self.hosts[h].touched {
                self.host(h).canonical();
            }
        }
    }

    /// Within the bounds; beyond them nothing is looked at.
    pub(super) fn is_within(&self) -> bool {
        self.hosts.iter().all(|host| {
            host.disk.as_ref().is_none_or(|state| {
                state.term.0 <= self.scope.terms
                    && state
                        .record
                        .as_ref()
                        .is_none_or(|r| r.key.version <= self.scope.versions)
            })
        })
    }

    /// A fingerprint: equal ones are taken for equal states.
    pub(super) fn print(&self) -> u128 {
        let mut print = Print(1);
        for host in &self.hosts {
            host.print.hash(&mut print);
        }
        for packet in &self.net {
            packet.hash(&mut print);
        }
        self.confirmations.hash(&mut print);
        self.ghost.hash(&mut print);
        (self.writes, self.crashes, self.losses, self.discards).hash(&mut print);
        print.0
    }
}
