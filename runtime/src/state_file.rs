//! The member's state on disk (R1): one file, checksummed, replaced as a whole. A torn one is set aside and counts as lost,
//! never as absent (R12); a foreign one is an error.

use crate::codec::{self, CodecError};
use crate::upgrade;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::warn;
use yoke_core::HardState;

const STATE: &str = "yoke.state";
const STATE_NEW: &str = "yoke.state.new";
/// Torn ones are kept under this name and a number: while there is one and no state, there was a state (R12).
const TORN: &str = "yoke.state.torn-";
const LOCK: &str = "yoke.lock";
const MAGIC: &[u8; 8] = b"YOKESTAT";
/// Counts the forms of the file. Another form is refused, not guessed at.
const VERSION: u32 = 5;
/// Magic, version, length, checksum.
const HEADER: usize = 8 + 4 + 4 + 4;

/// The directory of the daemon's own files, locked for one daemon at a time (R16).
#[derive(Debug)]
pub struct StatusDir {
    path: PathBuf,
    lock: Lock,
}

/// The lock of a status directory (R16). Held, not read: it ends with the last copy, or with the process. The file is
/// never replaced.
#[derive(Clone, Debug)]
pub struct Lock(Arc<File>);

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory or a file in it cannot be made, read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another daemon runs.
    #[error(
        "another yoke daemon runs with the status directory {}: stop it first, or give this one its own status_dir",
        .0.display()
    )]
    Locked(PathBuf),
    /// Something else stands in its place.
    #[error(
        "{} is not a state file of yoke's: it begins with {found}. It is left as it is. Is status_dir the right directory? \
         If the file is not needed, move it away and start again: this member then asks all others what they know",
        .path.display()
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Its first bytes.
        found: String,
    },
    /// A newer or older Yoke wrote it.
    #[error("{} has form {found}, this yoke reads form {VERSION}: use the version of yoke that wrote it", .path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// What was found.
        found: u32,
    },
    /// It was written under a configuration with other members (R13).
    #[error(
        "{} was written by a cluster of {}, the configuration names {}: the members of a cluster cannot be changed by \
         editing files host by host. Correct primary, secondary and monitor in the configuration",
        .path.display(), .written.join(", "), .configured.join(", ")
    )]
    Members {
        /// Which file.
        path: PathBuf,
        /// The members that it names.
        written: Vec<String>,
        /// The configuration's.
        configured: Vec<String>,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io { path, source }
}

