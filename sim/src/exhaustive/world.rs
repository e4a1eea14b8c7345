//! Three members, each the real `Node` with a small database below it, and the messages between them.

use super::database::{Database, Order, Server, first_history, first_permission};
use super::ghost::{Broken, Ghost, Judge};
use super::packet::Packet;
use super::scope::Scope;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use yoke_core::member::{Member, MemberId, MemberKind};
use yoke_core::message::{Body, VoteReply};
use yoke_core::node::canonical::NOW;
use yoke_core::permission::GuardView;
use yoke_core::postgres::{PgStatus, PgTarget, SystemId};
use yoke_core::reason::Reason;
use yoke_core::record::{Copy, CopyId, Record, RecordKey, Term};
use yoke_core::{Action, Boot, Config, Duration, Event, HardState, Instant, Message, Node};

/// A jump beyond every deadline.
pub(super) const LONG: Duration = Duration::secs(500);
/// A jump within a lease: a copy that streams is steady afterwards, one that does not return is late.
pub(super) const STEADY: Duration = Duration::millis(600);
/// A jump within a lease and beyond `sync_timeout`.
pub(super) const LAG: Duration = Duration::millis(1_500);

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
    told: Option<PgStatus>,
    told_guard: GuardView,
    /// State files lost: makes the nonces of its starts.
    losses: u64,
    pub(super) leads: bool,
    now: Instant,
    touched: bool,
    print: u128,
}

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
    scope: Arc<Scope>,
    judge: Judge,
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

    fn host(&mut self, h: usize) -> &mut Host {
        let host = Arc::make_mut(&mut self.hosts[h]);
        host.touched = true;
        host
    }

    fn judge_lemma(&mut self, judged: Result<(), Broken>) {
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
        let message = packet.message.clone();
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
                let message = reply.message.clone();
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
        let message = Message {
            term,
            holds: None,
            presence: None,
            seen: None,
            body: Body::VoteReply(VoteReply {
                round,
                pre: true,
                refusal: None,
            }),
        };
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
                        self.send(me, to, message);
                    }
                    Action::Postgres(target) => self.host(h).target = Some(Arc::new(*target)),
                    Action::Guard(permission) => {
                        let host = self.host(h);
                        let held = host.guard.permission;
                        if (permission.term, permission.serial) > (held.term, held.serial) {
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

    // What happens to a database.

    fn database(&self, h: usize) -> Option<&Database> {
        self.hosts[h].database.as_ref()
    }

    /// The copies that stream from this host's primary.
    fn streaming(&self, h: usize) -> Vec<Copy> {
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
    fn is_prompt(&self, h: usize, order: &Order) -> bool {
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

impl Host {
    fn start(
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
    fn has_news(&self, streaming: &[Copy]) -> bool {
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
    fn tell(&mut self, streaming: &[Copy]) -> bool {
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
    fn canonical(&mut self) {
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
        if let Some(target) = &mut self.target
            && target.seq != 1
        {
            Arc::make_mut(target).seq = 1;
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

/// 128 bits of all that is hashed.
struct Print(u128);

impl Print {
    fn word(&mut self, word: u64) {
        const FACTOR: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
        let mixed = (self.0 ^ u128::from(word)).wrapping_mul(FACTOR);
        self.0 = mixed ^ (mixed >> 67);
    }
}

impl Hasher for Print {
    fn finish(&self) -> u64 {
        self.0 as u64
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.word(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.word(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.word(n);
    }

    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }
}
