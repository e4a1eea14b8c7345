//! PostgreSQL's programs of the major version that a data directory was made by.

use crate::postgres::processes::runs_its_own;
use crate::postgres::{Context, Said, files};
use std::path::{Path, PathBuf};

/// The oldest major version that is known to work.
pub const OLDEST: u32 = 13;

/// A directory of PostgreSQL's programs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binaries {
    /// The directory.
    pub dir: PathBuf,
    /// The major version.
    pub major: u32,
}

impl Binaries {
    /// A program's path.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Major and minor version, as `postgres --version` says; none: it does not run, or says something else. In a
    /// version before its first minor that is 0.
    pub fn version(&self) -> Option<(u32, u32)> {
        parse_version(&version_of(&self.dir)?)
    }

    /// Those that fit the data directory at `data`.
    ///
    /// # Errors
    /// It has no readable `PG_VERSION`, or no fitting programs are installed.
    pub fn of_data(context: &Context, data: &Path) -> Said<Binaries> {
        let version = data.join("PG_VERSION");
        let text = files::read_optional(&version)?.ok_or_else(|| {
            format!(
                "{} has no file PG_VERSION: it is no PostgreSQL data directory",
                data.display()
            )
        })?;
        let major: u32 = text.trim().parse().map_err(|_| {
            let found: String = text.trim().escape_debug().take(20).collect();
            format!(
                "{} says `{found}`: Yoke knows PostgreSQL {OLDEST} and newer",
                version.display()
            )
        })?;
        if major < OLDEST {
            return Err(format!(
                "{} was made by PostgreSQL {major}: Yoke knows {OLDEST} and newer; upgrade it (pg_upgrade)",
                data.display()
            ));
        }
        Self::of_major(context, major)
    }

    /// Those of a major version.
    ///
    /// # Errors
    /// None are installed.
    pub fn of_major(context: &Context, major: u32) -> Said<Binaries> {
        if let Some(dir) = &context.pg_bin {
            // What the user names is used as it is; PostgreSQL itself refuses a directory of another version.
            return match dir.join("postgres").is_file() {
                true => Ok(Binaries {
                    dir: dir.clone(),
                    major,
                }),
                false => Err(format!(
                    "pg_bin is {}, but there is no `postgres` in it: name the directory with the programs of PostgreSQL {major}",
                    dir.display()
                )),
            };
        }
        usual_folders(major)
            .into_iter()
            .find(|dir| {
                dir.join("postgres").is_file() && major_of(dir).is_none_or(|found| found == major)
            })
            .map(|dir| Binaries { dir, major })
            .ok_or_else(|| format!("PostgreSQL {major} is not installed (looked in PATH and /usr/lib/postgresql/{major}/bin): apt install postgresql-{major}, or name its folder by pg_bin"))
    }

    /// The newest that are installed: for a host that has no data yet.
    ///
    /// # Errors
    /// None are installed.
    pub fn newest(context: &Context) -> Said<Binaries> {
        if let Some(dir) = &context.pg_bin {
            let major = major_of(dir).filter(|_| dir.join("postgres").is_file());
            let dir = dir.clone();
            return match major {
                Some(major) => Ok(Binaries { dir, major }),
                None => Err(format!(
                    "pg_bin is {}, but there is no `postgres` in it that works: name the directory with PostgreSQL's programs",
                    dir.display()
                )),
            };
        }
        (OLDEST..=30)
            .rev()
            .find_map(|major| {
                Self::of_major(context, major)
                    .ok()
                    .filter(|_| usual_folders(major).iter().any(|d| names_major(d, major) && d.join("postgres").is_file()))
            })
            .ok_or_else(|| "PostgreSQL is not installed (looked in PATH and /usr/lib/postgresql/*/bin): apt install postgresql, or name its folder by pg_bin".to_owned())
    }
}

/// Where distributions put it, most particular first, then PATH.
fn usual_folders(major: u32) -> Vec<PathBuf> {
    let usual = [
        format!("/usr/lib/postgresql/{major}/bin"),
        format!("/usr/pgsql-{major}/bin"),
        format!("/usr/lib/postgresql{major}/bin"),
        format!("/usr/libexec/postgresql{major}"),
        format!("/opt/homebrew/opt/postgresql@{major}/bin"),
        format!("/usr/local/pgsql-{major}/bin"),
        "/usr/local/pgsql/bin".to_owned(),
        "/usr/lib/postgresql/bin".to_owned(),
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|dir| names_major(dir, major))
        .chain(usual.into_iter().map(PathBuf::from))
        .chain(std::env::split_paths(&path))
        .collect()
}

/// Whether the folder's name tells that it is of this version.
fn names_major(dir: &Path, major: u32) -> bool {
    let major = major.to_string();
    dir.components().any(|part| {
        let part = part.as_os_str().to_string_lossy();
        part.strip_suffix(&major)
            .is_some_and(|rest| !rest.ends_with(|c: char| c.is_ascii_digit()))
            && (part.len() == major.len() || part.contains("sql"))
    })
}

/// What `postgres --version` in that folder says, where the folder's name does not tell.
fn major_of(dir: &Path) -> Option<u32> {
    let names_one = (OLDEST..=30).find(|major| names_major(dir, *major));
    if names_one.is_some() {
        return names_one;
    }
    parse_version(&version_of(dir)?).map(|(major, _)| major)
}

fn version_of(dir: &Path) -> Option<String> {
    let _own = runs_its_own();
    let output = std::process::Command::new(dir.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The version in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let version = text.split_once("(PostgreSQL) ")?.1;
    let number = |text: &str| -> Option<u32> {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        text[..end].parse().ok()
    };
    let minor = version.trim_start_matches(|c: char| c.is_ascii_digit());
    Some((
        number(version)?,
        minor.strip_prefix('.').and_then(number).unwrap_or(0),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(
            parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some((15, 18))
        );
        assert_eq!(
            parse_version("postgres (PostgreSQL) 18beta1\n"),
            Some((18, 0))
        );
        assert_eq!(parse_version("something else"), None);
    }

    #[test]
    fn a_folder_tells_its_version() {
        assert!(names_major(Path::new("/usr/lib/postgresql/15/bin"), 15));
        assert!(names_major(Path::new("/usr/pgsql-15/bin"), 15));
        assert!(!names_major(Path::new("/usr/lib/postgresql/15/bin"), 5));
        assert!(!names_major(Path::new("/usr/local/bin"), 15));
        assert!(!names_major(Path::new("/opt/node15/bin"), 15));
    }
}
