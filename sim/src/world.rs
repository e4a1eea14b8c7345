//! The world: simulated time, the queue of what will happen, and what happens next.

use crate::choices::{About, Choices};
use crate::client::{Client, ClientEv};
use crate::clock::Clock;
use crate::coverage::Coverage;
use crate::digest::Digest;
use crate::host::{Host, Input, ToGuard};
use crate::loss::Losses;
use crate::network::Network;
use crate::oracle::Oracles;
use crate::postgres::directory::{DataDir, Storage};
use crate::postgres::instance::DbEv;
use crate::postgres::standby::Wire;
use crate::probe::Observer;
use crate::scenario::{Kind, Scenario};
use crate::trace::Trace;
use crate::word::Words;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;
use yoke_core::guard::GuardEvent;
use yoke_core::member::{Member, MemberId, MemberKind};
use yoke_core::postgres::{RunId, SystemId};
use yoke_core::step::Order;
use yoke_core::{Config, Duration, Message};

/// Something that will happen.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Ev {
    Fault(usize),
    /// For this fault, everything is copied aside.
    Image(usize),
    Heal,
    BootHost {
        h: usize,
    },
    /// The host dies and comes back at once.
    Restart {
        h: usize,
    },
    StartDaemon {
        h: usize,
    },
    Resume {
        h: usize,
    },
    Recheck,
    GuardTimer {
        h: usize,
        guard: u64,
        token: u64,
    },
    ToGuard {
        h: usize,
        daemon: u64,
        what: ToGuard,
    },
    ToDaemon {
        h: usize,
        daemon: u64,
        input: Input,
    },
    Deliver {
        from: usize,
        to: usize,
        message: Box<Message>,
    },
    Synced {
        h: usize,
        token: u64,
    },
    Exec {
        h: usize,
        guard: u64,
        number: u64,
    },
    Sql {
        h: usize,
        daemon: u64,
        order: Box<Order>,
        run: Option<RunId>,
        given_up: bool,
    },
    Dead {
        h: usize,
        run: RunId,
    },
    Gone {
        h: usize,
        run: RunId,
    },
    Db {
        h: usize,
        run: RunId,
        ev: DbEv,
    },
    Wire {
        from: usize,
        to: usize,
        conn: u64,
        wire: Wire,
    },
    /// It has passed the link; its host did not run.
    WireLands {
        from: usize,
        to: usize,
        conn: u64,
        wire: Wire,
    },
    LinkWhole {
        from: usize,
        to: usize,
    },
    Client {
        client: usize,
        session: u64,
        ev: ClientEv,
    },
    Probe,
}

impl Ev {
    /// The host on which it happens.
    fn host(&self) -> Option<usize> {
        match self {
            Ev::GuardTimer { h, .. }
            | Ev::ToGuard { h, .. }
            | Ev::ToDaemon { h, .. }
            | Ev::Synced { h, .. }
            | Ev::Exec { h, .. }
            | Ev::Sql { h, .. }
            | Ev::Dead { h, .. }
            | Ev::Gone { h, .. }
            | Ev::Db { h, .. }
            | Ev::StartDaemon { h } => Some(*h),
            Ev::Deliver { to, .. } => Some(*to),
            _ => None,
        }
    }

    /// The host whose database it may change; none: any.
    fn place(&self) -> Option<usize> {
        match self {
            Ev::Wire { to, .. } | Ev::WireLands { to, .. } | Ev::LinkWhole { to, .. } => Some(*to),
            other => other.host(),
        }
    }
}

/// Its place in the queue; small, because a heap moves its entries about.
struct Scheduled {
    at: u64,
    seq: u64,
    /// Where the event itself lies.
    slot: u32,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.seq == other.seq
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.seq).cmp(&(other.at, other.seq))
    }
}

/// A promise that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The oracle that saw it.
    pub oracle: &'static str,
    /// One line: what is wrong.
    pub what: String,
    /// When, in microseconds of simulated time.
    pub at: u64,
}

/// In one line.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.at / 1_000_000, self.at % 1_000_000);
        write!(f, "{} at {seconds}.{micros:06}: {}", self.oracle, self.what)
    }
}

/// Everything that there is.
pub(crate) struct World {
    pub(crate) now: u64,
    seq: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    due: Vec<Option<Ev>>,
    free: Vec<u32>,
    pub(crate) scenario: Scenario,
    pub(crate) choices: Choices,
    pub(crate) hosts: Vec<Host>,
    pub(crate) net: Network,
    pub(crate) clients: Vec<Client>,
    pub(crate) oracles: Oracles,
    pub(crate) digest: Digest,
    pub(crate) trace: Trace,
    pub(crate) coverage: Coverage,
    pub(crate) observer: Observer,
    pub(crate) losses: Losses,
    pub(crate) words: Words,
    pub(crate) violation: Option<Violation>,
    pub(crate) events: u64,
    /// The host that the newest step met; none: any.
    pub(crate) met: Option<usize>,
    /// How often a node, a steward or a guard handled something.
    pub(crate) core_steps: u64,
    /// How often a daemon handled something.
    pub(crate) daemon_steps: u64,
    /// When the cluster was ready: a primary that acknowledges, every copy in sync.
    pub(crate) ready: Option<u64>,
    pub(crate) healed: bool,
    pub(crate) heal_at: Option<u64>,
    pub(crate) finished: bool,
    pub(crate) next_write: u64,
    next_uid: u64,
}

