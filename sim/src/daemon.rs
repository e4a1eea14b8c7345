//! The daemon's task: takes in one thing at a time, drains node and steward, and may die between any two actions.

use crate::choices::About;
use crate::event::Ev;
use crate::host::{Daemon, Input, ToGuard};
use crate::oracle::decides::told;
use crate::queue::Alarm;
use crate::scenario::{Blow, Trigger};
use crate::world::World;
use std::collections::VecDeque;
use std::sync::Arc;
use yoke_core::event::Event;
use yoke_core::member::MemberId;
use yoke_core::message::Body;
use yoke_core::operator::Command;
use yoke_core::postgres::{GateStatus, PgState, PgStatus, StopMode, Want};
use yoke_core::reason::Reason;
use yoke_core::record::Copy;
use yoke_core::step::Step;
use yoke_core::steward::{StewardAction, StewardEvent};
use yoke_core::view::RoleView;
use yoke_core::{Action, HardState, Instant};

/// The two machines answer each other, at once, so often at most.
const MOST_AT_ONCE: u64 = 1000;

/// For one of the two machines.
#[derive(Debug)]
pub(crate) enum Inner {
    Node(Event),
    Steward(StewardEvent),
}

impl Daemon {
    fn node_gets(&mut self, event: Event) {
        self.due.push_back(Inner::Node(event));
    }

    fn steward_gets(&mut self, event: StewardEvent) {
        self.due.push_back(Inner::Steward(event));
    }
}

impl World {
    /// The daemon's task takes something in, if it runs.
    pub(crate) fn daemon_gets(&mut self, h: usize, input: Input) {
        self.observe_input(h, &input);
        let now = self.now;
        let host = &mut self.hosts[h];
        let Some(daemon) = &mut host.daemon else {
            return;
        };
        if daemon.paused_until > now {
            daemon.backlog.push_back(input);
            return;
        }
        let mut heard = None;
        match input {
            Input::Timer => {
                // Each machine whose time has come, as the runtime does it.
                let now = host.clock.at(now);
                let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
                if is_due(daemon.next_timeout()) {
                    daemon.node_gets(Event::Timeout);
                }
                if is_due(daemon.steward.next_timeout()) {
                    daemon.steward_gets(StewardEvent::Timeout);
                }
            }
            Input::Received(from, message) => {
                let now = host.clock.at(now);
                let glance = daemon.glance();
                let deaf = glance.role == RoleView::WithoutState
                    || glance.postgres.state == PgState::Unknown && self.scenario.members[h];
                let spec = &mut self.oracles.specification;
                spec.hears(h, from, &message, now, deaf);
                heard = told(from, &message);
                let from = MemberId(from as u8);
                daemon.node_gets(Event::Received { from, message });
            }
            Input::Persisted(seq) => {
                if matches!(host.armed, Some((Trigger::Persisted, ..))) {
                    self.armed_strikes(h);
                    self.daemon_gets(h, input);
                    return;
                }
                daemon.node_gets(Event::Persisted { seq });
            }
            Input::Guard(view) => {
                daemon.node_gets(Event::Guard(*view));
                daemon.steward_gets(StewardEvent::Guard(*view));
            }
            Input::Outcome { number, outcome } => {
                self.digest.note((h, number, &outcome));
                daemon.steward_gets(StewardEvent::Outcome { number, outcome });
            }
            Input::Progress {
                number,
                done,
                total,
            } => daemon.steward_gets(StewardEvent::Progress {
                number,
                done,
                total,
            }),
            Input::Operator(request, command) => {
                if command == Command::Resume {
                    let holds = daemon.node.glance().record.map(|record| record.key);
                    self.oracles.specification.may_stand(h, holds);
                }
                self.oracles.specification.word(h, &command);
                daemon.node_gets(Event::Operator { request, command });
            }
            Input::Stop => {
                self.oracles.specification.members[h].stops = true;
                daemon.node_gets(Event::Stop);
            }
        }
        let run = host.daemon_runs;
        self.daemon_handles(h);
        if let Some(told) = heard.filter(|_| self.hosts[h].daemon_runs == run) {
            self.check_told(h, &told);
        }
    }

