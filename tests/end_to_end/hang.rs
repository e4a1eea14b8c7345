//! R19: databases that hang. Nobody thaws what a test froze: whoever hangs is stopped, and started again, by its daemon.

use nix::sys::signal::Signal;
use std::cell::OnceCell;
use std::time::{Duration, Instant};
use tests::Said;
use tests::disk::Disk;
use tests::programs::ask;
use tests::scene::{Before, Scene, Setting, play_on};
use tests::storm::fault::{Hit, Kind};
use tests::storm::processes;
use yoke::demo::cluster::Cluster;
use yoke::demo::picture::Serving;
use yoke::demo::stage::{PATIENCE, Stage};

/// `decision_timeout` here: shorter than the default, to save time.
const DECISION: Duration = Duration::from_secs(2);
const MORE: &str = "  decision_timeout=2\n";
const SYNC: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);
/// A crashed database's, with little to do.
const RECOVERY: Duration = Duration::from_secs(2);

fn play(body: impl AsyncFnOnce(&mut Scene) -> Said<()>) {
    let setting = Setting {
        more: MORE,
        ..Setting::default()
    };
    play_on(&setting, body);
}

fn freeze(scene: &mut Scene, node: usize, hit: Hit) -> Said<()> {
    let found = processes::find(scene.stage.node(node), hit)?;
    processes::send(&found, Signal::SIGSTOP);
    Ok(())
}

/// How long writes stopped, and what is promised. Whether it is kept `storm` judges: here other things run beside it.
fn print_gap(scene: &Scene, what: &str, begun: Instant, promised: Duration) {
    let gap = scene.stage.writers.ledger().gap(begun, Instant::now());
    println!(
        "GAP {:.3} s, promised {:.1} s: {what}",
        gap.length.as_secs_f64(),
        promised.as_secs_f64()
    );
}

#[test]
fn a_database_hangs() {
    play(async |scene| {
        // A postmaster that hangs: who is connected goes on, nobody else gets in.
        for hit in [Hit::Postmaster, Hit::Postgres] {
            the_primarys_hangs(scene, hit).await?;
            the_standbys_hangs(scene, hit).await?;
        }
        Ok(())
    });
}

async fn the_primarys_hangs(scene: &mut Scene, hit: Hit) -> Said<()> {
    let before = scene.serving().await?;
    let begun = Instant::now();
    freeze(scene, before.node, hit)?;
    scene.other_serves(before).await?;
    scene.writes(50).await?;
    scene.healthy().await?;
    let what = format!("the primary's {hit} hangs");
    print_gap(scene, &what, begun, DECISION + SECOND);
    Ok(())
}

async fn the_standbys_hangs(scene: &mut Scene, hit: Hit) -> Said<()> {
    let reign = |s: Serving| (s.node, s.timeline);
    let before = scene.serving().await?;
    let standby = Stage::other(before.node);
    let frozen = processes::find(scene.stage.node(standby), Hit::Postmaster)?;
    let begun = Instant::now();
    freeze(scene, standby, hit)?;
    while processes::any_lives(&frozen) {
        if begun.elapsed() > PATIENCE {
            return Err(format!(
                "the standby's {hit} hangs, and is not started again"
            ));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let after = scene.healthy().await?;
    let what = format!("the standby's {hit} hangs");
    print_gap(scene, &what, begun, SYNC + SECOND);
    match after.serving().map(reign) == Some(reign(before)) {
        true => Ok(()),
        false => Err("the role moved although the primary could serve".to_owned()),
    }
}

/// Its receiver ought to end by itself, and does not; PostgreSQL says that it streams.
#[test]
fn the_standbys_receiver_hangs() {
    play(async |scene| {
        let standby = Stage::other(scene.serving().await?.node);
        let found = processes::find(scene.stage.node(standby), Hit::One(Kind::Walreceiver))?;
        let begun = Instant::now();
        processes::send(&found, Signal::SIGSTOP);
        scene
            .until("the standby leaves", |p| {
                p.serving().is_some_and(|s| !s.guarded)
            })
            .await?;
        scene.healthy().await?;
        print_gap(scene, "the standby's receiver hangs", begun, SYNC + SECOND);
        Ok(())
    });
}

/// Whoever waits for such a disk cannot be killed, so nobody sees the old primary's end: its promises have to run out.
#[test]
fn the_primarys_disk_hangs() {
    if !Disk::is_possible() {
        println!("SKIPPED: there are no loop devices here");
        return;
    }
    let disk: OnceCell<Disk> = OnceCell::new();
    let before = |cluster: &Cluster| -> Said<()> {
        let made = Disk::under(&cluster.nodes[0].dir)?;
        disk.set(made).map_err(|_| "a second disk".to_owned())
    };
    let before: Before<'_> = &before;
    let setting = Setting {
        more: MORE,
        before: Some(before),
        ..Setting::default()
    };
    play_on(&setting, async |scene| {
        let disk = disk.get().ok_or("there is no disk")?;
        let before = scene.serving().await?;
        if before.node != 0 {
            return Err("another node than the configured primary serves".to_owned());
        }
        let begun = Instant::now();
        disk.hang()?;
        scene.other_serves(before).await?;
        scene.writes(50).await?;
        disk.thaw()?;
        scene.healthy().await?;
        print_gap(
            scene,
            "the primary's disk hangs",
            begun,
            DECISION * 2 + SECOND,
        );
        Ok(())
    });
}

/// The startup process hangs as the promotion begins: whoever was to take over gives the role back.
#[test]
fn a_promotion_does_not_come_to_its_end() {
    play(async |scene| {
        let before = scene.serving().await?;
        let begun = Instant::now();
        freeze(scene, Stage::other(before.node), Hit::One(Kind::Startup))?;
        let database = processes::find(scene.stage.node(before.node), Hit::Postgres)?;
        processes::send(&database, Signal::SIGKILL);
        scene.writes(50).await?;
        scene.healthy().await?;
        // The promotion's time; the other one has crashed and rests as long, and then has to recover.
        let promised = DECISION * 2 + RECOVERY + SECOND;
        print_gap(scene, "a promotion that does not end", begun, promised);
        Ok(())
    });
}

/// The checkpointer hangs: neither the checkpoint before a hand-over nor the clean stop comes to its end.
#[test]
fn a_stop_does_not_come_to_its_end() {
    play(async |scene| {
        for by_operator in [true, false] {
            let before = scene.serving().await?;
            let begun = Instant::now();
            freeze(scene, before.node, Hit::One(Kind::Checkpointer))?;
            if by_operator {
                let port = scene.stage.node(before.node).address.port();
                ask(port, &["demote"]).await?;
            } else {
                scene.stage.node(before.node).stop(DECISION * 10).await?;
            }
            scene.other_serves(before).await?;
            scene.writes(50).await?;
            scene.stage.cluster.start()?;
            scene.healthy().await?;
            // `health_timeout`, in which nothing is written for the checkpoint's sake.
            let what = "a clean stop that does not end";
            print_gap(scene, what, begun, DECISION + SECOND);
        }
        Ok(())
    });
}
