//! The production daemon.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first() {
        Some(word) if word == yoke::guard::ARGUMENT => yoke::guard::main(&arguments[1..]),
        _ => ExitCode::FAILURE,
    }
}
