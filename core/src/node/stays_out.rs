//! Why a member stays out, for people: what it waits for, from whom, and what to do (R12).

use super::Node;
use super::asking::Answered;
use crate::member::MemberId;

impl Node {
    /// Why this member stays out; none: it does not.
    pub(super) fn stays_out(&self) -> Option<String> {
        if self.state.is_some() {
            return self.lacks_its_copy();
        }
        let lost = self.knows_of_loss();
        let waits = |which: &dyn Fn(Option<&Answered>) -> bool| -> Option<String> {
            let names: Vec<&str> = self
                .config
                .peers()
                .filter(|p: &MemberId| which(self.answer_of(*p)))
                .map(|p| self.config.name(p))
                .collect();
            (!names.is_empty()).then(|| names.join(", "))
        };
        let silent = waits(&|a| a.is_none());
        let stateless = waits(&|a| a.is_some_and(|a| !a.has_state));
        Some(match (lost, silent, stateless) {
            (false, Some(silent), _) => format!(
                "no state file: a first start needs an answer from every member; none yet from {silent}: start yoke there"
            ),
            (true, Some(silent), _) => format!(
                "its state file is lost: it neither votes nor accepts until every other member, or the leader of a \
                 primary that serves alone, has answered; no answer yet from {silent}: start yoke there"
            ),
            (true, None, Some(stateless)) => format!(
                "its state file is lost, and so is that of {stateless}: an answer of one without state counts for \
                 nothing. Members that know the cluster have to come back first; restore the status directory of one \
                 of them if it can be found"
            ),
            (true, None, None) => "its state file is lost: it is joining again".to_owned(),
            (false, None, _) if !self.has_looked() => {
                "no state file: it looks at its data directory first".to_owned()
            }
            (false, None, _) if !self.pg.stamped && self.answers().all(|a| !a.stamped) => {
                "no state file: a first start is under way".to_owned()
            }
            (false, None, _) => {
                "no state file, but stamped data is there: this is no first start; restore the status directory"
                    .to_owned()
            }
        })
    }

    fn knows_of_loss(&self) -> bool {
        self.has_forgotten() || self.answers().any(|a| a.record.is_some())
    }

    /// Its directory went back in time, and the record counts on no other copy (R15).
    fn lacks_its_copy(&self) -> Option<String> {
        let record = self.record()?;
        let named = record.copy_of(self.config.me)?;
        let held = self.own_copy_id();
        let alone = record.in_sync.len() == 1;
        (alone && self.is_data() && self.has_looked() && held != Some(named.id) && self.leader.is_none()).then(|| {
            let found = match held.or(self.pg.copy) {
                Some(copy) => format!("the data directory holds another or an older one, {copy}"),
                None => "there is no such data".to_owned(),
            };
            format!(
                "every acknowledged write is only in its copy {}, and {found}: nobody may serve; restore that data directory",
                named.id
            )
        })
    }
}
