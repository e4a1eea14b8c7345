//! A run as a fuzzer's bytes: a seed, and what is edited in it. Four bytes are the seed; each five that follow are an edit
//! of a fault, of the conditions, or of some of the small choices. Everything that no edit names stays as the seed has it,
//! so that the neighbours of a run that went somewhere new are runs like it.
//!
//! Edits work on the scenario's lines of words, as shrinking does: a later kind of fault is edited like all others.

use crate::choices::{Choices, GROUPS, mix};
use crate::generate;
use crate::run::{How, Session};
use crate::scenario::{Kind, Scenario};

const SEED: usize = 4;
const EDIT: usize = 5;
/// More edits than this are another seed.
const MOST: usize = 24;
const SECOND: u64 = 1_000_000;

/// A run to be made.
#[derive(Clone, Debug)]
pub struct Tape {
    /// What happens in it.
    pub scenario: Scenario,
    anew: Vec<(usize, u8)>,
}

impl Tape {
    /// What the bytes say; those that are missing are zeros.
    pub fn from_bytes(bytes: &[u8]) -> Tape {
        let mut seed = [0; SEED];
        let given = bytes.len().min(SEED);
        seed[..given].copy_from_slice(&bytes[..given]);
        let scenario = generate::scenario(u64::from(u32::from_le_bytes(seed)));
        let mut lines = Lines::of(&scenario);
        let mut anew = vec![];
        for edit in bytes[given..].chunks_exact(EDIT).take(MOST) {
            let [what, which, a, b, c] = [edit[0], edit[1], edit[2], edit[3], edit[4]];
            let donor = u64::from(a) | u64::from(b) << 8;
            match what % 8 {
                0 => anew.push((usize::from(which) | usize::from(a) << 8, b)),
                1 => lines.shift(which, c),
                2 => lines.remove(which),
                3 | 4 => lines.add(which, donor, c),
                5 => lines.double(which, a, c),
                6 => lines.stretch(which, c),
                _ => lines.conditions(donor),
            }
        }
        // What cannot be read back was no edit of ours.
        let scenario = lines.scenario(&scenario).unwrap_or(scenario);
        Tape { scenario, anew }
    }

    /// Before the first step.
    pub fn begin(&self, how: How) -> Session {
        let choices = Choices::with_anew(self.scenario.choices, &self.anew);
        Session::with(&self.scenario, choices, how)
    }

    /// Another run near this one: an edit more, less, or another; as often another seed. `random` decides.
    pub fn mutate(bytes: &mut Vec<u8>, random: u64) {
        let mut draws = (0..).map(|n| mix(random, n));
        let mut draw = |of: usize| draws.next().unwrap_or_default() as usize % of;
        bytes.resize(bytes.len().max(SEED), 0);
        let edits = (bytes.len() - SEED) / EDIT;
        bytes.truncate(SEED + edits * EDIT);
        let place = |edit: usize| SEED + edit * EDIT;
        match draw(20) {
            // Half of all are as good as random seeds; the other half looks around what was new.
            0..=9 => {
                bytes.clear();
                bytes.extend((0..SEED).map(|_| draw(256) as u8));
            }
            10 if edits > 0 => {
                let gone = place(draw(edits));
                bytes.drain(gone..gone + EDIT);
            }
            11..=13 if edits > 0 => {
                let changed = place(draw(edits)) + draw(EDIT);
                bytes[changed] = draw(256) as u8;
            }
            _ if edits >= MOST => bytes.truncate(SEED),
            _ => {
                for _ in 0..1 + draw(2) {
                    bytes.extend((0..EDIT).map(|_| draw(256) as u8));
                }
            }
        }
    }
}

/// A scenario's lines.
struct Lines {
    conditions: Vec<String>,
    faults: Vec<String>,
    members: usize,
}

impl Lines {
    fn of(scenario: &Scenario) -> Lines {
        let text = scenario.to_string();
        let is_fault = |line: &&str| line.starts_with("at ") || line.starts_with("early ");
        let (faults, conditions): (Vec<&str>, Vec<&str>) = text.lines().partition(is_fault);
        let owned = |lines: Vec<&str>| lines.into_iter().map(str::to_owned).collect();
        Lines {
            conditions: owned(conditions),
            faults: owned(faults),
            members: scenario.members.len(),
        }
    }

    /// Histories in which something comes back as it once was are written so that somebody is left who knows better
    /// (R12): no edit may take that away.
    fn is_fixed(&self) -> bool {
        self.faults.iter().any(|fault| fault.contains("restore"))
    }

