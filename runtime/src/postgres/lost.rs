//! What left this host's data directory and is kept: WAL that a rewind drops, directories that were set aside. Each has an
//! entry below `status_dir/lost` that says what it is and where it lies (`yokeadm lost`); the oldest are pruned.

use crate::postgres::user::PgUser;
use crate::postgres::wal;
use crate::postgres::{Context, Said, files};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use yoke_core::postgres::Lsn;
use yoke_core::step::Leaving;

/// So many are kept.
const KEPT: usize = 3;

const ENTRY: &str = "entry.json";

/// Kept WAL never takes the last of the status directory's file system: the state lies there.
const SPARE: u64 = 64 << 20;

/// One thing that is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lost {
    /// When it left, UTC.
    pub when: String,
    /// Whose it was.
    pub member: String,
    /// Which copy, if it was this member's.
    pub copy: Option<String>,
    /// `rewound`: WAL of a copy that lives on; `set aside`: a whole directory.
    pub how: String,
    /// The timeline that it ends on.
    pub timeline: u32,
    /// Where the primary's history went another way, if that is known.
    pub from: Option<String>,
    /// Where it ends.
    pub to: String,
    /// Why it left.
    pub why: String,
    /// Where it lies.
    pub place: PathBuf,
}

/// The folder with the entries.
fn folder(context: &Context) -> PathBuf {
    context.status_dir.join("lost")
}

/// Keeps what a rewind drops: every segment from where the histories part on. Durable.
///
/// # Errors
/// It cannot be kept: then nothing may be dropped.
pub(crate) fn keep_wal(
    context: &Context,
    user: &PgUser,
    data: &Path,
    leaving: &Leaving,
    segment_size: u64,
) -> Said<()> {
    let copy = leaving.copy.map(|id| id.to_string()).unwrap_or_default();
    // One that did not come to its end before is begun anew.
    let earlier = entries(context)?.into_iter().find(|(place, lost)| {
        lost.how == "rewound" && lost.copy.as_ref() == Some(&copy) && lost.place == *place
    });
    let place = match earlier {
        Some((place, _)) => place,
        None => folder(context).join(format!("{}-{copy}", now())),
    };
    make(&place)?;
    let wal = data.join("pg_wal");
    let first = leaving.from.unwrap_or(leaving.to).0 / segment_size;
    let mut kept = Vec::new();
    for (segment, name) in wal::segments(&wal, segment_size)? {
        let after = segment.number >= first && segment.timeline <= leaving.timeline;
        if after && segment.is_in(&wal.join(&name), segment_size)? {
            kept.push((segment, name));
        }
    }
    if !kept.iter().any(|(s, _)| s.number == first) {
        return Err(format!(
            "the WAL that a rewind would drop cannot be kept: {} holds no segment of position {}",
            wal.display(),
            Lsn(first * segment_size)
        ));
    }
    has_space(&place, kept.len() as u64 * segment_size)?;
    for (_, name) in &kept {
        copy_durably(&wal.join(name), &place.join(name))?;
    }
    let history = format!("{:08X}.history", leaving.timeline.0);
    if wal.join(&history).is_file() {
        copy_durably(&wal.join(&history), &place.join(&history))?;
    }
    write(context, user, &place, "rewound", &place, leaving)
}

/// Notes a directory that is about to be set aside. Durable.
///
/// # Errors
/// Which call failed.
pub(crate) fn note_aside(
    context: &Context,
    user: &PgUser,
    leaving: &Leaving,
    aside: &Path,
) -> Said<()> {
    let name = aside.file_name().unwrap_or_default().to_string_lossy();
    let (_, stamp) = name.rsplit_once(".aside-").unwrap_or(("", &name));
    let entry = folder(context).join(format!("{stamp}-aside"));
    make(&entry)?;
    write(context, user, &entry, "set aside", aside, leaving)
}

fn write(
    context: &Context,
    user: &PgUser,
    entry: &Path,
    how: &str,
    place: &Path,
    leaving: &Leaving,
) -> Said<()> {
    let name = entry.file_name().unwrap_or_default().to_string_lossy();
    let lost = Lost {
        when: readable(&name),
        member: context.my_name().to_owned(),
        copy: leaving.copy.map(|id| id.to_string()),
        how: how.to_owned(),
        timeline: leaving.timeline.0,
        from: leaving.from.map(|at| at.to_string()),
        to: leaving.to.to_string(),
        why: leaving.why.clone(),
        place: place.to_owned(),
    };
    let text = serde_json::to_string_pretty(&lost)
        .map_err(|e| format!("cannot put into words what is lost: {e}"))?;
    files::replace(&entry.join(ENTRY), format!("{text}\n").as_bytes(), user)?;
    files::sync_parent(entry)
}

/// Everything that is kept, the newest first.
///
/// # Errors
/// The folder cannot be read.
pub fn list(context: &Context) -> Said<Vec<Lost>> {
    let entries = entries(context)?.into_iter();
    let there = |lost: &Lost| lost.place.exists();
    Ok(entries.map(|(_, lost)| lost).filter(there).collect())
}

