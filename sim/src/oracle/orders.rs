//! The specification's other half: what may be done to a database, and what its guard may be told. What is said is judged
//! in [`super::specification`].

use crate::oracle::specification::{Judged, must};
use crate::postgres::steps::Exec;
use crate::world::World;
use yoke_core::permission::{Lasts, Permission};
use yoke_core::postgres::{Doors, StopMode};
use yoke_core::record::{Record, Term};
use yoke_core::step::{Order, Settings, Step};

impl World {
    /// R11: to follow a history that lacks what was flushed is a discard; and of a copy that keeps its name.
    pub(crate) fn check_drops(&mut self, h: usize, dropped: usize) {
        if dropped > 0 {
            self.violated(
                "specification",
                format!("m{h}: R11: it follows a history that lacks {dropped} of its records"),
            );
        }
    }

    /// A node gives its guard a permission.
    pub(crate) fn check_gives(&mut self, h: usize, permission: Permission) {
        // One that waited for a disk may leave after a later one that shortens: the guard ignores it.
        let given = &mut self.oracles.specification.members[h].given;
        if given.is_none_or(|old| old.order() < permission.order()) {
            *given = Some(permission);
        }
        if permission.lasts == Lasts::Unbounded {
            self.oracles.specification.members[h].unbounded_in = Some(permission.term);
        }
        if let Err(why) = self.judge_permission(h, permission) {
            self.violated("specification", format!("m{h} gives {permission}: {why}"));
        }
    }

    fn judge_permission(&self, h: usize, permission: Permission) -> Judged {
        let (now, majority) = (self.hosts[h].clock.at(self.now), self.majority());
        let spec = &self.oracles.specification;
        let lead = &spec.members[h].lead;
        if permission.lasts == Lasts::Ended {
            return Ok(());
        }
        must!(
            lead.term == permission.term,
            "R10: it does not lead that term"
        );
        if let Lasts::Until(end) = permission.lasts {
            let lease = lead.heard_at(h, now, majority) + self.lease(h);
            must!(
                end <= lease,
                "R10: what a majority acknowledged lasts until {lease}"
            );
            return Ok(());
        }
        let is_lone = |key| spec.records.get(&key).is_some_and(|r| r.is_lone());
        let committed = lead.newest.is_some_and(|key| {
            lead.is_committed(h, key, majority) || lead.before.is_some_and(is_lone)
        });
        must!(
            committed && lead.newest.is_some_and(is_lone),
            "R10: no lone record of its term is committed"
        );
        Ok(())
    }

    /// A node has said all that it has to say for now. What stops a database waits for no disk (R1).
    pub(crate) fn check_stopped(&mut self, h: usize) {
        let said = &mut self.oracles.specification.members[h];
        let (guard, steward) = std::mem::take(&mut said.has_to_stop);
        // What an earlier daemon gave may have come after what this one found.
        let newest = said.given.into_iter().chain(said.holds);
        let newest = newest.max_by_key(|permission| permission.order());
        let serves = newest.is_some_and(|permission| permission.lasts != Lasts::Ended);
        if steward || (guard && serves) {
            let whom = if steward { "steward" } else { "guard" };
            let what = format!("m{h}: R1: its database is to stop, and its {whom} is not told");
            self.violated("specification", what);
        }
    }

    /// A copy is adopted (R17): no term that anybody was elected in meanwhile comes near.
    pub(crate) fn check_adopts(&mut self, h: usize, record: &Record) {
        let disk = self.hosts[h].disk.durable.as_ref();
        let before = disk.filter(|s| !s.lost).map_or(0, |s| s.term.0);
        if record.key.term.0 < before + (1 << 20) {
            let what = format!("m{h}: R17: it adopts by {record}, after term {before}");
            self.violated("specification", what);
        }
    }

    /// A guard begins a step.
    pub(crate) fn check_order(&mut self, h: usize, order: &Order) {
        if let Err(why) = self.judge_order(h, order) {
            let (term, step) = (order.term, &order.step);
            let what = format!("m{h} in term {term}: {step}: {why}");
            self.violated("specification", what);
        }
        let newest = &mut self.oracles.specification.members[h].order;
        *newest = (newest.0.max(order.term), order.number);
    }

