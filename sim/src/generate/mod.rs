//! Makes a scenario of a seed: first the cluster and the conditions of the run, then what goes wrong.

mod adopted;
mod amid;
mod before_it_knows;
mod behind;
pub(crate) mod bits;
mod born;
mod configured;
mod databases;
mod edited;
mod fell_back;
mod forgetful;
mod gives_up;
mod growth;
mod half_grown;
mod hangs;
mod losses;
mod missed_reload;
mod networks;
mod new_copies;
mod old_release;
pub(crate) mod one;
mod outlive;
mod outlived;
mod plot;
mod profile;
mod remembered;
mod retold;
mod revealed;
mod single;
mod standing;
mod swarm;
mod unarrived;
mod undecided;
mod went_back;

use crate::scenario::{Kind, Scenario};
use bits::Bits;
use plot::plot;
pub use profile::Profile;
pub use retold::retold;
use single::single;
use swarm::swarm;

const SECOND: u64 = 1_000_000;

const LEAST_TIMEOUT: u64 = yoke_core::config::LEAST_TIMEOUT.0;

/// The scenario of a seed alone.
pub fn scenario(seed: u64) -> Scenario {
    scenario_in(Profile::Mix, seed)
}

/// The scenario of a seed in a profile.
pub fn scenario_in(profile: Profile, seed: u64) -> Scenario {
    if profile == Profile::Mix
        && let Some(known) = remembered::remembered(seed)
    {
        return known;
    }
    let mut bits = Bits::from_seed(seed);
    let mut s = Scenario::calm(seed);
    s.bare = seed.is_multiple_of(6);
    let drawn = bits.within(0, 15);
    if profile == Profile::Mix && drawn < 2 {
        single(&mut bits, &mut s);
        s.rewinds = !bits.one_in(4);
        return s;
    }
    cluster(&mut bits, &mut s);
    let unbounded = match profile {
        Profile::Mix => drawn < 5,
        Profile::Chaos => drawn < 4,
        Profile::Skew => drawn < 8,
        _ => false,
    };
    clocks(&mut bits, &mut s, unbounded);
    conditions(&mut bits, &mut s);
    match profile {
        Profile::Calm => s.failures = 0,
        Profile::Lossy => {
            s.network = (
                bits.pick(&[20, 100, 300]),
                bits.pick(&[0, 50, 300]),
                bits.pick(&[2, 20, 100]),
            );
        }
        _ => {}
    }
    let written = matches!(profile, Profile::Mix) && !bits.one_in(4);
    timeouts(&mut bits, &mut s, written);
    let mut alone = false;
    if written {
        if s.members.len() > 5 || !s.members[1] {
            // A history has its parts played by the first members.
            s.members = vec![true, true, false];
            s.rates.truncate(3);
        }
        alone = plot(&mut bits, &mut s);
    } else {
        swarm(&mut bits, &mut s, profile.classes());
    }
    s.rewinds = !bits.one_in(4);
    if matches!(profile, Profile::Mix | Profile::Chaos) && !alone && bits.one_in(5) {
        databases::troubles(&mut bits, &mut s);
    }
    s
}

/// Three to seven members, one to five of them with data.
fn cluster(bits: &mut Bits, s: &mut Scenario) {
    let size = bits.pick(&[3, 3, 3, 3, 3, 3, 4, 5, 5, 7]);
    let data = match size {
        3 => bits.pick(&[2, 2, 2, 2, 3, 1]),
        _ => bits.pick(&[2, 2, 3, 4, 5, 1]).min(size),
    };
    s.members = (0..size).map(|member| member < data).collect();
    if data > 1 && bits.one_in(3) {
        // A witness among them, anywhere but in the first place: that is the configured primary's.
        let to = bits.within(1, size as u64 - 1) as usize;
        s.members.swap(data - 1, to);
    }
}

fn clocks(bits: &mut Bits, s: &mut Scenario, unbounded: bool) {
    let count = s.members.len();
    if !unbounded {
        s.rates = (0..count)
            .map(|_| bits.pick(&[900, 950, 1000, 1000, 1050, 1100]))
            .collect();
        return;
    }
    s.kind = Kind::Unbounded;
    s.rates = (0..count)
        .map(|_| bits.pick(&[200, 400, 700, 1000, 1500, 2500, 5000]))
        .collect();
    if bits.one_in(3) {
        // A leader that believes in its lease for ever, among others that wait for nothing.
        s.rates = (0..count)
            .map(|h| match h {
                0 => bits.within(200, 500),
                _ => bits.within(1000, 5000),
            })
            .collect();
    }
}

fn conditions(bits: &mut Bits, s: &mut Scenario) {
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

/// The shortest timeouts that a file may name, the defaults, longer ones; a file may name any of them, or all. In a history,
/// and mostly, the others are to `decision_timeout` as their defaults are to its own. Where a network needs longer than a
/// short one, nobody keeps up for long.
fn timeouts(bits: &mut Bits, s: &mut Scenario, written: bool) {
    let slow = s.delay.1 > 5_000 || s.network.0 > 5;
    let shortest = if slow { 2 } else { 1 };
    let d = bits.pick(&[shortest, 2, 2, 3, 3, 5, 5, 10, 20]) * SECOND;
    s.decision_timeout = d;
    s.sync_timeout = (d * 2 / 5).max(LEAST_TIMEOUT);
    s.health_timeout = d * 3 / 5;
    if !slow && !written && bits.one_in(3) {
        s.sync_timeout = bits.pick(&[LEAST_TIMEOUT, SECOND, 2 * SECOND, 10 * SECOND]);
        s.health_timeout = bits.pick(&[LEAST_TIMEOUT, SECOND, 3 * SECOND, 10 * SECOND]);
    }
}
