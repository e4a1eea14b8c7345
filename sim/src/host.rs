//! One host: clock, disk, daemon (node and steward), guard, database. Any of them can end without the others.

use crate::choices::About;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::postgres::directory::Storage;
use crate::postgres::instance::Server;
use crate::postgres::steps::Exec;
use crate::scenario::Trigger;
use crate::world::{Ev, World};
use std::collections::VecDeque;
use std::sync::Arc;
use yoke_core::event::{Boot, Event};
use yoke_core::guard::{Guard, GuardAction, GuardEvent};
use yoke_core::member::MemberId;
use yoke_core::operator::Command;
use yoke_core::permission::{GuardView, Permission};
use yoke_core::postgres::{GateStatus, PgState, PgStatus};
use yoke_core::record::Copy;
use yoke_core::step::{Order, Outcome, Step};
use yoke_core::steward::{StewardAction, StewardEvent};
use yoke_core::{Action, Config, Message, Node, Steward};

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) up: bool,
    pub(crate) paused_until: u64,
    /// After a pause: until then its guard may not have had its turn.
    pub(crate) excused_until: u64,
    /// What would have happened during a pause.
    pub(crate) backlog: VecDeque<Ev>,
    pub(crate) daemon: Option<Daemon>,
    /// Counts the daemons; names the present one.
    pub(crate) daemon_runs: u64,
    pub(crate) guard: Option<Guard>,
    pub(crate) guard_runs: u64,
    pub(crate) guard_timer: Timer,
    pub(crate) execs: Vec<Exec>,
    pub(crate) disk: Disk,
    pub(crate) storage: Storage,
    pub(crate) server: Option<Server>,
    pub(crate) hung_until: u64,
    pub(crate) stalled_until: u64,
    /// A crash that waits for its trigger: when, whether of the host, how long it is down.
    pub(crate) armed: Option<(Trigger, bool, u64)>,
    /// When the newest message on the socket arrives, either way: they come in order.
    socket: [u64; 2],
    /// How long the daemon stays away after it ended by itself.
    pub(crate) away: u64,
    /// The status last written to the trace.
    last_status: String,
}

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) node: Node,
    pub(crate) steward: Steward,
    pub(crate) paused_until: u64,
    pub(crate) backlog: VecDeque<Input>,
    timer: Timer,
}

/// The one timer event of a machine that counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer {
    at: Option<u64>,
    token: u64,
}

/// What a daemon's task takes in.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Timer(u64),
    Received(usize, Box<Message>),
    Persisted(u64),
    Guard(GuardView),
    Outcome { number: u64, outcome: Outcome },
    Progress { number: u64, done: u64, total: u64 },
    Operator(u64, Command),
    Stop,
}

/// What goes from daemon to guard.
#[derive(Clone, Debug)]
pub(crate) enum ToGuard {
    Permission(Permission),
    Order(Order),
}

/// For one of the two machines.
enum Inner {
    Node(Event),
    Steward(StewardEvent),
}

impl Timer {
    /// Sets it, if the deadline needs another event: its token then.
    fn set(&mut self, at: u64) -> Option<u64> {
        if self.at.is_some_and(|set| set <= at) {
            return None;
        }
        self.at = Some(at);
        self.token += 1;
        Some(self.token)
    }

    /// An event came: whether it is the one that counts.
    fn comes(&mut self, token: u64) -> bool {
        let counts = self.token == token;
        if counts {
            self.at = None;
        }
        counts
    }
}

impl Host {
    /// A host that was never started.
    pub(crate) fn new(config: Config, clock: Clock, storage: Storage) -> Self {
        Host {
            config,
            clock,
            up: false,
            paused_until: 0,
            excused_until: 0,
            backlog: VecDeque::new(),
            daemon: None,
            daemon_runs: 0,
            guard: None,
            guard_runs: 0,
            guard_timer: Timer::default(),
            execs: vec![],
            disk: Disk::default(),
            storage,
            server: None,
            hung_until: 0,
            stalled_until: 0,
            armed: None,
            socket: [0, 0],
            away: 0,
            last_status: String::new(),
        }
    }

    /// Whether nothing on it runs for now.
    pub(crate) fn paused(&self, now: u64) -> bool {
        self.paused_until > now
    }
}

