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
//! | `data_lock` | one daemon a data directory |
//! | `names` | a copy's name in connections and in the gate |
//! | `conf` | reading the user's `postgresql.conf`, cleaning `postgresql.auto.conf` |
//! | `refusals` | what of the user's settings is refused or has no effect |
//! | `user_files` | the user's files, and the last copies that PostgreSQL accepted |
//! | `settings`, `hba` | our files in the status directory |
//! | `initdb` | the step `Initdb` |
//! | `inspect` | the step `Inspect` |
//! | `log` | what PostgreSQL said of its end |
//! | `execute`, `clone`, `rewind`, `start` | the guard's steps |
//! | `helper` | a program that takes long, run to its end |
//! | `own_files` | what in a data directory is this host's user's, kept out of a rewind's way |
//! | `wal` | WAL segments as files |
//! | `lost` | what left the data directory and is kept |
//! | `processes` | finding and killing every process of a database |
//! | `sessions` | the daemon's steps |
//! | `watch` | what has changed in the configuration, and what is to be said of it |
//! | `session`, `observe`, `canary`, `roles` | a connection, one question to the server, the canary, our roles |

mod canary;
mod clone;
pub mod conf;
pub mod context;
pub mod control;
pub mod data_lock;
pub mod execute;
pub mod files;
pub mod find;
pub mod hba;
mod helper;
mod initdb;
pub mod inspect;
pub(crate) mod log;
pub mod lost;
pub mod names;
mod observe;
mod own_files;
pub mod processes;
pub(crate) mod refusals;
mod rewind;
mod roles;
pub(crate) mod session;
pub mod sessions;
pub mod settings;
pub mod stamp;
pub mod start;
pub mod user;
pub mod user_files;
mod wal;
mod watch;

pub use context::{Context, Upstream};
pub use sessions::Sessions;

/// A result whose error is one sentence for people: what was found, what was expected, what to do.
pub type Said<T> = Result<T, String>;
