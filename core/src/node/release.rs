//! The release that ends a leadership for good (R5), and the daemon's orderly end.

use super::Node;
use crate::action::Action;
use crate::member::MemberId;
use crate::message::Body;
use crate::mutant;
use crate::operator::CommandOutcome;
use crate::postgres::StopMode;
use crate::reason::Reason;
use crate::record::Term;
use crate::time::{Duration, Instant};

/// After a release, until another leads or the patience ends.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Leaving {
    request: Option<u64>,
    term: Term,
    successor: Option<MemberId>,
    until: Instant,
    next_release: Instant,
}

impl Leaving {
    /// For the canonical form.
    pub(super) fn instants(&mut self) -> [&mut Instant; 2] {
        [&mut self.until, &mut self.next_release]
    }
}

impl Node {
    /// Ends this term for good: the database is seen stopped and its permission gone (R5). It serves again only after
    /// winning a higher term, and does not campaign before another has led or `patience` has passed (R19).
    pub(super) fn release(
        &mut self,
        request: Option<u64>,
        successor: Option<MemberId>,
        patience: Duration,
    ) {
        let term = self.term();
        if let Some(leader) = self.leader.as_deref_mut() {
            leader.hand_over = None;
        }
        self.step_down(Reason::Releases { successor });
        self.released = self.released.max(term);
        if let Some(promise) = self.promise.as_mut().filter(|p| p.term <= term) {
            promise.until = self.now;
        }
        if !mutant!(self.config, R19CampaignsAtOnce) {
            self.yields_until = self.now + patience;
        }
        self.leaving = Some(Leaving {
            request,
            term,
            successor,
            until: self.now + patience,
            next_release: self.now,
        });
        self.decide_leaving();
    }

    /// Repeats the release until another leads, and tells the operator who does.
    pub(super) fn decide_leaving(&mut self) {
        let Some(leaving) = self.leaving.clone() else {
            return;
        };
        let over = self.now >= leaving.until;
        let heard = self.heard.as_ref().filter(|h| h.term > leaving.term);
        if let Some(heard) = heard {
            let to = heard.leader;
            let takes_over = self.committed.is_some_and(|c| c.term == heard.term);
            if takes_over && let Some(request) = leaving.request {
                if let Some(l) = &mut self.leaving {
                    l.request = None;
                }
                self.reply(request, CommandOutcome::HandedOver { to });
            }
            // Whoever took over may fail too: we wait for it no longer than the patience, or nobody would be left.
            if over || (takes_over && self.may_return()) {
                self.leaving_failed();
            }
            return;
        }
        if over {
            self.leaving_failed();
            return;
        }
        if self.now >= leaving.next_release {
            if let Some(l) = &mut self.leaving {
                l.next_release = self.now + self.config.retry();
            }
            for peer in self.config.peers() {
                self.send(
                    peer,
                    Body::Release {
                        term: leaving.term,
                        successor: leaving.successor,
                    },
                );
            }
        }
    }

    /// The patience has ended, or this member leads again: whom it was left to has not taken over.
    pub(super) fn leaving_failed(&mut self) {
        if let Some(request) = self.leaving.take().and_then(|l| l.request) {
            self.reply(request, CommandOutcome::TakenBack);
        }
    }

    /// After a release: stays down until the new primary can be followed, or the patience ends.
    pub(super) fn rests_until_followed(&self) -> bool {
        self.leaving.is_some()
    }

    /// A member told to stop, or whose standby hangs, asks to be shrunk out first, and stops after `sync_timeout` anyway
    /// (R8, R19).
    pub(super) fn stops_now(&self) -> bool {
        let Some(since) = self.stopping.or(self.hangs_since()) else {
            return false;
        };
        let left_out = self.record().is_none_or(|r| {
            self.copy().is_none_or(|copy| !r.names(copy)) && self.committed >= Some(r.key)
        });
        left_out
            || mutant!(self.config, R8StopsAtOnce)
            || self.leaving.is_some()
            || self.now.since(since) > self.config.sync_timeout
    }

    /// A clean stop that has not ended long after it was due hangs; and what serves and is to stop at once, because another
    /// leads (R10), is not given more time.
    pub(super) fn stop_mode(&self) -> StopMode {
        let patience = self.config.sync_timeout + self.config.decision_timeout;
        let hurried = self.guard.serving.is_some() && self.is_stopping_at_once();
        match self.stopping {
            _ if hurried && !mutant!(self.config, R10StopsInTurns) => StopMode::Now,
            _ if self.hangs_since().is_some() => StopMode::Now,
            Some(since) if self.now.since(since) > patience => StopMode::Now,
            _ => StopMode::Clean,
        }
    }

    /// Ends the daemon when it was told to stop and nothing of it serves or is needed any more.
    pub(super) fn decide_exit(&mut self) {
        if self.stopping.is_none() || self.leader.is_some() {
            return;
        }
        if self.is_data() && (self.guard.run.is_some() || !self.primary_is_down()) {
            return;
        }
        // Stays as a voter until the new leader's record without its copy is committed, at most D; where nobody else
        // may be elected there is nothing to stay for.
        let others = self
            .record()
            .is_some_and(|r| !r.paused && r.in_sync.iter().any(|c| c.member != self.config.me));
        if self.leaving.is_some() && others {
            return;
        }
        self.exited = true;
        self.push(Action::Exit);
    }
}
