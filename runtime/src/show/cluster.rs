//! Every member's own view, put together into one picture.

use super::hooks;
use crate::admin::Report;
use crate::log::named;
use serde::Serialize;
use yoke_core::member::{MemberId, MemberKind};
use yoke_core::postgres::{Doors, GateStatus, Lsn, PgState, PgStatus};
use yoke_core::record::Record;
use yoke_core::view::RoleView;

/// One cluster as seen by asking all its members. This is what `--json` prints.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Cluster {
    /// Its name.
    pub cluster: String,
    /// Who leads.
    pub leader: Option<String>,
    /// The highest term that anybody met.
    pub term: u64,
    /// The newest record's version.
    pub version: Option<u64>,
    /// Whether the primary's place could be taken now without a loss.
    pub failover_possible: bool,
    /// What a failover would lose now, or why none is possible.
    pub summary: String,
    /// Every member, in order.
    pub members: Vec<Row>,
}

/// One member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
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
    /// Whether the record names its copy.
    pub in_sync: Option<bool>,
    /// Where the virtual address is, and what went wrong with it.
    pub vip: Option<String>,
    /// What the role command was told last, and what came of it.
    pub role_command: Option<String>,
    /// Of the two what concerns people now.
    #[serde(skip)]
    pub notes: Vec<String>,
    /// What keeps it from what it should be.
    pub fault: Option<String>,
    /// Why its daemon did not answer.
    pub error: Option<String>,
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
            in_sync: None,
            vip: None,
            role_command: None,
            notes: Vec::new(),
            fault: None,
            error: None,
        };
        let report = match &self.each[place] {
            Ok(report) => report,
            Err(error) => {
                row.error = Some(error.clone());
                row.in_sync = record
                    .filter(|_| entry.kind == MemberKind::Data)
                    .map(|r| r.copy_of(MemberId(place as u8)).is_some());
                return row;
            }
        };
        row.reachable = true;
        row.vip = hooks::vip(report);
        row.role_command = hooks::role_command(report);
        row.notes = hooks::notes(report);
        let view = &report.view;
        row.fault = view
            .stays_out
            .clone()
            .or_else(|| view.postgres.fault.as_ref().map(|f| f.0.clone()))
            .map(|text| self.named(&text));
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
        }
        row
    }

    /// A database's state in a few words.
    pub fn database(&self, report: &Report) -> String {
        match &report.view.postgres.state {
            PgState::Unknown => "not looked at yet".to_owned(),
            PgState::NoData => "no data".to_owned(),
            PgState::Rewriting { done, total } => match total {
                0 => "being made anew".to_owned(),
                total => format!("being made anew, {} %", done.saturating_mul(100) / total),
            },
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
