//! Equal seeds are equal runs: in another process, with any number of threads, step by step.

use sim::scenario::{Fault, Scenario, Target, What};
use sim::{How, Session, compare, record, run, run_twice, scenario_of};
use std::process::Command;

fn digests(jobs: &str) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["--seeds", "0..24", "--digests", "--jobs", jobs])
        .output()
        .expect("the simulator's binary was built");
    let text = String::from_utf8_lossy(&out.stdout);
    text.lines()
        .filter(|line| line.split(' ').count() == 2 && line.len() > 16)
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn processes_and_threads_make_no_difference() {
    let one = digests("1");
    assert_eq!(one.lines().count(), 24, "{one}");
    assert_eq!(one, digests("3"));
}

#[test]
fn a_run_beside_its_twin_is_the_run_alone() {
    let scenario = scenario_of(3);
    let (alone, beside) = (
        run(&scenario, How::default()),
        run_twice(&scenario, How::default()),
    );
    assert_eq!(beside.violation, None);
    assert_eq!((alone.digest, alone.events), (beside.digest, beside.events));
}

#[test]
fn a_record_of_another_run_is_told_apart_at_the_step_where_they_part() {
    let mut scenario = Scenario::calm(5);
    for at in [1_000_000, 2_000_000] {
        scenario.faults.push(Fault {
            at,
            early: false,
            what: What::Database(Target::Primary),
        });
    }
    let mut file = vec![];
    record(&scenario, How::default(), &mut file).expect("a vector takes everything");
    let steps = compare(&scenario, How::default(), &file[..]).expect("it is the same run");
    assert_eq!(steps, run(&scenario, How::default()).events);

    // Without its last fault the run is another one from the step of that fault on.
    let mut other = scenario.clone();
    other.faults.pop();
    let difference = compare(&other, How::default(), &file[..]).expect_err("it is another run");
    let mut session = Session::begin(
        &scenario,
        How {
            trace: true,
            mutant: None,
        },
    );
    while session.step() {}
    let story = session.report().story.expect("it was asked for");
    let faults = story
        .lines
        .iter()
        .rfind(|line| line.text.starts_with("FAULT"));
    let step = faults.expect("it has one").step;
    assert!(
        difference.starts_with(&format!("step {step} is the first that differs")),
        "{difference}\nthe last fault comes in step {step}"
    );
}
