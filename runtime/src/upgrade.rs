//! SIGUSR2: the daemon replaces itself by its program's newest file, in the same process. Guard and database are not
//! touched, and `yoke.lock` stays locked all the while: the open file goes along (R16).

use crate::state_file::Lock;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::{error, info};

/// Tells the successor which open file is the lock: `PROCESS:FILE`. The process is the same, and nobody else's.
pub const LOCK_VARIABLE: &str = "YOKE_LOCK";

/// How long the new program may take to say its version.
const TRIAL: Duration = Duration::from_secs(10);

/// The inherited file has its owner.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What this daemon becomes.
#[derive(Clone, Debug)]
pub struct Successor {
    program: PathBuf,
    arguments: Vec<OsString>,
    lock: Lock,
}

impl Successor {
    /// The same program with the same arguments, by the path that it was started by: a link that an upgrade turns leads
    /// to the new one.
    ///
    /// # Errors
    /// The path cannot be told.
    pub fn of_this(lock: Lock) -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let started_by = arguments.next().map(PathBuf::from);
        let program = match started_by {
            Some(path) if path.components().count() > 1 => std::path::absolute(path)?,
            Some(name) => match in_search_path(&name) {
                Some(path) => path,
                None => std::env::current_exe()?,
            },
            None => std::env::current_exe()?,
        };
        Ok(Successor {
            program,
            arguments: arguments.collect(),
            lock,
        })
    }

    /// Sees whether the program runs on this host at all: once this daemon is replaced there is no way back. Answers what
    /// it says of itself.
    ///
    /// # Errors
    /// A sentence.
    pub async fn try_out(&self) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command.arg("--version");
        let program = self.program.display();
        let trial = tokio::task::spawn_blocking(move || command.output());
        match tokio::time::timeout(TRIAL, trial).await {
            Err(_) => Err(format!("`{program} --version` takes too long")),
            Ok(Err(e)) => Err(e.to_string()),
            Ok(Ok(Err(e))) => Err(format!("{program}: {e}")),
            Ok(Ok(Ok(output))) if output.status.success() => {
                Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
            }
            Ok(Ok(Ok(output))) => Err(format!("`{program} --version`: {}", output.status)),
        }
    }

    /// Becomes it. Comes back only when that fails, and then nothing has changed.
    pub fn exec(&self) -> io::Error {
        let keep = |flags| fcntl(self.lock.as_fd(), FcntlArg::F_SETFD(flags));
        // A second SIGUSR2 would end the successor before it can listen to signals. What is ignored stays so in it.
        let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        // SAFETY: to ignore a signal runs no code of ours.
        let before = unsafe { sigaction(Signal::SIGUSR2, &ignore) };
        if let Err(e) = keep(FdFlag::empty()) {
            return e.into();
        }
        let fd = self.lock.as_fd().as_raw_fd();
        let failed = Command::new(&self.program)
            .args(&self.arguments)
            .env(LOCK_VARIABLE, format!("{}:{fd}", std::process::id()))
            .exec();
        // Else a child would inherit it. It cannot fail after it did not the first time.
        let _ = keep(FdFlag::FD_CLOEXEC);
        if let Ok(before) = before {
            // SAFETY: it is what was in force until just now.
            let _ = unsafe { sigaction(Signal::SIGUSR2, &before) };
        }
        failed
    }
}

/// When the driver's daemon may become its successor.
#[derive(Debug)]
pub struct Replacement {
    successor: Successor,
    asked: bool,
    forbidden: bool,
    /// The newest state that was given to the disk, and the newest that is durable.
    given: u64,
    durable: u64,
}

impl Replacement {
    /// Nobody has asked yet.
    pub fn by(successor: Successor) -> Self {
        Replacement {
            successor,
            asked: false,
            forbidden: false,
            given: 0,
            durable: 0,
        }
    }

    /// It is wanted.
    pub fn ask(&mut self) {
        self.asked = true;
    }

    /// The daemon was told to end: its successor would not know.
    pub fn forbid(&mut self) {
        self.forbidden = true;
    }

    /// This state is on its way to the disk.
    pub fn not_durable(&mut self, seq: u64) {
        self.given = seq;
    }

    /// This state is durable.
    pub fn durable(&mut self, seq: u64) {
        self.durable = seq;
    }

    /// Becomes the successor if that was asked for and nothing waits for the disk. (What rests on a state that is not
    /// durable has not been said: it would do no harm, but the new daemon would begin with less.)
    pub fn happen(&mut self) {
        if !self.asked || self.forbidden || self.given != self.durable {
            return;
        }
        self.asked = false;
        info!("the daemon replaces itself; guard and database stay as they are");
        let why = self.successor.exec();
        error!("the daemon cannot replace itself ({why}) and goes on as it is");
    }
}

/// The lock that this process held before it became this program.
pub(crate) fn inherited_lock() -> Option<File> {
    let text = std::env::var(LOCK_VARIABLE).ok()?;
    let (process, fd) = text.split_once(':')?;
    if process.parse() != Ok(std::process::id()) {
        return None; // somebody else's environment
    }
    let fd = fd.parse().ok()?;
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: this very process opened it and left it open for us before it became this program, so its number was taken
    // before anything else here could open a file; and it is taken over once only.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    fcntl(file.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some(file)
}

/// Where a shell found the name.
fn in_search_path(name: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| {
            std::fs::metadata(file)
                .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
        .and_then(|file| std::path::absolute(file).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_looked_for_as_a_shell_does() {
        let found = in_search_path(Path::new("sh")).unwrap();
        assert!(found.is_absolute() && found.ends_with("sh"));
        assert_eq!(in_search_path(Path::new("no-such-program-of-yoke")), None);
    }
}
