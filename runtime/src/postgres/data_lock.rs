//! One daemon a data directory, also of those that have different status directories: a lock on a file beside the
//! directory, because the directory itself is renamed and replaced.

use crate::postgres::{Said, files};
use nix::libc;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The lock. Held, not read: it ends with this value, or with the process.
#[derive(Debug)]
pub struct DataLock(#[allow(dead_code, reason = "held, not read")] File);

/// Why the lock is not had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Another daemon has it.
    Held(String),
    /// The file cannot be made.
    Failed(String),
}

impl DataLock {
    /// Takes the lock of the data directory at `data` (symbolic links resolved), which need not exist. `status_dir` says
    /// whose it is, for people.
    ///
    /// # Errors
    /// Another daemon has it, or the file cannot be made.
    pub fn take(data: &Path, status_dir: &Path) -> Result<DataLock, Refused> {
        let path = path_of(data);
        let failed = |e: std::io::Error| {
            let what = match e.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => {
                    "make the directory above the data directory, owned by PostgreSQL's account"
                }
                _ => {
                    "the account that runs yoke has to be allowed to make files beside the data directory"
                }
            };
            Refused::Failed(format!("cannot lock {}: {e}; {what}", path.display()))
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW) // we may be root, the folder PostgreSQL's
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Refused::Held(held(data, &mut file))),
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        // What is written is for people: without room for it the lock still holds.
        let _ = file
            .set_len(0)
            .and_then(|()| file.write_all(status_dir.as_os_str().as_encoded_bytes()));
        Ok(DataLock(file))
    }
}

/// Looks whether `take` would be refused. Changes nothing.
///
/// # Errors
/// Another daemon has it.
pub fn is_free(data: &Path) -> Said<()> {
    let path = path_of(data);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(format!("cannot open {}: {e}", path.display())),
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Err(held(data, &mut file)),
        _ => Ok(()),
    }
}

fn path_of(data: &Path) -> PathBuf {
    files::beside(data, ".yoke.lock")
}

fn held(data: &Path, file: &mut File) -> String {
    let mut by = String::new();
    // Nothing to read: then it is not said whose it is.
    let _ = file.take(4096).read_to_string(&mut by);
    format!(
        "another yoke daemon has the data directory {}{}: give each daemon its own data_dir, or stop that one",
        data.display(),
        match by.trim() {
            "" => String::new(),
            by => format!(" (the one with status_dir {by})"),
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r16_one_daemon_a_data_directory() {
        let temp = tempfile::tempdir().unwrap();
        let data = temp.path().join("data");
        let first = DataLock::take(&data, Path::new("/status/1")).unwrap();
        let refused = DataLock::take(&data, Path::new("/status/2")).unwrap_err();
        let Refused::Held(said) = refused else {
            panic!("{refused:?}");
        };
        assert!(said.contains("status_dir /status/1"), "{said}");
        assert_eq!(is_free(&data), Err(said));
        drop(first);
        assert_eq!(is_free(&data), Ok(()));
        DataLock::take(&data, Path::new("/status/2")).unwrap();
    }
}
