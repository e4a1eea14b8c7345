//! A scenario as text, and back.

use super::{Fault, Kind, Scenario, Varied, What};
use std::fmt;
use std::str::FromStr;

/// Takes the words of one line, one after the other.
pub(super) struct Words<'a>(std::str::SplitWhitespace<'a>);

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        Words(line.split_whitespace())
    }
    /// Fails unless no word is left.
    pub(super) fn end(mut self) -> Result<(), String> {
        match self.0.next() {
            None => Ok(()),
            Some(word) => Err(format!("{word:?} is too much")),
        }
    }
    /// No word is left.
    fn is_empty(&self) -> bool {
        self.0.clone().next().is_none()
    }
    pub(super) fn next<T: FromStr>(&mut self) -> Result<T, String> {
        let word = self.0.next().ok_or("a word is missing")?;
        word.parse()
            .map_err(|_| format!("{word:?} does not fit here"))
    }
    fn pair(&mut self) -> Result<(u64, u64), String> {
        Ok((self.next()?, self.next()?))
    }
    fn rest<T: FromStr>(&mut self) -> Result<Vec<T>, String> {
        self.0
            .by_ref()
            .map(|word| {
                word.parse()
                    .map_err(|_| format!("{word:?} does not fit here"))
            })
            .collect()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "choices {}", self.choices)?;
        for varied in &self.varied {
            write!(f, " {} {}", varied.choices, varied.share)?;
        }
        writeln!(f)?;
        match self.kind {
            Kind::Chaos => writeln!(f, "kind chaos")?,
            Kind::Unbounded => writeln!(f, "kind unbounded")?,
            Kind::Network => writeln!(f, "kind network")?,
            Kind::Single(single) => writeln!(f, "kind single {single}")?,
        }
        write!(f, "members")?;
        for data in &self.members {
            write!(f, " {}", if *data { "data" } else { "witness" })?;
        }
        write!(f, "\nrates")?;
        for rate in &self.rates {
            write!(f, " {rate}")?;
        }
        writeln!(
            f,
            "\ntimeouts {} {} {}",
            self.decision_timeout, self.sync_timeout, self.health_timeout
        )?;
        writeln!(f, "own-database {}", self.own_database)?;
        if self.bare {
            writeln!(f, "bare {}", self.bare)?;
        }
        writeln!(f, "delay {} {}", self.delay.0, self.delay.1)?;
        writeln!(
            f,
            "network {} {} {}",
            self.network.0, self.network.1, self.network.2
        )?;
        writeln!(f, "clients {} {}", self.clients.0, self.clients.1)?;
        writeln!(f, "clone-time {} {}", self.clone_time.0, self.clone_time.1)?;
        writeln!(f, "rewinds {}", self.rewinds)?;
        writeln!(f, "failures {}", self.failures)?;
        writeln!(f, "heal-after {}", self.heal_after)?;
        for fault in &self.faults {
            writeln!(
                f,
                "{} {} {}",
                if fault.early { "early" } else { "at" },
                fault.at,
                fault.what
            )?;
        }
        Ok(())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut scenario = Scenario::calm(0);
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            if line.trim().is_empty() {
                continue;
            }
            scenario
                .take_line(line)
                .map_err(|error| format!("line {}: {error}", number + 1))?;
        }
        if scenario.rates.len() != scenario.members.len() {
            return Err("as many rates as members are needed".into());
        }
        Ok(scenario)
    }
}

impl Scenario {
    fn take_line(&mut self, line: &str) -> Result<(), String> {
        let mut w = Words::of(line);
        let name: String = w.next()?;
        match name.as_str() {
            "choices" => {
                self.choices = w.next()?;
                while !w.is_empty() {
                    let (choices, share) = w.pair()?;
                    self.varied.push(Varied { choices, share });
                }
            }
            "kind" => {
                let kind: String = w.next()?;
                self.kind = match kind.as_str() {
                    "chaos" => Kind::Chaos,
                    "unbounded" => Kind::Unbounded,
                    "network" => Kind::Network,
                    "single" => Kind::Single(w.next()?),
                    _ => return Err(format!("unknown kind {kind:?}")),
                };
            }
            "members" => {
                self.members = w
                    .rest::<String>()?
                    .iter()
                    .map(|word| word == "data")
                    .collect();
            }
            "rates" => self.rates = w.rest()?,
            "timeouts" => {
                (self.decision_timeout, self.sync_timeout) = w.pair()?;
                self.health_timeout = w.next()?;
            }
            "own-database" => self.own_database = w.next()?,
            "bare" => self.bare = w.next()?,
            "delay" => self.delay = w.pair()?,
            "network" => self.network = (w.next()?, w.next()?, w.next()?),
            "clients" => self.clients = w.pair()?,
            "clone-time" => self.clone_time = w.pair()?,
            "rewinds" => self.rewinds = w.next()?,
            "failures" => self.failures = w.next()?,
            "heal-after" => self.heal_after = w.next()?,
            "early" | "at" => self.faults.push(Fault {
                at: w.next()?,
                early: name == "early",
                what: What::read(&mut w)?,
            }),
            _ => return Err(format!("unknown word {name:?}")),
        }
        w.end()
    }
}
