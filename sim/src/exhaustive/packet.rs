//! Messages under way, without what a search does not tell apart.

use yoke_core::Message;
use yoke_core::member::MemberId;
use yoke_core::message::Body;
use yoke_core::postgres::Lsn;

/// A message under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Packet {
    pub(super) from: MemberId,
    pub(super) to: MemberId,
    pub(super) message: Message,
}

impl Packet {
    /// What travels of a message; none: it is never delivered.
    pub(super) fn of(
        from: MemberId,
        to: MemberId,
        mut message: Message,
        asks: bool,
    ) -> Option<Packet> {
        let term = message.term;
        // R12's counts tell of restored states, of which there are none.
        message.presence = None;
        message.seen = None;
        match &mut message.body {
            // Raises nothing: the search grants it at any time.
            Body::PreVote(_) => return None,
            Body::Ask { .. } if !asks => return None,
            Body::Vote(candidacy) => {
                candidacy.round = term.0;
                candidacy.end = Lsn(0);
            }
            // What a copy had flushed is compared where disks go back in time alone.
            Body::HeartbeatReply(reply) => {
                reply.report.end = Lsn(0);
                reply.report.promotion = Default::default();
                reply.report.silent = false;
            }
            Body::Heartbeat(heartbeat) => {
                heartbeat.round = 1;
                heartbeat.sightings = vec![];
            }
            Body::VoteReply(reply) => {
                if let Some(refusal) = &mut reply.refusal {
                    refusal.wait = yoke_core::Duration::ZERO;
                }
            }
            _ => {}
        }
        Some(Packet { from, to, message })
    }

    /// Of one slot the newest alone is under way: the older one is lost, or came before.
    pub(super) fn slot(&self) -> (MemberId, MemberId, u8) {
        let kind = match self.message.body {
            Body::PreVote(_) => 0,
            Body::Vote(_) => 1,
            Body::VoteReply(_) => 2,
            Body::Heartbeat(_) => 3,
            Body::HeartbeatReply(_) => 4,
            Body::Release { .. } => 5,
            Body::Ask { .. } => 6,
            Body::Answer { .. } => 7,
        };
        (self.from, self.to, kind)
    }

    /// Whether it answers another.
    pub(super) fn is_answer(&self) -> bool {
        matches!(
            self.message.body,
            Body::VoteReply(_) | Body::HeartbeatReply(_) | Body::Answer { .. }
        )
    }

    /// In a few words.
    pub(super) fn words(&self, name: impl Fn(MemberId) -> char) -> String {
        let record = |r: &Option<std::sync::Arc<yoke_core::record::Record>>| {
            r.as_ref().map_or("no record".to_owned(), |r| {
                let names: String = r.in_sync.iter().map(|c| name(c.member)).collect();
                format!("{}{{{names}}}", r.key)
            })
        };
        let what = match &self.message.body {
            Body::PreVote(_) => "pre-vote".to_owned(),
            Body::Vote(c) => format!("request for its vote, with {}", record(&c.record)),
            Body::VoteReply(r) => match &r.refusal {
                None => "vote".to_owned(),
                Some(refusal) => format!("refusal ({:?})", refusal.why),
            },
            Body::Heartbeat(h) => format!("heartbeat, with {}", record(&h.record)),
            Body::HeartbeatReply(r) => match r.accepted {
                Some(key) => format!("acceptance of {key}"),
                None if r.promised => "promise".to_owned(),
                None => "refusal of a heartbeat".to_owned(),
            },
            Body::Release { .. } => "release".to_owned(),
            Body::Ask { .. } => "question".to_owned(),
            Body::Answer { record: r, .. } => format!("answer, with {}", record(r)),
        };
        format!("{}'s {what} (term {})", name(self.from), self.message.term)
    }
}
