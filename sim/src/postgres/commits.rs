//! Commits and what they wait for; and how a new setting reaches the processes that decide it.

use crate::choices::About;
use crate::postgres::instance::DbEv;
use crate::postgres::server::{Phase, Waiter, Waiting, in_words, read_of, waits};
use crate::postgres::wal::Kind;
use crate::trouble::Trouble;
use crate::world::World;
use yoke_core::step::Canary;

impl World {
    pub(crate) fn commit(&mut self, h: usize, client: usize, session: u64, write: u64) {
        let host = &mut self.hosts[h];
        let Some(server) = &mut host.server else {
            return;
        };
        if !server.sessions.contains(&(client, session)) {
            return;
        }
        if server.phase != Phase::Primary {
            // Read-only: the client learns it.
            self.client_refused(client, session);
            return;
        }
        let flag = server.flag;
        self.on_read(h);
        let (entry, index) = self.append(h, Kind::Write(write));
        let who = Waiter::Client { client, session };
        let waiting = Waiting { who, entry, index };
        self.say(h, || {
            format!(
                "postgres: w{write} flushed at {}{}",
                entry.end,
                if flag { ", waits" } else { "" }
            )
        });
        if flag {
            if let Some(server) = &mut self.hosts[h].server {
                server.waiting.push(waiting);
            }
        } else {
            self.returned(h, waiting);
        }
    }

    /// A commit comes back to whoever began it.
    pub(crate) fn returned(&mut self, h: usize, waiting: Waiting) {
        match (waiting.who, waiting.entry.kind) {
            (Waiter::Client { client, session }, Kind::Write(write)) => {
                self.on_acknowledged(h, write, waiting.index);
                self.client_acknowledged(h, client, session);
            }
            _ => {
                if let Some(server) = &mut self.hosts[h].server {
                    server.canary = Canary::Returned;
                }
            }
        }
    }

    /// A walsender has handled a standby's reply.
    pub(crate) fn release(&mut self, h: usize, conn: u64) {
        let Some(server) = &mut self.hosts[h].server else {
            return;
        };
        if server.killed || !matches!(server.phase, Phase::Primary) {
            return;
        }
        let Some(walsender) = server.walsenders.iter().find(|w| w.conn == conn) else {
            return;
        };
        let Some(up_to) = server.released_by(walsender) else {
            return;
        };
        let count = server.waiting.partition_point(|w| w.entry.end <= up_to);
        let released: Vec<Waiting> = server.waiting.drain(..count).collect();
        for waiting in released {
            self.returned(h, waiting);
        }
    }

    /// `pg_reload_conf`: each process reads the file when it next looks.
    pub(crate) fn reload(&mut self, h: usize) {
        let Some(server) = &self.hosts[h].server else {
            return;
        };
        let run = server.run;
        let time = self.choices.skewed(
            About::RereadPostmaster,
            h,
            0,
            (500, 20_000),
            20,
            (20_000, 300_000),
        );
        self.db_in(time, h, run, DbEv::RereadPostmaster);
    }

    /// The postmaster reads the file, then tells its children, who look when they next can.
    pub(crate) fn reread_postmaster(&mut self, h: usize) {
        let refuses = self.is_troubled(h, Trouble::RefusedSettings);
        let host = &mut self.hosts[h];
        let Some(server) = &mut host.server else {
            return;
        };
        if refuses {
            // Its children are told all the same, and refuse as long as it would.
            self.say(h, || "postgres: LOG, no changes were applied".into());
            self.children_reread(h);
            return;
        }
        server.read = read_of(host.storage.settings.as_ref());
        let read = server.read.clone();
        self.say(h, || {
            format!(
                "postgres: postmaster reads settings {}: {}",
                read.generation,
                in_words(&read)
            )
        });
        self.children_reread(h);
    }

