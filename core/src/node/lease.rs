//! Heartbeats, the lease that they earn, and the permission that the guard gets of it (R5, R10).

use super::Node;
use super::hand_over::HandOver;
use super::leader::{Leader, Peer};
use crate::action::Action;
use crate::config::{Config, MOST_MEMBERS};
use crate::member::MemberId;
use crate::message::{Body, Heartbeat, HeartbeatReply};
use crate::mutant;
use crate::permission::{Lasts, Permission};
use crate::record::Term;
use crate::time::Instant;

/// Heartbeats whose sending time is remembered: more than a lease of them.
const REMEMBERED: usize = 64;

impl Node {
    pub(super) fn decide_heartbeat(&mut self) {
        if self
            .leader
            .as_deref()
            .is_some_and(|l| self.now >= l.next_heartbeat)
        {
            self.beat();
        }
    }

    /// Sends a heartbeat to all, now; the record to those who are not known to have it.
    pub(super) fn beat(&mut self) {
        let hurried = self
            .leader
            .as_deref()
            .is_some_and(|l| l.hand_over.is_some() || l.proposed.is_some());
        let pause = if hurried {
            self.config.heartbeat().part(1, 5)
        } else {
            self.config.heartbeat()
        };
        let promise = self.config.decision_timeout;
        let follow = self.may_be_followed();
        let now = self.now;
        let sightings = self.all_sightings();
        let Some(leader) = self.leader.as_deref_mut() else {
            return;
        };
        leader.round += 1;
        leader.sent.push_back((leader.round, now));
        if leader.sent.len() > REMEMBERED {
            leader.sent.pop_front();
        }
        leader.next_heartbeat = now + pause;
        let (term, round) = (leader.term, leader.round);
        let committed = leader.committed.as_ref().map(|r| r.key);
        let newest = leader.newest().cloned();
        let accepted: Vec<_> = leader.peers.iter().map(|p| p.accepted).collect();
        let leaves = |p: &Peer| p.report.as_ref().is_some_and(|(report, _)| report.leaving);
        let leaving: Vec<bool> = leader.peers.iter().map(leaves).collect();
        // A promises the same at each sending.
        if !mutant!(self.config, R5LeaderOwesNothing) {
            self.promise(self.config.me, term, promise);
        }
        for peer in self.config.peers() {
            let record = newest
                .clone()
                .filter(|r| accepted[usize::from(peer.0)] != Some(r.key));
            self.send(
                peer,
                Body::Heartbeat(Heartbeat {
                    round,
                    promise,
                    record,
                    committed,
                    follow,
                    leaving: leaving[usize::from(peer.0)],
                    sightings: sightings.clone(),
                }),
            );
        }
    }

    pub(super) fn on_heartbeat_reply(
        &mut self,
        from: MemberId,
        term: Term,
        start: Option<u64>,
        reply: HeartbeatReply,
    ) {
        if !mutant!(self.config, R2LeaderLearnsNothing) {
            self.meet_term(term);
        }
        let (now, own) = (self.now, self.term());
        let arrival = mutant!(self.config, R10LeaseFromArrival);
        let Some(leader) = self.leader.as_deref_mut() else {
            return;
        };
        let peer = &mut leader.peers[usize::from(from.0)];
        let mut sent = leader.sent.iter();
        let sent = sent.find(|(round, _)| *round == reply.round);
        let sent = match mutant!(self.config, R10AnyRound) {
            true => leader.sent.back().map(|(_, at)| *at),
            false => sent.map(|(_, at)| *at),
        };
        // An answer that comes late says nothing new.
        if let Some(asked) = sent.filter(|_| sent > peer.asked) {
            for track in leader.tracks.iter_mut().filter(|t| t.copy.member == from) {
                track.is_told(&self.config, &reply.report, start, asked);
            }
        }
        if sent >= peer.asked {
            peer.report = Some((reply.report, now));
            peer.asked = sent;
            peer.start = start;
        }
        if !reply.promised || term != own {
            return;
        }
        let sent = sent.map(|at| if arrival { now } else { at });
        peer.acked = peer.acked.max(sent);
        peer.accepted = peer.accepted.max(reply.accepted.filter(|k| k.term == own));
    }

    /// The committed record is lone, and so is all that was proposed since; nothing grows (R10).
    pub(super) fn needs_no_lease(&self) -> bool {
        self.leader
            .as_deref()
            .is_some_and(|leader| leader.needs_no_lease(&self.config))
    }

