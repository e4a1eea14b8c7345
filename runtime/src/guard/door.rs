//! Where daemons come in: the socket in the status directory, and the lock that makes this guard its only one (R16).
//!
//! The newest holder of `yoke.lock` is heard; who does not hold it is told so and shown out. Nothing here blocks.

use crate::guard::hello::{self, Hello, LockFile, PROTOCOL};
use crate::guard::link::Link;
use crate::guard::process::now;
use crate::guard::wire::GuardReply;
use crate::postgres::Said;
use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use yoke_core::{Duration, Instant};

/// How long an earlier guard, which is ending, is waited for.
const PREDECESSOR: std::time::Duration = std::time::Duration::from_secs(3);
const LOOK: std::time::Duration = std::time::Duration::from_millis(10);
/// How long somebody may take to say who he is, and how many may be at it.
const MANNERS: Duration = Duration::secs(5);
const MOST_ARRIVING: usize = 16;

/// The socket.
#[derive(Debug)]
pub(super) struct Door {
    listener: UnixListener,
    path: PathBuf,
    /// What a daemon has to hold.
    lock_file: LockFile,
    arriving: Vec<Arriving>,
    /// Held, not read: the lock ends with the process. Opened for this purpose only.
    _sole: File,
}

/// Somebody who has not proven himself yet.
#[derive(Debug)]
struct Arriving {
    until: Instant,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Nothing has come yet.
    Silent(UnixStream),
    /// Greeted us, and holds the lock.
    Proven(Link),
}

/// What became of somebody.
enum Fate {
    Stays(Stage),
    In(Box<(Link, Hello)>),
    Out,
}

impl Door {
    /// Locks the directory for this guard, and listens.
    ///
    /// # Errors
    /// Another guard is there, or the directory cannot be used.
    pub(super) fn open(status_dir: &Path) -> Said<Door> {
        let sole = sole_guard(status_dir)?;
        let yoke_lock = status_dir.join("yoke.lock");
        let metadata = std::fs::metadata(&yoke_lock)
            .map_err(|e| format!("{}, which its daemon holds: {e}", yoke_lock.display()))?;
        let path = hello::socket_path(status_dir);
        let failed = |e: std::io::Error| format!("cannot listen at {}: {e}", path.display());
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        // From its first moment on nobody else may connect. No other thread runs yet that could make files.
        let before = umask(Mode::from_bits_truncate(0o177));
        let listener = UnixListener::bind(&path);
        umask(before);
        let listener = listener.map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Door {
            listener,
            path,
            lock_file: LockFile::of(&metadata),
            arriving: Vec::new(),
            _sole: sole,
        })
    }

    /// What to wait for.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let arriving = self.arriving.iter().map(|a| match &a.stage {
            Stage::Silent(socket) => socket.as_fd(),
            Stage::Proven(link) => link.as_fd(),
        });
        std::iter::once(self.listener.as_fd()).chain(arriving)
    }

    /// When somebody has to be shown out.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.arriving.iter().map(|a| a.until).min()
    }

    /// Goes on with everybody; gives the newest daemon that has proven itself.
    pub(super) fn admit(&mut self) -> Option<(Link, Hello)> {
        // An error other than "nobody" concerns one connection only.
        while let Ok((socket, _)) = self.listener.accept() {
            if self.arriving.len() >= MOST_ARRIVING {
                self.arriving.remove(0);
            }
            self.arriving.push(Arriving {
                until: now() + MANNERS,
                stage: Stage::Silent(socket),
            });
        }
        let mut newest = None;
        for Arriving { until, stage } in std::mem::take(&mut self.arriving) {
            match self.advance(stage) {
                Fate::Stays(stage) if now() < until => {
                    self.arriving.push(Arriving { until, stage });
                }
                Fate::In(daemon) => newest = Some(*daemon),
                Fate::Stays(_) | Fate::Out => {}
            }
        }
        newest
    }

    fn advance(&self, stage: Stage) -> Fate {
        let mut link = match stage {
            Stage::Silent(socket) => match self.greeted(socket) {
                Fate::Stays(Stage::Proven(link)) => link,
                fate => return fate,
            },
            Stage::Proven(link) => link,
        };
        let open = link.fill();
        match link.take::<Hello>() {
            Ok(Some(hello)) => Fate::In(Box::new((link, hello))),
            Ok(None) if open => Fate::Stays(Stage::Proven(link)),
            _ => Fate::Out,
        }
    }

    fn greeted(&self, socket: UnixStream) -> Fate {
        let (greeting, passed) = match hello::receive(socket.as_fd()) {
            Ok(received) => received,
            Err(Errno::EAGAIN | Errno::EINTR) => return Fate::Stays(Stage::Silent(socket)),
            Err(_) => return Fate::Out,
        };
        if socket.set_nonblocking(true).is_err() {
            return Fate::Out;
        }
        let mut link = Link::new(socket);
        // Whoever it is learns which language is spoken here.
        link.send_bytes(&hello::greeting());
        let fits = hello::protocol_of(&greeting) == Ok(PROTOCOL);
        let proven = passed.is_some_and(|lock| self.lock_file.is_held_by(&lock));
        if fits && !proven {
            link.send(&GuardReply::Refused(
                "only the daemon that holds yoke.lock is heard".into(),
            ));
        }
        link.flush();
        match fits && proven {
            true => Fate::Stays(Stage::Proven(link)),
            false => Fate::Out,
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Best effort: what is left behind is refused by the kernel, and removed by the next guard.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The lock that one guard of a directory has.
fn sole_guard(status_dir: &Path) -> Said<File> {
    let path = hello::lock_path(status_dir);
    let failed = |e: std::io::Error| format!("cannot lock {}: {e}", path.display());
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    let deadline = std::time::Instant::now() + PREDECESSOR;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if std::time::Instant::now() < deadline => {
                std::thread::sleep(LOOK);
            }
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&path).unwrap_or_default();
                return Err(format!(
                    "another guard ({}) holds {} but does not listen at {}: if no yoke daemon of this directory runs, end it with `kill`, which ends its PostgreSQL too; then start yoke again",
                    holder.trim(),
                    path.display(),
                    hello::socket_path(status_dir).display()
                ));
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
    }
    let text = format!(
        "{} yoke {}\n",
        std::process::id(),
        env!("CARGO_PKG_VERSION")
    );
    file.set_len(0)
        .and_then(|()| file.write_all(text.as_bytes()))
        .map_err(failed)?;
    Ok(file)
}
