//! A debugger for runs: step by step, forwards and back, with what each step changed in each machine.

use crate::host::Host;
use crate::run::{How, Session};
use crate::scenario::Scenario;
use crate::states::{Fields, differences};
use crate::story::{LEGEND, Story};
use std::io::{BufRead, Write};

const HELP: &str = "\
  n [COUNT]   the next step, or so many       b [COUNT]   back one step, or so many
  u SECONDS   until that time                 u WORDS     until a line holds these words
  v           until the violation, or the end
  s [WORD]    all fields of all machines whose name holds the word (m1.node.promise)
  w [COUNT]   the last lines of the story     q           end it
An empty line repeats the last command.";

/// Reads commands and answers, until there are no more.
///
/// # Errors
/// Those of reading and writing.
pub fn debug(
    scenario: &Scenario,
    how: How,
    input: impl BufRead,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let mut debugger = Debugger::new(scenario, How { trace: true, ..how });
    writeln!(out, "{HELP}\n{LEGEND}")?;
    let mut last = String::new();
    debugger.prompt(out)?;
    for line in input.lines() {
        let line = line?;
        if !line.trim().is_empty() {
            line.trim().clone_into(&mut last);
        }
        let (name, rest) = last.split_once(' ').unwrap_or((&last, ""));
        let count = rest.parse::<u64>().unwrap_or(1);
        match name {
            "" => {}
            "n" => debugger.forward(out, |_, done| done == count)?,
            "b" => debugger.back(out, count)?,
            "u" => match micros(rest) {
                Some(until) => debugger.forward(out, |d, _| d.session.now().1 >= until)?,
                None => {
                    debugger.forward(out, |d, _| d.newest().iter().any(|l| l.contains(rest)))?
                }
            },
            "v" => debugger.forward(out, |_, _| false)?,
            "s" => debugger.states(out, rest)?,
            "w" => debugger.words(out, if rest.is_empty() { 20 } else { count as usize })?,
            "q" => break,
            _ => writeln!(out, "{name:?} is no command\n{HELP}")?,
        }
        debugger.prompt(out)?;
    }
    Ok(())
}

/// `12.5` seconds in microseconds.
fn micros(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = format!("{part:0<6}");
    Some(whole.parse::<u64>().ok()? * 1_000_000 + part.get(..6)?.parse::<u64>().ok()?)
}

struct Debugger<'a> {
    scenario: &'a Scenario,
    how: How,
    session: Session,
    ended: bool,
}

impl<'a> Debugger<'a> {
    fn new(scenario: &'a Scenario, how: How) -> Self {
        Debugger {
            scenario,
            how,
            session: Session::begin(scenario, how),
            ended: false,
        }
    }

    fn prompt(&self, out: &mut impl Write) -> std::io::Result<()> {
        let (step, at) = self.session.now();
        let end = if self.ended { ", at its end" } else { "" };
        write!(
            out,
            "step {step}, {}.{:06} s{end} > ",
            at / 1_000_000,
            at % 1_000_000
        )?;
        out.flush()
    }

    fn story(&mut self) -> Option<&mut Story> {
        self.session.world.trace.story()
    }

    /// What was said in the newest step.
    fn newest(&mut self) -> Vec<String> {
        let (step, _) = self.session.now();
        let Some(story) = self.story() else {
            return vec![];
        };
        let lines = story
            .lines
            .iter()
            .rev()
            .take_while(|line| line.step == step);
        lines.map(|line| line.text.clone()).collect()
    }

    fn fields(&self) -> Vec<Fields> {
        self.session.world.hosts.iter().map(Host::fields).collect()
    }

    /// Goes on until a step is wanted, and shows what was said, and what the last step changed.
    fn forward(
        &mut self,
        out: &mut impl Write,
        wanted: impl Fn(&mut Self, u64) -> bool,
    ) -> std::io::Result<()> {
        let said = self.story().map_or(0, |story| story.lines.len());
        let (mut done, mut before) = (0, self.fields());
        while !self.ended {
            self.ended = !self.session.step();
            done += 1;
            if wanted(self, done) {
                break;
            }
        }
        if done > 1 {
            // What the last step found was not looked at: go there again.
            let (step, _) = self.session.now();
            let how = How {
                trace: false,
                ..self.how
            };
            let mut again = Session::begin(self.scenario, how);
            while again.now().0 + 1 < step && again.step() {}
            before = again.world.hosts.iter().map(Host::fields).collect();
        }
        let rows = self
            .story()
            .map_or_else(Vec::new, |story| story.in_columns());
        let shown = rows.len().saturating_sub(said).min(40);
        for row in &rows[rows.len() - shown..] {
            writeln!(out, "{row}")?;
        }
        for (h, (was, is)) in before.iter().zip(self.fields()).enumerate() {
            for difference in differences(was, &is) {
                writeln!(out, "    m{h} {difference}")?;
            }
        }
        Ok(())
    }

    /// A run cannot go back, but it can be run again: it is the same.
    fn back(&mut self, out: &mut impl Write, count: u64) -> std::io::Result<()> {
        let target = self.session.now().0.saturating_sub(count);
        *self = Debugger::new(self.scenario, self.how);
        while self.session.now().0 < target && self.session.step() {}
        self.words(out, 3)
    }

    fn states(&self, out: &mut impl Write, word: &str) -> std::io::Result<()> {
        for (h, fields) in self.fields().iter().enumerate() {
            for (path, value) in fields {
                let name = format!("m{h}.{path}");
                if name.contains(word) {
                    writeln!(out, "{name}: {value}")?;
                }
            }
        }
        Ok(())
    }

    fn words(&mut self, out: &mut impl Write, count: usize) -> std::io::Result<()> {
        let rows = self
            .story()
            .map_or_else(Vec::new, |story| story.in_columns());
        for row in &rows[rows.len().saturating_sub(count)..] {
            writeln!(out, "{row}")?;
        }
        Ok(())
    }
}