    /// One input after the other, each machine drained before its next.
    pub(crate) fn daemon_handles(&mut self, h: usize) {
        let Some(mut daemon) = self.hosts[h].daemon.take() else {
            return;
        };
        let now = self.hosts[h].clock.at(self.now);
        #[cfg(feature = "mutants")]
        self.goes_back_to_2015(h, &mut daemon);
        // Actions may be left from a pause, or from its birth.
        let mut queue = std::mem::take(&mut daemon.due);
        self.hosts[h].left_over = true;
        let mut alive = self.node_drains(h, &mut daemon, &mut queue)
            && self.steward_drains(h, &mut daemon, &mut queue);
        self.hosts[h].left_over = false;
        let mut decided = false;
        let before = self.core_steps;
        while alive && let Some(inner) = queue.pop_front() {
            self.core_steps += 1;
            if self.core_steps - before > MOST_AT_ONCE {
                let what = format!("the node and the steward of m{h} do not come to rest");
                self.violated("liveness", what);
                break;
            }
            alive = match inner {
                Inner::Node(event) => {
                    decided = true;
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
        let clock = self.hosts[h].clock;
        let at = due.map(|due| clock.real(due).max(self.now + 1));
        self.queue.set(Alarm::Daemon(h), at);
        let view = daemon.glance();
        self.note_daemon(&daemon, &view, due);
        self.observe_view(h, &view);
        match alive {
            true => {
                self.on_view(h, &view);
                if decided {
                    self.check_leads(h, &view);
                    self.check_stands(h, &view);
                }
            }
            false => self.on_committed(&view),
        }
        // What it was about, should it live on after a blow.
        daemon.due = queue;
        self.hosts[h].daemon = Some(daemon);
        if alive {
            return;
        }
        let run = self.hosts[h].daemon_runs;
        self.armed_strikes(h);
        let host = &self.hosts[h];
        let lives = host.daemon.as_ref().filter(|_| host.daemon_runs == run);
        if lives.is_some_and(|daemon| daemon.paused_until <= self.now) {
            self.daemon_handles(h);
        }
    }

    /// Whether the daemon goes on after this action, which is one of these moments; else the armed blow strikes.
    pub(crate) fn survives_action(&mut self, h: usize, moments: &[Trigger]) -> bool {
        let host = &mut self.hosts[h];
        host.actions += 1;
        let done = host.actions;
        if let Some((_, blow, time)) = host.counted.take_if(|(at, ..)| done > *at) {
            host.armed = Some((Trigger::Actions(0), blow, time));
            return false;
        }
        match &mut self.hosts[h].armed {
            Some((Trigger::Actions(0), ..)) => false,
            Some((Trigger::Actions(left), ..)) => {
                *left -= 1;
                true
            }
            Some((Trigger::Steps(left), ..)) if moments.contains(&Trigger::Steps(0)) => {
                let goes_on = *left > 0;
                *left = left.saturating_sub(1);
                goes_on
            }
            Some((armed, ..)) => !moments.contains(armed),
            None => true,
        }
    }

    /// A moment of the guard: an armed blow that has counted enough of its kind strikes, before anybody hears of it.
    pub(crate) fn guard_moment(
        &mut self,
        h: usize,
        counted: impl Fn(&mut Trigger) -> Option<&mut u64>,
    ) {
        let Some((armed, ..)) = &mut self.hosts[h].armed else {
            return;
        };
        match counted(armed) {
            Some(0) => self.after(1, Ev::Strike { h }),
            Some(left) => *left -= 1,
            None => {}
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
            let moments: &[Trigger] = match &action {
                Action::Send { message, .. } if matches!(message.body, Body::Release { .. }) => {
                    &[Trigger::Sent, Trigger::Release]
                }
                Action::Send { .. } => &[Trigger::Sent],
                _ => &[],
            };
            match action {
                Action::Persist { seq, state } => self.persist(h, seq, Arc::new(*state)),
                Action::Send { to, message } => self.send(h, usize::from(to.0), message),
                Action::Postgres(target) => {
                    if matches!(target.want, Want::Stopped(_)) {
                        self.oracles.specification.members[h].has_to_stop.1 = false;
                    }
                    self.say(h, || {
                        format!(
                            "target {} term {}: {:?}",
                            target.seq, target.term, target.want
                        )
                    });
                    queue.push_back(Inner::Steward(StewardEvent::Target(target)));
                }
                Action::Guard(permission) => {
                    self.check_gives(h, permission);
                    self.tells_guard(h, ToGuard::Permission(permission));
                }
                Action::Reply { request, outcome } => self.on_reply(h, request, &outcome),
                Action::Explain(reason) => {
                    self.say(h, || format!("node: {reason}"));
                    self.observe_node(h, &reason);
                    match &reason {
                        Reason::Forgot { .. } => {
                            self.on_loss_noticed(h, &reason);
                            self.forgets(h);
                        }
                        Reason::CopyFellBack { .. } | Reason::CopyDoubted { .. } => {
                            self.on_loss_noticed(h, &reason);
                        }
                        Reason::ShrinksFellBack { copy } => {
                            self.check_lost_something(usize::from(copy.member.0), &reason);
                        }
                        Reason::Rejoined { .. } => self.on_rejoined(h),
                        // After a hand-over its target has D/5 to be elected, and nothing else is known here.
                        Reason::Releases { .. } | Reason::StopsLeading => {
                            let host = &self.hosts[h];
                            let d = host.config.decision_timeout;
                            let patience = match reason {
                                Reason::StopsLeading => d,
                                _ => d.part(1, 5),
                            };
                            let until = host.clock.at(self.now) + patience;
                            self.oracles.specification.gives_way(h, until);
                        }
                        Reason::Adopts { record } => self.check_adopts(h, record),
                        Reason::StopsForAnother { .. } | Reason::GivesWay { .. } => {
                            let for_another = matches!(reason, Reason::StopsForAnother { .. });
                            self.oracles.specification.has_to_stop(h, for_another);
                        }
                        _ => {}
                    }
                }
                Action::Exit => {
                    self.say(h, || "daemon: exits".into());
                    let away = self.hosts[h].away;
                    self.hosts[h].armed = Some((Trigger::Actions(0), Blow::Daemon, away));
                    return false;
                }
            }
            if !self.survives_action(h, moments) {
                return false;
            }
        }
        self.check_stopped(h);
        true
    }

    pub(crate) fn steward_drains(
        &mut self,
        h: usize,
        daemon: &mut Daemon,
        queue: &mut VecDeque<Inner>,
    ) -> bool {
        while let Some(action) = daemon.steward.poll_action() {
            let mut moments: &[Trigger] = &[];
            match action {
                StewardAction::Order(order) => {
                    if let Step::Stop(mode) = order.step {
                        let said = &mut self.oracles.specification.members[h];
                        said.hurries = mode == StopMode::Now;
                    }
                    self.check_asks(h, &order);
                    moments = match &order.step {
                        Step::Promote => &[Trigger::Promotion, Trigger::Steps(0)],
                        Step::WriteSettings(s) if s.gate.is_some() => {
                            &[Trigger::Gate, Trigger::Steps(0)]
                        }
                        Step::Canary => &[Trigger::Proof, Trigger::Steps(0)],
                        // Looking changes nothing.
                        Step::Observe | Step::Inspect => &[],
                        _ => &[Trigger::Steps(0)],
                    };
                    if order.step.is_guards() {
                        self.tells_guard(h, ToGuard::Order(Box::new(order)));
                    } else if let Some((number, outcome)) = self.daemon_step(h, order) {
                        self.digest.note((h, number, &outcome));
                        let outcome = StewardEvent::Outcome { number, outcome };
                        queue.push_back(Inner::Steward(outcome));
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
                StewardAction::Explain(reason) => {
                    self.say(h, || format!("steward: {reason}"));
                    self.observe_steward(h, &reason);
                }
            }
            if !self.survives_action(h, moments) {
                return false;
            }
        }
        true
    }

    /// The armed crash happens.
    pub(crate) fn armed_strikes(&mut self, h: usize) {
        let Some((trigger, blow, time)) = self.hosts[h].armed.take() else {
            return;
        };
        self.observe_struck(trigger, blow);
        if trigger != Trigger::Actions(0) {
            self.coverage.happened(trigger.word());
            self.say(h, || format!("FAULT at {trigger}: {blow} {time}"));
        }
        self.strikes(h, blow, time);
    }

    pub(crate) fn persist(&mut self, h: usize, seq: u64, state: Arc<HardState>) {
        self.observe_state(h, &state);
        self.check_writes(h, &state);
        self.check_decides(h, &state);
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
            disk.busy_since = self.now;
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
        let (share, most, until) = disk.tail;
        if until > self.now && self.choices.chance(About::SyncTail, h, 0, share) {
            // Each power of two as likely as the next.
            let top = (most >> self.choices.within(About::SyncTail, h, 1, 0, 8)).max(1);
            time += self.choices.within(About::SyncTail, h, 2, 0, top);
        }
        let disk = &mut self.hosts[h].disk;
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
        if disk.full_until > self.now && disk.under_way.is_some() {
            // The write failed, and is tried again once there is space.
            let space = disk.full_until - self.now;
            self.coverage.happened("(a state write found no space)");
            self.after(space, Ev::Synced { h, token });
            return;
        }
        let Some((seq, state)) = disk.under_way.take() else {
            return;
        };
        let joins = disk.durable.as_ref().is_none_or(|state| state.lost);
        if joins {
            // Until now it was none of a majority.
            self.look_for_trouble();
        }
        let disk = &mut self.hosts[h].disk;
        disk.durable = Some(state);
        disk.under_way = disk.next.take();
        if disk.under_way.is_some() {
            self.sync_begins(h);
        }
        self.on_state_durable(h);
        self.daemon_gets(h, Input::Persisted(seq));
    }

    /// The disk is full no more: the write that failed is tried again.
    pub(crate) fn has_space(&mut self, h: usize) {
        if self.hosts[h].disk.under_way.is_some() {
            self.sync_begins(h);
        }
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
