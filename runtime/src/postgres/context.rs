//! What this host's database is: directories, port, members, timeouts. Handed to the guard process as it is.

use crate::hooks::Vip;
use crate::postgres::Said;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use yoke_core::Duration;
use yoke_core::member::{Member, MemberId};

/// Everything that the executors of steps have to know. Both directories are absolute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Context {
    /// The cluster's name.
    pub cluster: String,
    /// Every member, in the same order on all hosts.
    pub members: Vec<Member>,
    /// Which of them this is.
    pub me: MemberId,
    /// The one whose database the cluster begins with.
    pub configured_primary: MemberId,
    /// PostgreSQL's data directory. It need not exist yet.
    pub data_dir: PathBuf,
    /// The daemon's own directory: our configuration files, the mark, the private socket.
    pub status_dir: PathBuf,
    /// The port that this host's PostgreSQL listens on.
    pub pg_port: u16,
    /// The address at which the other members reach this host.
    pub advertise_ip: IpAddr,
    /// Whom PostgreSQL runs as when the daemon is root; `postgres` if not said.
    pub pg_user: Option<String>,
    /// Where PostgreSQL's programs are; searched for if not said.
    pub pg_bin: Option<PathBuf>,
    /// The addresses of all members: only from these does replication come in.
    pub member_ips: Vec<IpAddr>,
    /// Where the members' daemons listen, in the same order.
    pub daemons: Vec<SocketAddr>,
    /// D.
    pub decision_timeout: Duration,
    /// A copy that lags for longer leaves `in_sync`.
    pub sync_timeout: Duration,
    /// How long a health write may take.
    pub health_timeout: Duration,
    /// The virtual address, if there is one.
    pub vip: Option<Vip>,
}

/// Where another member's PostgreSQL listens: learned from its handshake.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Upstream {
    /// Address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Context {
    /// The core's configuration that the guard's machine is made with.
    pub fn config(&self) -> yoke_core::Config {
        yoke_core::Config {
            cluster: self.cluster.clone(),
            members: self.members.clone().into(),
            me: self.me,
            configured_primary: self.configured_primary,
            decision_timeout: self.decision_timeout,
            sync_timeout: self.sync_timeout,
            health_timeout: self.health_timeout,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// This member's name.
    pub fn my_name(&self) -> &str {
        self.name(self.me)
    }

    /// A member's name; an id that is nobody's has none to give.
    pub fn name(&self, member: MemberId) -> &str {
        self.members
            .get(usize::from(member.0))
            .map_or("unknown", |m| m.name.as_str())
    }

    /// What the operator's own commands find in their environment besides the usual.
    pub fn hook_environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("YOKE_CLUSTER", self.cluster.clone()),
            ("YOKE_MEMBER", self.my_name().to_owned()),
        ]
    }

    /// The same with absolute directories: the guard's working directory is another.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn absolute(&self) -> Said<Context> {
        let absolute = |path: &Path| {
            std::path::absolute(path)
                .map_err(|e| format!("cannot make {} an absolute path: {e}", path.display()))
        };
        Ok(Context {
            data_dir: absolute(&self.data_dir)?,
            status_dir: absolute(&self.status_dir)?,
            ..self.clone()
        })
    }

    /// What makes the other's database another one than this, or another user's: nothing that a guard could change under
    /// a running one.
    pub fn other_database(&self, other: &Context) -> Option<String> {
        let differs = |what: &str, ours: &dyn Debug, theirs: &dyn Debug| {
            Some(format!("{what} was {ours:?}, and is {theirs:?} now"))
        };
        if (&self.cluster, self.my_name()) != (&other.cluster, other.my_name()) {
            let ours = (&self.cluster, self.my_name());
            let theirs = (&other.cluster, other.my_name());
            return differs("the member", &ours, &theirs);
        }
        let user = |of: &Context| of.pg_user.clone().unwrap_or_else(|| "postgres".to_owned());
        if user(self) != user(other) {
            return differs("pg_user", &user(self), &user(other));
        }
        // The disk is asked only where the paths differ: it may hang, and the guard must not.
        if self.data_dir != other.data_dir && self.real_data_dir() != other.real_data_dir() {
            return differs("data_dir", &self.data_dir, &other.data_dir);
        }
        None
    }

    /// The data directory with its symbolic links resolved, so that a rename moves the data and not a link to it.
    pub fn real_data_dir(&self) -> PathBuf {
        resolve(&self.data_dir)
    }

    /// Where the private socket is: mode 0700, so that whoever connects there is root or PostgreSQL's own user.
    pub fn socket_dir(&self) -> PathBuf {
        self.status_dir.join("run")
    }

    /// The server's configuration file, ours.
    pub fn conf_file(&self) -> PathBuf {
        self.status_dir.join("postgresql.conf")
    }

    /// The server's access rules, ours.
    pub fn hba_file(&self) -> PathBuf {
        self.status_dir.join("pg_hba.conf")
    }

    /// The server's map of user names, ours.
    pub fn ident_file(&self) -> PathBuf {
        self.status_dir.join("pg_ident.conf")
    }

    /// The last copies of the user's files that PostgreSQL accepted.
    pub fn kept_file(&self) -> PathBuf {
        self.status_dir.join("accepted.json")
    }

    /// Our configuration file while PostgreSQL is asked whether it accepts it.
    pub fn trial_file(&self) -> PathBuf {
        self.status_dir.join("postgresql.conf.trial")
    }

    /// What the server says on its standard error.
    pub fn log_file(&self) -> PathBuf {
        self.status_dir.join("postgresql.log")
    }

    /// The mark: the data directory's contents are being rewritten (R11).
    pub fn mark_file(&self) -> PathBuf {
        self.status_dir.join("rewriting")
    }
}

/// `path` without symbolic links; what does not exist yet is resolved up to its parent.
pub(crate) fn resolve(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent().map(Path::canonicalize), path.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => path.to_path_buf(),
    }
}
