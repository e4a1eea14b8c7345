//! What left a data directory and is kept, for people.

use crate::postgres::lost::Lost;

/// A few lines each, the newest of each member first.
pub fn render(all: &[Lost]) -> String {
    if all.is_empty() {
        return "Nothing was dropped or set aside that is still kept.\n".to_owned();
    }
    all.iter().map(one).collect::<Vec<_>>().join("\n")
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
