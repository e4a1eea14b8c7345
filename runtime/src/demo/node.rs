//! One node: its daemon is our child, the guard says who it is in its lock, PostgreSQL is the guard's child. Signals go
//! only to these.

use super::Said;
use crate::proc_stat::{Stat, pids};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt;
use std::fs::OpenOptions;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a process that is to end is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A process of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The daemon.
    Daemon,
    /// The postmaster's parent.
    Guard,
    /// The postmaster.
    Postgres,
}

/// One of the three.
#[derive(Debug)]
pub struct Node {
    /// The member's name.
    pub name: &'static str,
    /// The configuration's `role`.
    pub role: &'static str,
    /// Where its daemon listens.
    pub address: SocketAddr,
    /// PostgreSQL's port.
    pub pg_port: u16,
    /// The status directory.
    pub dir: PathBuf,
    /// PostgreSQL's data directory.
    pub data: PathBuf,
    /// The configuration file.
    pub config: PathBuf,
    /// What the daemon says.
    pub log: PathBuf,
    /// The daemon's program.
    pub program: PathBuf,
    /// What the daemon is run by, if not directly: a network namespace's command.
    pub wrapper: Vec<String>,
    /// The running daemon.
    pub child: Option<Child>,
    /// When it was started.
    pub started: Option<Instant>,
}

impl Node {
    /// Whether it holds data.
    pub fn holds_data(&self) -> bool {
        self.role != "monitor"
    }

    /// The host's address.
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Starts the daemon.
    ///
    /// # Errors
    /// It runs already, or its program or log cannot be opened.
    pub fn start(&mut self) -> Said<()> {
        if self.pid(Part::Daemon).is_some() {
            return Err(format!("{}'s daemon runs already", self.name));
        }
        let failed = |what: &PathBuf, e: std::io::Error| format!("{}: {e}", what.display());
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(|e| failed(&self.log, e))?;
        let errors = log.try_clone().map_err(|e| failed(&self.log, e))?;
        let mut command = match self.wrapper.split_first() {
            None => Command::new(&self.program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.program);
                command
            }
        };
        command
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // Its own process group: Ctrl-C at the terminal is for us, and we stop the nodes in order.
            .process_group(0);
        let parent = nix::unistd::getpid();
        // SAFETY: between fork and exec the closure makes two system calls on values computed before, and nothing else.
        unsafe {
            command.pre_exec(move || {
                // Nothing is left running when we are killed.
                nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
                match nix::unistd::getppid() == parent {
                    true => Ok(()),
                    false => Err(std::io::ErrorKind::NotFound.into()),
                }
            });
        }
        self.child = Some(command.spawn().map_err(|e| failed(&self.program, e))?);
        self.started = Some(Instant::now());
        Ok(())
    }

    /// How the daemon ended, once it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        self.child = None;
        Some(status)
    }

    /// Whether the daemon runs.
    pub fn is_running(&mut self) -> bool {
        self.ended();
        self.child.is_some()
    }

    /// The process, if it lives and is this node's.
    pub fn pid(&self, part: Part) -> Option<Pid> {
        match part {
            Part::Daemon => {
                let child = self.child.as_ref()?;
                let daemon = Pid::from_raw(child.id().cast_signed());
                is_alive(daemon).then_some(daemon)
            }
            Part::Guard => self.guard(),
            Part::Postgres => {
                let pid = self.postmaster()?;
                (Stat::of(pid).map(|stat| stat.parent) == self.guard()).then_some(pid)
            }
        }
    }

    /// Every process of the node that lives.
    pub fn pids(&self) -> Vec<(Part, Pid)> {
        [Part::Daemon, Part::Guard, Part::Postgres]
            .into_iter()
            .filter_map(|part| Some((part, self.pid(part)?)))
            .collect()
    }

    /// Sends a signal to these parts; all are looked up before the first is hit. Says which were.
    ///
    /// # Errors
    /// One of them does not run.
    pub fn signal(&self, parts: &[Part], signal: Signal) -> Said<String> {
        let mut found = Vec::new();
        for part in parts {
            match self.pid(*part) {
                Some(pid) => found.push((part, pid)),
                None => return Err(format!("{}'s {part} does not run", self.name)),
            }
        }
        for (part, pid) in &found {
            match kill(*pid, signal) {
                // PostgreSQL ends by itself when its guard just has.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(e) => return Err(format!("{part} {pid} of {}: {e}", self.name)),
            }
        }
        let named: Vec<String> = found.iter().map(|(p, pid)| format!("{p} {pid}")).collect();
        Ok(format!("{signal} to {} of {}", named.join(", "), self.name))
    }

    /// Waits until the daemon has ended.
    ///
    /// # Errors
    /// It has not in time.
    pub async fn wait_ended(&mut self, patience: Duration) -> Said<()> {
        let deadline = Instant::now() + patience;
        while self.is_running() {
            if Instant::now() > deadline {
                return Err(format!(
                    "{}'s daemon did not end within {} s: see {}",
                    self.name,
                    patience.as_secs(),
                    self.log.display()
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// The orderly end: SIGTERM, and wait for it. Where the daemon does not run, its guard is told.
    ///
    /// # Errors
    /// It has not ended in time.
    pub async fn stop(&mut self, patience: Duration) -> Said<()> {
        if self.is_running() {
            self.signal(&[Part::Daemon], Signal::SIGTERM)?;
            self.wait_ended(patience).await?;
        } else if self.guard().is_some() {
            self.signal(&[Part::Guard], Signal::SIGTERM)?;
        }
        let deadline = Instant::now() + patience;
        while self.guard().is_some() {
            if Instant::now() > deadline {
                return Err(format!("{}'s guard did not end in time", self.name));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// The newest lines of the daemon's log.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// It outlives its daemon, so it need not be the child of the one of now.
    fn guard(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.dir.join("guard.lock")).ok()?;
        let pid = Pid::from_raw(text.split(' ').next()?.parse().ok()?);
        let words = command_line(pid);
        let dir = std::path::absolute(&self.dir).ok()?;
        let is_ours = words.get(1).is_some_and(|word| word == "guard")
            && words.get(2).is_some_and(|of| Path::new(of) == dir);
        (is_ours && is_alive(pid)).then_some(pid)
    }

    fn postmaster(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let pid = Pid::from_raw(text.lines().next()?.trim().parse().ok()?);
        is_alive(pid).then_some(pid)
    }
}

/// A node that nobody stopped is told to stop; it is not waited for.
impl Drop for Node {
    fn drop(&mut self) {
        let daemon = self.is_running().then(|| self.pid(Part::Daemon)).flatten();
        if let Some(pid) = daemon.or_else(|| self.guard()) {
            // Fails only when it has just ended.
            let _ = kill(pid, Signal::SIGTERM);
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Daemon => "daemon",
            Part::Guard => "guard",
            Part::Postgres => "PostgreSQL",
        })
    }
}

fn is_alive(pid: Pid) -> bool {
    Stat::of(pid).is_some_and(|stat| !stat.is_zombie())
}

/// Whether it is stopped by a signal, as SIGSTOP does.
pub(super) fn is_frozen(pid: Pid) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.state == 'T')
}

/// Whether it waits for something to happen.
pub(super) fn is_asleep(pid: Pid) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.state == 'S')
}

/// Its children that live.
pub(super) fn children(of: Pid) -> Vec<Pid> {
    let is_one = |stat: Stat| stat.parent == of && !stat.is_zombie();
    pids()
        .filter(|pid| Stat::of(*pid).is_some_and(is_one))
        .collect()
}

fn command_line(pid: Pid) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes
        .split(|b| *b == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}
