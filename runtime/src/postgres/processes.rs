//! Finding every process of a database: those whose working directory is the data directory and whose program is
//! `postgres`. That finds the orphans of a dead postmaster too, which `postmaster.pid` knows nothing of
//! (research/postgres.md 5). Reads `/proc` only: it never waits for the disk that the database is on.

use crate::postgres::user::PgUser;
use crate::proc_stat::{Stat, pids};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One database's processes.
#[derive(Clone, Debug)]
pub struct Processes {
    data: PathBuf,
    user: PgUser,
}

/// A server process that was not a session yet when it was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Arriving {
    pid: Pid,
    /// Tells it from a later process with the same number.
    started: u64,
}

impl Arriving {
    fn of(pid: Pid) -> Option<Arriving> {
        let started = Stat::of(pid)?.started;
        Some(Arriving { pid, started })
    }

    /// Tells it to end, whatever it has become since; false where it has ended.
    pub fn end(self) -> bool {
        // An error means that it has just ended.
        Arriving::of(self.pid).is_some_and(|now| now.started == self.started)
            && kill(self.pid, Signal::SIGTERM).is_ok()
    }
}

/// A directory's file system, and its number there.
type Identity = (u64, u64);

impl Processes {
    /// Those of the data directory at `data` (symbolic links resolved), which run as `user`.
    pub fn of(data: PathBuf, user: PgUser) -> Processes {
        Processes { data, user }
    }

    /// Everyone alive. A zombie is not: it has given up its memory, files and working directory.
    pub fn find(&self) -> Vec<Pid> {
        let here = self.here();
        pids()
            .filter(|pid| self.is_one(*pid, here).unwrap_or(false))
            .collect()
    }

    /// The directory that the path names now. As the working directory of what runs there it is in memory, and so is the
    /// way to it: nothing waits for the disk.
    fn here(&self) -> Option<Identity> {
        std::fs::metadata(&self.data).ok().map(|m| identity(&m))
    }

    /// Sends SIGKILL to everyone, the postmaster first so that it forks no more; says how many were found.
    ///
    /// Never the postmaster alone: its children go on for as long as they compute (research/postgres.md 5).
    pub fn kill(&self, postmaster: Option<Pid>) -> usize {
        if let Some(pid) = postmaster {
            // It is our child and not reaped yet: the number is still its own. An error means that it ended.
            let _ = kill(pid, Signal::SIGKILL);
        }
        let found = self.find();
        for pid in &found {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        found.len()
    }

    /// The server's processes that are not sessions yet: they talk with a client who has not said yet, or not proven, who
    /// he is. They were forked with the access rules of that moment, show in no view before PostgreSQL 18, and may take
    /// `authentication_timeout` until they are a session.
    ///
    /// Whoever has not said anything yet has no title: its process still shows the postmaster's command line. So does any
    /// other process in its first moment, and takes it well: a server process that is told to end is begun anew.
    pub fn arriving(&self) -> Vec<Arriving> {
        let all = self.find();
        let is_child = |pid: Pid| Stat::of(pid).is_some_and(|stat| all.contains(&stat.parent));
        all.iter()
            .copied()
            .filter(|pid| {
                std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                    is_arriving(&line) || !line.starts_with(TITLE) && is_child(*pid)
                })
            })
            .filter_map(Arriving::of)
            .collect()
    }

    fn is_one(&self, pid: Pid, here: Option<Identity>) -> std::io::Result<bool> {
        let link = |name: &str| self.look(pid, name, |path| std::fs::read_link(path));
        let cwd = link("cwd")?;
        let is_named = without_deleted(&cwd) == self.data.as_os_str()
            && Path::new(without_deleted(&link("exe")?)).file_name()
                == Some(OsStr::new("postgres"));
        Ok(is_named && (without_deleted(&cwd) != cwd.as_os_str() || self.is_in(pid, here)))
    }

    /// Whether the process's directory is this one, and not one of the same name in another mount namespace (a
    /// container's). Where that cannot be told, it is.
    fn is_in(&self, pid: Pid, here: Option<Identity>) -> bool {
        let theirs = self.look(pid, "cwd", |path| std::fs::metadata(path));
        match (theirs, here) {
            (Ok(theirs), Some(here)) => identity(&theirs) == here,
            _ => true,
        }
    }

    /// Root in a container may lack the right to look at other users' processes; as PostgreSQL's user it may look at
    /// that user's.
    fn look<T>(
        &self,
        pid: Pid,
        name: &str,
        read: impl Fn(&str) -> std::io::Result<T>,
    ) -> std::io::Result<T> {
        let path = format!("/proc/{pid}/{name}");
        match read(&path) {
            Err(e)
                if e.kind() == ErrorKind::PermissionDenied
                    && self.user.switch
                    && std::fs::metadata(format!("/proc/{pid}"))?.uid()
                        == self.user.uid.as_raw() =>
            {
                self.user.looking(|| read(&path))
            }
            other => other,
        }
    }
}

