//! What an operator asks with.

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::process::ExitCode;
use yoke::admin::operate::{self, Health, OperateError, Where};
use yoke::admin::{pausing, word};
use yoke::show::print;

/// Asks a yoke daemon, and through it its cluster.
#[derive(Parser)]
#[command(
    name = "yokeadm",
    version,
    after_help = "Exit status: 0 done; 1 not done, standard error says why; 2 wrong arguments; `list --exit-code` has more."
)]
struct Arguments {
    /// Host of the daemon to ask
    #[arg(
        short = 'H',
        long,
        global = true,
        default_value = "127.0.0.1",
        env = "YOKE_HOST"
    )]
    host: String,
    /// Its advertise_port
    #[arg(short, long, global = true, default_value_t = 4400, env = "YOKE_PORT")]
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
    List(List),
    /// Hand the primary's role over, away from the daemon that is asked
    Demote,
    /// From now on nobody takes over from the present primary: for work on the hosts
    Pause,
    /// Ends a pause; said to a host whose copy is in sync while nobody leads, lets that one take over
    Resume,
    /// Replace the copy at the daemon that is asked, which is not the primary's, by a fresh one
    Reinit {
        /// What this gives up is accepted: do not ask
        #[arg(long)]
        yes: bool,
    },
    /// What rewinds dropped and clones set aside, and where it lies
    Lost,
    /// Let the daemon that is asked, which lost its state, join again without the answers of these members
    Vouch {
        /// They are stopped, or lost their state too, and stay so until it has joined
        #[arg(required = true)]
        members: Vec<String>,
        /// What this risks is accepted: do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Make the copy at the daemon that is asked the cluster's database, whatever it lacks
    Adopt {
        /// What this risks is accepted: do not ask
        #[arg(long)]
        yes: bool,
    },
    /// The whole cluster
    #[command(subcommand)]
    Cluster(Cluster),
    /// One member
    #[command(subcommand)]
    Member(Member),
    /// Prints what a shell needs to complete this program's arguments
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Whom the daemon does not answer is shown as the others last knew it. Lag: for how long the primary has been further.
/// Heard: how long ago the leader heard the member.
#[derive(clap::Args)]
struct List {
    /// End with status 3 if a primary serves but nobody could take over, with 4 if nobody serves (0 otherwise)
    ///
    /// Without this option the status is 0 whenever the daemon asked has answered.
    #[arg(long)]
    exit_code: bool,
}

#[derive(Subcommand)]
enum Cluster {
    /// The same as `yokeadm list`
    List(List),
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
        Command::List(how) | Command::Cluster(Cluster::List(how)) => list(&to, &how),
        Command::Demote | Command::Member(Member::Demote) => {
            operate::demote(&to).map(|text| (text, ExitCode::SUCCESS))
        }
        Command::Pause => pausing::pause(&to, true).map(|text| (text, ExitCode::SUCCESS)),
        Command::Resume => pausing::pause(&to, false).map(|text| (text, ExitCode::SUCCESS)),
        Command::Reinit { yes } => word::reinit(&to, yes).map(|text| (text, ExitCode::SUCCESS)),
        Command::Lost => operate::lost(&to).map(|text| (text, ExitCode::SUCCESS)),
        Command::Vouch { members, yes } => {
            word::vouch(&to, &members, yes).map(|text| (text, ExitCode::SUCCESS))
        }
        Command::Adopt { yes } => word::adopt(&to, yes).map(|text| (text, ExitCode::SUCCESS)),
        Command::Completions { shell } => {
            let mut command = Arguments::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "yokeadm", &mut script);
            Ok((
                String::from_utf8_lossy(&script).into_owned(),
                ExitCode::SUCCESS,
            ))
        }
    };
    match result {
        Ok((text, status)) => {
            print(&text);
            status
        }
        Err(error) => {
            eprintln!("yokeadm: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list(to: &Where, how: &List) -> Result<(String, ExitCode), OperateError> {
    let listed = operate::list(to)?;
    let status = match listed.health {
        _ if !how.exit_code => 0,
        Health::Guarded => 0,
        Health::Alone => 3,
        Health::Down => 4,
    };
    Ok((listed.text, ExitCode::from(status)))
}
