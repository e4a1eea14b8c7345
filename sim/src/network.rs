//! Links between hosts: those of the daemons lose, double, delay and reorder; those of the databases are connections,
//! where what is cut arrives later if both ends still hold on.

use crate::choices::About;
use crate::event::Ev;
use crate::postgres::standby::Wire;
use crate::scenario::Links;
use crate::trace::in_words;
use crate::world::World;
use std::collections::BTreeSet;
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
    /// Of a thousand messages so many take up to this long, until then.
    pub(crate) tail: (u64, u64, u64),
    /// Of a thousand messages so many arrive several times, until then.
    pub(crate) double: (u64, u64),
    /// How often the connection between two daemons has broken.
    resets: [[u64; MOST]; MOST],
    /// What is kept to arrive once more: for which fault, from whom, to whom, until when, what.
    echoes: Vec<Echo>,
    waiting: Vec<(usize, usize, u64, Wire)>,
    /// Connections that lost what their dead host did not send again, by that host.
    broken: BTreeSet<(usize, u64)>,
}

/// Messages that are kept to arrive once more.
#[derive(Clone, Debug)]
struct Echo {
    fault: usize,
    from: usize,
    to: usize,
    until: u64,
    messages: Vec<Message>,
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
            tail: (0, 0, 0),
            double: (0, 0),
            resets: [[0; MOST]; MOST],
            echoes: vec![],
            waiting: vec![],
            broken: BTreeSet::new(),
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
        let broken = std::mem::take(&mut self.broken);
        let (newest, resets) = (self.newest, self.resets);
        *self = Network {
            waiting,
            broken,
            newest,
            resets,
            ..Network::new()
        };
    }

    /// Cuts both directions.
    pub(crate) fn part(&mut self, one: usize, other: usize, links: Links, until: u64) {
        self.cut(one, other, links, until);
        self.cut(other, one, links, until);
    }

    /// The present connection between two daemons.
    pub(crate) fn link(&self, from: usize, to: usize) -> u64 {
        self.resets[from][to]
    }

    /// From when on both directions between two daemons pass, and without being held back.
    pub(crate) fn daemons_linked_at(&self, a: usize, b: usize) -> u64 {
        let way = |a: usize, b: usize| self.daemons[a][b].max(self.hold[a][b]);
        way(a, b).max(way(b, a))
    }

    /// A host has lost power: nobody sends again what a cut link has kept back, and nothing after it is delivered.
    pub(crate) fn forgets_unsent(&mut self, h: usize) {
        let (gone, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|(from, ..)| *from == h);
        self.waiting = waiting;
        self.broken
            .extend(gone.into_iter().map(|(from, _, conn, _)| (from, conn)));
    }

    /// Whether both directions between two databases pass.
    pub(crate) fn databases_linked(&self, a: usize, b: usize, now: u64) -> bool {
        self.databases[a][b] <= now && self.databases[b][a] <= now
    }
}

impl World {
    /// A daemon sends a message.
    pub(crate) fn send(&mut self, from: usize, to: usize, message: Box<Message>) {
        self.check_says(from, to, &message);
        self.observe_sent(from, &message);
        let now = self.now;
        if self.trace.is_on() {
            let text = in_words(&message);
            self.say(from, || format!("-> m{to} {text}"));
        }
        for echo in &mut self.net.echoes {
            if (echo.from, echo.to) == (from, to) && now < echo.until {
                echo.messages.push((*message).clone());
            }
        }
        let (_, double, _) = self.scenario.network;
        let mut more = u64::from(self.choices.chance(About::Duplicate, from, to, double));
        if now < self.net.double.1
            && self
                .choices
                .chance(About::Burst, from, to, self.net.double.0)
        {
            more += self.choices.within(About::Burst, from, to, 1, 4);
        }
        for _ in 0..more {
            self.sets_out(from, to, message.clone());
        }
        self.sets_out(from, to, message);
    }

