//! The protocol: who leads, what the record is, what the database should be.
//!
//! Every event first changes what is known (`on_…`), then [`Node::decide`] draws all conclusions from what is known and
//! from the time: it is level-triggered, so that a lost, late or doubled event only delays.

mod adopting;
mod amnesia;
mod asking;
pub mod canonical;
mod election;
mod following;
mod give_way;
mod hand_over;
mod hanging;
mod in_sync;
mod keeping_up;
mod leader;
mod lease;
mod noted;
mod pausing;
mod promise;
mod register;
mod reinit;
mod release;
mod serving;
mod shown;
mod stays_out;
mod target;
mod vouching;

use crate::action::Action;
use crate::config::Config;
use crate::event::{Boot, Event};
use crate::hard_state::{HardState, Noted};
use crate::member::MemberId;
use crate::message::{Body, Message, Reached, RefusedBecause, Sighting};
use crate::mutant;
use crate::operator::{Command, CommandOutcome};
use crate::outbox::Outbox;
use crate::permission::{GuardView, Permission};
use crate::postgres::{PgState, PgStatus, PgTarget, RunId};
use crate::reason::Reason;
use crate::record::{Copy, CopyId, Record, RecordKey, Term};
use crate::rule;
use crate::time::{Duration, Instant};
use amnesia::Memory;
use asking::{Answered, Asking};
use election::Campaign;
use following::Heard;
use hanging::Hanging;
use leader::Leader;
use promise::Promise;
use reinit::Reinit;
use release::Leaving;
use std::sync::Arc;
use vouching::Vouching;

/// One member's protocol machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    config: Config,
    outbox: Outbox,
    /// The time of the event being handled.
    now: Instant,
    /// Fresh random bits of this daemon run, from which nonces are made.
    nonce: u64,
    started: Instant,

    /// What is, or is about to be, on disk. None: this member has no state (R12).
    state: Option<HardState>,
    /// `state` differs from the newest one handed to the outbox.
    dirty: bool,
    /// What this member knows of its own memory (R12).
    memory: Memory,
    /// By member: what was seen of it. Durable with the next write of the state (R12).
    sightings: Vec<Option<Sighting>>,
    /// What this member's own copy certainly was: durable at most a second later (R15).
    noted: Option<Noted>,
    /// When that was last made durable.
    noted_at: Instant,
    /// The furthest that a peer saw this member's copy.
    told: Option<Reached>,
    /// The run in which the copy was found to be what was noted of it.
    checked: Option<(RunId, CopyId)>,
    /// The directory with this copy's name is below what was noted: it is to get a name of its own (R15).
    disowned: Option<CopyId>,

    /// The database, as the steward last said.
    pg: PgStatus,
    /// The guard, as it last said.
    guard: GuardView,
    /// The newest permission given out, or found with the guard.
    given: Permission,
    /// The newest target given out.
    target: Option<PgTarget>,
    /// The one that the steward goes by, as far as it has said, while the newest may wait for a disk.
    in_hand: Option<PgTarget>,

    /// The newest record known committed.
    committed: Option<RecordKey>,
    /// By member: when a message of it last came.
    last_from: Vec<Instant>,
    /// The leader last heard, if it was not this member.
    heard: Option<Heard>,
    /// The newest promise given (R5).
    promise: Option<Promise>,
    /// The highest term that was released (R5): nothing of it, or of a lower one, counts any more.
    released: Term,
    /// Neither votes nor campaigns before this (R5).
    silent_until: Instant,
    /// Does not campaign before this: it gave way (R19), or another is to be elected first.
    yields_until: Instant,
    /// When to campaign next, and when to ask.
    retry_at: Instant,
    /// When it last let another candidate go first.
    let_go_at: Option<Instant>,
    ask_at: Instant,
    campaign: Option<Campaign>,
    /// Counts campaigns and questions.
    rounds: u64,
    asking: Asking,
    /// An operator's word for members that cannot answer (R12).
    vouching: Option<Vouching>,
    /// An operator's word that this member may campaign although this record is paused: a newer one voids it.
    despite_pause: Option<RecordKey>,
    /// An operator's word that this copy is to be replaced.
    reinit: Option<Reinit>,
    /// A message of another member came in this run.
    heard_anybody: bool,
    /// Leads its term.
    leader: Option<Box<Leader>>,
    /// After a release: what remains to be said, and to whom the role goes.
    leaving: Option<Leaving>,
    /// What is known of a database that hangs (R19).
    hanging: Hanging,
    /// Told to stop at this time.
    stopping: Option<Instant>,
    exited: bool,
}

