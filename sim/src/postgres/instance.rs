//! A running server. Each of its processes has its own view of the settings: the postmaster (and so every new session
//! and walsender), the checkpointer, which alone sets the flag that makes commits wait, and each walsender, which
//! releases waiting commits by its *own* copy of the names.

use crate::choices::About;
use crate::event::Ev;
use crate::postgres::directory::DataDir;
use crate::postgres::standby::{Receiver, TIMEOUT, Walsender};
use crate::postgres::wal::{Entry, Kind};
use crate::world::World;
use yoke_core::member::MemberId;
use yoke_core::postgres::{Doors, Lsn, RunId, StopMode};
use yoke_core::record::{Copy, Term};
use yoke_core::step::{Canary, ClusterState, Settings};

/// Names, as `Settings::gate` has them.
pub(crate) type Gate = Option<Vec<Copy>>;

/// What the server is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum Phase {
    Starting,
    Standby,
    /// A promotion was ordered.
    Promoting,
    Primary,
    /// A clean stop: sessions are gone; `written`: the shutdown checkpoint is there. `half`: it had not come up yet.
    Stopping {
        primary: bool,
        half: bool,
        written: bool,
    },
}

/// What the postmaster read.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) generation: u64,
    pub(crate) gate: Gate,
    pub(crate) follow: Option<MemberId>,
    pub(crate) copy: Option<Copy>,
    pub(crate) doors: Doors,
}

/// Whose commit waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiter {
    /// A client's session.
    Client { client: usize, session: u64 },
    /// Ours.
    Canary,
}

/// A commit that waits for standbys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) who: Waiter,
    pub(crate) entry: Entry,
    pub(crate) index: usize,
}

/// One run of one postmaster and its processes.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) run: RunId,
    pub(crate) phase: Phase,
    /// Does not run for now; what would happen meanwhile waits here.
    pub(crate) hung: bool,
    /// Its disk takes no write for now.
    pub(crate) stalled: bool,
    pub(crate) backlog: Vec<DbEv>,
    pub(crate) wire_backlog: Vec<(usize, u64, crate::postgres::standby::Wire)>,
    /// Killed: nothing happens any more, but not every process is gone.
    pub(crate) killed: bool,
    /// A promotion was executed in this run: it counts as serving from then on (R10).
    pub(crate) serving: bool,
    /// The term of that promotion; raised when its leader wins another.
    pub(crate) term: Term,
    pub(crate) read: Read,
    /// The checkpointer's: commits have to wait.
    pub(crate) flag: bool,
    pub(crate) walsenders: Vec<Walsender>,
    pub(crate) receiver: Receiver,
    pub(crate) sessions: Vec<(usize, u64)>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) canary: Canary,
    pub(crate) canaries: u64,
    /// A standby: so many entries are replayed for certain; all of them from that moment on.
    pub(crate) replayed: usize,
    pub(crate) replay_due: u64,
    /// When the newest flush under way will be done: flushes come one after the other.
    pub(crate) flushing_until: u64,
}

/// What happens inside one run of a server.
#[derive(Clone, Debug, Hash)]
pub(crate) enum DbEv {
    Started,
    StartFails,
    /// A process reads the settings file.
    RereadPostmaster,
    RereadCheckpointer,
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
    SendBatch(u64),
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
            DbEv::Commit { .. }
                | DbEv::CanaryFlushed(_)
                | DbEv::Flushed { .. }
                | DbEv::PromotionFile
                | DbEv::Promoted
                | DbEv::StopWrites
                | DbEv::ControlFile
        )
    }
}

/// What PostgreSQL does without our settings file: nobody is waited for, everybody comes in.
pub(crate) fn read_of(settings: Option<&Settings>) -> Read {
    match settings {
        None => Read {
            generation: 0,
            gate: Some(vec![]),
            follow: None,
            copy: None,
            doors: Doors::Open,
        },
        Some(settings) => Read {
            generation: settings.generation,
            gate: settings.gate.clone(),
            follow: settings.follow,
            copy: settings.copy,
            doors: settings.doors,
        },
    }
}

