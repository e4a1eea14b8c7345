//! The canary: a commit of ours that has to wait while the gate is closed. Seen waiting, it proves that the gate is.

use crate::postgres::Said;
use crate::postgres::session::Session;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::task::JoinHandle;
use yoke_core::step::Canary;

const UNDER_WAY: u8 = 0;
const RETURNED: u8 = 1;
const FAILED: u8 = 2;

/// One canary. Dropping it closes its connection; its backend may go on waiting until it is terminated.
pub(crate) struct CanaryCommit {
    /// The server's process that waits.
    pub(crate) pid: i32,
    state: Arc<AtomicU8>,
    task: JoinHandle<()>,
}

impl CanaryCommit {
    /// Begins the commit on a connection of its own, and does not wait for it.
    pub(crate) fn begin(session: Session) -> CanaryCommit {
        let state = Arc::new(AtomicU8::new(UNDER_WAY));
        let outcome = Arc::clone(&state);
        CanaryCommit {
            pid: session.pid,
            state,
            task: tokio::spawn(async move {
                let said: Said<_> = session
                    .query("BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_logical_emit_message(true, 'yoke', ''); COMMIT")
                    .await;
                outcome.store(
                    if said.is_ok() { RETURNED } else { FAILED },
                    Ordering::SeqCst,
                );
            }),
        }
    }

    /// What became of it; `wait_event` is what the server just said that its process waits for.
    pub(crate) fn state(&self, wait_event: Option<&str>) -> Canary {
        match (self.state.load(Ordering::SeqCst), wait_event) {
            (RETURNED, _) => Canary::Returned,
            (FAILED, _) => Canary::None,
            (_, Some("SyncRep")) => Canary::Waiting,
            _ => Canary::Begun,
        }
    }
}

impl Drop for CanaryCommit {
    fn drop(&mut self) {
        self.task.abort();
    }
}
