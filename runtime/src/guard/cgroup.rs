//! A control group for the postmaster, where the system lets us make one: `cgroup.kill` ends everything in it at once.

use nix::unistd::getpid;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};

const PREFIX: &str = "yoke-postgres-";

/// The group.
#[derive(Debug)]
pub(super) struct Cgroup {
    dir: PathBuf,
    procs: File,
    kill: PathBuf,
}

impl Cgroup {
    /// Makes one below our own; none where that is not allowed, or the kernel has no `cgroup.kill` (before 5.14).
    pub(super) fn new() -> Option<Cgroup> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let above = own_dir(&mounts, &own)?;
        remove_left_over(&above);
        let dir = above.join(format!("{PREFIX}{}", getpid()));
        std::fs::create_dir(&dir).ok()?;
        let kill = dir.join("cgroup.kill");
        let procs = OpenOptions::new()
            .write(true)
            .open(dir.join("cgroup.procs"))
            .ok()
            .filter(|_| kill.exists());
        match procs {
            Some(procs) => Some(Cgroup { dir, procs, kill }),
            None => {
                let _ = std::fs::remove_dir(&dir);
                None
            }
        }
    }

    /// The open file by which a process joins.
    pub(super) fn procs(&self) -> RawFd {
        self.procs.as_raw_fd()
    }

    /// Kills everything in it.
    pub(super) fn kill(&self) {
        // Best effort: the sweep that follows finds whoever is left.
        let _ = std::fs::write(&self.kill, "1");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // It is empty by then; else it stays, and does no harm.
        let _ = std::fs::remove_dir(&self.dir);
    }
}

/// Groups of guards that were killed; a group in use cannot be removed.
fn remove_left_over(above: &Path) {
    for entry in std::fs::read_dir(above).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let guard = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if guard.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

/// Our own group's directory in the second version's tree.
fn own_dir(mounts: &str, own: &str) -> Option<PathBuf> {
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?;
        after.starts_with("cgroup2 ").then_some(point)
    })?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(Path::new(mount).join(path.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_group_is_found() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n";
        assert_eq!(
            own_dir(mounts, "1:cpu:/x\n0::/system.slice/yoke.service\n"),
            Some(PathBuf::from(
                "/sys/fs/cgroup/unified/system.slice/yoke.service"
            ))
        );
        assert_eq!(own_dir("", "0::/\n"), None);
    }
}
