//! The member that leads its term: what it remembers, how it begins and ends.

use super::Node;
use super::hand_over::{HandOver, Wish};
use super::keeping_up::Track;
use super::pausing::Wanted;
use crate::config::Config;
use crate::hard_state::HardState;
use crate::member::{MemberId, MemberSet};
use crate::message::Report;
use crate::mutant;
use crate::operator::CommandOutcome;
use crate::permission::Lasts;
use crate::postgres::{Gate, RunId, Want};
use crate::reason::Reason;
use crate::record::{Copy, Record, RecordKey, Term};
use crate::rule;
use crate::time::Instant;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a leader remembers of its term.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Leader {
    pub(super) term: Term,
    pub(super) since: Instant,
    /// Resumed with a permission without end: the record was committed lone, and nothing else was proposed since.
    pub(super) resumed_lone: bool,

    /// The newest heartbeat's round, and when each recent one was sent.
    pub(super) round: u64,
    pub(super) sent: VecDeque<(u64, Instant)>,
    pub(super) next_heartbeat: Instant,
    pub(super) peers: Vec<Peer>,

    /// The newest record of this term known committed (R6).
    pub(super) committed: Option<Arc<Record>>,
    /// The one that is proposed and undecided: at most one (R6).
    pub(super) proposed: Option<Arc<Record>>,
    /// Who has accepted it.
    pub(super) accepted: MemberSet,

    /// The run of the primary that all below speaks of.
    pub(super) run: RunId,
    /// Since when no copy can have streamed: this leadership's beginning, or the end of an earlier run.
    pub(super) silent_since: Instant,
    /// When the run was first seen as primary.
    pub(super) primary_since: Instant,
    /// When that run's promotion was found in the committed record.
    pub(super) recorded_at: Option<Instant>,
    /// The doors of that run were opened (R18).
    pub(super) doors_open: bool,
    /// How each copy keeps up in that run.
    pub(super) tracks: Vec<Track>,
    /// The copies that R9 is growing, and since when.
    pub(super) growing: Vec<Copy>,
    pub(super) growing_since: Instant,
    /// When that was last judged: a database that does not answer says nothing against its standbys.
    pub(super) status_at: Instant,
    /// By member: how often its copy left `in_sync`; each doubles the steady time before it may return.
    pub(super) flaps: Vec<Flaps>,

    /// When the database last came further, or served (R19).
    pub(super) progress_at: Instant,
    /// Since when its database answers, but no gate is proven (R19).
    pub(super) unproven_since: Option<Instant>,
    /// The furthest that it had come then.
    pub(super) progress: u64,
    /// The run in which the database of this term was seen: its end would be a death.
    pub(super) ran: Option<RunId>,
    /// Stopping a lone database that hangs, to start it again (R19).
    pub(super) restarting: bool,
    /// Giving way since then (R19).
    pub(super) giving_way: Option<Instant>,
    /// A hand-over that was asked for; it begins once somebody can take over.
    pub(super) wish: Option<Wish>,
    /// A pause, or its end, that was asked for.
    pub(super) pausing: Option<Wanted>,
    pub(super) hand_over: Option<HandOver>,
}

/// How often a member's copy left `in_sync` lately.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Flaps {
    pub(super) count: u32,
    /// When it last entered.
    pub(super) grown_at: Instant,
}

/// What a leader knows of another member.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Peer {
    /// The newest heartbeat that it acknowledged: when that was sent.
    pub(super) acked: Option<Instant>,
    /// The newest record of this term that it accepted.
    pub(super) accepted: Option<RecordKey>,
    /// Its last report, and when it came.
    pub(super) report: Option<(Report, Instant)>,
    /// When the heartbeat was sent that this report answers: it tells of that moment, or of a later one.
    pub(super) asked: Option<Instant>,
    /// Which start of its daemon gave it.
    pub(super) start: Option<u64>,
}