/// The postmaster that runs on a data directory, if somebody else than a guard of ours started it: its command line
/// does not name our configuration file.
pub fn foreign_postmaster(processes: &Processes, conf_file: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(processes.data.join("postmaster.pid")).ok()?;
    let pid = Pid::from_raw(text.lines().next()?.trim().parse().ok()?);
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let wanted = conf_file.as_os_str().as_bytes();
    let is_ours = command
        .windows(wanted.len().max(1))
        .any(|part| part == wanted);
    let here = processes.here();
    (!is_ours && processes.is_one(pid, here).unwrap_or(false)).then_some(pid)
}

/// The WAL file that the startup process of a recovering server has in hand, as its title says.
pub fn replays(data: &Path) -> Option<String> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid = text.lines().next()?.trim().parse::<i32>().ok()?;
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().find_map(|child| {
        let title = std::fs::read_to_string(format!("/proc/{child}/cmdline")).ok()?;
        replayed(&title)
    })
}

/// "postgres: startup recovering 000000010000000000000003", or "waiting for" where that is not there. Which segment it is,
/// without the timeline: of one that is missing each timeline's file is looked for in turn.
fn replayed(title: &str) -> Option<String> {
    let (_, doing) = title.split_once("startup ")?;
    let file = ["recovering ", "waiting for "]
        .iter()
        .find_map(|verb| doing.strip_prefix(verb))?;
    let digits: String = file.chars().take_while(char::is_ascii_hexdigit).collect();
    digits.get(8..).filter(|d| d.len() == 16).map(str::to_owned)
}

fn identity(directory: &std::fs::Metadata) -> Identity {
    (directory.dev(), directory.ino())
}

/// Had while this process runs a `postgres` of its own to its end (`-C`, `--single`, `--version`): whoever started it
/// waits for it, so its zombie is no orphan.
static RUNS_ITS_OWN: Mutex<()> = Mutex::new(());

/// Keeps orphans from being reaped for as long as the answer is had.
pub(crate) fn runs_its_own() -> MutexGuard<'static, ()> {
    RUNS_ITS_OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reaps the zombies among our children that were processes of a database, whose postmaster is gone; later, while a
/// `postgres` runs that is none of a database's.
pub fn reap_orphans() {
    let Ok(_none_runs) = RUNS_ITS_OWN.try_lock() else {
        return;
    };
    for pid in orphaned_zombies() {
        // An error means that it is reaped already.
        let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
    }
}

fn orphaned_zombies() -> Vec<Pid> {
    let me = nix::unistd::getpid();
    pids()
        .filter(|pid| Stat::of(*pid).is_some_and(|stat| is_orphan_of(&stat, me)))
        .collect()
}

/// Other children are waited for by whoever started them.
fn is_orphan_of(stat: &Stat, me: Pid) -> bool {
    stat.is_zombie() && stat.name == "postgres" && stat.parent == me
}

/// How the title of a server process begins.
const TITLE: &[u8] = b"postgres: ";

/// By the process's title: `postgres: cluster: user database host(port) authentication`; `startup` when it has proven who
/// it is, and is in no view yet. The process that recovers says `startup` as well, and names no host.
fn is_arriving(command_line: &[u8]) -> bool {
    let title = String::from_utf8_lossy(command_line);
    let title = title.trim_end_matches(['\0', ' ']);
    let Some((client, doing)) = title.rsplit_once(' ') else {
        return false;
    };
    command_line.starts_with(TITLE)
        && match doing {
            "initializing" | "authentication" => true,
            "startup" => client.ends_with(')') || client.ends_with("[local]"),
            _ => false,
        }
}