/// Whether commits wait under these names.
pub(crate) fn waits(gate: &Gate) -> bool {
    gate.as_ref().is_none_or(|names| !names.is_empty())
}

impl Server {
    /// A postmaster that has just been spawned, as a standby, with the settings that lie there now.
    pub(crate) fn new(run: RunId, settings: Option<&Settings>, replayed: usize) -> Self {
        let read = read_of(settings);
        Server {
            run,
            phase: Phase::Starting,
            hung: false,
            stalled: false,
            backlog: vec![],
            wire_backlog: vec![],
            killed: false,
            serving: false,
            term: Term(0),
            flag: waits(&read.gate),
            read,
            walsenders: vec![],
            receiver: Receiver::default(),
            sessions: vec![],
            waiting: vec![],
            canary: Canary::None,
            canaries: 0,
            replayed,
            replay_due: 0,
            flushing_until: 0,
        }
    }

    /// Whether it takes writes.
    pub(crate) fn writable(&self) -> bool {
        self.phase == Phase::Primary && !self.killed
    }

    /// Up to which commits this walsender may release waiters, by its own copy of the names and the shared table.
    pub(crate) fn released_by(&self, walsender: &Walsender) -> Option<Lsn> {
        if !walsender.streaming || walsender.priority == 0 {
            return None;
        }
        let needed = walsender.names.as_ref()?.len();
        let mut candidates: Vec<(u32, Lsn)> = self
            .walsenders
            .iter()
            .filter(|w| w.streaming && w.priority > 0 && w.flushed > Lsn(0))
            .map(|w| (w.priority, w.flushed))
            .collect();
        candidates.sort_by_key(|(priority, _)| *priority);
        (needed > 0 && candidates.len() >= needed).then(|| {
            candidates[..needed]
                .iter()
                .map(|(_, flushed)| *flushed)
                .min()
        })?
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
                server.phase = Phase::Standby;
                server.replayed = dir.wal.entries.len();
                dir.cluster = ClusterState::Other;
                self.say(h, || "postgres: accepts connections as a standby".into());
                self.receiver_follows(h);
            }
            DbEv::StartFails => {
                self.say(h, || {
                    "postgres: FATAL, the timeline is not a child of this server's history".into()
                });
                self.database_ends(h, false);
            }
            DbEv::RereadPostmaster => self.reread_postmaster(h),
            DbEv::RereadCheckpointer => self.reread_checkpointer(h),
            DbEv::RereadWalsender(conn) => self.reread_walsender(h, conn),
            DbEv::RereadReceiver => self.receiver_follows(h),
            DbEv::PromotionFile => {
                if server.phase != Phase::Promoting {
                    return;
                }
                let (timeline, start) = (dir.next_timeline(), dir.wal.end());
                let mut file = dir.lineage.clone();
                file.push((timeline, start));
                dir.files.push(file.clone());
                dir.lineage = file;
                self.say(h, || {
                    format!("postgres: writes the history file of {timeline:?} at {start}")
                });
            }
            DbEv::Promoted => {
                if server.phase == Phase::Promoting {
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
            DbEv::SendBatch(conn) => self.send_batch(h, conn),
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

    /// Appends a record to a host's log and wakes its walsenders.
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
        let mut wake = vec![];
        if let Some(server) = &mut host.server {
            for walsender in &mut server.walsenders {
                if walsender.sending && !walsender.woken {
                    walsender.woken = true;
                    wake.push((server.run, walsender.conn));
                }
            }
        }
        for (run, conn) in wake {
            let delay = self.choices.within(About::SendBatch, h, 0, 20, 200);
            self.db_in(delay, h, run, DbEv::SendBatch(conn));
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
    }

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

    fn clean_end(&mut self, h: usize) {
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

/// Settings in a few words.
pub(crate) fn in_words(read: &Read) -> String {
    format!(
        "gate {:?} doors {:?} follows {:?} as {:?}",
        read.gate, read.doors, read.follow, read.copy
    )
}
