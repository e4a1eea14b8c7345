//! Pre-vote and vote (R2 to R5).

use super::Node;
use crate::member::{MemberId, MemberSet};
use crate::message::{Body, Candidacy, Refusal, RefusedBecause, VoteReply};
use crate::mutant;
use crate::postgres::PgState;
use crate::record::{Copy, Record, RecordKey, Term};
use crate::time::{Duration, Instant};
use std::sync::Arc;

/// A candidacy under way. It asks with the record and copy that it began with: taking up another record ends it (R3).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Campaign {
    pre: bool,
    round: u64,
    candidacy: Candidacy,
    granted: MemberSet,
    /// Who has voted for another in this term, and will not change that.
    lost: MemberSet,
    /// When whoever has not granted it is asked again.
    repeat_at: Instant,
    /// When it is given up.
    until: Instant,
}

impl Campaign {
    /// For the canonical form: a vote's round is called by its term; false: it is a pre-vote. No note of a copy's end
    /// travels that the candidacy's could be compared with.
    pub(super) fn rename(&mut self, term: Term) -> bool {
        self.round = term.0;
        self.candidacy.round = term.0;
        self.candidacy.end = crate::postgres::Lsn(0);
        !self.pre
    }

    /// For the canonical form.
    pub(super) fn instants(&mut self) -> [&mut Instant; 2] {
        [&mut self.repeat_at, &mut self.until]
    }
}

impl Node {
    // Asking for votes.

    /// Whether this member may be elected: its own record names the copy that it has, whose database is seen running
    /// (R4).
    pub(super) fn is_eligible(&self) -> bool {
        let Some(copy) = self.copy() else {
            return false;
        };
        let running = match self.pg_state() {
            PgState::Standby {
                replay_paused,
                drained,
                ..
            } => !replay_paused && *drained,
            PgState::Primary(_) => {
                self.guard.serving.is_some() && !self.guard.permission.is_over(self.now)
            }
            _ => false,
        };
        (running || mutant!(self.config, R4NotRunning))
            && self.may_be_elected(self.config.me, self.record(), copy)
    }

    /// R4's question, asked by the candidate of itself and by each voter of the request.
    fn may_be_elected(
        &self,
        candidate: MemberId,
        record: Option<&Arc<Record>>,
        copy: Copy,
    ) -> bool {
        match record {
            Some(record) if mutant!(self.config, R4MembersNotCopies) => {
                record.copy_of(copy.member).is_some()
            }
            Some(record) => record.names(copy) || mutant!(self.config, R4IgnoresInSync),
            None => candidate == self.config.configured_primary,
        }
    }

    /// When this member may campaign; none: not as things are.
    fn campaigns_at(&self) -> Option<Instant> {
        if !self.is_data() || self.stopping.is_some() || !self.is_eligible() {
            return None;
        }
        if self.record().is_none() && !self.all_have_joined() {
            return None;
        }
        if self.is_kept_by_pause() {
            return None;
        }
        let me = self.config.me;
        let mut at = self.silent_until.max(self.yields_until);
        if let Some(promise) = self.promise.as_ref().filter(|p| p.to != me)
            && !mutant!(self.config, R5CampaignsDespitePromise)
        {
            at = at.max(promise.until);
        }
        // Whoever was not the primary leaves the former one the first try after a start of all (F2 in model2.md: it
        // campaigns later, it votes all the same).
        if self.heard.is_none() && self.record().is_some_and(|r| r.primary != me) {
            at = at.max(self.started + self.config.decision_timeout.times(2));
        }
        Some(at)
    }

    /// Campaigns, when it is time to; asks again every D/50.
    pub(super) fn decide_campaign(&mut self) {
        if self.campaign.as_ref().is_some_and(|c| self.now >= c.until) {
            self.give_up_campaign();
        }
        let Some(at) = self.campaigns_at() else {
            self.campaign = None;
            return;
        };
        if self.now < at {
            // Also one under way: the leader that it should replace was heard again, and was promised to keep still (R5).
            self.campaign = None;
            return;
        }
        if self.campaign.is_some() {
            self.ask_for_votes();
            return;
        }
        if self.now < self.retry_at {
            return;
        }
        let (Some(copy), Some(_)) = (self.own_copy_id(), &self.state) else {
            return;
        };
        let candidacy = Candidacy {
            round: self.fresh(),
            record: self.record().cloned(),
            copy,
            end: self.pg.end,
        };
        self.begin_campaign(candidacy, true);
    }

