//! The modelled PostgreSQL: what of it the protocol's safety depends on (research/postgres.md), and no more.
//!
//! - [`wal`]: the log's entries, with identities that the core cannot see.
//! - [`directory`]: what lies on a host's disk: data directories, stamp, mark, written settings.
//! - [`server`]: a running server: its processes; [`instance`]: what happens in them; [`stop`]: how they end.
//! - [`commits`]: commits, what they wait for, and how a new setting reaches those who decide it.
//! - [`standby`]: streaming: connections, late acknowledgements; [`walsender`]: the primary's end of one.
//! - [`steps`]: what each step of the guard does, how long it takes, how it fails; [`clone`] and [`rewind`]: the longest of them.
//! - [`sql`]: the steps of the daemon's own connection.

pub(crate) mod clone;
pub(crate) mod commits;
pub(crate) mod directory;
pub(crate) mod instance;
pub(crate) mod rewind;
pub(crate) mod server;
pub(crate) mod sql;
pub(crate) mod standby;
pub(crate) mod steps;
pub(crate) mod stop;
pub(crate) mod wal;
pub(crate) mod walsender;

#[cfg(test)]
mod tests;
