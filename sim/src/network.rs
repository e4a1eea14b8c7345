//! Links between hosts: those of the daemons lose, double, delay and reorder; those of the databases are connections,
//! where what is cut arrives later if both ends still hold on.

use crate::choices::About;
use crate::event::Ev;
use crate::postgres::standby::Wire;
use crate::scenario::Links;
use crate::trace::in_words;
use crate::world::World;
use yoke_core::Message;

const MOST: usize = 8;

/// Which directed links pass, and what waits for them.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Until when nothing passes from the first to the second.
    daemons: [[u64; MOST]; MOST],
    databases: [[u64; MOST]; MOST],
    /// Until when what is sent waits.
    hold: [[u64; MOST]; MOST],
    /// When the newest message of a database link arrives: they come in order.
    newest: [[u64; MOST]; MOST],
    /// An additional share of a thousand that gets lost, until then.
    pub(crate) loss: (u64, u64),
    waiting: Vec<(usize, usize, u64, Wire)>,
}

impl Network {
    /// All links pass.
    pub(crate) fn new() -> Self {
        Network {
            daemons: [[0; MOST]; MOST],
            databases: [[0; MOST]; MOST],
            hold: [[0; MOST]; MOST],
            newest: [[0; MOST]; MOST],
            loss: (0, 0),
            waiting: vec![],
        }
    }

    /// Cuts one direction.
    pub(crate) fn cut(&mut self, from: usize, to: usize, links: Links, until: u64) {
        if links != Links::Databases {
            self.daemons[from][to] = self.daemons[from][to].max(until);
        }
        if links != Links::Daemons {
            self.databases[from][to] = self.databases[from][to].max(until);
        }
    }

    /// Holds one direction back.
    pub(crate) fn hold(&mut self, from: usize, to: usize, links: Links, until: u64) {
        if links != Links::Databases {
            self.hold[from][to] = self.hold[from][to].max(until);
        }
        if links != Links::Daemons {
            self.databases[from][to] = self.databases[from][to].max(until);
        }
    }

    /// Everything passes.
    pub(crate) fn heal(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let newest = self.newest;
        *self = Network {
            waiting,
            newest,
            ..Network::new()
        };
    }

    /// Whether both directions between two databases pass.
    pub(crate) fn databases_linked(&self, a: usize, b: usize, now: u64) -> bool {
        self.databases[a][b] <= now && self.databases[b][a] <= now
    }
}

impl World {
    /// A daemon sends a message.
    pub(crate) fn send(&mut self, from: usize, to: usize, message: Message) {
        let now = self.now;
        let (loss, double, late) = self.scenario.network;
        let extra = if now < self.net.loss.1 {
            self.net.loss.0
        } else {
            0
        };
        if self.trace.is_on() {
            let text = in_words(&message);
            self.say(from, || format!("-> m{to} {text}"));
        }
        let copies = 1 + u64::from(self.choices.chance(About::Duplicate, from, to, double));
        for _ in 0..copies {
            let (low, high) = self.scenario.delay;
            let mut delay =
                self.choices
                    .skewed(About::Delay, from, to, (low, high), 10, (high, 5 * high));
            if self.choices.chance(About::Loss, from, to, loss + extra) {
                // Lost; or, as an old message, delivered when everybody has forgotten it.
                if !self.choices.chance(About::Late, from, to, 300) {
                    self.trace.lost(now, from, to, &message);
                    continue;
                }
                delay = self
                    .choices
                    .within(About::LateBy, from, to, 1_000_000, 20_000_000);
            } else if !self.healed && self.choices.chance(About::Late, from, to, late) {
                delay = self
                    .choices
                    .within(About::LateBy, from, to, 100_000, 10_000_000);
            }
            let at = (now + delay).max(self.net.hold[from][to]);
            self.after(
                at - now,
                Ev::Deliver {
                    from,
                    to,
                    message: Box::new(message.clone()),
                },
            );
        }
    }

    /// Whether a daemon's message passes now.
    pub(crate) fn passes(&self, from: usize, to: usize) -> bool {
        self.net.daemons[from][to] <= self.now
    }

    /// Whether somebody is there to take in a message that comes now.
    pub(crate) fn is_taken_in(&self, ev: &Ev) -> bool {
        match ev {
            Ev::Deliver { from, to, .. } => {
                self.passes(*from, *to) && self.hosts[*to].up && self.hosts[*to].daemon.is_some()
            }
            Ev::Wire { to, .. } => self.hosts[*to].server.is_some(),
            _ => true,
        }
    }

    /// A database sends something over a connection.
    pub(crate) fn db_send(&mut self, from: usize, to: usize, conn: u64, wire: Wire) {
        let (low, high) = self.scenario.delay;
        let delay = self
            .choices
            .within(About::WalDelay, from, to, low / 2, high);
        let at = (self.now + delay).max(self.net.newest[from][to] + 1);
        self.net.newest[from][to] = at;
        self.after(
            at - self.now,
            Ev::Wire {
                from,
                to,
                conn,
                wire,
            },
        );
    }

    /// It arrives, unless the link is cut; then it comes when the link is whole again.
    pub(crate) fn on_wire_arrives(&mut self, from: usize, to: usize, conn: u64, wire: Wire) {
        let until = self.net.databases[from][to];
        if until > self.now
            || self
                .net
                .waiting
                .iter()
                .any(|(f, t, ..)| (*f, *t) == (from, to))
        {
            self.net.waiting.push((from, to, conn, wire));
            self.after(
                until.saturating_sub(self.now) + 1_000,
                Ev::LinkWhole { from, to },
            );
            return;
        }
        self.wire_lands(from, to, conn, wire);
    }

    /// A database link may be whole again.
    pub(crate) fn on_link_whole(&mut self, from: usize, to: usize) {
        if self.net.databases[from][to] > self.now {
            let until = self.net.databases[from][to];
            self.after(until - self.now, Ev::LinkWhole { from, to });
            return;
        }
        let (mine, others) = std::mem::take(&mut self.net.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|(f, t, ..)| (*f, *t) == (from, to));
        self.net.waiting = others;
        for (from, to, conn, wire) in mine {
            self.wire_lands(from, to, conn, wire);
        }
    }

    /// It has passed the link.
    pub(crate) fn wire_lands(&mut self, from: usize, to: usize, conn: u64, wire: Wire) {
        let host = &mut self.hosts[to];
        if !host.up {
            return;
        }
        if host.paused(self.now) {
            host.backlog.push_back(Ev::WireLands {
                from,
                to,
                conn,
                wire,
            });
            return;
        }
        if let Some(server) = host.server.as_mut().filter(|s| s.hung && !s.killed) {
            server.wire_backlog.push((from, conn, wire));
            return;
        }
        self.on_wire(from, to, conn, wire);
    }
}
