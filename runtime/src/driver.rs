//! The one task that owns the node and the steward. Everything else reaches them by an event, and they reach everything
//! else by an action: in here nothing waits for a disk, a peer, a database or a process.

use crate::admin::{Request, Response, desk::Desk};
use crate::clock;
use crate::guard::GuardReply;
use crate::hands::{Hands, HandsError};
use crate::hooks::Announcer;
use crate::log::named;
use crate::peer::Mailbox;
use crate::persister::Persister;
use crate::postgres::{Context, lost};
use crate::upgrade::{Replacement, Successor};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};
use yoke_core::event::Boot;
use yoke_core::member::MemberId;
use yoke_core::operator::{Command, LEAST_STEP};
use yoke_core::postgres::{PgState, PgStatus};
use yoke_core::step::Outcome;
use yoke_core::steward::{StewardAction, StewardEvent, StewardReason};
use yoke_core::{Action, Config, Duration, Event, HardState, Instant, Message, Node, Steward};

/// What reaches the driver from the rest of the daemon.
#[derive(Debug)]
pub enum Input {
    /// A member said something.
    Received {
        /// Who, as its connection proved.
        from: MemberId,
        /// What.
        message: Box<Message>,
    },
    /// A state is durable.
    Persisted {
        /// Which.
        seq: u64,
    },
    /// A step that the daemon itself carries out is over.
    Stepped {
        /// The order's number.
        number: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// An operator asks.
    Operator {
        /// What.
        request: Request,
        /// Where the answer goes.
        answer: oneshot::Sender<Response>,
    },
    /// The daemon was told to end.
    Stop,
    /// It has to end now, and its database with it, in whatever order that leaves.
    Abort,
    /// The daemon was told to replace itself.
    Replace,
}

/// Everything that the driver acts by.
pub struct Driver {
    config: Config,
    desk: Desk,
    node: Node,
    /// The database's side; a witness has none.
    database: Option<Database>,
    mailboxes: HashMap<MemberId, Arc<Mailbox>>,
    persister: Persister,
    replacement: Replacement,
    hooks: Announcer,
    aborted: bool,
    /// Operators that wait for a reply.
    waiting: HashMap<u64, oneshot::Sender<Response>>,
    requests: u64,
    /// What the machines have said to each other and is not handled yet.
    inner: VecDeque<Inner>,
    ended: bool,
}

/// What a member with data has besides its node.
struct Database {
    steward: Steward,
    hands: Hands,
    context: Arc<Context>,
    /// Since it last streamed or served, it was not seen rewritten: what was kept before is pruned.
    pruned: bool,
}

/// What one machine, or this host's guard, has for another.
enum Inner {
    Node(Event),
    Steward(StewardEvent),
}

/// What a driver is made of.
pub struct Parts {
    /// The node's configuration.
    pub config: Config,
    /// What operators are told.
    pub desk: Desk,
    /// What was on disk.
    pub state: Option<HardState>,
    /// This run's beginning.
    pub boot: Boot,
    /// Guard and sessions, and what the database is; none on a witness.
    pub hands: Option<(Hands, Context)>,
    /// To the other members.
    pub mailboxes: HashMap<MemberId, Arc<Mailbox>>,
    /// To the disk.
    pub persister: Persister,
    /// What the daemon becomes by an upgrade.
    pub successor: Successor,
    /// To those who go by where this member stands.
    pub hooks: Announcer,
}

impl Driver {
    /// Node and steward at the daemon's start.
    pub fn new(parts: Parts) -> Self {
        let node = Node::new(parts.config.clone(), parts.state, parts.boot.clone());
        let database = parts.hands.map(|(hands, context)| Database {
            steward: Steward::new(parts.config.clone(), parts.boot),
            hands,
            context: Arc::new(context),
            pruned: false,
        });
        Driver {
            config: parts.config,
            desk: parts.desk,
            node,
            database,
            mailboxes: parts.mailboxes,
            persister: parts.persister,
            replacement: Replacement::by(parts.successor),
            hooks: parts.hooks,
            aborted: false,
            waiting: HashMap::new(),
            requests: 0,
            inner: VecDeque::new(),
            ended: false,
        }
    }

