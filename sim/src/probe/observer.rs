//! What the probes remember of a run.

use super::{Probe, Reached};
use crate::guided::heard::Heard;
use std::collections::BTreeMap;
use yoke_core::message::Body;
use yoke_core::postgres::{RunId, Timeline};
use yoke_core::record::{Copy, RecordKey, Term};

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observer {
    pub(crate) reached: Reached,
    pub(super) members: Vec<Facts>,
    /// Who led which term.
    pub(super) leaders: BTreeMap<Term, usize>,
    /// Who asked for votes in which term, newest last.
    pub(super) candidates: BTreeMap<Term, usize>,
    /// The highest record that anybody proposed, and that anybody knew committed.
    pub(super) proposed: RecordKey,
    pub(super) committed: RecordKey,
    /// Every promotion seen done: its order's term and number, and its timeline.
    pub(super) promotions: BTreeMap<(Term, u32), Timeline>,
    /// Whose was the newest promotion; how often it was another's than the one before, until everything healed.
    pub(super) primary: Option<usize>,
    pub(super) moves: u64,
    /// Who was named to be elected after a release.
    pub(super) successor: Option<usize>,
    /// What members say, where somebody wants to know.
    pub(crate) heard: Option<Heard>,
}

/// Of one member.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The term and record that it last asked to be made durable.
    pub(super) term: Term,
    pub(super) record: RecordKey,
    /// Since its election or resumption.
    pub(super) leads: Option<Term>,
    /// It led, and the take-over is not committed yet.
    pub(super) takes_over: bool,
    /// It asked for votes in this term.
    pub(super) candidate: Option<Term>,
    /// Proposed and not committed; by the daemon that ended last.
    pub(super) outstanding: Option<RecordKey>,
    pub(super) left_over: Option<RecordKey>,
    /// A copy that it grows: the gate names it and the record does not.
    pub(super) grows: Option<Copy>,
    /// The gate was proven in this term and run.
    pub(super) proven: Option<(Term, RunId)>,
    /// The number of its present start.
    pub(super) start: u64,
    pub(super) without_state: bool,
    /// An operator vouched, and it has not joined yet.
    pub(super) vouched: bool,
    pub(super) was_torn: bool,
    /// What it is handling.
    pub(super) handles: Handles,
    pub(super) rewrite: Option<Rewrite>,
    pub(super) clone_broke: bool,
    pub(super) rewind_doubtful: bool,
    /// How many promotions there had been when it last followed, or was promoted.
    pub(super) joined_at: usize,
}

/// What a daemon is handling.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Handles {
    #[default]
    Other,
    /// A message from this member.
    From(usize),
    /// A lone leader's answer.
    LoneAnswer,
}

/// What replaces a member's data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rewrite {
    Clone,
    Rewind,
}

impl Observer {
    /// Of so many members.
    pub(crate) fn new(members: usize) -> Self {
        Observer {
            members: vec![Facts::default(); members],
            ..Observer::default()
        }
    }

    /// A member explains what it does.
    pub(super) fn hears(&mut self, h: usize, reason: &impl std::fmt::Display) {
        if let Some(heard) = &mut self.heard {
            heard.says(h, reason);
        }
    }

    pub(super) fn note(&mut self, probe: Probe) {
        self.reached.note(probe);
    }

    pub(super) fn note_if(&mut self, seen: bool, probe: Probe) {
        if seen {
            self.reached.note(probe);
        }
    }

    /// The highest term that anybody led.
    pub(super) fn highest(&self) -> Term {
        self.leaders
            .last_key_value()
            .map_or(Term(0), |(term, _)| *term)
    }
}

impl Facts {
    /// What a daemon knew, its successor does not.
    pub(super) fn daemon_ends(&mut self) {
        let left_over = self.outstanding.take();
        *self = Facts {
            left_over,
            term: self.term,
            record: self.record,
            proven: self.proven,
            was_torn: self.was_torn,
            rewrite: self.rewrite,
            clone_broke: self.clone_broke,
            rewind_doubtful: self.rewind_doubtful,
            joined_at: self.joined_at,
            ..Facts::default()
        };
    }

    /// It leads no more.
    pub(super) fn stops_leading(&mut self) {
        self.leads = None;
        self.takes_over = false;
        self.outstanding = None;
        self.grows = None;
    }

    /// What kind of message it is that it handles.
    pub(super) fn handling(from: usize, body: &Body) -> Handles {
        match body {
            Body::Answer { lone: true, .. } => Handles::LoneAnswer,
            _ => Handles::From(from),
        }
    }
}
