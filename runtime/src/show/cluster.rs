//! Every member's own view, put together into one picture.

use super::hooks;
use crate::admin::Report;
use crate::admin::protocol::Known;
use crate::log::named;
use serde::Serialize;
use yoke_core::Duration;
use yoke_core::member::{MemberId, MemberKind};
use yoke_core::postgres::{Doors, GateStatus, Lsn, PgState, PgStatus, Rewrite};
use yoke_core::record::Record;
use yoke_core::view::RoleView;

/// One cluster as seen by asking all its members. This is what `--json` prints.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Cluster {
    /// Its name.
    pub cluster: String,
    /// Who leads.
    pub leader: Option<String>,
    /// The highest term that anybody met.
    pub term: u64,
    /// The newest record's version.
    pub version: Option<u64>,
    /// For how long the leader may serve unless it hears a majority; none: it does not answer, or needs no lease because
    /// it serves alone.
    pub lease_left_seconds: Option<f64>,
    /// Whether clients can write now.
    pub serves: bool,
    /// Whether the primary's place could be taken now without a loss.
    pub failover_possible: bool,
    /// Whether an operator paused the cluster: then nobody takes over.
    pub paused: bool,
    /// What a failover would lose now, or why none is possible.
    pub summary: String,
    /// Every member, in order.
    pub members: Vec<Row>,
}

/// One member.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub member: String,
    /// `data` or `witness`.
    pub kind: &'static str,
    /// Where its daemon listens.
    pub address: String,
    /// Whether its daemon answered.
    pub reachable: bool,
    /// `primary`, `standby`, `witness`, …
    pub role: &'static str,
    /// What its database is, in a few words.
    pub database: String,
    /// The timeline that it is on.
    pub timeline: Option<u32>,
    /// Up to where it has flushed.
    pub position: Option<String>,
    /// How far that is behind the primary.
    pub lag_bytes: Option<u64>,
    /// For how long the primary has been further than that; 0 when it holds all, however long ago the last write was.
    pub lag_seconds: Option<f64>,
    /// How long ago the leader heard it; without a leader: whoever heard it last. None: never, or it is the leader.
    pub heard_seconds: Option<f64>,
    /// Whether the record names its copy.
    pub in_sync: Option<bool>,
    /// Where the virtual address is, and what went wrong with it.
    pub vip: Option<String>,
    /// What the role command was told last, and what came of it.
    pub role_command: Option<String>,
    /// What keeps it from what it should be.
    pub fault: Option<String>,
    /// What an operator should know of its database's configuration and of the commands that are run at changes of role.
    pub notes: Vec<String>,
    /// Why its daemon did not answer.
    pub error: Option<String>,
    /// The members that its daemon has no connection to although they run: why.
    pub unreachable: Vec<String>,
}

/// The members' answers, in their order.
pub struct Answers<'a> {
    /// Any report: names, addresses.
    pub first: &'a Report,
    /// Each member's report, or why there is none.
    pub each: &'a [Result<Report, String>],
}

/// Puts the answers together.
pub fn merge(answers: &Answers<'_>) -> Cluster {
    let reports = || answers.each.iter().flatten();
    let leader = answers.leader();
    let record = answers.record();
    let primary_end = leader.and_then(|l| match l.view.postgres.state {
        PgState::Primary(_) => Some(l.view.postgres.end),
        _ => None,
    });
    let (failover_possible, summary) = super::summary::summary(answers);
    Cluster {
        cluster: answers.first.cluster.clone(),
        leader: leader
            .map(|l| l.view.me)
            .or_else(|| reports().find_map(|r| r.view.leader))
            .map(|m| answers.name(m).to_owned()),
        term: reports().map(|r| r.view.term.0).max().unwrap_or(0),
        version: record.map(|r| r.key.version),
        lease_left_seconds: leader.and_then(|l| l.view.lease_left).map(seconds),
        serves: leader.is_some_and(|l| {
            l.view.postgres.primary().is_some_and(|p| {
                p.doors == Doors::Open && matches!(p.gate, GateStatus::Open { .. })
            })
        }),
        paused: record.is_some_and(|r| r.paused),
        failover_possible,
        summary,
        members: (0..answers.first.members.len())
            .map(|i| answers.row(i, record, primary_end))
            .collect(),
    }
}

