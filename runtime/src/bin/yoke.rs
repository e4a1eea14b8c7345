//! The daemon.

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use yoke::check::{self, Level};
use yoke::show::print;

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
    /// Judges a configuration and this host as a start would, and asks the other members; changes nothing
    ///
    /// Ends with status 0 if there is no error; warnings count for nothing.
    Check {
        /// The configuration file of this host
        config: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Writes the configuration files of a new cluster, one for each of its three hosts
    Init(yoke::init::Options),
    /// Three nodes on this machine, to try and to break
    Demo(yoke::demo::Options),
    /// Prints what a shell needs to complete this program's arguments
    Completions {
        /// Which shell
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match (arguments.command, arguments.config) {
        (Some(Command::Guard { status_dir }), _) => return yoke::guard::main(&status_dir),
        (Some(Command::Check { config, json }), _) => return check(&config, json),
        (Some(Command::Init(options)), _) => yoke::init::run(&options).map(|said| print(&said)),
        (Some(Command::Demo(options)), _) => yoke::demo::run(&options),
        (Some(Command::Completions { shell }), _) => {
            let mut command = Arguments::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "yoke", &mut script);
            print(&String::from_utf8_lossy(&script));
            Ok(())
        }
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

fn check(config: &Path, json: bool) -> ExitCode {
    let found = check::command::look(config);
    let printed = match json {
        true => check::command::json(&found).map_err(|e| e.to_string()),
        false => Ok(check::command::text(&found)),
    };
    match printed {
        Ok(text) => print(&text),
        Err(error) => eprintln!("yoke: {error}"),
    }
    match found.of(Level::Error).next() {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    }
}
