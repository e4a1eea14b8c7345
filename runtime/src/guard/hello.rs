//! How a daemon and a guard meet: versions of their language first, in a form that never changes, and the daemon's proof
//! that it is the one that holds `yoke.lock` (R16).
//!
//! The proof is the locked file itself, passed along with the first bytes: the lock belongs to the open file and not to
//! a process, so only its holder can pass one on which the lock is had. No word that could be copied, nothing to read
//! from a disk that may hang.

use crate::postgres::{Context, Said};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Counts the forms of what is said after the greeting. Another form is refused, and said: never guessed at.
pub const PROTOCOL: u32 = 4;

const MAGIC: &[u8; 8] = b"YOKEGARD";

/// The bytes of a greeting.
pub(super) const GREETING: usize = MAGIC.len() + 4;

/// Where the guard of a status directory listens.
pub(super) fn socket_path(status_dir: &Path) -> PathBuf {
    status_dir.join("guard.sock")
}

/// What the guard of a status directory holds locked, so that there is one only. Its text says who it is, for people.
pub(super) fn lock_path(status_dir: &Path) -> PathBuf {
    status_dir.join("guard.lock")
}

/// The daemon's first frame.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Its program's version.
    pub version: String,
    /// What its configuration says of the database.
    pub context: Context,
}

/// Each end's first bytes.
pub(super) fn greeting() -> [u8; GREETING] {
    let mut bytes = [0; GREETING];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()..].copy_from_slice(&PROTOCOL.to_be_bytes());
    bytes
}

/// The version of the language that the other end speaks.
pub(super) fn protocol_of(greeting: &[u8; GREETING]) -> Said<u32> {
    match greeting.split_last_chunk::<4>() {
        Some((magic, protocol)) if magic == MAGIC => Ok(u32::from_be_bytes(*protocol)),
        _ => Err("what answers there is no guard of yoke".into()),
    }
}

/// Sends the daemon's greeting, and with it the lock.
pub(super) fn greet(socket: BorrowedFd<'_>, lock: BorrowedFd<'_>) -> nix::Result<()> {
    let fds = [lock.as_raw_fd()];
    let sent = sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(&greeting())],
        &[ControlMessage::ScmRights(&fds)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    match sent {
        GREETING => Ok(()),
        // So few bytes into an empty buffer go at once or not at all.
        _ => Err(Errno::EMSGSIZE),
    }
}

/// Receives a daemon's greeting and what came with it. An error ends the connection; EAGAIN: nothing has come yet.
pub(super) fn receive(socket: BorrowedFd<'_>) -> nix::Result<([u8; GREETING], Option<File>)> {
    let mut bytes = [0; GREETING];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT,
    )?;
    let mut passed = None;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = part {
            for fd in fds {
                // SAFETY: the kernel has just made this descriptor for us; nobody else knows its number.
                passed = Some(File::from(unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
    }
    match message.bytes {
        GREETING => Ok((bytes, passed)),
        _ => Err(Errno::ECONNRESET),
    }
}

/// Which file `yoke.lock` is. It is never replaced, so this need not be looked up again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LockFile {
    device: u64,
    inode: u64,
}

impl LockFile {
    /// That of an open file.
    pub(super) fn of(metadata: &std::fs::Metadata) -> LockFile {
        LockFile {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// Whether this is that file, and the lock on it is had: an open file that has it gets it again, another does not.
    pub(super) fn is_held_by(self, passed: &File) -> bool {
        passed.metadata().is_ok_and(|m| LockFile::of(&m) == self) && passed.try_lock().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    /// A guard of any version reads these bytes: they never change but for the last four.
    #[test]
    fn the_greetings_bytes_are_these() {
        assert_eq!(&greeting(), b"YOKEGARD\0\0\0\x04");
        assert_eq!(protocol_of(&greeting()), Ok(PROTOCOL));
        assert!(protocol_of(b"SSH-2.0-Open").is_err());
    }

    #[test]
    fn r16_the_lock_goes_along_and_only_its_holders_counts() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("yoke.lock");
        let holder = File::create(&path).unwrap();
        holder.try_lock().unwrap();
        let lock_file = LockFile::of(&holder.metadata().unwrap());
        let pass = |file: &File| {
            let (ours, theirs) = UnixStream::pair().unwrap();
            greet(ours.as_fd(), file.as_fd()).unwrap();
            let (bytes, passed) = receive(theirs.as_fd()).unwrap();
            assert_eq!(bytes, greeting());
            passed.unwrap()
        };
        assert!(lock_file.is_held_by(&pass(&holder)));
        assert!(!lock_file.is_held_by(&pass(&File::open(&path).unwrap())));
        let other = File::create(temp.path().join("other")).unwrap();
        other.try_lock().unwrap();
        assert!(!lock_file.is_held_by(&pass(&other)));
        // What was passed is closed again, and the lock still the holder's.
        assert!(File::open(&path).unwrap().try_lock().is_err());
    }
}
