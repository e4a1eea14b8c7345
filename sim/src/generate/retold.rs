//! A known run told again: with some other small choices, and with one thing or another a little earlier or later.

use super::bits::Bits;
use crate::choices::mix;
use crate::scenario::{Kind, Scenario, Varied};

/// What a seed's draws are mixed with here: the run differs from that of the seed alone.
const APART: u64 = 0x7e70_1d00;

/// This run, told again in a seed's way.
pub fn retold(known: &Scenario, seed: u64) -> Scenario {
    let mut bits = Bits::from_seed(mix(seed, APART));
    let mut s = known.clone();
    // Few others, mostly: what makes the run worth telling comes again then.
    let share = bits.pick(&[3, 3, 5, 10, 20, 60, 250]);
    let choices = bits.within(0, u64::from(u32::MAX));
    s.varied.push(Varied { choices, share });
    for _ in 0..bits.pick(&[0, 0, 1, 2]) {
        moves_one(&mut bits, &mut s);
    }
    s
}

/// One fault comes a little earlier or later. Where it matters which is the last one, none overtakes another.
fn moves_one(bits: &mut Bits, s: &mut Scenario) {
    if s.faults.is_empty() {
        return;
    }
    let i = bits.within(0, s.faults.len() as u64 - 1) as usize;
    let step = bits.time(100, 500_000);
    let at = match bits.one_in(2) {
        true => s.faults[i].at + step,
        false => s.faults[i].at.saturating_sub(step),
    };
    let before = s.faults[..i].iter().map(|fault| fault.at).max();
    let after = s.faults[i + 1..].iter().map(|fault| fault.at).min();
    s.faults[i].at = match s.kind {
        Kind::Chaos | Kind::Unbounded => at,
        Kind::Single(_) | Kind::Network => at.max(before.unwrap_or(0)).min(after.unwrap_or(at)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_run_is_told_again_in_as_many_ways_as_there_are_seeds() {
        let text = include_str!("../../scenarios/lone-hangs-while-nobody-leads.scenario");
        let known: Scenario = text.parse().expect("it is a scenario");
        let told: Vec<Scenario> = (0..100).map(|seed| retold(&known, seed)).collect();
        for (i, one) in told.iter().enumerate() {
            assert_eq!(*one, retold(&known, i as u64));
            assert!(!told[..i].contains(one));
            assert_eq!(one.members, known.members);
            assert_eq!(one.faults.len(), known.faults.len());
            assert_eq!(one.to_string().parse(), Ok(one.clone()));
        }
    }
}
