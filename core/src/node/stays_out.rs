//! Why a member stays out, for people: what was found, what it waits for, from whom, and what to do (R12, R15). What only
//! an operator can decide is said with the command that does it and with what it risks; the command stands between
//! backquotes.

use super::Node;
use crate::member::MemberId;
use crate::record::Record;
use std::sync::Arc;

impl Node {
    /// Why this member stays out; none: it does not.
    pub(super) fn stays_out(&self) -> Option<String> {
        if self.state.is_some() {
            return self.lacks_its_copy();
        }
        if !self.has_looked() {
            return Some("no state file: it looks at its data directory first".to_owned());
        }
        Some(if self.names(|p| self.knows(p)).is_some() {
            self.waits_to_join()
        } else if self.was_there_a_cluster() {
            self.nobody_knows()
        } else {
            self.waits_for_genesis()
        })
    }

    /// Another member has state and record: the rest has to answer, too.
    fn waits_to_join(&self) -> String {
        let stateless = |p: &MemberId| self.heard_answer(*p).is_some_and(|a| !a.has_state);
        let silent = |p: &MemberId| self.heard_answer(*p).is_none();
        let missing = |p: &MemberId| silent(p) || stateless(p);
        let Some(missing) = self.names(missing) else {
            return "its state file is lost: it is joining again".to_owned();
        };
        let mut why = "its state file is lost: it neither votes nor accepts until every other member that has its state, or \
                       the leader of a primary that serves alone, has answered"
            .to_owned();
        if let Some(silent) = self.names(silent) {
            why += &format!("; no answer from {silent}: start yoke there");
        }
        if let Some(stateless) = self.names(stateless) {
            why += &format!("; {stateless} lost its state file, too");
        }
        why += &format!(
            ". Only if {missing} cannot answer with its state any more, and is stopped or lost it, too: say `yokeadm vouch {}` \
             to this host. What only {missing} and this host knew is given up then: acknowledged writes, if one of them was \
             primary last",
            missing.replace(", ", " ")
        );
        match self.names(|p| self.knows(p)) {
            Some(knowing) if self.copy().is_some() => {
                why + &format!(
                    ". If this host was, and {knowing} did not follow it to the end: stop yoke on {knowing} instead, and then \
                     say `yokeadm adopt` to this host"
                )
            }
            _ => why,
        }
    }

    /// Whether it has just answered, with its state, and knows the cluster's record.
    pub(super) fn knows(&self, member: &MemberId) -> bool {
        self.heard_answer(*member)
            .is_some_and(|a| a.has_state && a.record.is_some())
    }

    /// A cluster was there, and nobody who answers knows its record.
    fn nobody_knows(&self) -> String {
        let silent = |p: &MemberId| self.heard_answer(*p).is_none();
        let mut why = match self.has_forgotten() {
            true => "its state file is lost",
            false => "there is no state file, but data of a cluster, so this is no first start",
        }
        .to_owned();
        why += match self.names(silent) {
            Some(silent) => format!(
                "; nobody who answers knows the cluster's record, and {silent} does not answer: start yoke there"
            ),
            None => "; every member answers, and none knows the cluster's record".to_owned(),
        }
        .as_str();
        if !self.pg.stamped {
            // Nothing here was ever the cluster's: this may be a first start that was disturbed.
            why += ". If there never was a cluster, remove the set-aside state file (yoke.state.torn-…) and start yoke again";
            if self.answers().all(|a| !a.stamped) {
                return why;
            }
        }
        let to = match self.pg.stamped {
            true => "to this host",
            false => "to the data host with the newest copy",
        };
        why + &format!(
            ". Only if no status directory is left anywhere, or only older ones: `yokeadm adopt`, said {to}, makes its copy \
             the cluster's database. Acknowledged writes that it lacks are lost then: choose the copy that was primary last"
        )
    }

    fn waits_for_genesis(&self) -> String {
        match self.names(|p| self.heard_answer(*p).is_none()) {
            Some(silent) => format!(
                "no state file: a first start needs an answer from every member; none yet from {silent}: start yoke there"
            ),
            None => "no state file: a first start is under way".to_owned(),
        }
    }

    fn was_there_a_cluster(&self) -> bool {
        self.has_forgotten()
            || self.pg.stamped
            || self.answers().any(|a| a.record.is_some() || a.stamped)
    }

    /// It holds data, nobody leads, and no copy that the record names can be seen (R15).
    fn lacks_its_copy(&self) -> Option<String> {
        let record = self.record()?;
        if !self.is_data() || !self.has_looked() || self.leader.is_some() || self.hears_leader() {
            return None;
        }
        let own = record.copy_of(self.config.me);
        if own.is_some() && own == self.copy() {
            return None;
        }
        let silent = |p: &MemberId| record.copy_of(*p).is_some() && self.heard_answer(*p).is_none();
        let seen = record.in_sync.iter().any(|c| self.answers_with_copy(*c));
        let waited = self.now.since(self.started) > self.config.decision_timeout;
        if seen || !waited {
            return None;
        }
        if self.nobody_was_promoted() {
            return Some(
                "the first start was disturbed: every member answers, and none knows of a promotion, so nothing was acknowledged \
                 yet, and no copy that the record names is left. Stop yoke on every host, remove its state file (yoke.state) \
                 there, and start yoke again: all begins anew"
                    .to_owned(),
            );
        }
        let mut why = format!("every acknowledged write is {}", self.where_it_is(record));
        if own.is_some() {
            why += &match self.pg.copy {
                Some(copy) => format!(
                    "; the data directory here holds another copy or an older one, {copy}: if the right one is left, put it back"
                ),
                None => "; there is no such data here: if it is left, put it back".to_owned(),
            };
        }
        if let Some(silent) = self.names(silent) {
            why += &format!("; {silent} does not answer: start yoke there");
        }
        if self.copy().is_some() {
            why += &format!(
                ". Only if none of that is left: `yokeadm adopt`, said to this host, makes its copy, which ends at {}, the \
                 cluster's database. Acknowledged writes that it lacks are lost then",
                self.pg.end
            );
        }
        Some(why)
    }

    /// Whether everybody has just answered, itself with state, and nobody knows of a promotion, or has a stamp.
    fn nobody_was_promoted(&self) -> bool {
        let none = |r: &Arc<Record>| r.promoted_nobody();
        !self.pg.stamped
            && self.record().is_none_or(none)
            && self.config.peers().all(|p| {
                self.heard_answer(p).is_some_and(|a| {
                    a.has_state && !a.stamped && a.record.as_ref().is_none_or(none)
                })
            })
    }

    fn where_it_is(&self, record: &Record) -> String {
        let copies: Vec<String> = record
            .in_sync
            .iter()
            .map(|c| format!("in copy {} of {}", c.id, self.config.name(c.member)))
            .collect();
        copies.join(" and ")
    }
}
