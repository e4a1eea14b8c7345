//! Who carries out the steward's steps: the guard those that outlive this daemon, a task of this daemon the others.

use crate::driver::Input;
use crate::guard::{GuardLink, GuardReply, GuardRequest};
use crate::peer::Directory;
use crate::postgres::{Sessions, Upstream};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{info, warn};
use yoke_core::member::MemberId;
use yoke_core::permission::{GuardView, Permission};
use yoke_core::postgres::RunId;
use yoke_core::step::{Order, Step};

/// How long the guard's end is waited for.
const DISMISSAL: Duration = Duration::from_secs(5);

/// The guard, and the daemon's own sessions with the database.
pub struct Hands {
    guard: GuardLink,
    /// The postmaster's run as the guard last said: what sessions see belongs to it.
    run: Option<RunId>,
    /// Where the other members' databases are.
    directory: Arc<Directory>,
    orders: mpsc::UnboundedSender<(Order, Option<RunId>)>,
}

/// Why nothing can be carried out any more.
#[derive(Debug, thiserror::Error)]
pub enum HandsError {
    /// The guard has ended, and its postmaster with it.
    #[error(
        "the guard process is gone, and the database with it: the daemon ends, so that it is started anew"
    )]
    GuardGone,
    /// It was told twice to end.
    #[error("ended without an orderly stop")]
    Aborted,
}

impl Hands {
    /// Starts the task that has the sessions. `view`: what the guard said first.
    pub fn new(
        guard: GuardLink,
        view: GuardView,
        sessions: Sessions,
        directory: Arc<Directory>,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        // Unbounded, but a newer order replaces the one before.
        let (orders, to_do) = mpsc::unbounded_channel();
        tokio::spawn(work(sessions, to_do, inputs));
        Hands {
            guard,
            run: view.run,
            directory,
            orders,
        }
    }

    /// Tells the guard how long a primary may serve.
    pub fn permit(&mut self, permission: Permission) {
        self.guard.send(GuardRequest::Permission(permission));
    }

    /// Tells the guard that this run's primary admits clients.
    pub fn admits(&self, run: RunId) {
        self.guard.send(GuardRequest::Admits { run });
    }

    /// Begins a step. Its outcome comes by the guard's reply, or as an input.
    pub fn carry_out(&mut self, order: Order) {
        if order.step.is_guards() {
            let upstream = source(&order.step).and_then(|member| self.upstream(member));
            self.guard.send(GuardRequest::Order { order, upstream });
        } else {
            // Fails only when the runtime is being shut down.
            let _ = self.orders.send((order, self.run));
        }
    }

    fn upstream(&self, member: MemberId) -> Option<Upstream> {
        let address = self.directory.postgres(member)?;
        Some(Upstream {
            host: address.ip().to_string(),
            port: address.port(),
        })
    }

    /// Has the guard end, and with it whatever still runs: the daemon ends in order.
    pub async fn dismiss(&mut self) {
        self.guard.send(GuardRequest::Leave);
        let ended = async {
            while let Some(reply) = self.guard.recv().await {
                if let GuardReply::Explain(text) = reply {
                    info!("guard: {text}");
                }
            }
        };
        if timeout(DISMISSAL, ended).await.is_err() {
            warn!(
                "the guard has not ended yet: it waits for PostgreSQL's last processes, or for remove_command, to end"
            );
        }
    }

    /// The guard's next reply.
    ///
    /// # Errors
    /// The guard is gone.
    pub async fn reply(&mut self) -> Result<GuardReply, HandsError> {
        let reply = self.guard.recv().await.ok_or(HandsError::GuardGone)?;
        if let GuardReply::View(view) = &reply {
            self.run = view.run;
        }
        Ok(reply)
    }
}

/// The member whose database the step names.
fn source(step: &Step) -> Option<MemberId> {
    match step {
        Step::Clone { from } | Step::Rewind { from, .. } => Some(*from),
        Step::WriteSettings(settings) => settings.follow,
        _ => None,
    }
}

/// One step at a time, each bounded in time by itself. The steward orders another while one is under way only when it no
/// longer wants to know what comes of that one (it had the database stopped): then it is dropped.
async fn work(
    mut sessions: Sessions,
    mut orders: mpsc::UnboundedReceiver<(Order, Option<RunId>)>,
    inputs: mpsc::Sender<Input>,
) {
    let mut next = orders.recv().await;
    while let Some((order, run)) = next {
        next = tokio::select! {
            newer = orders.recv() => newer,
            outcome = sessions.run(&order.step, run) => {
                let number = order.number;
                if inputs.send(Input::Stepped { number, outcome }).await.is_err() {
                    return; // the daemon ends
                }
                orders.recv().await
            }
        };
    }
}
