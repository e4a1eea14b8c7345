//! One host: clock, disk, daemon (node and steward), guard, database. Any of them can end without the others.

use crate::choices::About;
use crate::clock::Clock;
use crate::daemon::Inner;
use crate::disk::Disk;
use crate::event::Ev;
#[cfg(feature = "mutants")]
use crate::original::Original;
use crate::postgres::directory::Storage;
use crate::postgres::server::Server;
use crate::postgres::steps::Exec;
use crate::queue::Alarm;
use crate::scenario::{Blow, Trigger};
use crate::trouble::Troubles;
use crate::world::World;
use std::collections::VecDeque;
use yoke_core::event::Boot;
use yoke_core::guard::{Guard, GuardEvent};
use yoke_core::operator::Command;
use yoke_core::permission::{GuardView, Permission};
use yoke_core::step::{Order, Outcome};
use yoke_core::{Config, Duration, Message, Node, Steward};

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) config: Config,
    /// The `decision_timeout` that its file names now.
    pub(crate) configured: Option<Duration>,
    /// What its daemon begins with, if somebody has edited that.
    pub(crate) edited: Option<Config>,
    pub(crate) clock: Clock,
    pub(crate) up: bool,
    pub(crate) paused_until: u64,
    /// After a pause: until then its guard may not have had its turn.
    pub(crate) excused_until: u64,
    /// What would have happened during a pause.
    pub(crate) backlog: VecDeque<Ev>,
    /// Boxed: it is taken out and put back at each step.
    pub(crate) daemon: Option<Box<Daemon>>,
    /// Counts the daemons; names the present one.
    pub(crate) daemon_runs: u64,
    pub(crate) guard: Option<Guard>,
    pub(crate) guard_runs: u64,
    pub(crate) guard_paused_until: u64,
    /// What it would have taken in meanwhile.
    pub(crate) guard_backlog: Vec<GuardEvent>,
    /// The deadline for which its alarm is set.
    pub(crate) guard_due: Option<u64>,
    pub(crate) execs: Vec<Exec>,
    pub(crate) disk: Disk,
    pub(crate) storage: Storage,
    pub(crate) server: Option<Server>,
    pub(crate) hung_until: u64,
    pub(crate) stalled_until: u64,
    pub(crate) troubles: Troubles,
    /// A blow that waits for its trigger, and how long it lasts.
    pub(crate) armed: Option<(Trigger, Blow, u64)>,
    /// The guard's steps take up to so much longer, until then.
    pub(crate) late_steps: (u64, u64),
    /// Its clock does not count the pause that ends then.
    pub(crate) frozen_until: u64,
    /// What its daemon does now was left from before a pause, or from its birth.
    pub(crate) left_over: bool,
    /// How many actions its daemons have carried out.
    pub(crate) actions: u64,
    /// After which of them what strikes, and for how long.
    pub(crate) counted: Option<(u64, Blow, u64)>,
    /// When the newest message on the socket arrives, either way: they come in order.
    pub(crate) socket: [u64; 2],
    /// How long the daemon stays away after it ended by itself.
    pub(crate) away: u64,
    /// The status last written to the trace.
    pub(crate) last_status: String,
}

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) node: Node,
    pub(crate) steward: Steward,
    /// In the node's place, if that is what is tried.
    #[cfg(feature = "mutants")]
    pub(crate) original: Option<Original>,
    pub(crate) started_at: u64,
    pub(crate) paused_until: u64,
    pub(crate) backlog: VecDeque<Input>,
    /// What it is about; something is left when it is paused between two actions.
    pub(crate) due: VecDeque<Inner>,
}

/// What a daemon's task takes in.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Input {
    Timer,
    Received(usize, Box<Message>),
    Persisted(u64),
    Guard(Box<GuardView>),
    Outcome { number: u64, outcome: Outcome },
    Progress { number: u64, done: u64, total: u64 },
    Operator(u64, Command),
    Stop,
}

/// What goes from daemon to guard.
#[derive(Clone, Debug, Hash)]
pub(crate) enum ToGuard {
    Permission(Permission),
    Order(Box<Order>),
}

