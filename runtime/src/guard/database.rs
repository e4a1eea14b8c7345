//! The postmaster as its parent sees it: signals, reaping, the fence, and the sweep that shows everything gone.

use crate::guard::cgroup::Cgroup;
use crate::postgres::processes::{Processes, reap_orphans};
use crate::postgres::start::Spawned;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::os::fd::RawFd;
use yoke_core::postgres::{RunId, StopMode};
use yoke_core::{Duration, Instant};

/// How often it is looked whether all is gone, at first.
const SWEEP: Duration = Duration::millis(10);
/// And once that did not help for a while (a process that hangs in the kernel cannot be killed).
const SWEEP_LATER: Duration = Duration::millis(200);
const PATIENT_SWEEPS: u32 = 100;

/// What is to become of the present run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Run,
    /// To be told to stop.
    Stop,
    /// Was told.
    Stopping,
    Kill,
}

/// A run that was seen gone.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) run: RunId,
    /// The stops that waited for it.
    pub(super) stops: Vec<u64>,
    /// Nobody had asked for it: where its part of the log begins.
    pub(super) unasked: Option<u64>,
}

/// One run of a postmaster, from the order to start until everything is seen gone.
#[derive(Debug)]
struct Run {
    id: RunId,
    /// The start is still under way.
    starting: bool,
    /// The postmaster, not reaped yet: its number is its own.
    postmaster: Option<Pid>,
    /// Where its part of the log begins, if it was spawned at all.
    log_from: Option<u64>,
    fate: Fate,
    stops: Vec<u64>,
    sweeps: u32,
    next_sweep: Instant,
}

/// The database's processes.
#[derive(Debug)]
pub(super) struct Database {
    processes: Processes,
    cgroup: Option<Cgroup>,
    run: Option<Run>,
}

impl Database {
    pub(super) fn new(processes: Processes, cgroup: Option<Cgroup>) -> Database {
        Database {
            processes,
            cgroup,
            run: None,
        }
    }

    /// A start was ordered. Gives the group that the postmaster is to join.
    pub(super) fn begin(&mut self, id: RunId) -> Option<RawFd> {
        self.run = Some(Run {
            id,
            starting: true,
            postmaster: None,
            log_from: None,
            fate: Fate::Run,
            stops: Vec::new(),
            sweeps: 0,
            next_sweep: Instant(0),
        });
        self.cgroup.as_ref().map(Cgroup::procs)
    }

    /// The start came to its end. Without a postmaster there is nothing left but to see that all is gone.
    pub(super) fn started(&mut self, spawned: Option<Spawned>) {
        if let Some(run) = &mut self.run {
            run.starting = false;
            run.postmaster = spawned.map(|s| s.pid);
            run.log_from = spawned.map(|s| s.log_from);
        }
    }

    /// A stop was ordered.
    pub(super) fn stop(&mut self, number: u64, mode: StopMode) {
        let Some(run) = &mut self.run else { return };
        run.stops.push(number);
        match (mode, run.fate) {
            (StopMode::Now, _) => run.fate = Fate::Kill,
            (StopMode::Clean, Fate::Run) => run.fate = Fate::Stop,
            (StopMode::Clean, _) => {}
        }
        run.next_sweep = Instant(0);
    }

    /// Fences this run, or whatever runs.
    pub(super) fn kill(&mut self, id: Option<RunId>) {
        if let Some(run) = &mut self.run
            && id.is_none_or(|id| id == run.id)
        {
            run.fate = Fate::Kill;
            run.next_sweep = Instant(0);
        }
    }

    /// Sends the postmaster a signal. The error is a sentence.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = self
            .run
            .as_ref()
            .and_then(|run| run.postmaster)
            .ok_or("the postmaster is not running")?;
        kill(pid, signal).map_err(|e| format!("cannot signal the postmaster ({pid}): {e}"))
    }

    /// Whether there is a run that is not seen gone.
    pub(super) fn is_there(&self) -> bool {
        self.run.is_some()
    }

    /// When `look` is due.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let run = self.run.as_ref()?;
        let at_rest = run.postmaster.is_some() && matches!(run.fate, Fate::Run | Fate::Stopping);
        (!at_rest && !run.starting).then_some(run.next_sweep)
    }

    /// Does what is to be done at this moment; says when everything is seen gone. Call it after each SIGCHLD too.
    pub(super) fn look(&mut self, now: Instant) -> Option<Gone> {
        let run = self.run.as_mut()?;
        if let Some(pid) = run.postmaster
            && has_ended(pid)
        {
            run.postmaster = None;
            run.next_sweep = now;
        }
        match (run.postmaster, run.fate) {
            (Some(_), Fate::Run | Fate::Stopping) => return None,
            (Some(pid), Fate::Stop) => {
                // An error means that it ended in this moment: reaped at the next look.
                let _ = kill(pid, Signal::SIGINT);
                run.fate = Fate::Stopping;
                return None;
            }
            // The worker's report comes at once after the spawn, and a start that is to end spawns nothing.
            _ if run.starting || now < run.next_sweep => return None,
            _ => {}
        }
        let left = match run.log_from {
            Some(_) => sweep(&self.processes, self.cgroup.as_ref(), run.postmaster),
            // Nothing was spawned: what may be there is somebody else's.
            None => 0,
        };
        run.sweeps += 1;
        run.next_sweep = now
            + match run.sweeps > PATIENT_SWEEPS {
                true => SWEEP_LATER,
                false => SWEEP,
            };
        if left > 0 || run.postmaster.is_some() {
            return None;
        }
        reap_orphans();
        let run = self.run.take()?;
        Some(Gone {
            run: run.id,
            unasked: run.log_from.filter(|_| run.fate == Fate::Run),
            stops: run.stops,
        })
    }

    /// Kills what an earlier guard's postmaster left behind; how many there were.
    pub(super) fn sweep_orphans(&self) -> usize {
        self.processes.kill(None)
    }
}

/// Kills everything; how many were found.
fn sweep(processes: &Processes, cgroup: Option<&Cgroup>, postmaster: Option<Pid>) -> usize {
    if let Some(cgroup) = cgroup {
        cgroup.kill();
    }
    processes.kill(postmaster)
}

/// Reaps our child if it has ended.
fn has_ended(pid: Pid) -> bool {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => true,
        // Not our child any more: somebody reaped it, so it has ended.
        Err(Errno::ECHILD) => true,
        _ => false,
    }
}
