//! Streaming: a standby's receiver, a primary's walsenders, and the connection between them, which may deliver what was
//! acknowledged long before, as long as the walsender has not noticed its end.

use crate::choices::About;
use crate::postgres::instance::DbEv;
use crate::postgres::server::{Phase, read_of};
use crate::postgres::wal::{Entry, Lineage, continues};
use crate::postgres::walsender::Walsender;
use crate::trouble::Trouble;
use crate::world::World;
use yoke_core::member::MemberId;
use yoke_core::postgres::{Lsn, SystemId};
use yoke_core::record::Copy;

/// `wal_sender_timeout` and `wal_receiver_timeout`.
pub(crate) const TIMEOUT: u64 = 3_000_000;
/// `wal_receiver_status_interval`, and how often a walsender says that it lives.
const PULSE: u64 = 1_000_000;
/// `wal_retrieve_retry_interval`.
const RETRY: u64 = 100_000;

/// How far a receiver is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub(crate) enum Link {
    #[default]
    Off,
    Trying,
    Asked(u64),
    /// What the primary has does not continue what is here: it waits for ever.
    Waiting(u64),
    Starting(u64),
    Streaming(u64),
}

/// The standby's end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receiver {
    pub(crate) target: Option<MemberId>,
    pub(crate) name: Option<Copy>,
    pub(crate) link: Link,
    pub(crate) attempt: u64,
    pub(crate) heard: u64,
    pub(crate) theirs: Lineage,
}

impl Receiver {
    /// Whether WAL comes in.
    pub(crate) fn streams(&self) -> bool {
        matches!(self.link, Link::Streaming(_))
    }

    fn conn(&self) -> Option<u64> {
        match self.link {
            Link::Off | Link::Trying => None,
            Link::Asked(conn)
            | Link::Waiting(conn)
            | Link::Starting(conn)
            | Link::Streaming(conn) => Some(conn),
        }
    }
}

/// What goes over a connection between two databases.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Wire {
    Connect {
        copy: Option<Copy>,
    },
    Hello {
        system_id: SystemId,
        lineage: Lineage,
        end: Lsn,
    },
    Start {
        from: Lsn,
        previous: Lsn,
    },
    Data {
        entries: Vec<Entry>,
    },
    Ack {
        flushed: Lsn,
    },
    /// The connection has ended, or was refused.
    Fin,
}

impl World {
    /// The startup process looks at its settings: whom to follow, and under which name.
    pub(crate) fn receiver_follows(&mut self, h: usize) {
        let host = &mut self.hosts[h];
        let Some(server) = &mut host.server else {
            return;
        };
        if server.phase != Phase::Standby {
            return;
        }
        let read = read_of(host.storage.settings.as_ref());
        let same = (server.receiver.target, server.receiver.name) == (read.follow, read.copy);
        if same && (server.receiver.link != Link::Off || read.follow.is_none()) {
            return;
        }
        self.receiver_ends(h);
        if let Some(server) = &mut self.hosts[h].server {
            server.receiver.target = read.follow;
            server.receiver.name = read.copy;
        }
        self.say(h, || format!("postgres: follows {:?}", read.follow));
        self.receiver_retries(h, 2_000);
    }

    /// The receiver's connection ends; what was flushed stays.
    pub(crate) fn receiver_ends(&mut self, h: usize) {
        let Some(server) = &mut self.hosts[h].server else {
            return;
        };
        let conn = server.receiver.conn();
        let upstream = server.receiver.target;
        server.receiver.link = Link::Off;
        server.receiver.attempt += 1;
        if let (Some(conn), Some(upstream)) = (conn, upstream) {
            self.db_send(h, usize::from(upstream.0), conn, Wire::Fin);
        }
    }

    fn receiver_retries(&mut self, h: usize, delay: u64) {
        let Some(server) = &mut self.hosts[h].server else {
            return;
        };
        if server.phase != Phase::Standby || server.receiver.target.is_none() {
            return;
        }
        server.receiver.link = Link::Trying;
        server.receiver.attempt += 1;
        let (run, attempt) = (server.run, server.receiver.attempt);
        self.db_in(delay, h, run, DbEv::ReceiverTry(attempt));
    }

    pub(crate) fn receiver_try(&mut self, h: usize, attempt: u64) {
        let conn = self.fresh_uid();
        let now = self.now;
        let Some(server) = &mut self.hosts[h].server else {
            return;
        };
        if server.receiver.attempt != attempt || server.phase != Phase::Standby {
            return;
        }
        let Some(upstream) = server.receiver.target else {
            return;
        };
        server.receiver.link = Link::Asked(conn);
        server.receiver.heard = now;
        let (run, copy) = (server.run, server.receiver.name);
        self.db_send(h, usize::from(upstream.0), conn, Wire::Connect { copy });
        self.db_in(PULSE, h, run, DbEv::Pulse(conn));
    }

