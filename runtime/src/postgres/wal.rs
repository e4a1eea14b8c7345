//! WAL segments as files: their names, and whether what they hold is what their name says.

use crate::postgres::Said;
use std::io::{ErrorKind, Read};
use std::path::Path;
use yoke_core::postgres::{Lsn, Timeline};

/// One segment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Segment {
    pub(crate) timeline: Timeline,
    /// Counted from position 0.
    pub(crate) number: u64,
}

impl Segment {
    /// Of a file's name: `TTTTTTTTXXXXXXXXYYYYYYYY`.
    pub(crate) fn of_name(name: &str, size: u64) -> Option<Segment> {
        if name.len() != 24 || !name.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let part = |at: usize| u32::from_str_radix(&name[at..at + 8], 16).ok();
        let high = u64::from(part(8)?) * ((1 << 32) / size.max(1));
        Some(Segment {
            timeline: Timeline(part(0)?),
            number: high + u64::from(part(16)?),
        })
    }

    /// The file's name.
    fn name(self, size: u64) -> String {
        let each = (1 << 32) / size.max(1);
        let (high, low) = (self.number / each, self.number % each);
        format!("{:08X}{high:08X}{low:08X}", self.timeline.0)
    }

    /// Whether the file's first page says so too: PostgreSQL gives old segments new names before it fills them.
    pub(crate) fn is_in(self, path: &Path, size: u64) -> Said<bool> {
        let mut head = [0; 16];
        let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
        match read {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(format!("cannot read {}: {e}", path.display())),
        }
        // xlp_magic, xlp_info, xlp_tli, xlp_pageaddr, as this machine writes numbers.
        let timeline = u32::from_ne_bytes([head[4], head[5], head[6], head[7]]);
        let mut address = [0; 8];
        address.copy_from_slice(&head[8..]);
        // The first segment of a timeline may begin with the parent's pages.
        Ok(timeline <= self.timeline.0
            && timeline > 0
            && u64::from_ne_bytes(address) == self.number * size)
    }
}

/// The segments in a folder, sorted.
pub(crate) fn segments(folder: &Path, size: u64) -> Said<Vec<(Segment, String)>> {
    let failed = |e: std::io::Error| format!("cannot read {}: {e}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        if let Ok(name) = entry.map_err(failed)?.file_name().into_string()
            && let Some(segment) = Segment::of_name(&name, size)
        {
            found.push((segment, name));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The first segment between two positions without which recovery does not get through; none: all are there.
///
/// Of a segment in which timelines change only the newest one's file will do: an older one's goes on as its own timeline
/// did, and recovery would follow it there, or wait for ever.
pub(crate) fn first_missing(
    folder: &Path,
    size: u64,
    (from, to): (Lsn, Lsn),
    timelines: &[(Timeline, Lsn)],
) -> Said<Option<String>> {
    for number in from.0 / size..=to.0.saturating_sub(1) / size {
        let newest = timelines
            .iter()
            .rfind(|(_, begins)| begins.0 / size <= number);
        let timeline = newest.map_or(Timeline(1), |(timeline, _)| *timeline);
        let segment = Segment { timeline, number };
        let name = segment.name(size);
        let path = folder.join(&name);
        if !path.exists() || !segment.is_in(&path, size)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_segment() {
        let size = 16 << 20;
        let segment = |timeline, number| Segment {
            timeline: Timeline(timeline),
            number,
        };
        assert_eq!(
            Segment::of_name("000000020000000100000003", size),
            Some(segment(2, 256 + 3))
        );
        assert_eq!(segment(2, 256 + 3).name(size), "000000020000000100000003");
        assert_eq!(Segment::of_name("00000002000000010000000", size), None);
        assert_eq!(Segment::of_name("00000002.history", size), None);
        assert_eq!(
            Segment::of_name("000000020000000100000003.partial", size),
            None
        );
    }

    /// Where the source's own copy began later, pg_rewind leaves the target's file of the old timeline alone there.
    #[test]
    fn an_old_timelines_file_is_not_what_recovery_needs() {
        let size = 1 << 20;
        let folder = tempfile::tempdir().expect("a directory");
        let timelines = [(Timeline(2), Lsn(0)), (Timeline(3), Lsn(3 * size + 512))];
        let make = |timeline: u32, number: u64| {
            let mut page = vec![0; 16];
            page[4..8].copy_from_slice(&timeline.to_ne_bytes());
            page[8..].copy_from_slice(&(number * size).to_ne_bytes());
            let segment = Segment {
                timeline: Timeline(timeline),
                number,
            };
            std::fs::write(folder.path().join(segment.name(size)), page).expect("a file");
        };
        let missing = || {
            let span = (Lsn(2 * size + 7), Lsn(4 * size + 9));
            first_missing(folder.path(), size, span, &timelines).expect("readable")
        };
        for number in [2, 3, 4] {
            make(2, number);
        }
        assert_eq!(missing().as_deref(), Some("000000030000000000000003"));
        make(3, 3);
        assert_eq!(missing().as_deref(), Some("000000030000000000000004"));
        make(3, 4);
        assert_eq!(missing(), None);
    }
}
