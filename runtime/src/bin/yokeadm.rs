//! What an operator asks with.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use yoke::admin::operate::{self, Where};

/// Asks a yoke daemon, and through it its cluster.
#[derive(Parser)]
#[command(name = "yokeadm", version)]
struct Arguments {
    /// Host of the daemon to ask
    #[arg(short = 'H', long, global = true, default_value = "127.0.0.1")]
    host: String,
    /// Its advertise_port
    #[arg(short, long, global = true, default_value_t = 4400)]
    port: u16,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Every member: its role, its database, and whether it could take over
    List,
    /// Hand the primary's role over, away from the daemon that is asked
    Demote,
    /// What rewinds dropped and clones set aside, and where it lies
    Lost,
    /// The whole cluster
    #[command(subcommand)]
    Cluster(Cluster),
    /// One member
    #[command(subcommand)]
    Member(Member),
}

#[derive(Subcommand)]
enum Cluster {
    /// The same as `yokeadm list`
    List,
}

#[derive(Subcommand)]
enum Member {
    /// The same as `yokeadm demote`
    Demote,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let to = Where::new(&arguments.host, arguments.port, arguments.json);
    let result = match arguments.command {
        Command::List | Command::Cluster(Cluster::List) => operate::list(&to),
        Command::Lost => operate::lost(&to),
        Command::Demote | Command::Member(Member::Demote) => operate::demote(&to),
    };
    match result {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("yokeadm: {error}");
            ExitCode::FAILURE
        }
    }
}
