//! All of a node's processes at once: a host that loses its power, or that is suspended and goes on.

use super::Said;
use super::node::{Node, Part, children, is_asleep, is_frozen};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// How long a guard may take to look at its clock.
const GUARD: Duration = Duration::from_secs(2);

impl Node {
    /// SIGKILL to everything.
    ///
    /// # Errors
    /// We may not.
    pub fn kill_all(&self) -> Said<()> {
        let ours = [Part::Daemon, Part::Guard].map(|part| self.pid(part));
        let database = self.database();
        let mut all = ours.into_iter().flatten().chain(database);
        all.try_for_each(|pid| self.send(pid, Signal::SIGKILL))
    }

    /// SIGSTOP to everything; the postmaster first, so that it forks no more.
    ///
    /// # Errors
    /// We may not.
    pub fn freeze_all(&self) -> Said<()> {
        if let Some(postmaster) = self.pid(Part::Postgres) {
            self.send(postmaster, Signal::SIGSTOP)?;
        }
        let ours = [Part::Guard, Part::Daemon].map(|part| self.pid(part));
        let mut all = self
            .database()
            .into_iter()
            .chain(ours.into_iter().flatten());
        all.try_for_each(|pid| self.send(pid, Signal::SIGSTOP))
    }

    /// SIGCONT to everything that is frozen. The guard goes first: what has outlived its permission is killed before it
    /// runs again.
    ///
    /// # Errors
    /// We may not.
    pub async fn thaw_all(&self) -> Said<()> {
        if let Some(guard) = self.pid(Part::Guard).filter(|pid| is_frozen(*pid)) {
            self.send(guard, Signal::SIGCONT)?;
            let begun = Instant::now();
            // Once it sleeps again it has looked.
            while self.pid(Part::Guard).is_some() && !is_asleep(guard) && begun.elapsed() < GUARD {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let daemon = self.pid(Part::Daemon).into_iter();
        let mut frozen = self
            .database()
            .into_iter()
            .chain(daemon)
            .filter(|pid| is_frozen(*pid));
        frozen.try_for_each(|pid| self.send(pid, Signal::SIGCONT))
    }

    /// The postmaster and its children.
    fn database(&self) -> Vec<Pid> {
        match self.pid(Part::Postgres) {
            Some(postmaster) => [vec![postmaster], children(postmaster)].concat(),
            None => Vec::new(),
        }
    }

    fn send(&self, pid: Pid, signal: Signal) -> Said<()> {
        match kill(pid, signal) {
            // It may have just ended.
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(e) => Err(format!("{signal} to {pid} of {}: {e}", self.name)),
        }
    }
}
