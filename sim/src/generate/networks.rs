//! Three hosts in some situation, when the network becomes one of those that there are, and stays so: L's own words say
//! what is due there.

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, add};
use crate::scenario::{Kind, Links, Scenario, Target, Trigger, What};

/// The network becomes what it is. Nothing else goes wrong, so that what is promised has its bound.
pub(crate) fn network_stands(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    s.kind = Kind::Network;
    s.members = vec![true, true, false];
    s.rates = vec![1000; 3];
    s.delay = bits.pick(&[(100, 400), (100, 800), (100, 2_000)]);
    s.network = (0, 0, 0);
    s.clone_time = (300_000, SECOND);
    s.failures = 0;
    let mut at = start;
    let mut restarted = false;
    match bits.within(0, 7) {
        // The standby is out of sync. Not about to be back: a growth that is proposed at that very moment is lost.
        0 | 1 => {
            let cut = s.sync_timeout + bits.within(SECOND, 2 * SECOND);
            add(s, at, What::Isolate(STANDBY, Links::Databases, cut));
            at += cut;
        }
        2 => add(s, at, What::Database(PRIMARY)),
        3 => restarted = true,
        _ => {}
    }
    let long = 60 * SECOND;
    let deaf_or_mute = bits
        .one_in(2)
        .then(|| (bits.pick(&[0, 0, 0, 1, 2]), !bits.one_in(3)));
    let few = bits.within(0, 3);
    for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
        let is_cut = match deaf_or_mute {
            Some((h, true)) => to == h,
            Some((h, false)) => from == h,
            None => bits.within(0, 5) < few,
        };
        if is_cut {
            let (from, to) = (Target::Member(from), Target::Member(to));
            add(s, at, What::Cut(from, to, Links::All, long));
        }
    }
    let lost = (deaf_or_mute.is_none() && bits.one_in(3)).then(|| bits.within(0, 2) as usize);
    for h in 0..3 {
        let down = match lost == Some(h) {
            true => long,
            false if restarted => SECOND / 5,
            false => continue,
        };
        let host = Target::Member(h);
        add(s, at, What::Host(host, Trigger::Actions(0), down));
    }
    s.heal_after = at + 2 * d + 6 * SECOND;
}
