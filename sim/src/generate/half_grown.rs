//! A copy whose growth only some have heard of, when its primary is lost for longer than L needs: a dead end that healing
//! would cure shows only there.

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, add};
use crate::scenario::{Kind, Links, Scenario, Trigger, What};

/// The standby was away and has caught up: just as the record that names it again is on its way it hears the primary no
/// more, and then the primary is gone. Whoever has that record has to spread it (R3).
pub(crate) fn half_grown(bits: &mut Bits, s: &mut Scenario, start: u64) {
    let d = s.decision_timeout;
    s.kind = Kind::Network;
    s.rates.fill(1000);
    (s.network, s.delay, s.failures) = ((0, 0, 0), (100, 800), 0);
    let away = s.sync_timeout + bits.within(d / 5, d);
    add(s, start, What::Isolate(STANDBY, Links::Databases, away));
    // Steady for D/10, then gate, proof and position.
    let grows = start + away + d / 10 + bits.within(0, SECOND);
    let long = 60 * SECOND;
    add(s, grows, What::Cut(PRIMARY, STANDBY, Links::Daemons, long));
    let lost = grows + bits.within(10_000, d / 4);
    add(s, lost, What::Host(PRIMARY, Trigger::Actions(0), long));
    s.heal_after = lost + 2 * d + 6 * SECOND;
}
