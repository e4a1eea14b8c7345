//! What happens in a running server.

use crate::choices::About;
use crate::event::Ev;
use crate::postgres::directory::DataDir;
use crate::postgres::server::{Phase, Server, Waiter, Waiting};
use crate::postgres::standby::TIMEOUT;
use crate::postgres::wal::{Entry, Kind};
use crate::trouble::Trouble;
use crate::world::World;
use yoke_core::postgres::{Lsn, RunId};
use yoke_core::step::{Canary, ClusterState};

/// How soon what is held up by a trouble looks whether that is over.
pub(crate) const LOOK_AGAIN: u64 = 50_000;

/// What happens inside one run of a server.
#[derive(Clone, Debug, Hash)]
pub(crate) enum DbEv {
    Started,
    /// The postmaster ends, and says why.
    Fatal(&'static str),
    /// A process reads the settings file.
    RereadPostmaster,
    RereadCheckpointer,
    /// The checkpointer has read whether commits wait, and now says so to all.
    CheckpointerTakes(bool),
    RereadWalsender(u64),
    RereadReceiver,
    PromotionFile,
    Promoted,
    ControlFile,
    Commit {
        client: usize,
        session: u64,
        write: u64,
    },
    CanaryFlushed(u64),
    Flushed {
        conn: u64,
        from: Lsn,
        entries: Vec<Entry>,
        ends_at: Lsn,
    },
    ReceiverTry(u64),
    Pulse(u64),
    StopWrites,
    StopGivesUp,
}

impl DbEv {
    /// Whether a disk that takes no write holds it up.
    fn needs_disk(&self) -> bool {
        matches!(
            self,
            DbEv::Started
                | DbEv::Commit { .. }
                | DbEv::CanaryFlushed(_)
                | DbEv::Flushed { .. }
                | DbEv::PromotionFile
                | DbEv::Promoted
                | DbEv::StopWrites
                | DbEv::ControlFile
        )
    }
}
impl World {
    /// A host's server and directory, if it is this run and not killed.
    pub(crate) fn server(&mut self, h: usize, run: RunId) -> Option<(&mut Server, &mut DataDir)> {
        let host = &mut self.hosts[h];
        match (&mut host.server, &mut host.storage.directory) {
            (Some(server), Some(dir)) if server.run == run && !server.killed => Some((server, dir)),
            _ => None,
        }
    }

    /// Something is to happen in this run of the server.
    pub(crate) fn db_in(&mut self, delay: u64, h: usize, run: RunId, ev: DbEv) {
        self.after(delay, Ev::Db { h, run, ev });
    }

