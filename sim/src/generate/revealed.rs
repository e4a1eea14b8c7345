//! What nobody was told of shows itself, and may yet be lost.

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, add, among_noise};
use crate::scenario::{Kind, Links, Scenario, Trigger, What};

/// Commits wait for a standby whose disk hangs; then the primary's database dies, and once it is started again they are
/// there. Then it is lost, and the standby, which never had them, takes over: nobody may have read them (R18).
pub(crate) fn revealed(bits: &mut Bits, s: &mut Scenario, start: u64) {
    // Without a bound on clocks nothing is promised to who reads; a third copy would have what is lost.
    s.kind = Kind::Chaos;
    s.members = [vec![true; 2], vec![false; bits.pick(&[1, 1, 3])]].concat();
    s.rates = vec![1000; s.members.len()];
    s.clients.1 = s.clients.1.min(200_000);
    let disk_is_full = bits.one_in(2);
    if disk_is_full {
        // A lease outlasts that.
        (s.decision_timeout, s.sync_timeout) = (5 * SECOND, 2 * SECOND);
        s.health_timeout = 3 * SECOND;
    }
    let (d, sync) = (s.decision_timeout, s.sync_timeout);
    let mut add = |at: u64, what: What| add(s, at, what);
    // It is not seen to run, so that nobody gives way to it.
    add(start, What::Part(PRIMARY, STANDBY, Links::Daemons, 2 * d));
    let stalls = start + bits.within(d / 5, d / 2);
    add(stalls, What::HangDisk(STANDBY, d));
    let dies = stalls + bits.within(sync / 10, sync * 6 / 10);
    if disk_is_full {
        // What the node wants of the next run waits for a disk, and its steward goes by what it wanted of this one.
        let full = bits.within(SECOND / 2, SECOND);
        let more = bits.within(SECOND * 3 / 4, SECOND * 2);
        add(dies - full, What::FullDisk(PRIMARY, full + more));
    }
    add(dies, What::Database(PRIMARY));
    let lost = dies + bits.within(SECOND / 2, SECOND + sync);
    let down = bits.within(2 * d, 4 * d);
    add(lost, What::Host(PRIMARY, Trigger::Actions(0), down));
    // What it received and did not write is gone, too.
    let ends = bits.pick(&[
        What::Database(STANDBY),
        What::Guard(STANDBY),
        What::Host(STANDBY, Trigger::Actions(0), SECOND / 2),
    ]);
    add(lost + bits.within(0, d / 5), ends);
    among_noise(bits, s, lost + 3 * d);
}
