//! Node, steward and guard of one member, joined as in the daemon, and what is around them.

use super::database::Database;
use super::judge::Judge;
use std::collections::VecDeque;
use yoke_core::event::{Boot, Event};
use yoke_core::guard::{Guard, GuardAction, GuardEvent};
use yoke_core::member::{Member, MemberId, MemberKind};
use yoke_core::message::{Body, HeartbeatReply, Message, Presence, Report, VoteReply};
use yoke_core::permission::GuardView;
use yoke_core::postgres::Lsn;
use yoke_core::record::{CopyId, Term};
use yoke_core::step::{Order, Outcome};
use yoke_core::steward::{Steward, StewardAction, StewardEvent};
use yoke_core::{Action, Config, Duration, HardState, Instant, Node};

/// So often something is due within one step of time: a timer that is never done would hang a daemon.
const DUE: usize = 200;

pub(super) struct Machines {
    config: Config,
    now: Instant,
    node: Node,
    steward: Steward,
    guard: Guard,
    starts: u64,
    /// Written, and not yet durable.
    writing: Option<(u64, HardState)>,
    durable: Option<HardState>,
    /// Steps that were begun and have not ended: whether the guard's.
    steps: VecDeque<(Order, bool)>,
    database: Database,
    /// By peer: the last message that it was sent.
    sent: Vec<Option<Message>>,
    judge: Judge,
    /// For both machines of the daemon.
    inbox: VecDeque<In>,
}

enum In {
    Node(Event),
    Steward(StewardEvent),
    Guard(GuardEvent),
}

impl Machines {
    /// The low bits: which member; then whether there are five; then whether all hold data.
    pub(super) fn new(who: u8) -> Machines {
        let count = if who & 8 == 0 { 3 } else { 5 };
        let data = if who & 16 == 0 { 2 } else { count };
        let members = (0..count).map(|m| Member {
            name: format!("m{m}"),
            kind: if m < data {
                MemberKind::Data
            } else {
                MemberKind::Witness
            },
        });
        let config = Config {
            cluster: "yoke".to_owned(),
            members: members.collect(),
            me: MemberId(who % 8 % count),
            configured_primary: MemberId(0),
            decision_timeout: Duration::secs(5),
            sync_timeout: Duration::secs(2),
            health_timeout: Duration::secs(3),
            #[cfg(feature = "mutants")]
            mutant: None,
        };
        let now = Instant(1_000_000_000);
        let boot = Boot {
            now,
            nonce: 1,
            guard: GuardView::NEW,
        };
        let mut machines = Machines {
            now,
            node: Node::new(config.clone(), None, boot.clone()),
            steward: Steward::new(config.clone(), boot),
            guard: Guard::new(config.clone(), 77),
            starts: 1,
            writing: None,
            durable: None,
            steps: VecDeque::new(),
            database: Database::new(who & 32 == 0),
            sent: vec![None; usize::from(count)],
            judge: Judge::new(&config),
            inbox: VecDeque::new(),
            config,
        };
        machines.settle();
        machines
    }

    pub(super) fn node(&mut self, event: Event) {
        self.take(In::Node(event));
    }

    fn take(&mut self, what: In) {
        self.inbox.push_back(what);
        while let Some(next) = self.inbox.pop_front() {
            match next {
                In::Node(event) => self.node.handle(self.now, event),
                In::Steward(event) => self.steward.handle(self.now, event),
                In::Guard(event) => self.guard.handle(self.now, event),
            }
            self.settle();
        }
    }

    /// Drains all three.
    fn settle(&mut self) {
        while let Some(action) = self.node.poll_action() {
            self.judge.action(self.now, &action, self.durable.as_ref());
            match action {
                Action::Persist { seq, state } => self.writing = Some((seq, *state)),
                Action::Send { to, message } => self.sent[usize::from(to.0)] = Some(*message),
                Action::Postgres(target) => {
                    self.inbox
                        .push_back(In::Steward(StewardEvent::Target(target)));
                }
                Action::Guard(permission) => {
                    self.inbox
                        .push_back(In::Guard(GuardEvent::Permission(permission)));
                }
                Action::Reply { .. } | Action::Explain(_) | Action::Exit => {}
            }
        }
        self.judge.view(&self.node.view());
        while let Some(action) = self.steward.poll_action() {
            match action {
                StewardAction::Order(order) if order.step.is_guards() => {
                    self.inbox.push_back(In::Guard(GuardEvent::Order(order)));
                }
                StewardAction::Order(order) => self.steps.push_back((order, false)),
                StewardAction::Status(status) => {
                    self.inbox.push_back(In::Node(Event::Postgres(status)));
                }
                StewardAction::Explain(_) => {}
            }
        }
        while let Some(action) = self.guard.poll_action() {
            match action {
                GuardAction::Execute { order, run } => {
                    self.judge.executes(self.now, &order, &self.guard.view());
                    self.database.begins(&order.step, run);
                    self.steps.push_back((order, true));
                }
                GuardAction::EndOrder { number } => self.guards_step_ends(number, Outcome::Ended),
                GuardAction::Kill { run } => {
                    self.database.dies();
                    self.inbox.push_back(In::Guard(GuardEvent::Gone { run }));
                }
                GuardAction::Answer { number, outcome } => {
                    let event = StewardEvent::Outcome { number, outcome };
                    self.inbox.push_back(In::Steward(event));
                }
                GuardAction::View(view) => {
                    self.inbox.push_back(In::Node(Event::Guard(view)));
                    self.inbox.push_back(In::Steward(StewardEvent::Guard(view)));
                }
                GuardAction::Explain(_) => {}
            }
        }
    }

