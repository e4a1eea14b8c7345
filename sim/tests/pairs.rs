//! A slice of all pairs (action, fault) of one failover and of one hand-over; `sim pairs` runs them all.

use sim::How;
use sim::pairs::{History, Pair, run_pairs};

#[test]
fn a_slice_of_all_pairs_keeps_every_promise() {
    for history in History::ALL {
        let pairs = history.pairs();
        let moments = |member| pairs.iter().filter(|p| p.member == member).count();
        assert!(
            (0..3).all(|member| moments(member) > 100),
            "{history}: hardly anything is disturbed"
        );
        let slice: Vec<Pair> = pairs.into_iter().step_by(29).collect();
        for (pair, report) in slice.iter().zip(run_pairs(&slice, 2, How::default())) {
            assert_eq!(report.violation, None, "{pair:?}\n{}", pair.scenario);
        }
    }
}
