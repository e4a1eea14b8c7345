//! Three real daemons on this machine, with a real PostgreSQL each but the witness.

use super::{A, B, PATIENCE, context, end_guard, free_port, initdb, is_guard};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};
use yoke::admin::client;
use yoke::postgres::processes::Processes;
use yoke::postgres::user::PgUser;

/// D of these clusters, in seconds.
pub const DECISION_TIMEOUT: u64 = 3;

/// The daemons. What they started ends with this value.
pub struct Cluster {
    pub nodes: Vec<Node>,
    dir: TempDir,
}

/// One of them.
pub struct Node {
    pub program: PathBuf,
    config: PathBuf,
    pub status_dir: PathBuf,
    log: PathBuf,
    address: String,
    pg_port: u16,
    processes: Option<Processes>,
    daemon: Option<Child>,
}

impl Cluster {
    /// A cluster whose standby is in sync.
    pub async fn healthy() -> Cluster {
        let mut cluster = Cluster::make();
        for node in &mut cluster.nodes {
            node.start();
        }
        cluster.until_in_sync(0).await;
        cluster
    }

    /// A cluster that does not run yet.
    pub fn make() -> Cluster {
        let dir = tempfile::Builder::new()
            .prefix("yoke-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .expect("a directory");
        let ports = [free_port(), free_port(), free_port()];
        let members = format!(
            "primary=127.0.0.1:{}\nsecondary=127.0.0.1:{}\nmonitor=127.0.0.1:{}\n",
            ports[0], ports[1], ports[2]
        );
        let make = |i: usize, role: &str| {
            let dir = dir.path().join(role);
            std::fs::create_dir(&dir).expect("a directory");
            let mut context = context(if i == 0 { A } else { B }, &dir);
            context.status_dir = dir.join("status");
            let mut text = format!(
                "[config]\nrole={role}\nadvertise_ip=127.0.0.1\nadvertise_port={}\nstatus_dir={}\n\
                 decision_timeout={DECISION_TIMEOUT}\nlog_level=debug\n{members}",
                ports[i],
                context.status_dir.display(),
            );
            let mut processes = None;
            if role != "monitor" {
                let user = PgUser::of(&context).expect("a user for PostgreSQL");
                let pg = dir.join("pg");
                std::fs::create_dir(&pg).expect("a directory");
                user.own(&pg).expect("given to PostgreSQL's user");
                if i == 0 {
                    initdb(&context, "trust");
                }
                text += &format!(
                    "data_dir={}\npg_port={}\n",
                    context.data_dir.display(),
                    context.pg_port
                );
                if let Some(bin) = &context.pg_bin {
                    text += &format!("pg_bin={}\n", bin.display());
                }
                processes = Some(Processes::of(context.real_data_dir(), user));
            }
            let config = dir.join("yoke.conf");
            std::fs::write(&config, text).expect("written");
            Node {
                program: Node::yoke().to_owned(),
                config,
                status_dir: context.status_dir.clone(),
                log: dir.join("yoke.log"),
                address: format!("127.0.0.1:{}", ports[i]),
                pg_port: context.pg_port,
                processes,
                daemon: None,
            }
        };
        let nodes = ["primary", "secondary", "monitor"];
        let nodes = nodes.iter().enumerate().map(|(i, role)| make(i, role));
        Cluster {
            nodes: nodes.collect(),
            dir,
        }
    }

    /// Waits until this node is the primary of a committed record that names both copies: from then on it serves under a
    /// lease, and the other could take over.
    pub async fn until_in_sync(&self, primary: usize) {
        let address = &self.nodes[primary].address;
        self.until("a pair in sync", async || {
            let Ok(report) = client::report(address, Duration::from_secs(2)).await else {
                return false;
            };
            let view = report.view;
            view.record.is_some_and(|record| {
                usize::from(record.primary.0) == primary
                    && record.in_sync.len() == 2
                    && view.committed == Some(record.key)
            })
        })
        .await;
    }

    /// Polls until it holds.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(Instant::now() < end, "not seen: {what}\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The orderly end of everything.
    pub async fn stop(&mut self) {
        let guards: Vec<u32> = self.nodes.iter().filter_map(Node::guard).collect();
        for node in &self.nodes {
            node.signal_daemon(Signal::SIGTERM);
        }
        let end = Instant::now() + PATIENCE;
        while self.nodes.iter_mut().any(|node| node.is_running()) {
            assert!(Instant::now() < end, "no orderly end\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(guards.len(), 2);
        self.until("the guards' end", async || {
            guards.iter().all(|guard| !is_guard(*guard))
        })
        .await;
        for node in &self.nodes {
            assert!(node.database().is_empty(), "PostgreSQL outlived its daemon");
        }
    }

    pub fn logs(&self) -> String {
        let mut all = String::new();
        for node in &self.nodes {
            let text = std::fs::read_to_string(&node.log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            all += &format!("---- {}\n", node.log.display());
            all += &lines[lines.len().saturating_sub(60)..].join("\n");
            all.push('\n');
        }
        all
    }
}

impl Node {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(&self.config).stdin(Stdio::null());
        command
    }

    pub fn start(&mut self) {
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.log)
            .expect("a log");
        let errors = log.try_clone().expect("a log");
        let mut command = self.command();
        self.daemon = Some(command.stdout(log).stderr(errors).spawn().expect("yoke"));
    }

    /// A second daemon on the same directory; it has to end by itself.
    pub fn start_second(&self) -> Output {
        self.command().output().expect("yoke")
    }

    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("it was started").id()
    }

    fn is_running(&mut self) -> bool {
        match &mut self.daemon {
            Some(daemon) => daemon.try_wait().expect("our child").is_none(),
            None => false,
        }
    }

    pub fn signal_daemon(&self, signal: Signal) {
        if let Some(daemon) = &self.daemon {
            kill(Pid::from_raw(daemon.id().cast_signed()), signal).expect("our child");
        }
    }

    /// kill -9 of the daemon, over when this returns.
    pub fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().expect("our child");
            daemon.wait().expect("our child");
        }
    }

    /// The guard, as it says in its lock.
    pub fn guard(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.status_dir.join("guard.lock")).ok()?;
        let pid = text.split(' ').next()?.parse().ok()?;
        is_guard(pid).then_some(pid)
    }

    /// PostgreSQL's processes that live.
    pub fn database(&self) -> Vec<Pid> {
        self.processes.iter().flat_map(Processes::find).collect()
    }

    pub fn postmaster(&self) -> Option<String> {
        let data = self.status_dir.parent()?.join("pg/data/postmaster.pid");
        let text = std::fs::read_to_string(data).ok()?;
        text.lines().next().map(str::to_owned)
    }

    pub fn says(&self, text: &str) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.matches(text).count()
    }

    /// How many rows a query has; none: no answer.
    pub async fn ask(&self, sql: &str) -> Option<usize> {
        let client = self.client().await?;
        let rows = tokio::time::timeout(Duration::from_secs(2), client.query(sql, &[])).await;
        Some(rows.ok()?.ok()?.len())
    }

    pub async fn client(&self) -> Option<Client> {
        let config = format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres connect_timeout=2",
            self.pg_port
        );
        let connected = tokio::time::timeout(
            Duration::from_secs(2),
            tokio_postgres::connect(&config, NoTls),
        );
        let (client, connection) = connected.await.ok()?.ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    /// The sockets that a process has open.
    pub fn sockets(pid: u32) -> Vec<PathBuf> {
        Node::open_files(pid)
            .into_iter()
            .filter(|file| file.to_string_lossy().starts_with("socket:"))
            .collect()
    }

    /// What a process has open.
    pub fn open_files(pid: u32) -> Vec<PathBuf> {
        let dir = PathBuf::from(format!("/proc/{pid}/fd"));
        let entries = std::fs::read_dir(dir).expect("our own process");
        entries
            .flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .collect()
    }

    pub fn yoke() -> &'static Path {
        Path::new(env!("CARGO_BIN_EXE_yoke"))
    }
}

/// Ends what this node started, however the test ended.
impl Drop for Node {
    fn drop(&mut self) {
        self.kill_daemon();
        let guard = self.guard();
        if let Some(processes) = &self.processes {
            end_guard(guard.unwrap_or_default(), processes);
        }
    }
}
