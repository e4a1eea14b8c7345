//! Makes a scenario smaller as long as the same promise breaks: fewer faults, members, clients; shorter, rounder times;
//! calmer conditions.
//!
//! It works on the scenario's lines of words, so that every kind of fault, also a later one, is shrunk alike: a line goes,
//! becomes the calm one, or has one word made simpler. Small choices are hashes of what they are about, so what is taken
//! out leaves the rest as it was; where it does not, another number for the choices is tried.

use crate::run::{How, run};
use crate::scenario::{Kind, Scenario};
use crate::world::Violation;

/// What shrinking made of a scenario.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest that was found.
    pub scenario: Scenario,
    /// How it breaks its promise.
    pub violation: Violation,
    /// How many scenarios were tried.
    pub tried: u64,
}

/// So many events are simulated at most: some seconds.
const BUDGET: u64 = 6_000_000;

/// So many other numbers for the choices are tried for a fault that cannot simply go.
const OTHER_CHOICES: u64 = 6;

/// Shrinks a scenario; none if it breaks no promise.
pub fn shrink(scenario: &Scenario, how: How) -> Option<Shrunk> {
    let how = How {
        trace: false,
        ..how
    };
    let report = run(scenario, how);
    let violation = report.violation?;
    let mut search = Search {
        how,
        oracle: violation.oracle,
        left: BUDGET,
        best: Shrunk {
            scenario: scenario.clone(),
            violation,
            tried: 1,
        },
    };
    // Each round makes less or ends it.
    while search.round() && search.left > 0 {}
    Some(search.best)
}

struct Search {
    how: How,
    oracle: &'static str,
    left: u64,
    best: Shrunk,
}

impl Search {
    /// One pass over everything; whether anything became smaller.
    fn round(&mut self) -> bool {
        let before = self.best.scenario.clone();
        self.late_faults();
        self.faults();
        self.other_choices();
        self.members();
        self.calm_lines();
        self.words();
        self.best.scenario != before
    }

    /// Whether this breaks the same promise; then it is the best so far.
    fn try_this(&mut self, scenario: Scenario) -> bool {
        if self.left == 0 || scenario == self.best.scenario {
            return false;
        }
        let report = run(&scenario, self.how);
        self.left = self.left.saturating_sub(report.events);
        self.best.tried += 1;
        match report.violation {
            Some(violation) if violation.oracle == self.oracle => {
                self.best.scenario = scenario;
                self.best.violation = violation;
                true
            }
            _ => false,
        }
    }

    /// The same for lines of words; what is no scenario breaks nothing.
    fn try_lines(&mut self, lines: &[String]) -> bool {
        match lines.join("\n").parse() {
            Ok(scenario) => self.try_this(scenario),
            Err(_) => false,
        }
    }

    fn lines(&self) -> Vec<String> {
        let text = self.best.scenario.to_string();
        text.lines().map(str::to_owned).collect()
    }

    /// What comes after the violation has no part in it.
    fn late_faults(&mut self) {
        let mut fewer = self.best.scenario.clone();
        fewer
            .faults
            .retain(|fault| fault.at <= self.best.violation.at);
        self.try_this(fewer);
    }

