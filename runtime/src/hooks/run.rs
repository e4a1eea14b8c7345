//! One command by a shell: to its end, its time limit, or the moment that nobody wants it any more. Blocks.
//!
//! Whatever ends it ends its whole process group; also the end of this process, for the thread that runs it.

use crate::postgres::execute::Ending;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, Uid, User};
use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often it is looked whether the command is still wanted.
const LOOK: Duration = Duration::from_millis(20);
/// The same once it has closed its output: it is about to end.
const LOOK_OFTEN: Duration = Duration::from_millis(2);
/// How many of its lines are passed on, and how much of each.
const MOST_LINES: usize = 20;
const MOST_OF_A_LINE: usize = 500;

/// The operator's line is a child of this shell, which ends the whole group when its parent, this process, has ended.
const SHELL: &str = "trap 'kill -KILL 0' TERM; sh -c \"$1\" & wait $!";

/// A command to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hook {
    /// For the shell, arguments included.
    pub line: String,
    /// Beyond the usual.
    pub environment: Vec<(&'static str, String)>,
    /// It is killed after that.
    pub limit: Option<Duration>,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// How long that took.
    pub took: Duration,
    /// What it said last.
    pub last_line: Option<String>,
}

/// How a command ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// With this status; a shell says 128 and the number of the signal that ended it.
    Exit(i32),
    /// Killed at its time limit.
    TimedOut,
    /// Killed: it was not wanted any more.
    Unwanted,
    /// There was no shell to run it, or it cannot be waited for.
    Failed(String),
}

impl Ran {
    /// Status 0.
    pub fn succeeded(&self) -> bool {
        self.end == End::Exit(0)
    }
}

/// `done in 0.003 s: what it said`, or `failed (exit 1) after …`.
impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.took.as_secs_f64();
        match &self.end {
            End::Exit(0) => write!(f, "done in {seconds:.3} s")?,
            End::Exit(127) => write!(f, "failed (exit 127, not found) after {seconds:.3} s")?,
            End::Exit(status) => write!(f, "failed (exit {status}) after {seconds:.3} s")?,
            End::TimedOut => write!(f, "did not end, and was killed after {seconds:.3} s")?,
            End::Unwanted => write!(
                f,
                "was killed after {seconds:.3} s, it is not wanted any more"
            )?,
            End::Failed(why) => write!(f, "failed: {why}")?,
        }
        match &self.last_line {
            Some(line) => write!(f, ": {line}"),
            None => Ok(()),
        }
    }
}

/// Runs it. `say` gets its lines as they come, the first few.
pub fn run(hook: &Hook, ending: &Ending, say: &mut dyn FnMut(&str)) -> Ran {
    let begun = Instant::now();
    let mut output = Output::default();
    let end = match spawn(hook) {
        Err(e) => End::Failed(format!("no shell can be run: {e}")),
        Ok((mut child, mut reader)) => {
            let end = wait(hook, ending, begun, &mut child, &mut reader, |text| {
                output.take(text, say);
            });
            if matches!(end, End::TimedOut | End::Unwanted | End::Failed(_)) {
                kill_group(&mut child);
            }
            end
        }
    };
    output.finish(say);
    Ran {
        end,
        took: begun.elapsed(),
        last_line: output.last,
    }
}

