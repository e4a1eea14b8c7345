//! Makes a scenario of a seed: first the conditions of the run, then which kinds of faults it has at all, then each.

use crate::scenario::{Fault, Kind, Links, Scenario, Single, Target, Trigger, What};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Integers and ratios out of `rand_chacha`'s bits.
struct Bits(ChaCha8Rng);

impl Bits {
    /// One of `low..=high`.
    fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.next_u64() % (high - low + 1)
    }
    /// Whether one of `of` happens.
    fn one_in(&mut self, of: u64) -> bool {
        self.within(1, of) == 1
    }
    /// One of them.
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.within(0, from.len() as u64 - 1) as usize]
    }
    /// A length of time between two, short ones as likely as long ones.
    fn time(&mut self, low: u64, high: u64) -> u64 {
        let mut top = low;
        for _ in 0..self.within(1, 16) {
            top = (top * 2).min(high);
        }
        self.within(low, top)
    }
}

const SECOND: u64 = 1_000_000;

/// The scenario of a seed.
pub fn scenario(seed: u64) -> Scenario {
    let mut bits = Bits(ChaCha8Rng::seed_from_u64(seed));
    let mut s = Scenario::calm(seed);
    match bits.within(0, 15) {
        0..=3 => single(&mut bits, &mut s),
        4..=6 => {
            s.kind = Kind::Unbounded;
            s.rates = (0..3)
                .map(|_| bits.pick(&[200, 400, 700, 1000, 1500, 2500, 5000]))
                .collect();
            conditions(&mut bits, &mut s);
            chaos(&mut bits, &mut s);
        }
        _ => {
            s.rates = (0..3)
                .map(|_| bits.pick(&[900, 950, 1000, 1000, 1050, 1100]))
                .collect();
            conditions(&mut bits, &mut s);
            chaos(&mut bits, &mut s);
        }
    }
    s
}

fn conditions(bits: &mut Bits, s: &mut Scenario) {
    if bits.one_in(8) {
        s.members = vec![true, true, true];
    }
    s.decision_timeout = bits.pick(&[2, 3, 5]) * SECOND;
    s.sync_timeout = s.decision_timeout * 2 / 5;
    s.health_timeout = s.decision_timeout * 3 / 5;
    s.own_database = bits.one_in(4);
    s.delay = bits.pick(&[
        (100, 400),
        (100, 800),
        (100, 5_000),
        (2_000, 30_000),
        (10_000, 60_000),
    ]);
    s.network = (
        bits.pick(&[0, 0, 0, 5, 20, 100]),
        bits.pick(&[0, 0, 10, 100]),
        bits.pick(&[0, 0, 2, 20, 100]),
    );
    s.clients = (bits.within(1, 3), bits.pick(&[50_000, 200_000, 500_000]));
    s.clone_time = bits.pick(&[
        (300_000, SECOND),
        (500_000, 3 * SECOND),
        (SECOND, 10 * SECOND),
    ]);
    s.failures = bits.pick(&[0, 0, 2, 10]);
}

fn single(bits: &mut Bits, s: &mut Scenario) {
    let kind = bits.pick(&[
        Single::PrimaryHost,
        Single::PrimaryHost,
        Single::PrimaryDatabase,
        Single::HandOver,
        Single::Witness,
        Single::Secondary,
        Single::Daemon,
    ]);
    s.kind = Kind::Single(kind);
    s.delay = bits.pick(&[(100, 800), (100, 2_000)]);
    s.clone_time = (300_000, SECOND);
    s.rates = (0..3).map(|_| bits.pick(&[990, 1000, 1010])).collect();
    let down = bits.within(8 * SECOND, 14 * SECOND);
    let at = bits.within(SECOND, 4 * SECOND);
    let what = match kind {
        Single::PrimaryHost => What::Host(Target::Primary, Trigger::Actions(0), down),
        Single::PrimaryDatabase => What::Database(Target::Primary),
        Single::HandOver => What::Demote(Target::Primary),
        Single::Witness => What::Host(Target::Member(2), Trigger::Actions(0), down),
        Single::Secondary => What::Host(Target::Standby, Trigger::Actions(0), down),
        Single::Daemon => What::Daemon(
            bits.pick(&[Target::Primary, Target::Standby, Target::Member(2)]),
            Trigger::Actions(0),
            bits.within(100_000, 500_000),
        ),
    };
    s.faults.push(Fault {
        at,
        early: false,
        what,
    });
    s.heal_after = at + down + SECOND;
}

fn chaos(bits: &mut Bits, s: &mut Scenario) {
    // Swarm: each run has only some kinds of faults.
    let kinds: Vec<u64> = {
        let on = bits.within(1, 5);
        (0..on).map(|_| bits.within(0, 17)).collect()
    };
    let count = bits.within(1, 9);
    let mut at = 0;
    for _ in 0..count {
        at += if bits.one_in(3) {
            bits.time(10_000, 2 * s.decision_timeout)
        } else {
            bits.time(500_000, 3 * s.decision_timeout)
        };
        let kind = bits.pick(&kinds);
        let what = one(bits, s, kind);
        s.faults.push(Fault {
            at,
            early: false,
            what,
        });
    }
    s.heal_after = at + bits.time(SECOND, 3 * s.decision_timeout);
    if bits.one_in(10) {
        for _ in 0..bits.within(1, 2) {
            let early_at = bits.time(100_000, 2 * s.decision_timeout);
            let kind = bits.within(0, 17);
            let what = one(bits, s, kind);
            s.faults.insert(
                0,
                Fault {
                    at: early_at,
                    early: true,
                    what,
                },
            );
        }
    }
}

fn target(bits: &mut Bits) -> Target {
    match bits.within(0, 6) {
        0..=2 => Target::Primary,
        3..=4 => Target::Standby,
        5 => Target::Member(2),
        _ => Target::Member(bits.within(0, 2) as usize),
    }
}

fn trigger(bits: &mut Bits) -> Trigger {
    match bits.within(0, 8) {
        0..=2 => Trigger::Actions(0),
        3 => Trigger::Actions(bits.within(1, 60)),
        4..=6 => Trigger::Persisted,
        7 => Trigger::Promotion,
        _ => Trigger::Gate,
    }
}

fn links(bits: &mut Bits) -> Links {
    bits.pick(&[Links::All, Links::All, Links::Daemons, Links::Databases])
}

fn one(bits: &mut Bits, s: &Scenario, kind: u64) -> What {
    let d = s.decision_timeout;
    let long = bits.time(200_000, 4 * d);
    let short = bits.time(20_000, d);
    match kind {
        0 | 1 => What::Daemon(target(bits), trigger(bits), short),
        2 => What::Guard(target(bits)),
        3 => What::Database(target(bits)),
        4..=6 => What::Host(target(bits), trigger(bits), long),
        7 => What::PowerLoss(long),
        8 => What::PauseDaemon(target(bits), long),
        9 => What::PauseHost(target(bits), long),
        10 => What::HangDatabase(target(bits), long),
        11 => {
            if bits.one_in(2) {
                What::HangDisk(target(bits), long)
            } else {
                What::SlowDisk(target(bits), long)
            }
        }
        12 => What::Cut(target(bits), target(bits), links(bits), long),
        13 | 14 => What::Isolate(target(bits), links(bits), long),
        15 => What::Hold(target(bits), target(bits), links(bits), long),
        16 => What::Demote(Target::Primary),
        _ => {
            if bits.one_in(2) {
                What::StopDaemon(target(bits), short)
            } else {
                What::Loss(bits.within(50, 700), long)
            }
        }
    }
}
