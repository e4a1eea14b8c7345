//! A small specification of the protocol (DESIGN.md, section 3) that runs beside the nodes: what each may say, in view of
//! what it and the others said before and of what lies on its disk. It believes no node, only messages and disks, so that
//! a wrong core cannot hide behind its own bookkeeping. What is done to databases is judged in [`super::orders`].
//!
//! A message counts from when it leaves, never from when it arrives: what a leader cannot know yet it may still be
//! entitled to, so nothing right is called wrong.

mod leads;
mod votes;

use crate::oracle::directories::Names;
use crate::oracle::memory::{Flaw, Joined, Memory};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use yoke_core::message::{Body, Candidacy, HeartbeatReply, Message, VoteReply};
use yoke_core::operator::Command;
use yoke_core::permission::Permission;
use yoke_core::record::{Record, RecordKey, Term};
use yoke_core::{HardState, Instant};

const MOST: usize = 8;
/// So many heartbeats are remembered of a leader.
const REMEMBERED: usize = 64;
/// So many wait for their answer at most: a full disk or a pause holds back those of many seconds.
const UNANSWERED: usize = 4096;
/// So many requests for votes are remembered by who was asked: whoever does not run for a while finds hundreds.
const ASKED: usize = 1024;

/// What was said so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Specification {
    pub(crate) members: Vec<Said>,
    /// By term and candidate: who voted, as bits.
    granted: BTreeMap<Term, [u8; MOST]>,
    /// Terms whose leader has released everybody.
    pub(crate) released: BTreeSet<Term>,
    /// What each key stands for.
    pub(crate) records: BTreeMap<RecordKey, Arc<Record>>,
    /// What each name of a copy stands for.
    pub(super) names: Names,
}

/// What one member said and heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// The highest term in which it voted or promised.
    term: Term,
    /// Its newest vote.
    vote: Option<(Term, usize)>,
    /// The newest term in which it voted for another, or promised something to it; and who that was.
    owed: Option<(Term, usize)>,
    /// The same, and its vote, from before its state was lost.
    before: [Option<(Term, usize)>; 2],
    /// In this term and below it may have voted before its state was lost (R12).
    adopted: Term,
    /// The newest record that it said it holds.
    told: Option<RecordKey>,
    /// Whom it owes a promise: of which term, and until when on its clock.
    promise: Option<(usize, Term, Instant)>,
    /// Promises of this term and below are over: it has heard a release.
    over: Term,
    silent_until: Instant,
    /// It says that its database has to stop, now: its guard has to be told, and its steward, where that is new.
    pub(crate) has_to_stop: (bool, bool),
    /// It gave way, and does not stand before.
    yields_until: Instant,
    /// Its daemon was told to stop.
    pub(crate) stops: bool,
    /// Its steward stops the database at once, last: what that leaves is not waited for.
    pub(crate) hurries: bool,
    /// Requests for its vote: from whom, whether a pre-vote, what was wrong with it.
    asked: VecDeque<(usize, bool, Candidacy, Flaw)>,
    /// Heartbeats not answered yet.
    heard: VecDeque<Heard>,
    /// The newest one that it acknowledged: of which term, and its round.
    acknowledged: (Term, u64),
    /// With which record it asked for votes last.
    stood_with: Option<Arc<Record>>,
    /// An operator let it stand although this record is paused.
    may_stand: Option<RecordKey>,
    /// The newest record of its own that it handed to its disk.
    pub(crate) decided: Option<Arc<Record>>,
    /// A newer record that it was told of and has not taken up, and when.
    pub(crate) told_of: Option<(RecordKey, u64)>,
    /// The newest record that a leader named committed to it.
    pub(crate) heard_committed: Option<RecordKey>,
    /// When its database was last promoted.
    pub(crate) promoted_at: u64,
    pub(crate) lead: Lead,
    /// It is done for good with leading this term and all below.
    released: Term,
    /// Since when its database has not been running, as far as its guard could tell.
    pub(crate) down_since: Option<u64>,
    /// What it gave its guard, and what its guard has got.
    pub(crate) given: Option<Permission>,
    /// The term in which it gave one without an end, and proposed lone records alone since.
    pub(crate) unbounded_in: Option<Term>,
    pub(crate) holds: Option<Permission>,
    /// The newest order that its guard carried out.
    pub(crate) order: (Term, u64),
    /// What it and others know of its state, and it of theirs (R12).
    pub(crate) memory: Memory,
}

