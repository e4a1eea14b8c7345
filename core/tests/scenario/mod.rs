//! A tiny deterministic cluster: real nodes, one virtual clock, fake databases and guards.
//!
//! Time goes by milliseconds. A message takes 5 ms, a write of the state 1 ms, an order to guard or steward 1 ms. After
//! every millisecond S1 and S2 are checked (`watch.rs`); a test ends with `Cluster::over`, which fails on what they saw.
#![allow(dead_code, reason = "every test file uses another part")]

mod database;
mod faults;
mod forged;
mod guarded;
mod host;
mod replication;
mod watch;

use database::Database;
use host::{Host, ToHost};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use watch::Watch;
use yoke_core::hard_state::HardState;
use yoke_core::member::{Member, MemberId, MemberKind};
use yoke_core::message::Message;
use yoke_core::operator::CommandOutcome;
use yoke_core::postgres::{Lsn, PgTarget, SystemId, Timeline};
use yoke_core::record::{Copy, CopyId, History, Promotion, Record, RecordKey, Term};
use yoke_core::{Action, Boot, Config, Duration, Event, Instant, Node};

#[allow(unused_imports, reason = "every test file uses another part")]
pub(crate) use database::{DbRole, Trouble};
#[allow(unused_imports, reason = "every test file uses another part")]
pub(crate) use forged::{heartbeat, key};

pub(crate) const DATA1: MemberId = MemberId(0);
pub(crate) const DATA2: MemberId = MemberId(1);
pub(crate) const MONITOR: MemberId = MemberId(2);
/// The cluster's decision_timeout.
pub(crate) const D: Duration = Duration::secs(5);
pub(crate) const SYNC_TIMEOUT: Duration = Duration::secs(2);
pub(crate) const HEALTH_TIMEOUT: Duration = Duration::secs(3);

const TICK: Duration = Duration::millis(1);
const LOCAL: Duration = Duration::millis(1);

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::millis(n)
}

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::secs(n)
}

/// A message that was sent, delivered or not.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) from: MemberId,
    pub(crate) to: MemberId,
    pub(crate) message: Message,
}

type Lose = Box<dyn Fn(&Sent) -> bool>;

pub(crate) struct Cluster {
    pub(crate) config: Config,
    pub(crate) now: Instant,
    pub(crate) hosts: Vec<Host>,
    pub(crate) watch: Watch,
    /// Clients write while they can.
    pub(crate) writes: bool,
    /// How long a message takes.
    pub(crate) wire_time: Duration,
    /// Everything that was sent since the last `mark`.
    pub(crate) sent: Vec<Sent>,
    wire: VecDeque<(Instant, Sent)>,
    cut: BTreeSet<(MemberId, MemberId)>,
    lose: Option<Lose>,
    /// Times in the trace count from here.
    zero: Instant,
    trace: Vec<String>,
    nonces: u64,
}

impl Cluster {
    /// Members of which the first `data` hold data; nothing runs yet, nothing is on any disk.
    pub(crate) fn bare(data: u8, witnesses: u8) -> Cluster {
        let members: Vec<Member> = (1..=data)
            .map(|i| (format!("data{i}"), MemberKind::Data))
            .chain((1..=witnesses).map(|i| {
                let place = if i == 1 { String::new() } else { i.to_string() };
                (format!("monitor{place}"), MemberKind::Witness)
            }))
            .map(|(name, kind)| Member { name, kind })
            .collect();
        let config = Config {
            cluster: "test".to_owned(),
            members: members.into(),
            me: DATA1,
            configured_primary: DATA1,
            decision_timeout: D,
            sync_timeout: SYNC_TIMEOUT,
            health_timeout: HEALTH_TIMEOUT,
            #[cfg(feature = "mutants")]
            mutant: None,
        };
        config
            .validate()
            .expect("the tests' configuration is valid");
        let hosts = config.ids().map(|me| Host::new(me, &config)).collect();
        Cluster {
            now: Instant(1_000_000_000),
            zero: Instant(1_000_000_000),
            hosts,
            watch: Watch::default(),
            writes: true,
            wire_time: ms(5),
            sent: Vec::new(),
            wire: VecDeque::new(),
            cut: BTreeSet::new(),
            lose: None,
            trace: Vec::new(),
            nonces: 0,
            config,
        }
    }

    /// data1, data2 and monitor with empty disks, but for data1's unstamped database.
    pub(crate) fn fresh() -> Cluster {
        let mut cluster = Cluster::bare(2, 1);
        cluster.db_mut(DATA1).has_found_data(SYSTEM);
        cluster
    }