/// What a status directory holds of a state.
#[derive(Debug)]
pub enum Found {
    /// None, and there never was one.
    Nothing,
    /// A whole one.
    State(Box<HardState>),
    /// One that is torn: what is wrong with it.
    Torn(&'static str),
    /// None; one that was torn has been set aside.
    WasTorn,
}

impl StatusDir {
    /// Makes the directory if it is missing, and locks it.
    ///
    /// # Errors
    /// Another daemon holds the lock, or the directory cannot be used.
    pub fn lock(path: &Path) -> Result<Self, StateError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755) // PostgreSQL's account reads its settings from here
            .create(path)
            .map_err(io_error(path))?;
        let lock_path = path.join(LOCK);
        let opened = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io_error(&lock_path))?;
        // An upgraded daemon has it already, by the open file that it was given.
        let lock = upgrade::inherited_lock()
            .filter(|inherited| is_same_file(inherited, &opened))
            .unwrap_or(opened);
        match lock.try_lock() {
            Ok(()) => Ok(StatusDir {
                path: path.to_owned(),
                lock: Lock(Arc::new(lock)),
            }),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(io_error(&lock_path)(source)),
        }
    }

    /// Whether a daemon runs with this directory. Changes nothing; for a moment it keeps a daemon from starting.
    ///
    /// # Errors
    /// The lock's file cannot be read.
    pub fn is_locked(path: &Path) -> Result<bool, StateError> {
        let path = path.join(LOCK);
        match File::open(&path) {
            Ok(file) => Ok(matches!(
                file.try_lock_shared(),
                Err(TryLockError::WouldBlock)
            )),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(io_error(&path)(e)),
        }
    }

    /// The lock, to show that it is had, and to keep it.
    pub fn held(&self) -> Lock {
        self.lock.clone()
    }

    /// The state as last written; none if there never was any; a lost one if it is torn, or was and nothing was written
    /// since.
    ///
    /// # Errors
    /// The file cannot be read, or is not of this cluster, of this version, or of yoke's at all.
    pub fn load(&self, members: &[String]) -> Result<Option<HardState>, StateError> {
        match Self::look(&self.path, members)? {
            Found::Nothing => Ok(None),
            Found::State(state) => Ok(Some(*state)),
            Found::WasTorn => Ok(Some(HardState::lost(members.into()))),
            Found::Torn(what) => {
                let path = self.path.join(STATE);
                let aside = self.set_aside().map_err(io_error(&path))?;
                warn!(
                    "the state file {} is torn ({what}): it is kept as {}, and counts as lost. Is the disk sound?",
                    path.display(),
                    aside.display()
                );
                Ok(Some(HardState::lost(members.into())))
            }
        }
    }

    /// What there is, in a directory that need not be locked. Changes nothing.
    ///
    /// # Errors
    /// As `load`.
    pub fn look(dir: &Path, members: &[String]) -> Result<Found, StateError> {
        let path = dir.join(STATE);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return match torn(dir).map_err(io_error(dir))? {
                    0 => Ok(Found::Nothing),
                    _ => Ok(Found::WasTorn),
                };
            }
            Err(e) => return Err(io_error(&path)(e)),
        };
        let mut bytes = Vec::new();
        Read::by_ref(&mut file)
            .take((HEADER + codec::MAX_BYTES + 1) as u64)
            .read_to_end(&mut bytes)
            .map_err(io_error(&path))?;
        Self::judge(path, &bytes, members)
    }

    /// What the bytes of the state's file are.
    ///
    /// # Errors
    /// They are not of this cluster, of this version, or of yoke's at all.
    pub fn judge(path: PathBuf, bytes: &[u8], members: &[String]) -> Result<Found, StateError> {
        let state = match unwrap(bytes) {
            Ok(state) => state,
            Err(Flaw::Torn(what)) => return Ok(Found::Torn(what)),
            Err(Flaw::Version(found)) => return Err(StateError::Version { path, found }),
            Err(Flaw::Foreign(found)) => return Err(StateError::Foreign { path, found }),
        };
        if !state.is_of(members) {
            return Err(StateError::Members {
                path,
                written: state.members.to_vec(),
                configured: members.to_vec(),
            });
        }
        Ok(Found::State(Box::new(state)))
    }

    /// Renames the torn state, durably: the name says from then on that there was one.
    fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = self.path.join(format!("{TORN}{}", torn(&self.path)? + 1));
        std::fs::rename(self.path.join(STATE), &aside)?;
        File::open(&self.path)?.sync_all()?;
        Ok(aside)
    }

    /// Makes the state durable: when this returns, it survives a loss of power; until then the old one does.
    ///
    /// # Errors
    /// The disk refuses. The old state is still whole.
    pub fn store(&self, state: &HardState) -> Result<(), StateError> {
        let path = self.path.join(STATE);
        let new = self.path.join(STATE_NEW);
        let bytes = wrap(state).map_err(|e| StateError::Io {
            path: path.clone(),
            source: io::Error::other(e),
        })?;
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&new, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(io_error(&path))
    }
}

/// The highest number of a torn state that was set aside; 0 if the directory is not there.
fn torn(dir: &Path) -> io::Result<u32> {
    let mut highest = 0;
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|n| n.strip_prefix(TORN)?.parse().ok());
        highest = highest.max(number.unwrap_or(0));
    }
    Ok(highest)
}

fn is_same_file(a: &File, b: &File) -> bool {
    let id = |file: &File| file.metadata().map(|m| (m.dev(), m.ino())).ok();
    id(a).is_some() && id(a) == id(b)
}

/// The file's bytes.
fn wrap(state: &HardState) -> Result<Vec<u8>, CodecError> {
    Ok(seal(&codec::encode(state)?))
}

