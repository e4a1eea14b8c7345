//! An operator's word for members that cannot answer: who lost its state may join again without them (R12).
//!
//! What is vouched for is that they are stopped, or without state themselves, and stay so until this member has joined.
//! What only they know is given up. The word counts for now: what is asked after it is answered within D/2, or it is void.

use super::Node;
use super::asking::Asking;
use crate::member::{MemberId, MemberSet};
use crate::mutant;
use crate::operator::{CommandOutcome, LEAST_STEP};
use crate::record::Term;
use crate::time::Instant;

/// A word that was given and has not had its effect yet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Vouching {
    request: u64,
    members: MemberSet,
    step: u64,
    until: Instant,
}

impl Node {
    /// Takes the word, or says why it is of no use.
    pub(super) fn vouch(&mut self, request: u64, members: &[MemberId], step: u64) {
        if let Err(why) = self.may_vouch(members) {
            return self.reply(request, CommandOutcome::Refused(why));
        }
        self.void_word("another word came after it");
        let mut set = MemberSet::EMPTY;
        members.iter().for_each(|m| set.insert(*m));
        // Only what is asked after the word counts beside it.
        self.asking = Asking::new(self.config.members.len());
        self.vouching = Some(Vouching {
            request,
            members: set,
            step: step.max(LEAST_STEP),
            until: self.now + self.config.decision_timeout.part(1, 2),
        });
        self.ask();
    }

    fn may_vouch(&self, members: &[MemberId]) -> Result<(), String> {
        let me = self.config.name(self.config.me);
        if self.state.is_some() {
            return Err(format!(
                "{me} has its state: it needs nobody's word, and nothing was changed"
            ));
        }
        if !self.has_looked() {
            return Err(format!(
                "{me} has not looked at its data directory yet: try again in a moment"
            ));
        }
        let unknown = |m: &&MemberId| !self.config.peers().any(|p| p == **m);
        if members.is_empty() || members.iter().any(|m| unknown(&m)) {
            return Err(format!(
                "name the other members that are stopped: {me} cannot be vouched for at itself"
            ));
        }
        let with_state: Vec<MemberId> = self
            .config
            .peers()
            .filter(|p| self.heard_answer(*p).is_some_and(|a| a.has_state))
            .collect();
        if let Some(alive) = members.iter().find(|m| with_state.contains(m)) {
            return Err(format!(
                "{} has just answered, and has its state: it is not stopped, and nobody need vouch for it",
                self.config.name(*alive)
            ));
        }
        let enough = mutant!(self.config, R12VouchesForAll);
        let silent = |p: &MemberId| !with_state.contains(p) && !members.contains(p) && !enough;
        if let Some(left) = self.names(silent) {
            return Err(format!(
                "{left} has not answered with its state either: start yoke there, or vouch for it, too, if it is stopped"
            ));
        }
        let knows = |p: &MemberId| self.heard_answer(*p).is_some_and(|a| a.record.is_some());
        if !with_state.iter().any(knows) {
            return Err(
                "nobody who answers knows the cluster's record, so there is nothing to join: start yoke on a member that does; \
                 if no status directory is left anywhere, `yokeadm adopt` on a data host"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Whether an operator's word stands for what this member has not answered.
    pub(super) fn is_vouched_for(&self, member: MemberId) -> bool {
        self.vouching
            .as_ref()
            .is_some_and(|v| v.members.contains(member) || mutant!(self.config, R12VouchesForAll))
    }

    /// By how much the term is raised: what those vouched for had voted in or proposed lies below (R12, R17).
    pub(super) fn vouched_step(&self) -> u64 {
        let all = self.config.peers().all(|p| self.has_answered(p));
        match &self.vouching {
            Some(vouching) if !all => vouching.step,
            _ => 0,
        }
    }

    /// It has joined.
    pub(super) fn word_is_kept(&mut self, term: Term) {
        if let Some(vouching) = self.vouching.take() {
            self.reply(vouching.request, CommandOutcome::Joined { term });
        }
    }

    /// Nobody relies on the word any more.
    pub(super) fn void_word(&mut self, why: &str) {
        if let Some(vouching) = self.vouching.take() {
            self.reply(vouching.request, CommandOutcome::Refused(why.to_owned()));
        }
    }

    /// A word that is too old counts for nothing: those vouched for may have been started since.
    pub(super) fn decide_vouching(&mut self) {
        if self
            .vouching
            .as_ref()
            .is_some_and(|v| self.now >= v.until || self.stopping.is_some())
        {
            let silent = |p: &MemberId| !self.has_answered(*p) && !self.is_vouched_for(*p);
            let silent = self.names(silent).unwrap_or_default();
            self.void_word(&format!(
                "no answer came from {silent} after the word was given: nothing was changed"
            ));
        }
    }
}
