//! A whole run of the simulator: the bytes are its seed and what is edited in it ([`sim::Tape`]).

use sim::{How, Situations, Tape};

/// Runs it with every oracle on.
pub fn run(bytes: &[u8]) {
    explore(bytes, None, |_| {});
}

/// The same, with a deliberate bug or none, telling each new situation by a number that stands for it.
pub fn explore(bytes: &[u8], mutant: Option<usize>, mut new: impl FnMut(u64)) {
    sim::catch_panics();
    let tape = Tape::from_bytes(bytes);
    let how = How {
        mutant,
        ..How::default()
    };
    let mut session = tape.begin(how);
    let mut situations = Situations::default();
    while session.step() {
        situations.after(&session, &mut new);
    }
    if let Some(violation) = session.report().violation {
        // Once more, to tell it.
        let mut again = tape.begin(How { trace: true, ..how });
        while again.step() {}
        let lines = again.report().story.unwrap_or_default().in_columns();
        let last = lines[lines.len().saturating_sub(40)..].join("\n");
        eprintln!("{last}\n\n{}\nVIOLATION: {violation}", tape.scenario);
        panic!("{violation}");
    }
}

/// Bytes near these: what a change of one run may be is known here, not to the fuzzer.
pub fn mutate(bytes: &mut Vec<u8>, random: u64) {
    Tape::mutate(bytes, random);
}

/// The deliberate bug that `YOKE_MUTANT` names; none without it.
#[cfg(feature = "mutants")]
pub fn mutant() -> Option<usize> {
    let name = std::env::var("YOKE_MUTANT").ok()?;
    let all = yoke_core::mutant::Mutant::ALL;
    let place = all.iter().position(|mutant| mutant.to_string() == name);
    assert!(
        place.is_some(),
        "YOKE_MUTANT is {name}: no mutant is called that"
    );
    place
}

/// Without the feature there are none.
#[cfg(not(feature = "mutants"))]
pub fn mutant() -> Option<usize> {
    None
}
