//! What all three daemons say at one moment.

use super::node::Node;
use crate::admin::{Report, client};
use crate::show::cluster::{Answers, Cluster, merge};
use std::time::{Duration, Instant};
use yoke_core::member::MemberId;
use yoke_core::postgres::{Doors, GateStatus, PgState};
use yoke_core::view::RoleView;

/// How long a daemon may take to say what it sees.
const LOOK: Duration = Duration::from_millis(500);

/// Everybody's view, asked for at the same time.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Before the first was asked.
    pub asked: Instant,
    /// Each member's own truth, or why there is none.
    pub reports: Vec<Result<Report, String>>,
    /// All of it put together, as `yokeadm list --json` prints it; none: nobody answered.
    pub cluster: Option<Cluster>,
}

/// A node that serves reads and writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Serving {
    /// Its place.
    pub node: usize,
    /// The timeline that its promotion began.
    pub timeline: u32,
    /// Whether every acknowledged write is on another host too.
    pub guarded: bool,
}

impl Picture {
    /// Asks all daemons, by their addresses in the members' order.
    pub async fn take(addresses: &[String]) -> Picture {
        let asked = Instant::now();
        let tasks: Vec<_> = addresses
            .iter()
            .cloned()
            .map(|address| tokio::spawn(async move { client::report(&address, LOOK).await }))
            .collect();
        let mut reports = Vec::new();
        for task in tasks {
            reports.push(match task.await {
                Ok(Ok(report)) => Ok(report),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            });
        }
        let cluster = reports.iter().flatten().next().map(|first| {
            merge(&Answers {
                first,
                each: &reports,
            })
        });
        Picture {
            asked,
            reports,
            cluster,
        }
    }

    /// Nobody has been asked yet.
    pub fn blank(nodes: &[Node]) -> Picture {
        Picture {
            asked: Instant::now(),
            reports: nodes.iter().map(|_| Err("not asked".to_owned())).collect(),
            cluster: None,
        }
    }

    /// The primary that lets clients in and acknowledges their writes, if there is one.
    pub fn serving(&self) -> Option<Serving> {
        let leader = self
            .reports
            .iter()
            .flatten()
            .filter(|r| r.view.role == RoleView::Leader)
            .max_by_key(|r| r.view.term)?;
        let primary = leader.view.postgres.primary()?;
        let GateStatus::Open { names, .. } = &primary.gate else {
            return None;
        };
        (primary.doors == Doors::Open).then(|| Serving {
            node: usize::from(leader.view.me.0),
            timeline: leader
                .view
                .postgres
                .history
                .last()
                .map_or(1, |p| p.timeline.0),
            guarded: !names.is_empty(),
        })
    }

    /// What is missing until everything is as it should be: one primary that serves, its standby in sync, the monitor
    /// there, nobody with a complaint.
    pub fn missing(&self) -> Option<String> {
        let name = |i: usize| match &self.cluster {
            Some(cluster) => cluster.members[i].member.clone(),
            None => format!("node {}", i + 1),
        };
        for (i, report) in self.reports.iter().enumerate() {
            match report {
                Err(error) => return Some(format!("{} does not answer: {error}", name(i))),
                Ok(report) => {
                    if let Some(why) = &report.view.stays_out {
                        return Some(format!("{} stays out: {why}", name(i)));
                    }
                    if let Some(fault) = &report.view.postgres.fault {
                        return Some(format!("{}: {fault}", name(i)));
                    }
                }
            }
        }
        let Some(serving) = self.serving() else {
            return Some("nobody serves".to_owned());
        };
        let leader = MemberId(serving.node as u8);
        for report in self.reports.iter().flatten() {
            let (view, me) = (&report.view, usize::from(report.view.me.0));
            if me != serving.node && view.leader != Some(leader) {
                return Some(format!("{} does not hear {}", name(me), name(serving.node)));
            }
        }
        if !serving.guarded {
            return Some(format!("{} serves alone", name(serving.node)));
        }
        let record = |r: &Report| r.view.record.as_ref().map(|r| (r.key, r.in_sync.len()));
        let Some((key, 2)) = self.reports[serving.node].as_ref().ok().and_then(record) else {
            return Some("the record does not name both copies as in sync".to_owned());
        };
        for (i, report) in self.reports.iter().enumerate() {
            let Ok(report) = report else { continue };
            if report.view.committed != Some(key) {
                return Some(format!(
                    "{} does not know the newest record committed",
                    name(i)
                ));
            }
            let streams = match &report.view.postgres.state {
                PgState::Standby { of, streaming, .. } => *of == Some(leader) && *streaming,
                _ => i == serving.node || i == 2,
            };
            if !streams {
                return Some(format!("{} does not stream yet", name(i)));
            }
        }
        None
    }

    /// Everything is as it should be.
    pub fn is_healthy(&self) -> bool {
        self.missing().is_none()
    }

    /// Each member in a few words, then the cluster. Numbers that always move are left out, so that a new line is news.
    pub fn lines(&self) -> Vec<(String, String)> {
        let Some(cluster) = &self.cluster else {
            return vec![("cluster".to_owned(), "no daemon answers".to_owned())];
        };
        let mut lines: Vec<(String, String)> = cluster
            .members
            .iter()
            .map(|row| {
                let mut words = Vec::new();
                if !row.reachable {
                    words.push("does not answer".to_owned());
                } else if row.kind == "witness" {
                    words.push("votes".to_owned());
                } else {
                    words.push(format!("{}: {}", row.role, without_numbers(&row.database)));
                    let in_sync = row.in_sync == Some(true);
                    words.push(if in_sync { "in sync" } else { "not in sync" }.to_owned());
                }
                words.extend(row.fault.clone());
                (row.member.clone(), words.join(", "))
            })
            .collect();
        let leader = match &cluster.leader {
            Some(leader) => format!("{leader} leads, term {}", cluster.term),
            None => "nobody leads".to_owned(),
        };
        let summary = without_numbers(&cluster.summary);
        lines.push(("cluster".to_owned(), format!("{leader}. {summary}")));
        lines
    }
}

const SIZES: [&str; 3] = ["kB", "MB", "GB"];

/// Puts `…` for counters that change with every look: percentages, bytes copied, lengths of silence, bytes behind.
fn without_numbers(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let mut out: Vec<&str> = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let unit = words
            .get(i + 1)
            .unwrap_or(&"")
            .trim_end_matches(['.', ',', ';', ')']);
        let number = word.trim_start_matches('(');
        let counts = number.starts_with(|c: char| c.is_ascii_digit());
        // `1.2 of 3.4 GB`
        let of = |at: usize| {
            words.get(at) == Some(&"of") && words.get(at + 2).is_some_and(|w| SIZES.contains(w))
        };
        let copied = of(i + 1) || i > 0 && of(i - 1);
        out.push(
            match counts && (copied || ["%", "s", "bytes"].contains(&unit)) {
                true if word.starts_with('(') => "(…",
                true => "…",
                false => word,
            },
        );
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_left_out() {
        let cases = [
            (
                "being copied, 1.2 of 3.4 GB (35 %)",
                "being copied, … of … GB (… %)",
            ),
            ("silent for 1.230 s", "silent for … s"),
            (
                "data2 is catching up (1024 bytes behind).",
                "data2 is catching up (… bytes behind).",
            ),
            ("only 2 of 3 members answer", "only 2 of 3 members answer"),
        ];
        for (from, to) in cases {
            assert_eq!(without_numbers(from), to);
        }
    }
}