    fn children_reread(&mut self, h: usize) {
        let Some(server) = &self.hosts[h].server else {
            return;
        };
        let run = server.run;
        let conns: Vec<u64> = server.walsenders.iter().map(|w| w.conn).collect();
        let checkpointer = self.choices.skewed(
            About::RereadCheckpointer,
            h,
            0,
            (500, 40_000),
            40,
            (100_000, 2_000_000),
        );
        self.db_in(checkpointer, h, run, DbEv::RereadCheckpointer);
        for conn in conns {
            let delay = self.choices.skewed(
                About::RereadWalsender,
                h,
                0,
                (500, 40_000),
                40,
                (100_000, 1_000_000),
            );
            self.db_in(delay, h, run, DbEv::RereadWalsender(conn));
        }
        let receiver = self
            .choices
            .within(About::RereadReceiver, h, 0, 500, 50_000);
        self.db_in(receiver, h, run, DbEv::RereadReceiver);
    }

    pub(crate) fn reread_checkpointer(&mut self, h: usize) {
        if self.keeps_settings(h, DbEv::RereadCheckpointer) {
            return;
        }
        let host = &mut self.hosts[h];
        let Some(server) = &mut host.server else {
            return;
        };
        let run = server.run;
        if server.takes {
            // One thing after the other.
            self.db_in(1_000, h, run, DbEv::RereadCheckpointer);
            return;
        }
        let flag = waits(&read_of(host.storage.settings.as_ref()).gate);
        if flag == server.flag {
            return;
        }
        server.takes = true;
        let delay = match self.is_troubled(h, Trouble::SlowCheckpointer) {
            true => self
                .choices
                .within(About::CheckpointerTakes, h, 1, 20_000, 2_500_000),
            false => self.choices.skewed(
                About::CheckpointerTakes,
                h,
                0,
                (5, 200),
                100,
                (1_000, 300_000),
            ),
        };
        self.db_in(delay, h, run, DbEv::CheckpointerTakes(flag));
    }

    /// What the checkpointer has read is in force.
    pub(crate) fn checkpointer_takes(&mut self, h: usize, flag: bool) {
        let Some(server) = &mut self.hosts[h].server else {
            return;
        };
        server.takes = false;
        server.flag = flag;
        self.say(h, || {
            format!(
                "postgres: checkpointer: commits {}",
                if flag { "wait" } else { "wait no more" }
            )
        });
        if !flag {
            let primary = self.hosts[h]
                .server
                .as_ref()
                .is_some_and(|s| s.phase == Phase::Primary);
            if primary {
                self.on_gate_opened(h);
                let released = self.hosts[h]
                    .server
                    .as_mut()
                    .map(|s| std::mem::take(&mut s.waiting));
                for waiting in released.unwrap_or_default() {
                    self.returned(h, waiting);
                }
            }
        }
    }

    /// A process does not take the new settings, or not yet.
    fn keeps_settings(&mut self, h: usize, again: DbEv) -> bool {
        if self.is_troubled(h, Trouble::LateGate)
            && let Some(server) = &self.hosts[h].server
        {
            // Each process in its own time.
            let run = server.run;
            let later = self.choices.within(About::Trouble, h, 2, 20_000, 500_000);
            self.db_in(later, h, run, again);
            return true;
        }
        let misses = self.is_troubled(h, Trouble::MissedReload)
            && self.choices.chance(About::Trouble, h, 3, 500);
        misses || self.is_troubled(h, Trouble::RefusedSettings)
    }

    pub(crate) fn reread_walsender(&mut self, h: usize, conn: u64) {
        if self.keeps_settings(h, DbEv::RereadWalsender(conn)) {
            return;
        }
        let host = &mut self.hosts[h];
        let Some(server) = &mut host.server else {
            return;
        };
        let names = read_of(host.storage.settings.as_ref()).gate;
        if let Some(walsender) = server.walsenders.iter_mut().find(|w| w.conn == conn) {
            walsender.take_names(names);
        }
    }

    /// Ends every client's session.
    pub(crate) fn end_sessions(&mut self, h: usize) {
        let Some(server) = &mut self.hosts[h].server else {
            return;
        };
        server.waiting.retain(|w| w.who == Waiter::Canary);
        for (client, session) in std::mem::take(&mut server.sessions) {
            self.client_lost(client, session);
        }
    }
}
