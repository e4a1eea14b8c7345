//! What operators ask for around maintenance: nobody takes over during a pause; a copy is replaced by a fresh one.

use nix::sys::signal::Signal;
use std::time::Duration;
use tests::Said;
use tests::faults::ALL;
use tests::programs::ask;
use tests::scene::{Scene, Setting, play_on};
use yoke::demo::stage::{PATIENCE, Stage};

const MONITOR: usize = 2;
/// So long nobody may take over, who would have done so long before.
const LONG: Duration = Duration::from_secs(8);

/// Says it to a node, and compares the beginning of the answer.
async fn says(scene: &mut Scene, node: usize, command: &str, begins: &str) -> Said<()> {
    let port = scene.stage.node(node).address.port();
    let said = ask(port, &[command]).await;
    println!("yokeadm {command}: {said:?}");
    match said {
        Ok(said) if said.starts_with(begins) => Ok(()),
        other => Err(format!(
            "yokeadm {command} should say `{begins}`, and said {other:?}"
        )),
    }
}

/// Everything of the primary is killed, and nobody takes over.
async fn loses_its_primary(scene: &mut Scene) -> Said<usize> {
    let primary = scene.serving().await?.node;
    println!(
        "{}",
        scene.stage.node(primary).signal(&ALL, Signal::SIGKILL)?
    );
    scene.stage.node(primary).wait_ended(PATIENCE).await?;
    tokio::time::sleep(LONG).await;
    match scene.stage.watch.now().serving() {
        None => Ok(primary),
        Some(serving) => Err(format!("node {} took over during a pause", serving.node)),
    }
}

#[test]
fn nobody_takes_over_during_a_pause_and_the_primary_serves_again_when_it_is_back() {
    play_on(&Setting::QUICK, async |scene| {
        says(scene, MONITOR, "pause", "paused: nobody takes over").await?;
        let primary = loses_its_primary(scene).await?;
        let monitor = scene.stage.node(MONITOR).address.port();
        let list = ask(monitor, &["list"]).await?;
        if !list.contains("Paused by an operator") {
            return Err(format!(
                "yokeadm list does not say that it is paused: {list}"
            ));
        }
        scene.stage.node(primary).start()?;
        if scene.serving().await?.node != primary {
            return Err("another node serves".to_owned());
        }
        scene.writes(20).await?;
        let port = scene.stage.node(primary).address.port();
        match ask(port, &["demote"]).await {
            Err(why) if why.contains("`yokeadm resume` first") => {}
            other => return Err(format!("demote during a pause said {other:?}")),
        }
        says(scene, MONITOR, "resume", "resumed: ").await?;
        scene.healthy().await?;
        Ok(())
    });
}

#[test]
fn a_standby_that_is_told_to_takes_over_in_spite_of_a_pause() {
    play_on(&Setting::QUICK, async |scene| {
        says(scene, 1, "pause", "paused: nobody takes over").await?;
        let primary = loses_its_primary(scene).await?;
        let other = Stage::other(primary);
        says(scene, other, "resume", "nobody leads: ").await?;
        let serves =
            |p: &yoke::demo::picture::Picture| p.serving().is_some_and(|s| s.node == other);
        scene.until("the standby serves", serves).await?;
        scene.writes(20).await?;
        scene.stage.node(primary).start()?;
        scene.healthy().await?;
        Ok(())
    });
}

#[test]
fn a_copy_is_replaced_by_a_fresh_one_while_writes_go_on() {
    play_on(&Setting::QUICK, async |scene| {
        let before = scene.serving().await?;
        let standby = Stage::other(before.node);
        let port = scene.stage.node(standby).address.port();
        match ask(port, &["reinit"]).await {
            Err(why) if why.contains("nothing was changed") => {}
            other => return Err(format!("it should have asked first, and said {other:?}")),
        }
        let said = ask(port, &["reinit", "--yes"]).await?;
        if !said.contains("is given up, and the primary's is copied in its place") {
            return Err(format!("yokeadm reinit said: {said}"));
        }
        scene.healthy().await?;
        let lost = ask(port, &["lost"]).await?;
        println!("{lost}");
        if !lost.contains("an operator asked for a fresh copy") {
            return Err(format!("yokeadm lost does not name the reason: {lost}"));
        }
        match scene.serving().await? {
            after if after.timeline == before.timeline && after.node == before.node => Ok(()),
            _ => Err("the role moved".to_owned()),
        }
    });
}