    /// A message, or one more of the same, is on its way, or lost.
    fn sets_out(&mut self, from: usize, to: usize, message: Box<Message>) {
        let now = self.now;
        let (loss, _, late) = self.scenario.network;
        let extra = if now < self.net.loss.1 {
            self.net.loss.0
        } else {
            0
        };
        let (low, high) = self.scenario.delay;
        let mut delay =
            self.choices
                .skewed(About::Delay, from, to, (low, high), 10, (high, 5 * high));
        if self.choices.chance(About::Loss, from, to, loss + extra) {
            // Lost; or, as an old message, delivered when everybody has forgotten it.
            if !self.choices.chance(About::Late, from, to, 300) {
                self.trace.lost(now, from, to, &message);
                return;
            }
            delay = self
                .choices
                .within(About::LateBy, from, to, 1_000_000, 20_000_000);
        } else if !self.healed && self.choices.chance(About::Late, from, to, late) {
            delay = self
                .choices
                .within(About::LateBy, from, to, 100_000, 10_000_000);
        }
        let (share, most, until) = self.net.tail;
        if now < until && self.choices.chance(About::Tail, from, to, share) {
            // Each power of two as likely as the next.
            let top = (most >> self.choices.within(About::Tail, from, to, 0, 10)).max(1);
            delay += self.choices.within(About::Tail, from, to, 0, top);
        }
        let at = (now + delay).max(self.net.hold[from][to]);
        let link = self.net.link(from, to);
        self.after(
            at - now,
            Ev::Deliver {
                from,
                to,
                link,
                message,
            },
        );
    }

    /// Whether a daemon's message passes now.
    pub(crate) fn passes(&self, from: usize, to: usize) -> bool {
        self.net.daemons[from][to] <= self.now && self.agree_on_members(from, to)
    }

    /// Whether somebody is there to take in a message that comes now.
    pub(crate) fn is_taken_in(&self, ev: &Ev) -> bool {
        match ev {
            Ev::Deliver { from, to, link, .. } => {
                let passes = self.passes(*from, *to) && self.net.link(*from, *to) == *link;
                passes && self.hosts[*to].up && self.hosts[*to].daemon.is_some()
            }
            Ev::Wire { to, .. } => self.hosts[*to].server.is_some(),
            _ => true,
        }
    }

    /// From now on what the first sends to the second is kept for a moment.
    pub(crate) fn keeps_for_echo(&mut self, fault: usize, from: usize, to: usize) {
        let until = self.now + self.scenario.decision_timeout / 4;
        self.net.echoes.push(Echo {
            fault,
            from,
            to,
            until,
            messages: vec![],
        });
    }

    /// What was kept arrives once more.
    pub(crate) fn echoes(&mut self, fault: usize) {
        let (mine, others) = std::mem::take(&mut self.net.echoes)
            .into_iter()
            .partition::<Vec<_>, _>(|echo| echo.fault == fault);
        self.net.echoes = others;
        for Echo {
            from, to, messages, ..
        } in mine
        {
            let link = self.net.link(from, to);
            for message in messages {
                let (low, high) = self.scenario.delay;
                let delay = self.choices.within(About::Burst, from, to, low, high);
                let message = Box::new(message);
                self.after(
                    delay,
                    Ev::Deliver {
                        from,
                        to,
                        link,
                        message,
                    },
                );
            }
        }
    }

    /// A link is cut for half of each period.
    pub(crate) fn on_flap(
        &mut self,
        one: usize,
        other: usize,
        links: Links,
        period: u64,
        until: u64,
    ) {
        if self.healed || self.now >= until {
            return;
        }
        self.net.part(one, other, links, self.now + period / 2);
        self.after(
            period,
            Ev::Flap {
                one,
                other,
                links,
                period,
                until,
            },
        );
    }

    /// The connections between two hosts break; what was under way is lost.
    pub(crate) fn resets(&mut self, one: usize, other: usize, links: Links) {
        for (from, to) in [(one, other), (other, one)] {
            if links != Links::Databases {
                self.net.resets[from][to] += 1;
            }
            if links != Links::Daemons {
                let server = self.hosts[from].server.as_ref();
                let conns: Vec<u64> = server.map_or(vec![], |server| {
                    let walsenders = server.walsenders.iter().filter(|w| w.peer == to);
                    walsenders.map(|w| w.conn).collect()
                });
                for conn in conns {
                    self.wire_lands(to, from, conn, Wire::Fin);
                    self.wire_lands(from, to, conn, Wire::Fin);
                }
            }
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
        if self.net.broken.contains(&(from, conn)) {
            return;
        }
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