impl Answers<'_> {
    /// The member that leads in the highest term, if it answered.
    pub fn leader(&self) -> Option<&Report> {
        self.each
            .iter()
            .flatten()
            .filter(|r| r.view.role == RoleView::Leader)
            .max_by_key(|r| r.view.term)
    }

    /// The newest record that anybody holds.
    pub fn record(&self) -> Option<&Record> {
        self.each
            .iter()
            .flatten()
            .filter_map(|r| r.view.record.as_deref())
            .max_by_key(|r| r.key)
    }

    /// The member's own report.
    pub fn report(&self, member: MemberId) -> Option<&Report> {
        self.each.get(usize::from(member.0))?.as_ref().ok()
    }

    /// The member's name.
    pub fn name(&self, member: MemberId) -> &str {
        self.first
            .members
            .get(usize::from(member.0))
            .map_or("an unknown member", |m| &m.name)
    }

    /// A text of the core's with the members called by name.
    fn named(&self, text: &str) -> String {
        let names: Vec<&str> = self.first.members.iter().map(|m| m.name.as_str()).collect();
        named(text, &names).into_owned()
    }

    /// What the leader, or else who heard it last, knows of a member.
    fn known(&self, member: MemberId) -> Option<&Known> {
        let place = usize::from(member.0);
        match self.leader() {
            Some(leader) if leader.view.me == member => None,
            Some(leader) => leader.known.get(place),
            None => self
                .each
                .iter()
                .flatten()
                .filter_map(|report| report.known.get(place))
                .filter(|known| known.heard.is_some())
                .min_by_key(|known| known.heard),
        }
    }

    fn row(&self, place: usize, record: Option<&Record>, primary_end: Option<Lsn>) -> Row {
        let entry = &self.first.members[place];
        let mut row = Row {
            member: entry.name.clone(),
            kind: super::kind(entry.kind),
            address: entry.address.to_string(),
            reachable: false,
            role: "unknown",
            database: String::new(),
            timeline: None,
            position: None,
            lag_bytes: None,
            lag_seconds: None,
            heard_seconds: None,
            in_sync: None,
            vip: None,
            role_command: None,
            fault: None,
            notes: Vec::new(),
            error: None,
            unreachable: Vec::new(),
        };
        let member = MemberId(place as u8);
        let known = self.known(member);
        row.heard_seconds = known.and_then(|k| k.heard).map(seconds);
        let report = match &self.each[place] {
            Ok(report) => report,
            Err(error) => {
                row.error = Some(error.clone());
                if entry.kind == MemberKind::Witness {
                    row.role = "witness";
                    return row;
                }
                row.in_sync = record.map(|r| r.copy_of(member).is_some());
                // What the leader last knew of it.
                if let Some(last) = known.and_then(|k| k.flushed) {
                    row.position = Some(last.to_string());
                    row.lag_bytes = primary_end.map(|p| p.0.saturating_sub(last.0));
                    row.lag_seconds = known.and_then(|k| k.lag).map(seconds);
                }
                return row;
            }
        };
        row.reachable = true;
        row.unreachable = self.unreachable(report);
        row.vip = hooks::vip(report);
        row.role_command = hooks::role_command(report);
        let view = &report.view;
        row.fault = view
            .stays_out
            .clone()
            .or_else(|| view.postgres.fault.as_ref().map(|f| f.0.clone()))
            .map(|text| self.named(&text));
        row.notes.clone_from(&view.postgres.notes);
        row.notes.extend(hooks::notes(report));
        if entry.kind == MemberKind::Witness {
            row.role = "witness";
            return row;
        }
        let pg = &view.postgres;
        row.role = role(pg);
        row.database = self.database(report);
        row.in_sync =
            record.map(|r| pg.copy.is_some() && r.copy_of(view.me).map(|c| c.id) == pg.copy);
        // A directory that is being rewritten holds nothing that could be placed.
        if pg.copy.is_some() && pg.system_id.is_some() {
            row.timeline = Some(pg.history.last().map_or(1, |p| p.timeline.0));
            row.position = (pg.end > Lsn(0)).then(|| pg.end.to_string());
        }
        if row.position.is_some() && row.role != "primary" {
            row.lag_bytes = primary_end.map(|p| p.0.saturating_sub(pg.end.0));
            row.lag_seconds = known.and_then(|k| k.lag).map(seconds);
        }
        row
    }

    /// The members that answer here, and that this one has no connection to.
    fn unreachable(&self, report: &Report) -> Vec<String> {
        (0..)
            .map(MemberId)
            .zip(&report.known)
            .filter(|(member, _)| self.report(*member).is_some())
            .filter_map(|(member, known)| {
                let why = known.unreachable.as_ref()?;
                Some(format!("it cannot reach {}: {why}", self.name(member)))
            })
            .collect()
    }

    /// A database's state in a few words.
    pub fn database(&self, report: &Report) -> String {
        match &report.view.postgres.state {
            PgState::Unknown => "not looked at yet".to_owned(),
            PgState::NoData => "no data".to_owned(),
            PgState::Rewriting { how, done, total } => {
                let how = match how {
                    Rewrite::Pending => "being made anew",
                    Rewrite::Clone => "being copied",
                    Rewrite::Rewind => "being rewound",
                };
                match total {
                    0 => how.to_owned(),
                    total => format!("{how}, {}", progress(*done, *total)),
                }
            }
            PgState::Stopped { .. } => "stopped".to_owned(),
            PgState::Starting => "starting".to_owned(),
            PgState::Standby {
                of,
                streaming,
                replay_paused,
                ..
            } => {
                let source = of.map_or("nobody", |m| self.name(m));
                let paused = if *replay_paused {
                    ", replay paused"
                } else {
                    ""
                };
                match (of, streaming) {
                    (None, _) => format!("follows nobody{paused}"),
                    (Some(_), true) => format!("streams from {source}{paused}"),
                    (Some(_), false) => format!("waits for {source}{paused}"),
                }
            }
            PgState::Promoting => "being promoted".to_owned(),
            PgState::Primary(primary) => match (&primary.doors, &primary.gate) {
                (Doors::Open, GateStatus::Open { names, .. }) if names.is_empty() => {
                    "serves alone".to_owned()
                }
                (Doors::Open, GateStatus::Open { .. }) => "serves".to_owned(),
                (Doors::Open, _) => "writes wait".to_owned(),
                _ => "clients wait".to_owned(),
            },
            PgState::Stopping => "stopping".to_owned(),
            PgState::Silent { since, .. } => {
                format!("silent for {}", report.now.since(*since))
            }
        }
    }
}

/// `1.2 of 3.4 GB (35 %)`. What is to be copied grows meanwhile: the program's own total is a guess.
fn progress(done: u64, total: u64) -> String {
    let total = total.max(done);
    let (unit, name) = match total {
        0..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    let in_unit = |bytes: u64| {
        let tenths = bytes.saturating_mul(10) / unit;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    format!(
        "{} of {} {name} ({} %)",
        in_unit(done),
        in_unit(total),
        done.saturating_mul(100) / total.max(1)
    )
}

fn seconds(length: Duration) -> f64 {
    length.as_millis() as f64 / 1_000.0
}

fn role(pg: &PgStatus) -> &'static str {
    match pg.state {
        PgState::Primary(_) | PgState::Promoting => "primary",
        PgState::Silent { primary: true, .. } => "primary",
        PgState::Standby { .. } | PgState::Silent { .. } => "standby",
        PgState::Rewriting { .. } => "rejoining",
        PgState::Unknown | PgState::NoData | PgState::Stopped { .. } => "-",
        PgState::Starting | PgState::Stopping => "-",
    }
}
