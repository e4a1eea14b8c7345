//! The daemon.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Keeps a PostgreSQL pair available with three hosts and nothing else.
#[derive(Parser)]
#[command(
    name = "yoke",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true
)]
struct Arguments {
    /// The configuration file of this host: runs its daemon
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// The postmaster's parent; started by the daemon, never by hand
    #[command(hide = true)]
    Guard {
        /// The status directory that it guards
        status_dir: PathBuf,
    },
    /// Three nodes on this machine, to try and to break
    Demo(yoke::demo::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match (arguments.command, arguments.config) {
        (Some(Command::Guard { status_dir }), _) => return yoke::guard::main(&status_dir),
        (Some(Command::Demo(options)), _) => yoke::demo::run(&options),
        (None, Some(config)) => yoke::daemon::run(&config).map_err(|e| e.to_string()),
        (None, None) => Err("no configuration file is named: yoke CONFIG".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("yoke: {error}");
            ExitCode::FAILURE
        }
    }
}