    fn give_up_campaign(&mut self) {
        self.campaign = None;
        // The places of two candidates in the list tell who tries again first.
        self.retry_at = self.now + self.config.retry().part(u64::from(self.config.me.0), 2);
    }

    fn begin_campaign(&mut self, candidacy: Candidacy, pre: bool) {
        let mut granted = MemberSet::EMPTY;
        granted.insert(self.config.me);
        self.campaign = Some(Campaign {
            pre,
            round: candidacy.round,
            candidacy,
            granted,
            lost: MemberSet::EMPTY,
            repeat_at: self.now,
            until: self.now + self.config.decision_timeout.part(1, 10),
        });
        self.ask_for_votes();
    }

    /// Asks those who have not granted it, when that is due. What was granted stays: answers may take longer than D/50.
    fn ask_for_votes(&mut self) {
        let again = self.now + self.config.retry();
        let Some(campaign) = self.campaign.as_mut().filter(|c| self.now >= c.repeat_at) else {
            return;
        };
        campaign.repeat_at = again;
        let (pre, granted) = (campaign.pre, campaign.granted);
        let candidacy = campaign.candidacy.clone();
        for peer in self.config.peers().filter(|p| !granted.contains(*p)) {
            let ask = candidacy.clone();
            self.send(
                peer,
                if pre {
                    Body::PreVote(ask)
                } else {
                    Body::Vote(ask)
                },
            );
        }
    }

    /// When a campaign under way has something to do; or when, as things are, the next one begins, or others are asked.
    pub(super) fn campaign_due(&self) -> Instant {
        if let Some(campaign) = &self.campaign {
            return campaign.repeat_at.min(campaign.until);
        }
        let next = self.campaigns_at().filter(|_| self.state.is_some());
        next.map_or(self.ask_at, |at| at.max(self.retry_at).min(self.ask_at))
    }

    pub(super) fn on_vote_reply(&mut self, from: MemberId, term: Term, reply: VoteReply) {
        self.meet_term(term);
        let now = self.now;
        if let Some(refusal) = reply.refusal {
            if let Some(record) = refusal.record
                && !mutant!(self.config, R3NoSpread)
            {
                self.take_up(record);
            }
            let (all, majority) = (self.config.members.len(), self.config.majority());
            let Some(campaign) = self.campaign.as_mut().filter(|c| c.round == reply.round) else {
                return;
            };
            if refusal.wait > Duration::ZERO {
                // It said when to ask again.
                let again = now + refusal.wait.max(Duration::millis(1));
                campaign.repeat_at = campaign.repeat_at.min(again);
            }
            if !campaign.pre && refusal.why == RefusedBecause::VotedForAnother {
                // Several stood at once, and this term cannot be won any more: the next one need not wait.
                campaign.lost.insert(from);
                if all - campaign.lost.len() < majority {
                    self.give_up_campaign();
                }
            }
            return;
        }
        let Some(campaign) = self.campaign.as_mut().filter(|c| {
            (c.round == reply.round || mutant!(self.config, R2OldVotes)) && c.pre == reply.pre
        }) else {
            return;
        };
        campaign.granted.insert(from);
        let enough = match mutant!(self.config, R2HalfIsEnough) {
            true => self.config.members.len().div_ceil(2),
            false => self.config.majority(),
        };
        if campaign.granted.len() < enough {
            return;
        }
        let pre = campaign.pre;
        let mut candidacy = campaign.candidacy.clone();
        if pre {
            // Our own vote obeys what every vote obeys (R5): `campaigns_at` has seen to it, and it may have changed.
            if self.campaigns_at().is_none_or(|at| at > now) {
                return;
            }
            let Some(state) = &mut self.state else { return };
            state.term = Term(state.term.0 + 1);
            state.voted_for = Some(self.config.me);
            self.dirty = true;
            candidacy.round = self.fresh();
            self.begin_campaign(candidacy, false);
        } else {
            self.campaign = None;
            self.become_leader();
        }
    }

    // Giving votes.

