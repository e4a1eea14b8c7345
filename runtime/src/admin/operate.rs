//! The operator's commands: ask, wait, put it into words.

use super::client::{self, ClientError};
use super::protocol::{Report, Request, Response};
use crate::show::cluster::{Answers, merge};
use crate::show::lost::{Kept, NotAnswering};
use crate::show::table;
use serde::Serialize;
use std::time::{Duration, Instant};
use yoke_core::member::{MemberId, MemberKind};
use yoke_core::operator::CommandOutcome;
use yoke_core::postgres::Doors;

/// How long a member may take to say what it sees.
const LOOK: Duration = Duration::from_secs(1);
/// How long the first one may: without it there is nothing to show.
pub(super) const FIRST: Duration = Duration::from_secs(5);
/// How long a hand-over may take: it waits for a checkpoint of a busy database.
const HAND_OVER: Duration = Duration::from_secs(610);

/// How long a new primary may take to let clients in.
const SERVE: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(20);

/// Whom to ask, and how to print what comes of it.
#[derive(Debug)]
pub struct Where {
    pub(super) address: String,
    pub(super) json: bool,
}

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The daemon does not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The command was refused or failed: why.
    #[error("{0}")]
    Outcome(String),
    /// The operating system refuses something basic.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The result does not become JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// What `demote --json` prints.
#[derive(Serialize)]
struct HandedOver<'a> {
    from: &'a str,
    to: &'a str,
    seconds: f64,
}

/// What `list` printed, and what that comes to.
#[derive(Debug)]
pub struct Listed {
    /// For standard output.
    pub text: String,
    /// For the exit status.
    pub health: Health,
}

/// A cluster in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// A primary serves, and its place could be taken without a loss.
    Guarded,
    /// A primary serves, and nobody could take over.
    Alone,
    /// Nobody serves, or that cannot be told.
    Down,
}

impl Where {
    /// The daemon at `host:port`.
    pub fn new(host: &str, port: u16, json: bool) -> Self {
        let address = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]:{port}"), // IPv6
            false => format!("{host}:{port}"),
        };
        Where { address, json }
    }
}

/// `list`: the cluster as text or JSON.
///
/// # Errors
/// The daemon asked does not answer.
pub fn list(to: &Where) -> Result<Listed, OperateError> {
    block_on(async {
        let first = client::report(&to.address, FIRST).await?;
        let each = ask_all(&first).await;
        let cluster = merge(&Answers {
            first: &first,
            each: &each,
        });
        let text = match to.json {
            true => serde_json::to_string_pretty(&cluster)? + "\n",
            false => table::render(&cluster, terminal_width()),
        };
        Ok(Listed {
            text,
            health: match (cluster.serves, cluster.failover_possible) {
                (true, true) => Health::Guarded,
                (true, false) => Health::Alone,
                (false, _) => Health::Down,
            },
        })
    })
}

/// None: standard output is no terminal, and whoever reads it wants whole lines.
fn terminal_width() -> Option<u16> {
    let (width, _) = terminal_size::terminal_size_of(std::io::stdout())?;
    Some(width.0)
}

/// Asks every member at once for its own truth.
async fn ask_all(first: &Report) -> Vec<Result<Report, String>> {
    let asked: Vec<_> = first
        .members
        .iter()
        .map(|member| {
            let address = member.address.to_string();
            tokio::spawn(async move { client::report(&address, LOOK).await })
        })
        .collect();
    let mut each = Vec::new();
    for (place, task) in asked.into_iter().enumerate() {
        each.push(match task.await {
            Ok(Ok(report)) => fits(first, place, report),
            Ok(Err(error)) => Err(error.brief()),
            Err(error) => Err(error.to_string()),
        });
    }
    // It may be reached by another address than the one that the members know.
    if let Some(own) = each.get_mut(usize::from(first.view.me.0)) {
        *own = Ok(first.clone());
    }
    each
}

/// An answer of another cluster's daemon, or another member's, is none.
fn fits(first: &Report, place: usize, report: Report) -> Result<Report, String> {
    let names = |r: &Report| -> Vec<String> { r.members.iter().map(|m| m.name.clone()).collect() };
    let (here, there) = (names(first), names(&report));
    let found = if report.cluster != first.cluster {
        format!(
            "a daemon of the cluster `{}`, not `{}`",
            report.cluster, first.cluster
        )
    } else if here != there {
        format!(
            "a daemon of a cluster of {}, not of {}",
            there.join(", "),
            here.join(", ")
        )
    } else if usize::from(report.view.me.0) != place {
        format!("{}, not {}", name(&report, report.view.me), here[place])
    } else {
        return Ok(report);
    };
    Err(format!(
        "what answers there is {found}: primary, secondary and monitor have to be the same on all hosts"
    ))
}