    /// data1, data2 and monitor with the disks of a cluster that lost its power: data1 was primary, data2 in sync.
    pub(crate) fn powered_off() -> Cluster {
        let mut cluster = Cluster::bare(2, 1);
        cluster.fill_disks(&[DATA1, DATA2]);
        cluster
    }

    /// data1 serves, data2 is in sync, monitor votes; the trace begins here.
    pub(crate) fn in_sync() -> Cluster {
        Cluster::powered_off().settled()
    }

    /// The same with a deliberate bug.
    #[cfg(feature = "mutants")]
    pub(crate) fn mutated(mutant: yoke_core::mutant::Mutant) -> Cluster {
        let mut cluster = Cluster::in_sync();
        cluster.mutate(mutant);
        cluster
    }

    /// From the next start of a daemon on, every node has this bug.
    #[cfg(feature = "mutants")]
    pub(crate) fn mutate(&mut self, mutant: yoke_core::mutant::Mutant) {
        self.config.mutant = Some(mutant);
        for m in self.config.ids() {
            if self.hosts[index(m)].node.is_some() {
                self.restart_daemon(m, ms(1));
            }
        }
        self.settle();
    }

    /// data1 serves alone: data2's host is off, and was taken out of the record.
    pub(crate) fn lone() -> Cluster {
        let mut cluster = Cluster::in_sync();
        cluster.power_off(DATA2);
        cluster.run_until("data1 alone", secs(20), |c| {
            c.is_served() && c.committed(DATA1).is_some_and(|r| r.is_lone())
        });
        cluster.mark();
        cluster
    }

    /// Starts everything, waits until it serves and every data member is in sync.
    pub(crate) fn settled(mut self) -> Cluster {
        for m in self.config.ids() {
            self.start(m);
        }
        self.settle();
        self
    }

    pub(crate) fn settle(&mut self) {
        self.run_until("served, all in sync", secs(60), Cluster::is_in_sync);
        self.run_for(secs(1));
        self.mark();
    }

    /// Gives these members the disks of a running cluster of term 1 whose primary was the first of them.
    pub(crate) fn fill_disks(&mut self, in_sync: &[MemberId]) {
        let history = History::from(vec![Promotion {
            timeline: Timeline(2),
            start: Lsn(100),
            term: Term(1),
            n: 1,
        }]);
        let record = Arc::new(Record {
            key: RecordKey {
                term: Term(1),
                version: 3,
            },
            primary: in_sync[0],
            in_sync: in_sync.iter().map(|m| first_copy(*m)).collect(),
            promotions: history.clone(),
            system_id: SYSTEM,
        });
        for m in self.config.ids() {
            self.hosts[index(m)].disk = Some(HardState {
                members: self.config.members.iter().map(|m| m.name.clone()).collect(),
                term: Term(1),
                voted_for: Some(in_sync[0]),
                record: Some(record.clone()),
                longest_promise: D,
                stamped: true,
            });
            if self.config.is_data(m) {
                self.db_mut(m)
                    .has_data(first_copy(m).id, SYSTEM, history.clone(), Lsn(1000));
            }
        }
    }

    // What is.

    pub(crate) fn host(&self, m: MemberId) -> &Host {
        &self.hosts[index(m)]
    }

    pub(crate) fn host_mut(&mut self, m: MemberId) -> &mut Host {
        &mut self.hosts[index(m)]
    }

    pub(crate) fn node(&self, m: MemberId) -> &Node {
        self.host(m).node.as_ref().expect("its daemon runs")
    }

    pub(crate) fn db(&self, m: MemberId) -> &Database {
        self.host(m).database.as_ref().expect("a data member")
    }

    pub(crate) fn db_mut(&mut self, m: MemberId) -> &mut Database {
        self.host_mut(m).database.as_mut().expect("a data member")
    }

    pub(crate) fn leader(&self) -> Option<MemberId> {
        self.config
            .ids()
            .filter(|m| self.host(*m).leads())
            .max_by_key(|m| self.node(*m).view().term)
    }

    pub(crate) fn term(&self, m: MemberId) -> Term {
        self.node(m).view().term
    }

    pub(crate) fn record(&self, m: MemberId) -> Option<Arc<Record>> {
        self.node(m).view().record
    }

    /// The member's record, if the member knows that it is committed.
    pub(crate) fn committed(&self, m: MemberId) -> Option<Arc<Record>> {
        let view = self.host(m).node.as_ref()?.view();
        view.record.filter(|r| view.committed == Some(r.key))
    }

    pub(crate) fn copy_of(&self, m: MemberId) -> Option<Copy> {
        self.db(m).copy.map(|id| Copy { member: m, id })
    }