    /// Tells the guard how long its primary may serve.
    pub(super) fn decide_permission(&mut self) {
        let Some(leader) = self.leader.as_deref() else {
            return;
        };
        if leader.giving_way.is_some() || leader.hand_over.as_ref().is_some_and(HandOver::has_ended)
        {
            return;
        }
        let term = leader.term;
        if leader.committed.is_none() {
            // R6: nothing serves on an uncommitted record, but what a resumed leader already runs; and that one's
            // permission is not shortened by knowing less than its predecessor.
            if self.guard.serving != Some(term) || self.given.lasts == Lasts::Unbounded {
                return;
            }
        }
        let lasts = if leader.needs_no_lease(&self.config) {
            Lasts::Unbounded
        } else {
            match leader.lease_end(&self.config) {
                Some(end) if end > self.now => Lasts::Until(end),
                _ => return,
            }
        };
        if self.given.term == term
            && let (Lasts::Until(old), Lasts::Until(new)) = (self.given.lasts, lasts)
            && new <= old
        {
            return;
        }
        self.give(term, lasts);
    }

    /// Ends the permission at once (R1: shortening waits for no disk).
    pub(super) fn withdraw_permission(&mut self) {
        if self.given.lasts != Lasts::Ended {
            let term = self.term().max(self.given.term);
            self.give(term, Lasts::Ended);
        }
    }

    fn give(&mut self, term: Term, lasts: Lasts) {
        if self.given.term == term && self.given.lasts == lasts {
            return;
        }
        let shortens = match (self.given.lasts, lasts) {
            (_, Lasts::Ended) | (Lasts::Unbounded, Lasts::Until(_)) => {
                self.given.term == term || lasts == Lasts::Ended
            }
            _ => false,
        };
        self.given = Permission {
            term,
            serial: self.given.serial + 1,
            lasts,
        };
        let action = Action::Guard(self.given);
        if shortens && !mutant!(self.config, R1ShortensLate) {
            self.outbox.push_at_once(action);
        } else {
            self.push(action);
        }
    }

    /// The guard has confirmed an unexpired lease, and holds no "none" any more (R10).
    pub(super) fn lease_is_confirmed(&self) -> bool {
        self.guard.permission.serial == self.given.serial
            && self.guard.permission.term == self.term()
            && matches!(self.guard.permission.lasts, Lasts::Until(end) if end > self.now)
    }
}

impl Leader {
    pub(super) fn needs_no_lease(&self, config: &Config) -> bool {
        if mutant!(config, R10NoneWhenProposed) {
            return self.newest().is_some_and(|r| r.is_lone()) && self.growing.is_empty();
        }
        !mutant!(config, R10LoneLease)
            && self
                .committed
                .as_ref()
                .map_or(self.resumed_lone, |r| r.is_lone())
            && self.proposed.as_ref().is_none_or(|r| r.is_lone())
            && self.growing.is_empty()
    }

    /// When the newest heartbeat that a majority has acknowledged was sent.
    pub(super) fn majority_heard_at(&self, config: &Config) -> Option<Instant> {
        let acked = |m: MemberId| match m == config.me {
            true => self.sent.back().map(|(_, at)| *at),
            false => self.peers[usize::from(m.0)].acked,
        };
        // Of those heard latest, as many as a majority, the one heard longest ago.
        let mut all = [None; MOST_MEMBERS];
        let all = &mut all[..config.members.len()];
        for (at, member) in all.iter_mut().zip(config.ids()) {
            *at = acked(member);
        }
        all.sort_unstable();
        let needed = config.majority() - usize::from(mutant!(config, R10OneLess));
        all[config.members.len() - needed]
    }

    /// The end of the lease: L after that heartbeat was *sent* (R10).
    pub(super) fn lease_end(&self, config: &Config) -> Option<Instant> {
        let lease = match mutant!(config, R10LeaseIsPromise) {
            true => config.decision_timeout,
            false => config.lease(),
        };
        self.majority_heard_at(config).map(|at| at + lease)
    }

    /// When this leader stops leading unless a majority is heard.
    pub(super) fn step_down_at(&self, node: &Node) -> Instant {
        if self.needs_no_lease(&node.config) || mutant!(node.config, R10LeadsOn) {
            return Instant(u64::MAX);
        }
        self.lease_end(&node.config)
            .unwrap_or(self.since + node.config.lease())
    }
}
