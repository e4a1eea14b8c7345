//! The guard's process: a socket to the daemon, a timer, and the steps that it carries out.

use crate::choices::About;
use crate::event::Ev;
use crate::host::{Input, ToGuard};
use crate::queue::Alarm;
use crate::world::World;
use yoke_core::Guard;
use yoke_core::guard::{GuardAction, GuardEvent};
use yoke_core::step::Step;

impl World {
    pub(crate) fn tells_guard(&mut self, h: usize, what: ToGuard) {
        let delay = self.choices.within(About::Socket, h, 0, 20, 300);
        let at = (self.now + delay).max(self.hosts[h].socket[0] + 1);
        self.hosts[h].socket[0] = at;
        let daemon = self.hosts[h].daemon_runs;
        self.after(at - self.now, Ev::ToGuard { h, daemon, what });
    }

    /// The guard hears its daemon.
    pub(crate) fn on_to_guard(&mut self, h: usize, what: ToGuard) {
        let event = match what {
            ToGuard::Permission(permission) => {
                self.say(h, || format!("guard: permission {permission}"));
                GuardEvent::Permission(permission)
            }
            ToGuard::Order(order) => GuardEvent::Order(*order),
        };
        let stop = match &event {
            GuardEvent::Order(order) => match order.step {
                Step::Stop(mode) => Some((order.number, mode)),
                _ => None,
            },
            _ => None,
        };
        let hears = !self.guard_paused(h);
        self.guard_handles(h, event);
        if let Some((number, mode)) = stop.filter(|_| hears) {
            self.check_stop(h, number, mode);
        }
    }

    /// The guard takes something in.
    pub(crate) fn guard_handles(&mut self, h: usize, event: GuardEvent) {
        if self.guard_paused(h) {
            self.hosts[h].guard_backlog.push(event);
            return;
        }
        let now = self.hosts[h].clock.at(self.now);
        let gone = match &event {
            GuardEvent::Gone { run } => Some(*run),
            _ => None,
        };
        if let Some(guard) = &mut self.hosts[h].guard {
            if let GuardEvent::Permission(permission) = &event {
                self.oracles.specification.takes(h, *permission);
            }
            self.oracles.guards[h].hears(now, &event);
            guard.handle(now, event);
            self.core_steps += 1;
            self.guard_drains(h);
            self.check_guard_view(h);
        }
        if let Some(run) = gone {
            self.stops_end(h, run);
        }
    }

    /// Whether the guard does not run for now.
    pub(crate) fn guard_paused(&self, h: usize) -> bool {
        self.hosts[h].guard.is_some() && self.hosts[h].guard_paused_until > self.now
    }

    /// A pause of the guard alone may be over.
    pub(crate) fn guard_resumes(&mut self, h: usize) {
        let host = &mut self.hosts[h];
        if host.guard_paused_until == 0 || host.guard_paused_until > self.now {
            return;
        }
        host.guard_paused_until = 0;
        let excused = host.config.fencing().0;
        host.excused_until = host.excused_until.max(self.now + excused);
        self.after(excused, Ev::Recheck);
        self.say(h, || "guard: runs again".into());
        // It looks at its deadline first.
        let (first, then) = std::mem::take(&mut self.hosts[h].guard_backlog)
            .into_iter()
            .partition::<Vec<_>, _>(|event| matches!(event, GuardEvent::Timeout));
        for event in first.into_iter().chain(then) {
            self.guard_handles(h, event);
        }
        if self.hosts[h].guard.is_some() {
            self.guard_drains(h);
        }
    }

    pub(crate) fn guard_drains(&mut self, h: usize) {
        let (mut fences, mut begun) = (false, None);
        while let Some(action) = self.hosts[h].guard.as_mut().and_then(Guard::poll_action) {
            self.digest.note((self.now, h, &action));
            self.oracles.guards[h].does(&action);
            match action {
                GuardAction::Execute { order, run } => {
                    self.stirred_at = self.now;
                    begun = Some(order.number);
                    self.step_begins(h, order, run)
                }
                GuardAction::EndOrder { number } => {
                    self.say(h, || format!("guard: ends step {number}"));
                    self.step_ends(h, number);
                }
                GuardAction::Kill { run } => {
                    self.say(h, || format!("guard: FENCES {run}"));
                    self.coverage.fences += 1;
                    fences = true;
                    self.kill(h, run);
                }
                GuardAction::Answer { number, outcome } => {
                    self.tells_daemon(h, Input::Outcome { number, outcome })
                }
                GuardAction::View(view) => self.tells_daemon(h, Input::Guard(Box::new(view))),
                GuardAction::Explain(reason) => {
                    self.say(h, || format!("guard: {reason}"));
                    self.observe_guard(h, &reason);
                }
            }
        }
        if fences {
            self.check_fence(h, begun);
        }
        let Some(guard) = &self.hosts[h].guard else {
            return;
        };
        self.digest.note((h, guard.view(), guard.next_timeout()));
        let due = guard.next_timeout();
        let due = due.map(|due| self.hosts[h].clock.real(due).max(self.now + 1));
        if due == self.hosts[h].guard_due && self.queue.alarm_at(Alarm::Guard(h)).is_some() {
            return;
        }
        self.hosts[h].guard_due = due;
        // It is woken a little late.
        let most = self.scenario.decision_timeout / 50;
        let at = due.map(|due| {
            due + self
                .choices
                .skewed(About::GuardWakes, h, 0, (50, 2_000), 20, (2_000, most))
        });
        self.queue.set(Alarm::Guard(h), at);
    }
}
