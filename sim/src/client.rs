//! Clients: write, remember what was acknowledged, reconnect. One of them stays at a host whatever that is, so that its
//! session is there when a standby is promoted. A prober, in runs that measure gaps, tries everything all the time.

use crate::choices::About;
use crate::event::Ev;
use crate::postgres::instance::DbEv;
use crate::postgres::server::Phase;
use crate::queue::Alarm;
use crate::world::World;
use yoke_core::postgres::Doors;

/// The prober's number.
const PROBER: usize = usize::MAX;
/// How often it tries: gaps are measured to this.
const PROBE: u64 = 50_000;
/// So long after the last fault, order or record it is calm.
const CALM: u64 = 2_000_000;
/// So many statements of a thousand end a burst then.
const REST: u64 = 700;

/// One client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Takes any host, and stays.
    roams: bool,
    session: u64,
    at: Option<usize>,
    /// How often in turn nobody let it in, as far as it counts.
    vain: u32,
}

impl Client {
    pub(crate) fn new(roams: bool) -> Self {
        Client {
            roams,
            session: 0,
            at: None,
            vain: 0,
        }
    }
}

impl World {
    /// Whether clients can come in at a host, and whether they can write there.
    fn admits(&self, h: usize) -> Option<bool> {
        let host = &self.hosts[h];
        let server = host.server.as_ref()?;
        let answers = host.up && !host.paused(self.now) && !server.killed && !server.hung;
        let open = server.read.doors == Doors::Open;
        match server.phase {
            Phase::Standby | Phase::Promoting if answers && open => Some(false),
            Phase::Primary if answers && open => Some(true),
            _ => None,
        }
    }

    /// A client tries to connect.
    pub(crate) fn client_wakes(&mut self, client: usize, session: u64) {
        if self.clients[client].session == session {
            self.client_connects(client);
        }
    }

    /// Its statement got no answer for long.
    pub(crate) fn client_gives_up(&mut self, client: usize) {
        let session = self.clients[client].session;
        if let Some(h) = self.clients[client].at {
            if let Some(server) = &mut self.hosts[h].server {
                server.sessions.retain(|s| *s != (client, session));
            }
            self.client_lost(client, session);
        }
    }

    fn client_connects(&mut self, client: usize) {
        let count = self.hosts.len();
        let first = self.choices.bits(About::ClientHost, client, 0) as usize % count;
        let roams = self.clients[client].roams;
        let found = (0..count)
            .map(|i| (first + i) % count)
            .find(|h| self.admits(*h).is_some_and(|writes| writes || roams));
        self.clients[client].session += 1;
        let session = self.clients[client].session;
        self.clients[client].at = found;
        if let Some(h) = found
            && let Some(server) = &mut self.hosts[h].server
        {
            server.sessions.push((client, session));
            if server.phase == Phase::Primary {
                self.on_read(h);
            }
            self.clients[client].vain = 0;
            self.client_writes(client, h, 0);
        } else {
            // Less often, the longer nobody does.
            let vain = self.clients[client].vain;
            self.clients[client].vain = (vain + 1).min(2);
            self.client_later(client, 10_000, 60_000 << vain);
        }
    }

    fn client_later(&mut self, client: usize, low: u64, high: u64) {
        // No statement of it is under way.
        self.queue.set(Alarm::Client(client), None);
        let session = self.clients[client].session;
        let delay = self
            .choices
            .within(About::ClientThink, client, 0, low, high);
        self.after(delay, Ev::Client { client, session });
    }

    fn client_writes(&mut self, client: usize, h: usize, thinks: u64) {
        let session = self.clients[client].session;
        self.begin_write(client, session, h, thinks);
        let patience = self.now + thinks + 6_000_000;
        self.queue.set(Alarm::Client(client), Some(patience));
    }

    /// What a client begins after so long will be a commit.
    fn begin_write(&mut self, client: usize, session: u64, h: usize, thinks: u64) {
        self.next_write += 1;
        let write = self.next_write;
        let time = self
            .choices
            .skewed(About::Flush, h, 0, (300, 6_000), 10, (10_000, 100_000));
        if let Some(run) = self.hosts[h].server.as_ref().map(|s| s.run) {
            self.db_in(
                thinks + time,
                h,
                run,
                DbEv::Commit {
                    client,
                    session,
                    write,
                },
            );
        }
    }

    /// The server says COMMIT.
    pub(crate) fn client_acknowledged(&mut self, h: usize, client: usize, session: u64) {
        if client == PROBER {
            if let Some(server) = &mut self.hosts[h].server {
                server.sessions.retain(|s| *s != (client, session));
            }
            return;
        }
        self.client_goes_on(h, client, session);
    }

    /// The server says that it is read-only.
    pub(crate) fn client_refused(&mut self, client: usize, session: u64) {
        if client != PROBER
            && self.clients[client].session == session
            && let Some(h) = self.clients[client].at
        {
            self.client_goes_on(h, client, session);
        }
    }

    /// A statement has ended: the session's number changes with each, so that no old answer is taken for a new one.
    fn client_goes_on(&mut self, h: usize, client: usize, session: u64) {
        if self.clients[client].session != session {
            return;
        }
        self.clients[client].session += 1;
        let next = self.clients[client].session;
        if let Some(server) = &mut self.hosts[h].server {
            for s in &mut server.sessions {
                if *s == (client, session) {
                    s.1 = next;
                }
            }
        }
        // Where nothing happens, they write in bursts; what goes wrong between two writes has its time all the same.
        let calm = self.now > self.stirred_at + CALM;
        let (low, high) = match calm && self.choices.chance(About::ClientThink, client, 1, REST) {
            true => (200_000, 3_000_000),
            false => (1_000, self.scenario.clients.1),
        };
        let thinks = self
            .choices
            .within(About::ClientThink, client, 0, low, high);
        self.client_writes(client, h, thinks);
    }

    /// The connection is gone; what became of the statement is unknown.
    pub(crate) fn client_lost(&mut self, client: usize, session: u64) {
        if client != PROBER && self.clients[client].session == session {
            self.clients[client].at = None;
            self.clients[client].session += 1;
            self.client_later(client, 10_000, 60_000);
        }
    }

    /// The host is gone without a word.
    pub(crate) fn client_times_out(&mut self, client: usize, session: u64) {
        if client != PROBER && self.clients[client].session == session {
            self.clients[client].at = None;
            self.clients[client].session += 1;
            self.client_later(client, 300_000, 1_000_000);
        }
    }

    /// Tries every host, each time on a connection of its own.
    pub(crate) fn probe(&mut self) {
        for h in 0..self.hosts.len() {
            if self.admits(h) == Some(true) {
                let session = self.fresh_uid();
                if let Some(server) = &mut self.hosts[h].server {
                    server.sessions.push((PROBER, session));
                }
                self.on_read(h);
                self.begin_write(PROBER, session, h, 0);
            }
        }
        self.after(PROBE, Ev::Probe);
    }
}