    /// Takes out all faults, halves, quarters, and at last one by one.
    fn faults(&mut self) {
        let mut size = self.best.scenario.faults.len();
        while size > 0 {
            let mut from = 0;
            while from < self.best.scenario.faults.len() {
                let mut fewer = self.best.scenario.clone();
                let end = (from + size).min(fewer.faults.len());
                fewer.faults.drain(from..end);
                if !self.try_this(fewer) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    /// A fault that cannot go may only keep the choices in step: others may do without it.
    fn other_choices(&mut self) {
        let mut at = 0;
        while self.best.scenario.faults.len() > 2 && at < self.best.scenario.faults.len() {
            let mut fewer = self.best.scenario.clone();
            fewer.faults.remove(at);
            let found = (1..=OTHER_CHOICES).any(|choices| {
                let mut other = fewer.clone();
                other.choices = choices;
                self.try_this(other)
            });
            at += usize::from(!found);
        }
    }

    /// The last member goes, as long as three stay.
    fn members(&mut self) {
        while self.best.scenario.members.len() > 3 {
            let mut fewer = self.best.scenario.clone();
            fewer.members.pop();
            fewer.rates.pop();
            if !self.try_this(fewer) {
                return;
            }
        }
    }

    /// A condition becomes what it is in a calm run. Clocks without bound and the promises that hold with them go together.
    fn calm_lines(&mut self) {
        let calm = calm(self.best.scenario.members.len());
        for names in [
            &["kind"][..],
            &["kind", "rates"],
            &["rates"],
            &["timeouts"],
            &["own-database"],
            &["delay"],
            &["network"],
            &["clients"],
            &["clone-time"],
            &["failures"],
        ] {
            if names == ["kind"] && self.best.scenario.kind == Kind::Unbounded {
                continue;
            }
            let lines = self.lines();
            let calmer = lines.iter().map(|mine| {
                let same = |line: &&String| name_of(line) == name_of(mine);
                let wanted = names.contains(&name_of(mine));
                calm.iter()
                    .find(same)
                    .filter(|_| wanted)
                    .unwrap_or(mine)
                    .clone()
            });
            self.try_lines(&calmer.collect::<Vec<_>>());
        }
    }

    /// Word by word, from the end: what is it without, shorter, rounder?
    fn words(&mut self) {
        for row in (0..self.lines().len()).rev() {
            let mut place = self.lines().get(row).map_or(0, |l| l.split(' ').count());
            while place > 1 {
                place -= 1;
                // As often as it gets simpler.
                while self.simpler_word(row, place) {}
            }
        }
    }

    fn simpler_word(&mut self, row: usize, place: usize) -> bool {
        let lines = self.lines();
        let Some(line) = lines.get(row) else {
            return false;
        };
        let words: Vec<&str> = line.split(' ').collect();
        let Some(word) = words.get(place) else {
            return false;
        };
        let simple = match (name_of(line), place) {
            ("at" | "early" | "network" | "failures" | "heal-after", _) => simpler(word),
            // One writes, besides the one that roams.
            ("clients", 1) => vec!["1".into()],
            _ => return false,
        };
        simple.into_iter().any(|simple| {
            let mut words: Vec<&str> = words.clone();
            words[place] = &simple;
            let mut fewer = lines.clone();
            fewer[row] = words.join(" ");
            self.try_lines(&fewer)
        })
    }
}

/// The lines of a calm scenario of so many members.
fn calm(members: usize) -> Vec<String> {
    let mut calm = Scenario::calm(0);
    calm.rates = vec![1000; members];
    calm.to_string().lines().map(str::to_owned).collect()
}

fn name_of(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

/// Simpler words in the place of this one, the simplest first.
fn simpler(word: &str) -> Vec<String> {
    match word {
        "persisted" | "sent" | "release" | "promotion" | "gate" | "proof" => {
            return vec!["actions=0".into()];
        }
        "tear" => return vec!["host".into()],
        "host" => return vec!["daemon".into()],
        "guard" => return vec!["database".into()],
        "primary" => return vec!["m0".into(), "m1".into()],
        "standby" => return vec!["m1".into(), "m0".into()],
        "all" => return vec!["daemons".into(), "databases".into()],
        _ => {}
    }
    let (name, digits) = word
        .split_once('=')
        .map_or(("", word), |(name, digits)| (name, digits));
    let Ok(number) = digits.parse::<u64>() else {
        return vec![];
    };
    // A thousandth of a second is short enough for a time.
    let half = if number >= 1000 {
        (number / 2).max(1000)
    } else {
        number / 2
    };
    let mut simple = vec![half];
    // Rounder, upwards too; never to as many digits as it has, so that it comes to an end.
    for round in [1_000_000, 100_000, 10_000, 1_000, 10] {
        if number % round != 0 && number > round {
            simple.extend([number / round * round, number.div_ceil(round) * round]);
        }
    }
    simple.retain(|n| *n != number);
    let name = if name.is_empty() {
        String::new()
    } else {
        format!("{name}=")
    };
    simple.iter().map(|n| format!("{name}{n}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_becomes_simpler_until_nothing_is_left_of_it() {
        for word in ["1234567", "actions=17", "primary", "all", "999999"] {
            let mut word = word.to_owned();
            for _ in 0..200 {
                match simpler(&word).pop() {
                    Some(simple) => word = simple,
                    None => break,
                }
            }
            assert!(simpler(&word).is_empty(), "{word} does not come to an end");
        }
    }
}