    /// Runs until the node says that all is in order to end; the guard has ended then too.
    ///
    /// # Errors
    /// The guard is gone, and the database with it; or there was no time for order.
    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>) -> Result<(), HandsError> {
        self.drain_node();
        self.drain_steward();
        self.settle();
        while !self.ended {
            let due = self.next_timeout();
            let until = due.map_or(Duration::secs(3600), |at| at.since(clock::now()));
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => self.take_in(input),
                    None => return Ok(()), // every sender is gone: the runtime is being shut down
                },
                reply = guard_reply(self.database.as_mut()) => self.take_guard(reply?),
                () = tokio::time::sleep(clock::std_duration(until)) => {}
            }
            if let Some(due) = due {
                note_lateness(&self.config, due);
            }
            self.ring();
            self.settle();
            self.tell_standing();
            self.replacement.happen();
        }
        if let Some(database) = &mut self.database {
            database.hands.dismiss().await;
        }
        match self.aborted {
            true => Err(HandsError::Aborted),
            false => Ok(()),
        }
    }

    fn take_in(&mut self, input: Input) {
        let event = match input {
            Input::Received { from, message } => {
                self.desk.heard(clock::now(), from, &message);
                Event::Received { from, message }
            }
            Input::Persisted { seq } => {
                self.replacement.durable(seq);
                Event::Persisted { seq }
            }
            Input::Stepped { number, outcome } => {
                let outcome = StewardEvent::Outcome { number, outcome };
                return self.inner.push_back(Inner::Steward(outcome));
            }
            Input::Operator { request, answer } => match self.operator(request, answer) {
                Some(event) => event,
                None => return,
            },
            Input::Stop => {
                self.replacement.forbid();
                Event::Stop
            }
            Input::Abort => {
                self.aborted = true;
                self.ended = true;
                return;
            }
            Input::Replace => {
                self.replacement.ask();
                return;
            }
        };
        self.inner.push_back(Inner::Node(event));
    }

    fn operator(&mut self, request: Request, answer: oneshot::Sender<Response>) -> Option<Event> {
        match request {
            Request::List => {
                // Whoever asked may be gone: then nobody misses the answer.
                let report = self
                    .desk
                    .report(clock::now(), self.node.view(), self.hooks.shown());
                let _ = answer.send(Response::Report(Box::new(report)));
                None
            }
            Request::Lost => {
                match &self.database {
                    Some(database) => {
                        let context = Arc::clone(&database.context);
                        tokio::task::spawn_blocking(move || {
                            let list = lost::list(&context);
                            let _ = answer.send(list.map_or_else(Response::Failed, Response::Lost));
                        });
                    }
                    None => {
                        let _ = answer.send(Response::Lost(Vec::new()));
                    }
                }
                None
            }
            Request::Demote => {
                info!("an operator asks to hand the primary's role over");
                Some(self.command(Command::Demote, answer))
            }
            Request::Pause => {
                info!("an operator asks to pause the cluster");
                Some(self.command(Command::Pause, answer))
            }
            Request::Resume => {
                info!("an operator asks to end the pause");
                Some(self.command(Command::Resume, answer))
            }
            Request::Reinit => {
                warn!("an operator asks for a fresh copy in the place of this one");
                Some(self.command(Command::Reinit, answer))
            }
            Request::Vouch { members } => match self.ids(&members) {
                Ok(ids) => {
                    warn!("an operator vouches for {}", members.join(", "));
                    let step = a_step();
                    Some(self.command(Command::Vouch { members: ids, step }, answer))
                }
                Err(why) => {
                    let _ = answer.send(Response::Failed(why)); // it may have gone
                    None
                }
            },
            Request::Adopt => {
                warn!("an operator asks to make this copy the cluster's database");
                Some(self.command(Command::Adopt { step: a_step() }, answer))
            }
        }
    }

    fn command(&mut self, command: Command, answer: oneshot::Sender<Response>) -> Event {
        self.waiting.retain(|_, waiting| !waiting.is_closed());
        self.requests += 1;
        self.waiting.insert(self.requests, answer);
        Event::Operator {
            request: self.requests,
            command,
        }
    }

    /// Tells those who go by it where this member stands.
    fn tell_standing(&mut self) {
        if let Some(database) = &self.database
            && let Some(run) = self.hooks.tell(&self.node.view())
        {
            database.hands.admits(run);
        }
    }

    fn ids(&self, names: &[String]) -> Result<Vec<MemberId>, String> {
        let id = |name: &String| {
            self.config
                .ids()
                .find(|m| self.config.name(*m) == name)
                .ok_or_else(|| {
                    let all = self.desk.names().join(", ");
                    format!("no member is called {name}: the members are {all}")
                })
        };
        names.iter().map(id).collect()
    }

    fn take_guard(&mut self, reply: GuardReply) {
        let event = match reply {
            GuardReply::View(view) => {
                self.inner.push_back(Inner::Node(Event::Guard(view)));
                StewardEvent::Guard(view)
            }
            GuardReply::Answer { number, outcome } => StewardEvent::Outcome { number, outcome },
            GuardReply::Progress {
                number,
                done,
                total,
            } => StewardEvent::Progress {
                number,
                done,
                total,
            },
            GuardReply::Vip(vip) => return self.hooks.vip_is(vip),
            GuardReply::Explain(text) | GuardReply::Refused(text) => {
                return info!("guard: {}", self.named(&text));
            }
        };
        self.inner.push_back(Inner::Steward(event));
    }

    /// The earliest time that either machine waits for.
    fn next_timeout(&self) -> Option<Instant> {
        let steward = self
            .database
            .as_ref()
            .and_then(|d| d.steward.next_timeout());
        [self.node.next_timeout(), steward]
            .into_iter()
            .flatten()
            .min()
    }

    /// Tells each machine whose time has come.
    fn ring(&mut self) {
        let now = clock::now();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.node.next_timeout()) {
            self.inner.push_back(Inner::Node(Event::Timeout));
        }
        if is_due(
            self.database
                .as_ref()
                .and_then(|d| d.steward.next_timeout()),
        ) {
            self.inner.push_back(Inner::Steward(StewardEvent::Timeout));
        }
    }

    /// Handles what is there, and what comes of it, until nothing is left: one event, then all its actions.
    fn settle(&mut self) {
        while let Some(inner) = self.inner.pop_front() {
            // Read after what is handled was received.
            let now = clock::now();
            match inner {
                Inner::Node(event) => {
                    self.node.handle(now, event);
                    self.drain_node();
                }
                Inner::Steward(event) => {
                    if let Some(database) = &mut self.database {
                        database.steward.handle(now, event);
                    }
                    self.drain_steward();
                }
            }
        }
    }

    fn drain_node(&mut self) {
        while let Some(action) = self.node.poll_action() {
            match action {
                Action::Persist { seq, state } => {
                    self.replacement.not_durable(seq);
                    self.persister.persist(seq, state);
                }
                Action::Send { to, message } => {
                    if let Some(mailbox) = self.mailboxes.get(&to) {
                        mailbox.put(*message);
                    }
                }
                Action::Postgres(target) => {
                    debug!("target {}: {:?}", target.seq, target.want);
                    let inner = match self.database {
                        Some(_) => Inner::Steward(StewardEvent::Target(target)),
                        None => Inner::Node(Event::Postgres(Box::new(witness(target.seq)))),
                    };
                    self.inner.push_back(inner);
                }
                Action::Guard(permission) => match &mut self.database {
                    Some(database) => database.hands.permit(permission),
                    // A witness has nothing to guard: whatever it is told holds.
                    None => self.inner.push_back(Inner::Node(Event::Guard(
                        yoke_core::permission::GuardView {
                            permission,
                            ..yoke_core::permission::GuardView::NEW
                        },
                    ))),
                },
                Action::Reply { request, outcome } => {
                    if let Some(answer) = self.waiting.remove(&request) {
                        let _ = answer.send(Response::Outcome(outcome)); // it may have gone
                    }
                }
                Action::Explain(reason) => info!("{}", self.named(&reason.to_string())),
                Action::Exit => self.ended = true,
            }
        }
    }

    fn drain_steward(&mut self) {
        while let Some(action) = self
            .database
            .as_mut()
            .and_then(|database| database.steward.poll_action())
        {
            match action {
                StewardAction::Order(order) => {
                    debug!(
                        "order {} of term {}: {}",
                        order.number, order.term, order.step
                    );
                    if let Some(database) = &mut self.database {
                        database.hands.carry_out(order);
                    }
                }
                StewardAction::Status(status) => {
                    self.desk.database(clock::now(), &status);
                    if let Some(database) = &mut self.database {
                        database.prune(&status.state);
                    }
                    self.inner.push_back(Inner::Node(Event::Postgres(status)));
                }
                StewardAction::Explain(reason) => {
                    let text = reason.to_string();
                    let text = self.named(&text);
                    match reason {
                        // Somebody may have to do something about it.
                        StewardReason::Failed { .. } | StewardReason::Stuck(_) => warn!("{text}"),
                        _ => info!("{text}"),
                    }
                }
            }
        }
    }

    fn named<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        named(text, &self.desk.names())
    }
}