/// The kernel says so of what was removed or replaced (a package upgrade) under a running process.
fn without_deleted(path: &Path) -> &OsStr {
    let bytes = path.as_os_str().as_bytes();
    OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_tells_what_is_replayed() {
        let title = "postgres: c/data1: startup recovering 00000002000000000000000A\0\0";
        assert_eq!(replayed(title).as_deref(), Some("000000000000000A"));
        // As seen of 15, of a standby of nobody that lacks WAL.
        let title = "postgres: startup waiting for 000000010000000000000003\0";
        assert_eq!(replayed(title).as_deref(), Some("0000000000000003"));
        assert_eq!(replayed("postgres: startup \0"), None);
        assert_eq!(replayed("postgres: walreceiver streaming 0/3000060"), None);
    }

    /// Our child, ended and not waited for, under the name `postgres`.
    fn zombie() -> std::process::Child {
        let dir = tempfile::tempdir().expect("a directory");
        let program = dir.path().join("postgres");
        std::os::unix::fs::symlink("/bin/true", &program).expect("a link");
        let child = std::process::Command::new(program)
            .spawn()
            .expect("it runs");
        let pid = Pid::from_raw(child.id().cast_signed());
        while !orphaned_zombies().contains(&pid) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child
    }

    #[test]
    fn only_a_zombie_that_nobody_waits_for_is_reaped() {
        let own = runs_its_own();
        let mut waited_for = zombie();
        reap_orphans();
        assert!(waited_for.wait().is_ok_and(|status| status.success()));
        drop(own);
        let mut orphan = zombie();
        let pid = Pid::from_raw(orphan.id().cast_signed());
        // Another test may run a `postgres` of its own just now.
        for _ in 0..1000 {
            reap_orphans();
            if !orphaned_zombies().contains(&pid) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(orphan.wait().is_err(), "it was not reaped");
    }

    #[test]
    fn zombies_are_told_from_others() {
        let me = Pid::from_raw(16);
        let orphan = Stat {
            name: "postgres".to_owned(),
            state: 'Z',
            parent: me,
            started: 4711,
        };
        assert!(is_orphan_of(&orphan, me));
        let not = |stat: Stat| assert!(!is_orphan_of(&stat, me), "{stat:?}");
        not(Stat {
            state: 'S',
            ..orphan.clone()
        });
        not(Stat {
            parent: Pid::from_raw(15),
            ..orphan.clone()
        });
        not(Stat {
            name: "pg_basebackup".to_owned(),
            ..orphan
        });
    }

    #[test]
    fn a_process_that_has_ended_is_not_told_to() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .expect("it runs");
        let pid = Pid::from_raw(child.id().cast_signed());
        let arriving = Arriving::of(pid).expect("it is there");
        let another = Arriving {
            started: arriving.started + 1,
            ..arriving
        };
        assert!(!another.end(), "a later process with the same number");
        assert!(arriving.end());
        let status = child.wait().expect("it ends");
        assert!(!status.success(), "it was told to end");
        assert!(!arriving.end());
    }

    #[test]
    fn a_client_that_authenticates_is_told_from_a_session() {
        assert!(is_arriving(
            b"postgres: c/data1: app db 10.0.0.9(4711) authentication\0\0"
        ));
        assert!(is_arriving(
            b"postgres: c/data1: app db 10.0.0.9(4711) startup\0\0"
        ));
        assert!(is_arriving(
            b"postgres: c/data1: app db [local] startup\0\0"
        ));
        assert!(!is_arriving(b"postgres: c/data1: startup \0"));
        assert!(!is_arriving(b"postgres: startup\0"));
        assert!(!is_arriving(
            b"postgres: c/data1: app db 10.0.0.9(4711) idle\0"
        ));
        assert!(!is_arriving(b"/usr/bin/postgres\0-D\0/authentication"));
    }

    #[test]
    fn an_upgraded_program_is_still_found() {
        assert_eq!(
            without_deleted(Path::new("/usr/bin/postgres (deleted)")),
            "/usr/bin/postgres"
        );
        assert_eq!(without_deleted(Path::new("/a b")), "/a b");
    }
}