    /// A guard was told to stop its database: whatever else is under way ends, a stop at once ends a clean one (R16).
    pub(crate) fn check_stop(&mut self, h: usize, number: u64, mode: StopMode) {
        let is_stop = |step: &Step| match mode {
            StopMode::Now => matches!(step, Step::Stop(StopMode::Now)),
            StopMode::Clean => matches!(step, Step::Stop(_)),
        };
        let mut execs = self.hosts[h].execs.iter();
        let left = execs.find(|e| !e.ending && !is_stop(&e.order.step));
        if let Some(left) = left.filter(|left| left.order.number < number) {
            let left = left.order.number;
            self.violated(
                "specification",
                format!(
                    "m{h}: stop {number} waits for {left}: R16: a stop ends the order under way"
                ),
            );
        }
    }

    /// A guard has fenced: a fence ends the order under way (R16); a stop comes to its end by it. What came with the fence,
    /// or after it, was not under way.
    pub(crate) fn check_fence(&mut self, h: usize, begun: Option<u64>) {
        let was_under_way = |e: &&Exec| Some(e.order.number) != begun && !e.ending;
        let mut execs = self.hosts[h].execs.iter().filter(was_under_way);
        let left = execs.find(|e| !matches!(e.order.step, Step::Stop(_)));
        if let Some(left) = left {
            let (number, step) = (left.order.number, &left.order.step);
            let what = format!("m{h} fences: R16: and {number}, to {step}, goes on");
            self.violated("specification", what);
        }
    }

    fn judge_order(&mut self, h: usize, order: &Order) -> Judged {
        let (term, number) = self.oracles.specification.members[h].order;
        let host = &self.hosts[h];
        let storage = &host.storage;
        let stops = matches!(order.step, Step::Stop(_));
        must!(order.number > number, "R16: it came before {number}");
        must!(
            stops || order.term >= term,
            "R16: an order of term {term} came before"
        );
        let busy = host.execs.iter().any(|e| !stops || !e.ending);
        must!(!busy, "R16: another order is being carried out");
        // Whose it is can be told as soon as a record names the cluster's database.
        let touches = matches!(
            order.step,
            Step::Start
                | Step::Promote
                | Step::MarkRewriting
                | Step::SetAside(_)
                | Step::Rewind { .. }
        );
        must!(
            !touches || !self.holds_foreign(h),
            "R14: its database is somebody else's"
        );
        match &order.step {
            Step::Promote => {
                self.judge_own(h)?;
                self.judge_promotion(h, order.term)
            }
            Step::WriteStamp(stamp) => self.judge_stamp(h, stamp),
            Step::WriteSettings(settings) => {
                self.judge_follows(h, settings)?;
                self.judge_opening(h, order.term, Some(settings))?;
                self.judge_settings(h, order.term, settings)
            }
            Step::Reload => self.judge_opening(h, order.term, storage.settings.as_ref()),
            Step::MarkRewriting | Step::SetAside(_) | Step::Clone { .. } => self.judge_discard(h),
            Step::Rewind { .. } => {
                // What an operator's word left out is kept whole.
                let own = host.disk.durable.as_ref().and_then(|s| s.record.as_ref());
                must!(
                    own.is_none_or(|record| !record.forced),
                    "R17: what it lacks was left out by an operator's word"
                );
                self.judge_discard(h)
            }
            Step::Start => {
                let directory = storage.directory.as_ref();
                let stamped = directory.is_none_or(|dir| dir.stamp.is_some());
                let noted = host.disk.durable.as_ref().is_some_and(|s| s.stamped);
                must!(
                    stamped || (h == 0 && !noted),
                    "R20: its directory has no stamp"
                );
                must!(!storage.rewriting, "R11: its directory is being rewritten");
                self.judge_own(h)
            }
            _ => Ok(()),
        }
    }

    /// R10: what serves gets gate or doors opened only under a permission.
    fn judge_opening(&self, h: usize, term: Term, settings: Option<&Settings>) -> Judged {
        let host = &self.hosts[h];
        let serves = host.server.as_ref().is_some_and(|s| s.serving);
        let opens = settings.is_some_and(|s| s.gate.is_some() || s.doors != Doors::Closed);
        let now = host.clock.at(self.now);
        let holds = self.oracles.specification.members[h].holds;
        must!(
            !serves || !opens || holds.is_some_and(|p| p.allows(term, now)),
            "R10: it opens gate or doors, and the guard holds no permission for it"
        );
        Ok(())
    }

    /// A steward asks its guard for something. The guard may take that in late, when much has changed.
    pub(crate) fn check_asks(&mut self, h: usize, order: &Order) {
        if let Err(why) = self.judge_asked(h, order) {
            let (term, step) = (order.term, &order.step);
            let what = format!("m{h} in term {term} asks: {step}: {why}");
            self.violated("specification", what);
        }
    }

