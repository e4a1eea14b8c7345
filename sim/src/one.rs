//! One run: a seed's or a scenario file's, told in the way that is asked for.

use crate::Cli;
use crate::failure::{self, Name};
use crate::reached;
use crate::source::{self, Source, at};
use sim::{Coverage, How, Scenario};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// So many last lines are printed of a run that failed.
const LAST: usize = 40;

pub(crate) fn run(cli: &Cli, how: How) -> Result<ExitCode, String> {
    let (scenario, name) = match (&cli.scenario, cli.seed) {
        (Some(folder), None) if folder.is_dir() => {
            return Err(at(
                folder,
                "a folder is told again by seeds: say --seed N or --seeds A..B, or name a file in it",
            ));
        }
        (Some(file), None) => (
            source::read(file)?,
            Name(format!("--scenario {}", file.display())),
        ),
        (_, seed) => {
            let (source, seed) = (Source::of(cli)?, seed.unwrap_or(0));
            (source.scenario(seed), source.name(seed))
        }
    };
    if cli.print_scenario {
        print!("{scenario}");
        return Ok(ExitCode::SUCCESS);
    }
    if cli.step {
        let done = sim::debug(&scenario, how, stdin().lock(), &mut stdout().lock());
        return done
            .map(|()| ExitCode::SUCCESS)
            .map_err(|error| error.to_string());
    }
    if let Some(file) = &cli.record {
        let mut out = BufWriter::new(File::create(file).map_err(|error| at(file, error))?);
        sim::record(&scenario, how, &mut out).map_err(|error| at(file, error))?;
    }
    if let Some(file) = &cli.compare {
        let recorded = BufReader::new(File::open(file).map_err(|error| at(file, error))?);
        match sim::compare(&scenario, how, recorded) {
            Ok(steps) => println!("{}: {steps} steps are equal", name.0),
            Err(difference) => {
                println!("{}: {difference}", name.0);
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    if let (Some(file), Some(probe)) = (&cli.shrink, cli.probe) {
        reached::write(&scenario, probe, file)?;
        println!("{} is written", file.display());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(file) = &cli.shrink {
        return shrink(&scenario, &name, how, file);
    }
    let report = sim::run_twice(&scenario, How { trace: true, ..how });
    let story = report.story.unwrap_or_default();
    if cli.trace || report.violation.is_some() {
        let lines = story.in_columns();
        let from = if cli.trace {
            0
        } else {
            lines.len().saturating_sub(LAST)
        };
        println!("{}", sim::story::LEGEND);
        for line in &lines[from..] {
            println!("{line}");
        }
    }
    if let Some(file) = &cli.html {
        let trace = failure::command(&name, how, "--trace");
        let page = sim::page(
            &story,
            &scenario,
            &name.0,
            report.violation.as_ref(),
            &trace,
        );
        fs::write(file, page).map_err(|error| at(file, error))?;
        println!("{} is written", file.display());
    }
    println!(
        "{}: digest {:016x}, {} events in {} s",
        name.0,
        report.digest,
        report.events,
        report.length / 1_000_000
    );
    if let Some(violation) = &report.violation {
        failure::print(&name, violation, how);
        return Ok(ExitCode::FAILURE);
    }
    let mut coverage = Coverage::default();
    coverage.add(&report.coverage);
    print!("{coverage}");
    Ok(ExitCode::SUCCESS)
}

fn shrink(scenario: &Scenario, name: &Name, how: How, file: &Path) -> Result<ExitCode, String> {
    let began = Instant::now();
    let Some(shrunk) = sim::shrink(scenario, how) else {
        println!("{} breaks no promise: there is nothing to shrink", name.0);
        return Ok(ExitCode::SUCCESS);
    };
    let from = failure::command(name, how, "--shrink");
    let text = format!(
        "# {}\n# shrunk by {from}\n{}",
        shrunk.violation, shrunk.scenario
    );
    fs::write(file, text).map_err(|error| at(file, error))?;
    print!("{}", shrunk.scenario);
    println!(
        "{} of {} faults are left, by {} runs in {} ms; {} is written",
        shrunk.scenario.faults.len(),
        scenario.faults.len(),
        shrunk.tried,
        began.elapsed().as_millis(),
        file.display()
    );
    let name = Name(format!("--scenario {}", file.display()));
    failure::print(&name, &shrunk.violation, how);
    Ok(ExitCode::FAILURE)
}