impl World {
    /// The host has power.
    pub(crate) fn host_boots(&mut self, h: usize) {
        if self.hosts[h].up {
            return;
        }
        self.hosts[h].up = true;
        self.say(h, || "host: up".into());
        self.daemon_starts(h);
    }

    /// A daemon starts; a guard, too, if there is none.
    pub(crate) fn daemon_starts(&mut self, h: usize) {
        if !self.hosts[h].up || self.hosts[h].daemon.is_some() {
            return;
        }
        if self.hosts[h].guard.is_none() {
            let nonce = self.choices.bits(About::Nonce, h, 1);
            let host = &mut self.hosts[h];
            host.guard_runs += 1;
            host.guard = Some(Guard::new(host.config.clone(), nonce));
            host.guard_timer = Timer::default();
            self.guard_drains(h);
        }
        let nonce = self.choices.bits(About::Nonce, h, 0);
        let now = self.hosts[h].clock.at(self.now);
        let host = &mut self.hosts[h];
        let guard = host.guard.as_ref().map_or(GuardView::NEW, Guard::view);
        let boot = Boot { now, nonce, guard };
        host.daemon_runs += 1;
        let state = host.disk.durable.as_deref().cloned();
        host.daemon = Some(Daemon {
            node: Node::new(host.config.clone(), state, boot.clone()),
            steward: Steward::new(host.config.clone(), boot),
            paused_until: 0,
            backlog: VecDeque::new(),
            timer: Timer::default(),
        });
        let runs = host.daemon_runs;
        self.coverage.restarts += u64::from(runs > 1);
        self.say(h, || format!("daemon: starts, run {runs}"));
        self.digest.note(("daemon", h, runs));
        self.daemon_handles(h, vec![]);
    }

    /// The daemon's process ends, between two actions or while it waits.
    pub(crate) fn daemon_dies(&mut self, h: usize) {
        if self.hosts[h].daemon.take().is_none() {
            return;
        }
        let lands = self.choices.chance(About::StateLands, h, 0, 500);
        self.hosts[h].disk.crash(lands);
        self.hosts[h].armed = None;
        self.say(h, || "daemon: ends".into());
        self.digest.note(("daemon ends", h));
    }

    /// The host loses power: what was not synced is lost.
    pub(crate) fn host_dies(&mut self, h: usize) {
        if !self.hosts[h].up {
            return;
        }
        self.daemon_dies(h);
        self.say(h, || "host: DOWN".into());
        // A quick step's rename may have reached the disk.
        for exec in std::mem::take(&mut self.hosts[h].execs) {
            if self.choices.chance(About::StepLands, h, 2, 500) {
                self.quick_step_lands(h, &exec);
            }
        }
        let host = &mut self.hosts[h];
        host.up = false;
        host.paused_until = 0;
        host.backlog.clear();
        host.guard = None;
        if let Some(server) = host.server.take() {
            for (client, session) in server.sessions {
                self.client_times_out(client, session);
            }
        }
    }

    /// The guard's process ends, and with it the postmaster.
    pub(crate) fn guard_dies(&mut self, h: usize) {
        if self.hosts[h].guard.take().is_none() {
            return;
        }
        self.say(h, || "guard: ends".into());
        // A daemon without its guard ends, too; the next one starts another guard once the database is gone.
        self.daemon_dies(h);
        for exec in std::mem::take(&mut self.hosts[h].execs) {
            if self.choices.chance(About::StepLands, h, 2, 500) {
                self.quick_step_lands(h, &exec);
            }
        }
        if let Some(run) = self.hosts[h].server.as_ref().map(|s| s.run) {
            self.on_dead(h, run);
            self.hosts[h].server = None;
        }
        let down = self.choices.within(About::Restart, h, 0, 100_000, 800_000);
        self.after(down, Ev::StartDaemon { h });
    }

