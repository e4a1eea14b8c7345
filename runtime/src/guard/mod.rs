//! The guard process: the postmaster's parent. It drives [`yoke_core::Guard`]: holds the permission, fences at its end,
//! carries out one order at a time (R10, R16).
//!
//! It outlives its daemon. `yoke` starts it as itself (`yoke guard STATUS_DIR`) where none listens at
//! `STATUS_DIR/guard.sock`, and connects; a daemon that was killed, has crashed or replaces itself by an upgrade leaves
//! guard and database as they are, and its successor goes on from what the guard holds. Meanwhile the permission counts
//! as ever: a database that serves under a lease is fenced at its end, a lone primary serves on.
//!
//! It ends when the daemon ends in order, when nothing runs and no daemon has come for ten seconds, or by SIGTERM while
//! no daemon is connected: then it fences first. One guard a directory: it holds `guard.lock`, where its process is named.
//! If it is killed itself, PostgreSQL gets SIGQUIT, and the next guard sweeps for what is left.
//!
//! A service manager must not end it with the daemon: systemd units say `KillMode=process`.
//!
//! | file | its one idea |
//! | --- | --- |
//! | `client` | the daemon's end |
//! | `hello` | how the two meet: versions, and the proof of the daemon's lock |
//! | `wire` | what they say, and its frames |
//! | `process` | the loop |
//! | `door` | where daemons come in |
//! | `link` | the guard's end of the connection |
//! | `untold` | what there was nobody to tell |
//! | `detach` | away from the daemon's session, terminal, pipes and signals |
//! | `orders` | carrying out one order |
//! | `worker` | what may wait for a disk, on a thread of its own |
//! | `database` | the postmaster: signals, reaping, fence, sweep |
//! | `vip` | the virtual address: added when clients are admitted, removed when serving ends |
//! | `cgroup` | a control group for it |

mod cgroup;
pub mod client;
mod database;
mod detach;
mod door;
pub mod hello;
mod link;
mod orders;
mod process;
mod untold;
mod vip;
pub mod wire;
mod worker;

pub use client::{ARGUMENT, GuardLink};
pub use wire::{GuardReply, GuardRequest};

use crate::guard::process::{Process, Stage, now};
use crate::guard::untold::Untold;
use crate::guard::wire::Frames;
use crate::postgres::processes::{Processes, foreign_postmaster};
use crate::postgres::user::PgUser;
use crate::postgres::{Context, Said};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use yoke_core::Guard;

/// Runs as the guard process of this status directory; what it has to know of the database comes on standard input.
pub fn main(status_dir: &Path) -> ExitCode {
    match run(status_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("yoke guard: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(status_dir: &Path) -> Said<()> {
    detach::close_inherited_files();
    let context = inherited_context()?;
    let failed = |what: &str, e: &dyn std::fmt::Display| format!("cannot {what}: {e}");
    // Before anything is swept: the directory may be another guard's.
    let door = door::Door::open(status_dir)?;
    let signals = detach::settle()?;
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
    let worker =
        worker::Worker::spawn(context.clone()).map_err(|e| failed("start its worker", &e))?;
    let address = vip::Address::new(&context, Arc::clone(&worker.wake))
        .map_err(|e| failed("start a thread", &e))?;
    let nonce = RandomState::new().hash_one((now(), std::process::id()));
    let mut process = Process {
        machine: Guard::new(context.config(), nonce),
        door,
        link: None,
        alone_since: now(),
        untold: Untold::default(),
        leaving: false,
        worker,
        address,
        database: database::Database::new(processes, cgroup::Cgroup::new()),
        gone: None,
        signals,
        timer: TimerFd::new(
            ClockId::CLOCK_BOOTTIME,
            TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
        )
        .map_err(|e| failed("make a timer", &e))?,
        stage,
        events: VecDeque::new(),
        upstream: None,
        promoting: None,
        context,
    };
    // From here on nobody reads what it writes.
    detach::leave_the_daemons_files(status_dir)?;
    process.run().map_err(|e| failed("wait for events", &e))
}

/// Reads the one frame on standard input.
fn inherited_context() -> Said<Context> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|e| format!("cannot read standard input: {e}"))?;
    let mut frames = Frames::default();
    frames.push(&bytes);
    frames
        .take()?
        .ok_or_else(|| "it is started by yoke itself, never by hand".into())
}