/// No run has more events.
const MOST_EVENTS: u64 = 4_000_000;

impl World {
    /// The world before anything happened. `mutate` may change each member's configuration.
    pub(crate) fn new(
        scenario: Scenario,
        mut choices: Choices,
        story: bool,
        mutate: &dyn Fn(&mut Config),
    ) -> Self {
        let trace = Trace::new(story, &scenario.members);
        choices.tails = !matches!(scenario.kind, Kind::Single(_));
        let members: Arc<[Member]> = scenario
            .members
            .iter()
            .enumerate()
            .map(|(h, data)| Member {
                name: format!("m{h}"),
                kind: if *data {
                    MemberKind::Data
                } else {
                    MemberKind::Witness
                },
            })
            .collect();
        let mut next_uid = 1;
        let hosts = (0..members.len())
            .map(|h| {
                let mut config = Config {
                    cluster: "sim".into(),
                    members: Arc::clone(&members),
                    me: MemberId(h as u8),
                    configured_primary: MemberId(0),
                    decision_timeout: Duration(scenario.decision_timeout),
                    sync_timeout: Duration(scenario.sync_timeout),
                    health_timeout: Duration(scenario.health_timeout),
                    #[cfg(feature = "mutants")]
                    mutant: None,
                };
                mutate(&mut config);
                let mut storage = Storage::default();
                if (h == 0 && !scenario.bare)
                    || (h > 0 && scenario.own_database && scenario.members[h])
                {
                    next_uid += 1;
                    let system = SystemId(choices.bits(About::Nonce, h, 2));
                    storage.directory = Some(DataDir {
                        rewindable: scenario.rewinds,
                        ..DataDir::fresh(next_uid, system)
                    });
                }
                let offset = choices.within(About::Nonce, h, 3, 0, 1_000_000_000);
                Host::new(config, Clock::new(offset, scenario.rates[h]), storage)
            })
            .collect();
        let clients = (0..=scenario.clients.0 as usize)
            .map(|c| Client::new(c == 0))
            .collect();
        let mut world = World {
            now: 0,
            seq: 0,
            queue: BinaryHeap::new(),
            due: vec![],
            free: vec![],
            oracles: Oracles::new(scenario.members.len()),
            scenario,
            choices,
            hosts,
            net: Network::new(),
            clients,
            digest: Digest::new(),
            trace,
            coverage: Coverage::default(),
            observer: Observer::new(members.len()),
            losses: Losses::default(),
            words: Words::default(),
            violation: None,
            events: 0,
            met: None,
            core_steps: 0,
            daemon_steps: 0,
            ready: None,
            healed: false,
            heal_at: None,
            finished: false,
            next_write: 0,
            next_uid,
        };
        world.begins();
        world
    }

    /// For the tests of the database model: all hosts have power, no daemon, no client, and nothing is due.
    #[cfg(test)]
    pub(crate) fn still() -> World {
        let mut scenario = Scenario::calm(1);
        scenario.members = vec![true, true, true];
        let mut world = World::new(scenario, Choices::from_seed(1), false, &|_| {});
        world.choices.tails = false;
        world.queue.clear();
        for host in &mut world.hosts {
            host.up = true;
        }
        world
    }

    /// Lets so many microseconds pass.
    #[cfg(test)]
    pub(crate) fn passes_by(&mut self, time: u64) {
        let end = self.now + time;
        while self
            .queue
            .peek()
            .is_some_and(|Reverse(next)| next.at <= end)
        {
            self.step();
        }
        self.now = end;
    }

    fn begins(&mut self) {
        for h in 0..self.hosts.len() {
            let at = self.choices.within(About::Restart, h, 1, 0, 300_000);
            self.after(at, Ev::BootHost { h });
        }
        for client in 0..self.clients.len() {
            self.after(
                1_000_000,
                Ev::Client {
                    client,
                    session: 0,
                    ev: ClientEv::Wake,
                },
            );
        }
        if matches!(self.scenario.kind, Kind::Single(_)) {
            self.after(1_000_000, Ev::Probe);
        }
        for (number, fault) in self.scenario.faults.clone().into_iter().enumerate() {
            if fault.early {
                self.after(fault.at, Ev::Fault(number));
            }
        }
    }

