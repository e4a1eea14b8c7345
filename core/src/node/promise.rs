//! Promises, and the releases that end them (R5).

use super::Node;
use crate::member::MemberId;
use crate::mutant;
use crate::reason::Reason;
use crate::record::Term;
use crate::time::{Duration, Instant};

/// What this member owes the leader that it heard (R5).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Promise {
    pub(super) to: MemberId,
    pub(super) term: Term,
    pub(super) until: Instant,
}

impl Node {
    /// Promises `to`: no vote for others, no campaign, for `length` from now (R5).
    pub(super) fn promise(&mut self, to: MemberId, term: Term, length: Duration) {
        if let Some(state) = &mut self.state
            && state.longest_promise < length
        {
            state.longest_promise = length;
            self.dirty = true;
        }
        // A leader that comes back with a shorter D shortens nothing: its guard may still hold the longer lease.
        let before = self.promise.as_ref().filter(|p| p.to == to);
        let before = before.map_or(self.now, |p| p.until);
        self.promise = Some(Promise {
            to,
            term,
            until: before.max(self.now + length),
        });
    }

    /// The leader of `term` serves no more: its promises are over. Never the silence after a start (R5).
    pub(super) fn on_release(&mut self, term: Term, successor: Option<MemberId>) {
        if term <= self.released {
            return;
        }
        self.released = term;
        if mutant!(self.config, R5ReleaseEndsSilence) {
            self.silent_until = self.now;
        }
        let later = mutant!(self.config, R5ReleaseEndsLater);
        if let Some(promise) = self.promise.as_mut().filter(|p| p.term <= term || later) {
            promise.until = self.now;
        }
        if let Some(heard) = self.heard.as_mut().filter(|h| h.term <= term) {
            heard.until = self.now;
        }
        self.retry_at = self.now;
        self.ask_at = self.now;
        if successor.is_some_and(|s| s != self.config.me) {
            // Another is to be elected without waiting; we come after it.
            self.yields_until = self
                .yields_until
                .max(self.now + self.config.decision_timeout.part(1, 10));
        }
        self.explain(Reason::Released { term });
    }
}
