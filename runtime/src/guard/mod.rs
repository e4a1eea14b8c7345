//! The guard process: the postmaster's parent. It drives [`yoke_core::Guard`]: holds the permission, fences at its end,
//! carries out one order at a time (R10, R16).
//!
//! `yoke` starts it as itself with one more argument; the two speak over an inherited socket. For now it lives no longer
//! than its daemon: at the connection's end it fences and ends. If it is killed itself, PostgreSQL gets SIGQUIT, and the
//! next guard sweeps for what is left.
//!
//! | file | its one idea |
//! | --- | --- |
//! | `client` | the daemon's end |
//! | `wire` | what the two say, and its frames |
//! | `process` | the loop |
//! | `link` | the guard's end of the connection |
//! | `worker` | what may wait for a disk, on a thread of its own |
//! | `database` | the postmaster: signals, reaping, fence, sweep |
//! | `cgroup` | a control group for it |

mod cgroup;
pub mod client;
mod database;
mod link;
mod process;
pub mod wire;
mod worker;

pub use client::{ARGUMENT, GuardLink};
pub use wire::{GuardReply, GuardRequest};

use crate::guard::link::Link;
use crate::guard::process::{Process, Stage, now};
use crate::postgres::processes::{Processes, foreign_postmaster};
use crate::postgres::user::PgUser;
use crate::postgres::{Context, Said};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use nix::unistd::{Uid, setsid};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use yoke_core::Guard;

/// Runs as the guard process; the connection to the daemon is standard input.
pub fn main(arguments: &[OsString]) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("yoke guard: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Said<()> {
    if !arguments.is_empty() {
        return Err("it is started by yoke itself, and takes no arguments".into());
    }
    let mut link = Link::new(inherited_socket()?);
    let Some(context) = link.first::<Context>()? else {
        return Ok(());
    };
    let children = settle()?;
    let failed = |what: &str, e: &dyn std::fmt::Display| format!("cannot {what}: {e}");
    let user = PgUser::of(&context)?;
    let processes = Processes::of(context.real_data_dir(), user);
    // Somebody else's server is left alone; a start is refused and says so.
    let stage = match foreign_postmaster(&processes, &context.conf_file()) {
        Some(_) => Stage::Guarding,
        None => Stage::Clearing {
            next: now(),
            told: false,
        },
    };
    let nonce = RandomState::new().hash_one((now(), std::process::id()));
    let machine = Guard::new(context.config(), nonce);
    if stage == Stage::Guarding {
        link.send(&GuardReply::View(machine.view()));
    }
    let mut process = Process {
        machine,
        link,
        worker: worker::Worker::spawn(context).map_err(|e| failed("start its worker", &e))?,
        database: database::Database::new(processes, cgroup::Cgroup::new()),
        children,
        timer: TimerFd::new(
            ClockId::CLOCK_BOOTTIME,
            TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
        )
        .map_err(|e| failed("make a timer", &e))?,
        stage,
        events: VecDeque::new(),
        upstream: None,
        promoting: None,
    };
    process.run().map_err(|e| failed("wait for events", &e))
}

/// Takes the connection off standard input, so that nobody reads there by mistake.
fn inherited_socket() -> Said<UnixStream> {
    let socket = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|e| format!("cannot take over standard input: {e}"))?;
    let null = File::open("/dev/null").map_err(|e| format!("cannot open /dev/null: {e}"))?;
    nix::unistd::dup2_stdin(&null).map_err(|e| format!("cannot free standard input: {e}"))?;
    Ok(UnixStream::from(socket))
}

/// Makes this process one that outlives its session, adopts orphans, and is not paged out.
fn settle() -> Said<SignalFd> {
    // For people who look at the processes. An error leaves the program's name.
    let _ = prctl::set_name(c"yoke-guard");
    // An error means that it leads a session already.
    let _ = setsid();
    std::env::set_current_dir("/").map_err(|e| format!("cannot change to /: {e}"))?;
    prctl::set_child_subreaper(true)
        .map_err(|e| format!("cannot adopt the children of a dead PostgreSQL: {e}"))?;
    if Uid::effective().is_root() {
        // Best effort: it protects against a host that swaps itself to death. Without root the limit is so small that the
        // next allocation would fail.
        let _ = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE);
    }
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    // Before the worker starts, which inherits it: no thread takes the signal away from the descriptor.
    mask.thread_block()
        .map_err(|e| format!("cannot block SIGCHLD: {e}"))?;
    SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(|e| format!("cannot make a descriptor for SIGCHLD: {e}"))
}
