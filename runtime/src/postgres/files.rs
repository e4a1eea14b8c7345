//! Durable, atomic file writes: after a crash there is the old contents or the new.

use crate::postgres::Said;
use crate::postgres::user::PgUser;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Replaces `path` by a file with these contents, mode 0600, owned by PostgreSQL's user; synced, directory too.
///
/// # Errors
/// Which call failed on which file.
pub fn replace(path: &Path, contents: &[u8], user: &PgUser) -> Said<()> {
    let new = beside(path, ".tmp");
    // Made anew: what lies there may be a link that PostgreSQL's user made, and we may be root.
    if let Err(e) = std::fs::remove_file(&new)
        && e.kind() != ErrorKind::NotFound
    {
        return Err(format!("cannot remove {}: {e}", new.display()));
    }
    let failed = |what: &str, e: std::io::Error| format!("cannot {what} {}: {e}", new.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(|e| failed("create", e))?;
    user.own_file(&file).map_err(|e| failed("give away", e))?;
    file.write_all(contents).map_err(|e| failed("write", e))?;
    file.sync_all().map_err(|e| failed("sync", e))?;
    std::fs::rename(&new, path)
        .map_err(|e| format!("cannot rename {} to {}: {e}", new.display(), path.display()))?;
    sync_parent(path)
}

/// Removes a file, durably; it may be missing.
///
/// # Errors
/// It is there and cannot be removed.
pub fn remove(path: &Path) -> Said<()> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(format!("cannot remove {}: {e}", path.display())),
    }
}

/// Renames a directory or file, durably.
///
/// # Errors
/// As `rename`.
pub fn rename(from: &Path, to: &Path) -> Said<()> {
    std::fs::rename(from, to)
        .map_err(|e| format!("cannot rename {} to {}: {e}", from.display(), to.display()))?;
    sync_parent(to)
}

/// Makes what happened to the directory's entries durable.
///
/// # Errors
/// As `fsync`.
pub fn sync_parent(path: &Path) -> Said<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(|e| format!("cannot sync the directory {}: {e}", parent.display()))
}

/// The contents; none if there is no such file.
///
/// # Errors
/// It is there and cannot be read, or is no text.
pub fn read_optional(path: &Path) -> Said<Option<String>> {
    match std::fs::read(path) {
        // Configuration files may be in any encoding; what we look for is ASCII.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("cannot read {}: {e}", path.display())),
    }
}

/// `path` with something added to its last name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