/// The file's bytes around an encoded state.
pub fn seal(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Why bytes are no state.
enum Flaw {
    /// They were a state once: what is wrong.
    Torn(&'static str),
    /// Of another version's form.
    Version(u32),
    /// They never were one: how they begin.
    Foreign(String),
}

/// The state that the file's bytes are.
fn unwrap(bytes: &[u8]) -> Result<HardState, Flaw> {
    let number = |at: usize| -> Option<u32> {
        let four = bytes.get(at..at + 4)?;
        four.try_into().ok().map(u32::from_le_bytes)
    };
    let begin = &bytes[..bytes.len().min(MAGIC.len())];
    if begin.iter().all(|b| *b == 0) {
        // What a file system leaves whose disk was not written in time.
        return Err(Flaw::Torn("it is empty, or begins with zeros"));
    }
    if begin != &MAGIC[..begin.len()] {
        return Err(Flaw::Foreign(format!(
            "{:?}",
            String::from_utf8_lossy(begin)
        )));
    }
    let (Some(version), Some(length), Some(checksum)) = (number(8), number(12), number(16)) else {
        return Err(Flaw::Torn("it ends within its header"));
    };
    if version != VERSION {
        return Err(Flaw::Version(version));
    }
    let payload = &bytes[HEADER..];
    if payload.len() != length as usize {
        return Err(Flaw::Torn("its length is not the one written"));
    }
    if crc32fast::hash(payload) != checksum {
        return Err(Flaw::Torn("its checksum does not fit"));
    }
    codec::decode(payload)
        .ok()
        .filter(HardState::is_possible)
        .ok_or(Flaw::Torn("its checksum fits, its contents do not"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use yoke_core::Duration;
    use yoke_core::member::MemberId;
    use yoke_core::record::Term;

    fn members() -> Vec<String> {
        ["data1", "data2", "monitor"].map(str::to_owned).to_vec()
    }

    fn state(term: u64) -> HardState {
        HardState {
            members: members().into(),
            term: Term(term),
            voted_for: Some(MemberId(1)),
            record: None,
            longest_promise: Duration::secs(5),
            stamped: true,
            writes: 7,
            lost: false,
            adopted: Term(0),
            noted: None,
            sightings: vec![None; 3],
        }
    }

    fn dir() -> (tempfile::TempDir, StatusDir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = StatusDir::lock(&temp.path().join("a/b")).unwrap();
        (temp, dir)
    }

    #[test]
    fn what_was_stored_is_loaded() {
        let (_temp, dir) = dir();
        assert_eq!(dir.load(&members()).unwrap(), None);
        dir.store(&state(3)).unwrap();
        dir.store(&state(4)).unwrap();
        assert_eq!(dir.load(&members()).unwrap(), Some(state(4)));
    }

    #[test]
    fn a_half_written_successor_changes_nothing() {
        let (_temp, dir) = dir();
        dir.store(&state(3)).unwrap();
        std::fs::write(dir.path.join(STATE_NEW), b"YOKES").unwrap();
        assert_eq!(dir.load(&members()).unwrap(), Some(state(3)));
    }

    /// Every cut, every flipped bit, zeros, more than was written: never a state, and never a fresh start.
    #[test]
    fn r12_a_torn_file_is_set_aside_and_counts_as_lost() {
        let (_temp, dir) = dir();
        dir.store(&state(3)).unwrap();
        let path = dir.path.join(STATE);
        let whole = std::fs::read(&path).unwrap();
        let lost = || Some(HardState::lost(members().into()));
        let mut torn: Vec<Vec<u8>> = (0..whole.len()).map(|n| whole[..n].to_vec()).collect();
        torn.extend((12..whole.len()).map(|place| {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x10;
            bytes
        }));
        torn.push(vec![0; whole.len()]);
        torn.push([whole.as_slice(), b"x"].concat());
        for (number, bytes) in torn.iter().enumerate() {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(dir.load(&members()).unwrap(), lost(), "number {number}");
            let aside = dir.path.join(format!("{TORN}{}", number + 1));
            assert_eq!(&std::fs::read(aside).unwrap(), bytes);
            // The next start knows it, too.
            assert_eq!(dir.load(&members()).unwrap(), lost());
        }
        dir.store(&state(4)).unwrap();
        assert_eq!(dir.load(&members()).unwrap(), Some(state(4)));
    }

    #[test]
    fn a_foreign_file_is_an_error_and_stays() {
        let (_temp, dir) = dir();
        let path = dir.path.join(STATE);
        for foreign in [&b"[config]\nrole=primary\n"[..], b"Y0KESTATE", b"{"] {
            std::fs::write(&path, foreign).unwrap();
            let error = dir.load(&members()).unwrap_err();
            assert!(matches!(error, StateError::Foreign { .. }), "{error}");
            assert!(error.to_string().contains("is not a state file"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), foreign);
        }
    }

    #[test]
    fn another_form_is_named() {
        let (_temp, dir) = dir();
        let mut bytes = wrap(&state(3)).unwrap();
        bytes[8] = 9;
        std::fs::write(dir.path.join(STATE), &bytes).unwrap();
        let error = dir.load(&members()).unwrap_err();
        assert!(
            matches!(error, StateError::Version { found: 9, .. }),
            "{error}"
        );
    }

    #[test]
    fn r13_a_configuration_with_other_members_is_refused() {
        let (_temp, dir) = dir();
        dir.store(&state(3)).unwrap();
        let mut others = members();
        others[1] = "beta".to_owned();
        let error = dir.load(&others).unwrap_err().to_string();
        assert!(
            error.contains("data1, data2, monitor") && error.contains("data1, beta, monitor"),
            "{error}"
        );
    }

    #[test]
    fn r16_one_daemon_at_a_time() {
        let (_temp, dir) = dir();
        let second = StatusDir::lock(&dir.path).unwrap_err();
        assert!(matches!(second, StateError::Locked(_)), "{second}");
        let path = dir.path.clone();
        drop(dir);
        assert!(StatusDir::lock(&path).is_ok());
    }

    /// These bytes are on people's disks. A test that fails here means: count `VERSION` up and read both forms.
    #[test]
    fn the_files_bytes_are_these() {
        let bytes = wrap(&state(3)).unwrap();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        insta::assert_snapshot!(hex, @"594f4b45535441540500000027000000fd830a3503056461746131056461746132076d6f6e69746f7203010100fc404b4c00010700000003000000");
    }
}
