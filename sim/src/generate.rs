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
    s.bare = seed.is_multiple_of(6);
    match bits.within(0, 15) {
        0..=3 => single(&mut bits, &mut s),
        4..=6 => {
            s.kind = Kind::Unbounded;
            s.rates = (0..3)
                .map(|_| bits.pick(&[200, 400, 700, 1000, 1500, 2500, 5000]))
                .collect();
            if bits.one_in(3) {
                // A leader that believes in its lease for ever, among others that wait for nothing.
                s.rates = vec![
                    bits.within(200, 500),
                    bits.within(1000, 5000),
                    bits.within(1000, 5000),
                ];
            }
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
    s.rewinds = !bits.one_in(4);
    s
}

fn conditions(bits: &mut Bits, s: &mut Scenario) {
    if bits.one_in(8) {
        s.members = vec![true, true, true];
    } else if bits.one_in(12) {
        s.members = vec![true, true, bits.one_in(2), false, false];
        let more = [bits.pick(&s.rates), bits.pick(&s.rates)];
        s.rates.extend(more);
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

/// The members' places in a calm cluster.
const PRIMARY: Target = Target::Member(0);
const STANDBY: Target = Target::Member(1);
const THIRD: Target = Target::Member(2);

/// Histories that chance alone would seldom write; each with some noise around it.
fn plot(bits: &mut Bits, s: &mut Scenario) {
    let d = s.decision_timeout;
    let start = bits.within(200_000, 3 * SECOND);
    let mut at = |at: u64, what: What| {
        s.faults.push(Fault {
            at,
            early: false,
            what,
        })
    };
    let mut end = start;
    match bits.within(0, 7) {
        // One primary after the other is lost; the last one returns when its successor goes.
        0..=2 => {
            for _ in 0..bits.within(2, 5) {
                let down = bits.within(d, 3 * d);
                at(
                    end,
                    match bits.within(0, 5) {
                        0 => What::PauseHost(Target::Primary, down),
                        1 => What::Isolate(Target::Primary, Links::All, down),
                        _ => What::Host(Target::Primary, trigger(bits), down),
                    },
                );
                end += bits.within(d, 2 * d + 3 * SECOND);
            }
        }
        // The third member gets the old leader's messages only when another leads; then that one goes, and the old
        // leader is back.
        3 => {
            let late = bits.within(3 * d + 6 * SECOND, 5 * d + 8 * SECOND);
            at(start, What::Hold(PRIMARY, THIRD, Links::Daemons, late));
            if bits.one_in(2) {
                // Records change meanwhile: the standby leaves and comes back.
                at(
                    start + 50_000,
                    What::Isolate(
                        STANDBY,
                        Links::Databases,
                        s.sync_timeout + bits.within(0, d / 2),
                    ),
                );
            }
            let come = start + late;
            let dies = bits.within(start + d, come - d - 2 * SECOND);
            let back = come + bits.within(50_000, d);
            at(dies, What::Host(PRIMARY, trigger(bits), back - dies));
            at(
                come - bits.within(10_000, d / 8),
                What::Host(STANDBY, Trigger::Actions(0), bits.within(2 * d, 4 * d)),
            );
            end = back + 3 * d;
        }
        // Acknowledgements of heartbeats come late; then the leader is cut off.
        4 => {
            let held = bits.within(d / 5, d * 6 / 10);
            let heard = bits.within(d / 20, d / 5);
            for peer in [STANDBY, THIRD] {
                at(start, What::Hold(peer, PRIMARY, Links::Daemons, held));
                at(
                    start + heard,
                    What::Cut(PRIMARY, peer, Links::Daemons, 3 * d),
                );
            }
            at(
                start + held + 1_000,
                What::Isolate(PRIMARY, Links::All, 3 * d),
            );
            end = start + 4 * d;
        }
        5 | 6 => return losses(bits, s, start),
        // The standby's stream is cut, so that the primary goes on alone; then the primary is lost.
        _ => {
            let cut = bits.within(d / 2, 4 * d);
            at(
                start,
                What::Isolate(STANDBY, bits.pick(&[Links::Databases, Links::All]), cut),
            );
            let dies = start + bits.within(d / 5, 2 * d);
            at(
                dies,
                What::Host(Target::Primary, trigger(bits), bits.within(d, 4 * d)),
            );
            end = dies + 4 * d;
        }
    }
    for _ in 0..bits.within(0, 3) {
        let noise = bits.within(0, end);
        let kind = bits.within(0, KINDS);
        let what = one(bits, s, kind);
        s.faults.push(Fault {
            at: noise,
            early: false,
            what,
        });
    }
    s.faults.sort_by_key(|fault| fault.at);
    s.heal_after = end + bits.time(SECOND, 2 * d);
}

/// Something is lost, or comes back as it once was, and nothing goes wrong that would hide it: what nobody that is left
/// has seen nobody can tell (R12).
fn losses(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    let age = bits.time(2 * SECOND, 20 * SECOND);
    let at = start + age + bits.within(0, 3 * SECOND);
    let down = bits.time(20_000, 3 * d);
    let anybody = bits.pick(&[PRIMARY, STANDBY, THIRD]);
    let data = bits.pick(&[PRIMARY, STANDBY]);
    let mut add = |at: u64, what: What| {
        s.faults.push(Fault {
            at,
            early: false,
            what,
        })
    };
    match bits.within(0, 7) {
        // The one that could take over comes back as it once was, just when it is needed.
        0 | 1 => {
            let long = bits.within(d, 4 * d);
            let who = bits.pick(&[
                What::RestoreHost(STANDBY, age, down),
                What::RestoreData(STANDBY, age, down),
            ]);
            add(at, who);
            add(at, What::Host(PRIMARY, Trigger::Actions(0), long));
        }
        // The witness forgets that the standby left; then the primary goes, and the standby returns.
        2 => {
            let cut = s.sync_timeout + bits.within(d / 2, 2 * d);
            add(
                at.saturating_sub(cut),
                What::Isolate(STANDBY, Links::All, cut + d),
            );
            add(at, What::RestoreHost(THIRD, age, down));
            add(
                at + down + d * 11 / 10 + bits.within(SECOND, d),
                What::Host(PRIMARY, Trigger::Actions(0), bits.within(d, 2 * d)),
            );
        }
        3 => add(at, What::RestoreHost(anybody, age, down)),
        4 => add(at, What::RestoreState(anybody, age, down)),
        5 => add(at, What::RestoreData(data, age, down)),
        6 => add(at, What::BaseBackup(data, down)),
        _ => {
            add(at, What::LoseAll(anybody, down));
            add(
                at + down + bits.within(d, 3 * d),
                bits.pick(&[
                    What::LoseAll(Target::Primary, d),
                    What::LoseState(Target::Primary, d),
                    What::Host(Target::Primary, Trigger::Actions(0), d),
                ]),
            );
        }
    }
    s.faults.sort_by_key(|fault| fault.at);
    s.heal_after = at + down + 3 * d + bits.time(SECOND, 3 * d);
}

fn chaos(bits: &mut Bits, s: &mut Scenario) {
    if bits.one_in(3) {
        plot(bits, s);
        return;
    }
    // Swarm: each run has only some kinds of faults.
    let kinds: Vec<u64> = {
        let on = bits.within(1, 5);
        (0..on).map(|_| bits.within(0, KINDS)).collect()
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
            let kind = bits.within(0, KINDS);
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

/// The highest number of a kind of fault.
const KINDS: u64 = 18;

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
        17 => match bits.within(0, 5) {
            0..=2 => What::LoseState(target(bits), long),
            3 => What::LoseData(target(bits), long),
            4 => What::BaseBackup(target(bits), long),
            _ => What::LoseAll(target(bits), long),
        },
        _ => {
            if bits.one_in(2) {
                What::StopDaemon(target(bits), short)
            } else {
                What::Loss(bits.within(50, 700), long)
            }
        }
    }
}
