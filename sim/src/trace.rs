//! What happened, one line an event: time, host, what.

use std::fmt::Write as _;
use yoke_core::message::{Body, Message};

/// The lines of a run, when they are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A trace that keeps its lines, or none.
    pub(crate) fn new(on: bool) -> Self {
        Trace {
            lines: on.then(Vec::new),
        }
    }

    /// Whether anybody wants lines.
    pub(crate) fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// One line; the text is made only if it is wanted.
    pub(crate) fn say(&mut self, now: u64, host: Option<usize>, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let mut line = format!("{:>4}.{:06}  ", now / 1_000_000, now % 1_000_000);
            match host {
                // Each host has its column.
                Some(host) => {
                    let _ = write!(
                        line,
                        "{}m{host}{}  ",
                        " .".repeat(host),
                        " .".repeat(4usize.saturating_sub(host))
                    );
                }
                None => line.push_str("            "),
            }
            line.push_str(&text());
            lines.push(line);
        }
    }

    /// The lines.
    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
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
            "heartbeat {} record {} committed {:?}{}",
            b.round,
            key(&b.record),
            b.committed,
            if b.follow { " follow" } else { "" }
        ),
        Body::HeartbeatReply(r) => format!(
            "heard {}{} accepted {:?} {:?}",
            r.round,
            if r.promised { "" } else { " NO PROMISE" },
            r.accepted,
            r.report
        ),
        other => format!("{other:?}"),
    };
    let _ = write!(text, "  [term {} holds {:?}]", message.term, message.holds);
    text
}

fn key(record: &Option<std::sync::Arc<yoke_core::record::Record>>) -> String {
    record.as_ref().map_or("-".into(), |r| r.to_string())
}
