//! An old primary that holds what nobody else has comes back: it is rewound, and what it drops is listed. Interrupted, it is
//! cloned: nothing is ever started from a half-written directory.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tests::Said;
use tests::faults::ALL;
use tests::programs::ask;
use tests::scene::{Scene, play};
use yoke::demo::node::Part;
use yoke::demo::stage::{PATIENCE, Stage};
use yoke::postgres::lost::Lost;
use yoke::show::lost::Kept;

/// More WAL than fits into the buffers between two hosts.
const TAIL: &str = "SELECT pg_logical_emit_message(true, 'tail', repeat('x', 1000000)) FROM generate_series(1, 40)";

/// What meets the rewind of the old primary.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Interruption {
    None,
    Tool,
    Host,
}

#[test]
fn an_old_primary_that_is_ahead_is_rewound_and_interrupted_is_cloned() {
    play(async |scene| {
        for interruption in [Interruption::None, Interruption::Tool, Interruption::Host] {
            comes_back(scene, interruption).await?;
        }
        Ok(())
    });
}

async fn comes_back(scene: &mut Scene, interruption: Interruption) -> Said<()> {
    scene.stage.settled().await;
    let before = scene.serving().await?;
    let (old, new) = (before.node, Stage::other(before.node));
    let lost_before = lost(scene, old).await?.len();

    // It goes on for a moment while its standby takes nothing; none of this is acknowledged.
    let standby = database(scene, new)?;
    to_all(&standby, Signal::SIGSTOP);
    let grown = grows(scene, old).await;
    println!("{}", scene.stage.node(old).signal(&ALL, Signal::SIGKILL)?);
    to_all(&standby, Signal::SIGCONT);
    grown?;
    scene.other_serves(before).await?;
    scene.writes(50).await?;

    scene.stage.node(old).wait_ended(PATIENCE).await?;
    scene.stage.node(old).start()?;
    let data = scene.stage.node(old).data.clone();
    if interruption != Interruption::None {
        let tool = rewind_of(&data).await?;
        let to_tool = |signal| kill(tool, signal).map_err(|e| format!("pg_rewind: {e}"));
        // It does not get to its end before it is hit.
        to_tool(Signal::SIGSTOP)?;
        if interruption == Interruption::Host {
            // All that runs there; the tool ends with its guard.
            let parts = [Part::Daemon, Part::Guard];
            let node = scene.stage.node(old);
            println!("{}", node.signal(&parts, Signal::SIGKILL)?);
            scene.stage.node(old).wait_ended(PATIENCE).await?;
            scene.stage.node(old).start()?;
        } else {
            to_tool(Signal::SIGKILL)?;
            println!("SIGKILL to pg_rewind");
        }
    }
    scene.healthy().await?;

    let lost = lost(scene, old).await?;
    let new_ones: Vec<&str> = lost[..lost.len() - lost_before]
        .iter()
        .map(|l| l.how.as_str())
        .collect();
    let wanted: &[&str] = match interruption {
        Interruption::None => &["rewound"],
        _ => &["set aside", "rewound"],
    };
    if new_ones != wanted {
        return Err(format!(
            "expected {wanted:?} to be listed as lost, found {lost:?}"
        ));
    }
    let dropped = &lost[wanted.len() - 1];
    if !dropped.place.join("entry.json").is_file() || dropped.from.is_none() {
        return Err(format!("what was dropped is not there: {dropped:?}"));
    }
    if interruption == Interruption::None && beside(&data)? != [data.clone()] {
        return Err(format!("it was cloned: {:?}", beside(&data)?));
    }
    let port = scene.stage.node(new).address.port();
    println!("{}", ask(port, &["lost"]).await?);
    Ok(())
}

