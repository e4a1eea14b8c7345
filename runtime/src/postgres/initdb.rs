//! The step `Initdb`: the cluster's first database, made in a fresh directory that is put in its place once it is whole.

use crate::postgres::execute::{Ending, refuse_mount_point};
use crate::postgres::find::Binaries;
use crate::postgres::helper::Helper;
use crate::postgres::user::{Child, PgUser};
use crate::postgres::{Context, Said, clone, files, inspect};
use std::path::Path;

/// Says that the operating system lacks the locale.
const NO_LOCALE: &str = "invalid locale";

/// Makes a database at `data`, which must be free. Nothing is left there if it fails or is ended: what is left over beside
/// it is removed before the next attempt.
///
/// # Errors
/// What `initdb` said, or which call failed.
pub(crate) fn initdb(context: &Context, user: &PgUser, data: &Path, ending: &Ending) -> Said<()> {
    if !inspect::is_free(data)? {
        return Err(format!(
            "{} is not empty: a database is made only where nothing is",
            data.display()
        ));
    }
    if data.exists() {
        refuse_mount_point(data)?;
    }
    let new = files::beside(data, ".new");
    let program = Binaries::newest(context)?.program("initdb");
    let mut made = make(user, &program, &new, "C.UTF-8", ending);
    if made.as_ref().is_err_and(|why| why.contains(NO_LOCALE)) {
        made = make(user, &program, &new, "C", ending);
    }
    let made = made.and_then(|()| match ending.is_set() {
        true => Err("ended".into()),
        false => files::rename(&new, data),
    });
    if made.is_err() {
        // It is in nobody's way: the first error is the one to tell.
        let _ = clone::remove_tree(&new);
    }
    made
}

fn make(user: &PgUser, program: &Path, new: &Path, locale: &str, ending: &Ending) -> Said<()> {
    clone::fresh_directory(new, user)?;
    let mut command = user.command(program, Child::Helper);
    command
        .args(["--encoding=UTF8", "--data-checksums", "--auth-local=peer"])
        .args(["--auth-host=scram-sha-256", "--no-instructions"])
        .arg(format!("--locale={locale}"))
        .arg(format!("--username={}", user.name))
        .arg("--pgdata")
        .arg(new)
        .current_dir("/");
    Helper::spawn(&mut command)?
        .finish(ending, None, &mut |_, _| {})
        .map(|_| ())
}
