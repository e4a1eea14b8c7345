//! The newest lines of the daemons' logs: why they did what they did, members called by name.

use super::model::Reason;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// More than any terminal shows.
const KEPT: usize = 40;

/// One log, read as it grows.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    read: u64,
    /// The begin of a line whose end is not written yet.
    begun: Vec<u8>,
    newest: VecDeque<Reason>,
}

impl Tail {
    /// Of a file that need not be there yet.
    pub(super) fn of(path: &Path) -> Tail {
        Tail {
            path: path.to_owned(),
            read: 0,
            begun: Vec::new(),
            newest: VecDeque::new(),
        }
    }

    /// Takes in what is new. A log that cannot be read has nothing new to say.
    pub(super) fn read(&mut self) {
        let mut fresh = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_end(&mut fresh)
        });
        self.read += read.unwrap_or(0) as u64;
        self.take(&fresh);
    }

    /// Oldest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Reason> {
        self.newest.iter()
    }

    fn take(&mut self, fresh: &[u8]) {
        self.begun.extend_from_slice(fresh);
        let Some(end) = self.begun.iter().rposition(|b| *b == b'\n') else {
            return;
        };
        let rest = self.begun.split_off(end + 1);
        let whole = std::mem::replace(&mut self.begun, rest);
        for line in String::from_utf8_lossy(&whole).lines() {
            self.newest.push_back(parse(line));
        }
        let surplus = self.newest.len().saturating_sub(KEPT);
        self.newest.drain(..surplus);
    }
}

/// Reads `2026-01-31T16:57:23.184567Z  INFO elected: leads term 1`; anything else is a text without time and level.
fn parse(line: &str) -> Reason {
    let parts = line.split_once(' ').and_then(|(time, rest)| {
        let (_, clock) = time.strip_suffix('Z')?.split_once('T')?;
        let (level, text) = rest.trim_start().split_once(' ')?;
        let levels = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
        levels.contains(&level).then(|| Reason {
            clock: clock.chars().take("16:57:23".len()).collect(),
            level: level.to_owned(),
            text: without_copies(text),
        })
    });
    parts.unwrap_or_else(|| Reason {
        text: line.to_owned(),
        ..Reason::default()
    })
}

/// Copies are named by host and id (`data1/0123456789abcdef`): here the host is enough.
fn without_copies(text: &str) -> String {
    const ID: usize = 16;
    let mut parts = text.split('/');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        match digits {
            ID => out.push_str(&part[ID..]),
            _ => out.extend(["/", part]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_come() {
        let mut tail = Tail::of(Path::new("nowhere"));
        tail.take(
            b"2026-01-31T16:57:23.184567Z  INFO elected: leads term 1\n2026-01-31T16:57:24.1",
        );
        tail.take(b"84567Z  WARN cannot write\nthread 'main' panicked\n\n");
        let lines: Vec<String> = tail
            .newest()
            .map(|r| format!("{}|{}|{}", r.clock, r.level, r.text))
            .collect();
        assert_eq!(
            lines,
            [
                "16:57:23|INFO|elected: leads term 1",
                "16:57:24|WARN|cannot write",
                "||thread 'main' panicked",
                "||"
            ]
        );
    }

    #[test]
    fn copies_are_called_by_their_host() {
        for (from, to) in [
            (
                "data2/64021a18dadac83e enters in_sync",
                "data2 enters in_sync",
            ),
            (
                "in sync {data1/a4bc0a891f109ba7, data2/64021a18dadac83e}",
                "in sync {data1, data2}",
            ),
            (
                "has flushed 0/30153C8 of /tmp/x",
                "has flushed 0/30153C8 of /tmp/x",
            ),
            ("64021a18dadac83e/", "64021a18dadac83e/"),
        ] {
            assert_eq!(without_copies(from), to);
        }
    }

    #[test]
    fn only_the_newest_are_kept() {
        let mut tail = Tail::of(Path::new("nowhere"));
        for i in 0..100 {
            tail.take(format!("line {i}\n").as_bytes());
        }
        let newest: Vec<&str> = tail.newest().map(|r| r.text.as_str()).collect();
        assert_eq!(
            (newest.len(), newest[0], newest[KEPT - 1]),
            (KEPT, "line 60", "line 99")
        );
    }
}
