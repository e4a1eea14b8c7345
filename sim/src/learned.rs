//! `study`: prints and plots what each length of `decision_timeout` comes to in a year.

use sim::study::{LENGTHS, study};
use std::fs;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn run(svg: Option<&Path>, samples: u64, jobs: usize) -> ExitCode {
    let done = study(&LENGTHS, samples.max(1), jobs).and_then(|study| {
        println!("{study}");
        let Some(file) = svg else { return Ok(()) };
        fs::write(file, study.svg()).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("{} is written", file.display());
        Ok(())
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
