//! What makes a whole standby's directory of what a command has copied: the backup's label, the write-ahead log, nothing
//! of the other server's run, the right owner; and all of it on disk.

use crate::postgres::user::PgUser;
use crate::postgres::{Said, files};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// What belongs to the other server's run. PostgreSQL wants these directories to be there, empty.
const EMPTY: [&str; 8] = [
    "pg_replslot",
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_wal",
];

/// The same of files. (What carries our name is taken out with what a clone carries.)
const GONE: [&str; 5] = [
    "postmaster.opts",
    "backup_label.old",
    "tablespace_map",
    "tablespace_map.old",
    "backup_manifest",
];

/// Makes it whole.
///
/// # Errors
/// What is missing, or which call failed.
pub(super) fn make(directory: &Path, wal: &Path, label: &str, user: &PgUser) -> Said<()> {
    for name in ["PG_VERSION", "global/pg_control", "base"] {
        if !directory.join(name).exists() {
            return Err(format!(
                "sync_command ended without an error, but left no {name} in {} on this host: does it copy to this host, and the contents of {{{{local_dir}}}}?",
                directory.display()
            ));
        }
    }
    let links = directory.join("pg_tblspc");
    if std::fs::read_dir(&links).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!(
            "{} is not empty, and what it leads to was not copied",
            links.display()
        ));
    }
    for name in GONE {
        remove(&directory.join(name))?;
    }
    for name in EMPTY {
        let path = directory.join(name);
        // Also where it is a link: it leads to the other server's.
        remove(&path)?;
        make_dir(&path)?;
    }
    let pg_wal = directory.join("pg_wal");
    make_dir(&pg_wal.join("archive_status"))?;
    let failed = |e: std::io::Error| format!("cannot read {}: {e}", wal.display());
    for entry in std::fs::read_dir(wal).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !name.to_string_lossy().ends_with(".partial") {
            files::rename(&wal.join(&name), &pg_wal.join(&name))?;
        }
    }
    remove(wal)?;
    files::replace(&directory.join("backup_label"), label.as_bytes(), user)?;
    give(directory, user)?;
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(directory, mode)
        .map_err(|e| format!("cannot change the rights of {}: {e}", directory.display()))?;
    // No command that copies syncs what it wrote.
    let synced = File::open(directory).and_then(|d| Ok(nix::unistd::syncfs(d)?));
    synced.map_err(|e| format!("cannot sync {}: {e}", directory.display()))
}

/// Gives everything to PostgreSQL's user: it has another number on the other host, perhaps.
fn give(path: &Path, user: &PgUser) -> Said<()> {
    let failed = |e: std::io::Error| format!("cannot give {} away: {e}", path.display());
    let metadata = path.symlink_metadata().map_err(failed)?;
    if metadata.uid() != user.uid.as_raw() {
        if !user.switch {
            return Err(format!(
                "{} belongs to the user with id {}, not to `{}`: sync_command has to copy as that user",
                path.display(),
                metadata.uid(),
                user.name
            ));
        }
        user.own(path).map_err(failed)?;
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).map_err(failed)? {
            give(&entry.map_err(failed)?.path(), user)?;
        }
    }
    Ok(())
}

fn make_dir(path: &Path) -> Said<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|e| format!("cannot make {}: {e}", path.display()))
}

/// Removes a file, a link, or a directory with all that is in it; it may be missing.
///
/// # Errors
/// It is there and cannot be removed.
pub(super) fn remove(path: &Path) -> Said<()> {
    let removed = match path.symlink_metadata() {
        Ok(m) if m.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {e}", path.display()))
        }
        _ => Ok(()),
    }
}