/// Every process of a node's PostgreSQL.
fn database(scene: &mut Scene, node: usize) -> Said<Vec<Pid>> {
    let postmaster = scene.stage.node(node).pid(Part::Postgres);
    let postmaster = postmaster.ok_or("no PostgreSQL runs there")?;
    let processes = std::fs::read_dir("/proc").map_err(|e| e.to_string())?;
    let parent = |process: &Path| -> Option<i32> {
        let stat = std::fs::read_to_string(process.join("stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let children = processes
        .flatten()
        .filter(|process| parent(&process.path()) == Some(postmaster.as_raw()))
        .filter_map(|process| Some(Pid::from_raw(process.file_name().to_str()?.parse().ok()?)));
    Ok(std::iter::once(postmaster).chain(children).collect())
}

/// One that has ended meanwhile misses nothing.
fn to_all(processes: &[Pid], signal: Signal) {
    println!("{signal} to {processes:?}");
    for pid in processes {
        let _ = kill(*pid, signal);
    }
}

/// Waits until a primary has written the tail, which no commit comes back from.
async fn grows(scene: &mut Scene, node: usize) -> Said<()> {
    let of = scene.stage.node(node);
    let at = format!(
        "host={} port={} user=yoke dbname=postgres",
        of.dir.join("run").display(),
        of.pg_port
    );
    let psql = |sql: &str| {
        let mut command = scene.stage.cluster.programs.command("psql");
        command.args(["-XAtqw", "-d", &at, "-c", sql]);
        command
    };
    let mut tail = psql(TAIL)
        .stdout(std::process::Stdio::null())
        .spawn()
        .map_err(|e| e.to_string())?;
    let begun = Instant::now();
    let result = loop {
        let sql = "SELECT pg_current_wal_flush_lsn() - flush_lsn > 30000000 FROM pg_stat_replication WHERE state = 'streaming'";
        let output = psql(sql).output().map_err(|e| e.to_string())?;
        if output.stdout.starts_with(b"t") {
            break Ok(());
        }
        if begun.elapsed() > Duration::from_secs(10) {
            break Err(format!("the tail was not written: {output:?}"));
        }
    };
    // Both fail only if it has ended.
    let _ = tail.kill();
    let _ = tail.wait();
    result
}

/// What has left the data directory of that node and is kept, the newest first.
async fn lost(scene: &mut Scene, node: usize) -> Said<Vec<Lost>> {
    let name = scene.stage.node(node).name.to_owned();
    let port = scene.stage.node(Stage::other(node)).address.port();
    let text = ask(port, &["--json", "lost"]).await?;
    let kept: Kept = serde_json::from_str(&text).map_err(|e| format!("{text}: {e}"))?;
    let mine = kept.lost.into_iter().filter(|lost| lost.member == name);
    Ok(mine.collect())
}

/// The pg_rewind that works on this directory, once there is one.
async fn rewind_of(data: &Path) -> Said<Pid> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let processes = std::fs::read_dir("/proc").map_err(|e| e.to_string())?;
        for process in processes.flatten() {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let words: Vec<&str> = command
                .split(|b| *b == 0)
                .filter_map(|word| std::str::from_utf8(word).ok())
                .collect();
            let is_it = words.first().is_some_and(|w| w.ends_with("pg_rewind"))
                && words.iter().any(|w| Path::new(w) == data);
            if let (true, Ok(pid)) = (is_it, process.file_name().to_string_lossy().parse()) {
                return Ok(Pid::from_raw(pid));
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err("no pg_rewind was begun".to_owned())
}

/// What lies next to a data directory under its name.
fn beside(data: &Path) -> Said<Vec<PathBuf>> {
    let parent = data.parent().ok_or("a directory without a parent")?;
    let listed = std::fs::read_dir(parent).map_err(|e| e.to_string())?;
    let ours = data.to_string_lossy().into_owned();
    let all = listed.flatten().map(|entry| entry.path());
    Ok(all
        .filter(|path| path.to_string_lossy().starts_with(&ours))
        .filter(|path| !path.to_string_lossy().ends_with(".yoke.lock"))
        .collect())
}
