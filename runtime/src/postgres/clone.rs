//! The step `Clone`: the primary's `sync_command`, else `pg_basebackup`, into a fresh directory, which is put in the data
//! directory's place once it is whole.

use crate::copying::ask::Copying;
use crate::postgres::execute::{Ending, refuse_mount_point};
use crate::postgres::find::Binaries;
use crate::postgres::user::{Child, PgUser};
use crate::postgres::{Context, Said, Upstream, conf, files, inspect, names, settings, stamp};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const LOOK_AGAIN: Duration = Duration::from_millis(50);

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
    remove_tree(&new)?;
    // Ours, given to PostgreSQL's user: that may have no right to make one next to the data directory.
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&new)
        .and_then(|()| user.own(&new))
        .map_err(|e| format!("cannot make {}: {e}", new.display()))?;
    let copied = back_up(context, user, &new, from, ending, copying.progress)
        .and_then(|()| put_in_place(copying, &new));
    if copied.is_err() {
        // What is left over is in nobody's way, and removed before the next clone: the first error is the one to tell.
        let _ = remove_tree(&new);
    }
    copied
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
    let mut child = user
        .command(&program, Child::Helper)
        .args(["--wal-method=stream", "--checkpoint=fast", "--progress"])
        .args(["--no-password", "--format=plain", "--pgdata"])
        .arg(new)
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
    let lines = child.stderr.take().map(lines_of);
    let mut said = Vec::new();
    let mut listen = |said: &mut Vec<String>| {
        for line in lines.iter().flat_map(Receiver::try_iter) {
            match parse_progress(&line) {
                Some((done, total)) => progress(done, total),
                None => said.push(line),
            }
        }
    };
    let status = loop {
        listen(&mut said);
        if ending.is_set() {
            end_group(&mut child);
            return Err("ended".into());
        }
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => std::thread::sleep(LOOK_AGAIN),
            Err(e) => return Err(format!("cannot wait for {}: {e}", program.display())),
        }
    };
    // What it said last may still be on its way.
    std::thread::sleep(LOOK_AGAIN);
    listen(&mut said);
    explain(status, &said, from)
}

fn explain(status: ExitStatus, said: &[String], from: &Upstream) -> Said<()> {
    if status.success() {
        return Ok(());
    }
    let last: Vec<&str> = said
        .iter()
        .rev()
        .take(3)
        .rev()
        .map(String::as_str)
        .collect();
    Err(format!(
        "pg_basebackup from {}:{} failed ({status}): {}",
        from.host,
        from.port,
        last.join(" / ")
    ))
}

/// Ends the program and the child that it forked for the write-ahead log, and reaps both.
fn end_group(child: &mut std::process::Child) {
    let group = Pid::from_raw(child.id().cast_signed());
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
    // Its child has become ours (we are the subreaper); killed as well, so this does not take long.
    for _ in 0..100 {
        match waitpid(Pid::from_raw(-group.as_raw()), Some(WaitPidFlag::WNOHANG)) {
            Err(_) => return,
            Ok(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The lines of a program's standard error as they come; a progress line may end in a carriage return.
fn lines_of(mut stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut chunk) {
            rest.extend_from_slice(&chunk[..n]);
            while let Some(end) = rest.iter().position(|b| matches!(b, b'\n' | b'\r')) {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if !line.is_empty() && sender.send(line).is_err() {
                    return;
                }
            }
        }
    });
    receiver
}

/// Bytes in `12345/67890 kB (18%), 0/1 tablespace`.
fn parse_progress(line: &str) -> Option<(u64, u64)> {
    let (numbers, _) = line.trim_start().split_once(" kB (")?;
    let (done, total) = numbers.split_once('/')?;
    let kilobytes = |text: &str| Some(text.trim().parse::<u64>().ok()?.saturating_mul(1024));
    Some((kilobytes(done)?, kilobytes(total)?))
}

/// Takes out what belongs to the member that it was copied from.
fn tidy(new: &Path, user: &PgUser) -> Said<()> {
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

fn remove_tree(path: &Path) -> Said<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {e}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read() {
        assert_eq!(
            parse_progress("  12345/67890 kB (18%), 0/1 tablespace (base/1)"),
            Some((12345 * 1024, 67890 * 1024))
        );
        assert_eq!(parse_progress("pg_basebackup: error: x"), None);
    }
}
