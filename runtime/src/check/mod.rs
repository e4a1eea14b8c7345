//! Is this host fit for its daemon? Judged in one place for a daemon's start and for `yoke check`.
//!
//! | file | what it judges |
//! | --- | --- |
//! | `host` | status directory, PostgreSQL's account, the daemon's address |
//! | `database` | programs, data directory, settings, PostgreSQL's port |
//! | `members` | the other members: only `yoke check` asks them |
//! | `command` | `yoke check`: all of it, printed |

pub mod command;
pub mod database;
pub mod host;
mod members;
mod space;

use serde::Serialize;
use std::fmt;
use std::path::Path;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works now; somebody should know.
    Warning,
    /// A first start is refused; a daemon that has state starts and goes on trying.
    Error,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// `FILE:LINE`, a path, or a member and its address.
    pub place: String,
    /// What was found; if that is not well: what was expected, and what to do.
    pub found: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.found)
    }
}

/// All that was found, in the order in which it was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Everything.
    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    /// Those of one kind.
    pub fn of(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(move |f| f.level == level)
    }

    /// What a start is refused with: the first error, and that there are more.
    ///
    /// # Errors
    /// There is one.
    pub fn refuse(&self, config: &Path) -> Result<(), String> {
        let mut errors = self.of(Level::Error);
        let Some(first) = errors.next() else {
            return Ok(());
        };
        Err(match errors.count() {
            0 => first.to_string(),
            more => format!(
                "{first} (and {more} more: `yoke check {}` shows all)",
                config.display()
            ),
        })
    }

    fn ok(&mut self, place: impl ToString, found: impl Into<String>) {
        self.add(Level::Ok, place, found);
    }

    fn warn(&mut self, place: impl ToString, found: impl Into<String>) {
        self.add(Level::Warning, place, found);
    }

    fn error(&mut self, place: impl ToString, found: impl Into<String>) {
        self.add(Level::Error, place, found);
    }

    fn add(&mut self, level: Level, place: impl ToString, found: impl Into<String>) {
        self.0.push(Finding {
            level,
            place: place.to_string(),
            found: found.into(),
        });
    }
}
