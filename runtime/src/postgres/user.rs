//! The operating system's user that PostgreSQL runs as, and how a child process becomes that user.

use crate::postgres::{Context, Said};
use nix::libc;
use nix::unistd::{Gid, Uid, User, setfsgid, setfsuid};
use std::ffi::CString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whom PostgreSQL runs as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PgUser {
    /// Its name: also the name of the superuser that `initdb` made.
    pub name: String,
    /// Its user id.
    pub uid: Uid,
    /// Its main group.
    pub gid: Gid,
    /// All its groups.
    pub groups: Vec<Gid>,
    /// Its home directory.
    pub home: PathBuf,
    /// We are root: children have to become this user.
    pub switch: bool,
}

impl PgUser {
    /// The configured user when we are root, else whoever we are.
    ///
    /// # Errors
    /// There is no such user, or we may not become it.
    pub fn of(context: &Context) -> Said<PgUser> {
        let me = Uid::effective();
        let looked_up = if me.is_root() {
            let name = context.pg_user.as_deref().unwrap_or("postgres");
            User::from_name(name)
                .map_err(|e| format!("cannot look up the user `{name}`: {e}"))?
                .ok_or_else(|| format!("there is no user `{name}` to run PostgreSQL as: install PostgreSQL (apt install postgresql), or name one by pg_user"))?
        } else {
            User::from_uid(me)
                .map_err(|e| format!("cannot look up the user with id {me}: {e}"))?
                .ok_or_else(|| format!("the user id {me} that runs yoke has no name"))?
        };
        if looked_up.uid.is_root() {
            return Err("PostgreSQL refuses to run as root: name another user by pg_user".into());
        }
        if let Some(wanted) = &context.pg_user
            && *wanted != looked_up.name
        {
            return Err(format!(
                "pg_user is `{wanted}`, but yoke runs as `{}` and cannot become it: start yoke as root or as `{wanted}`",
                looked_up.name
            ));
        }
        let groups = CString::new(looked_up.name.as_str())
            .ok()
            .and_then(|name| nix::unistd::getgrouplist(&name, looked_up.gid).ok())
            .unwrap_or_else(|| vec![looked_up.gid]);
        Ok(PgUser {
            name: looked_up.name,
            uid: looked_up.uid,
            gid: looked_up.gid,
            groups,
            home: looked_up.dir,
            switch: me.is_root(),
        })
    }

    /// Gives a file or directory to this user, if we are root (else it is its own already).
    ///
    /// # Errors
    /// As `chown`.
    pub fn own(&self, path: &Path) -> std::io::Result<()> {
        if self.switch {
            std::os::unix::fs::lchown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))?;
        }
        Ok(())
    }

    /// The same of an open file.
    ///
    /// # Errors
    /// As `fchown`.
    pub fn own_file(&self, file: &File) -> std::io::Result<()> {
        if self.switch {
            std::os::unix::fs::fchown(file, Some(self.uid.as_raw()), Some(self.gid.as_raw()))?;
        }
        Ok(())
    }

    /// Looks at files with no more rights than this user has: as root, we would show it what it may not see. Concerns the
    /// calling thread only.
    pub fn looking<T>(&self, look: impl FnOnce() -> T) -> T {
        if !self.switch {
            return look();
        }
        setfsgid(self.gid);
        setfsuid(self.uid);
        let seen = look();
        setfsuid(Uid::effective());
        setfsgid(Gid::effective());
        seen
    }

    /// A program of PostgreSQL, to be run as this user, in English, without what our own environment says of databases.
    pub fn command(&self, program: &Path, child: Child) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.home)
            .env("USER", &self.name)
            .env("LC_ALL", "C");
        if let Some(zone) = std::env::var_os("TZ") {
            command.env("TZ", zone);
        }
        let groups: Vec<libc::gid_t> = self.groups.iter().map(|g| g.as_raw()).collect();
        let (uid, gid, switch) = (self.uid.as_raw(), self.gid.as_raw(), self.switch);
        let parent = nix::unistd::getpid().as_raw();
        // SAFETY: between fork and exec only async-signal-safe calls are made: plain system calls on values that were
        // computed before the fork; nothing allocates or locks. The closure's data is owned by the command.
        unsafe {
            command.pre_exec(move || {
                child.become_child(switch.then_some((uid, gid, groups.as_slice())), parent)
            });
        }
        command
    }
}

/// What a child process is for us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Child {
    /// A program that ends by itself, and is killed when the thread that started it ends. Leads its own process group.
    Helper,
    /// The postmaster: in its own session; gets SIGQUIT when the thread that started it ends (not SIGKILL, which would
    /// leave its children alive: research/postgres.md 5). Joins this cgroup by writing into the file.
    Postmaster {
        /// The open `cgroup.procs`, if there is one.
        cgroup: Option<i32>,
    },
}

impl Child {
    /// Runs in the child between fork and exec.
    fn become_child(
        self,
        user: Option<(libc::uid_t, libc::gid_t, &[libc::gid_t])>,
        parent: libc::pid_t,
    ) -> std::io::Result<()> {
        let check = |code: libc::c_int| match code {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        };
        // SAFETY: plain system calls on local values; `blocked` is initialised by sigemptyset before it is read, `groups`
        // points to as many ids as are said.
        unsafe {
            // The guard blocks signals to read them from a descriptor; a child must not inherit that. The postmaster
            // gets two blocked: until it has its own handlers, a reload would end it. It unblocks them itself then.
            let mut blocked: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut blocked);
            if matches!(self, Child::Postmaster { .. }) {
                libc::sigaddset(&mut blocked, libc::SIGHUP);
                libc::sigaddset(&mut blocked, libc::SIGUSR1);
            }
            check(libc::sigprocmask(
                libc::SIG_SETMASK,
                &blocked,
                std::ptr::null_mut(),
            ))?;
            let death_signal = match self {
                Child::Helper => {
                    check(libc::setpgid(0, 0))?;
                    libc::SIGKILL
                }
                Child::Postmaster { cgroup } => {
                    check(libc::setsid())?;
                    if let Some(procs) = cgroup {
                        // Best effort: without it, fencing goes by the process tree alone.
                        libc::write(procs, c"0".as_ptr().cast(), 1);
                    }
                    libc::SIGQUIT
                }
            };
            libc::umask(0o077);
            if let Some((uid, gid, groups)) = user {
                check(libc::setgroups(groups.len(), groups.as_ptr()))?;
                check(libc::setgid(gid))?;
                check(libc::setuid(uid))?;
            }
            // After the change of user, which clears it.
            check(libc::prctl(libc::PR_SET_PDEATHSIG, death_signal))?;
            // The parent may have ended before that took effect.
            if libc::getppid() != parent {
                return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        Ok(())
    }
}
