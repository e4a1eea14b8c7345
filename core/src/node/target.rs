//! What this member's database should be, as its steward is told (R1, R11).

use super::Node;
use crate::action::Action;
use crate::mutant;
use crate::postgres::{PgTarget, Want};
use crate::record::Copy;

impl Node {
    /// Tells the steward what the database should be, if that is not what it was told last.
    pub(super) fn want(&mut self, want: Want) {
        let record = self.record().cloned();
        let first_stamp = self.config.me == self.config.configured_primary
            && self.state.as_ref().is_some_and(|s| !s.stamped);
        let target = PgTarget {
            seq: self.target.as_ref().map_or(0, |t| t.seq) + 1,
            term: self.term(),
            record,
            first_stamp,
            disowned: self.disowned,
            replaced: self.to_be_replaced(),
            genesis: self.is_genesis(),
            slots: self.slots(&want),
            run: self.running_primary().map(|_| self.pg.run),
            want,
        };
        if let Some(last) = &self.target
            && last.term == target.term
            && last.want == target.want
            && last.first_stamp == target.first_stamp
            && last.disowned == target.disowned
            && last.replaced == target.replaced
            && last.genesis == target.genesis
            && last.slots == target.slots
            && last.run == target.run
            && last.record == target.record
        {
            return;
        }
        let target = self.after_keeping(target);
        self.target = Some(target.clone());
        let action = Action::Postgres(Box::new(target));
        if matches!(
            self.target.as_ref().map(|t| &t.want),
            Some(Want::Stopped(_))
        ) && !mutant!(self.config, R1StopWaits)
        {
            // R1: stopping a database never waits for a disk.
            self.outbox.push_at_once(action);
        } else {
            self.push(action);
        }
    }

    /// R11: the leave to discard is taken back at once, where the new target has to wait for a disk: to leave a copy as it is
    /// rests on nothing that a disk has to hold (R1).
    fn after_keeping(&mut self, target: PgTarget) -> PgTarget {
        let Some(in_hand) = &mut self.in_hand else {
            return target;
        };
        if !in_hand.want.may_discard()
            || target.want.may_discard()
            || self.outbox.is_durable()
            || mutant!(self.config, R11KeepsLate)
        {
            return target;
        }
        in_hand.seq = target.seq;
        in_hand.want = Want::KEPT;
        let kept = Box::new(in_hand.clone());
        self.outbox.push_at_once(Action::Postgres(kept));
        PgTarget {
            seq: target.seq + 1,
            ..target
        }
    }

    /// The copies that a primary keeps a slot for (R7): those that its record names, and those that members say they have.
    fn slots(&self, want: &Want) -> Vec<Copy> {
        let (Want::Primary { .. }, Some(leader)) = (want, self.leader.as_deref()) else {
            return Vec::new();
        };
        let reported = self.config.peers().filter_map(|member| {
            let id = leader.report_of(member)?.copy?;
            Some(Copy { member, id })
        });
        let named = self.record().into_iter().flat_map(|r| r.others());
        let mut slots: Vec<Copy> = named.chain(reported).collect();
        slots.retain(|copy| self.config.is_data(copy.member));
        slots.sort_unstable();
        slots.dedup();
        slots
    }
}
