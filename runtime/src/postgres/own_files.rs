//! What in a data directory is this host's user's, not the database's: `postgresql.conf`, `pg_hba.conf`, keys, folders of
//! includes. pg_rewind would replace it by the source's, or remove it: it is moved out of its way, and put back.

use crate::postgres::user::PgUser;
use crate::postgres::{Said, files};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Where it is meanwhile: next to the data directory, on the same file system.
fn place(data: &Path) -> PathBuf {
    files::beside(data, ".kept")
}

/// Moves it out.
///
/// # Errors
/// Which call failed.
pub(crate) fn move_out(data: &Path, user: &PgUser) -> Said<()> {
    put_back(data)?;
    let place = place(data);
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&place)
        .and_then(|()| user.own(&place))
        .map_err(|e| format!("cannot make {}: {e}", place.display()))?;
    for name in names(data)?.filter(|name| !is_databases(name)) {
        files::rename(&data.join(&name), &place.join(&name))?;
    }
    files::sync_parent(&data.join("x"))
}

/// Removes what came over from the source's user. Only while this host's is moved out.
///
/// # Errors
/// Which call failed.
pub(crate) fn remove_others(data: &Path) -> Said<()> {
    for name in names(data)?.filter(|name| !is_databases(name)) {
        remove(&data.join(&name))?;
    }
    Ok(())
}

/// Puts it back, wherever this was interrupted.
///
/// # Errors
/// Which call failed.
pub(crate) fn put_back(data: &Path) -> Said<()> {
    let place = place(data);
    if !place.exists() {
        return Ok(());
    }
    for name in names(&place)? {
        remove(&data.join(&name))?;
        files::rename(&place.join(&name), &data.join(&name))?;
    }
    std::fs::remove_dir(&place).map_err(|e| format!("cannot remove {}: {e}", place.display()))?;
    files::sync_parent(&place)
}

/// What `initdb`, the server and yoke make there.
fn is_databases(name: &str) -> bool {
    const WHOLE: [&str; 7] = [
        "base",
        "global",
        "PG_VERSION",
        "current_logfiles",
        "promote",
        "backup_manifest",
        "lost+found",
    ];
    const BEGINNINGS: [&str; 5] = [
        "pg_",
        "postmaster.",
        "backup_label",
        "tablespace_map",
        "yoke.",
    ];
    let users = matches!(name, "pg_hba.conf" | "pg_ident.conf");
    !users
        && (WHOLE.contains(&name)
            || name.ends_with(".signal")
            || BEGINNINGS.iter().any(|begin| name.starts_with(begin)))
}

fn names(folder: &Path) -> Said<impl Iterator<Item = String>> {
    let failed = |e: std::io::Error| format!("cannot read {}: {e}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // A name that is no text is nobody's that we know of, and stays where it is.
        names.extend(name.into_string().ok());
    }
    Ok(names.into_iter())
}

fn remove(path: &Path) -> Said<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::context::resolve;

    #[test]
    fn the_users_files_survive_what_comes_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let data = resolve(dir.path()).join("data");
        let write = |name: &str, text: &str| {
            let file = data.join(name);
            std::fs::create_dir_all(file.parent().expect("inside")).expect("made");
            std::fs::write(file, text).expect("written");
        };
        let read = |name: &str| std::fs::read_to_string(data.join(name)).ok();
        write("base/1/2", "old");
        write("postgresql.conf", "mine");
        write("pg_hba.conf", "mine");
        write("conf.d/a.conf", "mine");
        let user = PgUser {
            name: "x".into(),
            uid: nix::unistd::Uid::effective(),
            gid: nix::unistd::Gid::effective(),
            groups: vec![],
            home: PathBuf::new(),
            switch: false,
        };
        move_out(&data, &user).expect("moved");
        assert_eq!(read("postgresql.conf"), None);
        assert_eq!(read("base/1/2").as_deref(), Some("old"));
        write("postgresql.conf", "theirs");
        write("conf.d/b.conf", "theirs");
        write("server.key", "theirs");
        remove_others(&data).expect("removed");
        put_back(&data).expect("put back");
        for name in ["postgresql.conf", "pg_hba.conf", "conf.d/a.conf"] {
            assert_eq!(read(name).as_deref(), Some("mine"), "{name}");
        }
        assert_eq!((read("conf.d/b.conf"), read("server.key")), (None, None));
        assert_eq!(read("base/1/2").as_deref(), Some("old"));
        put_back(&data).expect("again");

        // Interrupted after the first file was put back.
        move_out(&data, &user).expect("moved");
        write("postgresql.conf", "theirs");
        std::fs::rename(place(&data).join("pg_hba.conf"), data.join("pg_hba.conf")).expect("half");
        put_back(&data).expect("put back");
        for name in ["postgresql.conf", "pg_hba.conf", "conf.d/a.conf"] {
            assert_eq!(read(name).as_deref(), Some("mine"), "{name}");
        }
    }
}
