//! `cargo run --release -p tests --bin storm -- --seed 1 --faults 60`

use clap::Parser;
use std::process::ExitCode;
use tests::storm::{Options, run};

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("storm: {why}");
            ExitCode::FAILURE
        }
    }
}
