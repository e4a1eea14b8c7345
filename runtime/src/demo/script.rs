//! The tour: one fault after the other, each followed by its return.

use super::Said;
use super::node::Part;
use super::print::say;
use super::stage::{PATIENCE, Stage};
use nix::sys::signal::Signal;
use std::fmt;
use std::time::{Duration, Instant};

/// Each step sees at least so many acknowledged writes.
const WRITES: usize = 200;

/// What a step came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// Its name.
    pub name: &'static str,
    /// The longest time between two acknowledged writes.
    pub gap: Duration,
    /// Acknowledged writes.
    pub acknowledged: usize,
    /// Doubtful writes.
    pub doubtful: usize,
    /// From its begin until all was healthy and in sync again.
    pub took: Duration,
}

/// A step of the tour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Start,
    KillPostgres,
    KillAll,
    HandOver,
    StopMonitor,
    StopStandby,
}

const TOUR: [Step; 6] = [
    Step::Start,
    Step::KillPostgres,
    Step::KillAll,
    Step::HandOver,
    Step::StopMonitor,
    Step::StopStandby,
];

/// Runs the whole tour, as far as it goes well.
///
/// # Errors
/// What did not come in time, or could not be done; `done` has the steps before.
pub async fn tour(stage: &mut Stage, done: &mut Vec<Done>) -> Said<()> {
    for (i, step) in TOUR.into_iter().enumerate() {
        if matches!(step, Step::KillPostgres | Step::KillAll) {
            stage.settled().await;
        }
        say("");
        say(&format!("step {}: {step}", i + 1));
        let begun = Instant::now();
        step.run(stage).await.map_err(|e| format!("{step}: {e}"))?;
        stage
            .watch
            .until_healthy(PATIENCE)
            .await
            .map_err(|e| format!("{step}: {e}"))?;
        let took = begun.elapsed();
        enough_writes(stage, begun)
            .await
            .map_err(|e| format!("{step}: {e}"))?;
        let ledger = stage.writers.ledger();
        let now = Instant::now();
        let doubts = ledger.doubts();
        let result = Done {
            name: step.name(),
            gap: ledger.gap(begun, now).length,
            acknowledged: ledger.count_since(begun),
            doubtful: doubts.iter().filter(|d| d.at >= begun).count(),
            took,
        };
        say(&format!("step {}: {result}", i + 1));
        done.push(result);
    }
    Ok(())
}

impl Step {
    /// The fault and, where something has to be brought back, its return.
    async fn run(self, stage: &mut Stage) -> Said<()> {
        match self {
            Step::Start => Ok(()),
            Step::KillPostgres => {
                let primary = stage.primary()?;
                say(&stage
                    .node(primary)
                    .signal(&[Part::Postgres], Signal::SIGKILL)?);
                another_reign(stage).await
            }
            Step::KillAll => {
                let primary = stage.primary()?;
                let all = [Part::Daemon, Part::Guard, Part::Postgres];
                say(&stage.node(primary).signal(&all, Signal::SIGKILL)?);
                stage.node(primary).wait_ended(PATIENCE).await?;
                another_reign(stage).await?;
                bring_back(stage, primary)
            }
            Step::HandOver => {
                let primary = stage.primary()?;
                say(&stage.demote(primary).await?);
                Ok(())
            }
            Step::StopMonitor => away_for_a_while(stage, 2).await,
            Step::StopStandby => {
                let standby = Stage::other(stage.primary()?);
                away_for_a_while(stage, standby).await
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Step::Start => "start",
            Step::KillPostgres => "kill -9 of the primary's PostgreSQL",
            Step::KillAll => "kill -9 of the primary's daemon, guard and PostgreSQL",
            Step::HandOver => "hand-over (yokeadm demote)",
            Step::StopMonitor => "the monitor stops and returns",
            Step::StopStandby => "the secondary stops and returns",
        }
    }
}

/// Waits until a primary serves that is not the one of now.
async fn another_reign(stage: &mut Stage) -> Said<()> {
    let reign = |s: super::picture::Serving| (s.node, s.timeline);
    let before = stage.watch.now().serving().map(reign);
    stage
        .watch
        .until("a new primary", PATIENCE, |picture| {
            let now = picture.serving().map(reign);
            now.is_some() && now != before
        })
        .await?;
    Ok(())
}

/// An orderly stop; writes go on without the node; it returns.
async fn away_for_a_while(stage: &mut Stage, node: usize) -> Said<()> {
    let name = stage.node(node).name;
    say(&format!("SIGTERM to the daemon of {name}"));
    stage.node(node).stop(PATIENCE).await?;
    say(&format!("{name} has ended in good order"));
    enough_writes(stage, Instant::now()).await?;
    bring_back(stage, node)
}

fn bring_back(stage: &mut Stage, node: usize) -> Said<()> {
    let node = stage.node(node);
    say(&format!("{}'s daemon is started again", node.name));
    node.start()
}

/// Waits for enough acknowledged writes since then.
async fn enough_writes(stage: &Stage, since: Instant) -> Said<()> {
    let deadline = Instant::now() + PATIENCE;
    while stage.writers.ledger().count_since(since) < WRITES {
        if Instant::now() > deadline {
            return Err(format!(
                "only {} writes were acknowledged within {} s, {WRITES} were expected",
                stage.writers.ledger().count_since(since),
                PATIENCE.as_secs()
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The steps as a table.
pub fn table(done: &[Done]) -> String {
    let mut out = format!(
        "{:<55} {:>9} {:>12} {:>9} {:>13}\n",
        "step", "write gap", "acknowledged", "doubtful", "healthy after"
    );
    for step in done {
        out.push_str(&format!(
            "{:<55} {:>7.3} s {:>12} {:>9} {:>11.3} s\n",
            step.name,
            step.gap.as_secs_f64(),
            step.acknowledged,
            step.doubtful,
            step.took.as_secs_f64()
        ));
    }
    out
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "healthy and in sync after {:.3} s; {} writes acknowledged, {} doubtful; the longest time without one: {:.3} s",
            self.took.as_secs_f64(),
            self.acknowledged,
            self.doubtful,
            self.gap.as_secs_f64()
        )
    }
}
