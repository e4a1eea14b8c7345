//! A program of PostgreSQL's that takes long: run to its end, its progress told, ended with its whole group when it shall.

use crate::postgres::Said;
use crate::postgres::execute::Ending;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long a program may take to end after it was asked to.
const ENDS: Duration = Duration::from_secs(5);

/// A running program. Dropped, it is killed.
pub(crate) struct Helper {
    name: String,
    child: Child,
    lines: Receiver<String>,
    /// What it said besides its progress.
    pub(crate) said: Vec<String>,
}

impl Helper {
    /// Runs it. What it says is listened to.
    pub(crate) fn spawn(command: &mut Command) -> Said<Helper> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot run {name}: {e}"))?;
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            listen(stdout, sender.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            listen(stderr, sender);
        }
        Ok(Helper {
            name,
            child,
            lines,
            said: Vec::new(),
        })
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Said<Option<ExitStatus>> {
        let status = self
            .child
            .try_wait()
            .map_err(|e| format!("cannot wait for {}: {e}", self.name))?;
        if status.is_some() {
            // What it said last may still be on its way.
            std::thread::sleep(LOOK_AGAIN);
        }
        for line in self.lines.try_iter() {
            match parse_progress(&line) {
                Some((done, total)) => progress(done, total),
                None => self.said.push(line),
            }
        }
        Ok(status)
    }

    /// Waits for its good end; what it said besides its progress.
    pub(crate) fn finish(
        mut self,
        ending: &Ending,
        limit: Option<Duration>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Said<Vec<String>> {
        let begun = Instant::now();
        loop {
            if ending.is_set() {
                return Err("ended".into());
            }
            if let Some(limit) = limit.filter(|limit| begun.elapsed() > *limit) {
                return Err(format!("{} has not ended within {limit:?}", self.name));
            }
            match self.ended(progress)? {
                Some(status) if status.success() => return Ok(std::mem::take(&mut self.said)),
                Some(status) => return Err(self.failure(status)),
                None => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn interrupt(mut self) {
        // An error means that it has ended.
        let _ = nix::sys::signal::kill(self.pid(), Signal::SIGINT);
        for _ in 0..ENDS.as_millis() / LOOK_AGAIN.as_millis() {
            match self.ended(&mut |_, _| {}) {
                Ok(None) => std::thread::sleep(LOOK_AGAIN),
                _ => return,
            }
        }
    }

    /// Why it failed: its last words.
    pub(crate) fn failure(&self, status: ExitStatus) -> String {
        let last = &self.said[self.said.len().saturating_sub(3)..];
        format!("{} failed ({status}): {}", self.name, last.join(" / "))
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Helper {
    /// Ends it and what it forked, and reaps all.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let group = self.pid();
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
        // Its children have become ours (we are the subreaper); killed as well, so this does not take long.
        for _ in 0..100 {
            match waitpid(Pid::from_raw(-group.as_raw()), Some(WaitPidFlag::WNOHANG)) {
                Err(_) => return,
                Ok(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

/// Passes a program's lines on as they come; a progress line may end in a carriage return.
fn listen(mut stream: impl Read + Send + 'static, sender: Sender<String>) {
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
}

/// Bytes in `12345/67890 kB (18%), 0/1 tablespace`, and in `12345/67890 kB (18%) copied`.
fn parse_progress(line: &str) -> Option<(u64, u64)> {
    let (numbers, _) = line.trim_start().split_once(" kB (")?;
    let (done, total) = numbers.split_once('/')?;
    let kilobytes = |text: &str| Some(text.trim().parse::<u64>().ok()?.saturating_mul(1024));
    Some((kilobytes(done)?, kilobytes(total)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read() {
        let wanted = Some((12345 * 1024, 67890 * 1024));
        assert_eq!(
            parse_progress("  12345/67890 kB (18%), 0/1 tablespace (base/1)"),
            wanted
        );
        assert_eq!(parse_progress("12345/67890 kB (18%) copied"), wanted);
        assert_eq!(parse_progress("pg_basebackup: error: x"), None);
    }
}
