//! Hosts that are lost in silence, and cables that break: nobody gets an error, packets only stop.

use std::time::Instant;
use tests::Said;
use tests::network::Network;
use tests::scene::{Scene, Setting, play_on};

/// Plays on three hosts of their own.
fn on_a_network(body: impl AsyncFnOnce(&mut Scene, &Network) -> Said<()>) {
    let network = Network::make().unwrap_or_else(|e| panic!("no network can be made: {e}"));
    let setting = Setting {
        network: Some(&network),
        ..Setting::default()
    };
    play_on(&setting, async |scene| body(scene, &network).await);
}

fn print_gap(scene: &Scene, what: &str, begun: Instant) {
    let gap = scene.stage.writers.ledger().gap(begun, Instant::now());
    println!("GAP {:.3} s: {what}", gap.length.as_secs_f64());
}

#[test]
fn the_primarys_host_falls_silent() {
    on_a_network(async |scene, network| {
        let before = scene.serving().await?;
        let begun = Instant::now();
        network.silence(before.node)?;
        scene.other_serves(before).await?;
        scene.writes(100).await?;
        network.heal(before.node)?;
        scene.healthy().await?;
        print_gap(scene, "the primary's host falls silent", begun);
        Ok(())
    });
}

/// Clients still reach the old primary, so that its own end of serving is what protects them.
#[test]
fn the_primary_is_cut_off_from_the_members_but_not_from_its_clients() {
    on_a_network(async |scene, network| {
        let before = scene.serving().await?;
        let begun = Instant::now();
        network.cut(before.node, &[1 - before.node, 2])?;
        scene
            .until("the other node serves, cut off from the old one", |p| {
                p.reports[1 - before.node]
                    .as_ref()
                    .is_ok_and(|r| r.view.postgres.primary().is_some())
                    && p.serving().is_some_and(|s| s.node != before.node)
            })
            .await?;
        scene.writes(100).await?;
        network.heal(before.node)?;
        scene.healthy().await?;
        print_gap(scene, "the primary is cut off from the members", begun);
        Ok(())
    });
}

/// The monitor still hears the leader: no election, only a lone primary for as long as it lasts.
#[test]
fn only_the_link_between_the_data_hosts_breaks() {
    on_a_network(async |scene, network| {
        let before = scene.serving().await?;
        let begun = Instant::now();
        network.cut(before.node, &[1 - before.node])?;
        scene
            .until("the primary serves alone", |p| {
                p.serving()
                    .is_some_and(|s| !s.guarded && s.node == before.node)
            })
            .await?;
        scene.writes(100).await?;
        network.heal(before.node)?;
        let after = scene.healthy().await?;
        print_gap(scene, "the link between the data hosts breaks", begun);
        match after.serving().map(|s| (s.node, s.timeline)) == Some((before.node, before.timeline))
        {
            true => Ok(()),
            false => Err("the role moved although the primary could serve".to_owned()),
        }
    });
}
