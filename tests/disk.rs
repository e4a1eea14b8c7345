//! A node's directory on a disk of its own, which can be made to hang: reads of what is in memory go on, writes wait, and
//! whoever waits cannot be killed. Needs root and a loop device.

use crate::Said;
use std::path::{Path, PathBuf};
use std::process::Command;

/// It thaws by itself after this: a test that dies must not leave a file system that hangs.
const AT_MOST: &str = "60";

/// A file with a file system in it, mounted over a directory.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    dir: PathBuf,
}

impl Disk {
    /// Whether there are loop devices here.
    pub fn is_possible() -> bool {
        run("losetup", &["-f".as_ref()]).is_ok()
    }

    /// Moves a directory, of which nothing is in use, to a disk of its own.
    ///
    /// # Errors
    /// What cannot be done.
    pub fn under(dir: &Path) -> Said<Disk> {
        let image = dir.with_extension("img");
        let before = dir.with_extension("before");
        run("truncate", &["-s".as_ref(), "1G".as_ref(), &image])?;
        run("mkfs.ext4", &["-q".as_ref(), &image])?;
        let failed = |e: std::io::Error| format!("{}: {e}", dir.display());
        std::fs::rename(dir, &before).map_err(failed)?;
        std::fs::create_dir(dir).map_err(failed)?;
        run("mount", &["-o".as_ref(), "loop".as_ref(), &image, dir])?;
        let disk = Disk {
            image,
            dir: dir.to_owned(),
        };
        run("cp", &["-a".as_ref(), &before.join("."), dir])?;
        Ok(disk)
    }

    /// From now on nothing can be written.
    ///
    /// # Errors
    /// What cannot be done.
    pub fn hang(&self) -> Said<()> {
        let thaw = format!("sleep {AT_MOST}; fsfreeze -u '{}'", self.dir.display());
        Command::new("sh")
            .args(["-c", &thaw])
            .stderr(std::process::Stdio::null())
            .spawn()
            .map_err(|e| format!("sh: {e}"))?;
        run("fsfreeze", &["-f".as_ref(), &self.dir])
    }

    /// What waits goes on.
    ///
    /// # Errors
    /// What cannot be done.
    pub fn thaw(&self) -> Said<()> {
        run("fsfreeze", &["-u".as_ref(), &self.dir])
    }
}

/// A mounted directory cannot be removed by who made what is around it.
impl Drop for Disk {
    fn drop(&mut self) {
        // It hangs no more, as a rule.
        let _ = self.thaw();
        if let Err(error) = run("umount", &["-l".as_ref(), &self.dir]) {
            println!("{error}");
        }
        let _ = std::fs::remove_file(&self.image);
        if let Some(around) = self.dir.parent() {
            let _ = std::fs::remove_dir_all(around);
        }
    }
}

fn run(program: &str, arguments: &[&Path]) -> Said<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}
