//! An operator's word that this member's copy is the cluster's database from now on (R15, R17): for when no copy that a
//! record names is left, or no record.
//!
//! All that it does is to make this member hold a new record that names its copy alone, in a term far above all others.
//! Whatever follows is as ever: it is elected on that record, or it is not.

use super::Node;
use crate::hard_state::HardState;
use crate::member::MemberId;
use crate::mutant;
use crate::operator::{CommandOutcome, LEAST_STEP};
use crate::postgres::SystemId;
use crate::reason::Reason;
use crate::record::{Copy, Record, RecordKey, Term};
use std::sync::Arc;

impl Node {
    /// Makes this copy the database, or says why not.
    pub(super) fn adopt(&mut self, request: u64, step: u64) {
        let (copy, system_id) = match self.adoptable() {
            Ok(found) => found,
            Err(why) => return self.reply(request, CommandOutcome::Refused(why)),
        };
        self.void_word("the copy was adopted instead");
        let left = self.memory_left();
        let records: Vec<Arc<Record>> = self
            .answers()
            .filter_map(|a| a.record.clone())
            .chain(left.as_ref().and_then(|s| s.record.clone()))
            .chain(self.record().cloned())
            .collect();
        let promotions = self.pg.history.promotions().iter().map(|p| p.term);
        let seen = records
            .iter()
            .map(|r| r.key.term)
            .chain(promotions)
            .fold(self.highest_term(left.as_deref()), Term::max);
        let version = records.iter().map(|r| r.key.version).max().unwrap_or(0) + 1;
        let step = match mutant!(self.config, R17NextTerm) {
            true => 1,
            false => step.max(LEAST_STEP),
        };
        let term = Term(seen.0 + step);
        let record = Arc::new(Record {
            key: RecordKey { term, version },
            primary: self.config.me,
            in_sync: vec![copy],
            promotions: self.pg.history.clone(),
            system_id,
            forced: !mutant!(self.config, R17ForgetsForced),
            paused: false,
        });
        self.explain(Reason::Adopts {
            record: record.clone(),
        });
        self.campaign = None;
        let fresh = self.state.is_none();
        let mut state = match self.state.take() {
            Some(state) => state,
            None => HardState {
                adopted: seen,
                ..self.state_after_loss(left.as_deref(), step)
            },
        };
        // As one that led that term: nobody else ever can.
        state.term = term;
        state.voted_for = Some(self.config.me);
        state.record = Some(record);
        if fresh {
            self.begin_with(state);
        } else {
            self.state = Some(state);
            self.dirty = true;
        }
        self.reply(
            request,
            CommandOutcome::Adopted {
                copy: copy.id,
                term,
            },
        );
    }

    /// This member's copy and its database's identifier, if an operator may make it the cluster's.
    fn adoptable(&mut self) -> Result<(Copy, SystemId), String> {
        let me = self.config.name(self.config.me).to_owned();
        if !self.is_data() {
            return Err(format!("{me} holds no data: say it on a data host"));
        }
        if self.state.is_none() && !self.hears_leader() && !self.primary_is_down() {
            self.withdraw_permission();
            return Err(format!(
                "the database at {me} still served, under a daemon that lost its state, and is being stopped first: say it again \
                 in a moment"
            ));
        }
        if self.leader.is_some() || self.hears_leader() || !self.primary_is_down() {
            return Err(
                "there is a leader, or this database still serves: nothing need be adopted"
                    .to_owned(),
            );
        }
        let (Some(copy), true, Some(system_id)) = (self.copy(), self.pg.stamped, self.pg.system_id)
        else {
            return Err(format!(
                "{me} holds no whole copy of the cluster's database: see its line in `yokeadm list`"
            ));
        };
        let known = self.known_record();
        if known.is_some_and(|r| r.names(copy)) {
            return Err(match self.names(|p| self.knows(p)) {
                Some(knowing) if self.state.is_none() => format!(
                    "{knowing} knows a record that names this very copy: {me} has to join again, see its line in `yokeadm list`. \
                     If {me} was primary last, and {knowing} did not follow it to the end, stop yoke there first"
                ),
                _ => "the record names this very copy: it serves once a majority with state can be reached; see `yokeadm list`"
                    .to_owned(),
            });
        }
        // Who does not answer could be hearing one.
        let answer = |p: &MemberId| self.heard_answer(*p).is_some();
        let answering = 1 + self.config.peers().filter(answer).count();
        if answering < self.config.majority() {
            return Err(format!(
                "only {answering} of {} members answer, and {} are needed before anything can serve: start yoke on the others first",
                self.config.members.len(),
                self.config.majority()
            ));
        }
        let hears = |p: &MemberId| self.heard_answer(*p).is_some_and(|a| a.hears);
        if let Some(who) = self.names(hears) {
            return Err(format!(
                "{who} leads, or hears a leader, or its database serves still: nothing need be adopted. If {me} is cut off from that \
                 leader, mend the network. If a database serves there without one, adopt that, or stop yoke there first"
            ));
        }
        if let Some(record) = known {
            let holds = |p: &MemberId| {
                record
                    .copy_of(*p)
                    .is_some_and(|c| self.answers_with_copy(c))
            };
            if let Some(who) = self.names(holds) {
                return Err(format!(
                    "{who} has the copy that the record names: bring that one back. If it must not serve, stop yoke there first"
                ));
            }
        }
        // Of several, the one that goes furthest. Of a database that is stopped the last checkpoint is all that can be seen,
        // but of one promotion nobody has more than who made it.
        let counts = |made_newest| made_newest && !mutant!(self.config, R17ByPositionAlone);
        let mine = (
            self.pg.history.newest(),
            counts(self.pg.made_newest),
            self.pg.end,
        );
        let further = |p: &MemberId| {
            let answer = self.heard_answer(*p);
            let theirs = answer.and_then(|a| Some((a.reached?, a.made_newest)));
            theirs.is_some_and(|(r, made_newest)| (r.promotion, counts(made_newest), r.end) > mine)
        };
        if let Some(who) = self.names(further) {
            return Err(format!(
                "the copy at {who} was primary last, or goes further than this one, which ends at {} as far as can be seen: adopt \
                 that one. If it must not serve, stop yoke there first",
                self.pg.end
            ));
        }
        Ok((copy, system_id))
    }

    /// The newest record that it or anybody who answers now, with state, knows. An older one may be with somebody who was
    /// stopped, for that very reason.
    pub(super) fn known_record(&self) -> Option<&Arc<Record>> {
        let heard = self.config.peers().filter_map(|p| self.heard_answer(p));
        let told = heard.filter(|a| a.has_state);
        told.filter_map(|a| a.record.as_ref())
            .chain(self.record())
            .max_by_key(|r| r.key)
    }

    /// Whether the copy's member has just said that it has it.
    pub(super) fn answers_with_copy(&self, copy: Copy) -> bool {
        self.heard_answer(copy.member)
            .and_then(|a| a.reached)
            .is_some_and(|r| r.copy == copy.id)
    }
}
