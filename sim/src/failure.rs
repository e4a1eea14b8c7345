//! A broken promise, for people: what broke, in which run, and which commands show it.

use sim::{How, Profile, Violation};

/// How a run is called on the command line: `--seed 7`.
pub(crate) struct Name(pub(crate) String);

impl Name {
    /// That of a seed in a profile; the default is not said.
    pub(crate) fn of_seed(profile: Profile, seed: u64) -> Name {
        Name(match profile {
            Profile::Mix => format!("--seed {seed}"),
            profile => format!("--profile {profile} --seed {seed}"),
        })
    }
}

/// The command that does `what` with a run.
pub(crate) fn command(name: &Name, how: How, what: &str) -> String {
    #[cfg(feature = "mutants")]
    if let Some(mutant) = how.mutant {
        return format!(
            "cargo run --release -p sim --features mutants -- --mutant {} {} {what}",
            yoke_core::mutant::Mutant::ALL[mutant],
            name.0
        );
    }
    let _ = how;
    format!("cargo run --release -p sim -- {} {what}", name.0)
}

/// The cause in one line.
pub(crate) fn in_a_line(name: &Name, violation: &Violation) -> String {
    format!("{}: {}", name.0, violation)
}

/// The cause, and the commands that go on from here.
pub(crate) fn print(name: &Name, violation: &Violation, how: How) {
    println!("{}", in_a_line(name, violation));
    for (why, what) in [
        ("reproduce", "--trace"),
        ("shrink", "--shrink"),
        ("look at it", "--html page.html"),
        ("step by step", "--step"),
    ] {
        println!("  {why:<13} {}", command(name, how, what));
    }
}
