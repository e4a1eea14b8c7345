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
mod looks;
mod replication;
mod setup;
mod steward;
mod watch;

use host::{Host, ToHost};
use std::collections::{BTreeSet, VecDeque};
use watch::Watch;
use yoke_core::member::MemberId;
use yoke_core::message::Message;
use yoke_core::postgres::{PgTarget, SystemId};
use yoke_core::record::{Copy, CopyId};
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
                let message = Box::new(message);
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
                Action::Send { to, message } => self.send(m, to, *message),
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
