//! What happened in a run, for people: lines of words, messages under way, and what each host showed when.

use crate::host::Host;
use crate::postgres::server::{Phase, waits};
use crate::trace::Messages;
use crate::world::World;
use std::fmt;
use yoke_core::permission::Lasts;
use yoke_core::postgres::Doors;
use yoke_core::view::RoleView;

/// Everything that a run tells.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// By member: whether it holds data.
    pub members: Vec<bool>,
    /// In words.
    pub lines: Vec<Line>,
    /// Between daemons and between databases.
    pub(crate) messages: Messages,
    /// When a host began to show something else.
    pub faces: Vec<Change>,
    /// When its guard's permission allowed a primary: merged spans.
    pub leases: Vec<Lease>,
    /// Acknowledged writes: when, by whom, which.
    pub acknowledged: Vec<(u64, usize, u64)>,
    /// By member: what it shows now, and its newest lease.
    pub(crate) shown: Vec<(Option<Face>, Option<usize>)>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// In which step of the run.
    pub step: u64,
    /// When.
    pub at: u64,
    /// On which host; none: it concerns all.
    pub host: Option<usize>,
    /// What.
    pub text: String,
}

/// From now on a host shows this.
#[derive(Clone, Debug)]
pub struct Change {
    /// After which step.
    pub step: u64,
    /// When.
    pub at: u64,
    /// Which host.
    pub host: usize,
    /// What.
    pub face: Face,
}

/// A time in which a host's guard would let a primary serve; real time.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// Which host.
    pub host: usize,
    /// From.
    pub from: u64,
    /// To.
    pub until: u64,
}

/// What one sees of a host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Face {
    /// What of it does not run.
    pub life: Life,
    /// Its role and term.
    pub role: Option<(RoleView, u64)>,
    /// Its newest record, in short.
    pub record: String,
    /// Its database.
    pub database: Database,
    /// A primary's: what its commits wait for.
    pub gate: String,
    /// Clients come in.
    pub open: bool,
    /// It counts as serving (R10).
    pub serves: bool,
    /// Its processes or its disk hang.
    pub hangs: bool,
}

/// What of a host does not run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Life {
    /// The host has no power.
    #[default]
    HostDown,
    /// The host does not run for a while.
    HostPaused,
    /// There is no daemon.
    DaemonDown,
    /// The daemon does not run for a while.
    DaemonPaused,
    /// Everything runs.
    Up,
}

/// What a database is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Database {
    /// No postmaster runs.
    #[default]
    Down,
    /// It does not accept connections yet.
    Starting,
    /// A standby that has no primary.
    Alone,
    /// A standby that streams.
    Streaming,
    /// A promotion was ordered.
    Promoting,
    /// It takes writes.
    Primary,
    /// It stops cleanly.
    Stopping,
    /// It was killed, and not everything is gone.
    Killed,
}

impl Face {
    fn of(host: &Host, now: u64) -> Face {
        let mut face = Face {
            life: match &host.daemon {
                _ if !host.up => Life::HostDown,
                _ if host.paused(now) => Life::HostPaused,
                None => Life::DaemonDown,
                Some(daemon) if daemon.paused_until > now => Life::DaemonPaused,
                Some(_) => Life::Up,
            },
            ..Face::default()
        };
        if let Some(daemon) = &host.daemon {
            let view = daemon.glance();
            face.role = Some((view.role, view.term.0));
            if let Some(record) = view.record {
                let names: Vec<String> = record
                    .in_sync
                    .iter()
                    .map(|copy| copy.member.to_string())
                    .collect();
                face.record = format!("{} {}", record.key, names.join("+"));
            }
        }
        if let Some(server) = &host.server {
            face.database = match server.phase {
                _ if server.killed => Database::Killed,
                Phase::Starting => Database::Starting,
                Phase::Standby if server.receiver.streams() => Database::Streaming,
                Phase::Standby => Database::Alone,
                Phase::Promoting => Database::Promoting,
                Phase::Primary => Database::Primary,
                Phase::Stopping { .. } => Database::Stopping,
            };
            face.gate = match &server.read.gate {
                _ if server.phase != Phase::Primary => String::new(),
                _ if !server.flag => "waits for nobody".into(),
                Some(names) if waits(&server.read.gate) => {
                    let names: Vec<String> =
                        names.iter().map(|copy| copy.member.to_string()).collect();
                    format!("waits for {}", names.join("+"))
                }
                _ => "closed".into(),
            };
            face.open = server.read.doors == Doors::Open;
            face.serves = server.serving && !server.killed;
            face.hangs = server.hung || server.stalled;
        }
        face
    }
}

