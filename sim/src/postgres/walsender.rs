//! The primary's end of a connection.

use crate::postgres::server::{Gate, Server};
use crate::postgres::standby::Wire;
use crate::world::World;
use yoke_core::postgres::Lsn;
use yoke_core::record::Copy;

/// One connection at the primary's end.
#[derive(Clone, Debug)]
pub(crate) struct Walsender {
    pub(crate) conn: u64,
    pub(crate) peer: usize,
    /// The name under which it connected.
    pub(crate) copy: Option<Copy>,
    /// Its own copy of the names.
    pub(crate) names: Gate,
    /// As it computed it from these.
    pub(crate) priority: u32,
    /// Sends WAL; else it is in state `startup`.
    pub(crate) sending: bool,
    /// Has caught up once.
    pub(crate) streaming: bool,
    pub(crate) sent: usize,
    pub(crate) flushed: Lsn,
    pub(crate) heard: u64,
    /// Streams from the slot of its name.
    pub(crate) on_slot: bool,
    /// Its other end is gone, and it is not told: what it sends is lost.
    pub(crate) cut: bool,
}

/// What a copy confirmed: the newest of two positions some seconds apart, and when; and the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confirmed {
    copy: Copy,
    newest: (Lsn, u64),
    settled: Lsn,
}

/// How far apart they are at least: longer than the core takes to notice (R8).
const SETTLES: u64 = 5_000_000;

impl Server {
    /// A copy says how far it has flushed.
    pub(crate) fn confirms(&mut self, copy: Copy, flushed: Lsn, now: u64) {
        match self.confirmed.iter_mut().find(|c| c.copy == copy) {
            Some(known) if now - known.newest.1 >= SETTLES => {
                known.settled = known.newest.0;
                known.newest = (flushed, now);
            }
            Some(_) => {}
            None => self.confirmed.push(Confirmed {
                copy,
                newest: (flushed, now),
                settled: Lsn(0),
            }),
        }
    }

    /// What a copy confirmed in this run some seconds ago.
    pub(crate) fn settled(&self, copy: Copy) -> Lsn {
        let known = self.confirmed.iter().find(|c| c.copy == copy);
        known.map_or(Lsn(0), |known| known.settled)
    }
}

impl Walsender {
    /// Reads its settings.
    pub(crate) fn take_names(&mut self, names: Gate) {
        let place = names
            .as_ref()
            .and_then(|names| names.iter().position(|name| Some(*name) == self.copy));
        self.priority = place.map_or(0, |place| place as u32 + 1);
        self.names = names;
    }
}

impl World {
    /// The standby asks for what follows this position.
    pub(crate) fn on_start(&mut self, h: usize, conn: u64, position: Lsn, previous: Lsn) {
        let host = &mut self.hosts[h];
        let (Some(server), Some(dir)) = (&mut host.server, &mut host.storage.directory) else {
            return;
        };
        let Some(walsender) = server.walsenders.iter().find(|w| w.conn == conn) else {
            return;
        };
        let (peer, name) = (walsender.peer, walsender.copy);
        // PostgreSQL lets one connection at a time stream from a slot.
        let in_use = |name| {
            let mut own = server.walsenders.iter().filter(|w| w.copy == Some(name));
            own.any(|w| w.on_slot)
        };
        let refused = match name {
            Some(name) if in_use(name) => Some("its slot is in use by another connection"),
            Some(name) if !dir.slots.contains(&name) => Some("it has no slot"),
            _ => None,
        };
        if let Some(why) = refused {
            let twice = name.is_some_and(in_use);
            server.walsenders.retain(|w| w.conn != conn);
            self.observe_refused(twice);
            self.say(h, || format!("postgres: m{peer} is refused: {why}"));
            self.db_send(h, peer, conn, Wire::Fin);
            return;
        }
        let Some(place) = server.walsenders.iter().position(|w| w.conn == conn) else {
            return;
        };
        let walsender = &mut server.walsenders[place];
        walsender.on_slot = name.is_some();
        let index = dir.wal.entries.partition_point(|e| e.start < position);
        let starts = dir
            .wal
            .entries
            .get(index)
            .map_or(dir.wal.end(), |e| e.start);
        let before = index
            .checked_sub(1)
            .map_or(Lsn(0), |i| dir.wal.entries[i].start);
        if starts == position && before == previous {
            walsender.sending = true;
            walsender.sent = index;
            walsender.streaming = true;
            self.sends(h, place);
        } else {
            // No record begins there, or another one came before it: "record with incorrect prev-link", for ever.
            server.walsenders.retain(|w| w.conn != conn);
            self.say(h, || {
                format!("postgres: m{peer} asks for {position}, which does not continue its log")
            });
            self.db_send(h, peer, conn, Wire::Fin);
        }
    }

    /// What there is goes out, if this walsender sends.
    pub(crate) fn sends(&mut self, h: usize, place: usize) {
        let host = &mut self.hosts[h];
        let (Some(server), Some(dir)) = (&mut host.server, &mut host.storage.directory) else {
            return;
        };
        let walsender = &mut server.walsenders[place];
        if !walsender.sending {
            return;
        }
        let entries = dir.wal.entries[walsender.sent..].to_vec();
        walsender.sent = dir.wal.entries.len();
        let (peer, conn, cut) = (walsender.peer, walsender.conn, walsender.cut);
        if !cut {
            self.db_send(h, peer, conn, Wire::Data { entries });
        }
    }
}
