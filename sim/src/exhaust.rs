//! `sim exhaust`.
use sim::exhaustive::{Judge, Scope, search};
use std::process::ExitCode;

pub(crate) fn run() -> ExitCode {
    let n = |k: &str, d: u64| std::env::var(k).ok().and_then(|v| v.parse::<u64>().ok()).unwrap_or(d);
    let scope = Scope { terms: n("T", 2), versions: n("V", 3), writes: n("W", 1) as u8, lone: n("LONE", 0) > 0, crashes: n("C", 0) as u8,
        losses: n("L", 0) as u8, discards: n("DISC", 0) as u8, late: n("LATE", 0) > 0, asks: n("ASKS", 0) > 0, third_data: n("ABC", 0) > 0,
        most: n("MOST", 1_000_000) as usize, ..Scope::SMALL };
    let judge = if n("S1", 0) > 0 { Judge::S1 } else { Judge::All };
    #[cfg(feature = "mutants")]
    let mutant = std::env::var("MUT").ok().and_then(|m| yoke_core::mutant::Mutant::ALL.iter().copied().find(|x| x.to_string().starts_with(&m)));
    let found = search(&scope, judge, &|_config| {
        #[cfg(feature = "mutants")]
        { _config.mutant = mutant; }
    });
    println!("{found:#?}");
    ExitCode::SUCCESS
}
