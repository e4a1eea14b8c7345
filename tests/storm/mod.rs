//! The storm: faults of all kinds, drawn from a seed, one after the other on a running cluster under writes. After each one
//! nothing acknowledged is lost, never have two nodes acknowledged at once, and redundancy is back without a person.
//!
//! `cargo run --release -p tests --bin storm -- --seed 1 --faults 60`; not part of CI: it takes about ten seconds a fault.
//!
//! | file | its one idea |
//! | --- | --- |
//! | `fault` | what can happen, and for how long writes may stop then |
//! | `draw` | which fault comes next: by the seed alone |
//! | `processes` | PostgreSQL's processes one by one, frozen and thawed |
//! | `play` | a fault happens, and its return; who brings daemons back |
//! | `newcomers` | a client that comes anew each time |
//! | `tally` | what came of each, and the table at the end |

pub mod draw;
pub mod fault;
pub mod newcomers;
pub mod play;
pub mod processes;
pub mod tally;

use crate::network::Network;
use crate::{Said, programs};
use draw::Draw;
use play::Play;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tally::Tally;
use yoke::demo::cluster::{Cluster, Plan};
use yoke::demo::programs::Programs;
use yoke::demo::stage::{Load, PATIENCE, Stage};

/// Faults under writes, drawn from a seed: is anything lost, does redundancy come back by itself?
#[derive(Clone, Debug, clap::Parser)]
pub struct Options {
    /// What the faults are drawn from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many
    #[arg(long, default_value_t = 60)]
    pub faults: usize,
    /// Begin with this one (the first is 1), to repeat the end of a run
    #[arg(long, default_value_t = 1)]
    pub from: usize,
    /// Draw only faults whose name contains this
    #[arg(long)]
    pub only: Option<String>,
    /// `decision_timeout` of the cluster, in seconds
    #[arg(long, default_value_t = 5.0)]
    pub decision_timeout: f64,
    /// The daemon's program; else it is built from this source
    #[arg(long)]
    pub program: Option<PathBuf>,
    /// Keep logs and data even if all goes well
    #[arg(long)]
    pub keep: bool,
}

/// Runs it.
///
/// # Errors
/// What went wrong, how to repeat it, and where the logs are.
pub fn run(options: &Options) -> Said<()> {
    let dir = directory(options.seed)?;
    let network = match Network::make() {
        Ok(network) => Some(network),
        Err(why) => {
            println!("No faults of the network: {why}");
            None
        }
    };
    // One thread, the main one: the daemons are told to stop when the thread that started them ends.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("no event loop can be had: {e}"))?;
    let mut tally = Tally::default();
    let result = runtime.block_on(perform(options, &dir, network.as_ref(), &mut tally));
    println!("\n{tally}");
    let failures: Vec<String> = [result.err(), complaints(&dir)]
        .into_iter()
        .flatten()
        .collect();
    if failures.is_empty() {
        match options.keep {
            true => println!("Logs and data are in {}", dir.display()),
            false => std::fs::remove_dir_all(&dir).map_err(|e| e.to_string())?,
        }
        println!(
            "Nothing was lost, never did two nodes acknowledge at once, redundancy came back after each."
        );
        return Ok(());
    }
    Err(format!(
        "{}\nLogs and data are in {}; the same faults again: --seed {} --faults {} --decision-timeout {}",
        failures.join("\n"),
        dir.display(),
        options.seed,
        options.faults,
        options.decision_timeout
    ))
}

async fn perform(
    options: &Options,
    dir: &Path,
    network: Option<&Network>,
    tally: &mut Tally,
) -> Said<()> {
    let program = options.program.clone().unwrap_or_else(programs::yoke);
    let mut plan = Plan::local(dir.to_owned(), program)?;
    if let Some(network) = network {
        network.place(&mut plan);
    }
    let millis = (options.decision_timeout * 1000.0) as u64;
    plan.more += &format!("  decision_timeout={millis}ms\n");
    let cluster = Cluster::make(&plan, Programs::find()?)?;
    let load = Load {
        clients: 6,
        pause: Duration::from_millis(15),
    };
    let stage = Stage::begin(cluster, load, diary(&dir.join("storm.log"))?)?;
    let draw = Draw::new(options.seed, network.is_some(), options.only.clone());
    let mut play = Play::new(stage, network, Duration::from_millis(millis));
    let mut outcome = play.healthy(PATIENCE).await.map(|_| ());
    for number in options.from..=options.faults {
        if outcome.is_err() {
            break;
        }
        let blow = match draw.blow(number) {
            Ok(blow) => blow,
            Err(why) => {
                outcome = Err(why);
                break;
            }
        };
        let struck = tokio::select! {
            struck = play.strike(number, &blow) => struck,
            _ = tokio::signal::ctrl_c() => Err("the storm was ended by Ctrl-C".to_owned()),
        };
        play.calm();
        outcome = match struck {
            Ok(result) => {
                println!("{result}");
                tally.add(result);
                Ok(())
            }
            Err(why) => Err(format!("fault {number}, {blow}: {why}")),
        };
    }
    let primary = play.stage.watch.now().serving().map(|s| s.node);
    let (verdict, mut cluster) = play.stage.judge(PATIENCE).await;
    println!("\n{verdict}");
    let stopped = cluster.stop(primary).await;
    let failures: Vec<String> = [outcome.err(), verdict.failure(), stopped.err()]
        .into_iter()
        .flatten()
        .collect();
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n")),
    }
}

/// Writes each change of state that the look-out sees to a file, with the time of day as in the daemons' logs.
fn diary(path: &Path) -> Said<yoke::demo::watch::Say> {
    let file = std::fs::File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let file = Mutex::new(file);
    Ok(Arc::new(move |line: &str| {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // A diary that cannot be written stops nobody.
        let _ = writeln!(
            file,
            "{} {line}",
            yoke::demo::print::clock(std::time::SystemTime::now())
        );
    }))
}

/// What no daemon may ever say, whatever happens to it.
fn complaints(dir: &Path) -> Option<String> {
    let mut found = Vec::new();
    for name in ["1.log", "2.log", "3.log"] {
        let text = std::fs::read(dir.join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find(|line| line.contains("panicked"));
        found.extend(line.map(|line| format!("{name}: {line}")));
    }
    (!found.is_empty()).then(|| found.join("\n"))
}

/// A directory that PostgreSQL's user can enter.
fn directory(seed: u64) -> Said<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let dir = std::env::temp_dir().join(format!("yoke-storm-{seed}-{}", std::process::id()));
    std::fs::DirBuilder::new()
        .mode(0o755)
        .create(&dir)
        .map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
    Ok(dir)
}

/// Since when, in milliseconds, for people.
pub(crate) fn seconds(length: Duration) -> String {
    format!("{:.3} s", length.as_secs_f64())
}

/// The time until then; none if it is over.
pub(crate) fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}
