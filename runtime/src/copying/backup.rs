//! Between backup start and stop, in one session that is kept: when it ends, by whatever, so does the backup.

use crate::hooks::run::{End, Hook, Ran, run};
use crate::postgres::execute::Ending;
use crate::postgres::session::Session;
use crate::postgres::user::PgUser;
use crate::postgres::{Context, Said};
use tokio::sync::oneshot;
use tracing::info;

/// A backup that can begin.
pub(super) struct Backup {
    session: Session,
    /// Bytes in all databases.
    pub(super) total: u64,
    calls: Calls,
    /// Whom it is for.
    member: String,
    environment: Vec<(&'static str, String)>,
}

/// What has to go with the copy.
pub(super) struct Made {
    pub(super) label: String,
    pub(super) last_wal: String,
}

/// The functions have other names before PostgreSQL 15.
#[derive(Clone, Copy)]
struct Calls {
    start: &'static str,
    stop: &'static str,
}

const CALLS: Calls = Calls {
    start: "pg_backup_start(label, true)",
    stop: "pg_backup_stop(false)",
};
const CALLS_BEFORE_15: Calls = Calls {
    start: "pg_start_backup(label, true, false)",
    stop: "pg_stop_backup(false, false)",
};

impl Backup {
    /// Connects, and sees whether the command's way of copying would do.
    pub(super) async fn prepare(context: &Context, member: &str) -> Said<Backup> {
        let of = context.clone();
        let user = tokio::task::spawn_blocking(move || PgUser::of(&of))
            .await
            .map_err(|e| e.to_string())??;
        let session = Session::open(context, &user).await?;
        // The start's checkpoint may take long.
        session.query("SET statement_timeout = 0").await?;
        let row = session
            .row("SELECT current_setting('server_version_num'), (SELECT sum(pg_database_size(oid)) FROM pg_database), (SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global'))")
            .await?;
        let number = |at: usize| row.get(at).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
        if number(2) > 0 {
            return Err("the database has tablespaces, which lie outside of its directory".into());
        }
        Ok(Backup {
            session,
            total: number(1),
            calls: if number(0) >= 150_000 {
                CALLS
            } else {
                CALLS_BEFORE_15
            },
            member: member.to_owned(),
            environment: context.hook_environment(),
        })
    }

    /// Makes it. May be dropped at any await: then the command is killed, and the backup ends.
    pub(super) async fn make(self, line: &str) -> Said<Made> {
        let Calls { start, stop } = self.calls;
        let label = format!("'yoke sync_command for {}'::text", self.member);
        self.session
            .row(&format!("SELECT {}::text", start.replace("label", &label)))
            .await?;
        let ran = self.command(line).await?;
        if !is_success(line, &ran) {
            return Err(format!("sync_command {ran}"));
        }
        let row = self
            .session
            .row(&format!(
                "SELECT labelfile, spcmapfile, pg_walfile_name(lsn) FROM {stop}"
            ))
            .await?;
        match row.as_slice() {
            [label, map, last_wal] if map.trim().is_empty() && !label.is_empty() => Ok(Made {
                label: label.clone(),
                last_wal: last_wal.clone(),
            }),
            _ => Err("a tablespace was made meanwhile, and lies outside of the directory".into()),
        }
    }

    async fn command(&self, line: &str) -> Said<Ran> {
        let ending = Ending::default();
        let hook = Hook {
            line: line.to_owned(),
            environment: self.environment.clone(),
            limit: None,
        };
        let (done, ended) = oneshot::channel();
        // Ends the command when this is dropped.
        let _end = EndOnDrop(ending.clone());
        // A thread of its own: the command is killed when the thread that began it ends.
        std::thread::Builder::new()
            .name("sync_command".into())
            .spawn(move || {
                let ran = run(&hook, &ending, &mut |line| info!("sync_command: {line}"));
                // Nobody may wait for it any more.
                let _ = done.send(ran);
            })
            .map_err(|e| format!("no thread can be started: {e}"))?;
        ended
            .await
            .map_err(|_| "its thread ended without a word".to_owned())
    }
}

/// Files vanish from a database that is in use, and do not matter: rsync ends with a status of its own for that.
fn is_success(line: &str, ran: &Ran) -> bool {
    let program = line.split_whitespace().next().unwrap_or_default();
    let is_rsync = program == "rsync" || program.ends_with("/rsync");
    ran.succeeded() || (is_rsync && ran.end == End::Exit(24))
}

struct EndOnDrop(Ending);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn vanished_files_are_rsyncs_alone() {
        let ran = |status| Ran {
            end: End::Exit(status),
            took: Duration::ZERO,
            last_line: None,
        };
        assert!(is_success("rsync -a /a/ /b", &ran(24)));
        assert!(is_success("/usr/bin/rsync -a /a/ /b", &ran(24)));
        assert!(!is_success("rsync -a /a/ /b", &ran(23)));
        assert!(!is_success("cp -a /a/. /b", &ran(24)));
        assert!(is_success("cp -a /a/. /b", &ran(0)));
    }
}
