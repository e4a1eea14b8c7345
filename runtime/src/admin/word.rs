//! An operator's word that gives something up: `vouch`, `adopt`, `reinit`. What it risks is said before it is given.

use super::client;
use super::operate::{FIRST, OperateError, Where, block_on, name, why_not};
use super::protocol::{Report, Request, Response};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use yoke_core::operator::CommandOutcome;

/// How long a daemon may take: it asks the others and syncs its state.
const WORD: Duration = Duration::from_secs(60);

/// What `--json` prints.
#[derive(Serialize)]
struct Said<'a> {
    member: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<String>,
}

/// `vouch`: the daemon asked lost its state, and joins again without the answers of these members.
///
/// # Errors
/// It was not confirmed, or is refused: why.
pub fn vouch(to: &Where, members: &[String], yes: bool) -> Result<String, OperateError> {
    let them = members.join(", ");
    let risk = |me: &str| {
        format!(
            "{me} lost its state. You vouch that yoke and PostgreSQL are stopped on {them}, or that {them} lost the state file \
             too, and that they stay so until {me} has joined.\n\
             If one of them still serves, there may be two primaries. What only {them} and {me} knew is given up: \
             acknowledged writes are lost if one of them was primary last. If {me} was, and the others did not follow it to \
             the end, stop yoke on those and say `yokeadm adopt` here instead.\n"
        )
    };
    let request = Request::Vouch {
        members: members.to_vec(),
    };
    give(to, &request, yes, |report| {
        risk(name(report, report.view.me))
    })
}

/// `adopt`: the copy at the daemon asked is the cluster's database from now on.
///
/// # Errors
/// It was not confirmed, or is refused: why.
pub fn adopt(to: &Where, yes: bool) -> Result<String, OperateError> {
    give(to, &Request::Adopt, yes, |report| {
        let me = name(report, report.view.me);
        let pg = &report.view.postgres;
        let timeline = pg.history.last().map_or(1, |p| p.timeline.0);
        format!(
            "The copy at {me} (timeline {timeline}, it ends at {} or later) becomes the cluster's database.\n\
             Acknowledged writes that it lacks are lost, and copies that hold them are set aside and replaced. A primary \
             that {me} cannot reach serves on beside it: be sure that there is none.\n",
            pg.end
        )
    })
}

/// `reinit`: the copy at the daemon asked is replaced by a fresh one.
///
/// # Errors
/// It was not confirmed, or is refused: why.
pub fn reinit(to: &Where, yes: bool) -> Result<String, OperateError> {
    give(to, &Request::Reinit, yes, |report| {
        let me = name(report, report.view.me);
        format!(
            "The copy at {me} is given up, and the primary's is copied in its place. Until that is in sync nobody can take over \
             but other copies in sync. The old directory is kept until the new one streams: there has to be room for both.\n"
        )
    })
}

fn give(
    to: &Where,
    request: &Request,
    yes: bool,
    risk: impl Fn(&Report) -> String,
) -> Result<String, OperateError> {
    block_on(async {
        let before = client::report(&to.address, FIRST).await?;
        confirm(&risk(&before), yes)?;
        let me = name(&before, before.view.me);
        let (text, said) = match client::ask(&to.address, request, WORD).await? {
            Response::Outcome(CommandOutcome::Joined { term }) => (
                format!(
                    "{me} has joined, and term {term} counts as voted in: `yokeadm list` shows who serves\n"
                ),
                Said {
                    member: me,
                    term: Some(term.0),
                    copy: None,
                },
            ),
            Response::Outcome(CommandOutcome::Adopted { copy, term }) => (
                format!(
                    "{me}'s copy {copy} is the cluster's database from term {term} on. It serves once a majority has elected \
                     it: `yokeadm list` shows that, or what else has to be done\n"
                ),
                Said {
                    member: me,
                    term: Some(term.0),
                    copy: Some(copy.to_string()),
                },
            ),
            Response::Outcome(CommandOutcome::CopiesAnew { copy }) => (
                format!(
                    "{me}'s copy {copy} is given up, and the primary's is copied in its place: `yokeadm list` shows how far that is\n"
                ),
                Said {
                    member: me,
                    term: None,
                    copy: Some(copy.to_string()),
                },
            ),
            Response::Failed(why) => return Err(OperateError::Outcome(why)),
            Response::Outcome(outcome) => {
                let why = why_not(&before, before.view.me, &outcome);
                return Err(OperateError::Outcome(why));
            }
            Response::Report(_) | Response::Lost(_) => {
                return Err(OperateError::Outcome(format!(
                    "{me} gave an answer to another question"
                )));
            }
        };
        match to.json {
            true => Ok(serde_json::to_string(&said)? + "\n"),
            false => Ok(text),
        }
    })
}

/// Says what it risks, and asks, unless that was answered before.
fn confirm(risk: &str, yes: bool) -> Result<(), OperateError> {
    let mut out = std::io::stderr();
    out.write_all(risk.as_bytes())?;
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(OperateError::Outcome(
            "nothing was changed: say it again with --yes if that is what you want".to_owned(),
        ));
    }
    out.write_all(b"Is that so? Type yes: ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(OperateError::Outcome("nothing was changed".to_owned())),
    }
}