    /// Whether commits were acknowledged until just now.
    pub(crate) fn is_served(&self) -> bool {
        self.watch.is_served(self.now)
    }

    /// Who acknowledged the newest commit.
    pub(crate) fn served_by(&self) -> Option<MemberId> {
        self.watch.served_by(self.now)
    }

    /// Served, and the leader's committed record names every data member's copy.
    pub(crate) fn is_in_sync(&self) -> bool {
        let Some(record) = self.leader().and_then(|l| self.committed(l)) else {
            return false;
        };
        self.is_served()
            && self
                .config
                .ids()
                .filter(|m| self.config.is_data(*m))
                .all(|m| self.copy_of(m).is_some_and(|copy| record.names(copy)))
    }

    /// How long since `mark`.
    pub(crate) fn since_mark(&self) -> Duration {
        self.now.since(self.zero)
    }

    /// The longest time since `mark` in which no commit was acknowledged.
    pub(crate) fn longest_gap(&self) -> Duration {
        self.watch.longest_gap(self.zero, self.now)
    }

    /// What it sent since `mark`.
    pub(crate) fn sent_by(&self, from: MemberId) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |s| s.from == from)
    }

    pub(crate) fn replies(&self, m: MemberId) -> &[CommandOutcome] {
        &self.host(m).replies
    }

    // Time.

    /// The trace and the bounds count from now.
    pub(crate) fn mark(&mut self) {
        self.zero = self.now;
        self.trace.clear();
        self.sent.clear();
        for host in &mut self.hosts {
            host.replies.clear();
        }
    }

    pub(crate) fn run_for(&mut self, length: Duration) {
        let end = self.now + length;
        while self.now < end {
            self.tick();
        }
    }

    /// Runs until it holds and returns how long that took; fails with the trace when it does not in time.
    pub(crate) fn run_until(
        &mut self,
        what: &str,
        limit: Duration,
        holds: impl Fn(&Cluster) -> bool,
    ) -> Duration {
        let begin = self.now;
        while !holds(self) {
            if self.now.since(begin) >= limit {
                panic!("not within {limit}: {what}\n{}", self.trace());
            }
            self.tick();
        }
        self.now.since(begin)
    }

    /// The trace since `mark`, one line an occurrence.
    pub(crate) fn trace(&self) -> String {
        self.trace.join("\n")
    }

    /// The lines of the trace that contain one of these words.
    pub(crate) fn trace_of(&self, words: &[&str]) -> String {
        let chosen: Vec<&str> = self
            .trace
            .iter()
            .map(String::as_str)
            .filter(|line| words.iter().any(|w| line.contains(w)))
            .collect();
        chosen.join("\n")
    }

    /// Whether a line of the trace contains this.
    pub(crate) fn said(&self, m: MemberId, words: &str) -> bool {
        let name = &self.config.members[index(m)].name;
        self.trace
            .iter()
            .any(|line| line.contains(&format!(" {name:<8} ")) && line.contains(words))
    }

    /// The end of a test: what S1 and S2 saw fails it.
    pub(crate) fn over(&self) {
        assert!(
            self.watch.violations.is_empty(),
            "{:#?}\n{}",
            self.watch.violations,
            self.trace()
        );
    }

    pub(crate) fn note(&mut self, m: MemberId, text: &str) {
        let passed = self.now.since(self.zero);
        let (s, ms) = (passed.as_millis() / 1000, passed.as_millis() % 1000);
        let name = &self.config.members[index(m)].name;
        let mut text = text.to_owned();
        for other in self.config.ids() {
            text = text.replace(&other.to_string(), self.config.name(other));
        }
        let text = text.replace("/000000000000", "/");
        self.trace.push(format!("{s:3}.{ms:03} {name:<8} {text}"));
    }

    fn tick(&mut self) {
        self.now = self.now + TICK;
        self.deliver();
        for m in self.config.ids() {
            self.tick_host(m);
        }
        self.replicate();
        self.watch_all();
    }

    fn deliver(&mut self) {
        while self.wire.front().is_some_and(|(due, _)| *due <= self.now) {
            let Some((_, sent)) = self.wire.pop_front() else {
                return;
            };
            if self.is_linked(sent.from, sent.to) {
                let Sent { from, message, .. } = sent;
                self.handle(sent.to, Event::Received { from, message });
            }
        }
    }

    fn tick_host(&mut self, m: MemberId) {
        if !self.host(m).powered {
            return;
        }
        let now = self.now;
        while let Some(seq) = self.host_mut(m).write_done(now) {
            self.handle(m, Event::Persisted { seq });
        }
        while let Some(order) = self.host_mut(m).order_due(now) {
            match order {
                ToHost::Guard(permission) => {
                    self.db_mut(m).take_permission(permission);
                    let view = self.db(m).guard;
                    if !self.host(m).guard_hangs {
                        self.handle(m, Event::Guard(view));
                    }
                }
                ToHost::Steward(target) => self.db_mut(m).take_target(target),
            }
        }
        if self.host(m).database.is_some() {
            self.db_mut(m).step(now);
            self.report_database(m);
            // What the guard saw, the node has heard of before the steward acts on it.
            self.db_mut(m).pursue_target(now);
            self.report_database(m);
        }
        let due = self.host(m).node.as_ref().and_then(Node::next_timeout);
        if due.is_some_and(|at| at <= now) {
            self.handle(m, Event::Timeout);
        }
    }

    fn report_database(&mut self, m: MemberId) {
        let now = self.now;
        for line in std::mem::take(&mut self.db_mut(m).said) {
            self.note(m, &line);
        }
        if self.host(m).node.is_none() {
            return;
        }
        if !self.host(m).guard_hangs
            && let Some(view) = self.db_mut(m).guard_news()
        {
            self.handle(m, Event::Guard(view));
        }
        if let Some(status) = self.db_mut(m).steward_news(now) {
            self.handle(m, Event::Postgres(Box::new(status)));
        }
    }

    pub(crate) fn handle(&mut self, m: MemberId, event: Event) {
        let now = self.now;
        let Some(node) = self.host_mut(m).node.as_mut() else {
            return;
        };
        node.handle(now, event);
        self.drain(m);
    }

    fn drain(&mut self, m: MemberId) {
        let now = self.now;
        while let Some(action) = self.host_mut(m).node.as_mut().and_then(Node::poll_action) {
            match action {
                Action::Persist { seq, state } => self.host_mut(m).write(now + LOCAL, seq, *state),
                Action::Send { to, message } => self.send(m, to, message),
                Action::Postgres(target) => {
                    if let Some(line) = self.host_mut(m).target_line(&target) {
                        self.note(m, &line);
                    }
                    let host = self.host_mut(m);
                    host.targets.push(PgTarget::clone(&target));
                    host.order(now + LOCAL, ToHost::Steward(*target));
                }
                Action::Guard(permission) => {
                    if let Some(line) = self.host_mut(m).permission_line(&permission) {
                        self.note(m, &line);
                    }
                    self.host_mut(m)
                        .order(now + LOCAL, ToHost::Guard(permission));
                }
                Action::Reply { outcome, .. } => {
                    self.note(m, &format!("answers the operator: {outcome:?}"));
                    self.host_mut(m).replies.push(outcome);
                }
                Action::Explain(reason) => self.note(m, &reason.to_string()),
                Action::Exit => {
                    self.note(m, "daemon exits");
                    self.host_mut(m).exited = true;
                }
            }
        }
        if self.host(m).exited {
            self.host_mut(m).daemon_gone();
        }
    }

    fn send(&mut self, from: MemberId, to: MemberId, message: Message) {
        if let Some(line) = host::message_line(&message) {
            // Repetitions tell nothing new.
            let line = format!("-> {to}: {line}");
            if self.host_mut(from).says_first_time(&line) {
                self.note(from, &line);
            }
        }
        let sent = Sent {
            at: self.now,
            from,
            to,
            message,
        };
        self.sent.push(sent.clone());
        let lost = self.lose.as_ref().is_some_and(|lose| lose(&sent));
        if !lost && self.is_linked(from, to) {
            self.wire.push_back((self.now + self.wire_time, sent));
        }
    }

    /// Starts the daemon of a host that is on.
    pub(crate) fn start(&mut self, m: MemberId) {
        self.nonces += 1;
        let mut config = self.config.clone();
        config.me = m;
        let nonce = self.nonces << 32;
        let now = self.now;
        let host = self.host_mut(m);
        host.powered = true;
        host.exited = false;
        let guard = host.begin_daemon();
        let boot = Boot { now, nonce, guard };
        host.node = Some(Node::new(config, host.disk.clone(), boot));
        self.note(m, "daemon starts");
        self.drain(m);
    }
}

pub(crate) const SYSTEM: SystemId = SystemId(7_000);

pub(crate) fn index(m: MemberId) -> usize {
    usize::from(m.0)
}

/// The copy that a filled disk holds.
pub(crate) fn first_copy(m: MemberId) -> Copy {
    Copy {
        member: m,
        id: CopyId(0xa0 + u64::from(m.0)),
    }
}
