//! The story as one page for a browser, with all that it needs in it: lanes of members, messages as arrows, roles, gates,
//! terms, permissions, faults and writes, and the promise that was broken.

use crate::scenario::Scenario;
use crate::story::{Database, Life, Story};
use crate::trace::{Flight, Sort};
use crate::world::Violation;
use serde_json::{Value, json};
use yoke_core::view::RoleView;

const PAGE: &str = include_str!("page.html");

/// Near the end, where a promise breaks, everything is kept, up to so many lines and messages; of what was before that
/// only what tells most, up to so many.
const NEAR: usize = 12_000;
const FAR: usize = 3_000;

/// The page. `name` is the run's, `command` shows the same as words.
pub fn page(
    story: &Story,
    scenario: &Scenario,
    name: &str,
    violation: Option<&Violation>,
    command: &str,
) -> String {
    let marks = story.lines.iter().filter(|line| line.host.is_none());
    let lines: Vec<Value> = near(&story.lines)
        .iter()
        .map(|line| json!([line.at, line.host, line.text]))
        .collect();
    let data = json!({
        "name": name,
        "command": command,
        "scenario": scenario.to_string(),
        "violation": violation.map(|v| json!({ "oracle": v.oracle, "what": v.what, "at": v.at })),
        "members": story.members,
        "length": story.lines.last().map_or(0, |line| line.at).max(violation.map_or(0, |v| v.at)),
        "kept_from": near(&story.lines).first().map_or(0, |line| line.at),
        "marks": marks.map(|line| json!([line.at, line.text, duration(&line.text)])).collect::<Vec<_>>(),
        "faces": faces(story),
        "leases": story.leases.iter().map(|l| json!([l.host, l.from, l.until.min(MOST)])).collect::<Vec<_>>(),
        "writes": writes(story),
        "messages": messages(&story.messages.all),
        "lines": lines,
    });
    // Nothing in the data may end the script that it stands in.
    PAGE.replace("\"STORY\"", &data.to_string().replace("</", "<\\/"))
}

/// A browser counts exactly up to here; no run is as long.
const MOST: u64 = 1 << 52;

fn near<T>(all: &[T]) -> &[T] {
    &all[all.len().saturating_sub(NEAR)..]
}

/// How long a fault lasts: its last word, if that is a number.
fn duration(text: &str) -> u64 {
    let last = text
        .strip_prefix("FAULT")
        .and_then(|text| text.split(' ').next_back());
    last.and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn faces(story: &Story) -> Vec<Value> {
    let one = |change: &crate::story::Change| {
        let face = &change.face;
        let life = match face.life {
            Life::HostDown => "host down",
            Life::HostPaused => "host paused",
            Life::DaemonDown => "daemon down",
            Life::DaemonPaused => "daemon paused",
            Life::Up => "",
        };
        let role = face.role.map(|(role, _)| match role {
            RoleView::Leader => "leads",
            RoleView::Candidate => "candidate",
            RoleView::Follower => "follows",
            RoleView::WithoutState => "without state",
        });
        let database = match face.database {
            Database::Down => "",
            Database::Starting => "starting",
            Database::Alone => "standby",
            Database::Streaming => "standby, streams",
            Database::Promoting => "promoting",
            Database::Primary => "PRIMARY",
            Database::Stopping => "stopping",
            Database::Killed => "killed",
        };
        json!([
            change.at,
            change.host,
            life,
            role,
            face.role.map(|(_, term)| term),
            face.record,
            database,
            face.gate,
            face.open,
            face.serves,
            face.hangs
        ])
    };
    story.faces.iter().map(one).collect()
}

/// Near the end every write; before, one of each hundredth of a second is enough to see that there were some.
fn writes(story: &Story) -> Vec<Value> {
    let all = &story.acknowledged;
    let close = all.len().saturating_sub(NEAR);
    let mut last = vec![None; story.members.len()];
    let wanted = all.iter().enumerate().filter(|(place, (at, by, _))| {
        let first = last[*by] != Some(at / 10_000);
        last[*by] = Some(at / 10_000);
        first || *place >= close
    });
    wanted
        .map(|(_, (at, by, write))| json!([at, by, write]))
        .collect()
}

/// Near the end all; before, those that tell most, the later ones first.
fn messages(all: &[Flight]) -> Vec<Value> {
    let close = all.len().saturating_sub(NEAR);
    let mut far: Vec<&Flight> = all[..close]
        .iter()
        .filter(|m| m.sort >= Sort::Ask)
        .collect();
    if far.len() > FAR {
        far.sort_by_key(|m| (m.sort, m.sent));
        far.drain(..far.len() - FAR);
        far.sort_by_key(|m| m.sent);
    }
    let one = |m: &Flight| {
        let sort = match m.sort {
            Sort::Wal => "wal",
            Sort::Heartbeat => "heartbeat",
            Sort::Ask => "ask",
            Sort::Vote => "vote",
            Sort::Record => "record",
        };
        json!([m.from, m.to, m.sent, m.due, m.arrived, sort, m.text])
    };
    far.into_iter().chain(&all[close..]).map(one).collect()
}