/// `demote`: one sentence, or JSON.
///
/// # Errors
/// It did not happen: why.
pub fn demote(to: &Where) -> Result<String, OperateError> {
    block_on(async {
        let before = client::report(&to.address, FIRST).await?;
        let begun = Instant::now();
        let response = client::ask(&to.address, &Request::Demote, HAND_OVER).await?;
        let from = name(&before, before.view.me);
        match response {
            Response::Outcome(CommandOutcome::HandedOver { to: successor }) => {
                let serves = until_it_serves(&before, successor).await;
                let seconds = (begun.elapsed().as_secs_f64() * 100.0).round() / 100.0;
                let successor = name(&before, successor);
                if !serves {
                    return Err(OperateError::Outcome(format!(
                        "{successor} leads, but its database does not serve after {seconds:.2} s: see `yokeadm list`"
                    )));
                }
                if to.json {
                    let to = successor;
                    return Ok(serde_json::to_string(&HandedOver { from, to, seconds })? + "\n");
                }
                Ok(format!(
                    "{from} handed over to {successor} in {seconds:.2} s\n"
                ))
            }
            Response::Outcome(outcome) => Err(OperateError::Outcome(why_not(
                &before,
                before.view.me,
                &outcome,
            ))),
            Response::Failed(why) => Err(OperateError::Outcome(format!("{from} says: {why}"))),
            Response::Report(_) | Response::Lost(_) => Err(OperateError::Outcome(format!(
                "{from} gave an answer to another question"
            ))),
        }
    })
}

/// `lost`: what has left the data directories of all members and is kept.
///
/// # Errors
/// The daemon asked does not answer.
pub fn lost(to: &Where) -> Result<String, OperateError> {
    block_on(async {
        let first = client::report(&to.address, FIRST).await?;
        let mut kept = Kept::default();
        for (place, member) in first.members.iter().enumerate() {
            if member.kind != MemberKind::Data {
                continue;
            }
            let address = match place == usize::from(first.view.me.0) {
                true => to.address.clone(),
                false => member.address.to_string(),
            };
            let error = match client::ask(&address, &Request::Lost, FIRST).await {
                Ok(Response::Lost(lost)) => {
                    kept.lost.extend(lost);
                    continue;
                }
                Ok(Response::Failed(why)) => why,
                Ok(_) => "an answer to another question".to_owned(),
                Err(error) => error.brief(),
            };
            let member = member.name.clone();
            kept.not_answering.push(NotAnswering { member, error });
        }
        Ok(match to.json {
            true => serde_json::to_string_pretty(&kept)? + "\n",
            false => crate::show::lost::render(&kept),
        })
    })
}

/// The new leader's record is committed; clients can come in some tenths of a second later. False: not in time.
async fn until_it_serves(report: &Report, successor: MemberId) -> bool {
    let Some(entry) = report.members.get(usize::from(successor.0)) else {
        return false;
    };
    let address = entry.address.to_string();
    let begun = Instant::now();
    while begun.elapsed() < SERVE {
        let seen = client::report(&address, LOOK).await;
        if seen.is_ok_and(|r| {
            r.view
                .postgres
                .primary()
                .is_some_and(|p| p.doors == Doors::Open)
        }) {
            return true;
        }
        tokio::time::sleep(AGAIN).await;
    }
    false
}

/// Why the member asked did not do it.
pub(super) fn why_not(report: &Report, asked: MemberId, outcome: &CommandOutcome) -> String {
    let me = name(report, asked);
    match outcome {
        CommandOutcome::HandedOver { to } => format!("{me} handed over to {}", name(report, *to)),
        CommandOutcome::NotLeader { leader: None } => {
            format!(
                "{me} {}, and hears of no primary: see `yokeadm list`",
                what_else(report, asked)
            )
        }
        CommandOutcome::NotLeader {
            leader: Some(leader),
        } => {
            let address = report.members.get(usize::from(leader.0)).map(|m| m.address);
            let there = address.map_or(String::new(), |a| {
                format!(": yokeadm -H {} -p {} demote", a.ip(), a.port())
            });
            format!(
                "{me} {}, {} is the primary{there}",
                what_else(report, asked),
                name(report, *leader)
            )
        }
        CommandOutcome::NoSuccessor => format!(
            "nobody can take over from {me} without a loss, and nothing was changed: `yokeadm list` says why"
        ),
        CommandOutcome::Busy => {
            format!(
                "{me} is handing over already, or is changing the record: try again in a moment"
            )
        }
        CommandOutcome::TakenBack => {
            format!("the other host did not take over: {me} serves on, nothing is lost")
        }
        CommandOutcome::Refused(why) => why.clone(),
        CommandOutcome::Joined { .. }
        | CommandOutcome::Adopted { .. }
        | CommandOutcome::Paused(_)
        | CommandOutcome::Stands
        | CommandOutcome::CopiesAnew { .. } => {
            format!("{me} gave an answer to another question")
        }
    }
}

/// What a member is that is not the primary.
fn what_else(report: &Report, asked: MemberId) -> &'static str {
    match report.members.get(usize::from(asked.0)) {
        Some(entry) if entry.kind == MemberKind::Witness => "only votes, and is never the primary",
        _ => "is not the primary",
    }
}

pub(super) fn name(report: &Report, member: MemberId) -> &str {
    report
        .members
        .get(usize::from(member.0))
        .map_or("an unknown member", |m| &m.name)
}

pub(super) fn block_on<T>(
    work: impl Future<Output = Result<T, OperateError>>,
) -> Result<T, OperateError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