    /// The daemon's task takes something in, if it runs.
    pub(crate) fn daemon_gets(&mut self, h: usize, input: Input) {
        let now = self.now;
        let host = &mut self.hosts[h];
        let Some(daemon) = &mut host.daemon else {
            return;
        };
        if daemon.paused_until > now {
            daemon.backlog.push_back(input);
            return;
        }
        let inner = match input {
            Input::Timer(token) => {
                if !daemon.timer.comes(token) {
                    return;
                }
                vec![
                    Inner::Node(Event::Timeout),
                    Inner::Steward(StewardEvent::Timeout),
                ]
            }
            Input::Received(from, message) => vec![Inner::Node(Event::Received {
                from: MemberId(from as u8),
                message: *message,
            })],
            Input::Persisted(seq) => {
                if matches!(host.armed, Some((Trigger::Persisted, ..))) {
                    self.armed_strikes(h);
                    return;
                }
                vec![Inner::Node(Event::Persisted { seq })]
            }
            Input::Guard(view) => vec![
                Inner::Node(Event::Guard(view)),
                Inner::Steward(StewardEvent::Guard(view)),
            ],
            Input::Outcome { number, outcome } => {
                self.digest.note((h, number, &outcome));
                vec![Inner::Steward(StewardEvent::Outcome { number, outcome })]
            }
            Input::Progress {
                number,
                done,
                total,
            } => {
                vec![Inner::Steward(StewardEvent::Progress {
                    number,
                    done,
                    total,
                })]
            }
            Input::Operator(request, command) => {
                vec![Inner::Node(Event::Operator { request, command })]
            }
            Input::Stop => vec![Inner::Node(Event::Stop)],
        };
        self.daemon_handles(h, inner);
    }

    /// One input after the other, each machine drained before its next.
    fn daemon_handles(&mut self, h: usize, first: Vec<Inner>) {
        let Some(mut daemon) = self.hosts[h].daemon.take() else {
            return;
        };
        let now = self.hosts[h].clock.at(self.now);
        let mut queue = VecDeque::from(first);
        let fresh = queue.is_empty();
        let mut alive = true;
        if fresh {
            alive = self.node_drains(h, &mut daemon, &mut queue)
                && self.steward_drains(h, &mut daemon, &mut queue);
        }
        while alive && let Some(inner) = queue.pop_front() {
            alive = match inner {
                Inner::Node(event) => {
                    daemon.node.handle(now, event);
                    self.node_drains(h, &mut daemon, &mut queue)
                }
                Inner::Steward(event) => {
                    daemon.steward.handle(now, event);
                    self.steward_drains(h, &mut daemon, &mut queue)
                }
            };
        }
        let due = [daemon.node.next_timeout(), daemon.steward.next_timeout()]
            .into_iter()
            .flatten()
            .min();
        if let Some(due) = due {
            let at = self.hosts[h].clock.real(due).max(self.now + 1);
            if let Some(token) = daemon.timer.set(at) {
                let run = self.hosts[h].daemon_runs;
                self.after(
                    at - self.now,
                    Ev::ToDaemon {
                        h,
                        daemon: run,
                        input: Input::Timer(token),
                    },
                );
            }
        }
        let view = alive.then(|| daemon.node.view());
        self.hosts[h].daemon = Some(daemon);
        match view {
            Some(view) => self.on_view(h, &view),
            None => self.armed_strikes(h),
        }
    }

    /// Whether the daemon lives on after this action.
    fn survives_action(&mut self, h: usize, trigger: Option<Trigger>) -> bool {
        match &mut self.hosts[h].armed {
            Some((Trigger::Actions(0), ..)) => false,
            Some((Trigger::Actions(left), ..)) => {
                *left -= 1;
                true
            }
            Some((armed, ..)) => Some(*armed) != trigger,
            None => true,
        }
    }

    fn node_drains(&mut self, h: usize, daemon: &mut Daemon, queue: &mut VecDeque<Inner>) -> bool {
        while let Some(action) = daemon.node.poll_action() {
            self.digest.note((self.now, h, &action));
            self.coverage.actions += 1;
            match action {
                Action::Persist { seq, state } => self.persist(h, seq, Arc::new(*state)),
                Action::Send { to, message } => self.send(h, usize::from(to.0), message),
                Action::Postgres(target) => {
                    self.say(h, || {
                        format!(
                            "target {} term {}: {:?}",
                            target.seq, target.term, target.want
                        )
                    });
                    queue.push_back(Inner::Steward(StewardEvent::Target(target)));
                }
                Action::Guard(permission) => self.to_guard(h, ToGuard::Permission(permission)),
                Action::Reply { request, outcome } => {
                    self.say(h, || format!("operator {request}: {outcome:?}"))
                }
                Action::Explain(reason) => self.say(h, || format!("node: {reason}")),
                Action::Exit => {
                    self.say(h, || "daemon: exits".into());
                    let away = self.hosts[h].away;
                    self.hosts[h].armed = Some((Trigger::Actions(0), false, away));
                    return false;
                }
            }
            if !self.survives_action(h, None) {
                return false;
            }
        }
        true
    }

