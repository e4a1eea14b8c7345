//! Which PostgreSQL the demo takes, and whom it runs as.

use super::Said;
use nix::unistd::{Gid, Uid, User, geteuid};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version that Yoke knows.
const OLDEST: u32 = 13;

/// What the demo itself runs.
const NEEDED: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// PostgreSQL's programs and the account that may run them.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Where `initdb` and `postgres` are.
    pub dir: PathBuf,
    /// What `postgres --version` says: `15.18`.
    pub version: String,
    /// Whom they run as.
    pub account: Account,
}

/// PostgreSQL refuses to run as root.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name; that of the database's superuser too.
    pub name: String,
    uid: Uid,
    gid: Gid,
    /// We are root, and have to become it.
    switch: bool,
}

impl Programs {
    /// The newest in PATH or in the distributions' usual folders.
    ///
    /// # Errors
    /// There are none, or no account to run them: one line that says what to install.
    pub fn find() -> Said<Programs> {
        let account = Account::find()?;
        let mut found: Vec<(Vec<u32>, PathBuf, String)> = folders()
            .into_iter()
            // A link in PATH leads to the folder that has all of them.
            .filter_map(|dir| {
                Some(
                    dir.join("postgres")
                        .canonicalize()
                        .ok()?
                        .parent()?
                        .to_owned(),
                )
            })
            .filter(|dir| NEEDED.iter().all(|p| dir.join(p).is_file()))
            .filter_map(|dir| {
                let version = version_of(&account, &dir)?;
                let numbers = version.split('.').map_while(|n| n.parse().ok()).collect();
                Some((numbers, dir, version))
            })
            .collect();
        found.sort();
        match found.pop() {
            Some((numbers, dir, version)) if numbers.first() >= Some(&OLDEST) => Ok(Programs {
                dir,
                version,
                account,
            }),
            Some((_, dir, version)) => Err(format!(
                "PostgreSQL {version} in {} is too old, Yoke knows {OLDEST} and newer: apt-get install postgresql",
                dir.display()
            )),
            None => Err(
                "PostgreSQL is not installed (looked for initdb, pg_ctl, postgres and psql in PATH and /usr/lib/postgresql/*/bin): \
                 apt-get install postgresql"
                    .to_owned(),
            ),
        }
    }

    /// One of them, ready to be run as the account.
    pub fn command(&self, program: &str) -> Command {
        self.account.command(&self.dir.join(program))
    }
}

impl Account {
    fn find() -> Said<Account> {
        let switch = geteuid().is_root();
        let user = match switch {
            true => User::from_name("postgres"),
            false => User::from_uid(geteuid()),
        };
        match user {
            Ok(Some(user)) => Ok(Account {
                name: user.name,
                uid: user.uid,
                gid: user.gid,
                switch,
            }),
            _ if switch => Err(
                "PostgreSQL does not run as root, and there is no user `postgres`: apt-get install postgresql"
                    .to_owned(),
            ),
            _ => Err(format!("the user id {} has no name", geteuid())),
        }
    }

    /// A program that will run as this account, in English, away from directories that it may not enter.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env("LC_ALL", "C");
        if self.switch {
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
        command
    }

    /// Gives a file or directory to this account.
    ///
    /// # Errors
    /// As `chown`.
    pub fn own(&self, path: &Path) -> std::io::Result<()> {
        match self.switch {
            true => {
                std::os::unix::fs::chown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
            }
            false => Ok(()),
        }
    }

    /// Whether this account can get through to `dir`.
    pub fn can_enter(&self, dir: &Path) -> bool {
        // Asked by doing it: modes alone do not tell of access lists and mounts.
        let done = self
            .command(Path::new("/bin/sh"))
            .args([OsStr::new("-c"), OsStr::new("cd \"$0\"")])
            .arg(dir)
            .output();
        done.is_ok_and(|output| output.status.success())
    }
}

/// PATH, then where distributions put it.
fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/lib/postgresql", "/usr"]
        .into_iter()
        .flat_map(|parent| {
            let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
            entries
                .filter(move |e| {
                    parent != "/usr" || e.file_name().to_string_lossy().starts_with("pgsql")
                })
                .map(|e| e.path().join("bin"))
        });
    let mut all: Vec<PathBuf> = std::env::split_paths(&path).chain(usual).collect();
    all.push("/usr/local/pgsql/bin".into());
    all
}

fn version_of(account: &Account, dir: &Path) -> Option<String> {
    let output = account
        .command(&dir.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn parse_version(text: &str) -> Option<String> {
    let (_, version) = text.split_once("(PostgreSQL) ")?;
    Some(version.split_whitespace().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let said = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(parse_version(said).as_deref(), Some("15.18"));
        assert_eq!(parse_version("psql 15"), None);
    }
}
