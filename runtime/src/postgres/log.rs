//! What PostgreSQL said of its end, in its own log.

use crate::postgres::{conf, files};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// How it says that a run begins.
const BEGINS: &str = "LOG:  starting PostgreSQL ";

/// Its last words in what was written from this position on.
pub(crate) fn last_words(path: &Path, from: u64) -> Option<String> {
    Some(grave(&read_from(path, from).ok()?))
}

/// The last words of its last run. `rules`: our access rules, of which it may name a line; told as the user's.
pub(crate) fn last_words_of_run(path: &Path, rules: &Path) -> Option<String> {
    let text = read_from(path, 0).ok()?;
    let run = &text[text.rfind(BEGINS).unwrap_or(0)..];
    let words = grave(run);
    let line = words
        .split_once(&format!(" of configuration file \"{}\"", rules.display()))
        .and_then(|(before, _)| before.rsplit(' ').next()?.parse::<usize>().ok());
    if let Some(line) = line
        && let Ok(Some(rules)) = files::read_optional(rules)
        && let Some((_, place)) = conf::placed(&rules).nth(line.saturating_sub(1))
    {
        return Some(format!("{words}: that is {place}"));
    }
    (!words.is_empty()).then_some(words)
}

fn read_from(path: &Path, from: u64) -> std::io::Result<String> {
    const MOST: u64 = 256 << 10;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(MOST))))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The lines that tell why it ended. Who was not let in, or was sent away because of the end, does not tell it.
fn grave(log: &str) -> String {
    const TRIVIAL: [&str; 8] = [
        "pg_hba.conf rejects",
        "the database system is",
        "terminating connection",
        "terminating walreceiver",
        "connect to the primary server",
        "from WAL stream",
        "could not receive data from client",
        "If this has occurred more than once",
    ];
    const GRAVE: [&str; 9] = [
        "was terminated by signal",
        "FATAL:",
        "PANIC:",
        "HINT:",
        " error ",
        "unrecognized",
        "invalid",
        "could not",
        " of configuration file ",
    ];
    let says = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
    let serious: Vec<&str> = log.lines().filter(|line| !says(line, &TRIVIAL)).collect();
    let grave: Vec<&str> = serious
        .iter()
        .copied()
        .filter(|line| says(line, &GRAVE))
        .collect();
    let lines = if grave.is_empty() { serious } else { grave };
    lines[lines.len().saturating_sub(3)..].join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grave_lines_are_told() {
        assert_eq!(grave("a\nb FATAL:  x\nc\n"), "b FATAL:  x");
        assert_eq!(grave("a\nb\nc\nd\n"), "b / c / d");
        assert_eq!(grave(""), "");
        let killed =
            "a\n5 FATAL:  pg_hba.conf rejects connection\nb FATAL:  terminating connection\n";
        assert_eq!(grave(killed), "a");
    }
}
