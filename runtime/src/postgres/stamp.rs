//! The stamp: a file in the data directory that says whose copy this is. Readable text with a checksum: a torn or foreign
//! file counts as none.

use crate::postgres::Said;
use crate::postgres::files;
use crate::postgres::user::PgUser;
use std::path::{Path, PathBuf};
use yoke_core::step::Stamp;

/// The file's name in the data directory.
pub const NAME: &str = "yoke.stamp";

const HEAD: &str = "yoke stamp 1 ";

/// Where the stamp of a data directory is.
pub fn file(data: &Path) -> PathBuf {
    data.join(NAME)
}

/// Writes it: the old one or the new one survives a crash.
///
/// # Errors
/// Which call failed.
pub fn write(data: &Path, stamp: &Stamp, user: &PgUser) -> Said<()> {
    files::replace(&file(data), to_text(stamp)?.as_bytes(), user)
}

/// Reads it; none if there is none, or none that is whole.
///
/// # Errors
/// It is there, but the disk does not give it: that is no missing stamp.
pub fn read(data: &Path) -> Said<Option<Stamp>> {
    Ok(files::read_optional(&file(data))?.and_then(|text| from_text(&text)))
}

fn to_text(stamp: &Stamp) -> Said<String> {
    let body = serde_json::to_string_pretty(stamp)
        .map_err(|e| format!("cannot put the stamp into words: {e}"))?;
    Ok(format!("{HEAD}{:016x}\n{body}\n", checksum(&body)))
}

fn from_text(text: &str) -> Option<Stamp> {
    let (head, body) = text.split_once('\n')?;
    let sum = head.strip_prefix(HEAD)?;
    let body = body.strip_suffix('\n')?;
    if sum != format!("{:016x}", checksum(body)) {
        return None;
    }
    serde_json::from_str(body).ok()
}

/// FNV-1a: it has to tell a torn file from a whole one, not to resist anybody.
fn checksum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use yoke_core::postgres::{Lsn, SystemId, Timeline};
    use yoke_core::record::{CopyId, History, Promotion, RecordKey, Term};

    fn stamp() -> Stamp {
        Stamp {
            cluster: "c".into(),
            member: "data1".into(),
            system_id: SystemId(u64::MAX),
            copy: CopyId(7),
            record: Some(RecordKey {
                term: Term(3),
                version: 9,
            }),
            history: History::from(vec![Promotion {
                timeline: Timeline(2),
                start: Lsn(0x1500_0718),
                term: Term(3),
                n: 1,
            }]),
            ordered: Some((Term(3), 1)),
            ordered_on: Timeline(1),
            follows: None,
            rewritten: true,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = to_text(&stamp()).expect("a stamp has a text");
        assert_eq!(from_text(&text), Some(stamp()));
    }

    #[test]
    fn every_torn_or_changed_file_is_none() {
        let text = to_text(&stamp()).expect("a stamp has a text");
        for cut in 0..text.len() {
            assert_eq!(from_text(&text[..cut]), None, "cut at {cut}");
        }
        assert_eq!(from_text(&text.replace("data1", "data2")), None);
        assert_eq!(from_text("something else\n{}\n"), None);
    }
}
