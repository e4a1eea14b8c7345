//! What can happen, and for how long writes may stop then.

use std::fmt;
use std::time::Duration;

/// Whom a fault hits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// The host that serves.
    Primary,
    /// The other one with data.
    Standby,
    /// The one without.
    Monitor,
}

/// What of a host a signal goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hit {
    /// PostgreSQL's first process.
    Postmaster,
    /// All of PostgreSQL's processes.
    Postgres,
    /// One of them.
    One(Kind),
    /// The daemon.
    Daemon,
    /// The postmaster's parent.
    Guard,
    /// Daemon and guard.
    DaemonAndGuard,
    /// All of it.
    Host,
}

/// A kind of PostgreSQL's processes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Serves a client.
    Backend,
    /// Streams to the standby.
    Walsender,
    /// Receives the stream.
    Walreceiver,
    /// Makes checkpoints, and owns the flag that makes commits wait.
    Checkpointer,
    /// Replays what was received.
    Startup,
}

/// What is lost while a host is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// The daemon's file.
    State,
    /// The whole status directory.
    Status,
    /// The data directory's contents.
    Data,
    /// Both directories.
    Both,
}

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// SIGKILL.
    Kill(Whose, Hit),
    /// SIGSTOP, and SIGCONT so much later.
    Freeze(Whose, Hit, Duration),
    /// SIGSTOP of PostgreSQL or a part of it, and nobody ever thaws it.
    Hang(Whose, Hit),
    /// SIGTERM to the daemon, which is started again so long after its end.
    Stop(Whose, Duration),
    /// Somebody shuts PostgreSQL down by hand.
    ShutDown(Whose),
    /// SIGUSR2: the daemon replaces itself.
    Upgrade(Whose),
    /// `yokeadm demote`.
    HandOver,
    /// A host ends at once, loses something, and returns.
    Lose(Whose, Lost),
    /// All three hosts end at once, and return.
    PowerLoss,
    /// A host's cable is out for so long.
    Silence(Whose, Duration),
    /// The cable between the hosts with data.
    Cut(Duration),
}

/// A fault, and maybe a second one before all has recovered from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blow {
    /// What happens.
    pub fault: Fault,
    /// What happens besides, so much later.
    pub then: Option<(Duration, Fault)>,
    /// The rest before it.
    pub pause: Duration,
}

/// The settings of which the promises are made.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// `decision_timeout`.
    pub decision: Duration,
    /// `sync_timeout`.
    pub sync: Duration,
}

impl Fault {
    /// The longest time without an acknowledged write that README promises, on a machine with time to spare. `fresh`: a
    /// daemon had run for less than `decision_timeout`.
    pub fn promised(&self, promise: &Promise, fresh: bool) -> Duration {
        const SECOND: Duration = Duration::from_secs(1);
        let voters = if fresh {
            promise.decision
        } else {
            Duration::ZERO
        };
        let lost_host = promise.decision + SECOND + voters;
        let dead_database = SECOND + voters;
        let lost_standby = promise.sync + SECOND;
        let whose = match self {
            Fault::Kill(whose, _)
            | Fault::Freeze(whose, ..)
            | Fault::Hang(whose, _)
            | Fault::Stop(whose, _)
            | Fault::ShutDown(whose)
            | Fault::Upgrade(whose)
            | Fault::Lose(whose, _)
            | Fault::Silence(whose, _) => *whose,
            Fault::HandOver => Whose::Primary,
            Fault::Cut(_) => Whose::Standby,
            // Everybody starts, PostgreSQL recovers, and then the same once more for the standby that is not there yet.
            Fault::PowerLoss => return promise.decision * 3 + SECOND * 5,
        };
        match (whose, self) {
            (Whose::Monitor, _) => SECOND,
            (Whose::Standby, Fault::Stop(..) | Fault::Upgrade(_)) => SECOND,
            (Whose::Standby, _) => lost_standby,
            (Whose::Primary, Fault::Stop(..) | Fault::HandOver | Fault::ShutDown(_)) => {
                dead_database
            }
            (Whose::Primary, Fault::Upgrade(_)) => SECOND,
            (Whose::Primary, Fault::Kill(_, Hit::Postmaster | Hit::Postgres | Hit::One(_))) => {
                dead_database
            }
            // A walsender that hangs is in the gate's way.
            (Whose::Primary, Fault::Hang(_, Hit::One(_))) => {
                promise.decision * 5 + lost_standby * 2
            }
            // One process that hangs is nobody's death; whatever needs it waits for it.
            (Whose::Primary, Fault::Freeze(_, Hit::One(_), time)) => *time + lost_standby,
            (Whose::Primary, _) => lost_host,
        }
    }

    /// The class that it is counted in: its name without lengths of time.
    pub fn class(&self) -> String {
        match self {
            Fault::Freeze(whose, hit, _) => format!("freeze {whose}'s {hit}"),
            Fault::Stop(whose, _) => format!("stop {whose}"),
            Fault::Silence(whose, _) => format!("silence {whose}"),
            Fault::Cut(_) => "cut between the data hosts".to_owned(),
            other => other.to_string(),
        }
    }
}

impl Blow {
    /// The class that it is counted in.
    pub fn class(&self) -> String {
        match self.then {
            None => self.fault.class(),
            Some(_) => "two faults at a time".to_owned(),
        }
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault)?;
        match &self.then {
            None => Ok(()),
            Some((after, fault)) => write!(f, ", after {:.1} s {fault}", after.as_secs_f64()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timed = |length: &Duration| format!("for {:.1} s", length.as_secs_f64());
        match self {
            Fault::Kill(whose, hit) => write!(f, "kill {whose}'s {hit}"),
            Fault::Freeze(whose, hit, time) => write!(f, "freeze {whose}'s {hit} {}", timed(time)),
            Fault::Hang(whose, hit) => write!(f, "{whose}'s {hit} hangs for good"),
            Fault::Stop(whose, time) => write!(f, "stop {whose} {}", timed(time)),
            Fault::ShutDown(whose) => write!(f, "shut {whose}'s PostgreSQL down by hand"),
            Fault::Upgrade(whose) => write!(f, "upgrade {whose}'s daemon"),
            Fault::HandOver => f.write_str("hand over"),
            Fault::Lose(whose, lost) => write!(f, "kill {whose}'s host, {lost} lost"),
            Fault::PowerLoss => f.write_str("power loss of all hosts"),
            Fault::Silence(whose, time) => write!(f, "silence {whose} {}", timed(time)),
            Fault::Cut(time) => write!(f, "cut between the data hosts {}", timed(time)),
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Whose::Primary => "the primary",
            Whose::Standby => "the standby",
            Whose::Monitor => "the monitor",
        })
    }
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hit::Postmaster => "postmaster",
            Hit::Postgres => "PostgreSQL",
            Hit::Daemon => "daemon",
            Hit::Guard => "guard",
            Hit::DaemonAndGuard => "daemon and guard",
            Hit::Host => "host",
            Hit::One(Kind::Backend) => "backend",
            Hit::One(Kind::Walsender) => "walsender",
            Hit::One(Kind::Walreceiver) => "walreceiver",
            Hit::One(Kind::Checkpointer) => "checkpointer",
            Hit::One(Kind::Startup) => "startup process",
        })
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lost::State => "its state file",
            Lost::Status => "its status directory",
            Lost::Data => "its data directory",
            Lost::Both => "status and data directory",
        })
    }
}