    /// So many microseconds; `awake`: timers fire when they are due, not only at the end.
    pub(super) fn passes(&mut self, time: u64, awake: bool) {
        let end = self.now + Duration(time);
        for _ in 0..DUE {
            let due = |due: Option<Instant>| due.filter(|due| *due <= end);
            let next = [
                due(self.node.next_timeout()),
                due(self.steward.next_timeout()),
                due(self.guard.next_timeout()),
            ];
            let Some(first) = next.into_iter().flatten().min() else {
                break;
            };
            self.now = if awake { self.now.max(first) } else { end };
            for (place, due) in next.into_iter().enumerate() {
                if due.is_some_and(|due| due <= self.now) {
                    self.take(match place {
                        0 => In::Node(Event::Timeout),
                        1 => In::Steward(StewardEvent::Timeout),
                        _ => In::Guard(GuardEvent::Timeout),
                    });
                }
            }
        }
        self.now = end;
        self.take(In::Node(Event::Timeout));
    }

    /// The newest state is durable.
    pub(super) fn disk_writes(&mut self) {
        if let Some((seq, state)) = self.writing.take() {
            self.judge.durable(self.durable.as_ref(), &state);
            self.durable = Some(state);
            self.take(In::Node(Event::Persisted { seq }));
        }
    }

    /// The oldest step under way ends: like this, or as it should.
    pub(super) fn step_ends(&mut self, outcome: Option<Outcome>) {
        let Some((order, guards)) = self.steps.pop_front() else {
            return;
        };
        let outcome = outcome.unwrap_or_else(|| self.database.does(&order.step));
        let number = order.number;
        self.take(match guards {
            true => In::Guard(GuardEvent::Outcome { number, outcome }),
            false => In::Steward(StewardEvent::Outcome { number, outcome }),
        });
    }

    fn guards_step_ends(&mut self, number: u64, outcome: Outcome) {
        let before = self.steps.len();
        self.steps
            .retain(|(order, guards)| !guards || order.number != number);
        if self.steps.len() < before {
            let event = GuardEvent::Outcome { number, outcome };
            self.inbox.push_back(In::Guard(event));
        }
    }

    pub(super) fn postmaster_dies(&mut self) {
        if let Some(run) = self.guard.view().run {
            self.database.dies();
            self.take(In::Guard(GuardEvent::Gone { run }));
        }
    }

    /// A peer's answer to the last that it was sent, as one that agrees with everything.
    pub(super) fn peer_agrees(&mut self, peer: usize, how: u8) {
        let peer = peer % self.sent.len();
        let Some(asked) = self.sent[peer].clone() else {
            return;
        };
        let holds = asked.holds;
        let body = match asked.body {
            Body::PreVote(candidacy) | Body::Vote(candidacy) if how > 250 => {
                Body::PreVote(candidacy)
            }
            Body::PreVote(candidacy) => Body::VoteReply(VoteReply {
                round: candidacy.round,
                pre: true,
                refusal: None,
            }),
            Body::Vote(candidacy) => Body::VoteReply(VoteReply {
                round: candidacy.round,
                pre: false,
                refusal: None,
            }),
            Body::Heartbeat(heartbeat) => Body::HeartbeatReply(HeartbeatReply {
                round: heartbeat.round,
                promised: true,
                accepted: holds,
                report: Report {
                    copy: (how & 1 == 1).then_some(CopyId(peer as u64 + 100)),
                    system_id: None,
                    running: how & 2 == 2,
                    stopped: how & 4 == 4,
                    end: Lsn(u64::from(how) * 100),
                    promotion: (Term(0), 0),
                    drained: how & 8 == 8,
                    silent: how & 16 == 16,
                    leaving: how & 32 == 32,
                },
            }),
            Body::Ask { nonce } => Body::Answer {
                nonce,
                has_state: how & 1 == 1,
                stamped: how & 2 == 2,
                lone: false,
                hears: false,
                reached: None,
                made_newest: false,
                promise: Duration::secs(5),
                record: None,
            },
            other => other,
        };
        let message = Message {
            term: asked.term,
            holds,
            presence: Some(Presence {
                start: 9,
                found: 1,
                writes: 1,
            }),
            seen: None,
            body,
        };
        let from = MemberId(peer as u8);
        let message = Box::new(message);
        self.take(In::Node(Event::Received { from, message }));
    }

    /// The daemon dies and comes back: with its state, with a lost one, or with a host that lost its power.
    pub(super) fn restarts(&mut self, how: u8) {
        self.starts += 1;
        if how & 1 == 1 {
            // What was under way has reached the disk, or has not.
            if let Some((_, state)) = self.writing.take() {
                self.judge.durable(self.durable.as_ref(), &state);
                self.durable = Some(state);
            }
        }
        self.writing = None;
        self.inbox.clear();
        self.steps.retain(|(_, guards)| *guards);
        if how & 6 == 6 {
            self.database.dies();
            self.guard = Guard::new(self.config.clone(), 77 + self.starts);
            self.steps.clear();
        }
        if how & 24 == 24 {
            self.durable = None;
        } else if how & 24 == 8 && self.durable.is_some() {
            let names = self.config.members.iter().map(|m| m.name.clone());
            self.durable = Some(HardState::lost(names.collect()));
        }
        self.judge.restarted(self.durable.as_ref());
        let boot = Boot {
            now: self.now,
            nonce: self.starts << 32,
            guard: self.guard.view(),
        };
        self.node = Node::new(self.config.clone(), self.durable.clone(), boot.clone());
        self.steward = Steward::new(self.config.clone(), boot);
        self.settle();
        self.take(In::Node(Event::Timeout));
    }
}
