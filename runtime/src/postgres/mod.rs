//! PostgreSQL's side: carries out the primitive steps of [`yoke_core::step`] on a real server. It decides no order of them.
//!
//! | file | its one idea |
//! | --- | --- |
//! | `context` | what this host's database is: directories, port, members, timeouts |
//! | `user` | the operating system's user that PostgreSQL runs as |
//! | `files` | durable, atomic file writes |
//! | `find` | PostgreSQL's programs |
//! | `control` | what a data directory says of itself (`pg_controldata`, history files) |
//! | `stamp` | the stamp file |
//! | `names` | a copy's name in connections and in the gate |
//! | `conf` | reading the user's `postgresql.conf`, cleaning `postgresql.auto.conf` |
//! | `settings`, `hba` | our files in the status directory |
//! | `inspect` | the step `Inspect` |
//! | `execute`, `clone`, `start` | the guard's steps |
//! | `processes` | finding and killing every process of a database |
//! | `sessions` | the daemon's steps |
//! | `session`, `observe`, `canary`, `roles` | a connection, one question to the server, the canary, our roles |

mod canary;
mod clone;
pub mod conf;
pub mod context;
pub mod control;
pub mod execute;
pub mod files;
pub mod find;
pub mod hba;
pub mod inspect;
pub mod names;
mod observe;
pub mod processes;
mod roles;
pub(crate) mod session;
pub mod sessions;
pub mod settings;
pub mod stamp;
pub mod start;
pub mod user;

pub use context::{Context, Upstream};
pub use sessions::Sessions;

/// A result whose error is one sentence for people: what was found, what was expected, what to do.
pub type Said<T> = Result<T, String>;