    /// Something happens in a server.
    pub(crate) fn on_db(&mut self, h: usize, run: RunId, ev: DbEv) {
        let long_recovery = self.is_troubled(h, Trouble::LongRecovery);
        let slow_promotion = self.is_troubled(h, Trouble::SlowPromotion);
        let Some((server, dir)) = self.server(h, run) else {
            return;
        };
        if server.hung || (server.stalled && ev.needs_disk()) {
            server.backlog.push(ev);
            return;
        }
        match ev {
            DbEv::Started => {
                if server.phase != Phase::Starting {
                    return;
                }
                if long_recovery {
                    self.db_in(LOOK_AGAIN, h, run, ev);
                    return;
                }
                server.phase = Phase::Standby;
                server.replayed = dir.wal.entries.len();
                dir.cluster = ClusterState::Other;
                self.say(h, || "postgres: accepts connections as a standby".into());
                self.receiver_follows(h);
            }
            DbEv::Fatal(why) => {
                self.say(h, || format!("postgres: FATAL, {why}"));
                self.database_ends(h, false);
            }
            DbEv::RereadPostmaster => self.reread_postmaster(h),
            DbEv::RereadCheckpointer => self.reread_checkpointer(h),
            DbEv::CheckpointerTakes(flag) => self.checkpointer_takes(h, flag),
            DbEv::RereadWalsender(conn) => self.reread_walsender(h, conn),
            DbEv::RereadReceiver => self.receiver_follows(h),
            DbEv::PromotionFile => {
                if server.phase != Phase::Promoting {
                    return;
                }
                server.timeline_begun = true;
                let (timeline, start) = (dir.next_timeline(), dir.wal.end());
                let mut file = dir.lineage.clone();
                file.push((timeline, start));
                dir.files.push(file.clone());
                dir.lineage = file;
                dir.made.push((timeline, start));
                self.say(h, || {
                    format!("postgres: writes the history file of {timeline:?} at {start}")
                });
            }
            DbEv::Promoted => {
                if server.phase != Phase::Promoting {
                    return;
                }
                if slow_promotion || !server.timeline_begun {
                    self.db_in(LOOK_AGAIN, h, run, ev);
                } else {
                    self.promoted(h);
                }
            }
            DbEv::ControlFile => {
                if server.phase != Phase::Primary {
                    return;
                }
                let (entry, _) = self.append(h, Kind::Checkpoint);
                if let Some((_, dir)) = self.server(h, run) {
                    dir.checkpoint = entry.start;
                    dir.checkpoint_timeline = dir.timeline().0;
                }
            }
            DbEv::Commit {
                client,
                session,
                write,
            } => self.commit(h, client, session, write),
            DbEv::CanaryFlushed(number) => {
                if server.canaries == number
                    && server.phase == Phase::Primary
                    && server.canary == Canary::Begun
                {
                    let flag = server.flag;
                    let (entry, index) = self.append(h, Kind::Nudge);
                    let Some((server, _)) = self.server(h, run) else {
                        return;
                    };
                    if flag {
                        server.canary = Canary::Waiting;
                        server.waiting.push(Waiting {
                            who: Waiter::Canary,
                            entry,
                            index,
                        });
                    } else {
                        server.canary = Canary::Returned;
                    }
                }
            }
            DbEv::Flushed {
                conn,
                from,
                entries,
                ends_at,
            } => self.standby_flushed(h, conn, from, &entries, ends_at),
            DbEv::ReceiverTry(attempt) => self.receiver_try(h, attempt),
            DbEv::Pulse(conn) => self.pulse(h, conn),
            DbEv::StopWrites => {
                if let Phase::Stopping {
                    primary,
                    half,
                    written: false,
                } = server.phase
                {
                    if primary {
                        let (entry, _) = self.append(h, Kind::ShutdownCheckpoint);
                        if let Some((_, dir)) = self.server(h, run) {
                            dir.checkpoint = entry.start;
                            dir.checkpoint_timeline = dir.timeline().0;
                        }
                    }
                    if let Some((server, _)) = self.server(h, run) {
                        server.phase = Phase::Stopping {
                            primary,
                            half,
                            written: true,
                        };
                    }
                    self.db_in(TIMEOUT, h, run, DbEv::StopGivesUp);
                    self.stop_if_all_sent(h);
                }
            }
            DbEv::StopGivesUp => {
                if let Some((server, _)) = self.server(h, run)
                    && matches!(server.phase, Phase::Stopping { written: true, .. })
                {
                    self.clean_end(h);
                }
            }
        }
    }

    /// Appends a record to a host's log, and its walsenders send it.
    pub(crate) fn append(&mut self, h: usize, kind: Kind) -> (Entry, usize) {
        let length = match kind {
            Kind::Write(_) => 48 + 8 * (self.choices.bits(About::Length, h, 0) % 200),
            Kind::Promotion { .. } => 48,
            Kind::Nudge => 40,
            Kind::Checkpoint | Kind::ShutdownCheckpoint => 120,
        };
        let host = &mut self.hosts[h];
        let dir = host
            .storage
            .directory
            .as_mut()
            .expect("a server runs in its directory");
        let entry = dir.wal.append(kind, length);
        let index = dir.wal.entries.len() - 1;
        let walsenders = host.server.as_ref().map_or(0, |s| s.walsenders.len());
        for place in 0..walsenders {
            self.sends(h, place);
        }
        (entry, index)
    }

    fn promoted(&mut self, h: usize) {
        let uid = self.fresh_uid();
        let Some(dir) = self.hosts[h].storage.directory.as_mut() else {
            return;
        };
        let (timeline, start) = dir.timeline();
        self.append(h, Kind::Promotion { uid, timeline });
        let host = &mut self.hosts[h];
        let (Some(server), Some(dir)) = (&mut host.server, &mut host.storage.directory) else {
            return;
        };
        server.phase = Phase::Primary;
        dir.cluster = ClusterState::Other;
        dir.never_used = false;
        let run = server.run;
        let term = server.term;
        self.say(h, || {
            format!("postgres: PRIMARY on {timeline:?} from {start}, promoted in term {term}")
        });
        self.digest.note(("promoted", h, timeline, start));
        let lag = self
            .choices
            .within(About::CheckpointLag, h, 0, 500_000, 20_000_000);
        self.db_in(lag, h, run, DbEv::ControlFile);
        self.on_promoted(h);
        self.observe_promoted(h);
    }
}
