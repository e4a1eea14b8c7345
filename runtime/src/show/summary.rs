//! The one sentence above the table: what a failover would lose now, or why none is possible.

use super::cluster::Answers;
use crate::admin::Report;
use yoke_core::member::{MemberId, MemberKind};
use yoke_core::postgres::{Lsn, PgState};
use yoke_core::record::Record;
use yoke_core::view::RoleView;

/// Whether the primary's place could be taken now without a loss, and a sentence about it.
pub(super) fn summary(answers: &Answers<'_>) -> (bool, String) {
    let (possible, sentence) = without_pause(answers);
    if !answers.record().is_some_and(|record| record.paused) {
        return (possible, sentence);
    }
    let paused = "Paused by an operator: nobody takes over until `yokeadm resume`";
    let sentence = match possible {
        true => format!("{paused}; a failover would lose nothing then."),
        false => format!("{paused}. {sentence}"),
    };
    (false, sentence)
}

/// The same as if nobody had paused the cluster.
fn without_pause(answers: &Answers<'_>) -> (bool, String) {
    let Some(leader) = answers.leader() else {
        return (false, without_leader(answers));
    };
    let name = answers.name(leader.view.me);
    let PgState::Primary(_) = leader.view.postgres.state else {
        let database = answers.database(leader);
        return (
            false,
            format!("{name} leads, but its database does not serve yet: {database}."),
        );
    };
    match leader.view.record.as_deref() {
        None => (
            false,
            format!("{name} leads, and the first record is not written yet."),
        ),
        Some(record) if record.is_lone() => (false, alone(answers, leader)),
        Some(record) => in_sync(answers, leader, record),
    }
}

/// The record names somebody who could take over.
fn in_sync(answers: &Answers<'_>, leader: &Report, record: &Record) -> (bool, String) {
    let me = leader.view.me;
    let mut hindered = Vec::new();
    for copy in record.others() {
        let name = answers.name(copy.member);
        match answers.report(copy.member) {
            None => hindered.push(format!("{name} is in sync but does not answer")),
            Some(r) if r.view.postgres.copy != Some(copy.id) => {
                hindered.push(format!("{name} has lost the copy that is in sync"));
            }
            Some(r) => match r.view.postgres.state {
                PgState::Standby {
                    replay_paused: false,
                    ..
                } => {
                    return with_majority(answers, me, name);
                }
                _ => hindered.push(format!(
                    "{name} is in sync, but its database: {}",
                    answers.database(r)
                )),
            },
        }
    }
    (
        false,
        format!("No failover is possible: {}.", hindered.join("; ")),
    )
}

/// Somebody could take over, if a majority is left without the leader.
fn with_majority(answers: &Answers<'_>, leader: MemberId, name: &str) -> (bool, String) {
    let count = answers.first.members.len();
    let others = || (0..count as u8).map(MemberId).filter(move |m| *m != leader);
    let silent: Vec<&str> = others()
        .filter(|m| {
            answers
                .report(*m)
                .is_none_or(|r| r.view.role == RoleView::WithoutState)
        })
        .map(|m| answers.name(m))
        .collect();
    if count - 1 - silent.len() > count / 2 {
        return (
            true,
            format!("A failover now would lose nothing: {name} is in sync."),
        );
    }
    let why = format!(
        "No failover is possible: {name} is in sync, but without {} and {} there is no majority.",
        answers.name(leader),
        silent.join(", ")
    );
    (false, why)
}

/// The record names the primary's copy only.
fn alone(answers: &Answers<'_>, leader: &Report) -> String {
    let me = leader.view.me;
    let end = leader.view.postgres.end;
    let members = &answers.first.members;
    let others: Vec<String> = (0..)
        .zip(members)
        .filter(|(id, m)| MemberId(*id) != me && m.kind == MemberKind::Data)
        .map(|(id, m)| match answers.report(MemberId(id)) {
            None => format!("{} does not answer", m.name),
            Some(report) => standing(answers, report, me, end),
        })
        .collect();
    match others.is_empty() {
        true => format!(
            "No failover is possible: {} is the only member with data.",
            answers.name(me)
        ),
        false => format!(
            "No failover is possible: {} serves alone, {}.",
            answers.name(me),
            others.join(", ")
        ),
    }
}

/// Where a data member is on its way to being in sync.
fn standing(answers: &Answers<'_>, report: &Report, leader: MemberId, end: Lsn) -> String {
    let name = answers.name(report.view.me);
    match report.view.postgres.state {
        PgState::Standby {
            of: Some(of),
            streaming: true,
            ..
        } if of == leader => {
            let behind = end.0.saturating_sub(report.view.postgres.end.0);
            format!("{name} is catching up ({behind} bytes behind)")
        }
        _ => format!("{name}: {}", answers.database(report)),
    }
}

fn without_leader(answers: &Answers<'_>) -> String {
    let reports = || answers.each.iter().flatten();
    if let Some(heard) = reports().find_map(|r| r.view.leader) {
        return format!(
            "What a failover would lose is not known: {} leads, but does not answer here.",
            answers.name(heard)
        );
    }
    let count = answers.each.len();
    let answering = reports().count();
    if answering <= count / 2 {
        return format!(
            "No leader: only {answering} of {count} members answer, and a majority is {}.",
            count / 2 + 1
        );
    }
    let without: Vec<&str> = reports()
        .filter(|r| r.view.role == RoleView::WithoutState)
        .map(|r| answers.name(r.view.me))
        .collect();
    if !without.is_empty() {
        let have = if without.len() == 1 { "has" } else { "have" };
        return format!(
            "No leader: {} {have} no state (see below).",
            without.join(", ")
        );
    }
    if reports().any(|r| r.view.role == RoleView::Candidate) {
        return "No leader: an election is under way.".to_owned();
    }
    let databases: Vec<String> = (0..)
        .zip(&answers.first.members)
        .filter(|(_, m)| m.kind == MemberKind::Data)
        .map(|(id, m)| match answers.report(MemberId(id)) {
            None => format!("{} does not answer", m.name),
            Some(report) => format!("{}: {}", m.name, answers.database(report)),
        })
        .collect();
    format!(
        "No leader: nobody stands for election ({}).",
        databases.join(", ")
    )
}
