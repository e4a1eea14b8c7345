//! A release that comes long after it was given (R5).

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, THIRD, add, among_noise};
use crate::scenario::{Kind, Links, Scenario, What};

/// The old leader hands over, and the third member hears of it only when another has led for a while and the old leader is
/// in sync again: what it promised the new one stands. Meanwhile the two do not hear each other.
pub(crate) fn old_release(bits: &mut Bits, s: &mut Scenario, start: u64) {
    // On clocks that go as they like the moments would never meet.
    s.kind = Kind::Chaos;
    for rate in &mut s.rates {
        *rate = (*rate).clamp(950, 1050);
    }
    let d = s.decision_timeout;
    let again = bits.within(SECOND, d + 4 * SECOND);
    let handed = start + bits.within(10_000, SECOND);
    let parted = handed + again;
    // The old leader's own promise is over by then, and it asks for votes.
    let come = parted + bits.within(d * 9 / 10, 2 * d);
    add(
        s,
        start,
        What::Hold(PRIMARY, THIRD, Links::Daemons, come - start),
    );
    add(s, handed, What::Demote(PRIMARY));
    let long = come - parted + bits.within(0, d);
    let links = bits.pick(&[Links::Daemons, Links::Daemons, Links::All]);
    let cut = match bits.one_in(2) {
        true => What::Part(PRIMARY, STANDBY, links, long),
        false => What::Cut(STANDBY, PRIMARY, links, long),
    };
    add(s, parted, cut);
    among_noise(bits, s, come + d);
}
