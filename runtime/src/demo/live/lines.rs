//! Without a terminal: a line for each change of state, and commands to copy; what ended is started again, until Ctrl-C.

use crate::demo::Said;
use crate::demo::cluster::Cluster;
use crate::demo::node::{Node, Part};
use crate::demo::print::{plain, say};
use crate::demo::stage::{PATIENCE, Stage};
use crate::demo::writer::{self, Database};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A daemon that ended is started again after this, as a service manager would.
const RESTART: Duration = Duration::from_secs(10);
/// Between two looks at the daemons.
const LOOK: Duration = Duration::from_millis(200);

/// Runs until it is dropped.
///
/// # Errors
/// A daemon cannot be started again.
pub async fn live(stage: &mut Stage) -> Said<()> {
    stage.watch.until_healthy(PATIENCE).await?;
    plain(&how_to_kill(&stage.cluster, stage.primary()?));
    let mut ended: BTreeMap<usize, Instant> = BTreeMap::new();
    let mut trouble: Option<Instant> = None;
    let mut seen = stage.watch.now();
    loop {
        sleep(LOOK).await;
        restart(stage, &mut ended)?;
        let picture = stage.watch.now();
        let same = picture.serving().map(|s| (s.node, s.timeline))
            == seen.serving().map(|s| (s.node, s.timeline));
        seen = picture;
        match (seen.is_healthy(), trouble) {
            (false, None) => trouble = Some(Instant::now() - LOOK),
            (true, None) if !same => trouble = Some(Instant::now() - LOOK),
            (true, Some(since)) if ended.is_empty() => {
                say(&count(stage, since).await?);
                plain(&how_to_kill(&stage.cluster, stage.primary()?));
                trouble = None;
            }
            _ => {}
        }
    }
}

/// Starts again what ended a while ago.
fn restart(stage: &mut Stage, ended: &mut BTreeMap<usize, Instant>) -> Said<()> {
    for (i, node) in stage.cluster.nodes.iter_mut().enumerate() {
        if let Some(status) = node.ended() {
            let after = RESTART.as_secs();
            say(&format!(
                "{}'s daemon has ended ({status}); it is started again in {after} s",
                node.name
            ));
            ended.insert(i, Instant::now());
        }
    }
    let due: Vec<usize> = ended
        .iter()
        .filter(|(_, at)| at.elapsed() >= RESTART)
        .map(|(i, _)| *i)
        .collect();
    for i in due {
        ended.remove(&i);
        stage.node(i).start()?;
        say(&format!("{}'s daemon is started again", stage.node(i).name));
    }
    Ok(())
}

/// What became of the writes so far.
async fn count(stage: &mut Stage, since: Instant) -> Said<String> {
    let ledger = stage.writers.ledger().clone();
    let acks = ledger.acks();
    let primary = stage.primary()?;
    let node = stage.node(primary);
    let database = Database {
        ip: node.ip(),
        port: node.pg_port,
    };
    let gap = ledger.gap(since, Instant::now()).length.as_secs_f64();
    let lost = match writer::ids(database, PATIENCE).await {
        Ok(ids) => {
            let there: BTreeSet<i64> = ids.into_iter().collect();
            let lost = acks.iter().filter(|a| !there.contains(&a.id)).count();
            format!("{lost} lost")
        }
        Err(why) => format!("not counted again ({why})"),
    };
    Ok(format!(
        "all is well again: {} writes acknowledged, {lost}, {} doubtful; writes had stopped for {gap:.3} s",
        acks.len(),
        ledger.doubts().len()
    ))
}

/// One line for each thing to try.
fn how_to_kill(cluster: &Cluster, primary: usize) -> String {
    let node = &cluster.nodes[primary];
    let standby = &cluster.nodes[Stage::other(primary)];
    let pid = |node: &Node, part| match node.pid(part) {
        Some(pid) => pid.to_string(),
        None => "?".to_owned(),
    };
    let (daemon, guard, postgres) = (
        pid(node, Part::Daemon),
        pid(node, Part::Guard),
        pid(node, Part::Postgres),
    );
    let tries = [
        (
            format!("kill -9 {postgres}"),
            format!("PostgreSQL of {}, the primary", node.name),
        ),
        (
            format!("kill -9 {daemon} {guard} {postgres}"),
            format!("daemon, guard and PostgreSQL of {}", node.name),
        ),
        (
            format!("kill -9 {daemon}"),
            format!("the daemon of {} alone", node.name),
        ),
        (
            format!("kill -STOP {daemon}"),
            format!(
                "the daemon of {} hangs (kill -CONT {daemon} ends that)",
                node.name
            ),
        ),
        (
            format!("{} -p {} demote", yokeadm(), node.address.port()),
            format!("{} hands over to {}", node.name, standby.name),
        ),
        (
            format!("kill {}", pid(standby, Part::Daemon)),
            format!("{}, the standby, stops in good order", standby.name),
        ),
        (
            format!("kill {}", pid(&cluster.nodes[2], Part::Daemon)),
            "the monitor stops".to_owned(),
        ),
        (
            format!("{} -p {} list", yokeadm(), cluster.nodes[2].address.port()),
            "who is what".to_owned(),
        ),
    ];
    let width = tries
        .iter()
        .map(|(command, _)| command.len())
        .max()
        .unwrap_or(0);
    let lines: Vec<String> = tries
        .iter()
        .map(|(command, what)| format!("  {command:<width$}   {what}"))
        .collect();
    format!(
        "\nTry, in another terminal (Ctrl-C here ends it all; a daemon that ended is started again after {} s):\n{}\n",
        RESTART.as_secs(),
        lines.join("\n")
    )
}

/// The other program, beside ours if it is there.
fn yokeadm() -> String {
    let beside = std::env::current_exe()
        .ok()
        .map(|own| own.with_file_name("yokeadm"))
        .filter(|path| path.is_file());
    match (beside, std::env::current_dir()) {
        (Some(path), Ok(here)) => {
            let shown: &Path = path.strip_prefix(&here).unwrap_or(&path);
            shown.display().to_string()
        }
        (Some(path), Err(_)) => path.display().to_string(),
        (None, _) => "yokeadm".to_owned(),
    }
}