/// Six columns: role, term, database, gate.
impl fmt::Display for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match (self.life, self.role) {
            (Life::HostDown, _) => "X".into(),
            (Life::HostPaused, _) => "Z".into(),
            (_, None) => "x".into(),
            (life, Some((role, term))) => {
                let letter = match role {
                    RoleView::Leader => 'L',
                    RoleView::Candidate => 'c',
                    RoleView::Follower => 'f',
                    RoleView::WithoutState => '?',
                };
                let sleeps = if life == Life::DaemonPaused { "z" } else { "" };
                format!("{letter}{term}{sleeps}")
            }
        };
        let database = match self.database {
            Database::Down => "",
            Database::Starting => "o",
            Database::Alone => "s",
            Database::Streaming => "s~",
            Database::Promoting => "p",
            Database::Primary => match self.gate.as_str() {
                "closed" => "P|",
                "waits for nobody" => "P!",
                _ => "P=",
            },
            Database::Stopping => "-",
            Database::Killed => "k",
        };
        f.pad(&format!(
            "{role} {database}{}",
            if self.hangs { "z" } else { "" }
        ))
    }
}

/// What the columns of [`Story::in_columns`] mean.
pub const LEGEND: &str = "\
one column a member: L leader, c candidate, f follower, ? without state, and the term; X host down, x no daemon, Z paused, z hangs
its database: o starting, s standby (s~ streams), p promoting, P primary (P| gate closed, P= waits, P! waits for nobody), - stops, k killed";

impl Story {
    /// The story in fixed columns: time, what each member is (`>` marks whom the line is about), what happened.
    pub fn in_columns(&self) -> Vec<String> {
        let mut faces = vec![Face::default(); self.members.len()];
        let mut changes = self.faces.iter().peekable();
        let row = |line: &Line, faces: &[Face]| {
            let mut row = format!("{:>4}.{:06} ", line.at / 1_000_000, line.at % 1_000_000);
            for (h, face) in faces.iter().enumerate() {
                let mark = if line.host == Some(h) { '>' } else { ' ' };
                row.push_str(&format!(" {mark}{face:<7}"));
            }
            match line.host {
                Some(h) => row.push_str(&format!(" m{h} {}", line.text)),
                None => row.push_str(&format!(" == {}", line.text)),
            }
            row
        };
        let mut rows = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            while let Some(change) = changes.next_if(|change| change.step < line.step) {
                faces[change.host].clone_from(&change.face);
            }
            rows.push(row(line, &faces));
        }
        rows
    }
}

impl World {
    /// After a step, while a story is wanted: what does each host show now?
    pub(crate) fn look(&mut self) {
        let (step, now) = (self.events, self.now);
        let Some(story) = self.trace.story() else {
            return;
        };
        story.shown.resize(self.hosts.len(), (None, None));
        for (h, host) in self.hosts.iter().enumerate() {
            let face = Face::of(host, now);
            let (shown, lease) = &mut story.shown[h];
            if shown.as_ref() != Some(&face) {
                *shown = Some(face.clone());
                story.faces.push(Change {
                    step,
                    at: now,
                    host: h,
                    face,
                });
            }
            let permission = host
                .guard
                .as_ref()
                .map(|guard| guard.view().permission.lasts);
            let until = match permission {
                Some(Lasts::Until(end)) => host.clock.real(end),
                Some(Lasts::Unbounded) => u64::MAX,
                Some(Lasts::Ended) | None => now,
            };
            match lease.map(|place| &mut story.leases[place]) {
                Some(lease) if lease.until > now => lease.until = until.max(now),
                _ if until > now => {
                    *lease = Some(story.leases.len());
                    story.leases.push(Lease {
                        host: h,
                        from: now,
                        until,
                    });
                }
                _ => {}
            }
        }
    }
}
