//! Pause and resume: an operator's word in the record that nobody but its primary campaigns. Leases and fencing are as ever,
//! so a pause costs availability and never a write.

use super::Node;
use crate::mutant;
use crate::operator::CommandOutcome;
use crate::reason::Reason;
use crate::record::{Record, RecordKey};

/// What an operator asked a leader for, and is not answered yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Wanted {
    request: u64,
    paused: bool,
}

impl Node {
    /// An operator asks for a pause, or for its end.
    pub(super) fn wish_pause(&mut self, request: u64, paused: bool) {
        let heard = self.heard.as_ref().filter(|_| self.hears_leader());
        let heard = heard.map(|h| h.leader);
        let outcome = match self.leader.as_deref_mut() {
            Some(l) if l.pausing.is_some() || l.hand_over.is_some() || l.giving_way.is_some() => {
                CommandOutcome::Busy
            }
            Some(l) => {
                l.pausing = Some(Wanted { request, paused });
                return;
            }
            None if heard.is_some() || paused => CommandOutcome::NotLeader { leader: heard },
            None => match self.resume_alone() {
                Ok(()) => CommandOutcome::Stands,
                Err(why) => CommandOutcome::Refused(why),
            },
        };
        self.reply(request, outcome);
    }

    /// Nobody leads, so nobody can change the record: the word lets this member stand for election in spite of the pause,
    /// and what it takes over with ends it.
    fn resume_alone(&mut self) -> Result<(), String> {
        let me = self.config.name(self.config.me).to_owned();
        let Some(record) = self.record().filter(|r| r.paused) else {
            return Err(format!(
                "nobody leads, and the record that {me} knows is not paused: see `yokeadm list`"
            ));
        };
        if self.copy().is_none_or(|copy| !record.names(copy)) {
            let named = |m: &crate::member::MemberId| record.copy_of(*m).is_some();
            let others = self.names(named).unwrap_or_default();
            return Err(format!(
                "nobody leads, and {me} could not take over, since its copy is not in sync: say it to {others}"
            ));
        }
        self.despite_pause = Some(record.key);
        Ok(())
    }

    /// Whether a pause keeps this member from campaigning.
    pub(super) fn is_kept_by_pause(&self) -> bool {
        let me = self.config.me;
        self.record().is_some_and(|record| {
            record.paused && record.primary != me && self.despite_pause != Some(record.key)
        }) && !mutant!(self.config, PauseIgnored)
    }

    /// Proposes what was asked for, and answers once it is committed.
    pub(super) fn decide_pausing(&mut self) {
        let Some(leader) = self.leader.as_deref_mut() else {
            return;
        };
        let (Some(wanted), Some(committed), None) =
            (leader.pausing, leader.committed.clone(), &leader.proposed)
        else {
            return;
        };
        if committed.paused == wanted.paused {
            leader.pausing = None;
            let outcome = CommandOutcome::Paused(wanted.paused);
            return self.reply(wanted.request, outcome);
        }
        if leader.hand_over.is_some() || leader.giving_way.is_some() {
            return;
        }
        let key = RecordKey {
            term: leader.term,
            version: committed.key.version + 1,
        };
        self.explain(Reason::Pauses {
            paused: wanted.paused,
        });
        self.propose(Record {
            key,
            paused: wanted.paused,
            ..Record::clone(&committed)
        });
    }
}

impl super::leader::Leader {
    /// Whose answer is still to come.
    pub(super) fn pause_request(&self) -> Option<u64> {
        self.pausing.map(|wanted| wanted.request)
    }

    /// Nobody else may take over: the committed record names no other copy in sync, or is paused.
    pub(super) fn is_alone(&self) -> bool {
        let committed = self.committed.as_deref();
        committed.is_some_and(|r| r.is_lone() || r.paused)
    }
}