impl Node {
    /// A node at its daemon's start. `state` is what its file held; none: it has no file.
    pub fn new(config: Config, state: Option<HardState>, boot: Boot) -> Self {
        let mut silence = state.as_ref().map_or(Duration::ZERO, |s| s.longest_promise);
        if mutant!(config, R5NoSilence) {
            silence = Duration::ZERO;
        }
        if mutant!(config, R5ConfiguredSilence) && state.is_some() {
            silence = config.decision_timeout;
        }
        let mut sightings = state
            .as_ref()
            .map_or_else(Vec::new, |s| s.sightings.clone());
        sightings.resize(config.members.len(), None);
        let mut node = Node {
            memory: Memory::new(boot.nonce, state.as_ref()),
            sightings,
            noted: state.as_ref().and_then(|s| s.noted),
            noted_at: boot.now,
            told: None,
            checked: None,
            disowned: None,
            outbox: Outbox::default(),
            now: boot.now,
            nonce: boot.nonce,
            started: boot.now,
            dirty: false,
            pg: PgStatus::unknown(),
            given: boot.guard.permission,
            guard: boot.guard,
            target: None,
            in_hand: None,
            committed: None,
            last_from: vec![boot.now; config.members.len()],
            heard: None,
            promise: None,
            released: Term(0),
            silent_until: boot.now + silence,
            yields_until: boot.now,
            retry_at: boot.now,
            let_go_at: None,
            ask_at: boot.now,
            campaign: None,
            rounds: 0,
            asking: Asking::new(config.members.len()),
            vouching: None,
            despite_pause: None,
            reinit: None,
            heard_anybody: false,
            leader: None,
            leaving: None,
            hanging: Hanging::default(),
            stopping: None,
            exited: false,
            state,
            config,
        };
        node.forget_what_is_marked();
        node.resume();
        node.decide();
        node
    }

    /// Takes in one event at the host's time `now`. Drain `poll_action` to `None` before the next.
    pub fn handle(&mut self, now: Instant, event: Event) {
        self.now = self.now.max(now);
        match event {
            Event::Timeout => {}
            Event::Received { from, message } => self.on_message(from, *message),
            Event::Persisted { seq } => self.outbox.persisted(seq),
            Event::Postgres(status) => self.on_postgres(*status),
            Event::Guard(view) => self.on_guard(view),
            Event::Operator { request, command } => self.on_operator(request, &command),
            Event::Stop => {
                if self.stopping.is_none() {
                    self.stopping = Some(self.now);
                    self.explain(Reason::ToldToStop);
                }
            }
        }
        self.decide();
    }