/// A heartbeat that a member has heard. Each is answered once, in their order.
#[derive(Clone, Copy, Debug)]
struct Heard {
    from: usize,
    round: u64,
    at: Instant,
    /// For how long it asks for a promise.
    promise: u64,
    /// Its term was known to be over.
    over: bool,
}

/// A leadership, as the others could see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lead {
    pub(crate) term: Term,
    /// When its first heartbeat left, or its daemon started after that.
    pub(crate) began: Instant,
    /// The first record of the term, the newest one, and the one before that.
    pub(crate) first: Option<RecordKey>,
    pub(crate) newest: Option<RecordKey>,
    pub(crate) before: Option<RecordKey>,
    /// When each round was sent.
    sent: VecDeque<(u64, Instant)>,
    /// By member: when the newest heartbeat that it acknowledged was sent.
    acked: [Instant; MOST],
    /// By member: the newest record of the term that it accepted.
    accepted: [Option<RecordKey>; MOST],
    /// By member: the newest round to which its answer has come.
    told: [u64; MOST],
}

impl Lead {
    /// Whether a majority, the leader `h` included, accepted this record or a later one of the term.
    pub(crate) fn is_committed(&self, h: usize, key: RecordKey, majority: usize) -> bool {
        let others = (0..MOST).filter(|m| *m != h && self.accepted[*m] >= Some(key));
        self.newest >= Some(key) && 1 + others.count() >= majority
    }

    /// An answer to this round has come; whether it says anything new: an older one that comes late does not.
    pub(crate) fn is_news(&mut self, from: usize, round: u64) -> bool {
        let newest = &mut self.told[from];
        let news = round >= *newest;
        *newest = round.max(*newest);
        news
    }

    #[cfg(test)]
    pub(crate) fn all_acked(&mut self, at: Instant) {
        self.acked = [at; MOST];
    }

    /// When a round was sent.
    pub(crate) fn sent_at(&self, round: u64) -> Option<Instant> {
        let mut sent = self.sent.iter().rev();
        sent.find(|(of, _)| *of == round).map(|(_, at)| *at)
    }

    /// When the newest heartbeat that a majority has acknowledged was sent, if the leader itself did now.
    pub(crate) fn heard_at(&self, h: usize, now: Instant, majority: usize) -> Instant {
        let mut acked = self.acked;
        acked[h] = now;
        acked.sort_unstable_by(|a, b| b.cmp(a));
        acked[majority - 1]
    }
}

/// What is wrong with an action: the rule, and the facts.
pub(crate) type Judged = Result<(), String>;

/// Wrong, with the facts, unless the condition holds.
macro_rules! must {
    ($condition:expr, $($fact:tt)+) => { if !$condition { return Err(format!($($fact)+)); } };
}
pub(crate) use must;

impl Specification {
    /// Nothing said yet.
    pub(crate) fn new(members: usize) -> Self {
        Specification {
            members: vec![Said::default(); members],
            ..Specification::default()
        }
    }

    /// Its state is lost or went back: what it said before binds it once the others have told it (R12).
    pub(crate) fn forgets(&mut self, h: usize) {
        for said in &mut self.members {
            // Who lost its state, too, can tell nobody.
            said.owed.take_if(|(_, whom)| *whom == h);
            for before in &mut said.before {
                before.take_if(|(_, whom)| *whom == h);
            }
        }
        let said = &mut self.members[h];
        // A vote for itself ended with its candidacy.
        let [owed, vote] = said.before;
        let vote = said.vote.or(vote).filter(|(_, whom)| *whom != h);
        // What its guard holds outlives that.
        *said = Said {
            given: said.given,
            holds: said.holds,
            order: said.order,
            before: [said.owed.or(owed), vote],
            ..Said::default()
        };
    }

