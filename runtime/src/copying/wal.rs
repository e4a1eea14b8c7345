//! The write-ahead log that a copy needs to become consistent: streamed from before the backup's start, as
//! `pg_basebackup` does, so that nothing depends on what the primary keeps.

use crate::postgres::find::Binaries;
use crate::postgres::user::{Child, PgUser};
use crate::postgres::{Context, Said, Upstream, names, settings};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A running `pg_receivewal`; it ends when this is dropped.
pub(super) struct Receiver {
    child: std::process::Child,
    dir: PathBuf,
}

impl Receiver {
    /// Streams into `dir`, from where the primary is now.
    pub(super) fn start(
        context: &Context,
        user: &PgUser,
        from: &Upstream,
        dir: &Path,
    ) -> Said<Receiver> {
        let program = Binaries::newest(context)?.program("pg_receivewal");
        let child = user
            .command(&program, Child::Helper)
            .args(["--no-loop", "--no-password", "--directory"])
            .arg(dir)
            .arg("--dbname")
            .arg(settings::connection_string(
                context,
                from,
                &names::of_clone(context),
            ))
            .current_dir(&context.status_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot run {}: {e}", program.display()))?;
        Ok(Receiver {
            child,
            dir: dir.to_owned(),
        })
    }

    /// The error of a stream that has ended.
    pub(super) fn check(&mut self) -> Said<()> {
        match self.child.try_wait() {
            Ok(None) => return Ok(()),
            Ok(Some(_)) => {}
            Err(e) => return Err(format!("pg_receivewal cannot be waited for: {e}")),
        }
        let mut said = Vec::new();
        if let Some(stderr) = self.child.stderr.as_mut() {
            // What it did not say cannot be told.
            let _ = stderr.take(10_000).read_to_end(&mut said);
        }
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().next_back().unwrap_or_default();
        Err(format!("pg_receivewal ended: {last}"))
    }

    /// It has begun.
    pub(super) fn streams(&self) -> bool {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries
            .filter_map(|e| e.file_name().into_string().ok())
            .any(|name| name.ends_with(".partial"))
    }

    /// This file has come to its end.
    pub(super) fn has(&self, file: &str) -> bool {
        self.dir.join(file).is_file()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
