//! What waits to be sent to one member: bounded, the oldest gives way.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use yoke_core::Message;

/// A second of heartbeats at the fastest: what is older than that is of no use to anybody.
const CAPACITY: usize = 64;

/// A bounded queue from the driver to one link. Putting in never waits.
#[derive(Debug, Default)]
pub struct Mailbox {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Message>,
    /// Nothing more will be put in.
    finished: bool,
}

impl Mailbox {
    /// The messages may get lost (that is their contract), so a link that is stuck costs only the oldest.
    pub fn put(&self, message: Message) {
        let mut waiting = self.lock();
        if waiting.messages.len() == CAPACITY {
            waiting.messages.pop_front();
        }
        waiting.messages.push_back(message);
        drop(waiting);
        self.changed.notify_one();
    }

    /// Nothing more will be put in: what waits is still sent, then the link ends.
    pub fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_one();
    }

    /// Waits for the next message; none after the last. One taker at a time.
    pub async fn take(&self) -> Option<Message> {
        loop {
            {
                let mut waiting = self.lock();
                if let Some(message) = waiting.messages.pop_front() {
                    return Some(message);
                }
                if waiting.finished {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Whether nothing more will be put in.
    pub fn is_finished(&self) -> bool {
        self.lock().finished
    }

    /// Forgets what waits: it was meant for a connection that is gone.
    pub fn clear(&self) {
        self.lock().messages.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use yoke_core::message::Body;
    use yoke_core::record::Term;

    fn message(n: u64) -> Message {
        Message {
            term: Term(n),
            holds: None,
            body: Body::Ask { nonce: n },
        }
    }

    #[tokio::test]
    async fn the_oldest_gives_way() {
        let mailbox = Mailbox::default();
        for n in 0..100 {
            mailbox.put(message(n));
        }
        for n in 36..100 {
            assert_eq!(mailbox.take().await, Some(message(n)));
        }
    }

    #[tokio::test]
    async fn what_waits_at_the_end_is_still_taken() {
        let mailbox = Mailbox::default();
        mailbox.put(message(1));
        mailbox.finish();
        assert_eq!(mailbox.take().await, Some(message(1)));
        assert_eq!(mailbox.take().await, None);
    }

    #[tokio::test]
    async fn a_taker_is_woken() {
        let mailbox = std::sync::Arc::new(Mailbox::default());
        let theirs = std::sync::Arc::clone(&mailbox);
        let taker = tokio::spawn(async move { theirs.take().await });
        tokio::task::yield_now().await;
        mailbox.put(message(1));
        assert_eq!(taker.await.unwrap(), Some(message(1)));
    }
}
