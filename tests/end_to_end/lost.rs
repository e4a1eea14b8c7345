//! Lost things: state files, data directories, whole disks; gone, torn, or back from long ago. What members can make good
//! by themselves they do; where only an operator can decide, `yokeadm list` says the command, and it works (R12, R15).

use tests::losses::Loss;
use tests::scene::{Scene, Setting, play_on};
use yoke::demo::stage::Stage;

use std::time::{Duration, Instant};
use tests::Said;

const MONITOR: usize = 2;

#[test]
fn a_monitor_or_a_secondary_that_lost_something_is_whole_again_by_itself() {
    play_on(&Setting::QUICK, async |scene| {
        for loss in [
            Loss::State,
            Loss::TornState,
            Loss::OldState,
            Loss::Everything,
        ] {
            scene.recovers(MONITOR, loss).await?;
        }
        for loss in [
            Loss::State,
            Loss::TornState,
            Loss::OldState,
            Loss::OldHost,
            Loss::OldData,
            Loss::OthersData,
            Loss::Everything,
        ] {
            let standby = Stage::other(scene.serving().await?.node);
            scene.recovers(standby, loss).await?;
        }
        Ok(())
    });
}

/// It is not the primary any more then, or it has everything that was acknowledged.
#[test]
fn a_primary_that_lost_something_is_whole_again_by_itself() {
    play_on(&Setting::QUICK, async |scene| {
        // The first two leave an image of each host, to be old later.
        for loss in [
            Loss::Data,
            Loss::EmptyData,
            Loss::OldState,
            Loss::OldHost,
            Loss::OldData,
            Loss::State,
            Loss::Everything,
        ] {
            let before = scene.serving().await?;
            scene.recovers(before.node, loss).await?;
            let data_lost = !matches!(loss, Loss::State | Loss::OldState);
            if data_lost && scene.serving().await?.node == before.node {
                return Err(format!("a primary serves again that lost {loss:?}"));
            }
        }
        Ok(())
    });
}

/// The operator is asked for a word, gives it, and no acknowledged write is lost by it.
#[test]
fn what_only_an_operator_can_decide_is_said_with_its_command_and_the_command_works() {
    play_on(&Setting::QUICK, async |scene| {
        a_member_without_state_while_another_is_down(scene).await?;
        nobody_has_a_state_file(scene).await?;
        a_host_from_yesterday_never_serves(scene).await
    });
}

async fn a_member_without_state_while_another_is_down(scene: &mut Scene) -> Said<()> {
    let primary = scene.serving().await?.node;
    let standby = Stage::other(primary);
    scene.goes_down(MONITOR).await?;
    scene.goes_down(standby).await?;
    scene.suffer(standby, Loss::TornState)?;
    scene.comes_up(standby)?;
    scene.give_word(standby, "vouch").await?;
    scene
        .until("served again", |p| p.serving().is_some())
        .await?;
    scene.writes(10).await?;
    scene.comes_up(MONITOR)?;
    scene.healthy().await?;
    Ok(())
}

async fn nobody_has_a_state_file(scene: &mut Scene) -> Said<()> {
    let primary = scene.serving().await?.node;
    for node in [Stage::other(primary), primary, MONITOR] {
        scene.goes_down(node).await?;
        scene.suffer(node, Loss::State)?;
    }
    for node in [0, 1, MONITOR] {
        scene.comes_up(node)?;
    }
    // Its line names whoever does not answer yet: until a majority does nothing is adopted.
    scene
        .until("all answer", |p| {
            let report = p.reports[primary].as_ref().ok();
            let why = report.and_then(|report| report.view.stays_out.as_deref());
            why.is_some_and(|why| !why.contains("does not answer"))
        })
        .await?;
    scene.give_word(primary, "adopt").await?;
    scene.give_word(MONITOR, "vouch").await?;
    let after = scene.healthy().await?;
    match after.serving().map(|s| s.node) == Some(primary) {
        true => Ok(()),
        false => Err("another copy serves than the one adopted".to_owned()),
    }
}

/// Its state, its data and its stamp fit each other; the monitor knows better.
async fn a_host_from_yesterday_never_serves(scene: &mut Scene) -> Said<()> {
    let old = scene.serving().await?.node;
    let new = Stage::other(old);
    scene.goes_down(old).await?;
    scene.take_image(old)?;
    scene
        .until("the other serves alone", |p| {
            p.serving().is_some_and(|s| s.node == new)
        })
        .await?;
    scene.writes(50).await?;
    scene.goes_down(new).await?;
    scene.suffer(old, Loss::OldHost)?;
    scene.comes_up(old)?;
    let begun = Instant::now();
    scene
        .until("it has waited for long", |p| {
            p.serving().is_some() || begun.elapsed() > Duration::from_secs(7)
        })
        .await?;
    if scene.stage.watch.now().serving().is_some() {
        return Err("yesterday's primary serves".to_owned());
    }
    scene.is_told(old, "yokeadm adopt").await?;
    scene.comes_up(new)?;
    scene.healthy().await?;
    Ok(())
}

/// Nothing is left but an older copy: the operator makes it the database, and the writes that it lacks are lost.
#[test]
fn an_older_copy_is_adopted_when_nothing_else_is_left() {
    let setting = Setting {
        as_it_comes: true,
        ..Setting::QUICK
    };
    play_on(&setting, async |scene| {
        scene.healthy().await?;
        let primary = scene.serving().await?.node;
        let standby = Stage::other(primary);
        scene.goes_down(standby).await?;
        scene.writes(20).await?;
        scene.goes_down(primary).await?;
        scene.suffer(primary, Loss::Everything)?;
        scene.comes_up(standby)?;
        scene.give_word(standby, "adopt").await?;
        scene
            .until("it serves", |p| {
                p.serving().is_some_and(|s| s.node == standby)
            })
            .await?;
        scene.writes(20).await?;
        scene.comes_up(primary)?;
        scene.healthy().await?;
        Ok(())
    });
}
