//! Networks that stand as they are, until all heals: what L promises of them is judged while they stand.

use super::bits::Bits;
use crate::matrix::{self, PAIRS, Situation};
use crate::scenario::Scenario;

/// One of the liveness matrix: any network, in any situation; most of them have one link cut, or one host cut off.
pub(crate) fn standing(bits: &mut Bits, s: &mut Scenario, _: u64) {
    let situation = bits.pick(&Situation::ALL);
    let whole = matrix::NETWORKS - 1;
    let without = |cut: &dyn Fn(usize, usize) -> bool| {
        let links = PAIRS.iter().enumerate().filter(|(_, (a, b))| cut(*a, *b));
        links.fold(whole, |network, (bit, _)| network & !(1 << (3 + bit)))
    };
    // Most often the one who leads is concerned.
    let (one, other) = match bits.one_in(3) {
        true => bits.pick(&PAIRS),
        false => bits.pick(&[(0, 1), (0, 2)]),
    };
    let network = match bits.within(0, 9) {
        0..=3 => without(&|a, b| (a, b) == (one, other) || (b, a) == (one, other)),
        4 => without(&|a, b| (a, b) == (one, other)),
        5..=7 => without(&|a, b| a == one || b == one),
        _ => bits.within(0, u64::from(whole)) as u32,
    };
    let choices = s.choices;
    *s = matrix::scenario(situation, network);
    s.choices = choices;
}