impl Database {
    /// What was kept of earlier copies is pruned once the one that took their place streams, or serves.
    fn prune(&mut self, state: &PgState) {
        match state {
            PgState::Rewriting { .. } => self.pruned = false,
            PgState::Standby {
                streaming: true, ..
            }
            | PgState::Primary(_)
                if !self.pruned =>
            {
                self.pruned = true;
                let context = Arc::clone(&self.context);
                // A directory may be large: nobody waits for it.
                tokio::task::spawn_blocking(move || {
                    for text in lost::prune(&context) {
                        info!("{text}");
                    }
                });
            }
            _ => {}
        }
    }
}

/// Waits for the guard; for ever where there is none.
async fn guard_reply(database: Option<&mut Database>) -> Result<GuardReply, HandsError> {
    match database {
        Some(database) => database.hands.reply().await,
        None => std::future::pending().await,
    }
}

/// What a member without a database reports of it.
fn witness(target: u64) -> PgStatus {
    PgStatus {
        target,
        state: PgState::NoData,
        ..PgStatus::unknown()
    }
}

/// By how much an operator's word raises the term (R12, R17): two words in two places never make the same one.
fn a_step() -> u64 {
    LEAST_STEP + u64::from(rand::random::<u32>())
}

/// A daemon that was held up explains much of what follows: it is said.
fn note_lateness(config: &Config, due: Instant) {
    let late = clock::now().since(due);
    if late > config.heartbeat() {
        warn!("this daemon did not run for {late}: the host is overloaded, or was paused");
    }
}
