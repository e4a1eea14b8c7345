//! What standby and primary say to each other about a copy, after the handshake. Its frames are the codec's.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often the primary says that it is still at it.
pub const STILL: Duration = Duration::from_secs(1);

/// From the standby's guard.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// May you copy into this directory on my host?
    Copy {
        /// Fresh, and in nobody's use.
        directory: String,
    },
    /// The write-ahead log streams: do.
    Begin,
}

/// From the primary's daemon.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// No `sync_command` is configured there.
    NoCommand,
    /// Say when.
    Ready {
        /// About so many bytes.
        total: u64,
    },
    /// It goes on.
    Still,
    /// Whole, as far as it can tell.
    Copied {
        /// The contents of `backup_label`.
        label: String,
        /// The file of the write-ahead log in which the copy becomes consistent.
        last_wal: String,
    },
    /// It did not work: why.
    Failed(String),
}
