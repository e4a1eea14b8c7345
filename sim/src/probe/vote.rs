//! What is said between members (R2 to R5).

use super::Probe;
use super::observer::{Facts, Handles};
use crate::host::Input;
use crate::world::World;
use yoke_core::HardState;
use yoke_core::message::{Body, Message, RefusedBecause};
use yoke_core::operator::Command;

impl World {
    /// A daemon takes something in.
    pub(crate) fn observe_input(&mut self, h: usize, input: &Input) {
        let daemon = self.hosts[h].daemon.as_ref();
        if daemon.is_none_or(|daemon| daemon.paused_until > self.now) {
            return;
        }
        let handles = match input {
            Input::Received(from, message) => {
                self.observe_message(h, *from, message);
                Facts::handling(*from, &message.body)
            }
            Input::Operator(_, Command::Vouch { .. }) => {
                self.observer.members[h].vouched = true;
                Handles::Other
            }
            _ => Handles::Other,
        };
        self.observer.members[h].handles = handles;
    }

    /// A daemon wants its state durable.
    pub(crate) fn observe_state(&mut self, h: usize, state: &HardState) {
        let facts = &mut self.observer.members[h];
        facts.term = state.term;
        facts.record = state.record.as_ref().map(|r| r.key).unwrap_or_default();
    }

    /// A daemon sends a message.
    pub(crate) fn observe_sent(&mut self, h: usize, message: &Message) {
        let observer = &mut self.observer;
        if let Some(presence) = message.presence {
            observer.members[h].start = presence.start;
        }
        if matches!(message.body, Body::Vote(_)) {
            observer.members[h].candidate = Some(message.term);
            let other = observer.candidates.insert(message.term, h);
            observer.note_if(other.is_some_and(|other| other != h), Probe::TwoCandidates);
        }
    }

    fn observe_message(&mut self, h: usize, from: usize, message: &Message) {
        let observer = &mut self.observer;
        let facts = &observer.members[h];
        let (mine, start) = (facts.term, observer.members[from].start);
        let is_old = message.presence.is_some_and(|p| p.start != start);
        observer.note_if(is_old, Probe::OldDaemonHeard);
        let below = message.term < mine;
        match &message.body {
            Body::VoteReply(reply) => {
                let Some(refusal) = &reply.refusal else {
                    observer.note_if(below && !reply.pre, Probe::VoteTooLate);
                    return;
                };
                let probe = match refusal.why {
                    RefusedBecause::OldTerm => Probe::OldTermRefused,
                    RefusedBecause::VotedForAnother => Probe::SecondVoteRefused,
                    RefusedBecause::OldRecord => Probe::OldRecordRefused,
                    RefusedBecause::Promised => Probe::PromisedRefused,
                    RefusedBecause::Silent => Probe::SilentRefused,
                    RefusedBecause::NoState => Probe::NoStateRefused,
                    RefusedBecause::FellBack => Probe::FellBackRefused,
                    RefusedBecause::PrimaryRuns => Probe::PrimaryRunsRefused,
                    _ => return,
                };
                observer.note(probe);
            }
            Body::Heartbeat(_) => observer.note_if(below, Probe::OldLeaderHeard),
            Body::Release { term, .. } => observer.note_if(*term < mine, Probe::ReleaseTooLate),
            _ => {}
        }
    }
}