    /// It has its state again: what it owed to those that answered binds it as before (R12).
    pub(super) fn joins(&mut self, h: usize, joined: &Joined) {
        let said = &mut self.members[h];
        let answered = |(_, whom): &(Term, usize)| joined.answered >> whom & 1 == 1;
        let [owed, vote] = std::mem::take(&mut said.before);
        said.owed = owed.filter(answered);
        said.vote = vote.filter(answered);
        said.term = said.owed.map_or(Term(0), |(term, _)| term);
        said.adopted = joined.adopted;
        said.silent_until = joined.silent_until;
    }

    /// Its guard is gone, with all that it held.
    pub(crate) fn guard_ends(&mut self, h: usize) {
        let said = &mut self.members[h];
        (said.holds, said.given, said.order) = (None, None, (Term(0), 0));
    }

    /// A guard has got a permission; an older one that comes late changes nothing (R10).
    pub(crate) fn takes(&mut self, h: usize, new: Permission) {
        let holds = &mut self.members[h].holds;
        if holds.is_none_or(|old| new.order() > old.order()) {
            *holds = Some(new);
        }
    }

    /// A node says that its database has to stop.
    pub(crate) fn has_to_stop(&mut self, h: usize, for_another: bool) {
        self.members[h].has_to_stop = (true, for_another);
    }

    /// A node gives way (R19), or hands over: another has to have led before it stands again, or so long to have passed.
    pub(crate) fn gives_way(&mut self, h: usize, until: Instant) {
        self.members[h].yields_until = until;
    }

    /// A daemon starts: promises of the one before turn into silence (R5).
    pub(crate) fn starts(&mut self, h: usize, now: Instant, state: Option<&HardState>) {
        let said = &mut self.members[h];
        said.promise = None;
        // Which terms are over it did not write down: it is silent for as long as it ever promised.
        said.over = Term(0);
        said.given = said.holds;
        said.has_to_stop = (false, false);
        said.yields_until = Instant(0);
        said.may_stand = None;
        said.acknowledged = Default::default();
        said.stops = false;
        said.asked.clear();
        said.heard.clear();
        said.lead.began = now;
        said.told_of = None;
        let silence = state.filter(|s| !s.lost).map(|s| s.longest_promise);
        said.silent_until = silence.map_or(Instant(0), |silence| now + silence);
        said.memory.starts(now, state);
    }

    /// An operator says something to a member.
    pub(crate) fn word(&mut self, h: usize, command: &Command) {
        self.members[h].memory.word(command);
    }

    /// An operator says to a member that a pause is over.
    pub(crate) fn may_stand(&mut self, h: usize, holds: Option<RecordKey>) {
        self.members[h].may_stand = holds;
    }

    /// A message has come to a member that takes it in now; `deaf`: it has no state, or has not looked at its directory yet,
    /// and does nothing but ask and answer (R12).
    pub(crate) fn hears(&mut self, h: usize, from: usize, m: &Message, now: Instant, deaf: bool) {
        let said = &mut self.members[h];
        let flaw = said.memory.hears(h, from, m);
        match &m.body {
            Body::PreVote(c) | Body::Vote(c) => {
                let pre = matches!(m.body, Body::PreVote(_));
                // Asked again it is the same request: it may have been answered as it came first, and that waits.
                let mut asked = said.asked.iter();
                if asked.any(|(f, p, a, _)| (*f, *p, a.round) == (from, pre, c.round)) {
                    return;
                }
                if said.asked.len() == ASKED {
                    said.asked.pop_front();
                }
                said.asked.push_back((from, pre, c.clone(), flaw));
            }
            Body::Heartbeat(beat) => {
                if m.term > said.lead.term {
                    said.yields_until = Instant(0);
                }
                said.heard_committed = said.heard_committed.max(beat.committed);
                if said.heard.len() == UNANSWERED {
                    said.heard.pop_front();
                }
                said.heard.push_back(Heard {
                    from,
                    round: beat.round,
                    at: now,
                    promise: beat.promise.0,
                    over: m.term <= said.over,
                });
            }
            Body::Release { term, .. } if !deaf => {
                said.over = said.over.max(*term);
                said.promise.take_if(|(_, of, _)| *of <= *term);
            }
            _ => {}
        }
    }
}

