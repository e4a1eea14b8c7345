//! The digest of each step in a file, and a run beside such a file: so that two builds, two machines or two processes can
//! be compared, and the first step in which they part is named.

use crate::run::{How, Session};
use crate::scenario::Scenario;
use std::io::{BufRead, Write};

/// Runs a scenario and writes one line a step: its number, the time, the digest.
///
/// # Errors
/// The file's.
pub fn record(scenario: &Scenario, how: How, file: &mut impl Write) -> std::io::Result<()> {
    let mut session = Session::begin(scenario, how);
    while session.step() {
        writeln!(file, "{}", line(&session))?;
    }
    file.flush()
}

/// Runs a scenario beside such a file. Ok: how many steps were equal.
///
/// # Errors
/// The first step that is another, in words.
pub fn compare(scenario: &Scenario, how: How, file: impl BufRead) -> Result<u64, String> {
    let mut session = Session::begin(scenario, How { trace: true, ..how });
    let mut lines = file.lines();
    while session.step() {
        let (step, _) = session.now();
        let mine = line(&session);
        let theirs = match lines.next() {
            Some(line) => line.map_err(|error| format!("step {step}: {error}"))?,
            None => "the run had ended".into(),
        };
        if mine != theirs {
            let words = session
                .report()
                .story
                .map_or_else(Vec::new, |s| s.in_columns());
            return Err(format!(
                "step {step} is the first that differs\n  recorded: {theirs}\n  here:     {mine}\nthe last lines until then:\n{}",
                words[words.len().saturating_sub(8)..].join("\n")
            ));
        }
    }
    match lines.next() {
        Some(_) => Err(format!(
            "the run ended after step {}; the recorded one went on",
            session.now().0
        )),
        None => Ok(session.now().0),
    }
}

fn line(session: &Session) -> String {
    let (step, at) = session.now();
    format!("{step} {at} {:016x}", session.digest())
}
