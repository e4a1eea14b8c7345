//! What nodes decide: leadership, the record, giving way, handing over.

use super::Probe;
use super::observer::Handles;
use crate::postgres::server::Phase;
use crate::world::World;
use yoke_core::operator::CommandOutcome;
use yoke_core::reason::{Forgot, Reason};
use yoke_core::record::{RecordKey, Term};
use yoke_core::view::{Glance, RoleView};

impl World {
    /// A node says what it decided.
    pub(crate) fn observe_node(&mut self, h: usize, reason: &Reason) {
        self.observer.hears(h, reason);
        let excused = self.hosts[h].excused_until > self.now;
        let server = self.hosts[h].server.as_ref();
        let serves = server.is_some_and(|server| server.serving);
        let observer = &mut self.observer;
        let facts = &mut observer.members[h];
        match reason {
            Reason::Elected { term } => self.observe_elected(h, *term),
            Reason::Resumed { term } => self.observe_resumed(h, *term),
            Reason::TookUp { record } => {
                let from = facts.handles;
                let lower = record.key.term < facts.term;
                let candidate = facts.candidate.take() == Some(facts.term);
                facts.record = record.key;
                let leader = usize::from(record.primary.0);
                observer.note_if(
                    matches!(from, Handles::From(other) if other != leader),
                    Probe::TookUpFromAnother,
                );
                observer.note_if(lower, Probe::TookUpInHigherTerm);
                observer.note_if(candidate, Probe::CandidacyEnded);
            }
            Reason::Proposed { record } => {
                facts.outstanding = Some(record.key);
                facts.record = record.key;
                observer.proposed = observer.proposed.max(record.key);
            }
            Reason::Committed { record } => {
                facts.outstanding = None;
                facts.takes_over = false;
                observer.committed = observer.committed.max(record.key);
            }
            Reason::Deposed { .. } => {
                let proposing = facts.outstanding.is_some();
                let early = facts.takes_over;
                facts.stops_leading();
                observer.note_if(proposing, Probe::DeposedProposing);
                observer.note_if(early, Probe::GoneBeforeTakeOver);
                observer.note_if(excused, Probe::DeposedAfterPause);
            }
            Reason::LeaseLost => {
                facts.stops_leading();
                observer.note(Probe::LeaseLost);
            }
            Reason::StopsLeading => {
                facts.stops_leading();
                observer.note(Probe::GaveWayUnseen);
            }
            Reason::StopsLeadingWithoutState => facts.stops_leading(),
            Reason::Releases { successor } => {
                facts.stops_leading();
                observer.successor = successor.map(|member| usize::from(member.0));
            }
            Reason::Forgot { why } => {
                facts.without_state = true;
                observer.note(match why {
                    Forgot::OlderThanStamp => Probe::ForgotByStamp,
                    Forgot::OlderThanSeen { .. } => Probe::ForgotBySight,
                });
                self.observe_without_state();
            }
            Reason::Rejoined { .. } => {
                facts.without_state = false;
                let handles = facts.handles;
                let vouched = std::mem::take(&mut facts.vouched);
                let by_lone = handles == Handles::LoneAnswer && !vouched;
                observer.note_if(by_lone, Probe::RejoinedByLone);
                observer.note_if(vouched, Probe::RejoinedByVouching);
            }
            Reason::CopyFellBack { .. } => observer.note(Probe::CopyFellBack),
            Reason::CopyDoubted { .. } => observer.note(Probe::CopyDoubted),
            Reason::ShrinksLeaving { .. } => observer.note(Probe::ShrankLeaving),
            Reason::ShrinksStopped { .. } => observer.note(Probe::ShrankStopped),
            Reason::ShrinksFellBack { .. } => observer.note(Probe::ShrankFellBack),
            Reason::ShrinksSilent { .. } => observer.note(Probe::ShrankSilent),
            Reason::ShrinksNotStreaming { .. } => observer.note(Probe::ShrankNotStreaming),
            Reason::ShrinksLagging { .. } => observer.note(Probe::ShrankLagging),
            Reason::GivesWay { dead: true, .. } => observer.note(Probe::GaveWayDead),
            Reason::GivesWay { dead: false, .. } => observer.note(Probe::GaveWayHanging),
            Reason::RestartsDatabase { dead: true, .. } => observer.note(Probe::RestartedDead),
            Reason::RestartsDatabase { dead: false, .. } => observer.note(Probe::RestartedHanging),
            Reason::DatabaseHangs { .. } => observer.note_if(!serves, Probe::StandbyHung),
            Reason::HandsOver { to: None } => observer.note(Probe::StoppedWithoutSuccessor),
            _ => {}
        }
    }

