//! The world: everything that there is, and its steps.

use crate::choices::{About, Choices};
use crate::client::Client;
use crate::clock::Clock;
use crate::coverage::Coverage;
use crate::digest::Digest;
use crate::event::Ev;
use crate::host::Host;
use crate::loss::Losses;
use crate::network::Network;
use crate::oracle::Oracles;
use crate::postgres::directory::{DataDir, Storage};
use crate::probe::Observer;
use crate::queue::{Next, Queue};
use crate::scenario::{Kind, Scenario};
use crate::trace::Trace;
use crate::word::Words;
use std::fmt;
use std::sync::Arc;
use yoke_core::member::{Member, MemberId, MemberKind};
use yoke_core::postgres::SystemId;
use yoke_core::{Config, Duration};

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

impl Violation {
    /// Whether an oracle saw it: an assertion of the core, a panic of the simulator and a run that differs from its twin
    /// are no finds.
    pub fn is_an_oracles(&self) -> bool {
        let others = ["core assertion", "simulator", "start", "determinism"];
        !others.contains(&self.oracle)
    }
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
    pub(crate) queue: Queue,
    pub(crate) scenario: Scenario,
    /// See [`Scenario::longest_timeout`].
    pub(crate) longest_timeout: u64,
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
    /// When a fault, an order to a guard or a committed record last changed something.
    pub(crate) stirred_at: u64,
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
        choices.tails = !matches!(scenario.kind, Kind::Single(_) | Kind::Network);
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
        let clients: Vec<Client> = (0..=scenario.clients.0 as usize)
            .map(|c| Client::new(c == 0))
            .collect();
        let mut world = World {
            now: 0,
            queue: Queue::new(clients.len()),
            oracles: Oracles::new(scenario.members.len()),
            longest_timeout: scenario.longest_timeout(),
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
            stirred_at: 0,
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
        while self.queue.next_at().is_some_and(|at| at <= end) {
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
            self.after(1_000_000, Ev::Client { client, session: 0 });
        }
        if matches!(self.scenario.kind, Kind::Single(_) | Kind::Network) {
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
        let at = self.now + delay;
        if self.trace.is_on() {
            self.trace.is_sent(self.now, at, self.queue.seq() + 1, &ev);
        }
        self.queue.put(at, ev);
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
        if self.violation.is_none() && !self.knows_no_rule_of(oracle) {
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
        let Some((now, seq, next)) = self.queue.pop() else {
            return false;
        };
        self.now = now;
        self.events += 1;
        self.trace.step = self.events;
        if self.events > MOST_EVENTS {
            self.violated("liveness", "the run does not come to an end".into());
        }
        match next {
            Next::Alarm(alarm) => {
                self.digest.note((now, alarm));
                self.met = alarm.place();
                self.rings(alarm);
            }
            Next::Event(ev) => {
                self.digest
                    .note((now, std::mem::discriminant(&ev), ev.place()));
                self.met = ev.place();
                if self.trace.is_on() {
                    let taken_in = self.is_taken_in(&ev);
                    self.trace.is_due(seq, taken_in);
                }
                self.happens(ev);
            }
        }
        self.watch_primary();
        self.check_permission();
        self.note_down();
        self.check_liveness();
        self.note_databases();
        self.look();
        true
    }
}
