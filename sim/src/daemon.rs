//! The daemon's task: takes in one thing at a time, drains node and steward, and may die between any two actions.

use crate::choices::About;
use crate::host::{Daemon, Input, ToGuard};
use crate::scenario::Trigger;
use crate::world::{Ev, World};
use std::collections::VecDeque;
use std::sync::Arc;
use yoke_core::event::Event;
use yoke_core::member::MemberId;
use yoke_core::postgres::{GateStatus, PgState, PgStatus};
use yoke_core::reason::Reason;
use yoke_core::record::Copy;
use yoke_core::step::Step;
use yoke_core::steward::{StewardAction, StewardEvent};
use yoke_core::{Action, HardState};

/// For one of the two machines.
pub(crate) enum Inner {
    Node(Event),
    Steward(StewardEvent),
}

impl World {
    /// The daemon's task takes something in, if it runs.
    pub(crate) fn daemon_gets(&mut self, h: usize, input: Input) {
        let now = self.now;
        let host = &mut self.hosts[h];
        let Some(daemon) = &mut host.daemon else {
            return;
        };
        if daemon.paused_until > now {
            daemon.backlog.push_back(input);
            return;
        }
        let inner = match input {
            Input::Timer(token) => {
                if !daemon.timer.comes(token) {
                    return;
                }
                vec![
                    Inner::Node(Event::Timeout),
                    Inner::Steward(StewardEvent::Timeout),
                ]
            }
            Input::Received(from, message) => vec![Inner::Node(Event::Received {
                from: MemberId(from as u8),
                message: *message,
            })],
            Input::Persisted(seq) => {
                if matches!(host.armed, Some((Trigger::Persisted, ..))) {
                    self.armed_strikes(h);
                    return;
                }
                vec![Inner::Node(Event::Persisted { seq })]
            }
            Input::Guard(view) => vec![
                Inner::Node(Event::Guard(view)),
                Inner::Steward(StewardEvent::Guard(view)),
            ],
            Input::Outcome { number, outcome } => {
                self.digest.note((h, number, &outcome));
                vec![Inner::Steward(StewardEvent::Outcome { number, outcome })]
            }
            Input::Progress {
                number,
                done,
                total,
            } => {
                vec![Inner::Steward(StewardEvent::Progress {
                    number,
                    done,
                    total,
                })]
            }
            Input::Operator(request, command) => {
                vec![Inner::Node(Event::Operator { request, command })]
            }
            Input::Stop => vec![Inner::Node(Event::Stop)],
        };
        self.daemon_handles(h, inner);
    }

    /// One input after the other, each machine drained before its next.
    pub(crate) fn daemon_handles(&mut self, h: usize, first: Vec<Inner>) {
        let Some(mut daemon) = self.hosts[h].daemon.take() else {
            return;
        };
        let now = self.hosts[h].clock.at(self.now);
        #[cfg(feature = "mutants")]
        self.goes_back_to_2015(h, &mut daemon);
        let mut queue = VecDeque::from(first);
        let fresh = queue.is_empty();
        let mut alive = true;
        if fresh {
            alive = self.node_drains(h, &mut daemon, &mut queue)
                && self.steward_drains(h, &mut daemon, &mut queue);
        }
        while alive && let Some(inner) = queue.pop_front() {
            self.core_steps += 1;
            alive = match inner {
                Inner::Node(event) => {
                    daemon.handle(now, event);
                    self.node_drains(h, &mut daemon, &mut queue)
                }
                Inner::Steward(event) => {
                    daemon.steward.handle(now, event);
                    self.steward_drains(h, &mut daemon, &mut queue)
                }
            };
        }
        let due = [daemon.next_timeout(), daemon.steward.next_timeout()]
            .into_iter()
            .flatten()
            .min();
        if let Some(due) = due {
            let at = self.hosts[h].clock.real(due).max(self.now + 1);
            if let Some(token) = daemon.timer.set(at) {
                let run = self.hosts[h].daemon_runs;
                self.after(
                    at - self.now,
                    Ev::ToDaemon {
                        h,
                        daemon: run,
                        input: Input::Timer(token),
                    },
                );
            }
        }
        let view = daemon.view();
        self.note_daemon(&daemon, &view, due);
        self.hosts[h].daemon = Some(daemon);
        if alive {
            self.on_view(h, &view);
        } else {
            self.armed_strikes(h);
        }
    }

    /// Whether the daemon lives on after this action.
    pub(crate) fn survives_action(&mut self, h: usize, trigger: Option<Trigger>) -> bool {
        match &mut self.hosts[h].armed {
            Some((Trigger::Actions(0), ..)) => false,
            Some((Trigger::Actions(left), ..)) => {
                *left -= 1;
                true
            }
            Some((armed, ..)) => Some(*armed) != trigger,
            None => true,
        }
    }

    pub(crate) fn node_drains(
        &mut self,
        h: usize,
        daemon: &mut Daemon,
        queue: &mut VecDeque<Inner>,
    ) -> bool {
        while let Some(action) = daemon.poll_action() {
            self.digest.note((self.now, h, &action));
            self.coverage.actions += 1;
            match action {
                Action::Persist { seq, state } => self.persist(h, seq, Arc::new(*state)),
                Action::Send { to, message } => self.send(h, usize::from(to.0), message),
                Action::Postgres(target) => {
                    self.say(h, || {
                        format!(
                            "target {} term {}: {:?}",
                            target.seq, target.term, target.want
                        )
                    });
                    queue.push_back(Inner::Steward(StewardEvent::Target(target)));
                }
                Action::Guard(permission) => self.tells_guard(h, ToGuard::Permission(permission)),
                Action::Reply { request, outcome } => self.on_reply(h, request, &outcome),
                Action::Explain(reason) => {
                    self.say(h, || format!("node: {reason}"));
                    match &reason {
                        Reason::Forgot { .. } | Reason::CopyFellBack { .. } => {
                            self.on_loss_noticed(h, &reason.to_string());
                        }
                        Reason::Rejoined { .. } => self.on_rejoined(h),
                        _ => {}
                    }
                }
                Action::Exit => {
                    self.say(h, || "daemon: exits".into());
                    let away = self.hosts[h].away;
                    self.hosts[h].armed = Some((Trigger::Actions(0), false, away));
                    return false;
                }
            }
            if !self.survives_action(h, None) {
                return false;
            }
        }
        true
    }

