//! `yoke demo`: three nodes on this machine, clients that write through failovers, and a count of what was lost.
//!
//! | file | its one idea |
//! | --- | --- |
//! | `programs` | which PostgreSQL, and whom it runs as |
//! | `cluster` | directories, databases, configuration files, ports |
//! | `node`, `host` | one node's processes: start, stop, signals; all of them at once |
//! | `network` | three hosts in network namespaces, whose traffic can be dropped in silence |
//! | `picture`, `watch` | what all daemons say at one moment; looking all the time, waiting for a state |
//! | `writer`, `ledger` | the clients, and what they were told |
//! | `stage` | all of it running together |
//! | `script`, `live` | the fixed tour; the person who breaks things |
//! | `verdict` | whether it went well |

pub mod cluster;
mod host;
pub mod ledger;
pub mod live;
pub mod network;
pub mod node;
pub mod picture;
pub mod print;
pub mod programs;
pub mod script;
pub mod stage;
pub mod verdict;
pub mod watch;
pub mod writer;

use cluster::{Cluster, Plan, cannot};
use live::{Hand, Story};
use network::Network;
use print::{plain, say};
use programs::Programs;
use stage::{Load, Stage};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A result whose error is one line for people: what was found, what was expected, what to do.
pub type Said<T> = Result<T, String>;

/// What the demo is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Run a fixed tour of faults without a terminal, judge it, and end
    #[arg(long)]
    pub script: bool,
    /// Give the hosts a network of their own, so that it can be cut: as root, with `ip` and `nft`
    #[arg(long, conflicts_with = "script")]
    pub cuts: bool,
    /// An empty or new directory, which is kept; else one below the system's directory for temporary files, which is
    /// removed if all went well
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// What is missing, or what went wrong: one line.
pub fn run(options: &Options) -> Said<()> {
    let way = Way::of(options)?;
    let programs = Programs::find()?;
    let dir = directory(options.dir.as_deref(), &programs)?;
    // One thread, the main one: the daemons are told to stop when the thread that started them ends.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("no event loop can be had: {e}"))?;
    let result = runtime.block_on(perform(way, options.cuts, &dir, programs));
    match (&result, &options.dir) {
        (Ok(()), None) => {
            std::fs::remove_dir_all(&dir).map_err(|e| cannot("remove", &dir, &e))?;
        }
        _ => plain(&format!(
            "Logs, configurations and data are in {}",
            dir.display()
        )),
    }
    result
}

/// How it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// The fixed tour.
    Script,
    /// A picture, and keys.
    Picture,
    /// A line for each change of state.
    Lines,
}

impl Way {
    fn of(options: &Options) -> Said<Way> {
        match (options.script, live::terminal_is_there()) {
            (true, _) => Ok(Way::Script),
            (false, _) if options.cuts && !nix::unistd::geteuid().is_root() => {
                Err("--cuts makes network namespaces: only root can do that".to_owned())
            }
            (false, true) => Ok(Way::Picture),
            (false, false) if options.cuts => {
                Err("--cuts is for keys, and there is no terminal here to press them".to_owned())
            }
            (false, false) => Ok(Way::Lines),
        }
    }
}

/// What is told at the end.
struct Told {
    done: Vec<script::Done>,
    story: Story,
    hand: Hand,
}

async fn perform(way: Way, cuts: bool, dir: &Path, programs: Programs) -> Said<()> {
    let mut signals = Signals::watch()?;
    let program =
        std::env::current_exe().map_err(|e| format!("cannot find the own program: {e}"))?;
    plain(&format!(
        "Three nodes in {}, PostgreSQL {} from {}, run as {}. Times are UTC.",
        dir.display(),
        programs.version,
        programs.dir.display(),
        programs.account.name
    ));
    let mut plan = Plan::local(dir.to_owned(), program)?;
    let network = cuts.then(Network::make).transpose()?;
    if let Some(network) = &network {
        network.place(&mut plan);
    }
    let cluster = Cluster::make(&plan, programs)?;
    plain(&introduce(&cluster));
    let pause = match way {
        Way::Script => Duration::from_millis(10),
        Way::Picture | Way::Lines => Duration::from_millis(40),
    };
    // Before the stage: the network outlives what runs in it.
    let mut told = Told {
        done: Vec::new(),
        story: Story::begin(),
        hand: Hand::with(network),
    };
    // Nothing is printed over the picture.
    let aloud = Arc::new(AtomicBool::new(way != Way::Picture));
    let speak = Arc::clone(&aloud);
    let say_aloud = move |line: &str| {
        if speak.load(Ordering::Relaxed) {
            say(line);
        }
    };
    let mut stage = Stage::begin(cluster, Load { clients: 4, pause }, Arc::new(say_aloud))?;
    let outcome = tokio::select! {
        outcome = play(way, &mut stage, &mut told) => outcome,
        name = signals.next() => match way {
            Way::Script => Err(format!("the tour was ended by {name}")),
            _ => Ok(()),
        }
    };
    aloud.store(true, Ordering::Relaxed);
    if way != Way::Script {
        say(
            "the end: what is away is brought back, the writes are counted, everything is stopped in good order",
        );
    }
    // A second signal ends us at once; the daemons are then told to stop by our end.
    tokio::select! {
        result = finish(way, stage, outcome, &mut told) => result,
        name = signals.next() => Err(format!("a second signal ({name}): the nodes stop by themselves")),
    }
}