    /// Once a second at either end: says that it lives, or notices that the other does not.
    pub(crate) fn pulse(&mut self, h: usize, conn: u64) {
        let now = self.now;
        let Some(server) = &mut self.hosts[h].server else {
            return;
        };
        let run = server.run;
        if let Some(at) = server.walsenders.iter().position(|w| w.conn == conn) {
            let (peer, heard) = (server.walsenders[at].peer, server.walsenders[at].heard);
            let cut = server.walsenders[at].cut;
            if now - heard > TIMEOUT {
                server.walsenders.remove(at);
                self.say(h, || format!("postgres: walsender for m{peer} times out"));
                self.stop_if_all_sent(h);
            } else {
                if !cut {
                    self.db_send(h, peer, conn, Wire::Data { entries: vec![] });
                }
                self.db_in(PULSE, h, run, DbEv::Pulse(conn));
            }
        } else if server.receiver.conn() == Some(conn) {
            if now - server.receiver.heard > TIMEOUT {
                self.say(h, || "postgres: receiver times out".into());
                self.receiver_ends(h);
                self.receiver_retries(h, RETRY);
            } else {
                self.db_in(PULSE, h, run, DbEv::Pulse(conn));
            }
        }
    }

    /// A standby's end of a connection is gone, and the primary's is not told: that one stays until it times out, with
    /// what the standby said last. The standby connects again, under the same name.
    pub(crate) fn connection_is_cut(&mut self, h: usize) {
        let Some(server) = &mut self.hosts[h].server else {
            return;
        };
        let whole = |w: &&mut Walsender| w.streaming && !w.cut;
        let Some(walsender) = server.walsenders.iter_mut().find(whole) else {
            return;
        };
        walsender.cut = true;
        let (peer, conn) = (walsender.peer, walsender.conn);
        self.say(h, || format!("postgres: the connection of m{peer} is cut"));
        let Some(standby) = &mut self.hosts[peer].server else {
            return;
        };
        if standby.receiver.conn() == Some(conn) {
            standby.receiver.link = Link::Off;
            self.receiver_retries(peer, RETRY);
        }
    }

    /// Something arrived at a host's database.
    pub(crate) fn on_wire(&mut self, from: usize, h: usize, conn: u64, wire: Wire) {
        let now = self.now;
        let Some(server) = self.hosts[h].server.as_mut().filter(|s| !s.killed) else {
            if !matches!(wire, Wire::Fin) {
                self.db_send(h, from, conn, Wire::Fin);
            }
            return;
        };
        let run = server.run;
        match wire {
            Wire::Connect { copy } => {
                if server.phase != Phase::Primary {
                    self.db_send(h, from, conn, Wire::Fin);
                    return;
                }
                let mut walsender = Walsender {
                    conn,
                    peer: from,
                    copy,
                    names: None,
                    priority: 0,
                    sending: false,
                    streaming: false,
                    sent: 0,
                    flushed: Lsn(0),
                    heard: now,
                    on_slot: false,
                    cut: false,
                };
                walsender.take_names(server.read.gate.clone());
                server.walsenders.push(walsender);
                if let Some(dir) = &self.hosts[h].storage.directory {
                    let hello = Wire::Hello {
                        system_id: dir.system_id,
                        lineage: dir.lineage.clone(),
                        end: dir.wal.end(),
                    };
                    self.db_send(h, from, conn, hello);
                }
                self.db_in(PULSE, h, run, DbEv::Pulse(conn));
            }
            Wire::Hello {
                system_id,
                lineage,
                end,
            } => {
                if server.receiver.link == Link::Asked(conn) {
                    server.receiver.heard = now;
                    self.on_hello(h, conn, system_id, lineage, end);
                }
            }
            Wire::Start {
                from: position,
                previous,
            } => self.on_start(h, conn, position, previous),
            Wire::Data { entries } => {
                if server.receiver.conn() != Some(conn) {
                    self.db_send(h, from, conn, Wire::Fin);
                    return;
                }
                server.receiver.heard = now;
                if server.receiver.link == Link::Starting(conn) {
                    server.receiver.link = Link::Streaming(conn);
                    self.say(h, || "postgres: streams".into());
                }
                self.on_data(h, from, conn, entries);
            }
            Wire::Ack { flushed } => {
                if let Some(walsender) = server.walsenders.iter_mut().find(|w| w.conn == conn) {
                    walsender.heard = now;
                    walsender.flushed = walsender.flushed.max(flushed);
                    let name = walsender.copy;
                    if let Some(copy) = name {
                        server.confirms(copy, flushed, now);
                    }
                    self.release(h, conn);
                    self.stop_if_all_sent(h);
                }
            }
            Wire::Fin => {
                let before = server.walsenders.len();
                server.walsenders.retain(|w| w.conn != conn);
                if server.walsenders.len() < before {
                    self.say(h, || format!("postgres: m{from} disconnects"));
                    self.stop_if_all_sent(h);
                } else if server.receiver.conn() == Some(conn) {
                    server.receiver.link = Link::Off;
                    self.receiver_retries(h, RETRY);
                }
            }
        }
    }

