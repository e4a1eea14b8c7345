//! Makes a scenario of a seed: first the conditions of the run, then which kinds of faults it has at all, then each.

pub(crate) mod bits;
mod edges;
mod losses;
mod one;
mod plot;
mod single;

use crate::scenario::{Fault, Kind, Scenario};
use bits::Bits;
use one::{KINDS, one};
use plot::plot;
use single::single;

const SECOND: u64 = 1_000_000;

/// The scenario of a seed.
pub fn scenario(seed: u64) -> Scenario {
    let mut bits = Bits::from_seed(seed);
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

fn chaos(bits: &mut Bits, s: &mut Scenario) {
    if bits.one_in(2) {
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
