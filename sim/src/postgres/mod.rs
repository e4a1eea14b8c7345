//! The modelled PostgreSQL: what of it the protocol's safety depends on (research/postgres.md), and no more.
//!
//! - [`wal`]: the log's entries, with identities that the core cannot see.
//! - [`directory`]: what lies on a host's disk: data directories, stamp, mark, written settings.
//! - [`instance`]: a running server: processes, each with its own view of the settings; commits, the gate.
//! - [`standby`]: streaming: receiver and walsender, connections, late acknowledgements.
//! - [`steps`]: what each primitive step does, how long it takes, how it fails.

pub(crate) mod directory;
pub(crate) mod instance;
pub(crate) mod standby;
pub(crate) mod steps;
pub(crate) mod wal;

#[cfg(test)]
mod tests;