    fn steward_drains(
        &mut self,
        h: usize,
        daemon: &mut Daemon,
        queue: &mut VecDeque<Inner>,
    ) -> bool {
        while let Some(action) = daemon.steward.poll_action() {
            let mut trigger = None;
            match action {
                StewardAction::Order(order) => {
                    trigger = match &order.step {
                        Step::Promote => Some(Trigger::Promotion),
                        Step::WriteSettings(s) if s.gate.is_some() => Some(Trigger::Gate),
                        _ => None,
                    };
                    if order.step.is_guards() {
                        self.to_guard(h, ToGuard::Order(order));
                    } else {
                        self.daemon_step(h, order);
                    }
                }
                StewardAction::Status(status) => {
                    self.digest.note((self.now, h, &status));
                    if self.trace.is_on() {
                        let words = status_in_words(&status);
                        if words != self.hosts[h].last_status {
                            self.say(h, || format!("status: {words}"));
                            self.hosts[h].last_status = words;
                        }
                    }
                    queue.push_back(Inner::Node(Event::Postgres(status)));
                }
                StewardAction::Explain(reason) => self.say(h, || format!("steward: {reason}")),
            }
            if !self.survives_action(h, trigger) {
                return false;
            }
        }
        true
    }

    /// The armed crash happens.
    pub(crate) fn armed_strikes(&mut self, h: usize) {
        let Some((_, whole_host, down)) = self.hosts[h].armed.take() else {
            return;
        };
        if whole_host {
            self.host_dies(h);
            self.after(down, Ev::BootHost { h });
        } else {
            self.daemon_dies(h);
            self.after(down, Ev::StartDaemon { h });
        }
    }

    fn persist(&mut self, h: usize, seq: u64, state: Arc<yoke_core::HardState>) {
        self.say(h, || {
            let record = state.record.as_ref().map_or("-".into(), |r| r.to_string());
            format!(
                "persist {seq}: term {} voted {:?} record {record}",
                state.term, state.voted_for
            )
        });
        let disk = &mut self.hosts[h].disk;
        if disk.under_way.is_some() {
            disk.next = Some((seq, state));
        } else {
            disk.under_way = Some((seq, state));
            self.sync_begins(h);
        }
    }

    fn sync_begins(&mut self, h: usize) {
        let mut time =
            self.choices
                .skewed(About::StateSync, h, 0, (200, 6_000), 10, (10_000, 200_000));
        let disk = &mut self.hosts[h].disk;
        if disk.slow_until > self.now {
            time += 200_000 + time * 40;
        }
        disk.token += 1;
        let token = disk.token;
        self.after(time, Ev::Synced { h, token });
    }

    /// A sync of the state file is done.
    pub(crate) fn on_synced(&mut self, h: usize, token: u64) {
        let disk = &mut self.hosts[h].disk;
        if disk.token != token {
            return;
        }
        let Some((seq, state)) = disk.under_way.take() else {
            return;
        };
        disk.durable = Some(state);
        disk.under_way = disk.next.take();
        if disk.under_way.is_some() {
            self.sync_begins(h);
        }
        self.daemon_gets(h, Input::Persisted(seq));
    }

    fn to_guard(&mut self, h: usize, what: ToGuard) {
        let delay = self.choices.within(About::Socket, h, 0, 20, 300);
        let at = (self.now + delay).max(self.hosts[h].socket[0] + 1);
        self.hosts[h].socket[0] = at;
        let daemon = self.hosts[h].daemon_runs;
        self.after(at - self.now, Ev::ToGuard { h, daemon, what });
    }