impl Host {
    /// A host that was never started.
    pub(crate) fn new(config: Config, clock: Clock, storage: Storage) -> Self {
        Host {
            config,
            configured: None,
            edited: None,
            clock,
            up: false,
            paused_until: 0,
            excused_until: 0,
            backlog: VecDeque::new(),
            daemon: None,
            daemon_runs: 0,
            guard: None,
            guard_runs: 0,
            guard_paused_until: 0,
            guard_backlog: vec![],
            guard_due: None,
            execs: vec![],
            disk: Disk::default(),
            storage,
            server: None,
            hung_until: 0,
            stalled_until: 0,
            troubles: Troubles::default(),
            armed: None,
            late_steps: (0, 0),
            frozen_until: 0,
            left_over: false,
            actions: 0,
            counted: None,
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
        if self.guard_paused(h) {
            // It waits for the guard's greeting.
            self.after(50_000, Ev::StartDaemon { h });
            return;
        }
        if self.refuses_configuration(h) {
            self.say(h, || {
                "daemon: does not start, its state is of other members".into()
            });
            return;
        }
        self.look_for_trouble();
        if self.hosts[h].guard.is_none() {
            let nonce = self.choices.bits(About::Nonce, h, 1);
            let host = &mut self.hosts[h];
            host.guard_runs += 1;
            host.guard = Some(Guard::new(host.config.clone(), nonce));
            host.guard_due = None;
            self.guard_drains(h);
        }
        let nonce = self.choices.bits(About::Nonce, h, 0);
        let now = self.hosts[h].clock.at(self.now);
        let host = &mut self.hosts[h];
        let guard = host.guard.as_ref().map_or(GuardView::NEW, Guard::view);
        let boot = Boot { now, nonce, guard };
        if let Some(length) = host.configured.take() {
            host.config.decision_timeout = length;
        }
        host.daemon_runs += 1;
        let state = host.disk.durable.as_deref().cloned();
        let config = host.edited.as_ref().unwrap_or(&host.config).clone();
        self.oracles.specification.starts(h, now, state.as_ref());
        host.daemon = Some(Box::new(Daemon {
            node: Node::new(config.clone(), state, boot.clone()),
            steward: Steward::new(config, boot),
            #[cfg(feature = "mutants")]
            original: None,
            started_at: self.now,
            paused_until: 0,
            backlog: VecDeque::new(),
            due: VecDeque::new(),
        }));
        let runs = host.daemon_runs;
        self.coverage.restarts += u64::from(runs > 1);
        self.say(h, || format!("daemon: starts, run {runs}"));
        self.observe_daemon_starts(h);
        self.digest.note(("daemon", h, runs));
        self.daemon_handles(h);
    }

    /// The daemon's process ends, between two actions or while it waits.
    pub(crate) fn daemon_dies(&mut self, h: usize) {
        if self.hosts[h].daemon.take().is_none() {
            return;
        }
        self.observe_daemon_dies(h);
        let lands = self.choices.chance(About::StateLands, h, 0, 500);
        let full = self.hosts[h].disk.full_until > self.now;
        self.hosts[h].disk.crash(lands && !full);
        self.on_state_durable(h);
        self.on_forgotten(h);
        self.hosts[h].armed = None;
        self.queue.set(Alarm::Daemon(h), None);
        self.say(h, || "daemon: ends".into());
        self.digest.note(("daemon ends", h));
        self.look_for_trouble();
    }

    /// The host loses power: what was not synced is lost.
    pub(crate) fn host_dies(&mut self, h: usize) {
        if !self.hosts[h].up {
            return;
        }
        self.observe_host_dies(h);
        self.daemon_dies(h);
        self.say(h, || "host: DOWN".into());
        self.oracles.specification.guard_ends(h);
        self.oracles.guards[h] = Default::default();
        // A quick step's rename may have reached the disk.
        for exec in std::mem::take(&mut self.hosts[h].execs) {
            if self.choices.chance(About::StepLands, h, 2, 500) {
                self.quick_step_lands(h, &exec);
            }
        }
        self.net.forgets_unsent(h);
        let host = &mut self.hosts[h];
        host.up = false;
        host.paused_until = 0;
        host.backlog.clear();
        host.guard = None;
        host.guard_paused_until = 0;
        host.guard_backlog.clear();
        self.queue.set(Alarm::Guard(h), None);
        let host = &mut self.hosts[h];
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
        self.observe_guard_dies(h);
        self.hosts[h].guard_paused_until = 0;
        self.hosts[h].guard_backlog.clear();
        self.queue.set(Alarm::Guard(h), None);
        self.say(h, || "guard: ends".into());
        self.oracles.specification.guard_ends(h);
        self.oracles.guards[h] = Default::default();
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
}
