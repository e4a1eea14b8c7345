//! Histories at the edge of a decision: a record is on its way, or a promise keeps somebody from it, and just then a link
//! or a daemon goes.

use super::SECOND;
use super::bits::Bits;
use super::plot::{PRIMARY, STANDBY, THIRD};
use crate::scenario::{Fault, Links, Scenario, Trigger, What};

fn add(s: &mut Scenario, at: u64, what: What) {
    s.faults.push(Fault {
        at,
        early: false,
        what,
    });
}

/// The record shrinks or grows, and the primary or its daemon is cut off, hangs or ends about then; who left is back.
/// Returns when it is over.
pub(crate) fn about_a_record(bits: &mut Bits, s: &mut Scenario, start: u64) -> u64 {
    let d = s.decision_timeout;
    let links = bits.pick(&[Links::Databases, Links::All]);
    let shrinks = start + s.sync_timeout;
    let (back, moment) = if bits.one_in(2) {
        let moment = shrinks + bits.within(0, d / 4);
        (moment + bits.within(0, d / 2), moment)
    } else {
        let back = shrinks + bits.within(d / 4, d);
        (back, back + bits.within(d / 10, d))
    };
    add(s, start, What::Isolate(STANDBY, links, back - start));
    let short = bits.within(10_000, d / 5);
    let long = bits.within(2 * d, 4 * d);
    let cut = bits.pick(&[Links::Daemons, Links::All]);
    match bits.within(0, 5) {
        0 | 1 => add(s, moment, What::Isolate(PRIMARY, cut, long)),
        2 => {
            add(s, moment, What::Daemon(PRIMARY, Trigger::Persisted, short));
            add(s, moment + short / 2, What::Isolate(PRIMARY, cut, long));
        }
        3 => add(s, moment, What::PauseDaemon(PRIMARY, long)),
        4 => {
            add(s, moment, What::Host(PRIMARY, Trigger::Actions(0), long));
        }
        _ => {
            // What it hears still, nobody else does.
            for peer in [STANDBY, THIRD] {
                add(s, moment, What::Cut(PRIMARY, peer, Links::Daemons, long));
            }
        }
    }
    moment + long
}

/// One side of the triangle is missing, one way or both; meanwhile a member ends and returns, with or without what it
/// knew, or hangs. Before it an operator may have handed over, and that may be heard late.
/// Returns when it is over.
pub(crate) fn about_a_side(bits: &mut Bits, s: &mut Scenario, start: u64) -> u64 {
    let d = s.decision_timeout;
    let mut start = start;
    if bits.one_in(4) {
        let late = bits.within(d, 3 * d);
        add(s, start, What::Hold(PRIMARY, THIRD, Links::Daemons, late));
        add(s, start + 50_000, What::Demote(PRIMARY));
        start += 2 * SECOND;
    }
    let (a, b) = bits.pick(&[
        (PRIMARY, STANDBY),
        (PRIMARY, STANDBY),
        (PRIMARY, THIRD),
        (STANDBY, THIRD),
    ]);
    let long = bits.within(3 * d, 5 * d);
    let links = bits.pick(&[Links::Daemons, Links::Daemons, Links::All]);
    add(s, start, What::Cut(a, b, links, long));
    if !bits.one_in(4) {
        add(s, start, What::Cut(b, a, links, long));
    }
    for _ in 0..bits.within(1, 2) {
        let moment = start + bits.within(d / 2, 2 * d + d / 2);
        let who = bits.pick(&[THIRD, THIRD, PRIMARY, STANDBY]);
        let short = bits.within(10_000, d / 4);
        let age = bits.within(SECOND, d + 2 * SECOND);
        add(
            s,
            moment,
            match bits.within(0, 6) {
                0..=2 => What::Daemon(who, Trigger::Actions(0), short),
                3 => What::LoseState(who, short),
                4 => What::RestoreState(who, age, short),
                5 => What::PauseDaemon(who, bits.within(d / 4, d)),
                _ => What::Host(who, Trigger::Actions(0), bits.within(short, 2 * d)),
            },
        );
    }
    start + long
}