    fn judge_asked(&self, h: usize, order: &Order) -> Judged {
        let host = &self.hosts[h];
        let spec = &self.oracles.specification;
        let lead = &spec.members[h].lead;
        let own = lead.first.filter(|_| lead.term == order.term);
        let committed = own.is_some_and(|key| lead.is_committed(h, key, self.majority()));
        match &order.step {
            Step::WriteSettings(settings) if settings.gate.is_some() => {
                // Of a primary that was elected again, or resumed, the gate is left as found (R6).
                let serves = host.server.as_ref().is_some_and(|s| s.serving);
                must!(
                    committed || serves,
                    "R6: the gate opens before a record of its own term is committed"
                );
            }
            Step::Promote => {
                must!(committed, "R6: no record of its own term is committed");
                let newest = lead.newest.and_then(|key| spec.records.get(&key));
                let named = newest.and_then(|r| r.copy_of(host.config.me));
                must!(
                    named.map(|copy| copy.id) == host.storage.stamp().map(|s| s.copy),
                    "R4: the record does not name this copy"
                );
            }
            _ => {}
        }
        Ok(())
    }

    fn judge_promotion(&self, h: usize, term: Term) -> Judged {
        let host = &self.hosts[h];
        let said = &self.oracles.specification.members[h];
        let now = host.clock.at(self.now);
        must!(
            said.holds.is_some_and(|p| p.allows(term, now)),
            "R10: the guard holds no permission for it"
        );
        let ordered = host.storage.stamp().and_then(|s| s.ordered);
        must!(
            ordered.is_some_and(|(of, _)| of == term),
            "R6: the stamp does not name it"
        );
        let server = host.server.as_ref();
        must!(
            server.is_none_or(|s| s.read.doors == Doors::Closed),
            "R18: the doors are open"
        );
        must!(
            server.is_none_or(|s| s.sessions.is_empty()),
            "R18: clients' sessions are not ended"
        );
        Ok(())
    }

    /// R7, R8: an open gate names every other copy of the committed record and of the one proposed.
    fn judge_settings(&self, h: usize, term: Term, settings: &Settings) -> Judged {
        let Some(names) = &settings.gate else {
            return Ok(());
        };
        let spec = &self.oracles.specification;
        let (lead, majority) = (&spec.members[h].lead, self.majority());
        let is_committed = |key| lead.is_committed(h, key, majority);
        if lead.term != term || !lead.first.is_some_and(is_committed) {
            return Ok(());
        }
        let before = lead
            .before
            .filter(|_| !lead.newest.is_some_and(is_committed));
        let keys = [lead.newest, before].into_iter().flatten();
        for record in keys.filter_map(|key| spec.records.get(&key)) {
            if let Some(copy) = record.others().find(|copy| !names.contains(copy)) {
                return Err(format!(
                    "R7: the gate leaves out {copy}, which {record} names"
                ));
            }
        }
        Ok(())
    }

    /// R11: what the newest committed record, or the newest one that the member knows, names is not discarded.
    fn judge_discard(&self, h: usize) -> Judged {
        let host = &self.hosts[h];
        let storage = &host.storage;
        let Some(dir) = storage.directory.as_ref().filter(|_| !storage.rewriting) else {
            return Ok(());
        };
        self.judge_foreign(dir)?;
        let own = host.disk.durable.as_ref().and_then(|s| s.record.as_ref());
        // What is on its way to a full or slow disk has not been accepted, and what rests on it waits (R1).
        let coming = host.disk.next.is_some() || host.disk.under_way.is_some();
        let committed = self.oracles.newest_record.committed.as_ref();
        for record in own.into_iter().chain(committed.filter(|_| !coming)) {
            let copy = record.copy_of(host.config.me);
            must!(
                copy.is_none_or(|copy| !dir.is(copy.id)),
                "R11: {record} names this copy"
            );
        }
        // What it knows committed is what a heartbeat told it.
        let spec = &self.oracles.specification;
        let known = spec.members[h].heard_committed.filter(|_| !coming);
        if let Some(record) = known.and_then(|key| spec.records.get(&key)) {
            let copy = record.copy_of(host.config.me);
            must!(
                copy.is_none_or(|copy| !dir.is(copy.id)),
                "R11: {record}, the newest that it knows committed, names this copy"
            );
        }
        Ok(())
    }
}