    /// The next action, in the order in which they are due.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.outbox.poll()
    }

    /// When `Event::Timeout` is due; may change with every event. None only after `Action::Exit`.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.exited {
            return None;
        }
        // Nothing waits longer than two heartbeats, so that a forgotten deadline costs little; who hears one in time is
        // not woken for nothing.
        let latest = self.now + self.config.heartbeat().times(2);
        let due = match &self.leader {
            Some(leader) => leader
                .next_heartbeat
                .min(leader.step_down_at(self))
                .min(latest),
            None if self.hears_leader() => {
                self.heard.as_ref().map_or(latest, |h| h.until.min(latest))
            }
            None => self.campaign_due().min(latest),
        };
        Some(due.max(Instant(self.now.0 + 1)))
    }

    fn on_message(&mut self, from: MemberId, message: Message) {
        if from == self.config.me || usize::from(from.0) >= self.config.members.len() {
            return;
        }
        if !message.is_possible(self.config.members.len()) {
            return;
        }
        self.last_from[usize::from(from.0)] = self.now;
        self.heard_anybody = true;
        let Message {
            term,
            holds,
            presence,
            seen,
            body,
        } = message;
        // First of all: who is told that it has forgotten something judges nothing by what it holds (R12).
        if let Some(seen) = &seen {
            self.is_told(seen);
        }
        if let Body::Heartbeat(heartbeat) = &body
            && !mutant!(self.config, R12LeaderTellsNothing)
        {
            self.see_all(from, &heartbeat.sightings);
        }
        let forgot = presence.is_some_and(|p| !self.sees(from, p, &body))
            && !mutant!(self.config, R12TrustsOldState);
        if !self.has_looked() && !matches!(body, Body::Ask { .. } | Body::Answer { .. }) {
            // Whether the state is older than the stamp is not known yet: as if it came a moment earlier.
            return;
        }
        match body {
            Body::Ask { nonce } => self.on_ask(from, term, holds, nonce),
            Body::Answer {
                nonce,
                has_state,
                stamped,
                lone,
                hears,
                reached,
                made_newest,
                promise,
                record,
            } => {
                let answered = Answered {
                    at: self.now,
                    term,
                    has_state: has_state && !forgot,
                    stamped,
                    lone: lone && !forgot,
                    hears,
                    reached,
                    made_newest,
                    promise,
                    record,
                };
                self.on_answer(from, nonce, answered);
            }
            // Without state it can do nothing but ask and answer (R12).
            body if self.state.is_none() => self.refuse(from, &body, RefusedBecause::NoState),
            body if forgot => self.refuse(from, &body, RefusedBecause::Forgot),
            Body::PreVote(candidacy) => self.on_vote_request(from, term, candidacy, true),
            Body::Vote(candidacy) => self.on_vote_request(from, term, candidacy, false),
            Body::VoteReply(reply) => self.on_vote_reply(from, term, reply),
            Body::Heartbeat(heartbeat) => self.on_heartbeat(from, term, heartbeat),
            Body::HeartbeatReply(reply) => {
                let start = presence.map(|p| p.start);
                self.on_heartbeat_reply(from, term, start, reply);
            }
            Body::Release {
                term: released,
                successor,
            } => self.on_release(released, successor),
        }
    }

    fn on_postgres(&mut self, status: PgStatus) {
        self.pg = status;
        if let Some(target) = self.target.as_ref().filter(|t| t.seq == self.pg.target) {
            self.in_hand = Some(target.clone());
        }
        if self.pg.stamped
            && let Some(state) = self.state.as_mut().filter(|s| !s.stamped)
        {
            state.stamped = true;
            self.dirty = true;
        }
        self.judge_stamp();
        self.look_at_copy();
        self.track_standbys();
    }

    fn on_guard(&mut self, view: GuardView) {
        let held = view.permission.order();
        // Another guard: the one that held our permissions is gone, and its database with it.
        let another = held < self.guard.permission.order();
        // What an earlier daemon gave came late. It stands until a newer one is given.
        let late = held > self.given.order() && !mutant!(self.config, R10LateIsUnknown);
        if another || late {
            self.given = view.permission;
        }
        self.guard = view;
    }

    fn on_operator(&mut self, request: u64, command: &Command) {
        match command {
            Command::Demote => match self.wish_hand_over(request) {
                Ok(()) => {}
                Err(outcome) => self.reply(request, outcome),
            },
            Command::Pause => self.wish_pause(request, true),
            Command::Resume => self.wish_pause(request, false),
            Command::Reinit => self.wish_reinit(request),
            Command::Vouch { members, step } => self.vouch(request, members, *step),
            Command::Adopt { step } => self.adopt(request, *step),
        }
    }

    /// Draws every conclusion from what is known now.
    fn decide(&mut self) {
        if self.exited {
            return;
        }
        self.decide_state();
        self.decide_hanging();
        self.decide_reinit();
        if self.leader.is_some() {
            self.decide_leader();
        }
        if self.leader.is_none() {
            self.decide_follower();
        }
        self.decide_note();
        self.decide_exit();
        if self.dirty {
            self.save();
        }
        self.check_invariants();
    }

    // What is known.

    fn term(&self) -> Term {
        self.state.as_ref().map_or(Term(0), |s| s.term)
    }

    fn record(&self) -> Option<&Arc<Record>> {
        self.state.as_ref().and_then(|s| s.record.as_ref())
    }

    fn record_key(&self) -> Option<RecordKey> {
        self.record().map(|r| r.key)
    }

    /// The copy that this member has, as far as it is whole.
    fn copy(&self) -> Option<Copy> {
        self.own_copy_id().map(|id| Copy {
            member: self.config.me,
            id,
        })
    }

    fn is_data(&self) -> bool {
        self.config.is_data(self.config.me)
    }

    /// What the steward says of the run that the guard sees: an older one never counts for it.
    fn pg_state(&self) -> &PgState {
        static GONE: PgState = PgState::Stopped {
            shutdown_checkpoint: None,
        };
        static STARTING: PgState = PgState::Starting;
        match self.guard.run {
            Some(run) if run == self.pg.run => &self.pg.state,
            Some(_) => &STARTING,
            // Seen gone by the guard, whatever the steward still believes. What was being stopped left a shutdown
            // checkpoint, maybe, and the steward is about to say so.
            None => match &self.pg.state {
                PgState::Standby { .. }
                | PgState::Primary(_)
                | PgState::Promoting
                | PgState::Starting
                | PgState::Silent { .. } => &GONE,
                settled => settled,
            },
        }
    }

    /// Nothing of this member's database serves as primary, nor can begin to: the guard holds the newest permission
    /// given, and that is over, and no promotion is ordered whose end is not known (R5, R10).
    fn primary_is_down(&self) -> bool {
        self.guard.serving.is_none()
            && (*self.pg_state() != PgState::Promoting || mutant!(self.config, R10OrderedIsDown))
            && self.guard.permission.order() >= self.given.order()
            && self.guard.permission.is_over(self.now)
            || (mutant!(self.config, R10NothingServes) && self.guard.serving.is_none())
    }

    // What changes it.

    /// Takes a higher term; whoever leads or campaigns in a lower one does so no more (R2).
    fn meet_term(&mut self, term: Term) {
        let Some(state) = self.state.as_mut().filter(|s| s.term < term) else {
            return;
        };
        state.term = term;
        state.voted_for = None;
        self.dirty = true;
        self.campaign = None;
        if self.leader.is_some() && !mutant!(self.config, R2LeadsOn) {
            self.step_down(Reason::Deposed { by: term });
        }
    }

    /// Makes the state durable before anything that is pushed from now on (R1).
    fn save(&mut self) {
        let counts = self.heard_anybody;
        if let Some(state) = &mut self.state {
            // What is written before anybody was heard binds nobody: counted, it would let an old state overtake what
            // was seen of it (R12).
            state.writes += u64::from(counts || mutant!(self.config, R12CountsUnheard));
            state.noted = self.noted;
            state.sightings.clone_from(&self.sightings);
            rule!(
                self.config,
                "R1",
                state.is_possible(),
                "a state that would be taken for a torn one when it is read again: {state:?}"
            );
            self.noted_at = self.now;
            let mut kept = state.clone();
            if mutant!(self.config, R1VoteNotKept) {
                kept.voted_for = None;
            }
            if mutant!(self.config, R1PromiseNotKept) {
                kept.longest_promise = Duration::ZERO;
            }
            if mutant!(self.config, R1TermNotKept) && kept.voted_for.is_none() {
                kept.term = kept.record.as_ref().map_or(Term(0), |r| r.key.term);
            }
            self.outbox.persist(kept);
        }
        self.dirty = false;
    }

    /// Queues an action that rests on the state.
    fn push(&mut self, action: Action) {
        if self.dirty {
            self.save();
        }
        if mutant!(self.config, R1LeavesBeforeDisk) {
            return self.outbox.push_at_once(action);
        }
        self.outbox.push(action);
    }

    fn send(&mut self, to: MemberId, body: Body) {
        if self.dirty {
            // The count in a message is one that is on disk before it leaves (R12).
            self.save();
        }
        let message = Box::new(Message {
            presence: self.presence(),
            seen: self.sightings[usize::from(to.0)],
            term: self.term(),
            holds: self.record_key(),
            body,
        });
        self.push(Action::Send { to, message });
    }

    fn explain(&mut self, reason: Reason) {
        self.outbox.push_at_once(Action::Explain(reason));
    }

    fn reply(&mut self, request: u64, outcome: CommandOutcome) {
        self.push(Action::Reply { request, outcome });
    }

    /// A fresh number, unlike any other of this daemon run or of another.
    fn fresh(&mut self) -> u64 {
        self.rounds += 1;
        self.nonce.wrapping_add(self.rounds)
    }

    fn check_invariants(&self) {
        let Some(state) = &self.state else {
            return;
        };
        if let Some(record) = &state.record {
            rule!(
                self.config,
                "R2",
                record.key.term <= state.term,
                "record {} of a term above {}",
                record.key,
                state.term
            );
            rule!(
                self.config,
                "R4",
                record.copy_of(record.primary).is_some(),
                "record {record} leaves out its own primary's copy"
            );
        }
        if let Some(leader) = &self.leader {
            leader.check_invariants(self, state);
        }
    }
}