fn spawn(hook: &Hook) -> std::io::Result<(Child, PipeReader)> {
    let (reader, writer) = std::io::pipe()?;
    fcntl(reader.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let user = User::from_uid(Uid::effective()).ok().flatten();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", SHELL, "yoke", &hook.line])
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("LANG", "C.UTF-8")
        .envs(hook.environment.iter().map(|(k, v)| (*k, v)))
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .current_dir("/")
        .process_group(0);
    if let Some(user) = user {
        command.env("USER", &user.name).env("HOME", user.dir);
    }
    let parent = nix::unistd::getpid();
    let nothing = SigSet::empty();
    // SAFETY: between fork and exec three system calls are made on values that were computed before, and nothing else.
    unsafe {
        command.pre_exec(move || {
            // The guard blocks signals to read them from a descriptor. A shell that inherits that waits for ever.
            nothing.thread_set_mask()?;
            nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
            match nix::unistd::getppid() == parent {
                true => Ok(()),
                false => Err(std::io::Error::from_raw_os_error(Errno::ESRCH as i32)),
            }
        });
    }
    // Our ends of the pipe for writing are closed with the command.
    Ok((command.spawn()?, reader))
}

fn wait(
    hook: &Hook,
    ending: &Ending,
    begun: Instant,
    child: &mut Child,
    reader: &mut PipeReader,
    mut take: impl FnMut(&[u8]),
) -> End {
    let mut open = true;
    loop {
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => {
                // What it said last. Somebody whom it left running may go on for long: not waited for.
                read(reader, &mut take);
                return End::Exit(code(status));
            }
            Err(e) => return End::Failed(format!("it cannot be waited for: {e}")),
        }
        if ending.is_set() {
            return End::Unwanted;
        }
        if hook.limit.is_some_and(|limit| begun.elapsed() > limit) {
            return End::TimedOut;
        }
        if open {
            let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            let patience = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO);
            // An error is a signal's interruption: it is looked again at once.
            let _ = poll(&mut fds, patience);
            open = read(reader, &mut take);
        } else {
            std::thread::sleep(LOOK_OFTEN);
        }
    }
}

