//! The step `Clone`: the primary's `sync_command`, else `pg_basebackup`, into a fresh directory, which is put in the data
//! directory's place once it is whole.

use crate::copying::ask::Copying;
use crate::postgres::execute::{Ending, refuse_mount_point};
use crate::postgres::find::Binaries;
use crate::postgres::helper::Helper;
use crate::postgres::user::{Child, PgUser};
use crate::postgres::{Context, Said, Upstream, conf, files, inspect, names, settings, stamp};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Copies the running primary to the data directory, which must be free. Nothing is left there if it fails or is ended.
///
/// # Errors
/// What `pg_basebackup` said, or which call failed.
pub(crate) fn clone(copying: &mut Copying<'_>, say: &mut dyn FnMut(String)) -> Said<()> {
    let (context, user, data) = (copying.context, copying.user, copying.data);
    let (from, ending) = (copying.upstream, copying.ending);
    if !inspect::is_free(data)? {
        return Err(format!(
            "{} is not empty: a clone needs a free place",
            data.display()
        ));
    }
    if data.exists() {
        refuse_mount_point(data)?;
    }
    match by_command(copying) {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        Err(why) if ending.is_set() => return Err(why),
        Err(why) => say(format!(
            "no copy by sync_command of {}: {why}; pg_basebackup is used instead",
            context.name(copying.from)
        )),
    }
    let new = files::beside(data, ".new");
    fresh_directory(&new, user)?;
    let copied = back_up(context, user, &new, from, ending, copying.progress)
        .and_then(|()| put_in_place(copying, &new));
    if copied.is_err() {
        // What is left over is in nobody's way, and removed before the next clone: the first error is the one to tell.
        let _ = remove_tree(&new);
    }
    copied
}

/// An empty directory of PostgreSQL's user; what was there is removed.
pub(crate) fn fresh_directory(new: &Path, user: &PgUser) -> Said<()> {
    remove_tree(new)?;
    // Ours, given to that user: it may have no right to make one next to the data directory.
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(new)
        .and_then(|()| user.own(new))
        .map_err(|e| format!("cannot make {}: {e}", new.display()))
}

/// By the command that the primary's daemon is configured with; false: with none.
fn by_command(copying: &mut Copying<'_>) -> Said<bool> {
    let Some(new) = copying.make()? else {
        return Ok(false);
    };
    let placed = put_in_place(copying, &new);
    if placed.is_err() {
        // As below.
        let _ = remove_tree(&new);
    }
    placed.map(|()| true)
}

/// A whole copy becomes the data directory.
fn put_in_place(copying: &Copying<'_>, new: &Path) -> Said<()> {
    tidy(new, copying.user)?;
    // Of a version that is not installed here it could never be started.
    Binaries::of_data(copying.context, new)?;
    match copying.ending.is_set() {
        true => Err("ended".into()),
        false => files::rename(new, copying.data),
    }
}

/// Runs `pg_basebackup` to its end.
fn back_up(
    context: &Context,
    user: &PgUser,
    new: &Path,
    from: &Upstream,
    ending: &Ending,
    progress: &mut dyn FnMut(u64, u64),
) -> Said<()> {
    let program = Binaries::newest(context)?.program("pg_basebackup");
    let mut command = user.command(&program, Child::Helper);
    command
        .args(["--wal-method=stream", "--checkpoint=fast", "--progress"])
        .args(["--no-password", "--format=plain", "--pgdata"])
        .arg(new)
        .arg("--dbname")
        .arg(settings::connection_string(
            context,
            from,
            &names::of_clone(context),
        ))
        .current_dir(&context.status_dir);
    Helper::spawn(&mut command)?
        .finish(ending, None, progress)
        .map(|_| ())
        .map_err(|why| format!("from {}:{}: {why}", from.host, from.port))
}

/// Takes out what belongs to the member that it was copied from.
///
/// # Errors
/// Which call failed.
pub(crate) fn tidy(new: &Path, user: &PgUser) -> Said<()> {
    for name in [
        stamp::NAME,
        "postmaster.pid",
        "standby.signal",
        "recovery.signal",
        "promote",
    ] {
        files::remove(&new.join(name))?;
    }
    conf::clean_auto_conf(new, user)
}

pub(crate) fn remove_tree(path: &Path) -> Said<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {e}", path.display()))
        }
        _ => Ok(()),
    }
}