impl Node {
    /// Resume (R6): a daemon that restarts while its guard still runs the primary of term t, or a promotion to it,
    /// having voted for itself in t and holding a record of t, leads t on.
    pub(super) fn resume(&mut self) {
        let Some(state) = &self.state else { return };
        let serves = self.guard.serving == Some(state.term)
            && self.guard.permission.allows(state.term, self.now)
            && !self.guard.fencing;
        // Never in a term that was adopted, in which it has no vote of its own: what it proposed in it is forgotten (R12).
        let leads = (state.voted_for == Some(self.config.me)
            || mutant!(self.config, R6ResumesUnvoted))
            && state
                .record
                .as_ref()
                .is_some_and(|r| r.key.term == state.term && r.primary == self.config.me);
        if !(serves && leads) {
            return;
        }
        let Some(record) = state.record.clone() else {
            return;
        };
        self.explain(Reason::Resumed {
            term: record.key.term,
        });
        self.lead();
        // Proposed again as uncommitted: what was committed before is not remembered.
        let unbounded = self.guard.permission.lasts == Lasts::Unbounded;
        if let Some(leader) = self.leader.as_deref_mut() {
            leader.resumed_lone =
                (unbounded || mutant!(self.config, R10ResumesLone)) && record.is_lone();
            if mutant!(self.config, R6ResumesCommitted) {
                leader.committed = Some(record);
                return;
            }
            leader.proposed = Some(record);
            leader.accepted.insert(self.config.me);
        }
    }

    /// A majority voted for this member.
    pub(super) fn become_leader(&mut self) {
        self.explain(Reason::Elected { term: self.term() });
        self.lead();
        self.take_over();
    }

    fn lead(&mut self) {
        let members = self.config.members.len();
        self.heard = None;
        self.leaving_failed();
        self.leader = Some(Box::new(Leader {
            term: self.term(),
            since: self.now,
            resumed_lone: false,
            // Above every round of an earlier daemon run in this term: an answer to that one's heartbeat promises for
            // less long than it would seem (R10), and a younger heartbeat is known as younger.
            round: self.now.0,
            sent: VecDeque::new(),
            next_heartbeat: self.now,
            peers: vec![
                Peer {
                    acked: None,
                    accepted: None,
                    report: None,
                    asked: None,
                    start: None,
                };
                members
            ],
            committed: None,
            proposed: None,
            accepted: MemberSet::EMPTY,
            run: RunId(0),
            silent_since: self.now,
            primary_since: self.now,
            recorded_at: None,
            doors_open: false,
            tracks: Vec::new(),
            growing: Vec::new(),
            growing_since: self.now,
            flaps: vec![
                Flaps {
                    count: 0,
                    grown_at: self.now,
                };
                members
            ],
            status_at: self.now,
            progress_at: self.now,
            unproven_since: None,
            progress: 0,
            ran: None,
            restarting: false,
            giving_way: None,
            wish: None,
            pausing: None,
            hand_over: None,
        }));
    }

    /// Stops leading. The database is left to its permission: the guard fences when that ends (R10).
    pub(super) fn step_down(&mut self, reason: Reason) {
        let Some(leader) = self.leader.take() else {
            return;
        };
        self.explain(reason);
        if let Some(request) = leader.pause_request() {
            let why = "this member stopped leading before that was certain: see `yokeadm list`";
            self.reply(request, CommandOutcome::Refused(why.to_owned()));
        }
        let wished = leader.wish.and_then(|w| w.request);
        let request = leader.hand_over.and_then(|h| h.request).or(wished);
        if let Some(request) = request {
            self.reply(request, CommandOutcome::NotLeader { leader: None });
        }
        self.retry_at = self.now;
        self.ask_at = self.now;
    }

    pub(super) fn decide_leader(&mut self) {
        if self
            .leader
            .as_deref()
            .is_some_and(|leader| self.now >= leader.step_down_at(self))
        {
            self.step_down(Reason::LeaseLost);
            return;
        }
        if self
            .leader
            .as_deref()
            .is_some_and(|leader| leader.newest().is_none())
        {
            self.take_over();
        }
        self.count_acceptances();
        self.decide_run();
        self.decide_give_way();
        self.decide_hand_over();
        if self.leader.is_none() {
            return;
        }
        self.decide_pausing();
        self.decide_record();
        self.decide_permission();
        self.decide_serving();
        self.decide_heartbeat();
    }