/// Reads what is there; false at the end.
fn read(reader: &mut PipeReader, take: &mut impl FnMut(&[u8])) -> bool {
    let mut chunk = [0; 4096];
    // Bounded: a command that writes without end is looked at in between.
    for _ in 0..16 {
        match reader.read(&mut chunk) {
            Ok(0) => return false,
            Ok(n) => take(&chunk[..n]),
            Err(_) => return true,
        }
    }
    true
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Kills the command and all that it started, and reaps those that became ours.
fn kill_group(child: &mut Child) {
    let group = Pid::from_raw(child.id().cast_signed());
    // An error means that nobody is left.
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
    // In the guard orphans become ours; they are killed, so this does not take long.
    for _ in 0..100 {
        match waitpid(Pid::from_raw(-group.as_raw()), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => std::thread::sleep(LOOK_OFTEN),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// A command's words, cut into lines.
#[derive(Default)]
struct Output {
    rest: Vec<u8>,
    said: usize,
    last: Option<String>,
}

impl Output {
    fn take(&mut self, bytes: &[u8], say: &mut dyn FnMut(&str)) {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => self.line(say),
                // The rest of a line without end is not kept.
                _ if self.rest.len() < MOST_OF_A_LINE => self.rest.push(*byte),
                _ => {}
            }
        }
    }

    fn line(&mut self, say: &mut dyn FnMut(&str)) {
        let bytes = std::mem::take(&mut self.rest);
        let text = String::from_utf8_lossy(&bytes);
        // Control characters have no place in a log.
        let text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
        if text.is_empty() {
            return;
        }
        self.said += 1;
        if self.said <= MOST_LINES {
            say(&text);
        }
        self.last = Some(text);
    }

    fn finish(&mut self, say: &mut dyn FnMut(&str)) {
        self.line(say);
        if self.said > MOST_LINES {
            say(&format!("(and {} more lines)", self.said - MOST_LINES));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc_stat::Stat;
    use nix::unistd::Pid;
    use std::path::Path;

    fn hook(line: &str, limit: u64) -> Hook {
        Hook {
            line: line.to_owned(),
            environment: vec![("YOKE_MEMBER", "data1".to_owned())],
            limit: Some(Duration::from_millis(limit)),
        }
    }

    fn play(line: &str, limit: u64) -> (Ran, Vec<String>) {
        let mut said = Vec::new();
        let ran = run(&hook(line, limit), &Ending::default(), &mut |line| {
            said.push(line.to_owned());
        });
        (ran, said)
    }

    /// Waits for a file that the command writes, and reads it.
    fn read(path: &Path) -> String {
        let begun = Instant::now();
        loop {
            match std::fs::read_to_string(path) {
                Ok(text) if !text.is_empty() => return text.trim().to_owned(),
                _ if begun.elapsed() > Duration::from_secs(10) => {
                    panic!("{} does not come", path.display())
                }
                _ => std::thread::sleep(LOOK_OFTEN),
            }
        }
    }

    fn is_alive(pid: &str) -> bool {
        let pid = Pid::from_raw(pid.parse().expect("a number"));
        Stat::of(pid).is_some_and(|stat| !stat.is_zombie())
    }

    #[test]
    fn the_tutorials_line_is_run_as_it_stands() {
        let line = "echo I’m the master, you should replace this with a real command 1.2.3.4";
        let (ran, said) = play(line, 5_000);
        assert!(ran.succeeded(), "{ran}");
        let expected = "I’m the master, you should replace this with a real command 1.2.3.4";
        assert_eq!(said, [expected]);
        assert!(
            ran.to_string().ends_with(&format!("s: {expected}")),
            "{ran}"
        );
    }

    #[test]
    fn its_status_and_its_last_line_are_told() {
        let (ran, _) = play("echo a; echo \"b $YOKE_MEMBER\" >&2; exit 3", 5_000);
        assert_eq!(ran.end, End::Exit(3));
        assert_eq!(ran.last_line.as_deref(), Some("b data1"));
        assert!(ran.to_string().contains("failed (exit 3) after "), "{ran}");
        let (ran, _) = play("/no/such/command", 5_000);
        assert!(ran.to_string().contains("not found"), "{ran}");
        // It reads nothing of ours.
        let (ran, _) = play("cat", 5_000);
        assert!(ran.succeeded(), "{ran}");
    }

    #[test]
    fn many_words_are_cut_short() {
        let (ran, said) = play(
            "i=0; while [ $i -lt 5000 ]; do echo $i; i=$((i+1)); done",
            9_000,
        );
        assert!(ran.succeeded(), "{ran}");
        assert_eq!(said.len(), MOST_LINES + 1);
        assert_eq!(said.last().unwrap(), "(and 4980 more lines)");
        assert_eq!(ran.last_line.as_deref(), Some("4999"));
        let (_, said) = play("head -c 100000 /dev/zero | tr '\\0' x", 9_000);
        assert_eq!(said[0].len(), MOST_OF_A_LINE);
    }

    #[test]
    fn at_its_limit_the_whole_group_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let line = format!("sleep 100 & echo $! >{}; wait", file.display());
        let (ran, _) = play(&line, 300);
        assert_eq!(ran.end, End::TimedOut);
        // It has the signal; how soon it is gone is the kernel's.
        let pid = read(&file);
        let begun = Instant::now();
        while is_alive(&pid) {
            assert!(begun.elapsed() < Duration::from_secs(20), "it goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// As the guard's threads do.
    #[test]
    fn blocked_signals_are_not_inherited() {
        let blocked = std::thread::spawn(|| {
            SigSet::all().thread_block().unwrap();
            play("sleep 0.1; echo done", 9_000).0
        });
        let ran = blocked.join().unwrap();
        assert!(ran.succeeded(), "{ran}");
    }

    #[test]
    fn what_is_not_wanted_any_more_is_killed() {
        let ending = Ending::default();
        let end = ending.clone();
        let ender = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            end.end();
        });
        let ran = run(&hook("sleep 100", 60_000), &ending, &mut |_| {});
        ender.join().unwrap();
        assert_eq!(ran.end, End::Unwanted);
    }

    #[test]
    fn who_stays_behind_with_the_output_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let line = format!("sleep 100 & echo $! >{}; echo done", file.display());
        let (ran, said) = play(&line, 60_000);
        assert!(
            ran.succeeded() && ran.took < Duration::from_secs(10),
            "{ran}"
        );
        assert_eq!(said, ["done"]);
        let pid = read(&file);
        assert!(is_alive(&pid));
        let pid = Pid::from_raw(pid.parse().unwrap());
        nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
    }

    /// The thread's end stands for the process's: the kernel makes no difference.
    #[test]
    fn nothing_outlives_who_runs_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let line = format!("sleep 100 & echo $! >{}; wait", file.display());
        let thread = std::thread::spawn(move || {
            let child = spawn(&hook(&line, 60_000)).unwrap().0;
            (child, read(&file))
        });
        let (mut child, pid) = thread.join().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "{status}");
        let begun = Instant::now();
        while is_alive(&pid) {
            assert!(begun.elapsed() < Duration::from_secs(5), "{pid} lives");
            std::thread::sleep(LOOK_OFTEN);
        }
    }
}