    /// Something will happen after so many microseconds.
    pub(crate) fn after(&mut self, delay: u64, ev: Ev) {
        self.seq += 1;
        self.trace
            .is_sent(self.now, self.now + delay, self.seq, &ev);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.due.push(None);
            self.due.len() as u32 - 1
        });
        self.due[slot as usize] = Some(ev);
        self.queue.push(Reverse(Scheduled {
            at: self.now + delay,
            seq: self.seq,
            slot,
        }));
    }

    /// One line of the trace of a host.
    pub(crate) fn say(&mut self, h: usize, text: impl FnOnce() -> String) {
        self.trace.say(self.now, Some(h), text);
    }

    /// A number never used before.
    pub(crate) fn fresh_uid(&mut self) -> u64 {
        self.next_uid += 1;
        self.next_uid
    }

    /// A promise was broken; the first one counts.
    pub(crate) fn violated(&mut self, oracle: &'static str, what: String) {
        if self.violation.is_none() {
            self.trace
                .say(self.now, None, || format!("VIOLATION of {oracle}: {what}"));
            self.violation = Some(Violation {
                oracle,
                what,
                at: self.now,
            });
        }
    }

    /// The next event; false if there is none.
    pub(crate) fn step(&mut self) -> bool {
        let Some(Reverse(next)) = self.queue.pop() else {
            return false;
        };
        let Some(ev) = self.due[next.slot as usize].take() else {
            return false;
        };
        self.free.push(next.slot);
        self.now = next.at;
        self.events += 1;
        self.trace.step = self.events;
        if self.events > MOST_EVENTS {
            self.violated("liveness", "the run does not come to an end".into());
        }
        self.digest.note((self.now, &ev));
        self.met = ev.place();
        if self.trace.is_on() {
            let taken_in = self.is_taken_in(&ev);
            self.trace.is_due(next.seq, taken_in);
        }
        self.happens(ev);
        self.check_liveness();
        self.note_databases();
        self.look();
        true
    }

    /// It happens, unless its host is down or paused.
    pub(crate) fn happens(&mut self, ev: Ev) {
        if let Some(h) = ev.host() {
            let host = &mut self.hosts[h];
            if !host.up {
                return;
            }
            if host.paused(self.now) {
                host.backlog.push_back(ev);
                return;
            }
        }
        match ev {
            Ev::Fault(number) => self.fault(number),
            Ev::Image(number) => self.take_images(number),
            Ev::Heal => self.heal(),
            Ev::BootHost { h } if self.is_kept_off(h) => self.after(100_000, Ev::BootHost { h }),
            Ev::BootHost { h } => self.host_boots(h),
            Ev::Restart { h } => {
                self.host_dies(h);
                self.host_boots(h);
            }
            Ev::StartDaemon { h } => self.daemon_starts(h),
            Ev::Resume { h } => self.resume(h),
            Ev::Recheck => self.check_two_primaries(),
            Ev::GuardTimer { h, guard, token } => {
                if self.hosts[h].guard_runs == guard {
                    self.on_guard_timer(h, token);
                }
            }
            Ev::ToGuard { h, daemon, what } => {
                if self.hosts[h].daemon_runs == daemon {
                    self.on_to_guard(h, what);
                }
            }
            Ev::ToDaemon { h, daemon, input } => {
                if self.hosts[h].daemon_runs == daemon {
                    self.daemon_gets(h, input);
                }
            }
            Ev::Deliver { from, to, message } => {
                if self.passes(from, to) {
                    self.digest.note((self.now, from, to));
                    self.daemon_gets(to, Input::Received(from, message));
                }
            }
            Ev::Synced { h, token } => self.on_synced(h, token),
            Ev::Exec { h, guard, number } => {
                if self.hosts[h].guard_runs == guard {
                    self.on_exec(h, number);
                }
            }
            Ev::Sql {
                h,
                daemon,
                order,
                run,
                given_up,
            } => {
                let outcome = self.on_sql(h, &order.step, run, given_up);
                let back =
                    self.choices
                        .skewed(About::ObserveBack, h, 0, (20, 500), 20, (1_000, 20_000));
                let input = Input::Outcome {
                    number: order.number,
                    outcome,
                };
                self.after(back, Ev::ToDaemon { h, daemon, input });
            }
            Ev::Dead { h, run } => self.on_dead(h, run),
            Ev::Gone { h, run } => {
                if self.hosts[h].server.as_ref().is_some_and(|s| s.run == run) {
                    self.database_ends(h, false);
                } else {
                    self.guard_handles(h, GuardEvent::Gone { run });
                }
            }
            Ev::Db { h, run, ev } => self.on_db(h, run, ev),
            Ev::Wire {
                from,
                to,
                conn,
                wire,
            } => self.on_wire_arrives(from, to, conn, wire),
            Ev::WireLands {
                from,
                to,
                conn,
                wire,
            } => self.wire_lands(from, to, conn, wire),
            Ev::LinkWhole { from, to } => self.on_link_whole(from, to),
            Ev::Client {
                client,
                session,
                ev,
            } => self.on_client(client, session, ev),
            Ev::Probe => self.probe(),
        }
    }
}
