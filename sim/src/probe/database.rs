//! What stewards, guards and databases do.

use super::Probe;
use super::observer::Rewrite;
use crate::postgres::server::Phase;
use crate::scenario::{Blow, Trigger};
use crate::world::World;
use yoke_core::guard::{GuardReason, Refusal};
use yoke_core::record::Record;
use yoke_core::step::Step;
use yoke_core::steward::StewardReason;

impl World {
    /// A primary refuses a connection: its name has one already, or no slot.
    pub(crate) fn observe_refused(&mut self, twice: bool) {
        self.observer.note_if(twice, Probe::NameTwice);
    }

    /// A steward says what it decided.
    pub(crate) fn observe_steward(&mut self, h: usize, reason: &StewardReason) {
        self.observer.hears(h, reason);
        let run = self.hosts[h].server.as_ref().map(|s| s.run);
        let healed = self.healed;
        let observer = &mut self.observer;
        let (promotions, term) = (observer.promotions.len(), observer.members[h].term);
        let facts = &mut observer.members[h];
        match reason {
            StewardReason::Follows { .. } => facts.joined_at = promotions,
            StewardReason::Promoted(promotion) => {
                facts.joined_at = promotions + 1;
                let was_torn = facts.was_torn;
                observer.note_if(was_torn, Probe::PromotedAfterTear);
                let key = (promotion.term, promotion.n);
                let mut others = observer.promotions.iter();
                let equal = others.any(|(k, t)| *k != key && *t == promotion.timeline);
                observer.note_if(equal, Probe::TimelinesEqual);
                observer.promotions.insert(key, promotion.timeline);
                let moved = observer.primary.replace(h).is_some_and(|last| last != h);
                observer.moves += u64::from(moved && !healed);
                observer.note_if(observer.moves >= 3, Probe::MovedThreeTimes);
            }
            StewardReason::NeverPromoted { .. } => observer.note(Probe::PromotionNeverHappened),
            StewardReason::OpensGate { names } => {
                let two = names.len() >= 2;
                observer.note_if(two, Probe::GateWaitsForTwo);
            }
            StewardReason::GateOpen { .. } => {
                let now = run.map(|run| (term, run));
                let before = std::mem::replace(&mut facts.proven, now);
                let anew = before
                    .zip(now)
                    .is_some_and(|(b, n)| b.0 == n.0 && b.1 != n.1);
                observer.note_if(anew, Probe::ProofVoided);
            }
            StewardReason::SetsAside { .. } => {
                let dir = self.hosts[h].storage.directory.as_ref();
                let foreign = dir.is_some_and(|dir| dir.stamp.is_none());
                self.observer.note_if(foreign, Probe::FoundForeign);
            }
            StewardReason::Clones { .. } => {
                let anew = std::mem::take(&mut facts.clone_broke);
                let after_rewind = std::mem::take(&mut facts.rewind_doubtful);
                facts.rewrite = Some(Rewrite::Clone);
                observer.note_if(anew, Probe::CloneBegunAnew);
                observer.note_if(after_rewind, Probe::RewindThenClone);
            }
            StewardReason::Rewinds { .. } => {
                facts.rewrite = Some(Rewrite::Rewind);
                facts.rewind_doubtful = true;
            }
            StewardReason::Cloned { rewound, .. } => {
                facts.rewrite = None;
                facts.rewind_doubtful = false;
                facts.clone_broke = false;
                let missed = promotions.saturating_sub(facts.joined_at);
                observer.note_if(*rewound && missed >= 2, Probe::RewoundTwoBehind);
            }
            StewardReason::Failed { .. } => match facts.rewrite.take() {
                Some(Rewrite::Clone) => facts.clone_broke = true,
                Some(Rewrite::Rewind) => observer.note(Probe::RewindBrokeOff),
                None => {}
            },
            _ => {}
        }
    }

    /// A guard says what it decided.
    pub(crate) fn observe_guard(&mut self, h: usize, reason: &GuardReason) {
        self.observer.hears(h, reason);
        let host = &self.hosts[h];
        let now = self.now;
        let observer = &mut self.observer;
        match reason {
            GuardReason::Fenced { .. } => {
                let daemon = host.daemon.as_ref();
                observer.note_if(daemon.is_none(), Probe::FencedWithoutDaemon);
                let frozen = daemon.is_some_and(|d| d.paused_until > now);
                observer.note_if(frozen, Probe::FencedFrozenDaemon);
                observer.note_if(host.excused_until > now, Probe::FencedAfterPause);
                if let Some(server) = &host.server {
                    let not_done = matches!(server.phase, Phase::Standby | Phase::Promoting);
                    observer.note_if(not_done, Probe::FencedPromotion);
                    observer.note_if(!server.waiting.is_empty(), Probe::FencedWaiters);
                }
            }
            GuardReason::EndedEarly { .. } => {
                let rewrites =
                    |step: &Step| matches!(step, Step::Clone { .. } | Step::Rewind { .. });
                let ended = host
                    .execs
                    .iter()
                    .any(|e| e.ending && rewrites(&e.order.step));
                observer.note_if(ended, Probe::StopEndedRewrite);
            }
            GuardReason::Refused { because, .. } => match because {
                Refusal::NoPermission { .. } => observer.note(Probe::RefusedNoPermission),
                Refusal::OldTerm { .. } => observer.note(Probe::RefusedOldTerm),
                _ => {}
            },
            GuardReason::GoneUnasked { .. } => {}
        }
    }

    /// A database became primary.
    pub(crate) fn observe_promoted(&mut self, h: usize) {
        let term = self.hosts[h].server.as_ref().map(|s| s.term);
        let deposed = term.is_some_and(|term| term < self.observer.highest());
        self.observer.note_if(deposed, Probe::LandedAfterDeposition);
    }

    /// A database says COMMIT.
    pub(crate) fn observe_acknowledged(&mut self, h: usize) {
        let Some(server) = &self.hosts[h].server else {
            return;
        };
        let deposed = server.term < self.observer.highest();
        let old = |w: &crate::postgres::walsender::Walsender| {
            w.streaming && w.priority > 0 && w.names != server.read.gate
        };
        let old_names = server.walsenders.iter().any(old);
        let committed = self.oracles.newest_record.committed.as_deref();
        let lone = committed.is_some_and(Record::is_lone);
        let alone =
            !self.observer.reached.has(Probe::LoneCutOffServed) && lone && self.is_cut_off(h);
        self.observer.note_if(deposed, Probe::DeposedAcknowledged);
        self.observer.note_if(old_names, Probe::OldNamesAtWork);
        self.observer.note_if(alone, Probe::LoneCutOffServed);
    }

    /// An armed blow strikes.
    pub(crate) fn observe_struck(&mut self, trigger: Trigger, blow: Blow) {
        if !matches!(blow, Blow::Daemon | Blow::Host) {
            return;
        }
        self.observer.note(match trigger {
            Trigger::Persisted => Probe::DiedBeforeSending,
            Trigger::Release => Probe::DiedAtRelease,
            Trigger::Promotion => Probe::DiedAtPromotion,
            Trigger::Gate => Probe::DiedAtGate,
            Trigger::Proof => Probe::DiedAtProof,
            _ => return,
        });
    }
}
