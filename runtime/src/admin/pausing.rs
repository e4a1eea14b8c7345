//! `pause` and `resume`: only the leader can change the record, so the word is passed on to it, whoever is asked.

use super::client;
use super::operate::{FIRST, OperateError, Where, block_on, name, why_not};
use super::protocol::{Report, Request, Response};
use serde::Serialize;
use std::time::Duration;
use yoke_core::member::MemberId;
use yoke_core::operator::CommandOutcome;

/// How long a leader may take: it needs a majority's answer, or loses its lease.
const WORD: Duration = Duration::from_secs(60);
/// The leader may change while it is looked for.
const MOST_HOPS: usize = 3;

/// What `--json` prints.
#[derive(Serialize)]
struct Said<'a> {
    member: &'a str,
    paused: bool,
    stands: bool,
}

/// `pause` (true) or `resume` (false): one sentence, or JSON.
///
/// # Errors
/// It did not happen: why.
pub fn pause(to: &Where, paused: bool) -> Result<String, OperateError> {
    let request = if paused {
        Request::Pause
    } else {
        Request::Resume
    };
    block_on(async {
        let report = client::report(&to.address, FIRST).await?;
        let (mut asked, mut address) = (report.view.me, to.address.clone());
        for _ in 0..MOST_HOPS {
            let outcome = match client::ask(&address, &request, WORD).await? {
                Response::Outcome(outcome) => outcome,
                Response::Failed(why) => return Err(OperateError::Outcome(why)),
                Response::Report(_) | Response::Lost(_) => CommandOutcome::Busy,
            };
            match outcome {
                CommandOutcome::NotLeader {
                    leader: Some(leader),
                } if leader != asked => {
                    (asked, address) = (leader, address_of(&report, leader)?);
                }
                CommandOutcome::Paused(now) => return said(to, &report, asked, now, false),
                CommandOutcome::Stands => return said(to, &report, asked, false, true),
                other => return Err(OperateError::Outcome(why_not(&report, asked, &other))),
            }
        }
        Err(OperateError::Outcome(
            "the leader changed while it was looked for: try again in a moment".to_owned(),
        ))
    })
}

fn address_of(report: &Report, member: MemberId) -> Result<String, OperateError> {
    let entry = report.members.get(usize::from(member.0));
    let unknown = || OperateError::Outcome("the leader is an unknown member".to_owned());
    Ok(entry.ok_or_else(unknown)?.address.to_string())
}

fn said(
    to: &Where,
    report: &Report,
    asked: MemberId,
    paused: bool,
    stands: bool,
) -> Result<String, OperateError> {
    let member = name(report, asked);
    if to.json {
        let said = Said {
            member,
            paused,
            stands,
        };
        return Ok(serde_json::to_string(&said)? + "\n");
    }
    Ok(match (paused, stands) {
        (true, _) => format!(
            "paused: nobody takes over from {member} until `yokeadm resume`, whatever becomes of it; it is fenced as ever when it \
             hears no majority, and serves again when it does\n"
        ),
        (false, false) => format!("resumed: {member} is the primary, and its place can be taken\n"),
        (false, true) => format!(
            "nobody leads: {member} stands for election in spite of the pause, and so ends it; `yokeadm list` shows who serves\n"
        ),
    })
}