    /// PostgreSQL judges by timeline numbers and positions whether it can go on along what the primary has.
    fn on_hello(
        &mut self,
        h: usize,
        conn: u64,
        system_id: SystemId,
        theirs: Lineage,
        their_end: Lsn,
    ) {
        let now = self.now;
        let host = &mut self.hosts[h];
        let (Some(server), Some(dir)) = (&mut host.server, &mut host.storage.directory) else {
            return;
        };
        let upstream = server.receiver.target;
        let mine = dir.timeline().0;
        let behind = theirs.last().is_none_or(|(timeline, _)| *timeline < mine);
        if dir.system_id != system_id || behind {
            self.say(h, || {
                "postgres: receiver FATAL: another system, or a timeline behind ours".into()
            });
            self.receiver_ends(h);
            self.receiver_retries(h, 10 * RETRY);
            return;
        }
        dir.fetch_files(&theirs);
        let replayed = if now >= server.replay_due {
            dir.wal.entries.len()
        } else {
            server.replayed
        };
        let replayed_end = if replayed == 0 {
            dir.wal.end()
        } else {
            dir.wal.entries[replayed - 1].end
        };
        let mut dropped = 0;
        if !continues(mine, dir.wal.end(), &theirs) {
            if !continues(mine, replayed_end, &theirs) {
                server.receiver.link = Link::Waiting(conn);
                self.say(h, || {
                    "postgres: the new timeline forked off before the current recovery point: waits"
                        .into()
                });
                return;
            }
            // Flushed, but not replayed: it is dropped with the switch to the other timeline.
            let at = theirs
                .iter()
                .position(|(t, _)| *t == mine)
                .map_or(0, |at| at + 1);
            if let Some((_, fork)) = theirs.get(at).copied() {
                dropped = dir.truncate(fork);
            }
        }
        let from = dir.wal.end();
        if from > their_end {
            self.say(h, || {
                "postgres: the requested starting point is ahead of the primary's".into()
            });
            self.receiver_ends(h);
            self.receiver_retries(h, 10 * RETRY);
            return;
        }
        let previous = dir.wal.entries.last().map_or(Lsn(0), |entry| entry.start);
        server.receiver.theirs = theirs;
        server.receiver.link = Link::Starting(conn);
        if let Some(upstream) = upstream {
            self.db_send(
                h,
                usize::from(upstream.0),
                conn,
                Wire::Start { from, previous },
            );
        }
        self.check_drops(h, dropped);
        self.check_vanished();
    }

    fn on_data(&mut self, h: usize, from: usize, conn: u64, mut entries: Vec<Entry>) {
        let now = self.now;
        let host = &mut self.hosts[h];
        let (Some(server), Some(dir)) = (&mut host.server, &mut host.storage.directory) else {
            return;
        };
        let Some(last) = entries.last().copied() else {
            let flushed = dir.wal.end();
            self.db_send(h, from, conn, Wire::Ack { flushed });
            return;
        };
        let run = server.run;
        let begin = now.max(server.flushing_until);
        let first = begin
            + self
                .choices
                .skewed(About::Flush, h, 1, (100, 4_000), 10, (10_000, 100_000));
        let mut done = first;
        let mut starts = entries[0].start;
        if self.choices.chance(About::Partial, h, 0, 125) {
            // The last record arrives in two parts: for a while the position flushed lies inside it.
            entries.pop();
            let inside = Lsn(last.start.0 + (last.end.0 - last.start.0) / 2);
            self.db_in(
                first - now,
                h,
                run,
                DbEv::Flushed {
                    conn,
                    from: starts,
                    entries,
                    ends_at: inside,
                },
            );
            done = first + self.choices.within(About::Flush, h, 2, 100, 4_000);
            entries = vec![last];
            starts = last.start;
        }
        if let Some(server) = &mut self.hosts[h].server {
            server.flushing_until = done;
        }
        self.db_in(
            done - now,
            h,
            run,
            DbEv::Flushed {
                conn,
                from: starts,
                entries,
                ends_at: last.end,
            },
        );
    }

    /// What was received is on disk.
    pub(crate) fn standby_flushed(
        &mut self,
        h: usize,
        conn: u64,
        from: Lsn,
        entries: &[Entry],
        ends_at: Lsn,
    ) {
        let now = self.now;
        let mut lag = self
            .choices
            .skewed(About::Replay, h, 0, (0, 3_000), 30, (10_000, 300_000));
        lag = lag.max(self.trouble_left(h, Trouble::StuckReplay));
        let host = &mut self.hosts[h];
        let (Some(server), Some(dir)) = (&mut host.server, &mut host.storage.directory) else {
            return;
        };
        if server.receiver.conn() != Some(conn) {
            return;
        }
        assert_eq!(
            from,
            dir.wal.end(),
            "a connection delivers everything in order"
        );
        if now >= server.replay_due {
            server.replayed = dir.wal.entries.len();
        }
        server.replay_due = server.replay_due.max(now + lag);
        let theirs = std::mem::take(&mut server.receiver.theirs);
        dir.receive(entries, &theirs);
        dir.never_used = false;
        server.receiver.theirs = theirs;
        if let Some(upstream) = server.receiver.target {
            self.db_send(
                h,
                usize::from(upstream.0),
                conn,
                Wire::Ack { flushed: ends_at },
            );
        }
    }
}
