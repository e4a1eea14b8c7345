//! `sync_command`: a standby made anew by the operator's own command, which runs on the primary's host.
//!
//! ```text
//!   standby's guard                         primary's daemon
//!      ask: may you copy into DIRECTORY? ──►
//!                                       ◄── ready
//!   pg_receivewal streams from now on
//!      begin ─────────────────────────────► backup start, sync_command, backup stop
//!                                       ◄── still at it … copied: backup_label, the last WAL file
//!   the WAL up to there is whole: in place
//! ```
//!
//! Either end's silence, and the primary's loss of its role, end it all: the command and all that it started are killed.
//! Whatever goes wrong is said, and `pg_basebackup` makes the copy.
//!
//! | file | its one idea |
//! | --- | --- |
//! | `template` | what the command may say, and what is put into it |
//! | `wire` | what the two say |
//! | `serve` | the primary's daemon |
//! | `backup` | backup start, the command, backup stop |
//! | `ask` | the standby's guard |
//! | `wal` | the WAL that the copy needs |
//! | `whole` | what makes a whole standby's directory of what was copied |

pub(crate) mod ask;
mod backup;
pub mod serve;
pub mod template;
mod wal;
mod whole;
pub mod wire;

pub use serve::Copies;
