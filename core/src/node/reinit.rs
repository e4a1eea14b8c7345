//! An operator's word that this member's copy is to be replaced by a fresh one, whatever it is worth: a disk that is not
//! trusted any more, a directory that somebody touched.
//!
//! It is a discard like any other (R11): the copy leaves `in_sync` first, by a record that is known committed. A fresh one
//! is a clone, never a rewind. The word is this daemon's, and ends with it; a copy given up by then is replaced all the same.

use super::Node;
use crate::mutant;
use crate::operator::CommandOutcome;
use crate::record::CopyId;
use crate::time::Instant;

/// A word that was given, until the copy has been replaced.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Reinit {
    /// Not answered yet.
    request: Option<u64>,
    /// What is to be replaced.
    copy: CopyId,
    pub(super) until: Instant,
}

impl Node {
    /// Takes the word, or says why it is of no use.
    pub(super) fn wish_reinit(&mut self, request: u64) {
        match self.may_reinit() {
            Ok(copy) => {
                self.reinit = Some(Reinit {
                    request: Some(request),
                    copy,
                    until: self.now + self.config.decision_timeout.times(4),
                });
            }
            Err(outcome) => self.reply(request, outcome),
        }
    }

    fn may_reinit(&self) -> Result<CopyId, CommandOutcome> {
        let me = self.config.name(self.config.me);
        let refused = |why: String| Err(CommandOutcome::Refused(why));
        if !self.is_data() {
            return refused(format!("{me} holds no data: there is nothing to copy anew"));
        }
        if self.leader.is_some() || !self.primary_is_down() {
            return refused(format!(
                "{me} is the primary: its copy is what the others would be copied from; hand over first (`yokeadm demote`)"
            ));
        }
        if self.reinit.is_some() || self.stopping.is_some() {
            return Err(CommandOutcome::Busy);
        }
        if !self.hears_leader() {
            return refused(format!(
                "{me} hears no leader: there is no primary to copy from"
            ));
        }
        match self.own_copy_id() {
            Some(copy) => Ok(copy),
            None => refused(format!(
                "{me} holds no whole copy, so it is copied anew in any case: see its line in `yokeadm list`"
            )),
        }
    }

    /// Whether this copy is to be replaced: it asks to be left out of the record first (R8, R11).
    pub(super) fn is_leaving_for_reinit(&self) -> bool {
        let own = self.own_copy_id();
        self.reinit.as_ref().is_some_and(|r| own == Some(r.copy))
    }

    /// The copy that the steward is to replace. Not before its leader knows that it leaves: a copy that streams could enter
    /// the record again while it is given up.
    pub(super) fn to_be_replaced(&self) -> Option<CopyId> {
        let begun = |copy: CopyId| self.own_copy_id() != Some(copy);
        let copy = self.reinit.as_ref().map(|reinit| reinit.copy);
        copy.filter(|copy| {
            begun(*copy) || self.is_known_to_leave() || mutant!(self.config, R11ReplacesUnknown)
        })
    }

    /// Answers once the copy's name is given up, and forgets the word once another copy is there.
    pub(super) fn decide_reinit(&mut self) {
        let Some(reinit) = self.reinit.clone() else {
            return;
        };
        let own = self.own_copy_id();
        if own == Some(reinit.copy) {
            let late = self.now >= reinit.until;
            if late || self.leader.is_some() || self.stopping.is_some() {
                self.reinit = None;
                self.answer_reinit(&reinit, CommandOutcome::Refused(
                    "the copy was not left out of the record in time, and is kept as it is: no leader is heard, or this host \
                     was elected or told to stop meanwhile"
                        .to_owned(),
                ));
            }
            return;
        }
        if let Some(kept) = &mut self.reinit {
            kept.request = None;
        }
        if own.is_some() {
            self.reinit = None;
        }
        self.answer_reinit(&reinit, CommandOutcome::CopiesAnew { copy: reinit.copy });
    }

    fn answer_reinit(&mut self, reinit: &Reinit, outcome: CommandOutcome) {
        if let Some(request) = reinit.request {
            self.reply(request, outcome);
        }
    }
}
