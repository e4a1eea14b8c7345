//! A client that comes anew each time: who is connected already sees nothing of a postmaster that hangs.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use yoke::demo::ledger::{Ack, Ledger, Reign};
use yoke::demo::writer::{Database, Session};

/// How long one node may take to let it in.
const CONNECT: Duration = Duration::from_millis(500);
/// Between two comings.
const PAUSE: Duration = Duration::from_millis(50);

/// Comes again and again.
pub struct Newcomers {
    admissions: Arc<Ledger>,
    task: JoinHandle<()>,
}

impl Newcomers {
    /// Begins.
    pub fn begin(databases: Vec<Database>) -> Newcomers {
        let admissions = Arc::new(Ledger::default());
        let ledger = Arc::clone(&admissions);
        let task = tokio::spawn(async move {
            loop {
                for (node, database) in databases.iter().enumerate() {
                    let sent = Instant::now();
                    let session = timeout(CONNECT, Session::open(node, *database)).await;
                    if let Ok(Ok(_)) = session {
                        ledger.acknowledged(Ack {
                            id: ledger.next_id(),
                            reign: Reign { timeline: 0, node },
                            sent,
                            acked: Instant::now(),
                        });
                    }
                }
                sleep(PAUSE).await;
            }
        });
        Newcomers { admissions, task }
    }

    /// The longest time in which none was let in by a primary.
    pub fn gap(&self, from: Instant, to: Instant) -> Duration {
        self.admissions.gap(from, to).length
    }
}

impl Drop for Newcomers {
    fn drop(&mut self) {
        self.task.abort();
    }
}
