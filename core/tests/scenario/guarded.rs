//! The fake guard: permission, fence.

use super::database::{Database, Process};
use yoke_core::Instant;
use yoke_core::permission::{GuardView, Permission};
use yoke_core::postgres::StopMode;

impl Database {
    pub(super) fn take_permission(&mut self, new: Permission) {
        if new.order() > self.guard.permission.order() {
            self.guard.permission = new;
            // A leader that was elected again takes its running database along into its new term.
            if let Some(serving) = &mut self.guard.serving
                && !self.guard.fencing
                && new.lasts != yoke_core::permission::Lasts::Ended
            {
                *serving = new.term;
            }
        }
    }

    /// R10: what serves without permission is killed, whatever is under way.
    pub(super) fn fence(&mut self, now: Instant) {
        let over = self.guard.permission.is_over(now);
        if self.guard.serving.is_none() || self.guard.fencing || !over {
            return;
        }
        self.guard.fencing = true;
        self.say("is fenced by the guard");
        self.stop(StopMode::Now, now);
    }

    pub(super) fn guard_news(&mut self) -> Option<GuardView> {
        let view = self.guard;
        let steward = self.steward.as_mut()?;
        if steward.told_guard == Some(view) {
            return None;
        }
        steward.told_guard = Some(view);
        Some(view)
    }

    /// The guard dies, its database with it, and a new one is started.
    pub(crate) fn guard_is_replaced(&mut self) {
        self.dies("dies with its guard");
        self.guard = GuardView::NEW;
    }

    /// The host loses its power: no guard, no process.
    pub(super) fn power_lost(&mut self) {
        self.guard = GuardView::NEW;
        self.process = Process::Gone;
        self.steward = None;
        self.said.clear();
    }
}
