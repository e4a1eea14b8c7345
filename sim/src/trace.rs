//! Keeps the story of a run, when it is wanted: what the parts say, and what goes over the links.

use crate::event::Ev;
use crate::postgres::standby::Wire;
use crate::story::{Line, Story};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use yoke_core::message::{Body, Message, Report};

/// A story in the making, or none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    story: Option<Box<Story>>,
    /// The step that the run is in.
    pub(crate) step: u64,
}

/// What goes over the links.
#[derive(Clone, Debug, Default)]
pub(crate) struct Messages {
    pub(crate) all: Vec<Flight>,
    /// Those that are due: by their place in the queue.
    due: BTreeMap<u64, usize>,
}

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) sent: u64,
    pub(crate) due: u64,
    /// Whether it came to somebody who could take it in; none: it is under way.
    pub(crate) arrived: Option<bool>,
    pub(crate) sort: Sort,
    pub(crate) text: String,
}

/// Which sort of message it is; the later ones tell more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Sort {
    /// Between databases.
    Wal,
    /// Heartbeats and their answers.
    Heartbeat,
    /// Questions and answers.
    Ask,
    /// Votes.
    Vote,
    /// A record goes with it, or a term ends.
    Record,
}

impl Trace {
    /// A trace that keeps a story, or none.
    pub(crate) fn new(on: bool, members: &[bool]) -> Self {
        Trace {
            story: on.then(|| {
                Box::new(Story {
                    members: members.to_vec(),
                    ..Story::default()
                })
            }),
            step: 0,
        }
    }

    /// Whether anybody wants it.
    pub(crate) fn is_on(&self) -> bool {
        self.story.is_some()
    }

    /// The story so far.
    pub(crate) fn story(&mut self) -> Option<&mut Story> {
        self.story.as_deref_mut()
    }

    /// The story as it was kept.
    pub(crate) fn into_story(self) -> Option<Box<Story>> {
        self.story
    }

    /// One line; the text is made only if it is wanted.
    pub(crate) fn say(&mut self, now: u64, host: Option<usize>, text: impl FnOnce() -> String) {
        let step = self.step;
        if let Some(story) = &mut self.story {
            story.lines.push(Line {
                step,
                at: now,
                host,
                text: short(&text()),
            });
        }
    }

    /// A write was acknowledged.
    pub(crate) fn acknowledged(&mut self, now: u64, by: usize, write: u64) {
        if let Some(story) = &mut self.story {
            story.acknowledged.push((now, by, write));
        }
    }

    /// A message was given to the network, which lost it.
    pub(crate) fn lost(&mut self, now: u64, from: usize, to: usize, message: &Message) {
        if let Some(story) = &mut self.story {
            story.messages.all.push(Flight {
                from,
                to,
                sent: now,
                due: now,
                arrived: Some(false),
                sort: sort(&message.body),
                text: in_words(message),
            });
        }
    }

    /// Something was put into the queue: maybe a message.
    pub(crate) fn is_sent(&mut self, now: u64, due: u64, seq: u64, ev: &Ev) {
        let Some(story) = &mut self.story else { return };
        let (from, to, sort, text) = match ev {
            Ev::Deliver {
                from, to, message, ..
            } => (*from, *to, sort(&message.body), in_words(message)),
            Ev::Wire { from, to, wire, .. } => (*from, *to, Sort::Wal, wire_in_words(wire)),
            _ => return,
        };
        story.messages.due.insert(seq, story.messages.all.len());
        story.messages.all.push(Flight {
            from,
            to,
            sent: now,
            due,
            arrived: None,
            sort,
            text,
        });
    }

    /// Something came out of the queue.
    pub(crate) fn is_due(&mut self, seq: u64, taken_in: bool) {
        let Some(story) = &mut self.story else { return };
        if let Some(place) = story.messages.due.remove(&seq) {
            story.messages.all[place].arrived = Some(taken_in);
        }
    }
}

fn sort(body: &Body) -> Sort {
    match body {
        Body::PreVote(_) | Body::Vote(_) | Body::VoteReply(_) => Sort::Vote,
        Body::Heartbeat(b) if b.record.is_some() => Sort::Record,
        Body::Heartbeat(_) | Body::HeartbeatReply(_) => Sort::Heartbeat,
        Body::Release { .. } => Sort::Record,
        Body::Ask { .. } | Body::Answer { .. } => Sort::Ask,
    }
}

/// Ids and other random numbers by their first four digits: enough to tell them apart.
fn short(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_hexdigit();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(is_part) {
        let length = rest[begin..]
            .find(|c| !is_part(c))
            .unwrap_or(rest.len() - begin);
        let (before, number) = rest[..begin + length].split_at(begin);
        out.push_str(before);
        out.push_str(if length >= 14 { &number[..4] } else { number });
        rest = &rest[begin + length..];
    }
    out + rest
}

fn wire_in_words(wire: &Wire) -> String {
    match wire {
        Wire::Data { entries } => match entries.last() {
            Some(last) => format!("WAL, {} records up to {}", entries.len(), last.end),
            None => "WAL, nothing new".into(),
        },
        Wire::Ack { flushed } => format!("flushed {flushed}"),
        Wire::Connect { .. } => "connects".into(),
        Wire::Hello { end, .. } => format!("hello, ends at {end}"),
        Wire::Start { from, .. } => format!("start from {from}"),
        Wire::Fin => "connection ended".into(),
    }
}

/// A message in a few words.
pub(crate) fn in_words(message: &Message) -> String {
    let mut text = match &message.body {
        Body::PreVote(c) => format!(
            "pre-vote? round {} copy {} record {}",
            c.round,
            c.copy,
            key(&c.record)
        ),
        Body::Vote(c) => format!(
            "vote? round {} copy {} record {}",
            c.round,
            c.copy,
            key(&c.record)
        ),
        Body::VoteReply(r) => match &r.refusal {
            None => format!(
                "{}granted round {}",
                if r.pre { "pre-" } else { "" },
                r.round
            ),
            Some(refusal) => format!(
                "{}refused round {}: {:?}, wait {}",
                if r.pre { "pre-" } else { "" },
                r.round,
                refusal.why,
                refusal.wait
            ),
        },
        Body::Heartbeat(b) => format!(
            "heartbeat {} record {} committed {}{}",
            b.round,
            key(&b.record),
            or_dash(b.committed),
            if b.follow { " follow" } else { "" }
        ),
        Body::HeartbeatReply(r) => format!(
            "heard {}{} accepted {}{}",
            r.round,
            if r.promised { "" } else { " NO PROMISE" },
            or_dash(r.accepted),
            report_in_words(&r.report)
        ),
        other => format!("{other:?}"),
    };
    let holds = or_dash(message.holds);
    let _ = write!(text, "  [term {} holds {holds}]", message.term);
    short(&text)
}

fn or_dash(what: Option<impl ToString>) -> String {
    what.map_or("-".into(), |what| what.to_string())
}

fn report_in_words(report: &Report) -> String {
    let mut text = match report.copy {
        Some(copy) => format!("; copy {copy} up to {}", report.end),
        None => String::new(),
    };
    for (is, word) in [
        (report.running, "running"),
        (report.stopped, "stopped"),
        (report.drained, "drained"),
        (report.silent, "silent"),
        (report.leaving, "leaving"),
    ] {
        if is {
            let _ = write!(text, ", {word}");
        }
    }
    text
}

fn key(record: &Option<std::sync::Arc<yoke_core::record::Record>>) -> String {
    record.as_ref().map_or("-".into(), |r| r.key.to_string())
}