    fn to_daemon(&mut self, h: usize, input: Input) {
        let delay = self.choices.within(About::SocketBack, h, 0, 20, 300);
        let at = (self.now + delay).max(self.hosts[h].socket[1] + 1);
        self.hosts[h].socket[1] = at;
        let daemon = self.hosts[h].daemon_runs;
        self.after(at - self.now, Ev::ToDaemon { h, daemon, input });
    }

    /// How far a clone is.
    pub(crate) fn clone_progress(&mut self, h: usize, number: u64, done: u64, total: u64) {
        self.to_daemon(
            h,
            Input::Progress {
                number,
                done,
                total,
            },
        );
    }

    /// The guard hears its daemon.
    pub(crate) fn on_to_guard(&mut self, h: usize, what: ToGuard) {
        let event = match what {
            ToGuard::Permission(permission) => {
                self.say(h, || format!("guard: permission {permission}"));
                GuardEvent::Permission(permission)
            }
            ToGuard::Order(order) => GuardEvent::Order(order),
        };
        self.guard_handles(h, event);
    }

    /// The guard's timer.
    pub(crate) fn on_guard_timer(&mut self, h: usize, token: u64) {
        if self.hosts[h].guard_timer.comes(token) {
            self.guard_handles(h, GuardEvent::Timeout);
        }
    }

    /// The guard takes something in.
    pub(crate) fn guard_handles(&mut self, h: usize, event: GuardEvent) {
        let now = self.hosts[h].clock.at(self.now);
        if let Some(guard) = &mut self.hosts[h].guard {
            guard.handle(now, event);
            self.guard_drains(h);
        }
    }

    fn guard_drains(&mut self, h: usize) {
        while let Some(action) = self.hosts[h].guard.as_mut().and_then(Guard::poll_action) {
            self.digest.note((self.now, h, &action));
            match action {
                GuardAction::Execute { order, run } => self.step_begins(h, order, run),
                GuardAction::EndOrder { number } => {
                    self.say(h, || format!("guard: ends step {number}"));
                    self.step_ends(h, number);
                }
                GuardAction::Kill { run } => {
                    self.say(h, || format!("guard: FENCES {run}"));
                    self.coverage.fences += 1;
                    self.kill(h, run);
                }
                GuardAction::Answer { number, outcome } => {
                    self.to_daemon(h, Input::Outcome { number, outcome })
                }
                GuardAction::View(view) => self.to_daemon(h, Input::Guard(view)),
                GuardAction::Explain(reason) => self.say(h, || format!("guard: {reason}")),
            }
        }
        let Some(guard) = &self.hosts[h].guard else {
            return;
        };
        if let Some(due) = guard.next_timeout() {
            let at = self.hosts[h].clock.real(due).max(self.now + 1);
            if let Some(token) = self.hosts[h].guard_timer.set(at) {
                // It is woken a little late.
                let most = self.scenario.decision_timeout / 50;
                let late =
                    self.choices
                        .skewed(About::GuardWakes, h, 0, (50, 2_000), 20, (2_000, most));
                let guard = self.hosts[h].guard_runs;
                self.after(at + late - self.now, Ev::GuardTimer { h, guard, token });
            }
        }
    }
}

/// A status in a few words, without what changes all the time.
fn status_in_words(status: &PgStatus) -> String {
    let copy = status.copy.map_or("-".into(), |c| c.to_string());
    let fault = status
        .fault
        .as_ref()
        .map_or(String::new(), |f| format!(" FAULT {f}"));
    let state = match &status.state {
        PgState::Standby { of, streaming, .. } => format!(
            "standby of {of:?}{}",
            if *streaming { ", streams" } else { "" }
        ),
        PgState::Primary(primary) => {
            let standbys: Vec<Copy> = primary
                .standbys
                .iter()
                .filter(|s| s.streaming)
                .map(|s| s.copy)
                .collect();
            let gate = match &primary.gate {
                GateStatus::Open { names, since } => format!("open {names:?} since {since}"),
                other => format!("{other:?}"),
            };
            format!(
                "primary since term {}, gate {gate}, doors {:?}, streaming {standbys:?}",
                primary.promoted_in, primary.doors
            )
        }
        other => format!("{other:?}"),
    };
    format!("for {} copy {copy} {state}{fault}", status.target)
}
