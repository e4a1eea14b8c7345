//! Who carries out the steward's steps: the guard those that outlive this daemon, a task of this daemon the others.

use crate::driver::Input;
use crate::stand_in::{GuardLink, GuardReply, GuardRequest, Sessions};
use tokio::sync::mpsc;
use yoke_core::permission::{GuardView, Permission};
use yoke_core::postgres::RunId;
use yoke_core::step::Order;

/// What comes back from the guard.
pub use crate::stand_in::GuardReply as Reply;

/// The guard, and the daemon's own sessions with the database.
pub struct Hands {
    guard: GuardLink,
    /// The postmaster's run as the guard last said: what sessions see belongs to it.
    run: Option<RunId>,
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
}

impl Hands {
    /// Starts the task that has the sessions.
    pub fn new(
        guard: GuardLink,
        view: GuardView,
        sessions: Sessions,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        // Unbounded, but a newer order replaces the one before.
        let (orders, to_do) = mpsc::unbounded_channel();
        tokio::spawn(work(sessions, to_do, inputs));
        Hands {
            guard,
            run: view.run,
            orders,
        }
    }

    /// Tells the guard how long a primary may serve.
    pub fn permit(&mut self, permission: Permission) {
        self.guard.send(GuardRequest::Permission(permission));
    }

    /// Begins a step. Its outcome comes by the guard's reply, or as an input.
    pub fn carry_out(&mut self, order: Order) {
        if order.step.is_guards() {
            self.guard.send(GuardRequest::Order(order));
        } else {
            // Fails only when the runtime is being shut down.
            let _ = self.orders.send((order, self.run));
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
