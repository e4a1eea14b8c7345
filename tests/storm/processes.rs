//! PostgreSQL's processes one by one, frozen and thawed.

use super::fault::{Hit, Kind};
use crate::Said;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use yoke::demo::node::{Node, Part};

/// A process, told apart from a later one of the same number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    pid: Pid,
    started: u64,
}

/// What of this node is hit, as it is now.
pub fn find(node: &Node, hit: Hit) -> Said<Vec<Process>> {
    let part = |part| {
        node.pid(part)
            .ok_or_else(|| format!("{}'s {part} does not run", node.name))
    };
    // A part that happens not to run is no reason not to hit the others.
    let all = |parts: &[Part]| -> Vec<Pid> { parts.iter().filter_map(|p| node.pid(*p)).collect() };
    let postgres = || -> Vec<Pid> {
        let postmaster = node.pid(Part::Postgres);
        postmaster
            .into_iter()
            .chain(postmaster.into_iter().flat_map(children))
            .collect()
    };
    let pids = match hit {
        Hit::Postmaster => vec![part(Part::Postgres)?],
        Hit::Postgres => postgres(),
        Hit::One(kind) => {
            let title = match kind {
                Kind::Backend => format!(" {} postgres ", yoke::demo::cluster::CLIENT),
                Kind::Walsender => "walsender ".to_owned(),
                Kind::Walreceiver => "walreceiver ".to_owned(),
                Kind::Checkpointer => "checkpointer".to_owned(),
                Kind::Startup => "startup ".to_owned(),
            };
            let found = children(part(Part::Postgres)?)
                .into_iter()
                .find(|pid| self::title(*pid).contains(&title));
            found.into_iter().collect()
        }
        Hit::Daemon => vec![part(Part::Daemon)?],
        Hit::Guard => vec![part(Part::Guard)?],
        Hit::DaemonAndGuard => all(&[Part::Daemon, Part::Guard]),
        Hit::Host => {
            let mut found = all(&[Part::Daemon, Part::Guard]);
            found.extend(postgres());
            found
        }
    };
    match pids.is_empty() {
        true => Err(format!("{} has no {hit}", node.name)),
        false => Ok(pids.into_iter().filter_map(Process::of).collect()),
    }
}

/// Sends a signal to each that still is the process that was found.
pub fn send(processes: &[Process], signal: Signal) {
    for process in processes {
        if Process::of(process.pid) == Some(*process) {
            // An error means that it ended in this moment.
            let _ = kill(process.pid, signal);
        }
    }
}

impl Process {
    fn of(pid: Pid) -> Option<Process> {
        let started = stat(pid)?.get(19)?.parse().ok()?;
        Some(Process { pid, started })
    }
}

/// The fields after the name: state, parent, …
fn stat(pid: Pid) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

fn children(of: Pid) -> Vec<Pid> {
    let all = std::fs::read_dir("/proc").into_iter().flatten();
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
        .filter(|pid| stat(*pid).is_some_and(|s| s.get(1) == Some(&of.to_string())))
        .collect()
}

fn title(pid: Pid) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// Whether one of them still runs.
pub fn any_lives(processes: &[Process]) -> bool {
    processes.iter().any(|process| {
        Process::of(process.pid) == Some(*process)
            && stat(process.pid).is_some_and(|s| s.first().is_some_and(|state| state != "Z"))
    })
}