    fn place(&self, which: u8) -> Option<usize> {
        let some = !self.faults.is_empty() && !self.is_fixed();
        some.then(|| usize::from(which) % self.faults.len())
    }

    fn shift(&mut self, which: u8, by: u8) {
        if let Some(place) = self.place(which) {
            self.faults[place] = moved(&self.faults[place], by);
        }
    }

    fn remove(&mut self, which: u8) {
        if let Some(place) = self.place(which) {
            self.faults.remove(place);
        }
    }

    /// A fault of another seed, near one of this.
    fn add(&mut self, which: u8, donor: u64, by: u8) {
        if self.is_fixed() {
            return;
        }
        let from = Lines::of(&generate::scenario(donor));
        let Some(fault) = from.faults.get(usize::from(by) % from.faults.len().max(1)) else {
            return;
        };
        let stranger = fault.split(' ').any(|word| {
            let member = word.strip_prefix('m').and_then(|m| m.parse().ok());
            member.is_some_and(|member: usize| member >= self.members)
        });
        if stranger || fault.contains("restore") {
            return;
        }
        let mut fault = fault.clone();
        if let Some(place) = self.place(which) {
            let near = words(&self.faults[place]);
            let mut new = words(&fault);
            new[..2].clone_from_slice(&near[..2]);
            fault = moved(&new.join(" "), by);
        }
        self.faults.push(fault);
    }

    /// A fault comes twice.
    fn double(&mut self, which: u8, whom: u8, by: u8) {
        let Some(place) = self.place(which) else {
            return;
        };
        let mut new = words(&moved(&self.faults[place], by));
        // Or meets another.
        let targets = ["primary", "standby", "m0", "m1", "m2"];
        if let Some(word) = new.iter_mut().find(|w| targets.contains(&w.as_str()))
            && let Some(other) = targets.get(usize::from(whom) % 8)
        {
            (*other).clone_into(word);
        }
        self.faults.push(new.join(" "));
    }

    /// A fault lasts longer or shorter.
    fn stretch(&mut self, which: u8, by: u8) {
        let Some(place) = self.place(which) else {
            return;
        };
        let mut new = words(&self.faults[place]);
        if let Some(last) = new[3..]
            .iter_mut()
            .rfind(|word| word.parse::<u64>().is_ok())
        {
            let time = last.parse::<u64>().unwrap_or_default();
            let sixteenths = [2, 4, 8, 12, 14, 15, 17, 18, 20, 24, 32, 64];
            let by = sixteenths[usize::from(by) % sixteenths.len()];
            *last = (time.saturating_mul(by) / 16)
                .clamp(1, 60_000_000)
                .to_string();
            self.faults[place] = new.join(" ");
        }
    }

    /// The network, the clients, and what takes how long are another seed's.
    fn conditions(&mut self, donor: u64) {
        let from = Lines::of(&generate::scenario(donor));
        for name in ["delay ", "network ", "clients ", "clone-time ", "failures "] {
            let find = |lines: &[String]| lines.iter().position(|line| line.starts_with(name));
            if let (Some(mine), Some(theirs)) = (find(&self.conditions), find(&from.conditions)) {
                self.conditions[mine].clone_from(&from.conditions[theirs]);
            }
        }
    }

    fn scenario(self, before: &Scenario) -> Option<Scenario> {
        let text = [self.conditions.join("\n"), self.faults.join("\n")].join("\n");
        let mut scenario: Scenario = text.parse().ok()?;
        if scenario == *before {
            return Some(scenario);
        }
        if matches!(scenario.kind, Kind::Single(_)) {
            // The bounds of a single fault hold no more.
            scenario.kind = Kind::Chaos;
        }
        scenario
            .faults
            .sort_by_key(|fault| (!fault.early, fault.at));
        let last = scenario.faults.last().map_or(0, |fault| fault.at);
        scenario.heal_after = scenario.heal_after.max(last + SECOND);
        Some(scenario)
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// A fault line at another time: by up to four seconds, small steps as likely as large ones.
fn moved(line: &str, by: u8) -> String {
    let mut words = words(line);
    let time = words[1].parse::<u64>().unwrap_or_default();
    let step = (1000u64 << (by >> 1 & 15)).min(4_000_000) * (1 + u64::from(by >> 5)) / 4;
    let later = match by % 2 {
        0 => time.saturating_sub(step),
        _ => time + step,
    };
    words[1] = later.to_string();
    words.join(" ")
}

// A group's number has to fit into what an edit can say of it.
const _: () = assert!(GROUPS <= 1 << 16);