    /// Whether the member was lately seen able to be elected with this copy.
    pub(super) fn may_take_over(&self, copy: Copy) -> bool {
        self.seems_to_run(copy)
            && self
                .leader
                .as_deref()
                .and_then(|l| l.report_of(copy.member))
                .is_some_and(|report| !report.silent)
    }

    /// Whether the member's database was lately seen running, under this copy id.
    pub(super) fn seems_to_run(&self, copy: Copy) -> bool {
        self.leader
            .as_deref()
            .and_then(|l| l.peers[usize::from(copy.member.0)].report.as_ref())
            .is_some_and(|(report, at)| {
                report.copy == Some(copy.id)
                    && report.running
                    && !report.leaving
                    && self.now.since(*at) <= self.config.heartbeat().times(3)
            })
    }
}

impl Leader {
    /// The leader's newest record, proposed or committed.
    pub(super) fn newest(&self) -> Option<&Arc<Record>> {
        self.proposed.as_ref().or(self.committed.as_ref())
    }

    /// Every other copy that an acknowledgement has to wait for (R7): of the committed record and of the one proposed,
    /// and those that R9 is growing.
    pub(super) fn gate(&self, config: &Config) -> Gate {
        let committed = self.committed.as_deref();
        let undecided = self.proposed.is_some();
        if mutant!(config, R7ForgetsProposed) && undecided && committed.is_some() {
            return Gate::open(committed.iter().flat_map(|r| r.others()));
        }
        if mutant!(config, R7AnyOne)
            && let Some(committed) = committed.filter(|c| c.others().count() > 1)
        {
            return Gate::open(committed.others().take(1));
        }
        Gate::open(self.waits_for(config))
    }

    fn waits_for(&self, config: &Config) -> impl Iterator<Item = Copy> {
        let early = mutant!(config, R8OpensWhenProposed) && self.proposed.is_some();
        let besides = self.committed.iter().flat_map(|record| record.others());
        let besides = besides.chain(self.growing.iter().copied());
        let proposed = self.proposed.iter().flat_map(|record| record.others());
        proposed.chain(besides.filter(move |_| !early))
    }

    pub(super) fn check_invariants(&self, node: &Node, state: &HardState) {
        let config = &node.config;
        rule!(
            config,
            "R2",
            self.term == state.term,
            "leads another term than its own"
        );
        rule!(
            config,
            "R2",
            state.voted_for == Some(config.me),
            "leads without its own vote"
        );
        rule!(
            config,
            "R6",
            self.newest()
                .is_none_or(|r| r.key.term == self.term && r.primary == config.me),
            "counts a record of another leader"
        );
        rule!(
            config,
            "R6",
            self.newest() == state.record.as_ref() || self.newest().is_none(),
            "its own record is not what it proposed"
        );
        let target = node.target.as_ref().filter(|t| t.term == self.term);
        if let Some(Want::Primary { gate, .. }) = target.map(|t| &t.want) {
            rule!(
                config,
                "R6",
                self.committed.is_some() || *gate == Gate::AsFound,
                "wants a primary before its record is committed"
            );
            if let Gate::Open(names) = gate {
                rule!(
                    config,
                    "R7",
                    self.waits_for(config).all(|copy| names.contains(&copy)),
                    "the gate leaves out a copy in sync"
                );
            }
        }
        if node.given.term == self.term && node.given.lasts == Lasts::Unbounded {
            let lone = |r: &Arc<Record>| r.is_lone();
            rule!(
                config,
                "R10",
                self.proposed.as_ref().is_none_or(lone)
                    && self
                        .committed
                        .as_ref()
                        .or(state.record.as_ref())
                        .is_none_or(lone),
                "no lease, but the record names another copy"
            );
        }
    }

    /// The member's last report.
    pub(super) fn report_of(&self, member: MemberId) -> Option<&Report> {
        self.peers[usize::from(member.0)]
            .report
            .as_ref()
            .map(|(report, _)| report)
    }
}
