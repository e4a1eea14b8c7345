//! `sim exhaust`: prints what the search of each small scope came to.

use sim::exhaustive::{Found, Judge, Scope, scopes, search};
use std::process::ExitCode;

/// What `exhaust` takes.
#[derive(clap::Args)]
pub(crate) struct Exhaust {
    /// Larger scopes: hours, and many gigabytes.
    #[arg(long)]
    deep: bool,
    /// This scope alone.
    #[arg(long, value_name = "SCOPE")]
    only: Option<String>,
    /// Give each scope up after so many different states.
    #[arg(long, value_name = "STATES")]
    most: Option<usize>,
    #[cfg(feature = "mutants")]
    /// Search for this deliberate bug alone, and tell its shortest trace.
    #[arg(long, value_parser = crate::mutants::by_name, conflicts_with = "deep")]
    mutant: Option<usize>,
    #[cfg(feature = "mutants")]
    /// Search for every deliberate bug that a search without clocks can find.
    #[arg(long, conflicts_with_all = ["mutant", "deep"])]
    mutants: bool,
}

pub(crate) fn run(what: &Exhaust) -> ExitCode {
    #[cfg(feature = "mutants")]
    if what.mutants || what.mutant.is_some() {
        return hunt(what);
    }
    let all = if what.deep {
        scopes::deep()
    } else {
        scopes::usual()
    };
    println!(
        "{:<12} {:>11} {:>10} {:>6} {:>9} {:>8}  bounds",
        "scope", "states", "unique", "depth", "exhausted", "seconds"
    );
    let mut clean = true;
    for mut scope in all {
        scope.most = what.most.unwrap_or(scope.most);
        if what.only.as_ref().is_some_and(|only| only != scope.name) {
            continue;
        }
        let found = search(&scope, Judge::All, &|_| {});
        print_line(&scope, &found);
        clean &= found.broken.is_none();
        tell(&found);
    }
    if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print_line(scope: &Scope, found: &Found) {
    let exhausted = match (&found.broken, found.exhausted) {
        (Some(_), _) => "BROKEN",
        (None, true) => "yes",
        (None, false) => "no",
    };
    println!(
        "{:<12} {:>11} {:>10} {:>6} {exhausted:>9} {:>8.1}  {}",
        scope.name,
        found.states,
        found.unique,
        found.depth,
        found.seconds,
        scope.bounds()
    );
}

fn tell(found: &Found) {
    let Some((story, broken)) = &found.broken else {
        return;
    };
    for (i, line) in story.iter().enumerate() {
        println!("  {:>2}. {line}", i + 1);
    }
    println!("  {}: {}", broken.promise, broken.what);
}

#[cfg(feature = "mutants")]
fn hunt(what: &Exhaust) -> ExitCode {
    use sim::exhaustive::{Prey, prey};
    use yoke_core::mutant::Mutant;
    println!(
        "{:<28} {:>6} {:>5} {:>6}  promise broken first",
        "mutant", "states", "depth", "model"
    );
    let mut all = true;
    for Prey {
        mutant,
        mut scope,
        model,
    } in prey()
    {
        if what.mutant.is_some_and(|m| Mutant::ALL[m] != mutant) {
            continue;
        }
        scope.most = what.most.unwrap_or(scope.most);
        for judge in [Judge::All, Judge::S1] {
            let found = search(&scope, judge, &|config| config.mutant = Some(mutant));
            let (depth, promise) = match &found.broken {
                Some((story, broken)) => (story.len().to_string(), broken.promise),
                None => ("-".to_owned(), "none"),
            };
            all &= found.broken.is_some() || judge == Judge::S1;
            println!(
                "{:<28} {:>6} {depth:>5} {model:>6}  {promise}",
                mutant.to_string(),
                found.unique
            );
            if what.mutant.is_some() {
                tell(&found);
            }
            // What S1 needs more steps for is looked for as far as the scope's bound on states.
            let s1 = found.broken.is_some_and(|(_, b)| b.promise == "S1");
            if s1 {
                break;
            }
        }
    }
    if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
