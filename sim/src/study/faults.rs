//! The stated model: which faults a cluster of three meets in a year, and how long they last.
//!
//! Rates are assumptions, made from what is published; they are meant for a cluster that is neither lucky nor cursed.

use crate::scenario::{Links, Target, Trigger, What};

/// One kind of fault.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What, for people.
    pub name: &'static str,
    /// How often a year, all targets together.
    pub a_year: u64,
    /// From where: a source, or that it is assumed.
    pub source: &'static str,
    /// The shortest length, in microseconds.
    shortest: u64,
    /// How many doublings of it there are; what is longer counts as the last.
    doublings: u32,
    /// Each doubling of the length is one in so many as frequent.
    rarer: u64,
    /// Whom it meets in turn.
    targets: &'static [Target],
    what: fn(Target, u64) -> What,
}

const PRIMARY: Target = Target::Member(0);
const STANDBY: Target = Target::Member(1);
const WITNESS: Target = Target::Member(2);
const ALL: &[Target] = &[PRIMARY, STANDBY, WITNESS];
const DATA: &[Target] = &[PRIMARY, STANDBY];

/// All kinds.
pub(super) const KINDS: [Kind; 7] = [
    Kind {
        name: "a host crashes and boots",
        a_year: 6,
        source: "two crashes a server and year (J. Dean, LADIS 2009)",
        shortest: 30_000_000,
        doublings: 1,
        rarer: 2,
        targets: ALL,
        what: |who, length| What::Host(who, Trigger::Actions(0), length),
    },
    Kind {
        name: "a host is cut off from the others",
        a_year: 156,
        source: "assumed: one a host and week, most of them glitches; heavy tails as in Gill et al., SIGCOMM 2011",
        shortest: 250_000,
        doublings: 9,
        rarer: 2,
        targets: ALL,
        what: |who, length| What::Isolate(who, Links::All, length),
    },
    Kind {
        name: "a third of all messages is lost",
        a_year: 100,
        source: "assumed: two bursts a week",
        shortest: 500_000,
        doublings: 7,
        rarer: 2,
        targets: &[PRIMARY],
        what: |_, length| What::Loss(333, length),
    },
    Kind {
        name: "a whole host pauses (migration, steal)",
        a_year: 150,
        source: "assumed: one a host and week; most below a second, seldom up to 30 s (Azure: maintenance for virtual machines)",
        shortest: 250_000,
        doublings: 7,
        rarer: 4,
        targets: ALL,
        what: What::PauseHost,
    },
    Kind {
        name: "a daemon does not get to run",
        a_year: 75,
        source: "assumed: swapping, an overloaded host",
        shortest: 250_000,
        doublings: 7,
        rarer: 4,
        targets: ALL,
        what: What::PauseDaemon,
    },
    Kind {
        name: "a database's disk stalls",
        a_year: 50,
        source: "assumed: one a data host and fortnight",
        shortest: 250_000,
        doublings: 7,
        rarer: 4,
        targets: DATA,
        what: What::HangDisk,
    },
    Kind {
        name: "a database dies",
        a_year: 4,
        source: "assumed: out of memory, a bug; two a data host",
        shortest: 1_000_000,
        doublings: 1,
        rarer: 2,
        targets: DATA,
        what: |who, _| What::Database(who),
    },
];

/// One kind of fault of about one length at one target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stratum {
    pub(super) kind: usize,
    target: Target,
    from: u64,
    to: u64,
    /// How often in a million years.
    pub(super) rate: u64,
}

/// All strata of all kinds.
pub(super) fn strata() -> Vec<Stratum> {
    let mut all = vec![];
    for (number, kind) in KINDS.iter().enumerate() {
        for target in kind.targets {
            let mut left = kind.a_year * 1_000_000 / kind.targets.len() as u64;
            for doubling in 0..kind.doublings {
                let from = kind.shortest << doubling;
                // The last one takes the rest of the tail.
                let longer = match doubling + 1 == kind.doublings {
                    true => 0,
                    false => left / kind.rarer,
                };
                all.push(Stratum {
                    kind: number,
                    target: *target,
                    from,
                    to: 2 * from,
                    rate: left - longer,
                });
                left = longer;
            }
        }
    }
    all
}

impl Stratum {
    /// The fault, the `sample`-th of `samples` that are spread evenly over its lengths; and how long it lasts.
    pub(super) fn fault(&self, sample: u64, samples: u64) -> (What, u64) {
        let part = (self.to - self.from) / (2 * samples);
        let length = self.from + part * (2 * sample + 1);
        ((KINDS[self.kind].what)(self.target, length), length)
    }
}