/// Runs until it has ended by itself.
async fn play(way: Way, stage: &mut Stage, told: &mut Told) -> Said<()> {
    match way {
        Way::Script => script::tour(stage, &mut told.done).await,
        Way::Picture => live::picture(stage, &mut told.hand, &mut told.story).await,
        Way::Lines => live::lines(stage).await,
    }
}

/// Mends, judges, stops everything, sums up.
async fn finish(way: Way, mut stage: Stage, outcome: Said<()>, told: &mut Told) -> Said<()> {
    let end = Instant::now();
    let mended = told.hand.mend_all(&mut stage).await;
    let primary = stage.watch.now().serving().map(|s| s.node);
    let ledger = Arc::clone(stage.writers.ledger());
    // What did not become healthy before will hardly do so now.
    let patience = match outcome {
        Ok(()) => stage::PATIENCE,
        Err(_) => Duration::from_secs(10),
    };
    let (verdict, mut cluster) = stage.judge(patience).await;
    let stopped = cluster.stop(primary).await;
    plain("");
    match way {
        Way::Script => plain(&script::table(&told.done)),
        Way::Picture => plain(&told.story.table(&ledger, &verdict.lost, end)),
        Way::Lines => {}
    }
    plain(&verdict.to_string());
    let failures: Vec<String> = [
        outcome.err(),
        mended.err(),
        verdict.failure(),
        stopped.err(),
    ]
    .into_iter()
    .flatten()
    .collect();
    match failures.is_empty() {
        true => {
            plain(
                "No acknowledged write was lost, never did two nodes acknowledge at once, all nodes were healthy and in sync at the end.",
            );
            Ok(())
        }
        false => Err(failures.join("; ")),
    }
}

/// Where everything goes: the account has to get through to it.
fn directory(wanted: Option<&Path>, programs: &Programs) -> Said<PathBuf> {
    let account = &programs.account;
    let unreachable = |dir: &Path| {
        format!(
            "the user {} cannot enter {}: name another directory by --dir",
            account.name,
            dir.display()
        )
    };
    if let Some(dir) = wanted {
        let dir = std::path::absolute(dir).map_err(|e| cannot("find", dir, &e))?;
        if std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(format!(
                "{} is not empty: name an empty or a new directory",
                dir.display()
            ));
        }
        std::fs::create_dir_all(&dir).map_err(|e| cannot("make", &dir, &e))?;
        return match account.can_enter(&dir) {
            true => Ok(dir),
            false => Err(unreachable(&dir)),
        };
    }
    let parents = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    let Some(parent) = parents.iter().find(|dir| account.can_enter(dir)) else {
        return Err(unreachable(&parents[0]));
    };
    let dir = parent.join(format!("yoke-demo-{}", std::process::id()));
    std::fs::DirBuilder::new()
        .mode(0o755)
        .create(&dir)
        .map_err(|e| cannot("make", &dir, &e))?;
    Ok(dir)
}

/// Who is where, and how to get in.
fn introduce(cluster: &Cluster) -> String {
    let mut lines: Vec<String> = cluster
        .nodes
        .iter()
        .map(|node| {
            let database = match node.holds_data() {
                true => format!("PostgreSQL at port {}", node.pg_port),
                false => "no data, only a vote".to_owned(),
            };
            format!(
                "  {:<8} yoke at {}, {database}, log {}",
                node.name,
                node.address,
                node.log.display()
            )
        })
        .collect();
    lines.push(format!("  {}", cluster.psql()));
    lines.join("\n")
}

/// SIGINT, SIGTERM, and the terminal's end.
struct Signals {
    interrupt: Signal,
    hangup: Signal,
    terminate: Signal,
}

impl Signals {
    fn watch() -> Said<Signals> {
        let watch = |kind| signal(kind).map_err(|e| format!("signals cannot be watched: {e}"));
        Ok(Signals {
            interrupt: watch(SignalKind::interrupt())?,
            hangup: watch(SignalKind::hangup())?,
            terminate: watch(SignalKind::terminate())?,
        })
    }

    /// The next one's name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.hangup.recv() => "SIGHUP",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