/// Removes all but the newest few. To be called only while the copy that took their place streams. Says what it removed,
/// or could not.
pub fn prune(context: &Context) -> Vec<String> {
    let entries = match entries(context) {
        Ok(entries) => entries,
        Err(why) => return vec![why],
    };
    // One that lies nowhere any more takes nobody's place; the newest may be about to be put there.
    let (there, gone): (Vec<_>, Vec<_>) = entries.iter().partition(|(_, l)| l.place.exists());
    for (entry, _) in gone.iter().filter(|one| Some(**one) != entries.first()) {
        // Tried again the next time.
        let _ = std::fs::remove_dir_all(entry);
    }
    let too_many = there.iter().skip(KEPT);
    too_many
        .map(|(entry, lost)| {
            let what = format!(
                "what {} set aside at {} ({})",
                lost.member,
                lost.when,
                lost.place.display()
            );
            match remove(context, entry, lost) {
                Ok(()) => format!("removes {what}: the newest {KEPT} are kept"),
                Err(why) => format!("cannot remove {what}: {why}"),
            }
        })
        .collect()
}

/// The entry last: while it is there, there is something left to remove.
fn remove(context: &Context, entry: &Path, lost: &Lost) -> Said<()> {
    let data = context.real_data_dir();
    let ours = files::beside(&data, ".aside-");
    let is_aside = lost.place.parent() == data.parent()
        && lost
            .place
            .to_string_lossy()
            .starts_with(&*ours.to_string_lossy());
    if lost.place != entry && !is_aside {
        return Err("it lies where yoke sets nothing aside; it is left alone".into());
    }
    for path in [&lost.place, entry] {
        match std::fs::remove_dir_all(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.to_string()),
            _ => {}
        }
    }
    Ok(())
}

/// Folder and entry, the newest first. What is not whole is not one: it was interrupted before anything left.
fn entries(context: &Context) -> Said<Vec<(PathBuf, Lost)>> {
    let folder = folder(context);
    let failed = |e: std::io::Error| format!("cannot read {}: {e}", folder.display());
    let listed = match std::fs::read_dir(&folder) {
        Ok(listed) => listed,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut found = Vec::new();
    for entry in listed {
        let place = entry.map_err(failed)?.path();
        let text = files::read_optional(&place.join(ENTRY))?;
        found.extend(text.and_then(|text| Some((place, serde_json::from_str(&text).ok()?))));
    }
    // The names begin with the time.
    found.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    Ok(found)
}

fn make(place: &Path) -> Said<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(place);
    made.map_err(|e| format!("cannot make {}: {e}", place.display()))
}

fn has_space(place: &Path, needed: u64) -> Said<()> {
    let space = nix::sys::statvfs::statvfs(place)
        .map_err(|e| format!("cannot ask for the space left at {}: {e}", place.display()))?;
    let free = space
        .blocks_available()
        .saturating_mul(space.fragment_size());
    if free < needed + SPARE {
        return Err(format!(
            "the WAL that a rewind would drop takes {} MB, and there are {} MB free at {}: make room there",
            needed >> 20,
            free >> 20,
            place.display()
        ));
    }
    Ok(())
}

/// Copies a file's contents, synced.
pub(crate) fn copy_durably(from: &Path, to: &Path) -> Said<()> {
    let copied = std::fs::copy(from, to).and_then(|_| std::fs::File::open(to)?.sync_all());
    copied.map_err(|e| format!("cannot copy {} to {}: {e}", from.display(), to.display()))
}

/// `YYYYMMDDhhmmssmmm` in UTC: what leaves within one second is told apart, in its order.
pub(crate) fn now() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}{:03}", timestamp(now.as_secs()), now.subsec_millis())
}

/// The time that a name begins with, for people.
fn readable(name: &str) -> String {
    match name
        .get(..14)
        .filter(|t| t.bytes().all(|b| b.is_ascii_digit()))
    {
        Some(t) => format!(
            "{}-{}-{} {}:{}:{}",
            &t[..4],
            &t[4..6],
            &t[6..8],
            &t[8..10],
            &t[10..12],
            &t[12..]
        ),
        None => name.to_owned(),
    }
}

/// `YYYYMMDDhhmmss` in UTC, of seconds since 1970.
fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a civil date, in years that begin with March so that the leap day is the last.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}{:02}{:02}{:02}",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_names_time_is_readable() {
        assert_eq!(readable("20261123150101007-aside"), "2026-11-23 15:01:01");
        assert_eq!(readable("x"), "x");
    }

    #[test]
    fn timestamps_are_civil() {
        assert_eq!(timestamp(0), "19700101000000");
        assert_eq!(timestamp(951_782_399), "20000228235959");
        assert_eq!(timestamp(951_782_400), "20000229000000");
        assert_eq!(timestamp(1_795_446_061), "20261123150101");
    }
}
