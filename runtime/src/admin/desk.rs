//! What this daemon can tell operators: its node's view, and besides what it noticed in passing: whom it heard when, how
//! far each copy was, and why a member cannot be reached. Nothing is decided by it.

use super::protocol::{Known, MemberEntry, Report};
use crate::hooks::Hooks;
use crate::peer::Directory;
use std::sync::Arc;
use yoke_core::member::MemberId;
use yoke_core::message::{Body, Message};
use yoke_core::postgres::{Lsn, PgStatus, StandbyStatus};
use yoke_core::view::{ClusterView, RoleView};
use yoke_core::{Duration, Instant};

/// When more of the primary's positions than this are remembered, some are forgotten.
const REMEMBERED: usize = 1024;
/// What was long ago is known to this part of how long ago it was.
const PART: u64 = 16;

/// What is told.
#[derive(Debug)]
pub struct Desk {
    cluster: String,
    members: Vec<MemberEntry>,
    directory: Arc<Directory>,
    heard: Vec<Option<Heard>>,
    track: Track,
    /// The newest status of a primary: what its standbys have flushed.
    primary: Option<(Instant, PgStatus)>,
}

/// When a member was last heard, and the last report that it gave as a follower.
#[derive(Clone, Debug)]
struct Heard {
    at: Instant,
    report: Option<yoke_core::message::Report>,
}

impl Desk {
    /// Nothing noticed yet.
    pub fn new(cluster: String, members: Vec<MemberEntry>, directory: Arc<Directory>) -> Self {
        Desk {
            cluster,
            heard: vec![None; members.len()],
            members,
            directory,
            track: Track::default(),
            primary: None,
        }
    }

    /// The members' names, in order.
    pub fn names(&self) -> Vec<&str> {
        self.members.iter().map(|m| m.name.as_str()).collect()
    }

    /// A member said something.
    pub fn heard(&mut self, now: Instant, from: MemberId, message: &Message) {
        let Some(heard) = self.heard.get_mut(usize::from(from.0)) else {
            return;
        };
        let report = match &message.body {
            Body::HeartbeatReply(reply) => Some(reply.report.clone()),
            _ => heard.take().and_then(|h| h.report),
        };
        *heard = Some(Heard { at: now, report });
    }

    /// This member's own database was looked at.
    pub fn database(&mut self, now: Instant, status: &PgStatus) {
        match status.primary() {
            Some(_) => {
                self.track.note(now, status.end);
                self.primary = Some((now, status.clone()));
            }
            None => {
                self.track = Track::default();
                self.primary = None;
            }
        }
    }

    /// All of it.
    pub fn report(&self, now: Instant, view: ClusterView, hooks: Hooks) -> Report {
        let leads = view.role == RoleView::Leader;
        let known = (0..self.members.len() as u8)
            .map(MemberId)
            .map(|member| self.known(now, member, leads))
            .collect();
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: self.cluster.clone(),
            members: self.members.clone(),
            now,
            view,
            known,
            hooks,
        }
    }

    fn known(&self, now: Instant, member: MemberId, leads: bool) -> Known {
        let heard = self
            .heard
            .get(usize::from(member.0))
            .and_then(Option::as_ref);
        // What was reported to a leader of long ago is no news.
        let position = self.position(now, member, heard).filter(|_| leads);
        Known {
            heard: heard.map(|h| now.since(h.at)),
            flushed: position.map(|(_, end)| end),
            lag: position
                .filter(|_| self.primary.is_some())
                .map(|(at, end)| self.track.behind(end, at)),
            unreachable: self.directory.trouble(member),
        }
    }

    /// Up to where the member's copy has flushed, and as of when.
    fn position(
        &self,
        now: Instant,
        member: MemberId,
        heard: Option<&Heard>,
    ) -> Option<(Instant, Lsn)> {
        let reported = heard
            .and_then(|h| h.report.as_ref())
            .filter(|r| r.copy.is_some() && r.end > Lsn(0))
            .map(|r| (now, r.end));
        // What the primary itself sees of it is of the same look as the primary's position, and newer.
        let seen = self.primary.as_ref().and_then(|(at, status)| {
            let standbys = &status.primary()?.standbys;
            let streams = |s: &&StandbyStatus| s.copy.member == member && s.streaming;
            Some((*at, standbys.iter().find(streams)?.flushed))
        });
        seen.or(reported)
    }
}

/// Where the primary was when.
#[derive(Debug, Default)]
struct Track(Vec<(Instant, Lsn)>);

impl Track {
    fn note(&mut self, now: Instant, end: Lsn) {
        if self.0.last().is_some_and(|(_, last)| *last == end) {
            return;
        }
        self.0.push((now, end));
        if self.0.len() > REMEMBERED {
            self.thin_out(now);
        }
    }

    /// Forgets what lies between two others that are close together for how old they are.
    fn thin_out(&mut self, now: Instant) {
        let mut kept: Vec<(Instant, Lsn)> = Vec::new();
        for (i, entry) in self.0.iter().enumerate() {
            let between = kept.last().zip(self.0.get(i + 1));
            let needed = between.is_none_or(|((before, _), (after, _))| {
                after.since(*before).0 > now.since(*after).0 / PART
            });
            if needed {
                kept.push(*entry);
            }
        }
        self.0 = kept;
    }

    /// How long before `now` the primary was first seen beyond `position`: no time if it never was, and at least so long
    /// if it already was when it was first looked at.
    fn behind(&self, position: Lsn, now: Instant) -> Duration {
        let beyond = self.0.partition_point(|(_, end)| *end <= position);
        match self.0.get(beyond) {
            Some((at, _)) => now.since(*at),
            None => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_the_time_since_the_primary_went_on() {
        let mut track = Track::default();
        assert_eq!(track.behind(Lsn(0), Instant(9)), Duration::ZERO);
        for (at, end) in [(10, 100), (20, 200), (30, 200), (40, 300)] {
            track.note(Instant(at), Lsn(end));
        }
        let now = Instant(50);
        // All is there: no lag, however long nothing was written.
        assert_eq!(track.behind(Lsn(300), Instant(1_000)), Duration::ZERO);
        assert_eq!(track.behind(Lsn(400), now), Duration::ZERO);
        assert_eq!(track.behind(Lsn(299), now), Duration(10));
        assert_eq!(track.behind(Lsn(200), now), Duration(10));
        // A silent standby's lag grows.
        assert_eq!(track.behind(Lsn(150), now), Duration(30));
        assert_eq!(track.behind(Lsn(150), Instant(90)), Duration(70));
        assert_eq!(track.behind(Lsn(1), now), Duration(40));
    }

    #[test]
    fn what_is_long_ago_is_known_roughly() {
        let mut track = Track::default();
        let last = 100 * REMEMBERED as u64;
        for i in 1..=last {
            track.note(Instant(i), Lsn(i));
        }
        assert!(track.0.len() <= REMEMBERED);
        for position in [1, 10, last / 3, last / 2, last - 1] {
            let exact = last - (position + 1);
            let found = track.behind(Lsn(position), Instant(last)).0;
            let roughly = exact - exact / PART;
            assert!((roughly..=exact).contains(&found), "{position}: {found}");
        }
    }
}
