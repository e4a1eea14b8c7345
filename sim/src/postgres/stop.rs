//! A server stops: cleanly, which waits for its standbys, or at once.

use crate::choices::About;
use crate::postgres::instance::DbEv;
use crate::postgres::server::Phase;
use crate::world::World;
use yoke_core::postgres::StopMode;
use yoke_core::step::Canary;

impl World {
    /// A clean stop begins, or a kill.
    pub(crate) fn stop_begins(&mut self, h: usize, mode: StopMode) {
        let Some(server) = &mut self.hosts[h].server else {
            return;
        };
        let run = server.run;
        match mode {
            StopMode::Now => self.kill(h, run),
            StopMode::Clean => {
                let primary = server.phase == Phase::Primary;
                let half = matches!(server.phase, Phase::Starting | Phase::Promoting);
                server.phase = Phase::Stopping {
                    primary,
                    half,
                    written: false,
                };
                server.canary = Canary::None;
                self.end_sessions(h);
                if let Some(server) = &mut self.hosts[h].server {
                    server.waiting.clear();
                }
                self.receiver_ends(h);
                let time = self.choices.within(About::StopTime, h, 0, 60_000, 500_000);
                self.db_in(time, h, run, DbEv::StopWrites);
            }
        }
    }

    /// A clean stop waits until every walsender's standby has all of it.
    pub(crate) fn stop_if_all_sent(&mut self, h: usize) {
        let host = &mut self.hosts[h];
        let (Some(server), Some(dir)) = (&mut host.server, &mut host.storage.directory) else {
            return;
        };
        if !matches!(server.phase, Phase::Stopping { written: true, .. })
            || server.killed
            || server.hung
        {
            return;
        }
        let end = dir.wal.end();
        if server
            .walsenders
            .iter()
            .all(|w| !w.sending || w.flushed >= end)
        {
            self.clean_end(h);
        }
    }

    pub(crate) fn clean_end(&mut self, h: usize) {
        let host = &mut self.hosts[h];
        let (Some(server), Some(dir)) = (&mut host.server, &mut host.storage.directory) else {
            return;
        };
        if let Phase::Stopping {
            primary,
            half: false,
            ..
        } = server.phase
        {
            dir.stopped(primary);
        }
        self.database_ends(h, true);
    }
}