    pub(super) fn on_vote_request(
        &mut self,
        from: MemberId,
        term: Term,
        candidacy: Candidacy,
        pre: bool,
    ) {
        // Whatever becomes of the vote, a newer record is worth having (R3).
        if let Some(record) = &candidacy.record
            && !mutant!(self.config, R3NoSpread)
        {
            self.take_up(record.clone());
        }
        if pre && mutant!(self.config, R5PreVoteRaises) {
            self.meet_term(Term(term.0 + 1));
        }
        let refusal = self.refusal(from, term, &candidacy, pre);
        if refusal.is_none() && pre {
            self.lets_go_first(from);
        }
        if refusal.is_none() && !pre {
            self.meet_term(term);
            if let Some(state) = &mut self.state {
                state.voted_for = Some(from);
                self.dirty = true;
            }
        }
        self.send(
            from,
            Body::VoteReply(VoteReply {
                round: candidacy.round,
                pre,
                refusal,
            }),
        );
    }

    /// Two that stand at once, with the third away, would share the votes and wait for it: the first in the list goes first,
    /// and has D/50; who cannot win keeps nobody back for longer.
    fn lets_go_first(&mut self, other: MemberId) {
        let votes = self.campaign.as_ref().is_some_and(|c| !c.pre);
        let patience = self.config.decision_timeout.part(1, 10);
        let lately = self
            .let_go_at
            .is_some_and(|at| self.now.since(at) < patience);
        if other > self.config.me || votes || lately {
            return;
        }
        self.let_go_at = Some(self.now);
        self.campaign = None;
        self.retry_at = self.retry_at.max(self.now + self.config.retry());
    }

    fn refusal(
        &self,
        from: MemberId,
        term: Term,
        candidacy: &Candidacy,
        pre: bool,
    ) -> Option<Refusal> {
        let refuse = |why, wait| {
            Some(Refusal {
                why,
                wait,
                record: None,
            })
        };
        let state = self.state.as_ref()?;
        // A pre-vote asks for the term after the candidate's.
        let asked = if pre { Term(term.0 + 1) } else { term };
        if asked < state.term || (pre && asked == state.term) {
            return refuse(RefusedBecause::OldTerm, Duration::ZERO);
        }
        // Whoever adopted a term may have voted in it (R12).
        if asked <= state.adopted
            || (asked == state.term
                && state.voted_for.is_some_and(|v| v != from)
                && !mutant!(self.config, R2VotesTwice))
        {
            return refuse(RefusedBecause::VotedForAnother, Duration::ZERO);
        }
        let mut older = candidacy.record.as_ref().map(|r| r.key) < self.record_key();
        if mutant!(self.config, R3TermsAlone) {
            let term_of = |key: Option<RecordKey>| key.map(|k| k.term);
            let theirs = candidacy.record.as_ref().map(|r| r.key);
            older = term_of(theirs) < term_of(self.record_key());
        }
        if older && !mutant!(self.config, R3VotesForOlder) {
            return Some(Refusal {
                why: RefusedBecause::OldRecord,
                wait: Duration::ZERO,
                record: self.record().cloned(),
            });
        }
        let copy = Copy {
            member: from,
            id: candidacy.copy,
        };
        if !self.may_be_elected(from, candidacy.record.as_ref(), copy) {
            return refuse(RefusedBecause::NotEligible, Duration::ZERO);
        }
        if self.is_known_beyond(from, candidacy.copy, candidacy.end)
            && !mutant!(self.config, R12VotesForShort)
        {
            return refuse(RefusedBecause::FellBack, Duration::ZERO);
        }
        if let Some(promise) = self.promise.as_ref().filter(|p| p.to != from)
            && self.now < promise.until
            && !mutant!(self.config, R5VotesDespitePromise)
        {
            return refuse(RefusedBecause::Promised, promise.until.since(self.now));
        }
        if self.now < self.silent_until && !mutant!(self.config, R5VotesInSilence) {
            return refuse(RefusedBecause::Silent, self.silent_until.since(self.now));
        }
        // C2 in model2.md: never a vote for another while one's own database may serve (R10).
        if !self.primary_is_down() && !mutant!(self.config, R5LeaderOwesNothing) {
            return refuse(RefusedBecause::PrimaryRuns, Duration::ZERO);
        }
        None
    }
}