impl Said {
    /// It answers a heartbeat: which?
    fn answers(&mut self, to: usize, round: u64) -> Option<Heard> {
        let at = self
            .heard
            .iter()
            .position(|h| (h.from, h.round) == (to, round))?;
        self.heard.remove(at)
    }
}

impl World {
    /// A node says something to another.
    pub(crate) fn check_says(&mut self, h: usize, to: usize, m: &Message) {
        if let Err(why) = self.judge_message(h, to, m) {
            self.violated("specification", format!("m{h} to m{to}: {why}"));
        }
    }

    fn judge_message(&mut self, h: usize, to: usize, m: &Message) -> Judged {
        self.judge_memory(h, to, m)?;
        let disk = self.hosts[h].disk.durable.clone();
        let state = disk.as_deref().filter(|s| !s.lost);
        let held = state.and_then(|s| s.record.as_ref()).map(|r| r.key);
        if let Some(presence) = m.presence {
            let on_disk = state.is_some_and(|s| {
                s.writes >= presence.writes && s.term >= m.term && held >= m.holds
            });
            must!(on_disk, "R1: its words rest on a state that is on no disk");
        }
        let record = state.and_then(|s| s.record.as_ref());
        if record.is_some_and(|r| usize::from(r.primary.0) != h) {
            let server = self.hosts[h].server.as_ref();
            must!(
                server.is_none_or(|s| !s.serving || s.killed),
                "R10: it holds another's record, and its own database serves"
            );
        }
        // A promise counts from when the heartbeat was heard: its sender's lease began before.
        let heard = match &m.body {
            Body::HeartbeatReply(r) => self.oracles.specification.members[h].answers(to, r.round),
            _ => None,
        };
        self.judge_copy_named(h, m)?;
        if let Some(state) = state.filter(|_| takes_part(&m.body)) {
            self.is_newer_than_stamp(h, state)?;
        }
        match (&m.body, state) {
            (Body::VoteReply(r), Some(s)) if r.refusal.is_none() => self.grants(h, to, m, r, s)?,
            (Body::HeartbeatReply(r), Some(s)) if r.promised => {
                self.promises(h, to, m, r, s, heard)?;
            }
            (Body::VoteReply(VoteReply { refusal: None, .. }), None)
            | (Body::HeartbeatReply(HeartbeatReply { promised: true, .. }), None) => {
                return Err("R12: it votes or promises without state".into());
            }
            (Body::PreVote(c) | Body::Vote(c), Some(s)) => self.stands(h, m, c, s)?,
            (Body::Heartbeat(beat), Some(s)) => self.beats(h, m.term, beat, s)?,
            (Body::PreVote(_) | Body::Vote(_) | Body::Heartbeat(_), None) => {
                return Err("R12: it campaigns or leads without state".into());
            }
            (Body::Release { term, successor }, _) => {
                self.hands_over(h, *term, *successor)?;
                self.releases(h, *term)?;
            }
            _ => {}
        }
        let said = &mut self.oracles.specification.members[h];
        said.told = said.told.max(m.holds);
        Ok(())
    }
}

/// Whether only a member with state may say this.
fn takes_part(body: &Body) -> bool {
    match body {
        Body::VoteReply(r) => r.refusal.is_none(),
        Body::HeartbeatReply(r) => r.promised,
        Body::PreVote(_) | Body::Vote(_) | Body::Heartbeat(_) => true,
        _ => false,
    }
}
