//! What left a data directory and is kept, for people.

use crate::postgres::lost::Lost;
use serde::{Deserialize, Serialize};

/// What the members with data say is kept. This is what `--json` prints.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// The newest of each member first.
    pub lost: Vec<Lost>,
    /// Of whom it is not known.
    pub not_answering: Vec<NotAnswering>,
}

/// A member that did not say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NotAnswering {
    /// Its name.
    pub member: String,
    /// Why not.
    pub error: String,
}

/// A few lines each.
pub fn render(kept: &Kept) -> String {
    let mut parts: Vec<String> = kept.lost.iter().map(one).collect();
    if parts.is_empty() {
        parts.push("Nothing was dropped or set aside that is still kept.\n".to_owned());
    }
    let silent = kept.not_answering.iter();
    parts.extend(silent.map(|n| format!("{} does not tell: {}\n", n.member, n.error)));
    parts.join("\n")
}

fn one(lost: &Lost) -> String {
    let what = match (lost.how.as_str(), &lost.copy) {
        ("rewound", _) => "dropped by a rewind",
        (_, Some(_)) => "set aside",
        (_, None) => "set aside (no copy of this member's, or not whole)",
    };
    let beyond = match &lost.from {
        Some(from) => format!("from {from} to {}", lost.to),
        None => format!("up to {}", lost.to),
    };
    let copy = lost.copy.as_deref();
    let copy = copy.map_or(String::new(), |copy| format!(", copy {copy}"));
    format!(
        "{} UTC  {}: {what}: {beyond} on timeline {}{copy}\n  why:   {}\n  where: {}\n",
        lost.when,
        lost.member,
        lost.timeline,
        lost.why,
        lost.place.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_and_who_does_not_tell() {
        let lost = |how: &str, copy: Option<&str>, from: Option<&str>| Lost {
            when: "2026-11-23 18:50:22".into(),
            member: "data1".into(),
            copy: copy.map(str::to_owned),
            how: how.into(),
            timeline: 2,
            from: from.map(str::to_owned),
            to: "0/56768F0".into(),
            why: "it holds more".into(),
            place: "/p".into(),
        };
        let mut kept = Kept::default();
        insta::assert_snapshot!(render(&kept), @"Nothing was dropped or set aside that is still kept.");
        kept.lost = vec![
            lost("rewound", Some("f362"), Some("0/3033708")),
            lost("set aside", None, None),
        ];
        kept.not_answering = vec![NotAnswering {
            member: "data2".into(),
            error: "nobody listens there".into(),
        }];
        insta::assert_snapshot!(render(&kept), @r"
        2026-11-23 18:50:22 UTC  data1: dropped by a rewind: from 0/3033708 to 0/56768F0 on timeline 2, copy f362
          why:   it holds more
          where: /p

        2026-11-23 18:50:22 UTC  data1: set aside (no copy of this member's, or not whole): up to 0/56768F0 on timeline 2
          why:   it holds more
          where: /p

        data2 does not tell: nobody listens there
        ");
    }
}