    /// A primary serves again, so long after it ceased to.
    pub(crate) fn observe_return(&mut self, h: usize, down: u64) {
        let paused = self.oracles.few_moves.paused == Some(h);
        let long = down > 2 * self.scenario.decision_timeout;
        self.observer
            .note_if(paused && long, Probe::PausedPrimaryDown);
    }

    /// A daemon answers an operator.
    pub(crate) fn observe_reply(&mut self, outcome: &CommandOutcome) {
        let replaced = matches!(outcome, CommandOutcome::CopiesAnew { .. });
        self.observer.note_if(replaced, Probe::CopyReplaced);
    }

    fn observe_elected(&mut self, h: usize, term: Term) {
        let serves = |s: &crate::postgres::server::Server| s.serving && !s.killed;
        let serving = self.hosts[h].server.as_ref().is_some_and(serves);
        let rewritten = (0..self.hosts.len())
            .any(|other| other != h && self.hosts[other].storage.rewriting && self.hosts[other].up);
        let committed = self.oracles.newest_record.committed.as_ref();
        let paused = committed.is_some_and(|r| r.paused && usize::from(r.primary.0) != h);
        let observer = &mut self.observer;
        observer.note_if(paused, Probe::PauseEndedByElection);
        let without_state = observer.members.iter().any(|facts| facts.without_state);
        let (record, committed) = (observer.members[h].record, observer.committed);
        observer.note_if(serving, Probe::ElectedWhilePrimary);
        observer.note_if(rewritten, Probe::ElectedWhileRewriting);
        observer.note_if(without_state, Probe::ElectedDespiteLoss);
        let known = record != RecordKey::default();
        observer.note_if(known && record > committed, Probe::TookOverUncommitted);
        observer.note_if(known && record < observer.proposed, Probe::ProposalVanished);
        observer.leaders.insert(term, h);
        observer.successor = None;
        let facts = &mut observer.members[h];
        facts.leads = Some(term);
        facts.takes_over = true;
        facts.candidate = None;
    }

    fn observe_resumed(&mut self, h: usize, term: Term) {
        let phase = self.hosts[h].server.as_ref().map(|s| s.phase);
        let promoting = matches!(phase, Some(Phase::Promoting | Phase::Standby));
        let cut_off = self.is_cut_off(h);
        let observer = &mut self.observer;
        let facts = &mut observer.members[h];
        facts.leads = Some(term);
        let left_over = facts.left_over.take().is_some();
        observer.note_if(left_over, Probe::ResumedProposing);
        observer.note_if(promoting, Probe::ResumedPromoting);
        observer.note_if(cut_off, Probe::ResumedCutOff);
    }

    /// What a node shows after a step.
    pub(crate) fn observe_view(&mut self, h: usize, view: &Glance<'_>) {
        if view.role != RoleView::Leader {
            return;
        }
        let (grows, record) = (view.growing.first().copied(), view.record);
        let before = std::mem::replace(&mut self.observer.members[h].grows, grows);
        let voided = before.is_some_and(|copy| {
            !view.growing.contains(&copy) && !record.is_some_and(|record| record.names(copy))
        });
        self.observer.note_if(voided, Probe::GrowVoided);
        if grows.is_none() {
            return;
        }
        if !self.observer.reached.has(Probe::GrowWithoutMajority) {
            let count = self.hosts.len();
            let heard = (0..count).filter(|other| self.passes_both(h, *other));
            let few = heard.count() < count / 2 + 1;
            self.observer.note_if(few, Probe::GrowWithoutMajority);
        }
    }

    /// Whether two daemons can talk now; each can with itself.
    fn passes_both(&self, a: usize, b: usize) -> bool {
        a == b
            || (self.passes(a, b)
                && self.passes(b, a)
                && self.hosts[b].up
                && self.hosts[b].daemon.is_some())
    }

    /// Whether a daemon can talk with no other.
    pub(super) fn is_cut_off(&self, h: usize) -> bool {
        (0..self.hosts.len()).all(|other| other == h || !self.passes_both(h, other))
    }
}