    pub(crate) fn steward_drains(
        &mut self,
        h: usize,
        daemon: &mut Daemon,
        queue: &mut VecDeque<Inner>,
    ) -> bool {
        while let Some(action) = daemon.steward.poll_action() {
            let mut trigger = None;
            match action {
                StewardAction::Order(order) => {
                    trigger = match &order.step {
                        Step::Promote => Some(Trigger::Promotion),
                        Step::WriteSettings(s) if s.gate.is_some() => Some(Trigger::Gate),
                        _ => None,
                    };
                    if order.step.is_guards() {
                        self.tells_guard(h, ToGuard::Order(order));
                    } else {
                        self.daemon_step(h, order);
                    }
                }
                StewardAction::Status(status) => {
                    self.digest.note((self.now, h, &status));
                    if self.trace.is_on() {
                        let words = status_in_words(&status);
                        if words != self.hosts[h].last_status {
                            self.say(h, || format!("status: {words}"));
                            self.hosts[h].last_status = words;
                        }
                    }
                    queue.push_back(Inner::Node(Event::Postgres(status)));
                }
                StewardAction::Explain(reason) => self.say(h, || format!("steward: {reason}")),
            }
            if !self.survives_action(h, trigger) {
                return false;
            }
        }
        true
    }

    /// The armed crash happens.
    pub(crate) fn armed_strikes(&mut self, h: usize) {
        let Some((_, whole_host, down)) = self.hosts[h].armed.take() else {
            return;
        };
        if whole_host {
            self.host_dies(h);
            self.after(down, Ev::BootHost { h });
        } else {
            self.daemon_dies(h);
            self.after(down, Ev::StartDaemon { h });
        }
    }

    pub(crate) fn persist(&mut self, h: usize, seq: u64, state: Arc<HardState>) {
        self.say(h, || {
            let record = state.record.as_ref().map_or("-".into(), |r| r.to_string());
            format!(
                "persist {seq}: term {} voted {:?} record {record}",
                state.term, state.voted_for
            )
        });
        let disk = &mut self.hosts[h].disk;
        if disk.under_way.is_some() {
            disk.next = Some((seq, state));
        } else {
            disk.under_way = Some((seq, state));
            self.sync_begins(h);
        }
    }

    pub(crate) fn sync_begins(&mut self, h: usize) {
        let mut time =
            self.choices
                .skewed(About::StateSync, h, 0, (200, 6_000), 10, (10_000, 200_000));
        let disk = &mut self.hosts[h].disk;
        if disk.slow_until > self.now {
            time += 200_000 + time * 40;
        }
        disk.token += 1;
        let token = disk.token;
        self.after(time, Ev::Synced { h, token });
    }

    /// A sync of the state file is done.
    pub(crate) fn on_synced(&mut self, h: usize, token: u64) {
        let disk = &mut self.hosts[h].disk;
        if disk.token != token {
            return;
        }
        let Some((seq, state)) = disk.under_way.take() else {
            return;
        };
        disk.durable = Some(state);
        disk.under_way = disk.next.take();
        if disk.under_way.is_some() {
            self.sync_begins(h);
        }
        self.daemon_gets(h, Input::Persisted(seq));
    }

    pub(crate) fn tells_daemon(&mut self, h: usize, input: Input) {
        let delay = self.choices.within(About::SocketBack, h, 0, 20, 300);
        let at = (self.now + delay).max(self.hosts[h].socket[1] + 1);
        self.hosts[h].socket[1] = at;
        let daemon = self.hosts[h].daemon_runs;
        self.after(at - self.now, Ev::ToDaemon { h, daemon, input });
    }

    /// How far a clone is.
    pub(crate) fn clone_progress(&mut self, h: usize, number: u64, done: u64, total: u64) {
        self.tells_daemon(
            h,
            Input::Progress {
                number,
                done,
                total,
            },
        );
    }
}

/// A status in a few words, without what changes all the time.
fn status_in_words(status: &PgStatus) -> String {
    let copy = status.copy.map_or("-".into(), |c| c.to_string());
    let fault = status
        .fault
        .as_ref()
        .map_or(String::new(), |f| format!(" FAULT {f}"));
    let state = match &status.state {
        PgState::Standby { of, streaming, .. } => format!(
            "standby of {of:?}{}",
            if *streaming { ", streams" } else { "" }
        ),
        PgState::Primary(primary) => {
            let standbys: Vec<Copy> = primary
                .standbys
                .iter()
                .filter(|s| s.streaming)
                .map(|s| s.copy)
                .collect();
            let gate = match &primary.gate {
                GateStatus::Open { names, since } => format!("open {names:?} since {since}"),
                other => format!("{other:?}"),
            };
            format!(
                "primary since term {}, gate {gate}, doors {:?}, streaming {standbys:?}",
                primary.promoted_in, primary.doors
            )
        }
        other => format!("{other:?}"),
    };
    format!("for {} copy {copy} {state}{fault}", status.target)
}
