//! What makes the guard a process of its own: session, signals, memory, and none of the daemon's files.

use crate::postgres::Said;
use nix::libc;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Uid, dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// How long a panic waits for its words to reach the disk.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Closes what whoever started the daemon left open by mistake, and it inherited: a pipe whose end somebody waits for.
/// Call it before anything is opened.
pub(super) fn close_inherited_files() {
    // Best effort: Linux before 5.9 lacks it, and what stays open does no harm to us. By number: the C library of Debian 11
    // has no name for it.
    // SAFETY: no file is open yet that anything in this process owns, but for the three standard ones.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Makes this process one that outlives its session, adopts orphans, and is not paged out. Call it before any thread is
/// started: they inherit which signals come by the descriptor alone.
pub(super) fn settle() -> Said<SignalFd> {
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
    for signal in [
        Signal::SIGCHLD,
        // What ends a service or a session is for the daemon; a guard that just died would take the database with it.
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ] {
        mask.add(signal);
    }
    mask.thread_block()
        .map_err(|e| format!("cannot block signals: {e}"))?;
    SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(|e| format!("cannot make a descriptor for signals: {e}"))
}

/// Gives up the daemon's standard input, output and errors: a terminal or a pipe that would be held open for as long as
/// the database runs, or whose end would be an error. What it has to say it tells its daemon.
pub(super) fn leave_the_daemons_files(status_dir: &Path) -> Said<()> {
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|e| format!("cannot open /dev/null: {e}"))?;
    dup2_stdin(&null)
        .and_then(|()| dup2_stdout(&null))
        .and_then(|()| dup2_stderr(&null))
        .map_err(|e| format!("cannot leave the daemon's files: {e}"))?;
    let file = status_dir.join("guard.panic");
    std::panic::set_hook(Box::new(move |panic| {
        let (file, text) = (file.clone(), format!("{panic}\n"));
        // On a thread of its own: a disk that hangs must not keep this process, and with it a database without a guard,
        // from ending.
        let (done, wait) = mpsc::channel();
        std::thread::spawn(move || {
            let _ = done.send(std::fs::write(file, text));
        });
        let _ = wait.recv_timeout(LAST_WORDS);
        std::process::exit(101);
    }));
    Ok(())
}
